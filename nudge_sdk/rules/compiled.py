"""A definition made ready to judge by: signals planned, conditions compiled, points in whole thousandths."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from nudge_sdk.rules.conditions import Condition, Facts, Signal, Window, compile_condition, compile_next_change
from nudge_sdk.rules.definition import (
    CATEGORY_POINTS,
    Decay,
    Definition,
    Entry,
    Milestone,
    Segment,
    Subject,
    Usage,
)
from nudge_sdk.rules.signals import Plan, compile_probe, compile_reader, signal_id, target
from nudge_sdk.rules.state import State
from nudge_sdk.rules.tallies import CAPACITY, Capacity
from nudge_sdk.rules.times import DAY, FOREVER

POINT = 1000
HAND_RAISE = "hand_raise"
HAND_RAISED_EVENT = "hand_raised"
"""Event by which a host says that somebody asked to be contacted."""

Reached = Callable[[State, Facts, int, int], bool]
"""(state, facts, instant, sign-up instant) -> whether the milestone is reached."""

Probe = Callable[[State, Facts, int, int], tuple[bool, int]]
"""The same, and with it the next instant at which time alone changes the answer (or FOREVER)."""


def in_thousandths(points: float) -> int:
    """Return points as a whole number of thousandths."""
    return round(points * POINT)


def built_in_milestones(definition: Definition) -> tuple[Milestone, ...]:
    """Return the definition's milestones and those every definition has: somebody asked to be contacted."""
    own = definition.milestones
    if any(milestone.key == HAND_RAISE for milestone in own):
        return own
    raised = Signal(event=HAND_RAISED_EVENT)
    window = Window(days=30)
    name = "Asked to be contacted"
    return (
        *own,
        Milestone(key=HAND_RAISE, name=name, category="high", points=0, signal=raised, window=window, done=name),
        Milestone(
            key=f"account_{HAND_RAISE}", name=name, subject="account", points=0, signal=raised, window=window, done=name
        ),
    )


class CompiledMilestone:
    """A milestone as one segment judges it.

    Attributes:
        bit: Its place in the set of reached milestones, as a power of two.
        points: In thousandths, before decay and the group's cap.
        half_life, grace: Of its decay, in days; a half-life of 0 means none.
        least: The least number of occurrences with which it can be reached, where only occurrences count.
    """

    __slots__ = (
        "bit", "grace", "group", "half_life", "is_fit", "key", "least", "milestone", "points", "probe", "reached",
        "signal_id",
    )  # fmt: skip

    def __init__(self, milestone: Milestone, bit: int, segment: Segment) -> None:
        points = CATEGORY_POINTS[milestone.category] if milestone.points is None else milestone.points
        self.milestone = milestone
        self.key = milestone.key
        self.bit = bit
        self.points = in_thousandths(points)
        self.is_fit = milestone.axis == "fit"
        self.group = milestone.group
        self.signal_id = signal_id(milestone.signal) if milestone.signal else ""
        is_sum = milestone.signal is not None and milestone.signal.measure == "sum"
        self.least = target(milestone.signal, milestone.at_least) if milestone.signal and not is_sum else 0
        decay = self._decay(segment)
        self.half_life = decay.half_life_days if decay else 0.0
        self.grace = decay.grace_days if decay else 0
        self.reached, self.probe = _compile_milestone(milestone)

    def _decay(self, segment: Segment) -> Decay | None:
        if not self.signal_id or self.is_fit:
            return None
        return self.milestone.decay or segment.decay

    def points_at(self, state: State, at: int) -> int:
        """Return the points of a reached milestone at an instant, faded by its decay.

        Source: exponential decay by half-life, ``points × 0.5^((age − grace) / half_life)``, rounded half to even.
        """
        if not self.half_life:
            return self.points
        age = at // DAY - last_counted_day(state, self.signal_id, at) - self.grace
        return self.points if age <= 0 else round(self.points * 0.5 ** (age / self.half_life))


