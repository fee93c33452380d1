"""Any experiment given as a table: one row a unit, with its arm and whether it met the goal."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, NamedTuple

import msgspec

from nudge_sdk.errors import ImportFileError, SetupError
from nudge_sdk.insights.experiments import Design, Units, report_of
from nudge_sdk.insights.lift_reports import LiftReport
from nudge_sdk.insights.statistics.intervals import CONFIDENCE

USUAL_CONTROLS = ("control", "withheld", "holdout", "a", "0")
"""Names of arms that are taken for the control where nobody says which it is."""

MOST_ARMS = 20
_MOST_NAMED = 20
_YES = frozenset({"1", "1.0", "true", "t", "yes", "y"})
_NO = frozenset({"0", "0.0", "false", "f", "no", "n"})


class ExperimentRow(NamedTuple):
    """One unit.

    Attributes:
        arm: Name of its arm.
        has_won: Whether it met the goal.
        cluster: What it is one of, such as its account; empty where units stand alone.
        unit: What tells it from others, where one may stand in several rows; else empty.
    """

    arm: str
    has_won: bool
    cluster: str = ""
    unit: str = ""


class TableDesign(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided before the experiment began.

    Attributes:
        outcome: What meeting the goal is called.
        control: The arm that all others are compared with; empty to take the one with a usual name.
        ratio: The configured ratio: of the control, then of the other arms in the order of their names.
        planned: Units of both arms that are compared, at which it was to be decided.
        is_randomised: Whether chance decided who is in which arm.
    """

    outcome: str = "outcome"
    control: str = ""
    ratio: tuple[float, ...] | None = None
    planned: int | None = None
    is_randomised: bool = True


