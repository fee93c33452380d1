"""What people did that no milestone counts: where to look for milestones that are missing."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nudge_sdk.insights.accuracy_reports import MOST_EVENTS, EventCount, Missed, UnscoredEvent
from nudge_sdk.insights.judging import KEYS, Judged, Judging
from nudge_sdk.insights.statistics.intervals import rate

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from nudge_sdk.insights.tables import Tables

_MOST_OF_ONE = 5


def unscored_events(
    tables: Tables, everybody: Judged, judging: Judging, scored: frozenset[str]
) -> tuple[UnscoredEvent, ...]:
    """Return events that no milestone counts, those most common among false negatives first.

    Args:
        tables: What to read.
        everybody: Judged journeys.
        judging: By what.
        scored: Names of events that milestones count.
    """
    import ibis

    keys = KEYS[judging.unit]
    judged, is_missed = everybody.table, everybody.is_false_negative
    of = judged.aggregate(missed=is_missed.sum(), others=(~everybody.is_positive).sum())
    missed, others = (number or 0 for number in tables.rows(of)[0])
    if not missed:
        return ()
    done = _unscored(tables, judging, scored).group_by(*keys, "name").aggregate(first=ibis._.at.min())
    units = judged.filter(is_missed | ~everybody.is_positive).select(*keys, "positive_at")
    both = done.join(units, keys)
    counts = both.group_by("name").aggregate(
        missed=(both["first"] < both.positive_at).fill_null(False).sum(), others=both.positive_at.isnull().sum()
    )
    # Sorted here: databases sort names by the language they were made with.
    found = sorted(tables.rows(counts.filter(counts.missed > 0)), key=lambda row: (-row[1], row[0]))
    return tuple(
        UnscoredEvent(name=name, missed=rate(did, missed), others=rate(did_too, others))
        for name, did, did_too in found[:MOST_EVENTS]
    )


def events_of_listed(
    tables: Tables, missed: tuple[Missed, ...], judging: Judging, scored: frozenset[str]
) -> tuple[Missed, ...]:
    """Return those listed with what they did most that no milestone counts, before they converted if they did."""
    import ibis

    if not missed:
        return ()
    keys = KEYS[judging.unit]
    accounts = sorted({each.account_id for each in missed})
    journeys = tables.journeys
    mine = journeys.filter(journeys.account_id.isin(accounts))
    mine = mine.filter(mine.user_id != "" if judging.unit == "member" else mine.user_id == "")
    done = _unscored(tables, judging, scored)
    done = done.filter(done.account_id.isin(accounts)).join(mine.select(*keys, "won_at"), keys)
    before = done.filter((done.at < done.won_at).fill_null(True))
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for *key, name, count in tables.rows(before.group_by(*keys, "name").aggregate(count=ibis._.count())):
        counts[key[0], key[1] if len(key) > 1 else ""][name] = count
    return tuple(replace(each, unscored=_most(counts[each.account_id, each.user_id])) for each in missed)


def _most(counts: Counter[str]) -> tuple[EventCount, ...]:
    first = sorted(counts.items(), key=lambda each: (-each[1], each[0]))[:_MOST_OF_ONE]
    return tuple(EventCount(name=name, count=count) for name, count in first)


def _unscored(tables: Tables, judging: Judging, scored: frozenset[str]) -> ir.Table:
    events = tables.events
    events = events.filter(events.at <= judging.at)
    if judging.unit == "member":
        events = events.filter(events.user_id != "")
    return events.filter(events.name.notin(sorted(scored))) if scored else events