def last_counted_day(state: State, signal: str, at: int) -> int:
    """Return the last UTC day, up to an instant, on which a signal was counted (that day itself if none)."""
    today = at // DAY
    tally = state.tallies.get(signal)
    for day in reversed(tally.days) if tally else ():
        if day <= today:
            return day
    return today


class GateRule:
    """A gate: of the milestones in ``mask`` at least ``at_least``, enough active users, enough fit."""

    __slots__ = ("active_users", "at_least", "days", "fit", "mask")

    def __init__(self, mask: int, at_least: int, active_users: int, days: int, fit: int | None) -> None:
        self.mask = mask
        self.at_least = at_least
        self.active_users = active_users
        self.days = days
        self.fit = fit


class EntryRule:
    """What it takes to enter a tier."""

    __slots__ = ("gates", "score")

    def __init__(self, entry: Entry, bits: dict[str, int]) -> None:
        self.score = in_thousandths(entry.score)
        self.gates = tuple(
            GateRule(
                sum(bits.get(key, 0) for key in gate.milestones),
                gate.at_least if gate.milestones else 0,
                gate.active_users or 0,
                gate.days,
                None if gate.fit is None else in_thousandths(gate.fit),
            )
            for gate in entry.gates
        )


class SubjectRules:
    """How one segment judges members, or accounts.

    Attributes:
        is_counted: Whether all milestones count events, so that nothing was reached before the first event.
        by_signal: Signal to the milestones it is counted for, and where they stand among ``milestones``.
    """

    __slots__ = (
        "active_windows", "by_signal", "caps", "has_decay", "hold_days", "hot", "is_counted", "milestones",
        "segment", "value_signals", "warm",
    )  # fmt: skip

    def __init__(self, definition: Definition, segment: Segment, subject: Subject) -> None:
        mine = [milestone for milestone in built_in_milestones(definition) if milestone.subject == subject]
        bits = {milestone.key: 1 << index for index, milestone in enumerate(mine)}
        thresholds = segment.member if subject == "member" else segment.account
        self.segment = segment
        self.milestones = tuple(CompiledMilestone(milestone, bits[milestone.key], segment) for milestone in mine)
        self.caps = {group.key: in_thousandths(group.cap) for group in definition.groups}
        self.warm = EntryRule(thresholds.warm, bits) if thresholds.warm else None
        self.hot = EntryRule(thresholds.hot, bits) if thresholds.hot else None
        self.hold_days = segment.hold_days
        self.has_decay = any(milestone.half_life for milestone in self.milestones)
        self.is_counted = all(milestone.signal_id for milestone in self.milestones)
        self.active_windows = frozenset(
            gate.days for rule in (self.warm, self.hot) if rule for gate in rule.gates if gate.active_users
        )
        self.by_signal: dict[str, list[tuple[int, CompiledMilestone]]] = {}
        for index, milestone in enumerate(self.milestones):
            if milestone.signal_id:
                self.by_signal.setdefault(milestone.signal_id, []).append((index, milestone))
        self.value_signals = frozenset(
            signal_id(milestone.signal)
            for milestone in mine
            if milestone.signal and milestone.signal.measure == "values"
        )


class SegmentRules:
    """A segment ready to judge by."""

    __slots__ = ("account", "matches", "member", "next_change", "segment")

    def __init__(self, definition: Definition, segment: Segment) -> None:
        self.segment = segment
        self.matches = compile_condition(segment.when)
        self.next_change = compile_next_change(segment.when) if segment.when else None
        self.member = SubjectRules(definition, segment, "member")
        self.account = SubjectRules(definition, segment, "account")


EVERYBODY = Segment(key="", name="Everybody else")


