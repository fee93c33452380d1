"""The trend: new PQLs and PQAs a week, with what was published and released when (R81).

What changed after a publication or a release is told beside it. It is an association: other things happened too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import msgspec

from nudge_sdk.insights.statistics.poisson import RateRatio, rate_ratio
from nudge_sdk.rules.times import DAY, day_of, to_iso

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from nudge_sdk.insights.tables import Tables
    from nudge_sdk.store.protocol import Store

WEEKS = 26
COMPARED_WEEKS = 4
"""How many whole weeks before a marker, and after it, are compared."""

SEEN_DAYS = 28

_WEEK = 7 * DAY
_SINCE_MONDAY = 3
"""Days from the Monday before 1970-01-01, a Thursday."""

Volume = Literal["pqls", "pqas"]


class Week(msgspec.Struct, frozen=True, kw_only=True):
    """A week, Monday to Sunday in UTC; every member and account counts in the week of their first time only.

    Attributes:
        begins_at: Its first instant, in microseconds.
        is_over: Whether it is; the running one is not comparable yet.
        sign_ups: New members.
        pqls: Members who became warm or hot for the first time.
        pqas: Accounts that became hot for the first time.
        won: Accounts that met the first goal for the first time.
    """

    begins_at: int
    is_over: bool
    sign_ups: int = 0
    pqls: int = 0
    pqas: int = 0
    won: int = 0


class Marker(msgspec.Struct, frozen=True, kw_only=True):
    """Something that may have changed the volume.

    Attributes:
        at: When, in microseconds; of a release when its first event happened.
        name: Number of the definition, or the release.
        note: What was said of it.
    """

    at: int
    kind: Literal["publication", "release"]
    name: str
    note: str = ""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """The volume in whole weeks before a marker and after it; association, since nothing was held back.

    Attributes:
        weeks_before, weeks_after: How many whole weeks each side has, at most ``COMPARED_WEEKS``; the marker's own
            week is in neither.
        before, after: How many there were in those.
        ratio: After by before, both a week; None where there were none before, or a side has no week.
        others: Names of other markers within those weeks, which may be the cause as well.
    """

    marker: Marker
    volume: Volume
    weeks_before: int
    weeks_after: int
    before: int
    after: int
    ratio: RateRatio | None
    others: tuple[str, ...] = ()


class Trend(msgspec.Struct, frozen=True, kw_only=True):
    """The volume by week, oldest first.

    Attributes:
        at: The instant it was made for, in microseconds.
        segment, source: Whom it counts; empty for everybody.
        weeks: The running one is last.
        markers: Within those weeks, by time.
        changes: For each marker, of PQLs and of PQAs.
    """

    at: int
    segment: str
    source: str
    weeks: tuple[Week, ...]
    markers: tuple[Marker, ...]
    changes: tuple[Change, ...]


def trend(
    tables: Tables,
    *,
    now: int,
    weeks: int = WEEKS,
    markers: Sequence[Marker] = (),
    segment: str = "",
    source: str = "",
) -> Trend:
    """Return new PQLs and PQAs by week.

    Args:
        tables: What to read.
        now: The instant; its week is the last.
        weeks: How many.
        markers: What was published and released, see ``publications`` and ``releases``.
        segment: Key of the only segment to count; empty for all.
        source: The only source to count; empty for all.
    """
    last = _week_of(now)
    counts = _counts(tables, last - weeks + 1, last, segment, source)
    found = tuple(
        Week(begins_at=_begin(week), is_over=week < last, **{name: of.get(week, 0) for name, of in counts.items()})
        for week in range(last - weeks + 1, last + 1)
    )
    shown = tuple(sorted((each for each in markers if found[0].begins_at <= each.at <= now), key=lambda each: each.at))
    return Trend(at=now, segment=segment, source=source, weeks=found, markers=shown, changes=changes(found, shown))


def publications(store: Store) -> tuple[Marker, ...]:
    """Return what was published when."""
    return tuple(
        Marker(at=row.live_at or row.published_at, kind="publication", name=str(row.number), note=row.note)
        for row in store.definitions()
    )


def releases(tables: Tables, *, since: int) -> tuple[Marker, ...]:
    """Return which releases of the host appeared since an instant, by their first event.

    One that had an event in the ``SEEN_DAYS`` before that was there already.

    Args:
        tables: What to read.
        since: The instant.
    """
    return release_markers(first_events(tables, day_of(since) - SEEN_DAYS), since)


def first_events(tables: Tables, day: int) -> dict[str, int]:
    """Return the first event of each release, of those from a UTC day on: its instant by the release."""
    events = tables.events
    recent = events.filter((events.day >= day) & events.release.notnull() & (events.release != ""))
    rows = tables.rows(recent.group_by("release").aggregate(first=recent["at"].min()).select("release", "first"))
    return dict(rows)


def release_markers(first: Mapping[str, int], since: int) -> tuple[Marker, ...]:
    """Return the releases whose first event is not before an instant."""
    found = sorted((at, name) for name, at in first.items() if at >= since)
    return tuple(Marker(at=at, kind="release", name=name) for at, name in found)


def changes(weeks: Sequence[Week], markers: Sequence[Marker]) -> tuple[Change, ...]:
    """Return how the volume changed at each marker."""
    volumes: tuple[Volume, ...] = ("pqls", "pqas")
    return tuple(_change(weeks, markers, marker, volume) for marker in markers for volume in volumes)


def trend_words(found: Trend) -> list[str]:
    """Return a trend as lines for people."""
    lines = [f"{'week of':<12}{'sign-ups':>9}{'PQLs':>7}{'PQAs':>7}{'won':>7}"]
    at: dict[int, list[str]] = {}
    for marker in found.markers:
        at.setdefault(_week_of(marker.at), []).append(marker_words(marker))
    for week in found.weeks:
        said = [*at.get(_week_of(week.begins_at), []), *([] if week.is_over else ["not over yet"])]
        row = f"{day_text(week.begins_at):<12}{week.sign_ups:>9}{week.pqls:>7}{week.pqas:>7}{week.won:>7}"
        lines.append(f"{row}  {', '.join(said)}".rstrip())
    lines += [change_words(each) for each in found.changes]
    return lines


def change_words(change: Change) -> str:
    """Return how the volume changed at a marker, as a sentence."""
    what = {"pqls": "PQLs", "pqas": "PQAs"}[change.volume]
    start = f"{marker_words(change.marker).capitalize()}: {what} went"
    if change.ratio is None:
        return f"{start} from {change.before} to {change.after}: too few weeks, or too few of them, to compare."
    before, after, ratio = change.before / change.weeks_before, change.after / change.weeks_after, change.ratio
    moved = f"{start} from {before:.1f} to {after:.1f} a week, {signed(ratio.ratio)}"
    certain = f"({signed(ratio.low)} to {signed(ratio.high)})"
    also = f" In the same weeks: {', '.join(change.others)}." if change.others else ""
    return f"{moved} {certain}.{also}"


def marker_words(marker: Marker) -> str:
    """Return what a marker is, such as "definition 3" or "release 5.0"."""
    return f"{'definition' if marker.kind == 'publication' else 'release'} {marker.name}"


def signed(ratio: float) -> str:
    """Return by how much something changed, in percent with its sign."""
    return f"{ratio - 1:+.0%}".replace("-", "−")


def day_text(at: int) -> str:
    """Return the UTC day of an instant, as in 2026-03-01."""
    return to_iso(day_of(at) * DAY)[:10]


def _counts(tables: Tables, first: int, last: int, segment: str, source: str) -> dict[str, dict[int, int]]:
    journeys = tables.journeys
    if segment:
        journeys = journeys.filter(journeys.segment == segment)
    if source:
        journeys = journeys.filter(journeys.source == source)
    members, accounts = journeys.filter(journeys.user_id != ""), journeys.filter(journeys.user_id == "")
    asked = (
        ("sign_ups", members, "signed_up_at"),
        ("pqls", members, "qualified_at"),
        ("pqas", accounts, "hot_at"),
        ("won", accounts, "won_at"),
    )
    return {
        name: {first + week: number for week, number in tables.rows(_by_week(rows, column, first, last))}
        for name, rows, column in asked
    }


def _by_week(rows: ir.Table, column: str, first: int, last: int) -> ir.Table:
    """Return how many rows have an instant in each week, by the week's place after the first."""
    within = rows.filter((rows[column] >= _begin(first)) & (rows[column] < _begin(last + 1)))
    weeks = within.select(week=((within[column] - _begin(first)) / _WEEK).floor().cast("int64"))
    return weeks.group_by("week").aggregate(number=weeks.count()).select("week", "number")


def _change(weeks: Sequence[Week], markers: Sequence[Marker], marker: Marker, volume: Volume) -> Change:
    own = _week_of(marker.at)
    before = [each for each in weeks if own - COMPARED_WEEKS <= _week_of(each.begins_at) < own]
    after = [each for each in weeks if own < _week_of(each.begins_at) <= own + COMPARED_WEEKS and each.is_over]
    counts = [sum(getattr(each, volume) for each in side) for side in (before, after)]
    others = [
        marker_words(each) for each in markers if each != marker and abs(_week_of(each.at) - own) <= COMPARED_WEEKS
    ]
    return Change(
        marker=marker, volume=volume, weeks_before=len(before), weeks_after=len(after),
        before=counts[0], after=counts[1], ratio=rate_ratio(counts[1], len(after), counts[0], len(before)),
        others=tuple(others),
    )  # fmt: skip


def _week_of(at: int) -> int:
    return (day_of(at) + _SINCE_MONDAY) // 7


def _begin(week: int) -> int:
    return (week * 7 - _SINCE_MONDAY) * DAY
