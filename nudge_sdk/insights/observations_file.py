"""A CSV file of observations: one row each, a column a feature."""

from __future__ import annotations

import csv
import io
import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import IO

import msgspec

from nudge_sdk.errors import ImportFileError, RecordError
from nudge_sdk.insights.observations import Observations
from nudge_sdk.rules.times import to_micros

MOST_NAMED = 20

_YES = frozenset({"1", "1.0", "true", "t", "yes", "y"})
_NO = frozenset({"0", "0.0", "false", "f", "no", "n"})
_TEST, _TRAIN = frozenset({"test", "1"}), frozenset({"train", "0"})


class Columns(msgspec.Struct, frozen=True, kw_only=True):
    """Which column says what; empty where none does.

    Attributes:
        label: Whether the row paid: 1 or 0, yes or no, true or false.
        features: Numbers, or yes and no.
        time: The instant before which features must have been known: ISO 8601 with an offset, or numbers that grow
            with time. Rows are split into older and newer by it.
        known_at: Of some features, the column of the instant at which its value was known; an empty cell says that it
            needs none. In the units of ``time``.
        split: ``train`` or ``test`` in each row, in the place of the split by time.
        cluster: What the row belongs to, such as its account.
    """

    label: str
    features: tuple[str, ...]
    time: str = ""
    known_at: Mapping[str, str] = {}
    split: str = ""
    cluster: str = ""


class SetAside(msgspec.Struct, frozen=True, kw_only=True):
    """Rows that could not be read.

    Attributes:
        rows: How many.
        first: Line and reason of the first ``MOST_NAMED``.
    """

    rows: int
    first: tuple[tuple[int, str], ...]


def read_observations(stream: IO[bytes], columns: Columns, name: str) -> tuple[Observations, SetAside]:
    """Read a file; rows that cannot be read are set aside with line and reason.

    Args:
        stream: UTF-8, with commas; the first line names the columns.
        columns: Which column says what.
        name: What people call the file.

    Raises:
        ImportFileError: A column is not there or is said twice, or no row can be read.
    """
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="replace", newline="")
    try:
        reader = csv.reader(text)
        table = _Table(columns, _header(reader, columns, name))
        table.take(reader)
    finally:
        text.detach()
    if not table.numbers["label"]:
        why = f"; the first: line {table.aside[0][0]} {table.aside[0][1]}" if table.aside else ""
        raise ImportFileError(f"nothing in {name} could be read: {table.count} rows were set aside{why}")
    return table.observations(), SetAside(rows=table.count, first=tuple(table.aside))


def _header(reader: Iterator[list[str]], columns: Columns, name: str) -> list[str]:
    header = [cell.strip() for cell in next(reader, [])]
    strange = [each for each in columns.known_at if each not in columns.features]
    if strange:
        raise ImportFileError(f"--known-at {strange[0]!r} is none of the features: {', '.join(columns.features)}")
    said = [("--label", columns.label), ("--time", columns.time), ("--split", columns.split)]
    said += [("--cluster", columns.cluster), *(("--features", each) for each in columns.features)]
    said += [(f"--known-at {feature}", column) for feature, column in columns.known_at.items()]
    missing = [f"{option} {column!r}" for option, column in said if column and column not in header]
    if missing:
        there = ", ".join(map(repr, header)) or "none"
        raise ImportFileError(f"{name} has no column for {', '.join(missing)}; its first line names: {there}")
    twice = [column for _, column in said if column and header.count(column) > 1]
    if twice:
        raise ImportFileError(f"{name} has more than one column {twice[0]!r}")
    return header