class Rules:
    """A definition ready to judge by.

    Attributes:
        number: Number of the definition.
        signals: Number of the signal set its definition needs (0 where nothing is stored).
        live_at: The instant from which it holds.
        plan: What to count.
        counted_from: Signal to the UTC day it is counted from, where older events were dropped uncounted.
    """

    def __init__(
        self, definition: Definition, *, live_at: int = 0, signals: int = 0, capacity: Capacity = CAPACITY
    ) -> None:
        self.definition = definition
        self.number = definition.number
        self.live_at = live_at
        self.signals = signals
        self.plan = Plan(signals_of(definition), capacity)
        self.counted_from: dict[str, int] = {}
        self.segments = tuple(SegmentRules(definition, segment) for segment in (*definition.segments, EVERYBODY))
        self.has_timed_segments = any(segment.next_change for segment in self.segments)
        self.goals = definition.goals

    def segment_of(self, facts: Facts) -> SegmentRules:
        """Return the first segment whose condition holds for the account."""
        for segment in self.segments:
            if segment.matches(facts):
                return segment
        return self.segments[-1]


def signals_of(definition: Definition) -> list[Signal]:
    """Return every signal a definition counts: of milestones, and of conditions that count events."""
    found = [milestone.signal for milestone in built_in_milestones(definition) if milestone.signal]
    for condition in _nudge_conditions(definition):
        found.extend(_counted_in(condition))
    return found


def _nudge_conditions(definition: Definition) -> Iterable[Condition]:
    for nudge in definition.nudges:
        yield from (condition for condition in (nudge.audience, nudge.hide) if condition)
    if definition.settings.hide:
        yield definition.settings.hide


def _counted_in(condition: Condition) -> Iterable[Signal]:
    if condition.count:
        yield condition.count
    for inner in (*(condition.all or ()), *(condition.any or ()), *((condition.not_,) if condition.not_ else ())):
        yield from _counted_in(inner)


def _compile_milestone(milestone: Milestone) -> tuple[Reached, Probe]:
    if milestone.signal:
        return _compile_signal(milestone.signal, milestone.window, milestone.at_least)
    if milestone.usage:
        used = _compile_usage(milestone.usage)
        return used, lambda state, facts, at, signup: (used(state, facts, at, signup), FOREVER)
    holds = compile_condition(milestone.when)
    change = compile_next_change(milestone.when) if milestone.when else _never
    return (
        lambda state, facts, at, signup: holds(facts),
        lambda state, facts, at, signup: (holds(facts), change(facts)),
    )


def _never(facts: Facts) -> int:
    return FOREVER


def _compile_signal(signal: Signal, window: Window | None, at_least: float) -> tuple[Reached, Probe]:
    key, needed = signal_id(signal), target(signal, at_least)
    read, look = compile_reader(signal, window), compile_probe(signal, window, needed)

    def reached(state: State, facts: Facts, at: int, signup: int) -> bool:
        tally = state.tallies.get(key)
        return tally is not None and read(tally, at, signup) >= needed

    def probe(state: State, facts: Facts, at: int, signup: int) -> tuple[bool, int]:
        tally = state.tallies.get(key)
        return (False, FOREVER) if tally is None else look(tally, at, signup)

    return reached, probe


def _compile_usage(usage: Usage) -> Reached:
    def reached(state: State, facts: Facts, at: int, signup: int) -> bool:
        share = usage_share(usage, facts)
        return share is not None and share >= usage.share

    return reached


def usage_numbers(usage: Usage, facts: Facts) -> tuple[float, float] | None:
    """Return (value, limit) of a usage limit, each from the context, else the account's traits, else the member's."""
    value, limit = _number(usage.value, facts), _number(usage.limit, facts)
    return None if value is None or limit is None else (value, limit)


def usage_share(usage: Usage, facts: Facts) -> float | None:
    """Return value / limit, or None where either is missing or the limit is not positive."""
    numbers = usage_numbers(usage, facts)
    return numbers[0] / numbers[1] if numbers and numbers[1] > 0 else None


def _number(name: str, facts: Facts) -> float | None:
    for values in (facts.context, facts.account_traits, facts.traits):
        value = values.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value
    return None
