"""What a report of the definition's accuracy holds."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Literal

import msgspec

from nudge_sdk.insights.benchmarks import Benchmark
from nudge_sdk.insights.statistics.comparisons import Difference
from nudge_sdk.insights.statistics.intervals import Rate
from nudge_sdk.insights.statistics.survival import Curve

Flag = Literal["pql", "pqa"]
"""What is judged: the first warm or hot standing of a member, or the first hot standing of an account."""

WINDOW_DAYS = 30.0
"""How long after it qualified a unit may convert, unless said otherwise."""

MOST_LISTED = 50
MOST_EVENTS = 10


class Band(StrEnum):
    """Where the share of PQLs that convert lies, as far as its interval decides."""

    WELL = "well calibrated"
    BETWEEN = "neither too loose nor well calibrated"
    LOOSE = "too loose"
    UNDECIDED = "not enough data"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What to judge, and by what.

    Attributes:
        unit: member or account; whoever meets the goal if None.
        flag: ``pql`` (first warm or hot) or ``pqa`` (the account's first hot).
        within_days: How long after it qualified a unit may convert; None for ever.
        at: As of when, in microseconds; the moment of the tables if None.
        best_customers: Ids of accounts or users that stand for conversion instead of the goal (R23); None for none.
        scored: Names of events that milestones count, see ``accuracy.scored_events``; those of the definition that the
            journeys were rolled up by if None.
        has_lists: Whether to name false positives and negatives.
        has_events: Whether to say what those did that no milestone counts: this reads all events.
        benchmarks: What to compare with; the defaults if empty.
    """

    unit: Literal["member", "account"] | None = None
    flag: Flag = "pql"
    within_days: float | None = WINDOW_DAYS
    at: int | None = None
    best_customers: Sequence[str] | None = None
    scored: frozenset[str] | None = None
    has_lists: bool = True
    has_events: bool = False
    benchmarks: tuple[Benchmark, ...] = ()


class EventCount(msgspec.Struct, frozen=True, kw_only=True):
    """How often somebody did something that no milestone counts."""

    name: str
    count: int


class Missed(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody whom the definition judged wrongly.

    Attributes:
        account_id, user_id: Who; the user is empty where the unit is the account.
        segment: Key of the segment.
        signed_up_at, qualified_at, won_at, last_at: Instants, or None.
        events: How many events they have.
        unscored: What they did most that no milestone counts: of a false negative before it converted, of a false
            positive since it signed up. Empty where it was not asked for.
    """

    account_id: str
    user_id: str
    segment: str
    signed_up_at: int | None
    qualified_at: int | None
    won_at: int | None
    last_at: int | None
    events: int
    unscored: tuple[EventCount, ...] = ()


class AccuracyRow(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of a report, as a line of a table."""

    figure: str
    count: int
    of: int | None = None
    share: float | None = None
    low: float | None = None
    high: float | None = None


class UnscoredEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event that no milestone counts, and who did it. An association, never a cause.

    Attributes:
        name: The event.
        missed: Share of the converters who never qualified before, that did it before they converted.
        others: Share of those who have not converted, that did it.
    """

    name: str
    missed: Rate
    others: Rate


class GoalShare(msgspec.Struct, frozen=True, kw_only=True):
    """How many of those who qualified met a goal afterwards, within the window.

    Attributes:
        goal: Its key.
        rate: Of those whose window is over and who had not met it before.
        median_days: Days until half of those who met it had, or None for nobody.
    """

    goal: str
    rate: Rate
    median_days: float | None


class AccuracyReport(msgspec.Struct, frozen=True, kw_only=True):
    """How well qualifying tells who converts.

    Attributes:
        unit: member or account.
        flag: What is judged.
        at: As of when, in microseconds.
        within_days: The window after qualifying, in days; None for none.
        positive: ``won``, or ``best customers`` where a list stands for conversion.
        true_positives: Converters that had qualified before, however long before.
        false_positives: Qualified, window over, and not converted at all.
        false_negatives: Converters that had not qualified before.
        true_negatives: Neither qualified nor converted. With ``waiting``, these five are everybody.
        waiting: Qualified, not converted, and the window is not over: not yet observed, in no share.
        already_won: Of the false negatives, how many qualified at or after they converted.
        late: Of the true positives, how many converted after the window; they are none for ``precision``.
        precision: Share of those who qualified (window over) that converted within it: PQL to paid.
        recall: Share of converters that had qualified before.
        band: Where ``precision`` lies by the bands of the benchmarks (R64).
        others: Conversion within the window after sign-up of those who have not qualified.
        against_others: The precision compared with that.
        times_others: precision / others, or None.
        is_alarming: Whether PQLs are shown not to convert better than others (R68), or None where the data do not say.
        time_to_conversion: Share converted by days since qualifying; those not converted are censored at ``at``.
        goals: The same of every goal of which something is stored (R79).
        missed_positives: The latest false positives, at most ``MOST_LISTED``.
        missed_negatives: The latest false negatives.
        unscored: Events that no milestone counts, those most common among false negatives first.
        benchmarks: What it is compared with.
        unknown_ids: Ids of the list of best customers that are nobody's, at most ``MOST_LISTED``.
        notes: What has to be known to read it.
    """

    unit: Literal["member", "account"]
    flag: Flag
    at: int
    within_days: float | None
    positive: str
    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int
    waiting: int
    already_won: int
    late: int
    precision: Rate
    recall: Rate
    band: Band
    others: Rate
    against_others: Difference
    times_others: float | None
    is_alarming: bool | None
    time_to_conversion: Curve
    goals: tuple[GoalShare, ...] = ()
    missed_positives: tuple[Missed, ...] = ()
    missed_negatives: tuple[Missed, ...] = ()
    unscored: tuple[UnscoredEvent, ...] = ()
    benchmarks: tuple[Benchmark, ...] = ()
    unknown_ids: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
