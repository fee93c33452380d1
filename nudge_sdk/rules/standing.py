"""Standing: what a definition says of a member or an account at an instant.

Score, tier and gates are a pure function of definition, state, traits and time. The episode is latched: it is carried
from one standing to the next and never computed again.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from nudge_sdk.errors import RecordError
from nudge_sdk.rules.compiled import EntryRule, Rules, SegmentRules, SubjectRules
from nudge_sdk.rules.conditions import Facts
from nudge_sdk.rules.definition import Segment, Tier
from nudge_sdk.rules.state import State
from nudge_sdk.rules.times import DAY, FOREVER, SECOND, day_of, end_of_day, to_micros


class Episode(msgspec.Struct, frozen=True, array_like=True):
    """What was done with a qualification.

    Attributes:
        started_at: The instant the system first concluded it.
        goal: What it is about.
        tier: The tier whose entry began it.
        definition: Number of the definition in force then.
        cause: Message id of the causing event, or ``time``, ``publication``, ``import``.
        ended_at: When it ended early, or None.
        end_reason: ``goal``, ``opt_out`` or ``left``.
    """

    started_at: int
    goal: str
    tier: Tier
    definition: int
    cause: str
    ended_at: int | None = None
    end_reason: str = ""


class Standing(msgspec.Struct, frozen=True, array_like=True):
    """What is said of a member or an account, as of ``at``.

    Attributes:
        at: The instant it was judged at.
        definition: Number of the definition it was judged by.
        segment: Key of the account's segment; empty for none.
        score, fit: In thousandths of a point.
        tier: The tier that is held.
        entry: The tier whose entry condition is true at this instant.
        active_users: Of an account: active members in the widest window any gate asks for.
        next_change: The next instant at which this can change without an event.
        reached: Milestones that are reached, to the instant at which they were found to be.
        risen_at: When the tier last rose.
        episode: The latest episode of a member.
    """

    at: int
    definition: int
    segment: str
    score: int
    fit: int
    tier: Tier
    entry: Tier
    active_users: int
    next_change: int
    reached: dict[str, int]
    risen_at: int = 0
    episode: Episode | None = None


RANK: dict[Tier, int] = {"none": 0, "warm": 1, "hot": 2}

UNJUDGED = Standing(0, 0, "", 0, 0, "none", "none", 0, FOREVER, {})
"""The standing of somebody of whom nothing was ever said."""

encode_standing = msgspec.msgpack.Encoder().encode
decode_standing = msgspec.msgpack.Decoder(Standing).decode


class Judged:
    """A member or an account to be judged: its state and what of the account matters to it.

    Attributes:
        user_id: The member; empty for the account itself.
        state: Its own state.
        account: The account's state (its own for an account).
        facts: What conditions may look at; ``refresh`` after traits changed.
        signup: The instant of sign-up; 0 where nothing is known.
    """

    __slots__ = ("account", "facts", "signup", "state", "user_id")

    def __init__(self, user_id: str, state: State, account: State) -> None:
        self.user_id = user_id
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

    @property
    def is_member(self) -> bool:
        """Whether this is a member rather than an account."""
        return bool(self.user_id)


def signup_of(traits: dict[str, Any], state: State) -> int:
    """Return the instant of sign-up: trait ``created_at`` (ISO 8601, or Unix seconds), else the first event."""
    given = traits.get("created_at")
    if isinstance(given, int | float) and not isinstance(given, bool):
        return round(given * SECOND)
    if isinstance(given, str | datetime):
        try:
            return to_micros(given)
        except RecordError:
            pass
    return state.first or 0


def judge(rules: Rules, subject: Judged, at: int, previous: Standing, cause: str) -> Standing:
    """Return the standing at an instant.

    Args:
        rules: The definition in force.
        subject: Who is judged.
        at: The instant, in microseconds; not before the previous standing's.
        previous: The standing before; its episode and the instants of reached milestones are carried on.
        cause: Message id of the event, or ``time``, ``publication``, ``import``.
    """
    subject.facts.now = at
    segment = rules.segment_of(subject.facts)
    by = segment.member if subject.is_member else segment.account
    score, fit, mask = evaluate(by, subject, at)
    entry = _entered(by, subject, (score, fit, mask), at)
    tier = _held(by, subject, entry, at)
    reached = _carry_reached(by, mask, previous.reached, at)
    episode = _next_episode(rules, segment.segment, subject, previous.episode, (entry, at, cause))
    return Standing(
        at,
        rules.number,
        segment.segment.key,
        score,
        fit,
        tier,
        entry,
        0 if subject.is_member else _widest_active(by, subject.state, at),
        _next_change(rules, segment, subject, (at, tier, entry, mask, episode)),
        reached,
        at if RANK[tier] > RANK[previous.tier] else (previous.risen_at if tier == previous.tier else 0),
        episode,
    )


def join_standings(target: Standing, source: Standing) -> Standing:
    """Return what a member goes on from when another joined it: the later judged, with the earlier episode."""
    later = max(target, source, key=lambda standing: standing.at)
    episodes = [standing.episode for standing in (target, source) if standing.episode]
    episode = min(episodes, key=lambda each: each.started_at, default=None)
    return msgspec.structs.replace(later, episode=episode, reached={**source.reached, **target.reached})


def evaluate(by: SubjectRules, subject: Judged, at: int) -> tuple[int, int, int]:
    """Return (score, fit, set of reached milestones) at an instant; an earlier day is judged by its day counts."""
    state, facts, signup = subject.state, subject.facts, subject.signup
    facts.now = at
    score = fit = mask = 0
    in_groups: dict[str, int] | None = None
    for milestone in by.milestones:
        if not milestone.reached(state, facts, at, signup):
            continue
        mask |= milestone.bit
        points = milestone.points_at(state, at)
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
    return sum(1 for user_id, day in account.members.items() if day > low and not account.has_left(user_id))


def is_opted_out(subject: Judged) -> bool:
    """Whether a member said no to all nudges."""
    return subject.is_member and subject.state.is_opted_out()


def met_goals(rules: Rules, subject: Judged) -> frozenset[str]:
    """Return the goals that the member, or its account, has met."""
    return frozenset(
        goal.key
        for goal in rules.goals
        if (subject.account if goal.unit == "account" else subject.state).is_met(goal.key)
    )


def phase_of(episode: Episode | None, segment: Segment, at: int) -> str:
    """Return ``prompt``, ``help``, ``rest`` or an empty text for somebody without an episode."""
    if episode is None:
        return ""
    day = day_of(at) - day_of(episode.started_at)
    if episode.ended_at is None and day < segment.episode_days:
        return "help" if day >= segment.help_after_days else "prompt"
    return "rest" if day_of(at) < _rest_over(episode, segment) else ""


def _enters(rule: EntryRule | None, subject: Judged, found: tuple[int, int, int], at: int) -> bool:
    if rule is None:
        return False
    score, fit, mask = found
    if score < rule.score:
        return False
    for gate in rule.gates:
        if (mask & gate.mask).bit_count() < gate.at_least:
            return False
        if gate.fit is not None and fit < gate.fit:
            return False
        if gate.active_users and active_users(subject.account, at, gate.days) < gate.active_users:
            return False
    return True


def _entered(by: SubjectRules, subject: Judged, found: tuple[int, int, int], at: int) -> Tier:
    if _enters(by.hot, subject, found, at):
        return "hot"
    return "warm" if _enters(by.warm, subject, found, at) else "none"


def _held(by: SubjectRules, subject: Judged, entry: Tier, at: int) -> Tier:
    best = entry
    first = subject.state.first
    if first is None or not (by.warm or by.hot):
        return best
    today = day_of(at)
    for day in range(today - 1, max(today - by.hold_days, day_of(first)) - 1, -1):
        if best == "hot" or (best == "warm" and by.hot is None):
            return best
        end = end_of_day(day)
        earlier = _entered(by, subject, evaluate(by, subject, end), end)
        if RANK[earlier] > RANK[best]:
            best = earlier
    return best


def _carry_reached(by: SubjectRules, mask: int, before: dict[str, int], at: int) -> dict[str, int]:
    if not mask:
        return {}
    return {milestone.key: before.get(milestone.key, at) for milestone in by.milestones if mask & milestone.bit}


def _next_episode(
    rules: Rules, segment: Segment, subject: Judged, episode: Episode | None, found: tuple[Tier, int, str]
) -> Episode | None:
    entry, at, cause = found
    if not subject.is_member:
        return None
    if episode is not None:
        if phase_of(episode, segment, at) in ("prompt", "help"):
            reason = _end_reason(rules, subject, episode)
            return msgspec.structs.replace(episode, ended_at=at, end_reason=reason) if reason else episode
        if phase_of(episode, segment, at) == "rest":
            return episode
    goal = _open_goal(rules, subject)
    if entry == "none" or not goal or is_opted_out(subject) or subject.account.has_left(subject.user_id):
        return episode
    return Episode(at, goal, entry, rules.number, cause)


def _end_reason(rules: Rules, subject: Judged, episode: Episode) -> str:
    if episode.goal in met_goals(rules, subject):
        return "goal"
    if is_opted_out(subject):
        return "opt_out"
    return "left" if subject.account.has_left(subject.user_id) else ""


def _open_goal(rules: Rules, subject: Judged) -> str:
    met = met_goals(rules, subject)
    return next((goal.key for goal in rules.goals if goal.key not in met), "")


def _rest_over(episode: Episode, segment: Segment) -> int:
    if episode.ended_at is not None:
        last = day_of(episode.ended_at)
    else:
        last = day_of(episode.started_at) + segment.episode_days - 1
    return last + 1 + segment.rest_days


def _next_change(
    rules: Rules, segment: SegmentRules, subject: Judged, found: tuple[int, Tier, Tier, int, Episode | None]
) -> int:
    at, tier, entry, mask, episode = found
    state, facts = subject.state, subject.facts
    facts.now = at
    by = segment.member if subject.is_member else segment.account
    soonest = _segment_change(rules, facts)
    if tier != entry or (by.has_decay and _is_fading(by, state, mask, at)):
        soonest = min(soonest, (day_of(at) + 1) * DAY)
    for milestone in by.milestones:
        soonest = min(soonest, milestone.next_change(state, facts, at))
    if not subject.is_member:
        soonest = min(soonest, _active_change(by, state, at))
    return min(soonest, _episode_change(episode, segment.segment, at))


def _is_fading(by: SubjectRules, state: State, mask: int, at: int) -> bool:
    """Whether any points that fade are left: whole days decide, so the next midnight may change the score."""
    return any(
        milestone.half_life and mask & milestone.bit and milestone.points_at(state, at) for milestone in by.milestones
    )


def _segment_change(rules: Rules, facts: Facts) -> int:
    changes = [segment.next_change(facts) for segment in rules.segments if segment.next_change]
    return min(changes, default=FOREVER)


def _episode_change(episode: Episode | None, segment: Segment, at: int) -> int:
    if episode is None:
        return FOREVER
    start = day_of(episode.started_at)
    days = [_rest_over(episode, segment)]
    if episode.ended_at is None:
        days += [start + segment.help_after_days, start + segment.episode_days]
    return min((day * DAY for day in days if day * DAY > at), default=FOREVER)


def _gates(by: SubjectRules) -> list[tuple[int, int]]:
    rules = [rule for rule in (by.warm, by.hot) if rule]
    return [(gate.active_users, gate.days) for rule in rules for gate in rule.gates if gate.active_users]


def _widest_active(by: SubjectRules, account: State, at: int) -> int:
    return active_users(account, at, max((days for _, days in _gates(by)), default=7))


def _active_change(by: SubjectRules, account: State, at: int) -> int:
    """Return the next midnight at which the count of active members can fall."""
    windows = {days for _, days in _gates(by)} or {7}
    today = day_of(at)
    leaving = [
        (day + days) * DAY
        for user_id, day in account.members.items()
        for days in windows
        if today - days < day <= today and not account.has_left(user_id)
    ]
    return min(leaving, default=FOREVER)