class _Table:
    """What was read so far.

    Attributes:
        numbers: Column by column.
        aside, count: Line and reason of the first rows that could not be read, and how many there were.
    """

    def __init__(self, columns: Columns, header: Sequence[str]) -> None:
        self.columns, self.width = columns, len(header)
        place = {name: header.index(name) for name in header}
        self.features = [place[each] for each in columns.features]
        self.label = place[columns.label]
        self.time, self.split, self.cluster = (
            place.get(each) for each in (columns.time, columns.split, columns.cluster)
        )
        self.known_at = [(feature, place[column]) for feature, column in columns.known_at.items()]
        self.numbers = {name: array("d") for name in ("label", "features", "time", "split", "known")}
        self.clusters: list[str] = []
        self.aside: list[tuple[int, str]] = []
        self.count = 0

    def take(self, reader: Iterator[list[str]]) -> None:
        """Read all rows."""
        while True:
            try:
                cells = next(reader)
                if cells:
                    self._take_row(cells)
            except StopIteration:
                return
            except (ValueError, csv.Error) as error:
                self.count += 1
                if len(self.aside) < MOST_NAMED:
                    self.aside.append((reader.line_num, str(error)))  # type: ignore[attr-defined]

    def _take_row(self, cells: list[str]) -> None:
        if len(cells) != self.width:
            raise ValueError(f"has {len(cells)} cells where the first line has {self.width}")
        label = _yes_or_no(cells[self.label], self.columns.label)
        named = zip(self.columns.features, self.features, strict=True)
        features = [_feature(cells[place], name) for name, place in named]
        time = math.nan if self.time is None else _time(cells[self.time], self.columns.time)
        known = [_time(cells[place], self.columns.known_at[name], may_lack=True) for name, place in self.known_at]
        is_test = math.nan if self.split is None else _is_test(cells[self.split], self.columns.split)
        cluster = "" if self.cluster is None else cells[self.cluster].strip()
        if self.cluster is not None and not cluster:
            raise ValueError(f"says no {self.columns.cluster}")
        for name, values in zip(self.numbers, ([label], features, [time], [is_test], known), strict=True):
            self.numbers[name].extend(values)
        self.clusters.append(cluster)

    def observations(self) -> Observations:
        """Return what was read."""
        import numpy as np

        rows = len(self.clusters)
        column = {name: np.frombuffer(values, float) for name, values in self.numbers.items() if values}
        known = column["known"].reshape(rows, -1) if self.known_at else None
        time = column["time"] if self.time is not None else None
        return Observations(
            names=self.columns.features,
            values=column["features"].reshape(rows, -1),
            paid=column["label"] > 0,
            observed_at=time,
            signed_up_at=time,
            known_at={} if known is None else {name: known[:, at] for at, (name, _) in enumerate(self.known_at)},
            is_test=column["split"] > 0 if self.split is not None else None,
            clusters=np.unique(self.clusters, return_inverse=True)[1] if self.cluster is not None else None,
        )


def _yes_or_no(cell: str, name: str) -> float:
    said = cell.strip().lower()
    if said in _YES or said in _NO:
        return float(said in _YES)
    raise ValueError(f"has {cell!r} for {name}; write 1 or 0, yes or no, true or false")


def _feature(cell: str, name: str) -> float:
    try:
        number = float(cell)
    except ValueError:
        return _yes_or_no(cell, name)
    if not math.isfinite(number):
        raise ValueError(f"has {cell!r} for {name}, which is no number")
    return number


def _time(cell: str, name: str, *, may_lack: bool = False) -> float:
    said = cell.strip()
    if not said and may_lack:
        return math.nan
    try:
        number = float(said)
    except ValueError:
        try:
            return float(to_micros(said, name))
        except RecordError as error:
            raise ValueError(f"has no time for {name}: {error.reason}") from None
    if not math.isfinite(number):
        raise ValueError(f"has {cell!r} for {name}, which is no time")
    return number


def _is_test(cell: str, name: str) -> float:
    said = cell.strip().lower()
    if said in _TEST or said in _TRAIN:
        return float(said in _TEST)
    raise ValueError(f"has {cell!r} for {name}; write train or test")
