"""What is unwise about the entry to a tier: who gets in too easily, who never, and who falls out at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from nudge_sdk.rules.compiled import CompiledMilestone, EntryRule, SubjectRules
from nudge_sdk.rules.definition import Definition, Entry, Gate, Milestone, Segment, Subject, Tier
from nudge_sdk.rules.lint_findings import (
    Finding,
    Severity,
    counted,
    entry_place,
    listed,
    name_of,
    points_text,
    shortened,
    who,
)
from nudge_sdk.rules.lint_reach import EXACT_UP_TO, Reach
from nudge_sdk.rules.lint_vanity import is_arrival, is_booster, is_weak, shows_value, vanity_kind

ADD_GATE = "Require at least one milestone of category high beside the score (a gate)"


def subject_rules(definition: Definition) -> Iterator[tuple[Segment, Subject, SubjectRules]]:
    """Go through the segments, for members and for accounts."""
    subjects: tuple[Subject, ...] = ("member", "account")
    for segment in definition.segments:
        for subject in subjects:
            yield segment, subject, SubjectRules(definition, segment, subject)


def lint_tiers(definition: Definition) -> Iterator[Finding]:
    """Find what is unwise about the entries to all tiers."""
    for segment, subject, by in subject_rules(definition):
        ways = [TierWays(segment, subject, tier, by) for tier in tiers_of(by)]
        for each in ways:
            yield from each.findings()
        if len(ways) == 2:
            yield from _skipped_warm(*ways)


def tiers_of(by: SubjectRules) -> list[Tier]:
    """Return the tiers that have an entry."""
    entries: tuple[tuple[Tier, EntryRule | None], ...] = (("warm", by.warm), ("hot", by.hot))
    return [tier for tier, rule in entries if rule]


def _skipped_warm(warm: TierWays, hot: TierWays) -> Iterator[Finding]:
    easier = all(hot.reach.opens(mask) for mask in warm.sets) and hot.asks_no_more_than(warm)
    if warm.sets and easier:
        yield Finding(
            severity="warn",
            code="WARM_SKIPPED",
            where=f"{hot.place}.score",
            message=f"Everybody who is warm in {name_of(hot.segment)} ({hot.subject}) is hot at once: "
            f"hot asks for {points_text(hot.rule.score)} points and nothing more, "
            f"warm for {points_text(warm.rule.score)}.",
            fix="Raise the threshold of hot above that of warm, or leave one of them out.",
        )


class TierWays:
    """The ways into one tier of one segment, for members or for accounts.

    Attributes:
        sets: The smallest sets of milestones that reach it, as bits.
        place: Where its entry stands in the document.
    """

    def __init__(self, segment: Segment, subject: Subject, tier: Tier, by: SubjectRules) -> None:
        thresholds = segment.member if subject == "member" else segment.account
        entry, rule = (thresholds.warm, by.warm) if tier == "warm" else (thresholds.hot, by.hot)
        assert entry is not None
        assert rule is not None
        self.segment, self.subject, self.tier, self.by = segment, subject, tier, by
        self.entry: Entry = entry
        self.rule: EntryRule = rule
        self.place = entry_place(segment, subject, tier)
        self.reach = Reach(by, rule)
        self.sets, self.is_complete = self.reach.smallest()
        self._who = f"{who(segment, subject)} can become {tier}"

    def findings(self) -> Iterator[Finding]:
        """Find what is unwise about this entry."""
        if impossible := self.impossible():
            yield impossible
            return
        yield from self._bounded()
        arrivals = self._only(is_arrival)
        yield from self._too_easy(arrivals)
        yield from self._vanity(arrivals)
        yield from self._without_high_intent()
        yield from self._boosted()
        yield from self._exact()
        yield from self._gone_before_help()
        yield from self._one_and_done()

    def asks_no_more_than(self, other: TierWays) -> bool:
        """Return whether its gates on fit and active users are met wherever those of the other are."""
        return all(any(_is_covered(gate, theirs) for theirs in other.entry.gates) for gate in _conditions(self.entry))

    def describe(self, mask: int) -> str:
        """Return a set in words, such as ``Sent a campaign (5) + Invited 3 teammates (3) = 8``."""
        members = self.reach.members(mask)
        terms = [
            f"{name_of(each.milestone)} ({'fit' if each.is_fit else points_text(each.points)})" for each in members
        ]
        return f"{' + '.join(terms) or 'nothing at all'} = {points_text(self.reach.score(mask))}"

    def impossible(self) -> Finding | None:
        """Return why nobody can ever enter, or None."""
        reach, who_cannot = self.reach, self._who.replace("can become", "can never become")
        if reach.highest < self.rule.score:
            highest = points_text(reach.highest)
            what = f"the highest possible score is {highest}, the threshold {points_text(self.rule.score)}"
            fix = f"Lower the threshold to {highest} or less, give milestones more points, or raise the caps of groups."
            return self._unreachable("score", f"{who_cannot}: {what}.", fix, self._contributions())
        for index, gate in enumerate(self.entry.gates):
            if what := self._closed(gate):
                fix = f"Name milestones of the {self.subject}, or ask for less."
                return self._unreachable(f"gates[{index}]", f"{who_cannot}: {what}.", fix)
        if self.is_complete and not self.sets:
            what = "the milestones that are required take away so many points that the threshold is out of reach"
            fix = "Require other milestones, or give those more points."
            return self._unreachable("gates", f"{who_cannot}: {what}.", fix)
        return None

    def _unreachable(self, field: str, message: str, fix: str, evidence: Sequence[str] = ()) -> Finding:
        where = f"{self.place}.{field}"
        return _finding("block", "UNREACHABLE", where, message, fix, evidence)

    def _contributions(self) -> list[str]:
        giving = [each for each in self.reach.milestones if each.points > 0 and not each.is_fit]
        lines = []
        for group, cap in self.by.caps.items():
            inside = [each for each in giving if each.group == group]
            if inside:
                names = listed([name_of(each.milestone) for each in inside])
                total = points_text(sum(each.points for each in inside))
                lines.append(f"{names}: {total}, of which at most {points_text(cap)} counts")
        return lines + [
            f"{name_of(each.milestone)}: {points_text(each.points)}"
            for each in giving
            if each.group not in self.by.caps
        ]

    def _closed(self, gate: Gate) -> str:
        if gate.milestones:
            usable = {each.key for each in self.by.milestones} & set(gate.milestones)
            if len(usable) < gate.at_least:
                named = f"{counted(len(usable), 'milestone')} of the {self.subject}"
                return f"{gate.at_least} of {listed(gate.milestones)} must be reached, but it names {named}"
        if gate.fit is not None and self.reach.highest_fit < gate.fit * 1000:
            return f"a fit of {gate.fit:g} is required, and the highest possible fit is {points_text(self.reach.highest_fit)}"
        return ""

    def _only(self, holds: Callable[[Milestone], bool]) -> list[int]:
        return self.reach.smallest(self._bits(holds)).masks

    def _bits(self, holds: Callable[[Milestone], bool]) -> int:
        return sum(each.bit for each in self.by.milestones if holds(each.milestone))

    def _besides(self) -> str:
        """Return what is asked for beside milestones, as the rest of a sentence."""
        asked = [
            f"at least {gate.active_users} active users in {counted(gate.days, 'day')}"
            if gate.active_users
            else f"a fit of at least {gate.fit:g}"
            for gate in _conditions(self.entry)
        ]
        return f", given {listed(asked)}" if asked else ""

    def _of_all(self, part: Sequence[int]) -> str:
        total = len(self.sets)
        if not self.is_complete:
            return f"{len(part)} of the smallest ways"
        return "the only way" if total == 1 else f"{len(part)} of the {total} smallest ways"

    def _bounded(self) -> Iterator[Finding]:
        if not self.is_complete:
            yield self._finding(
                "note", "NOT_ALL_WAYS",
                f"More than {EXACT_UP_TO} milestones give points, too many to try every combination: only the first "
                f"{len(self.sets)} smallest ways to {self.tier} were looked at.",
                "Give points to fewer milestones.",
            )  # fmt: skip

    def _too_easy(self, arrivals: list[int]) -> Iterator[Finding]:
        if arrivals:
            how = "by signing up, logging in or who they are alone" if arrivals != [0] else "without doing anything"
            yield self._finding(
                "block", "SIGNUP_ALONE", f"{_capital(self._who)} {how}{self._besides()}.",
                f"{ADD_GATE}, raise the threshold, or lower these points.", arrivals,
            )  # fmt: skip

    def _vanity(self, arrivals: list[int]) -> Iterator[Finding]:
        weak = [mask for mask in self._only(is_weak) if mask not in arrivals]
        if weak:
            yield self._finding(
                "block", "VANITY",
                f"{_capital(self._who)} without showing any value{self._besides()}: {self._of_all(weak)} "
                f"{'is' if len(weak) == 1 else 'are'} made of context, hygiene or vanity only.",
                f"{ADD_GATE}, raise the threshold, or lower these points.", weak,
            )  # fmt: skip

    def _without_high_intent(self) -> Iterator[Finding]:
        lower = self._bits(lambda each: not shows_value(each))
        smallest = [mask for mask in self.reach.smallest(lower).masks if not self._is_all_weak(mask)]
        if not smallest:
            return
        ways = self.reach.ways(lower) or smallest
        yield self._finding(
            "warn", "NO_HIGH_INTENT",
            f"{_capital(self._who)} in {counted(len(ways), 'way')} without one high-intent milestone"
            f"{self._besides()}; the threshold of {points_text(self.rule.score)} alone does not ask for one.",
            f"{ADD_GATE}, or raise the threshold.", ways,
        )  # fmt: skip

    def _is_all_weak(self, mask: int) -> bool:
        return all(is_weak(each.milestone) for each in self.reach.members(mask))

    def _boosted(self) -> Iterator[Finding]:
        mixed = [mask for mask in self.sets if not self._is_all_weak(mask)]
        boosters = [each for each in self.reach.milestones if is_booster(each, self.by.caps) and not each.is_fit]
        needing = [(each, [mask for mask in mixed if each.bit & mask]) for each in boosters]
        parts = [
            f"{self._of_all(masks)} to {self.tier} for {who(self.segment, self.subject)} "
            f"{'needs' if len(masks) == 1 else 'need'} “{name_of(each.milestone)}” ({vanity_kind(each.milestone)})"
            for each, masks in needing
            if masks
        ]
        if parts:
            yield self._finding(
                "warn", "BOOSTER", f"{_capital('; '.join(parts))}. That shows interest, not value.",
                "Lower these points until they cannot change a tier, or take these milestones out of the score.",
                self.sets,
            )  # fmt: skip

    def _exact(self) -> Iterator[Finding]:
        exact = [mask for mask in self.sets if self.reach.score(mask) == self.rule.score and self._fading(mask)]
        held = {mask: days for mask in exact if (days := self.reach.days_held(mask)) is not None}
        if not held:
            return
        grace = max(min(each.grace for each in self._fading(mask)) for mask in held)
        is_bare = not grace and not self.by.hold_days
        shortest, longest = min(held.values()), max(held.values())
        score = points_text(self.rule.score)
        if is_bare:
            what = f"the tier is lost after {counted(shortest, 'day')}, with the first point that fades"
        else:
            what = f"the tier is held for {counted(longest, 'day')} at most, if nothing more is done"
        yield self._finding(
            "warn" if is_bare else "note", "EXACT_THRESHOLD",
            f"{self._of_all(list(held)).capitalize()} to {self.tier} for {who(self.segment, self.subject)} "
            f"{'reaches' if len(held) == 1 else 'reach'} {score} exactly, the threshold, and points fade: {what}.",
            "Let points fade only after some days (grace), hold the tier for some days, or lower the threshold a little."
            if is_bare
            else "Nothing, if that is long enough; otherwise give more days of grace or hold the tier longer.",
            list(held),
        )  # fmt: skip

    def _fading(self, mask: int) -> list[CompiledMilestone]:
        return [each for each in self.reach.members(mask) if each.half_life and each.points > 0]

    def _gone_before_help(self) -> Iterator[Finding]:
        if self.subject != "member":
            return
        help_day = self.segment.help_after_days
        held = {mask: days for mask in self.sets if (days := self.reach.days_held(mask)) is not None}
        early = [mask for mask, days in held.items() if days < help_day]
        if early:
            shortest = min(held[mask] for mask in early)
            yield self._finding(
                "note", "GONE_BEFORE_HELP",
                f"Somebody who does {self._of_all(early)} to {self.tier} and nothing more is no longer {self.tier} "
                f"after {counted(shortest, 'day')}, before help begins on day {help_day}. The help is still shown, "
                "but lists of who is ready no longer show them.",
                "Hold the tier longer, let points fade later, or begin help earlier.", early,
            )  # fmt: skip

    def _one_and_done(self) -> Iterator[Finding]:
        once = [mask for mask in self.sets if mask.bit_count() == 1 and _is_once(self.reach.members(mask)[0].milestone)]
        if once:
            yield self._finding(
                "note", "ONE_AND_DONE", f"{_capital(self._who)} by one single action, done once{self._besides()}.",
                "Ask for it more often, or for a second milestone.", once,
            )  # fmt: skip

    def _finding(self, severity: Severity, code: str, message: str, fix: str, masks: Sequence[int] = ()) -> Finding:
        return _finding(severity, code, f"{self.place}.score", message, fix, [self.describe(mask) for mask in masks])


def _finding(severity: Severity, code: str, where: str, message: str, fix: str, evidence: Sequence[str]) -> Finding:
    return Finding(
        severity=severity, code=code, where=where, message=_capital(message), fix=fix, evidence=shortened(evidence)
    )


def _conditions(entry: Entry) -> list[Gate]:
    return [gate for gate in entry.gates if gate.fit is not None or gate.active_users]


def _is_covered(gate: Gate, theirs: Gate) -> bool:
    if gate.fit is not None:
        return theirs.fit is not None and theirs.fit >= gate.fit
    return bool(theirs.active_users) and theirs.active_users >= (gate.active_users or 0) and theirs.days <= gate.days


def _is_once(milestone: Milestone) -> bool:
    signal = milestone.signal
    return signal is not None and signal.measure != "sum" and milestone.at_least <= 1


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
