"""CSV: one event a row; the columns that are not named otherwise are its properties."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from typing import IO, NamedTuple

from nudge_sdk.errors import ImportFileError, RecordError
from nudge_sdk.importing.rows import NaiveTimeError, Refused, Row, RowMaker
from nudge_sdk.rules.records import Record
from nudge_sdk.runtime.checking import check_name

LONGEST_CELL = 1024 * 1024


class Columns(NamedTuple):
    """Which column says what; an empty name means that none does.

    Attributes:
        account: Without it users are in their personal accounts.
        id: Without it a row's id is a hash of its content.
        numbers: Columns whose cells are numbers; all others are texts.
    """

    user: str = "user_id"
    event: str = "event"
    time: str = "timestamp"
    account: str = ""
    id: str = ""
    numbers: tuple[str, ...] = ()


def read_csv(
    stream: IO[bytes], maker: RowMaker, columns: Columns, *, delimiter: str = ",", name: str = "the file"
) -> Iterator[Row | Refused]:
    """Read rows one after another.

    Args:
        stream: UTF-8, with or without a byte order mark; the first line names the columns.
        maker: Makes the records.
        columns: Which column says what.
        delimiter: What stands between cells.
        name: What people call the file, for errors.

    Raises:
        ImportFileError: The first line names no columns, or not those asked for.
    """
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
    csv.field_size_limit(LONGEST_CELL)
    reader = csv.reader(text, delimiter=delimiter)
    try:
        layout = _Layout(next(reader, []), columns, name)
    except csv.Error as error:
        raise ImportFileError(f"the first line of {name} cannot be read as CSV: {error}") from None
    try:
        while True:
            cells: list[str] = []
            try:
                cells = next(reader)
                if cells:
                    yield Row(reader.line_num, layout.record(cells, maker))
            except StopIteration:
                return
            except (RecordError, csv.Error) as error:
                written = _written(cells, delimiter)
                yield Refused(reader.line_num, str(error), written, isinstance(error, NaiveTimeError))
    finally:
        text.detach()


class _Layout:
    """Which cell of a row says what."""

    def __init__(self, header: list[str], columns: Columns, name: str) -> None:
        found = [column.strip() for column in header]
        _check_header(found, columns, name)
        self.width = len(found)
        special = {"user": columns.user, "at": columns.time, "account": columns.account, "id": columns.id}
        self._special = [(key, found.index(column)) for key, column in special.items() if column]
        self._event = found.index(columns.event)
        taken = {index for _, index in self._special} | {self._event}
        numbers = set(columns.numbers)
        self._properties = [
            (index, column, column in numbers) for index, column in enumerate(found) if column and index not in taken
        ]

    def record(self, cells: list[str], maker: RowMaker) -> Record:
        if len(cells) != self.width:
            raise RecordError("row", f"has {len(cells)} cells where the first line has {self.width}")
        event = check_name(cells[self._event], "event")
        properties = {
            column: _number(cells[index], column) if is_number else cells[index]
            for index, column, is_number in self._properties
            if cells[index]
        }
        said = {key: cells[index] for key, index in self._special}
        return maker.make("track", said, name=event, data=properties)


def _check_header(found: list[str], columns: Columns, name: str) -> None:
    present = f"{name} has the columns {', '.join(map(repr, found))}" if found else f"{name} has no first line"
    wanted = {
        "--user-col": columns.user,
        "--event-col": columns.event,
        "--time-col": columns.time,
        "--account-col": columns.account,
        "--id-col": columns.id,
    }
    missing = [f"{option} {column!r}" for option, column in wanted.items() if column and column not in found]
    missing += [f"--number-col {column!r}" for column in columns.numbers if column not in found]
    if missing:
        raise ImportFileError(
            f"{present}, but not {', '.join(missing)}; the first line must name the columns, "
            "and the options say which is which"
        )
    named = [column for column in found if column]
    twice = sorted({column for column in named if named.count(column) > 1})
    if twice:
        raise ImportFileError(f"{name} has the column {', '.join(map(repr, twice))} more than once; rename one of them")


def _number(cell: str, column: str) -> int | float:
    try:
        return int(cell)
    except ValueError:
        pass
    try:
        number = float(cell)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise RecordError(f"properties.{column}", f"{cell!r} is not a number")
    return number


def _written(cells: list[str], delimiter: str) -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="").writerow(cells)
    return out.getvalue()