class SetAside(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of a file that could not be read.

    Attributes:
        rows: How many.
        first: Line and reason of the first of them.
    """

    rows: int = 0
    first: tuple[tuple[int, str], ...] = ()


class Columns(NamedTuple):
    """Which column says what; an empty name means that none does."""

    arm: str
    outcome: str
    cluster: str = ""
    unit: str = ""


def lift_of_table(rows: Iterable[ExperimentRow], design: TableDesign) -> tuple[LiftReport, ...]:
    """Return a report for each arm that is compared with the control, in the order of their names.

    Of a unit with several rows the first tells its arm, and one that met the goal is enough. Where several arms are
    compared with one control, the intervals are as much wider as keeps all of them right together (Bonferroni). Where
    every cluster is in one arm only, clusters are what was drawn, and the sample ratio is that of clusters.

    Args:
        rows: One a unit, in any order.
        design: What was decided beforehand.

    Raises:
        SetupError: Fewer than two arms, a control that is not there, a ratio of another length.
    """
    table = _Table(rows)
    control = _control(table.arms, design.control)
    others = [arm for arm in table.arms if arm != control]
    shares = _shares([control, *others], design.ratio)
    confidence = 1 - (1 - CONFIDENCE) / len(others)
    plain = Design(
        kind="table",
        key="",
        name="",
        goal=design.outcome,
        unit="row",
        is_randomised=design.is_randomised,
        shares=shares,
        planned=design.planned,
        confidence=confidence,
    )
    return tuple(
        report_of(
            msgspec.structs.replace(plain, key=arm, name=arm, arms=(control, arm)), table.units(control, arm), now=0
        )
        for arm in others
    )


class _Table:
    """Rows reduced to units, as arrays."""

    def __init__(self, rows: Iterable[ExperimentRow]) -> None:
        import numpy as np

        arms: dict[str, int] = {}
        clusters: dict[str, int] = {}
        units: dict[str, int] = {}
        arm_of: list[int] = []
        cluster_of: list[int] = []
        won: list[bool] = []
        several: set[int] = set()
        for row in rows:
            arm = arms.setdefault(row.arm, len(arms))
            known = units.setdefault(row.unit, len(won)) if row.unit else len(won)
            if known < len(won):
                won[known] = won[known] or row.has_won
                if arm_of[known] != arm:
                    several.add(known)
                continue
            arm_of.append(arm)
            won.append(row.has_won)
            cluster_of.append(clusters.setdefault(row.cluster, len(clusters)) if row.cluster else -1)
        self.arms = sorted(arms)
        self._numbers = arms
        self._arm, self._won = np.array(arm_of, dtype=np.int64), np.array(won, dtype=bool)
        self._several, self._clusters = len(several), len(clusters)
        self._cluster = np.array(cluster_of, dtype=np.int64) if clusters else None

    def units(self, control: str, treated: str) -> Units:
        """Return the units of two arms; what was drawn is counted over all arms."""
        import numpy as np

        is_treated = self._arm == self._numbers[treated]
        chosen = is_treated | (self._arm == self._numbers[control])
        cluster = None
        if self._cluster is not None:
            cluster = np.unique(self._cluster[chosen], return_inverse=True)[1]
        return Units(
            is_treated=is_treated[chosen],
            has_won=self._won[chosen],
            first_at=None,
            cluster=cluster,
            drawn=self._drawn(),
            several=self._several,
            exposed=len(self._won),
        )

    def _drawn(self) -> dict[str, int]:
        import numpy as np

        arms = self._arm
        if self._cluster is not None:
            pairs = np.unique(np.stack([self._cluster, self._arm]), axis=1)
            if pairs.shape[1] == self._clusters:
                arms = pairs[1]
        counts = np.bincount(arms, minlength=len(self._numbers))
        return {arm: int(counts[number]) for arm, number in self._numbers.items()}


def _control(arms: Sequence[str], said: str) -> str:
    named = ", ".join(arms) or "none"
    if not 2 <= len(arms) <= MOST_ARMS:
        raise SetupError(f"an experiment has 2 to {MOST_ARMS} arms, this has {len(arms)}: {_short(named)}")
    if said:
        if said not in arms:
            raise SetupError(f"there is no arm {said!r}; the arms are {named}")
        return said
    usual = [arm for arm in arms if arm.strip().lower() in USUAL_CONTROLS]
    if len(usual) != 1:
        raise SetupError(f"the arms are {named}; say which is the control: --control {arms[0]}")
    return usual[0]


def _short(text: str, most: int = 200) -> str:
    return text if len(text) <= most else f"{text[:most]}…"


def _shares(arms: Sequence[str], ratio: tuple[float, ...] | None) -> dict[str, float] | None:
    if ratio is None:
        return None
    if len(ratio) != len(arms):
        raise SetupError(f"the ratio has {len(ratio)} numbers for {len(arms)} arms: {', '.join(arms)}, in this order")
    return dict(zip(arms, ratio, strict=True))


def parse_ratio(text: str) -> tuple[float, ...]:
    """Return a ratio such as ``20:80``.

    Raises:
        SetupError: It is not two or more numbers of which one at least is above 0.
    """
    try:
        ratio = tuple(float(part) for part in text.split(":"))
    except ValueError:
        ratio = ()
    if len(ratio) < 2 or not all(0 <= each < float("inf") for each in ratio) or not any(ratio):
        raise SetupError(f"{text!r} is no ratio; write 50:50, or 20:80 with the control first")
    return ratio


class ExperimentFile:
    """A CSV file with one row a unit.

    Args:
        stream: UTF-8; the first line names the columns.
        columns: Which column says what.
        name: What people call the file.

    Attributes:
        set_aside: Rows that could not be read, of those that were read so far.

    Raises:
        ImportFileError: The first line does not name the columns.
    """

    def __init__(self, stream: IO[bytes], columns: Columns, name: str) -> None:
        self.set_aside = SetAside()
        self._text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="replace", newline="")
        self._reader = csv.reader(self._text)
        header = [cell.strip() for cell in next(self._reader, [])]
        said = {
            "--arm": columns.arm,
            "--outcome": columns.outcome,
            "--cluster": columns.cluster,
            "--unit": columns.unit,
        }
        missing = [f"{option} {column!r}" for option, column in said.items() if column and column not in header]
        if missing:
            self._text.detach()
            there = ", ".join(map(repr, header)) or "none"
            raise ImportFileError(f"{name} has no column for {', '.join(missing)}; its first line names: {there}")
        self._width = len(header)
        self._arm, self._outcome = header.index(columns.arm), header.index(columns.outcome)
        self._cluster, self._unit = (
            header.index(column) if column else None for column in (columns.cluster, columns.unit)
        )

    def rows(self) -> Iterator[ExperimentRow]:
        """Yield the rows that can be read; the others are set aside with line and reason."""
        try:
            while True:
                try:
                    cells = next(self._reader)
                    if cells:
                        yield self._row(cells)
                except StopIteration:
                    return
                except (ValueError, csv.Error) as error:
                    self._put_aside(self._reader.line_num, str(error))
        finally:
            self._text.detach()

    def _row(self, cells: list[str]) -> ExperimentRow:
        if len(cells) != self._width:
            raise ValueError(f"has {len(cells)} cells where the first line has {self._width}")
        arm = cells[self._arm].strip()
        if not arm:
            raise ValueError("says no arm")
        keys = ["" if index is None else cells[index].strip() for index in (self._cluster, self._unit)]
        if self._cluster is not None and not keys[0]:
            raise ValueError("says no cluster")
        if self._unit is not None and not keys[1]:
            raise ValueError("says no unit")
        return ExperimentRow(arm, _has_won(cells[self._outcome]), *keys)

    def _put_aside(self, line: int, reason: str) -> None:
        known = self.set_aside
        first = known.first if len(known.first) == _MOST_NAMED else (*known.first, (line, reason))
        self.set_aside = SetAside(rows=known.rows + 1, first=first)


def _has_won(cell: str) -> bool:
    said = cell.strip().lower()
    if said in _YES:
        return True
    if said in _NO:
        return False
    raise ValueError(f"{cell!r} is no outcome; write 1 or 0, yes or no, true or false")
