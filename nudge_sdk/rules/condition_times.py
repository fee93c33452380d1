"""Instants, spans and local time, as conditions read them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from nudge_sdk.errors import RecordError
from nudge_sdk.rules.condition_terms import Facts, Hours
from nudge_sdk.rules.times import DAY, FOREVER, to_micros

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00")
MINUTES_A_DAY = 1440
_LONGEST_TIME = 40
_LONGEST_ZONE = 64


def never(_: object) -> bool:
    return False


def instant_of(value: object) -> int | None:
    return _parse_instant(value) if isinstance(value, str) and len(value) <= _LONGEST_TIME else None


@lru_cache(maxsize=4096)
def _parse_instant(text: str) -> int | None:
    try:
        return to_micros(text + "T00:00:00Z" if _DATE.fullmatch(text) else text)
    except RecordError:
        return None


def span_of(days: float) -> int:
    return round(min(max(0.0, days * DAY), FOREVER))


def compile_exposed(key: str, did: str | None) -> Callable[[Facts], Collection[int]]:
    wanted, tag = "seen" if did is None or did == "never" else did, key.removeprefix("tag:")
    if key == "*":
        return lambda facts: [at for (_, what), at in facts.exposures.items() if what == wanted]
    if key != tag:
        return lambda facts: [
            at for (nudge, what), at in facts.exposures.items() if what == wanted and tag in facts.tags.get(nudge, ())
        ]
    exactly = (key, wanted)
    return lambda facts: () if (at := facts.exposures.get(exactly)) is None else (at,)


def compile_clock(hours: Hours) -> Callable[[int], bool]:
    start, end = minutes_of(hours.from_), minutes_of(hours.to)
    if start is None or end is None or start == end:
        return never
    days = frozenset(day - 1 for day in hours.weekdays or range(1, 8))
    if start < end:
        return lambda local: start <= local % MINUTES_A_DAY < end and local // MINUTES_A_DAY in days

    def over_midnight(local: int) -> bool:
        day, minute = divmod(local, MINUTES_A_DAY)
        return day in days if minute >= start else minute < end and (day - 1) % 7 in days

    return over_midnight


def minutes_of(text: str) -> int | None:
    if _CLOCK.fullmatch(text) is None:
        return None
    return int(text[:2]) * 60 + int(text[3:])


def zone_name(facts: Facts) -> str:
    name = facts.traits.get("timezone")
    return name if isinstance(name, str) and len(name) <= _LONGEST_ZONE else "UTC"


@lru_cache(maxsize=1024)
def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return UTC


@lru_cache(maxsize=8192)
def local_minute(zone: str, minute: int) -> int:
    """Return the minute of the local week (0 = Monday 00:00) at a minute since the epoch."""
    local = (_EPOCH + timedelta(minutes=minute)).astimezone(_zone(zone))
    return local.weekday() * MINUTES_A_DAY + local.hour * 60 + local.minute
