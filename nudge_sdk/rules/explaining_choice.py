"""Explaining a choice: why each nudge of a placement was or was not shown, in one plain sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from nudge_sdk.rules.candidates import Candidate, Limit, Placements
from nudge_sdk.rules.compiled import built_in_milestones
from nudge_sdk.rules.conditions import Facts
from nudge_sdk.rules.explaining_words import NO_DATE, ago_words, day_words, moment_words, rate_words, span_words
from nudge_sdk.rules.ledger import NO_ANSWER, Answer
from nudge_sdk.rules.lint_findings import counted, listed, name_of
from nudge_sdk.rules.selection import Chosen, Person, Reason, _spent, fits_episode
from nudge_sdk.rules.times import SECOND


class ChoiceLine(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate of a placement; ``reason`` is the code of why it was not shown, empty for the one that was."""

    key: str
    name: str
    is_shown: bool
    reason: str
    text: str


def explain_choice(
    chosen: Chosen, placements: Placements, placement: str, *, person: Person, facts: Facts
) -> list[ChoiceLine]:
    """Return every candidate of a placement, with why it was or was not shown in one plain sentence.

    Args:
        chosen: What the selection came to; UNCONFIRMED stands among its reasons where the store did not answer.
        placements: The candidates it chose from.
        placement: The slot the host asked about.
        person: For whom, with the ledgers as they were before the choice.
        facts: What the selection looked at.
    """
    candidates = placements.by_placement.get(placement, ())
    return [_Case(candidate, chosen, placements, person, facts).line() for candidate in candidates]


