"""Instants and days.

An instant is an integer of microseconds since 1970-01-01 UTC; a day is an integer of UTC days since then.
"""

from __future__ import annotations

from datetime import UTC, datetime

from nudge_sdk.errors import RecordError

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
FOREVER = 2**62
"""An instant that never comes, for "nothing will change by time alone"."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def day_of(at: int) -> int:
    """Return the UTC day of an instant."""
    return at // DAY


def end_of_day(day: int) -> int:
    """Return the last microsecond of a UTC day."""
    return (day + 1) * DAY - 1


def to_micros(value: datetime | str | int, field: str = "time") -> int:
    """Turn an aware datetime, an ISO 8601 text with offset, or microseconds into an instant.

    Args:
        value: What the caller gave.
        field: The name to put into the error.

    Raises:
        RecordError: A naive or unreadable time.
    """
    if type(value) is int:
        return value
    if isinstance(value, str):
        value = _parse(value, field)
    if not isinstance(value, datetime):
        raise RecordError(field, f"{value!r} is not a time; give an aware datetime or ISO 8601 with an offset")
    if value.tzinfo is None or value.utcoffset() is None:
        raise RecordError(field, f"{value!s} has no time zone; add one, such as datetime(..., tzinfo=UTC) or …Z")
    delta = value - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * SECOND + delta.microseconds


def to_iso(at: int) -> str:
    """Return an instant as ISO 8601 in UTC, with microseconds only where there are any.

    Raises:
        ValueError: An instant after the year 9999, such as FOREVER.
    """
    whole, micros = divmod(at, SECOND)
    moment = datetime.fromtimestamp(whole, UTC).replace(microsecond=micros)
    return moment.isoformat().replace("+00:00", "Z")


def _parse(text: str, field: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise RecordError(
            field, f"{text!r} is not a time; give ISO 8601 with an offset, such as 2026-03-01T09:30:00Z"
        ) from None
