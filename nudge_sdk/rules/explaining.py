"""Explaining: what is said of a person, and why a nudge was or was not shown, in plain sentences.

Everything is measured by the functions that judge and choose, so that the words cannot differ from the deed.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from nudge_sdk.rules import standing as standings
from nudge_sdk.rules.compiled import (
    HAND_RAISED_EVENT,
    CompiledMilestone,
    EntryRule,
    GateRule,
    Rules,
    SubjectRules,
    usage_numbers,
)
from nudge_sdk.rules.conditions import Window
from nudge_sdk.rules.definition import Category, Milestone, Segment, Tier
from nudge_sdk.rules.explaining_choice import ChoiceLine, explain_choice
from nudge_sdk.rules.explaining_words import (
    Number,
    ago_words,
    day_words,
    iso,
    number_words,
    points_number,
    points_words,
    span_words,
    trait_words,
    unit_words,
    usage_words,
    whole,
    window_words,
)
from nudge_sdk.rules.lint_findings import counted, listed, name_of, points_text
from nudge_sdk.rules.signals import (
    DEFAULT_WINDOW,
    compile_reader,
    display_amount,
    event_names,
    since_signup_length,
)
from nudge_sdk.rules.standing import Episode, Judged, Standing
from nudge_sdk.rules.tallies import Capacity, Tally
from nudge_sdk.rules.times import DAY, day_of, end_of_day, to_iso

__all__ = [
    "ChoiceLine",
    "EpisodeLine",
    "GateLine",
    "OutlookLine",
    "ReasonLine",
    "StandingReport",
    "SubScores",
    "TierLine",
    "explain_choice",
    "explain_standing",
]


OUTLOOK_DAYS = (0, 7, 30)
RECENT_DAYS = 14
"""Half-life of the sub-score recency, window of the sub-score frequency."""


_NOT_SCORED = "Opted out of everything, so nothing is scored."


class ReasonLine(msgspec.Struct, frozen=True, kw_only=True):
    """A milestone and what it brings.

    Attributes:
        points: What it brings now: faded, and less what its group's cap took (``capped``).
        measured, needed: In the measure's unit; None where nothing is measured or known.
        is_lower_bound: Whether there may be more than was measured, since only so much is kept.
        text: One line for a person.
    """

    key: str
    name: str
    category: Category
    axis: str
    is_reached: bool
    points: Number
    capped: Number
    measured: Number | None
    needed: Number | None
    is_lower_bound: bool
    window: str
    last_at: str | None
    text: str


class GateLine(msgspec.Struct, frozen=True, kw_only=True):
    """A gate of a tier; ``kind`` is milestones, active_users or fit."""

    kind: str
    needed: Number
    actual: Number
    is_met: bool
    text: str


class TierLine(msgspec.Struct, frozen=True, kw_only=True):
    """What a tier takes; ``held_until`` is the last day of one that is held only for having been entered lately."""

    tier: Tier
    threshold: Number
    missing: Number
    gates: tuple[GateLine, ...]
    is_entered: bool
    held_until: str | None
    text: str


class EpisodeLine(msgspec.Struct, frozen=True, kw_only=True):
    """The latest episode; the day it started is ``day`` 0, ``last_day`` is a date."""

    started_at: str
    goal: str
    day: int
    last_day: str
    ended_at: str | None
    end_reason: str


class SubScores(msgspec.Struct, frozen=True, kw_only=True):
    """Four views of 0 to 100, with one decimal, that are no part of the score.

    Value milestones are those of the score with category high or medium and points above 0. Days are UTC days.

    Attributes:
        depth: 100 × mean of ``1 − needed / measured`` over the reached value milestones that measure anything: 0 for
            just enough, 50 for twice the needed.
        breadth: 100 × reached value milestones / value milestones.
        recency: 100 × 0.5^(days since the last event / 14).
        frequency: 100 × days with anything counted, of the last 14, / 14.
    """

    depth: Number
    breadth: Number
    recency: Number
    frequency: Number


class OutlookLine(msgspec.Struct, frozen=True, kw_only=True):
    """Score and tier so many days from now if nothing more happens."""

    days: int
    at: str
    score: Number
    tier: Tier


class StandingReport(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is shown of a member or an account.

    Attributes:
        entry: The tier whose entry condition is true right now.
        phase: prompt, help, rest, or empty without an episode.
        active_users: Of an account.
        reasons: Every milestone, reached ones first, the strongest first.
        tiers: Those that can be entered.
        label: ``educate`` while nothing of the activation is reached (the milestones marked as aha, else the value
            milestones); ``assist`` when some of it is but a goal is still open; else empty.
        why_now: The most recent strong thing done.
        reason: Why nothing is scored: ``opted_out`` of a member who said no to everything, and of their personal
            account; there are no reasons then.
    """

    account_id: str
    user_id: str
    at: str
    definition: int
    segment: str
    segment_name: str
    tier: Tier
    entry: Tier
    score: Number
    fit: Number
    phase: str
    episode: EpisodeLine | None
    next_change: str | None
    active_users: int | None
    reasons: tuple[ReasonLine, ...]
    tiers: tuple[TierLine, ...]
    sub_scores: SubScores
    outlook: tuple[OutlookLine, ...]
    label: str
    why_now: str
    reason: str = ""


