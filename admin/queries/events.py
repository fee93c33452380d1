"""Reads of events and of tiers that the editors show beside their forms; each is one bounded query."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import func, select

from nudge_sdk.rules.times import DAY
from nudge_sdk.store.rows import KINDS
from nudge_sdk.store.schema import Account, Event, Member

from .database import db

DAYS_BACK = 30
MOST_EVENTS = 50_000
_TRACKED = KINDS.index("track") + 1


class SeenEvents(NamedTuple):
    """The names of events that were really seen.

    Attributes:
        counts: Name to how often, the commonest first.
        is_whole: Whether these are all of the last days; else only the latest events were looked at.
    """

    counts: dict[str, int]
    is_whole: bool


def seen_events(now: int, *, days: int = DAYS_BACK, most: int = MOST_EVENTS) -> SeenEvents:
    """Return which events were seen in the last days, and how often.

    Args:
        now: The instant.
        days: How many UTC days back, today included.
        most: How many events are looked at, the latest days first; the table is ordered by day.
    """
    latest = (
        select(Event.name, Event.kind)
        .where(Event.day > now // DAY - days, Event.day <= now // DAY)
        .order_by(Event.day.desc(), Event.account_id.desc())
        .limit(most)
        .subquery()
    )
    query = select(latest.c.name, latest.c.kind, func.count()).group_by(latest.c.name, latest.c.kind)
    rows = db.session.execute(query).all()
    counted = sorted((-count, name) for name, kind, count in rows if kind == _TRACKED)
    return SeenEvents({name: -count for count, name in counted}, sum(count for *_, count in rows) < most)


def tiers_by_segment(*, members: bool) -> dict[str, dict[str, int]]:
    """Return how many members, or accounts, there are in each segment by tier; those never judged are left out."""
    table = Member if members else Account
    query = (
        select(table.segment, table.tier, func.count())
        .where(table.definition.is_not(None))
        .group_by(table.segment, table.tier)
    )
    found: dict[str, dict[str, int]] = {}
    for segment, tier, count in db.session.execute(query):
        found.setdefault(segment, {})[tier] = count
    return found
