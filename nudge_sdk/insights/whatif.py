"""What-if: how many would have qualified, how well they would have been chosen, with other points, gates or thresholds.

It works on peaks (``insights.peaks``), which are replayed once: any threshold is then a matter of comparing numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from nudge_sdk.insights.peaks import Climb, Climbs, Peak
from nudge_sdk.insights.statistics.intervals import Rate, rate
from nudge_sdk.rules.authoring import fingerprint
from nudge_sdk.rules.compiled import Rules, in_thousandths
from nudge_sdk.rules.definition import Definition, Entry, Segment, Subject, Thresholds, Tier
from nudge_sdk.rules.times import DAY, to_iso

if TYPE_CHECKING:
    import numpy as np

    Numbers = np.ndarray[Any, Any]

WEEK = 7 * DAY
MONDAY = 4 * DAY
"""1970-01-05, the first Monday: weeks begin on Mondays, UTC."""

OUTCOME_DAYS = 30
"""Within how many days after qualifying a conversion counts, unless said otherwise."""

WEEKS_SHOWN = 26
WEEKS_COUNTED = 12
MOST_NAMED = 50
MOST_STEPS = 60
_NEVER = -1
_UNREACHABLE = (1 << 62) - 1

Where = tuple[str, Subject, Tier]
"""(key of the segment, whose threshold, of which tier)."""


class Volume(msgspec.Struct, frozen=True, kw_only=True):
    """How many qualify in one week for the first time.

    Attributes:
        week: Its Monday, UTC, in microseconds.
        before, after: How many, by the one definition and by the other.
    """

    week: int
    before: int
    after: int


class Qualified(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who qualifies by one definition and not by the other.

    Attributes:
        user_id: Empty for an account.
        at: When, in microseconds.
        score: The score then, in thousandths of a point.
        won_at: When the goal was met, or None.
    """

    account_id: str
    user_id: str
    at: int
    score: int
    won_at: int | None


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """How well a definition chooses.

    Attributes:
        qualified: How many ever qualified.
        per_week: How many a week, over the last ``WEEKS_COUNTED`` whole weeks with history.
        precision: Of those who qualified before they converted and whose window is over: how many converted in it.
        recall: Of those who converted: how many had qualified before.
    """

    qualified: int
    per_week: float
    precision: Rate
    recall: Rate


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Two definitions over the same history: PQLs (warm or hot members), or PQAs (hot accounts).

    Attributes:
        capacity: How many a week sales can take, over all segments; None where no segment says.
        weeks: The last ``WEEKS_SHOWN`` weeks, oldest first.
        entering, leaving: How many qualify only by the second, only by the first.
        first_entering, first_leaving: The latest ``MOST_NAMED`` of them.
    """

    subject: Subject
    before: Choice
    after: Choice
    capacity: int | None
    weeks: tuple[Volume, ...]
    entering: int
    leaving: int
    first_entering: tuple[Qualified, ...]
    first_leaving: tuple[Qualified, ...]


class WhatIf(msgspec.Struct, frozen=True, kw_only=True):
    """What would have been different.

    Attributes:
        until: Up to when the history was read.
        days: Within how many days a conversion counts.
        share: Of which share of accounts this is told; numbers a week are already those of all.
        members, accounts: The comparison of each.
    """

    until: int
    days: int
    share: float
    members: Comparison
    accounts: Comparison


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What one threshold would come to.

    Attributes:
        threshold: In points.
        per_week: How many qualify a week for the first time, as in ``Choice``.
        precision, recall: As in ``Choice``, of those who qualify by this threshold.
    """

    threshold: float
    per_week: float
    precision: Rate
    recall: Rate


class ThresholdCurve(msgspec.Struct, frozen=True, kw_only=True):
    """What each threshold would come to; all other rules stay as they are.

    Attributes:
        threshold: The one in the definition, in points; None where nobody enters this tier.
        capacity: How many a week sales can take; only of hot accounts.
        steps: By threshold, lowest first.
        proposal: The lowest threshold that keeps the number a week within capacity; None without a capacity, or where
            none does.
    """

    segment: str
    subject: Subject
    tier: Tier
    threshold: float | None
    capacity: int | None
    days: int
    until: int
    share: float
    steps: tuple[Step, ...]
    proposal: float | None