class _Case(NamedTuple):
    """A candidate, and what its reason is told from."""

    candidate: Candidate
    chosen: Chosen
    placements: Placements
    person: Person
    facts: Facts

    def line(self) -> ChoiceLine:
        winner, reason = self.chosen.candidate, self.chosen.reasons.get(self.candidate.key)
        is_shown = reason is None and winner is not None and winner.key == self.candidate.key
        text = "On display until it is closed." if self.chosen.is_on_display else "Shown."
        return ChoiceLine(
            key=self.candidate.key,
            name=name_of(self.candidate.nudge),
            is_shown=is_shown,
            reason=str(reason or ""),
            text=text if is_shown else _SENTENCES[reason](self) if reason else "It was no part of this choice.",
        )

    @property
    def answer(self) -> Answer:
        return self.person.ledger.answers.get(self.candidate.key, NO_ANSWER)

    def opted_out(self) -> str:
        tags = sorted(self.person.opted_out.intersection(self.candidate.tags))
        return "Said no to all nudges." if "" in self.person.opted_out else f"Said no to nudges about {listed(tags)}."

    def hidden(self) -> str:
        if self.person.ledger.quiet_until > self.facts.now:
            return f"Quiet until {moment_words(self.person.ledger.quiet_until)} after an error."
        is_for_all = self.placements.hide is not None and self.placements.hide(self.facts)
        return "A rule hides all nudges right now." if is_for_all else "Its own rule hides it right now."

    def dismissed(self) -> str:
        until, now = self.answer.dismissed_at + self.candidate.dismiss, self.facts.now
        silent = f"until {day_words(until, now)}" if until < NO_DATE else "for good"
        return f"Dismissed on {day_words(self.answer.dismissed_at, now)}; silent {silent}."

    def snoozed(self) -> str:
        until = self.answer.snoozed_until
        return f"Put off until {moment_words(until)}." if until < NO_DATE else "Put off for good."

    def capped(self) -> str:
        if self.answer.offers >= self.candidate.lifetime:
            return f"Was offered {counted(self.answer.offers, 'time')}, the most it may ever be."
        own = self._held_back(self.candidate.limits, "time")
        return own or "Help was offered as often as one episode allows."

    def throttled(self) -> str:
        recent, gap, now = self.person.ledger.recent, self.placements.gap, self.facts.now
        if recent and recent[-1].at + gap > now:
            last = ago_words(recent[-1].at, now)
            return f"Held back: at least {span_words(gap)} between two prompts, the last one was {last}."
        overall = self._held_back(self.placements.caps, "prompt")
        return overall or self._held_back(self.candidate.tag_limits, "prompt") or "Held back: others came lately."

    def _held_back(self, limits: tuple[Limit, ...], what: str) -> str:
        """Return the sentence about the first limit that is spent, or an empty text."""
        for limit in limits:
            ledger = self.person.account_ledger if limit.per_account else self.person.ledger
            keys = self._spending(limit, what)
            if _spent(ledger, limit, self.facts.now, keys) < limit.most:
                continue
            last = [each.at for each in ledger.recent if (not each.is_critical if keys is None else each.nudge in keys)]
            words = (
                f"{counted(limit.most, what)}{f' about {limit.tag}' if limit.tag else ''} {rate_words(limit.period)}"
            )
            whose = " for the whole account" if limit.per_account else ""
            whose += " is the limit for this one" if what == "time" else " is the limit"
            return f"Held back: {words}{whose}, the last one was {ago_words(last[-1], self.facts.now)}."
        return ""

    def _spending(self, limit: Limit, what: str) -> set[str] | None:
        if limit.tag:
            return {key for key, tags in self.placements.tags.items() if limit.tag in tags}
        return {self.candidate.key} if what == "time" else None

    def goal_met(self) -> str:
        if self.answer.completed_at:
            return f"Completed on {day_words(self.answer.completed_at, self.facts.now)}."
        return f"Its goal is met: {self._goal_name(self.candidate.goal)}."

    def not_scheduled(self) -> str:
        starts, ends = self.candidate.starts_at, self.candidate.ends_at
        return f"Starts at {moment_words(starts)}." if self.facts.now < starts else f"Ended at {moment_words(ends)}."

    def not_targeted(self) -> str:
        if self.person.has_left:
            return "Has left the account."
        if not self.candidate.is_offered:
            return "This release cannot show its format."
        if not fits_episode(self.candidate, self.person):
            return self._wrong_phase()
        return "Not among the people it is for."

    def _wrong_phase(self) -> str:
        episode, phase = self.person.standing.episode, self.person.phase
        if phase == "rest":
            return "Resting: no upgrade prompts for a while after the last ones."
        if episode is None or not phase:
            return "Has not qualified yet, or not again."
        if episode.goal != self.candidate.goal:
            return f"Just now it is about another goal: {self._goal_name(episode.goal)}."
        return (
            "Too early for help: this is the time of prompts." if self.candidate.is_help else "Now it is time for help."
        )

    def _goal_name(self, key: str) -> str:
        return next((name_of(goal) for goal in self.placements.rules.goals if goal.key == key), key)

    def not_triggered(self) -> str:
        trigger = self.candidate.nudge.trigger
        if trigger is None or trigger.manual:
            return "Shown only when the page asks for it."
        if trigger.page:
            return "This page is none of those it is for."
        within = f"in the last {span_words(trigger.seconds * SECOND).removeprefix('1 ')}"
        if trigger.tier:
            return f"Did not become {trigger.tier} {within}."
        if trigger.milestone == "*":
            return f"No milestone was reached {within}."
        own = built_in_milestones(self.placements.rules.definition)
        name = next((name_of(each) for each in own if each.key in (trigger.usage or trigger.milestone,)), "it")
        return f"Not so at this moment: {name}." if trigger.usage else f"Not reached {within}: {name}."

    def outranked(self) -> str:
        winner, display = self.chosen.candidate, self.chosen.display
        key = winner.key if winner else display.nudge if display else ""
        first = self.placements.by_key.get(key)
        name = f": {name_of(first.nudge)}" if first else ""
        return f"Another one is on display{name}." if self.chosen.is_on_display else f"Another one came first{name}."

    def held_out(self) -> str:
        if self.chosen.held_out == "overall":
            return "Held out: in the group that is shown no prompts, to measure what they do."
        return "Held out: in the group that is not shown this one, to measure what it does."


_SENTENCES: dict[Reason, Callable[[_Case], str]] = {
    Reason.PAUSED: lambda case: "All prompts are paused." if case.placements.is_paused else "This one is paused.",
    Reason.OPTED_OUT: _Case.opted_out,
    Reason.HIDDEN: _Case.hidden,
    Reason.DISMISSED: _Case.dismissed,
    Reason.SNOOZED: _Case.snoozed,
    Reason.CAPPED: _Case.capped,
    Reason.THROTTLED: _Case.throttled,
    Reason.GOAL_MET: _Case.goal_met,
    Reason.NOT_SCHEDULED: _Case.not_scheduled,
    Reason.NOT_TARGETED: _Case.not_targeted,
    Reason.NOT_TRIGGERED: _Case.not_triggered,
    Reason.OUTRANKED: _Case.outranked,
    Reason.HELD_OUT: _Case.held_out,
    Reason.UNCONFIRMED: lambda case: "Not shown: it could not be confirmed in time.",
}
