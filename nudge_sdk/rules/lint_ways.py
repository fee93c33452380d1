"""The ways into one tier, and how they are put into words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property

from nudge_sdk.rules.compiled import CompiledMilestone, EntryRule, SubjectRules, in_thousandths
from nudge_sdk.rules.definition import Definition, Entry, Gate, Milestone, Segment, Subject, Tier
from nudge_sdk.rules.lint_findings import Finding, Severity, capital, counted, listed, name_of, points_text, shortened
from nudge_sdk.rules.lint_reach import Reach
from nudge_sdk.rules.lint_vanity import is_weak

MOST_JUDGED = 500
"""Of how many of the smallest sets it is found out how long they hold a tier."""


class TierWays:
    """The ways into one tier of one segment, for members or for accounts.

    Attributes:
        place: Where its entry stands in the document.
        who: Whom it is for, such as ``a member of SMB``.
        becomes: Such as ``a member of SMB can become warm``.
        sets: The smallest sets of milestones that reach it, as bits, fewest milestones first.
        is_complete: Whether these are all there are.
    """

    def __init__(self, segment: Segment, subject: Subject, tier: Tier, by: SubjectRules) -> None:
        thresholds = segment.member if subject == "member" else segment.account
        entry, rule = (thresholds.warm, by.warm) if tier == "warm" else (thresholds.hot, by.hot)
        self.segment, self.subject, self.tier, self.by = segment, subject, tier, by
        self.entry = entry or Entry(score=0)
        self.rule = rule or EntryRule(self.entry, {})
        self.place = f"segments[{segment.key}].{subject}.{tier}"
        self.who = f"{'a member' if subject == 'member' else 'an account'} of {name_of(segment)}"
        self.becomes = f"{self.who} can become {tier}"
        self.reach = Reach(by, self.rule)
        self.sets, self.is_complete = self.reach.smallest()

    @property
    def side_conditions(self) -> list[Gate]:
        """The gates that ask for fit or for active users."""
        return [gate for gate in self.entry.gates if gate.fit is not None or gate.active_users]

    def only(self, holds: Callable[[Milestone], bool]) -> list[int]:
        """Return the smallest sets of such milestones alone."""
        return self.reach.smallest(self.bits(holds)).masks

    def bits(self, holds: Callable[[Milestone], bool]) -> int:
        """Return the milestones of which something holds, as bits."""
        return sum(each.bit for each in self.by.milestones if holds(each.milestone))

    def is_all_weak(self, mask: int) -> bool:
        """Return whether a set is made of context, hygiene and vanity."""
        return all(is_weak(each.milestone) for each in self.reach.members(mask))

    def fading(self, mask: int) -> list[CompiledMilestone]:
        """Return the milestones of a set whose points fade."""
        return [each for each in self.reach.members(mask) if each.half_life and each.points > 0]

    @cached_property
    def held(self) -> dict[int, int]:
        """For how many days the smallest sets hold the tier, where that ends."""
        found = ((mask, self.reach.days_held(mask)) for mask in self.sets[:MOST_JUDGED])
        return {mask: days for mask, days in found if days is not None}

    def describe(self, mask: int) -> str:
        """Return a set in words, such as ``Sent a campaign (5) + Invited 3 teammates (3) = 8``."""
        members = self.reach.members(mask)
        terms = [
            f"{name_of(each.milestone)} ({'fit' if each.is_fit else points_text(each.points)})" for each in members
        ]
        return f"{' + '.join(terms) or 'nothing at all'} = {points_text(self.reach.score(mask))}"

    def share(self, part: Sequence[int]) -> str:
        """Return how many of the smallest sets these are, such as ``2 of the 3 smallest ways``."""
        total = len(self.sets)
        if len(part) == MOST_JUDGED:
            return "hundreds of the smallest ways"
        if not self.is_complete:
            return f"{len(part)} of the smallest ways"
        return "the only smallest way" if total == 1 else f"{len(part)} of the {total} smallest ways"

    def given(self) -> str:
        """Return the side conditions, as the rest of a sentence."""
        asked = [
            f"at least {gate.active_users} active users in {counted(gate.days, 'day')}"
            if gate.active_users
            else f"a fit of at least {gate.fit:g}"
            for gate in self.side_conditions
        ]
        return f", given {listed(asked)}" if asked else ""

    def finding(self, severity: Severity, code: str, message: str, fix: str, masks: Sequence[int] = ()) -> Finding:
        """Return a finding about the threshold, with sets as its evidence."""
        evidence = shortened(masks, self.describe)
        where = f"{self.place}.score"
        return Finding(severity=severity, code=code, where=where, message=capital(message), fix=fix, evidence=evidence)


def ways_of(definition: Definition) -> Iterator[list[TierWays]]:
    """Go through the segments, for members and for accounts: the ways into each tier that has an entry."""
    subjects: tuple[Subject, ...] = ("member", "account")
    for segment in definition.segments:
        for subject in subjects:
            by = SubjectRules(definition, segment, subject)
            yield [TierWays(segment, subject, tier, by) for tier in _tiers_of(by)]


def _tiers_of(by: SubjectRules) -> list[Tier]:
    tiers: tuple[tuple[Tier, EntryRule | None], ...] = (("warm", by.warm), ("hot", by.hot))
    return [tier for tier, rule in tiers if rule]


def find_unreachable(ways: TierWays) -> Finding | None:
    """Return why nobody can ever enter a tier, or None."""
    reach, rule = ways.reach, ways.rule
    if reach.highest < rule.score:
        highest = points_text(reach.highest)
        what = f"the highest possible score is {highest}, the threshold {points_text(rule.score)}"
        fix = f"Lower the threshold to {highest} or less, give milestones more points, or raise the caps of groups."
        return _unreachable(ways, "score", what, fix)
    for index, gate in enumerate(ways.entry.gates):
        if what := _closed(ways, gate):
            fix = f"Name milestones of the {ways.subject}, or ask for less."
            return _unreachable(ways, f"gates[{index}]", what, fix)
    if ways.is_complete and not ways.sets:
        what = "the milestones that are required take away so many points that the threshold is out of reach"
        return _unreachable(ways, "gates", what, "Require other milestones, or give those more points.")
    return None


def _unreachable(ways: TierWays, field: str, what: str, fix: str) -> Finding:
    return Finding(
        severity="block",
        code="UNREACHABLE",
        where=f"{ways.place}.{field}",
        message=f"{capital(ways.who)} can never become {ways.tier}: {what}.",
        fix=fix,
        evidence=shortened(_contributions(ways), str) if field == "score" else (),
    )


def _contributions(ways: TierWays) -> list[str]:
    giving = [each for each in ways.reach.milestones if each.points > 0 and not each.is_fit]
    lines = []
    for group, cap in ways.by.caps.items():
        inside = [each for each in giving if each.group == group]
        if inside:
            names = listed([name_of(each.milestone) for each in inside])
            total = points_text(sum(each.points for each in inside))
            lines.append(f"{names}: {total}, of which at most {points_text(cap)} counts")
    alone = [each for each in giving if each.group not in ways.by.caps]
    return lines + [f"{name_of(each.milestone)}: {points_text(each.points)}" for each in alone]


def _closed(ways: TierWays, gate: Gate) -> str:
    known = {each.key: name_of(each.milestone) for each in ways.by.milestones}
    usable = [key for key in dict.fromkeys(gate.milestones) if key in known]
    if gate.milestones and len(usable) < gate.at_least:
        named = listed([known.get(key, key) for key in gate.milestones])
        return (
            f"it requires {gate.at_least} of {named}, and "
            f"{f'only {len(usable)}' if usable else 'none'} of these can be reached by {ways.who}"
        )
    highest = ways.reach.highest_fit
    if gate.fit is not None and highest < in_thousandths(gate.fit):
        return f"it requires a fit of {gate.fit:g}, and the highest possible fit is {points_text(highest)}"
    return ""