def walk_key(definition: Definition) -> str:
    """Return what tells definitions apart that need a replay of their own.

    Those that differ in thresholds, copy and the like alone have the same peaks.
    """
    segments = tuple(
        replace(
            each,
            name="",
            notes="",
            member=_without_scores(each.member),
            account=_without_scores(each.account),
            hold_days=0,
            capacity_per_week=None,
        )
        for each in definition.segments
    )
    mine = Definition(
        milestones=definition.milestones, groups=definition.groups, goals=definition.goals, segments=segments
    )
    return fingerprint(mine)


class PeakColumns:
    """The peaks as columns, so that a threshold is compared with all of them at once.

    Args:
        climbs: The peaks.

    Raises:
        SetupError: The extra ``insights`` is not installed.
    """

    def __init__(self, climbs: Climbs) -> None:
        self.climbs = climbs

    @cached_property
    def members(self) -> Columns:
        """Those of members."""
        return Columns([each for each in self.climbs.climbs if each.user_id])

    @cached_property
    def accounts(self) -> Columns:
        """Those of accounts, with their first conversion."""
        return Columns([each for each in self.climbs.climbs if not each.user_id])

    def of(self, subject: Subject) -> Columns:
        """Return those of members, or of accounts."""
        return self.members if subject == "member" else self.accounts


class Columns:
    """The peaks of several subjects, a number each, by subject and then time."""

    def __init__(self, climbs: Sequence[Climb]) -> None:
        import numpy as np

        self.climbs = climbs
        self.segments = {key: index for index, key in enumerate(sorted(_segments_of(climbs)))}
        self.segment = np.array([self.segments[each.segment] for each in climbs], np.int64)
        self.won_at = np.array([_NEVER if each.won_at is None else each.won_at for each in climbs], np.int64)
        self.tiers: dict[Tier, tuple[Numbers, Numbers, Numbers, Numbers]] = {
            "warm": self._columns([each.warm for each in climbs]),
            "hot": self._columns([each.hot for each in climbs]),
        }

    def _columns(self, peaks: Sequence[Sequence[Peak]]) -> tuple[Numbers, Numbers, Numbers, Numbers]:
        import numpy as np

        flat = [(owner, each) for owner, mine in enumerate(peaks) for each in mine]
        return (
            np.array([owner for owner, _ in flat], np.int64),
            np.array([each.at for _, each in flat], np.int64),
            np.array([each.score for _, each in flat], np.int64),
            np.array([self.segments[each.segment] for _, each in flat], np.int64),
        )

    def entered_at(self, tier: Tier, thresholds: Mapping[str, int]) -> Numbers:
        """Return when each first entered a tier, or -1.

        Args:
            tier: Which.
            thresholds: Of each segment, in thousandths of a point; a segment that is not named lets nobody in.
        """
        import numpy as np

        owner, at, score, segment = self.tiers[tier]
        least = np.array([thresholds.get(key, _UNREACHABLE) for key in self.segments] or [0], np.int64)
        found = np.flatnonzero(score >= least[segment]) if len(score) else np.array([], np.int64)
        first = np.full(len(self.climbs), _NEVER, np.int64)
        # The last that is written stays: from the latest to the earliest.
        first[owner[found[::-1]]] = at[found[::-1]]
        return first


def what_if(before: PeakColumns, after: PeakColumns, rules: tuple[Rules, Rules], *, days: int = OUTCOME_DAYS) -> WhatIf:
    """Compare two definitions over the same history.

    Args:
        before: The peaks by the first definition.
        after: Those by the second, of the same accounts up to the same instant.
        rules: Both definitions.
        days: Within how many days after qualifying a conversion counts.
    """
    until, share = after.climbs.until, after.climbs.share
    return WhatIf(
        until=until,
        days=days,
        share=share,
        members=_comparison("member", before, after, rules, days),
        accounts=_comparison("account", before, after, rules, days),
    )


