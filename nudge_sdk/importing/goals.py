"""Rows of a history that say that a goal was met: the event stays an event, and becomes a conversion too."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterable, Mapping

import msgspec

from nudge_sdk.errors import RecordError
from nudge_sdk.importing.rows import Refused, Row
from nudge_sdk.rules.records import Record
from nudge_sdk.runtime.checking import check_data
from nudge_sdk.runtime.intake import encode_record


def with_conversions(
    rows: Iterable[Row | Refused], goals: Mapping[str, str], value: str = ""
) -> Generator[Row | Refused, None, None]:
    """Yield the rows, and behind each whose event means that a goal was met a conversion.

    Args:
        rows: What was read.
        goals: Event name to the key of the goal it meets.
        value: Property that holds what the conversion is worth; where a row has none, the conversion has no value.
    """
    for row in rows:
        yield row
        if isinstance(row, Row) and row.record.kind == "track" and row.record.name in goals:
            yield _conversion(row, goals[row.record.name], value)


def _conversion(row: Row, goal: str, value: str) -> Row | Refused:
    try:
        return Row(row.line, _converted(row.record, goal, value))
    except RecordError as error:
        return Refused(row.line, f"the conversion: {error}", encode_record(row.record).decode())


def _converted(record: Record, goal: str, value: str) -> Record:
    given = record.data.get(value) if value else None
    # A goal needs an identity of its own beside its event's, and the same one at each import.
    digest = hashlib.sha256(f"{goal}:{record.id}".encode()).hexdigest()[:32]
    data = {} if given is None else check_data({"value": _number(given, value)}, "properties")
    return msgspec.structs.replace(record, kind="convert", name=goal, id=f"goal-{digest}", data=data)


def _number(given: object, name: str) -> float:
    try:
        if isinstance(given, bool):
            raise ValueError
        return float(given)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise RecordError(f"properties.{name}", f"{given!r} is not a number") from None
