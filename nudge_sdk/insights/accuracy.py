"""Accuracy: does qualifying tell who converts?

All counts come from the journeys in a few queries; only what people did that no milestone counts reads the events.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from nudge_sdk.errors import SetupError
from nudge_sdk.insights.accuracy_events import events_of_listed, unscored_events
from nudge_sdk.insights.accuracy_lists import listed
from nudge_sdk.insights.accuracy_reports import MOST_LISTED, AccuracyReport, Asked, Band
from nudge_sdk.insights.accuracy_words import accuracy_rows, accuracy_words
from nudge_sdk.insights.benchmarks import DEFAULTS, LOOSE, WELL, Benchmark
from nudge_sdk.insights.judging import Judged, Judging, positives_of
from nudge_sdk.insights.qualified import goal_shares, time_to_conversion
from nudge_sdk.insights.scored import scored_events
from nudge_sdk.insights.statistics.comparisons import Difference, compare
from nudge_sdk.insights.statistics.intervals import Rate, rate

if TYPE_CHECKING:
    from nudge_sdk.insights.tables import Tables

__all__ = ["Asked", "accuracy", "accuracy_rows", "accuracy_words", "scored_events"]


class _Counts(NamedTuple):
    """How many there are of each kind; see ``judging.Judged.counts``."""

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int
    waiting: int
    already: int
    late: int
    counted: int
    converted: int
    other: int
    other_converted: int


def accuracy(tables: Tables, asked: Asked) -> AccuracyReport:
    """Return how well qualifying tells who converts.

    Args:
        tables: What to read.
        asked: What to judge, and by what.

    Raises:
        SetupError: Something asked for cannot be.
    """
    judging = _judging(tables, asked)
    everybody = Judged(tables, judging)
    counts = _count(tables, everybody)
    precision = rate(counts.converted, counts.counted)
    others = rate(counts.other_converted, counts.other)
    against = compare((others.count, others.of), (precision.count, precision.of))
    benchmarks = asked.benchmarks or DEFAULTS
    scored = frozenset(tables.details.get("scored", ())) if asked.scored is None else asked.scored
    lists = _lists(tables, everybody, judging, (asked.has_lists, asked.has_events, scored))
    return AccuracyReport(
        unit=judging.unit,
        flag=asked.flag,
        at=judging.at,
        within_days=asked.within_days,
        positive="best customers" if judging.positives is not None else "won",
        true_positives=counts.true_positive,
        false_positives=counts.false_positive,
        false_negatives=counts.false_negative,
        true_negatives=counts.true_negative,
        waiting=counts.waiting,
        already_won=counts.already,
        late=counts.late,
        precision=precision,
        recall=rate(counts.true_positive, counts.true_positive + counts.false_negative),
        band=band_of(precision, benchmarks),
        others=others,
        against_others=against,
        times_others=precision.share / others.share if precision.share is not None and others.share else None,
        is_alarming=_is_alarming(against),
        time_to_conversion=time_to_conversion(tables, everybody, judging),
        goals=goal_shares(tables, everybody, judging),
        benchmarks=benchmarks,
        unknown_ids=judging.positives.unknown[:MOST_LISTED] if judging.positives else (),
        notes=tuple(_notes(judging, asked)),
        **lists,
    )


def band_of(precision: Rate, benchmarks: tuple[Benchmark, ...]) -> Band:
    """Return in which band a share lies, where its whole interval lies in one (R64).

    Args:
        precision: The share of PQLs that convert.
        benchmarks: Of which ``WELL`` and ``LOOSE`` say where the bands end.
    """
    ends = {each.key: each for each in benchmarks}
    well = ends[WELL].low if WELL in ends else None
    loose = ends[LOOSE].high if LOOSE in ends else None
    if precision.share is None:
        return Band.UNDECIDED
    if well is not None and precision.low > well:
        return Band.WELL
    if loose is not None and precision.high < loose:
        return Band.LOOSE
    if well is not None and loose is not None and loose <= precision.low and precision.high <= well:
        return Band.BETWEEN
    return Band.UNDECIDED


def _judging(tables: Tables, asked: Asked) -> Judging:
    unit = asked.unit or ("member" if tables.details.get("goal_unit") == "member" else "account")
    if asked.within_days is not None and not 0 < asked.within_days <= 36_500:
        raise SetupError(f"a window of {asked.within_days:g} days cannot be; say more than 0 and at most 36500")
    return Judging(
        unit=unit,
        flag=asked.flag,
        at=tables.as_of if asked.at is None else asked.at,
        within_days=asked.within_days,
        positives=None if asked.best_customers is None else positives_of(tables, asked.best_customers, unit),
    )


def _count(tables: Tables, everybody: Judged) -> _Counts:
    sums = everybody.table.aggregate(**{name: each.sum() for name, each in everybody.counts().items()})
    return _Counts(*(number or 0 for number in tables.rows(sums)[0]))


def _is_alarming(against: Difference) -> bool | None:
    """Return whether PQLs are shown to convert no better than others; None where the interval holds both."""
    if against.difference is None:
        return None
    if against.low > 0:
        return False
    return True if against.high <= 0 else None


def _lists(
    tables: Tables, everybody: Judged, judging: Judging, wanted: tuple[bool, bool, frozenset[str]]
) -> dict[str, Any]:
    has_lists, has_events, scored = wanted
    if not has_lists:
        return {}
    positives = listed(tables, everybody.table.filter(everybody.is_false_positive), "flagged_at")
    negatives = listed(tables, everybody.table.filter(everybody.is_false_negative), "positive_at")
    if not has_events:
        return {"missed_positives": positives, "missed_negatives": negatives}
    found = events_of_listed(tables, (*positives, *negatives), judging, scored)
    return {
        "missed_positives": found[: len(positives)],
        "missed_negatives": found[len(positives) :],
        "unscored": unscored_events(tables, everybody, judging, scored),
    }


def _notes(judging: Judging, asked: Asked) -> list[str]:
    whose = "Accounts" if judging.unit == "account" else "Members"
    flagged = {
        ("pql", "account"): "An account qualifies with its first warm or hot member (PQL).",
        ("pql", "member"): "A member qualifies with the first warm or hot standing (PQL).",
        ("pqa", "account"): "An account qualifies with its first hot standing (PQA).",
        ("pqa", "member"): "A member qualifies with the first hot standing of the account (PQA).",
    }[asked.flag, judging.unit]
    notes = [f"{whose} are counted. {flagged} Whoever qualified only at the instant of converting had not before."]
    if judging.positives is not None:
        return [
            *notes,
            "A list of best customers stands for conversion; it says nothing of when, so no window applies.",
        ]
    if asked.within_days is None:
        notes.append("There is no window: those who qualified later have had less time.")
    else:
        notes.append(
            f"PQL to paid counts conversions within {asked.within_days:g} days of qualifying, the others' those within "
            "as many days of sign-up; those whose window is not over are left out of both."
        )
    return [*notes, "Nobody was chosen at random to qualify: what differs between PQLs and others is an association."]