def threshold_curve(peaks: PeakColumns, rules: Rules, where: Where, *, days: int = OUTCOME_DAYS) -> ThresholdCurve:
    """Return what each threshold of one tier of one segment would come to.

    Args:
        peaks: The peaks by the definition.
        rules: The definition.
        where: Whose threshold.
        days: Within how many days after qualifying a conversion counts.
    """
    key, subject, tier = where
    segment = next(each.segment for each in rules.segments if each.segment.key == key)
    entry = _entry(segment, subject, tier)
    capacity = segment.capacity_per_week if (subject, tier) == ("account", "hot") else None
    columns = peaks.of(subject)
    steps = tuple(
        _step(peaks, columns, where, each, days) for each in _candidates(columns, where, entry.score if entry else 0)
    )
    return ThresholdCurve(
        segment=key,
        subject=subject,
        tier=tier,
        threshold=None if entry is None else entry.score,
        capacity=capacity,
        days=days,
        until=peaks.climbs.until,
        share=peaks.climbs.share,
        steps=steps,
        proposal=_proposal(steps, capacity),
    )


def _proposal(steps: Sequence[Step], capacity: int | None) -> float | None:
    if capacity is None:
        return None
    return next((each.threshold for each in steps if each.per_week <= capacity), None)


def _step(peaks: PeakColumns, columns: Columns, where: Where, threshold: float, days: int) -> Step:
    key, _, tier = where
    entered = columns.entered_at(tier, {key: in_thousandths(threshold)})
    choice = _choice(peaks.climbs, columns, entered, days, of_segment=key)
    return Step(threshold=threshold, per_week=choice.per_week, precision=choice.precision, recall=choice.recall)