def explain_standing(
    rules: Rules, subject: Judged, standing: Standing, at: int, *, account_id: str = "", user_id: str = ""
) -> StandingReport:
    """Return everything that is shown of a member or an account.

    Args:
        rules: The definition in force.
        subject: Who is explained; judged anew.
        standing: Its latest standing; the episode is taken from there.
        at: The instant, in microseconds.
        account_id: The account, for the report.
        user_id: The member, for the report; the subject's own if not said.
    """
    now = standings.judge(rules, subject, at, standing, "time")
    outlook = tuple(_outlook(rules, subject, now, days) for days in OUTLOOK_DAYS)
    subject.facts.now = at
    segment = rules.segment_of(subject.facts)
    is_scored = not now.reason
    lines = _Lines(rules, segment.member if subject.is_member else segment.account, subject, at)
    return StandingReport(
        account_id=account_id,
        user_id=user_id or subject.user_id,
        at=to_iso(at),
        definition=now.definition,
        segment=now.segment,
        segment_name=name_of(segment.segment),
        tier=now.tier,
        entry=now.entry,
        score=points_number(now.score),
        fit=points_number(now.fit),
        phase=standings.phase_of(standing.episode, segment.segment, at),
        episode=_episode(standing.episode, segment.segment, at) if standing.episode else None,
        next_change=iso(now.next_change),
        active_users=None if subject.is_member else now.active_users,
        reasons=tuple(lines.reasons) if is_scored else (),
        tiers=tuple(lines.tier(tier, rule) for tier, rule in lines.entries if rule) if is_scored else (),
        sub_scores=lines.sub_scores() if is_scored else SubScores(depth=0, breadth=0, recency=0, frequency=0),
        outlook=outlook,
        label=lines.label() if is_scored else "",
        why_now=lines.why_now() if is_scored else _NOT_SCORED,
        reason=now.reason,
    )


