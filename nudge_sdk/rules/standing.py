"""Standing: what a definition says of a member or an account at an instant.

Score, tier and gates are a pure function of definition, state, traits and time. The episode is latched: it is carried
from one standing to the next and never computed again. Whoever said no to everything is not scored at all, until they
say yes again (GDPR, Article 21): no points, no tier, no episode.
"""

from __future__ import annotations

import msgspec

from nudge_sdk.rules.compiled import EntryRule, Rules, SegmentRules, SubjectRules
from nudge_sdk.rules.conditions import Facts
from nudge_sdk.rules.definition import Segment, Tier
from nudge_sdk.rules.measuring import (
    Found,
    Judged,
    active_users,
    evaluate,
    measure,
    measure_earlier,
    signup_of,
)
from nudge_sdk.rules.records import PERSONAL
from nudge_sdk.rules.state import State
from nudge_sdk.rules.times import DAY, FOREVER, day_of, end_of_day


class Episode(msgspec.Struct, frozen=True, array_like=True):
    """What was done with a qualification.

    Attributes:
        started_at: The instant the system first concluded it.
        goal: What it is about.
        tier: The tier whose entry began it.
        definition: Number of the definition in force then.
        cause: Message id of the causing event, or ``time``, ``publication``, ``import``.
        ended_at: When it ended early, or None.
        end_reason: ``goal``, ``opt_out``, ``left`` or ``rolled_back``.
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
        reason: Why nothing was scored: ``opted_out`` of a member who said no to everything, and of their personal
            account; else empty.
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
    reason: str = ""


__all__ = [
    "OPTED_OUT",
    "RANK",
    "UNJUDGED",
    "Episode",
    "Judged",
    "Standing",
    "active_users",
    "decode_standing",
    "encode_standing",
    "evaluate",
    "gates_hold",
    "is_opted_out",
    "join_standings",
    "judge",
    "met_goals",
    "phase_of",
    "signup_of",
]

RANK: dict[Tier, int] = {"none": 0, "warm": 1, "hot": 2}

ROLLED_BACK = "rolled_back"

OPTED_OUT = "opted_out"
_UNSCORED = Found(0, 0, 0, FOREVER, False)

UNJUDGED = Standing(0, 0, "", 0, 0, "none", "none", 0, FOREVER, {})
"""The standing of somebody of whom nothing was ever said."""

encode_standing = msgspec.msgpack.Encoder().encode
decode_standing = msgspec.msgpack.Decoder(Standing).decode


def judge(rules: Rules, subject: Judged, at: int, previous: Standing, cause: str) -> Standing:
    """Return the standing at an instant.

    Args:
        rules: The definition in force.
        subject: Who is judged.
        at: The instant, in microseconds; not before the previous standing's.
        previous: The standing before; its episode and the instants of reached milestones are carried on.
        cause: Message id of the event, or ``time``, ``publication``, ``import``.
    """
    same = _same(rules, subject, at, previous)
    if same is not None:
        return same
    subject.facts.now = at
    segment = rules.segment_of(subject.facts)
    by = segment.member if subject.is_member else segment.account
    entry: Tier = "none"
    tier: Tier = "none"
    found, is_scored = _UNSCORED, not is_opted_out(subject)
    if is_scored:
        found = measure(by, subject, at)
        entry = _entered(by, subject, found.totals, at)
        tier = _held(by, subject, entry, at)
    else:
        subject.memo = None
    episode = _next_episode(rules, segment.segment, subject, previous.episode, (entry, tier, at, cause))
    other_change = _other_change(rules, segment, subject, (at, tier == entry, found, episode))
    standing = Standing(
        at,
        rules.number,
        segment.segment.key,
        found.score,
        found.fit,
        tier,
        entry,
        0 if subject.is_member else _widest_active(by, subject.state, at),
        min(found.next_change, other_change),
        _carry_reached(by, found.mask, previous.reached, at),
        at if RANK[tier] > RANK[previous.tier] else (previous.risen_at if tier == previous.tier else 0),
        episode,
        "" if is_scored else OPTED_OUT,
    )
    if subject.memo is not None:
        subject.memo.judged = (standing, other_change)
    return standing


def _same(rules: Rules, subject: Judged, at: int, previous: Standing) -> Standing | None:
    """Return the previous standing, moved on to ``at``, if what happened since changed no milestone; else None."""
    memo = subject.memo
    if memo is None or memo.judged is None or memo.judged[0] is not previous or previous.definition != rules.number:
        return None
    if not previous.at <= at < previous.next_change:
        return None
    found = measure(memo.by, subject, at)
    if subject.memo is not memo or memo.judged is None:
        return None
    other_change = memo.judged[1]
    standing = Standing(
        at,
        previous.definition,
        previous.segment,
        previous.score,
        previous.fit,
        previous.tier,
        previous.entry,
        previous.active_users,
        min(found.next_change, other_change),
        previous.reached,
        previous.risen_at,
        previous.episode,
    )
    memo.judged = (standing, other_change)
    return standing


def join_standings(target: Standing, source: Standing) -> Standing:
    """Return what a member goes on from when another joined it: its own tier, and the later episode of the two."""
    later = max(target, source, key=lambda standing: standing.at)
    episodes = [standing.episode for standing in (target, source) if standing.episode]
    # The later one, so that the rest after it is not cut short.
    episode = max(episodes, key=lambda each: each.started_at, default=None)
    reached = {**source.reached, **target.reached}
    return msgspec.structs.replace(later, tier=target.tier, risen_at=target.risen_at, episode=episode, reached=reached)


def is_opted_out(subject: Judged) -> bool:
    """Whether a member said no to everything: to nudges, and to being scored; their personal account goes with them."""
    if not subject.state.opted_out or not subject.state.is_opted_out():
        return False
    return subject.is_member or subject.account_id.startswith(PERSONAL)


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
    if episode.end_reason == ROLLED_BACK:
        return ""  # as if it had never been: no rest from what should not have begun
    day = day_of(at) - day_of(episode.started_at)
    if episode.ended_at is None and day < segment.episode_days:
        return "help" if day >= segment.help_after_days else "prompt"
    return "rest" if day_of(at) < _rest_over(episode, segment) else ""


def gates_hold(rule: EntryRule, subject: Judged, found: tuple[int, int, int], at: int) -> bool:
    """Whether everything holds that a tier needs beside its score.

    Args:
        rule: What it takes to enter the tier.
        subject: Who is judged.
        found: Score, fit and reached milestones, as of ``at``.
        at: The instant, in microseconds.
    """
    _, fit, mask = found
    for gate in rule.gates:
        if (mask & gate.mask).bit_count() < gate.at_least:
            return False
        if gate.fit is not None and fit < gate.fit:
            return False
        if gate.active_users and active_users(subject.account, at, gate.days) < gate.active_users:
            return False
    return True


def _enters(rule: EntryRule | None, subject: Judged, found: tuple[int, int, int], at: int) -> bool:
    return rule is not None and found[0] >= rule.score and gates_hold(rule, subject, found, at)


def _entered(by: SubjectRules, subject: Judged, found: tuple[int, int, int], at: int) -> Tier:
    if _enters(by.hot, subject, found, at):
        return "hot"
    return "warm" if _enters(by.warm, subject, found, at) else "none"


def _held(by: SubjectRules, subject: Judged, entry: Tier, at: int) -> Tier:
    best = entry
    if not (by.warm or by.hot):
        return best
    today = day_of(at)
    earliest = today - by.hold_days
    if by.is_counted:
        first = subject.state.first
        earliest = today if first is None else max(earliest, day_of(first))
    for day in range(today - 1, earliest - 1, -1):
        if best == "hot" or (best == "warm" and by.hot is None):
            return best
        end = end_of_day(day)
        earlier = _entered(by, subject, measure_earlier(by, subject, day), end)
        if RANK[earlier] > RANK[best]:
            best = earlier
    return best


def _carry_reached(by: SubjectRules, mask: int, before: dict[str, int], at: int) -> dict[str, int]:
    if not mask:
        return {}
    return {milestone.key: before.get(milestone.key, at) for milestone in by.milestones if mask & milestone.bit}


def _next_episode(
    rules: Rules, segment: Segment, subject: Judged, episode: Episode | None, found: tuple[Tier, Tier, int, str]
) -> Episode | None:
    entry, tier, at, cause = found
    if not subject.is_member:
        return None
    if episode is not None:
        if phase_of(episode, segment, at) in ("prompt", "help"):
            reason = _end_reason(rules, subject, episode)
            if not reason and tier == "none" and _was_taken_back(rules, episode):
                reason = ROLLED_BACK
            return msgspec.structs.replace(episode, ended_at=at, end_reason=reason) if reason else episode
        if phase_of(episode, segment, at) == "rest":
            return episode
    if entry == "none" or is_opted_out(subject) or subject.account.has_left(subject.user_id):
        return episode
    goal = _open_goal(rules, subject)
    if not goal:
        return episode
    return Episode(at, goal, entry, rules.number, cause)


def _was_taken_back(rules: Rules, episode: Episode) -> bool:
    """Whether only a definition that was rolled back since began the episode."""
    return 0 < rules.definition.back_to < episode.definition < rules.number


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


def _other_change(
    rules: Rules, segment: SegmentRules, subject: Judged, judged: tuple[int, bool, Found, Episode | None]
) -> int:
    at, is_entered, found, episode = judged
    subject.facts.now = at
    by = segment.member if subject.is_member else segment.account
    soonest = min(
        found.next_change, _segment_change(rules, subject.facts), _episode_change(episode, segment.segment, at)
    )
    if not is_entered or found.is_fading:
        soonest = min(soonest, (day_of(at) + 1) * DAY)
    if by.active_windows and not subject.is_member:
        soonest = min(soonest, _active_change(by, subject.state, at))
    return soonest


def _segment_change(rules: Rules, facts: Facts) -> int:
    if not rules.has_timed_segments:
        return FOREVER
    return min(segment.next_change(facts) for segment in rules.segments if segment.next_change)


def _episode_change(episode: Episode | None, segment: Segment, at: int) -> int:
    if episode is None:
        return FOREVER
    start = day_of(episode.started_at)
    days = [_rest_over(episode, segment)]
    if episode.ended_at is None:
        days += [start + segment.help_after_days, start + segment.episode_days]
    return min((day * DAY for day in days if day * DAY > at), default=FOREVER)


def _widest_active(by: SubjectRules, account: State, at: int) -> int:
    return active_users(account, at, max(by.active_windows, default=7))


def _active_change(by: SubjectRules, account: State, at: int) -> int:
    """Return the next midnight at which the count of active members that a gate asks for can fall."""
    today = day_of(at)
    leaving = [
        (day + days) * DAY
        for user_id, day in account.members.items()
        for days in by.active_windows
        if today - days < day <= today and not account.has_left(user_id)
    ]
    return min(leaving, default=FOREVER)
