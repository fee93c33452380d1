"""Ways into tiers: what each tier of a segment asks for, against what can be reached, as words and as a picture."""

from __future__ import annotations

from typing import NamedTuple

from nudge_sdk.rules.compiled import SubjectRules, in_thousandths
from nudge_sdk.rules.definition import Definition, Entry, Gate, Segment, Subject, Tier
from nudge_sdk.rules.lint_findings import counted, name_of
from nudge_sdk.rules.lint_ways import TierWays

MOST_WAYS = 12
WIDTH = 1000
"""Width of the picture, in its own units; the page stretches it."""

TIERS: tuple[Tier, ...] = ("warm", "hot")


class TierView(NamedTuple):
    """One tier for members or accounts.

    Attributes:
        tier: warm or hot.
        score: Points it takes, in thousandths.
        start, width: Where the tier lies in the picture.
        gates: What else it takes, in words.
        ways: The smallest sets of milestones that reach it, in words; at most ``MOST_WAYS``.
        more: How many more there are.
        is_reachable: Whether anybody can enter it.
    """

    tier: str
    score: int
    start: float
    width: float
    gates: tuple[str, ...]
    ways: tuple[str, ...]
    more: int
    is_reachable: bool


class SubjectView(NamedTuple):
    """The tiers for members or for accounts; ``highest`` is the most points there are, in thousandths."""

    subject: str
    highest: int
    tiers: tuple[TierView, ...]


def tiers_of(definition: Definition, segment: Segment) -> tuple[SubjectView, SubjectView]:
    """Return the tiers of a segment, for members and for accounts.

    Args:
        definition: The definition with the segment in it.
        segment: The segment.
    """
    return _subject(definition, segment, "member"), _subject(definition, segment, "account")


def gate_words(gate: Gate, definition: Definition) -> str:
    """Say what a gate asks for."""
    if gate.active_users is not None:
        return f"{counted(gate.active_users, 'active user')} in {counted(gate.days, 'day')}"
    if gate.fit is not None:
        return f"a fit of at least {gate.fit:g}"
    known = {each.key: name_of(each) for each in definition.milestones}
    names = [known.get(key, key) for key in gate.milestones]
    if len(names) == 1:
        return f"“{names[0]}”"
    listed = ", ".join(f"“{name}”" for name in names)
    every = "all" if gate.at_least == len(names) else f"at least {gate.at_least}"
    return f"{every} of {listed}"


def _subject(definition: Definition, segment: Segment, subject: Subject) -> SubjectView:
    by = SubjectRules(definition, segment, subject)
    thresholds = segment.member if subject == "member" else segment.account
    entries: dict[Tier, Entry | None] = {"warm": thresholds.warm, "hot": thresholds.hot}
    ways = {tier: TierWays(segment, subject, tier, by) for tier in TIERS if entries[tier] is not None}
    # Without an entry there is no search; the highest score is the same for every tier.
    highest = next(iter(ways.values())).reach.highest if ways else sum(max(each.points, 0) for each in by.milestones)
    scores = {tier: in_thousandths(entry.score) for tier, entry in entries.items() if entry is not None}
    length = max([highest, *scores.values(), 1])
    views = tuple(_tier(ways[tier], definition, _place(scores, tier, length)) for tier in TIERS if tier in ways)
    return SubjectView(subject, highest, views)


def _place(scores: dict[Tier, int], tier: Tier, length: int) -> tuple[float, float]:
    end = max(scores["hot"], scores["warm"]) if tier == "warm" and "hot" in scores else length
    start = max(scores[tier], 0)
    return round(WIDTH * start / length, 1), round(WIDTH * (end - start) / length, 1)


def _tier(ways: TierWays, definition: Definition, place: tuple[float, float]) -> TierView:
    return TierView(
        tier=ways.tier,
        score=ways.rule.score,
        start=place[0],
        width=place[1],
        gates=tuple(gate_words(gate, definition) for gate in ways.entry.gates),
        ways=tuple(ways.describe(mask) for mask in ways.sets[:MOST_WAYS]),
        more=max(len(ways.sets) - MOST_WAYS, 0),
        is_reachable=bool(ways.sets),
    )