class _Lines:
    """What is said of one subject, as one segment judges it at an instant."""

    def __init__(self, rules: Rules, by: SubjectRules, subject: Judged, at: int) -> None:
        self.rules, self.by, self.subject, self.at = rules, by, subject, at
        self.found = standings.evaluate(by, subject, at)
        self.reached = {each.key: each for each in by.milestones if self.found[2] & each.bit}
        self.points = {key: each.points_at(subject.state, at) for key, each in self.reached.items()}
        self.value = [each.key for each in by.milestones if _is_value(each)]
        self.entries: tuple[tuple[Tier, EntryRule | None], ...] = (("warm", by.warm), ("hot", by.hot))
        self.last: dict[str, int] = {}
        capped = self._capped()
        lines = [(each, self._reason(each, capped.get(each.key, 0))) for each in by.milestones]
        lines.sort(key=lambda pair: (not pair[1].is_reached, -pair[1].points, -pair[0].points))
        self.reasons = [line for _, line in lines]

    def _capped(self) -> dict[str, int]:
        """Return what the caps took: the smallest contributions of a group go first."""
        taken: dict[str, int] = {}
        for group, cap in self.by.caps.items():
            mine = [key for key, each in self.reached.items() if each.group == group and not each.is_fit]
            excess = sum(self.points[key] for key in mine) - cap
            for key in sorted(mine, key=lambda key: self.points[key]):
                taken[key] = max(0, min(excess, self.points[key]))
                excess -= taken[key]
        return taken

    def _reason(self, milestone: CompiledMilestone, capped: int) -> ReasonLine:
        own, measured, needed, is_bound, since = milestone.milestone, None, None, False, ""
        if own.signal:
            tally = self.subject.state.tallies.get(milestone.signal_id) or Tally()
            amount = compile_reader(own.signal, own.window)(tally, self.at, self.subject.signup)
            measured, needed = display_amount(own.signal, amount), whole(own.at_least)
            is_bound = _is_lower_bound(own, tally, (amount, self.at, self.subject.signup), self.rules.plan.capacity)
            is_bound |= bool(since := self._dropped(milestone))
            self._note_last(own.key, tally)
        elif own.usage and (usage := usage_numbers(own.usage, self.subject.facts)):
            measured, needed = usage[0], whole(usage[1] * own.usage.share)
        last = self.last.get(own.key)
        what = self._what(own, measured, "at least " if is_bound else "")
        when = "" if last is None else f", last on {day_words(last)}"
        return ReasonLine(
            key=own.key,
            name=name_of(own),
            category=own.category,
            axis=own.axis,
            is_reached=own.key in self.reached,
            points=points_number(self.points.get(own.key, 0) - capped),
            capped=points_number(capped),
            measured=measured,
            needed=needed,
            is_lower_bound=is_bound,
            window=window_words(own.window) if own.signal else "",
            last_at=iso(last),
            text=f"{name_of(own)}: {what}{when}{since}: {self._brings(milestone, capped)}",
        )

    def _dropped(self, milestone: CompiledMilestone) -> str:
        """Say from which day on something is counted whose window reaches back to events that were dropped."""
        first_day = self.rules.counted_from.get(milestone.signal_id)
        days = (milestone.milestone.window or DEFAULT_WINDOW).days
        if first_day is None or (days is not None and day_of(self.at) - days + 1 >= first_day):
            return ""
        return f" (counted from {day_words(first_day * DAY)} on: older events were dropped)"

    def _note_last(self, key: str, tally: Tally) -> None:
        """Write down when it was last done; of what lies before the days kept, only that it was the first time."""
        seen = (tally.last, tally.first, *tally.early, *(day * DAY for day in tally.days))
        if tally.total and tally.first <= self.at:
            self.last[key] = max(at for at in seen if at <= self.at)

    def _what(self, own: Milestone, measured: Number | None, bound: str) -> str:
        if own.usage:
            return usage_words(usage_numbers(own.usage, self.subject.facts), own.usage.share)
        if own.signal is None or measured is None:
            traits = dict.fromkeys(trait_words(own.when, self.subject.facts)) if own.when else {}
            return listed(traits) if traits else ("yes" if own.key in self.reached else "no")
        amount, needed, window = number_words(measured), number_words(own.at_least), window_words(own.window)
        if own.key in self.reached:
            return f"{bound}{amount}{unit_words(own.signal, measured)} {window} ({needed} needed)"
        return f"{bound}{amount} of {needed}{unit_words(own.signal, own.at_least)} {window}"

    def _brings(self, milestone: CompiledMilestone, capped: int) -> str:
        is_reached = milestone.key in self.reached
        if not milestone.points:
            return "reached" if is_reached else "not reached yet"
        words = points_words(self.points.get(milestone.key, 0) - capped) + (" of fit" if milestone.is_fit else "")
        if not is_reached:
            return f"{words} yet" if milestone.points > 0 else words
        if capped:
            groups = {group.key: name_of(group) for group in self.rules.definition.groups}
            words += f" ({points_text(capped)} more would pass the limit of {groups[milestone.group]})"
        if milestone.half_life:
            words += f", fades by half every {span_words(milestone.half_life * DAY).removeprefix('1 ')}"
        return words

    def tier(self, tier: Tier, rule: EntryRule) -> TierLine:
        score, is_entered = self.found[0], standings._enters(rule, self.subject, self.found, self.at)
        held = None if is_entered else self._held_until(rule)
        self.subject.facts.now = self.at
        gates = tuple(line for gate in rule.gates for line in self._gate(gate))
        words = f"{points_text(score)} of {points_words(rule.score)}"
        words = "; ".join([words, *(gate.text for gate in gates if not gate.is_met)])
        return TierLine(
            tier=tier,
            threshold=points_number(rule.score),
            missing=points_number(max(0, rule.score - score)),
            gates=gates,
            is_entered=is_entered,
            held_until=None if held is None else to_iso(held * DAY)[:10],
            text=f"{tier.capitalize()}: {'' if held is None else f'held until {day_words(held * DAY)}, now '}{words}",
        )

    def _held_until(self, rule: EntryRule) -> int | None:
        today, first = day_of(self.at), self.subject.state.first
        earliest = today if first is None else max(today - self.by.hold_days, day_of(first))
        for day in range(today - 1, earliest - 1, -1):
            end = end_of_day(day)
            if standings._enters(rule, self.subject, standings.evaluate(self.by, self.subject, end), end):
                return day + self.by.hold_days
        return None

    def _gate(self, gate: GateRule) -> Iterator[GateLine]:
        if gate.at_least:
            wanted = [each for each in self.by.milestones if each.bit & gate.mask]
            done = sum(each.key in self.reached for each in wanted)
            names = listed([name_of(each.milestone) for each in wanted] or ["what is gone"], "or")
            names = f"{gate.at_least} of: {names}" if len(wanted) > 1 else names
            yield _gate_line("milestones", gate.at_least, done, f"needs {names} ({done} reached)")
        if gate.active_users:
            users = standings.active_users(self.subject.account, self.at, gate.days)
            needed = f"{counted(gate.active_users, 'active user')} {window_words(Window(days=gate.days))}"
            yield _gate_line("active_users", gate.active_users, users, f"needs {needed} (has {users})")
        if gate.fit is not None:
            needed, fit = points_words(gate.fit), self.found[1]
            yield _gate_line(
                "fit", points_number(gate.fit), points_number(fit), f"needs {needed} of fit (has {points_text(fit)})"
            )

    def sub_scores(self) -> SubScores:
        state, today = self.subject.state, day_of(self.at)
        days = {day for tally in state.tallies.values() for day in tally.days if day <= today}
        last = day_of(state.last) if state.last is not None and state.last <= self.at else max(days, default=None)
        reached = [each for each in self.reasons if each.is_reached and each.key in self.value]
        beyond = [1 - each.needed / each.measured for each in reached if each.needed and each.measured]
        return SubScores(
            depth=_share(sum(beyond), len(beyond)),
            breadth=_share(len(reached), len(self.value)),
            recency=0 if last is None else _share(0.5 ** ((today - last) / RECENT_DAYS), 1),
            frequency=_share(sum(day > today - RECENT_DAYS for day in days), RECENT_DAYS),
        )

    def label(self) -> str:
        goals = {goal.key for goal in self.rules.goals}
        activation = [each.key for each in self.by.milestones if each.milestone.is_aha] or self.value
        if not activation or (goals and goals <= standings.met_goals(self.rules, self.subject)):
            return ""
        return "educate" if self.reached.keys().isdisjoint(activation) else "assist"

    def why_now(self) -> str:
        strong = [each for each in self.reached.values() if each.key in self.last and _is_strong(each)]
        if not strong:
            return "Nothing that shows value was done lately."
        latest = max(strong, key=lambda each: (self.last[each.key], each.points, each.key))
        line = next(each for each in self.reasons if each.key == latest.key)
        amount = (
            f"{number_words(line.measured or 0)}{unit_words(latest.milestone.signal, line.measured or 0)} {line.window}"
        )
        return f"{line.name}: {ago_words(self.last[latest.key], self.at)}, {amount}."