def _candidates(columns: Columns, where: Where, present: float) -> list[float]:
    """Return the thresholds to try: whole points up to the highest score, and the present one."""
    import numpy as np

    key, _, tier = where
    _, _, score, segment = columns.tiers[tier]
    mine = score[segment == columns.segments.get(key, -1)]
    highest = int(np.ceil(mine.max() / 1000)) if len(mine) else 0
    width = max(1, -(-highest // MOST_STEPS))
    return sorted({*(float(each) for each in range(width, highest + width + 1, width)), present} - {0.0})


def _comparison(
    subject: Subject, before: PeakColumns, after: PeakColumns, rules: tuple[Rules, Rules], days: int
) -> Comparison:
    import numpy as np

    sides = [
        (peaks, peaks.of(subject), _qualified_at(peaks.of(subject), each.definition, subject))
        for peaks, each in zip((before, after), rules, strict=True)
    ]
    choices = [_choice(peaks.climbs, columns, entered, days) for peaks, columns, entered in sides]
    (_, first, old), (_, second, new) = sides
    # The same accounts in the same order: both follow the same records.
    comes, goes = np.flatnonzero((new >= 0) & (old < 0)), np.flatnonzero((old >= 0) & (new < 0))
    capacities = [each.capacity_per_week for each in rules[1].definition.segments if each.capacity_per_week]
    return Comparison(
        subject=subject,
        before=choices[0],
        after=choices[1],
        capacity=sum(capacities) if capacities and subject == "account" else None,
        weeks=_weeks(after.climbs, old, new),
        entering=len(comes),
        leaving=len(goes),
        first_entering=_named(second, new, comes),
        first_leaving=_named(first, old, goes),
    )


def _qualified_at(columns: Columns, definition: Definition, subject: Subject) -> Numbers:
    """Return when each first qualified, or -1: a member that is warm or hot, an account that is hot."""
    import numpy as np

    hot = columns.entered_at("hot", _thresholds(definition, subject, "hot"))
    if subject == "account":
        return hot
    warm = columns.entered_at("warm", _thresholds(definition, subject, "warm"))
    return np.where(hot < 0, warm, np.where(warm < 0, hot, np.minimum(warm, hot)))


def _thresholds(definition: Definition, subject: Subject, tier: Tier) -> dict[str, int]:
    entries = {each.key: _entry(each, subject, tier) for each in definition.segments}
    return {key: in_thousandths(entry.score) for key, entry in entries.items() if entry}


def _choice(climbs: Climbs, columns: Columns, entered: Numbers, days: int, of_segment: str | None = None) -> Choice:
    won, until = columns.won_at, climbs.until
    mine = columns.segment == columns.segments.get(of_segment, -1) if of_segment is not None else columns.segment >= 0
    is_in, is_won = (entered >= 0) & mine, (won >= 0) & mine
    is_judged = is_in & (entered + days * DAY <= until) & ((won < 0) | (won >= entered))
    is_right = is_judged & is_won & (won <= entered + days * DAY)
    is_caught = is_won & is_in & (entered <= won)
    return Choice(
        qualified=int(is_in.sum()),
        per_week=_per_week(climbs, entered[is_in]),
        precision=rate(int(is_right.sum()), int(is_judged.sum())),
        recall=rate(int(is_caught.sum()), int(is_won.sum())),
    )


def _per_week(climbs: Climbs, entered: Numbers) -> float:
    """Return how many a week over the last whole weeks, of all accounts."""
    end = _monday(climbs.until)
    weeks = max(1, min(WEEKS_COUNTED, (end - _monday(climbs.first_at)) // WEEK))
    counted = int(((entered >= end - weeks * WEEK) & (entered < end)).sum())
    return counted / weeks / climbs.share


def _weeks(climbs: Climbs, before: Numbers, after: Numbers) -> tuple[Volume, ...]:
    last = _monday(climbs.until)
    first = max(_monday(climbs.first_at), last - (WEEKS_SHOWN - 1) * WEEK)

    def within(entered: Numbers, week: int) -> int:
        return round(int(((entered >= week) & (entered < week + WEEK)).sum()) / climbs.share)

    return tuple(
        Volume(week=week, before=within(before, week), after=within(after, week))
        for week in range(first, last + 1, WEEK)
    )


def _monday(at: int) -> int:
    return (at - MONDAY) // WEEK * WEEK + MONDAY


def _named(columns: Columns, entered: Numbers, found: Numbers) -> tuple[Qualified, ...]:
    latest = sorted((int(each) for each in found), key=lambda index: -int(entered[index]))[:MOST_NAMED]
    return tuple(_one(columns.climbs[index], int(entered[index])) for index in latest)


def _one(climb: Climb, at: int) -> Qualified:
    score = max((each.score for each in (*climb.warm, *climb.hot) if each.at <= at), default=0)
    return Qualified(account_id=climb.account_id, user_id=climb.user_id, at=at, score=score, won_at=climb.won_at)


def _segments_of(climbs: Sequence[Climb]) -> set[str]:
    of_peaks = {each.segment for climb in climbs for peaks in (climb.warm, climb.hot) for each in peaks}
    return of_peaks | {climb.segment for climb in climbs}


def _entry(segment: Segment, subject: Subject, tier: Tier) -> Entry | None:
    thresholds = segment.member if subject == "member" else segment.account
    return thresholds.warm if tier == "warm" else thresholds.hot


def _without_scores(thresholds: Thresholds) -> Thresholds:
    warm, hot = (each and replace(each, score=0) for each in (thresholds.warm, thresholds.hot))
    return Thresholds(warm=warm, hot=hot)


def what_if_words(found: WhatIf) -> list[str]:
    """Return what would have been different, in lines for people."""
    told = "" if found.share == 1 else f" (told from {found.share:.1%} of all accounts; numbers a week are of all)"
    lines = [f"Replayed up to {to_iso(found.until)}{told}. A conversion counts within {found.days} days."]
    for name, each in (("PQLs (members)", found.members), ("PQAs (accounts)", found.accounts)):
        capacity = f"; sales can take {each.capacity}" if each.capacity is not None else ""
        lines += [
            f"{name}: {each.before.per_week:.1f} a week before, {each.after.per_week:.1f} after{capacity}",
            f"  {each.entering} would newly qualify, {each.leaving} would no longer qualify",
            f"  precision {_rate_words(each.before.precision)} before, {_rate_words(each.after.precision)} after",
            f"  recall {_rate_words(each.before.recall)} before, {_rate_words(each.after.recall)} after",
        ]
    return lines


def curve_words(curve: ThresholdCurve) -> list[str]:
    """Return what each threshold would come to, in lines for people."""
    lines = [
        f"{'>' if each.threshold == curve.threshold else ' '} {each.threshold:g} points: {each.per_week:.1f} a week, "
        f"precision {_rate_words(each.precision)}, recall {_rate_words(each.recall)}"
        for each in curve.steps
    ]
    if curve.proposal is not None:
        lines.append(
            f"{curve.proposal:g} is the lowest threshold within the {curve.capacity} a week that sales can take"
        )
    return lines


def _rate_words(found: Rate) -> str:
    if found.share is None:
        return "of nobody yet"
    return f"{found.share:.0%} ({found.low:.0%} to {found.high:.0%}, {found.count} of {found.of})"
