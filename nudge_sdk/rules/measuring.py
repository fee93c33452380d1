"""Measuring: which milestones are reached at an instant, and what they contribute.

What was measured is remembered for as long as nothing it depends on changes: until the next event of a signal, the next
midnight, or the next instant at which time alone changes a milestone.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from datetime import datetime
from typing import Any, NamedTuple

from nudge_sdk.errors import RecordError
from nudge_sdk.rules.compiled import SubjectRules
from nudge_sdk.rules.conditions import Facts
from nudge_sdk.rules.signals import Counted
from nudge_sdk.rules.state import MEMBERS, State
from nudge_sdk.rules.times import DAY, FOREVER, SECOND, day_of, end_of_day, to_micros

_LAST_SECOND = 10**12
"""Larger numbers are no Unix times: they lie beyond the year 33,000."""

Totals = tuple[int, int, int]
"""(score, fit, set of reached milestones)."""


class Found(NamedTuple):
    """What the milestones come to.

    Attributes:
        score, fit: In thousandths of a point.
        mask: The reached milestones, as bits.
        next_change: The next instant at which time alone changes one of them.
        is_fading: Whether points are left that fade, so that the next midnight may change the score.
    """

    score: int
    fit: int
    mask: int
    next_change: int
    is_fading: bool

    @property
    def totals(self) -> Totals:
        """(score, fit, mask)."""
        return (self.score, self.fit, self.mask)


class Judged:
    """A member or an account to be judged: its state and what of the account matters to it.

    Attributes:
        user_id: The member; empty for the account itself.
        state: Its own state.
        account: The account's state (its own for an account).
        facts: What conditions may look at; ``refresh`` after traits changed.
        signup: The instant of sign-up; 0 where nothing is known.
        memo: What was last measured, or None.
    """

    __slots__ = ("account", "account_id", "facts", "memo", "signup", "state", "user_id")

    memo: Memo | None

    def __init__(self, user_id: str, state: State, account: State, account_id: str = "") -> None:
        self.user_id = user_id
        self.account_id = account_id
        self.state = state
        self.account = account
        self.refresh()

    def refresh(self) -> None:
        """Read traits anew."""
        facts = Facts(0)
        facts.account_traits = self.account.plain_traits()
        facts.traits = self.state.plain_traits() if self.user_id else {}
        self.facts = facts
        self.signup = signup_of(facts.traits if self.user_id else facts.account_traits, self.state)
        facts.signup_at = self.signup
        facts.state = self.state
        self.memo = None

    def with_exposures(self, exposures: dict[tuple[str, str], int]) -> Judged:
        """Return the same subject to whom other things were shown."""
        other = copy(self)
        other.facts = copy(self.facts)
        other.facts.exposures = exposures
        return other

    def at_rest(self, state: State, account: State) -> Judged:
        """Return the same subject with these states in the place of its own, and without what was measured."""
        other = copy(self)
        other.facts = copy(self.facts)
        other.settle(state, account)
        return other

    def settle(self, state: State, account: State) -> None:
        """Go on with these states in the place of its own, and without what was measured."""
        self.state, self.account, self.memo = state, account, None
        self.facts.state = state

    @property
    def is_member(self) -> bool:
        """Whether this is a member rather than an account."""
        return bool(self.user_id)


def signup_of(traits: dict[str, Any], state: State) -> int:
    """Return the instant of sign-up: trait ``created_at`` (ISO 8601, or Unix seconds), else the first event."""
    given = traits.get("created_at")
    if isinstance(given, int | float) and not isinstance(given, bool) and abs(given) < _LAST_SECOND:
        return round(given * SECOND)
    if isinstance(given, str | datetime):
        try:
            return to_micros(given)
        except RecordError:
            pass
    return state.first or 0


class Memo:
    """What was measured, a milestone at a time.

    Attributes:
        since, until: The span of instants it holds for.
        points: Of each milestone: its points, or None where it is not reached.
        changes: Of each milestone: when time alone changes it.
        earlier: Earlier UTC days, judged at their end.
        judged: The standing that was judged from it, and when anything but the milestones changes it; None once
            something else than the time of the next change may differ.
    """

    __slots__ = ("by", "changes", "earlier", "found", "judged", "points", "since", "until")

    def __init__(self, by: SubjectRules, subject: Judged, at: int) -> None:
        self.by = by
        self.since = at
        self.points: list[int | None] = [None] * len(by.milestones)
        self.changes = [FOREVER] * len(by.milestones)
        self.earlier: dict[int, Totals] = {}
        self.judged: tuple[Any, int] | None = None
        self._measure(subject, at, range(len(by.milestones)))
        self.found = self._total()
        self.until = min(self.found.next_change, (at // DAY + 1) * DAY)

    def again(self, subject: Judged, at: int) -> None:
        """Measure what was touched since."""
        by, touched = self.by, subject.state.touched
        is_late = min(touched.values()) < at // DAY
        if is_late or any(each in touched and _has_other_values(subject, each) for each in by.value_signals):
            self.earlier.clear()
            self.judged = None
        if MEMBERS in touched:
            self.judged = None
        if self._measure_touched(subject, at):
            score, fit, mask, _, is_fading = self.found
            self.found = Found(score, fit, mask, min(self.changes), is_fading)
        else:
            self.judged = None
            self.found = self._total()
        self.until = min(self.found.next_change, (at // DAY + 1) * DAY)

    def _measure_touched(self, subject: Judged, at: int) -> bool:
        """Measure the milestones of signals that were counted; whether all contribute what they did."""
        state, facts, signup, is_same = subject.state, subject.facts, subject.signup, True
        facts.now = at
        for key in state.touched:
            for index, milestone in self.by.by_signal.get(key, ()):
                before = self.points[index]
                if before is None and state.tallies[key].total < milestone.least:
                    continue
                is_reached, self.changes[index] = milestone.probe(state, facts, at, signup)
                points = milestone.points_at(state, at) if is_reached else None
                if points != before:
                    self.points[index], is_same = points, False
        return is_same

    def is_turned(self, subject: Judged, counted: Counted, at: int) -> bool:
        """Whether a signal that was counted may have turned a milestone, or faded its points less."""
        if counted.kind == "sums" or (counted.kind == "values" and _has_other_values(subject, counted.id)):
            return True
        state, total = subject.state, subject.state.tallies[counted.id].total
        for index, milestone in self.by.by_signal.get(counted.id, ()):
            points = self.points[index]
            if points is None:
                if total >= milestone.least and milestone.probe(state, subject.facts, at, subject.signup)[0]:
                    return True
            elif milestone.half_life and milestone.points_at(state, at) != points:
                return True
        return False

    def _measure(self, subject: Judged, at: int, indexes: Iterable[int]) -> None:
        state, facts, signup = subject.state, subject.facts, subject.signup
        facts.now = at
        for index in indexes:
            milestone = self.by.milestones[index]
            is_reached, self.changes[index] = milestone.probe(state, facts, at, signup)
            self.points[index] = milestone.points_at(state, at) if is_reached else None

    def _total(self) -> Found:
        next_change = min(self.changes, default=FOREVER)
        return Found(*_totals(self.by, self.points), next_change, self.by.has_decay and self._is_fading())

    def _is_fading(self) -> bool:
        return any(points and each.half_life for points, each in zip(self.points, self.by.milestones, strict=True))


def measure(by: SubjectRules, subject: Judged, at: int) -> Found:
    """Return what the milestones come to at an instant, from what was measured before where that still holds."""
    memo = subject.memo
    if memo is None or memo.by is not by or not memo.since <= at < memo.until:
        memo = subject.memo = Memo(by, subject, at)
    elif subject.state.touched:
        memo.again(subject, at)
    if subject.state.touched:
        subject.state.note_measured()
    return memo.found


def is_quiet(subject: Judged, standing: Any, counted: Iterable[Counted], at: int) -> bool:
    """Whether what was counted since a standing changes nothing of it but its instant and its next change.

    It is asked after each event, so that no event is passed over; counts of anything but amounts only rise.

    Args:
        subject: Who was judged.
        standing: What it was judged to be.
        counted: The signals that the last event can have been counted for.
        at: The instant of that event, or the standing's if that is later.
    """
    memo, state = subject.memo, subject.state
    if memo is None or memo.judged is None or memo.judged[0] is not standing or MEMBERS in state.touched:
        return False
    if not memo.since <= at < memo.until or at >= standing.next_change:
        return False
    today, touched = at // DAY, state.touched
    for each in counted:
        if each.id in touched and (touched[each.id] < today or memo.is_turned(subject, each, at)):
            return False
    return True


def _has_other_values(subject: Judged, signal: str) -> bool:
    """Whether the distinct values of a signal differ from when they were measured, or may be counted otherwise."""
    return signal in subject.state.renewed or subject.state.tallies[signal].first < subject.signup


def measure_earlier(by: SubjectRules, subject: Judged, day: int) -> Totals:
    """Return what the milestones came to at the end of an earlier day, judged by its day counts."""
    memo = subject.memo
    if memo is None or memo.by is not by:
        return evaluate(by, subject, end_of_day(day))
    found = memo.earlier.get(day)
    if found is None:
        found = memo.earlier[day] = evaluate(by, subject, end_of_day(day))
    return found


def evaluate(by: SubjectRules, subject: Judged, at: int) -> Totals:
    """Return (score, fit, set of reached milestones) at any instant; an earlier day is judged by its day counts."""
    state, facts, signup = subject.state, subject.facts, subject.signup
    facts.now = at
    return _totals(
        by,
        [
            milestone.points_at(state, at) if milestone.reached(state, facts, at, signup) else None
            for milestone in by.milestones
        ],
    )


def _totals(by: SubjectRules, contributions: list[int | None]) -> Totals:
    score = fit = mask = 0
    in_groups: dict[str, int] | None = None
    for milestone, points in zip(by.milestones, contributions, strict=True):
        if points is None:
            continue
        mask |= milestone.bit
        if milestone.is_fit:
            fit += points
        elif milestone.group in by.caps:
            in_groups = in_groups or {}
            in_groups[milestone.group] = in_groups.get(milestone.group, 0) + points
        else:
            score += points
    if in_groups:
        score += sum(min(points, by.caps[group]) for group, points in in_groups.items())
    return score, fit, mask


def active_users(account: State, at: int, days: int) -> int:
    """Return how many members had any event in the last ``days`` UTC days and have not left."""
    low = day_of(at) - days
    if not account.left:
        return sum(1 for day in account.members.values() if day > low)
    return sum(1 for user_id, day in account.members.items() if day > low and not account.has_left(user_id))