def _is_value(milestone: CompiledMilestone) -> bool:
    return milestone.milestone.category in ("high", "medium") and milestone.points > 0 and not milestone.is_fit


def _is_strong(milestone: CompiledMilestone) -> bool:
    signal = milestone.milestone.signal
    return _is_value(milestone) or (signal is not None and HAND_RAISED_EVENT in event_names(signal))


def _share(part: float, out_of: float) -> Number:
    return whole(round(100 * part / out_of, 1)) if out_of else 0


def _gate_line(kind: str, needed: Number, actual: Number, text: str) -> GateLine:
    return GateLine(kind=kind, needed=needed, actual=actual, is_met=actual >= needed, text=text)


def _outlook(rules: Rules, subject: Judged, now: Standing, days: int) -> OutlookLine:
    then = standings.judge(rules, subject, now.at + days * DAY, now, "time")
    return OutlookLine(days=days, at=to_iso(then.at), score=points_number(then.score), tier=then.tier)


def _episode(episode: Episode, segment: Segment, at: int) -> EpisodeLine:
    start = day_of(episode.started_at)
    return EpisodeLine(
        started_at=to_iso(episode.started_at),
        goal=episode.goal,
        day=day_of(at) - start,
        last_day=to_iso((start + segment.episode_days - 1) * DAY)[:10],
        ended_at=iso(episode.ended_at),
        end_reason=episode.end_reason,
    )


def _is_lower_bound(own: Milestone, tally: Tally, found: tuple[int, int, int], capacity: Capacity) -> bool:
    """Whether what was let go, being too much to keep, may have counted: the state keeps the latest and the earliest.

    Args:
        own: The milestone; it counts a signal.
        tally: What was counted.
        found: The measure, the instant and the instant of sign-up.
        capacity: How much is kept.
    """
    (amount, at, signup), window = found, own.window or DEFAULT_WINDOW
    if own.signal is None or not tally.total:
        return False
    if own.signal.measure == "values":
        return amount >= capacity.values
    if length := since_signup_length(window):
        return tally.total > len(tally.early) and min(signup + length - 1, at) >= tally.early[-1]
    if window.ever and own.signal.measure in ("count", "sum"):
        return False
    first_kept = tally.days[0]
    starts = first_kept if window.days is None else day_of(at) - window.days + 1
    return day_of(tally.first) < first_kept and (window.ever or starts < first_kept)
