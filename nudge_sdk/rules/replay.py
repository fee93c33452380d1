"""Replay: the plain reading of the rules over a whole history. The oracle for everything faster.

It knows nothing of packed rows, batches, caches or a standing's ``next_change``: it sorts the records, steps through
every UTC midnight, every since-sign-up limit and every turn of a condition on a time, judges after each record, and
writes down what changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from nudge_sdk.rules.bases import Base, merge_base
from nudge_sdk.rules.conditions import NextChange, compile_next_change
from nudge_sdk.rules.counting import TRAIT_KINDS, apply_to_account, apply_to_member
from nudge_sdk.rules.identity import Aliases, Key, Move, move_of, rename_member
from nudge_sdk.rules.records import Record
from nudge_sdk.rules.signals import Plan, since_signup_length
from nudge_sdk.rules.standing import UNJUDGED, Episode, Judged, Standing, join_standings, judge
from nudge_sdk.rules.state import State
from nudge_sdk.rules.stepping import BY_IMPORT, BY_PUBLICATION, BY_TIME, Timeline
from nudge_sdk.rules.times import DAY, FOREVER


@dataclass
class Course:
    """What replay found for one subject.

    Attributes:
        state: Its state in the end.
        standing: Its standing in the end.
        transitions: (instant, cause, tier before, tier after), oldest first.
        episodes: Every episode, oldest first, in its last form.
        moved_to: Whom it counts for since it moved, or None.
    """

    state: State = field(default_factory=State)
    standing: Standing = UNJUDGED
    transitions: list[tuple[int, str, str, str]] = field(default_factory=list)
    episodes: list[Episode] = field(default_factory=list)
    moved_to: Key | None = None

    def note(self, after: Standing, at: int, cause: str) -> None:
        """Write down the difference that a new standing makes."""
        if after.tier != self.standing.tier:
            self.transitions.append((at, cause, self.standing.tier, after.tier))
        episode = after.episode
        if episode is not None and episode != self.standing.episode:
            if self.episodes and self.episodes[-1].started_at == episode.started_at:
                self.episodes[-1] = episode
            else:
                self.episodes.append(episode)
        self.standing = after


class Start(NamedTuple):
    """Where a replay begins whose oldest records were dropped.

    Attributes:
        bases: What was counted of them.
        moves: Who moved by one of them.
        at: The instant from which on records are there.
    """

    bases: tuple[Base, ...]
    moves: tuple[Move, ...]
    at: int


def replay(
    timeline: Timeline, records: Iterable[Record], *, until: int, start: Start | None = None
) -> dict[Key, Course]:
    """Return the course of every member and account (empty user) up to an instant.

    Args:
        timeline: The definitions in force; everything they count is counted from the first record on.
        records: All records, in any order; equal identities count once. Those marked as history become known together,
            when the last of them arrived.
        until: The instant to stop at, in microseconds; later records are left out.
        start: What is kept of records that were dropped; nothing is known of tiers and episodes before it.
    """
    run = _Run(timeline, start)
    ordered = sorted(_unique(records), key=lambda record: (record.counted_at, record.id))
    history = [record for record in ordered if record.history]
    history_ends = max((record.received_at for record in history), default=FOREVER)
    for record in ordered:
        if history and history_ends <= min(record.counted_at, until):
            run.take_history(history, history_ends)
            history = []
        if not record.history and record.counted_at <= until:
            run.step_to(record.counted_at)
            run.take(record)
    if history and history_ends <= until:
        run.take_history(history, history_ends)
    run.step_to(until)
    return run.courses


def _unique(records: Iterable[Record]) -> Iterable[Record]:
    found: dict[tuple[str, str, str, int], Record] = {}
    for record in records:
        found.setdefault(record.identity, record)
    return found.values()


class _Run:
    def __init__(self, timeline: Timeline, start: Start | None = None) -> None:
        self.timeline = timeline
        self.plan = Plan([signal for rules in timeline.rules for signal in rules.plan.signals.values()])
        self.courses: dict[Key, Course] = {}
        self.aliases = Aliases()
        self.taken: list[Record] = []
        self.now: int | None = None
        self.turns = _turns(timeline)
        self.bases = start.bases if start else ()
        if start:
            self._begin(start)

    def _begin(self, start: Start) -> None:
        self.aliases = Aliases(start.moves)
        for base in self.bases:
            key = self.aliases.resolve(base.key)
            for owner in (key, (key[0], "")):
                self._course(owner)
            self._count_base(base, key)
        self.now = start.at
        self.judge_all(start.at, BY_TIME)

    def _count_base(self, base: Base, key: Key) -> None:
        merge_base(base, key, {owner: self.courses[owner].state for owner in (key, (key[0], ""))}, self.plan)

    def step_to(self, to: int) -> None:
        """Judge everybody at every boundary up to and including an instant."""
        while self.now is not None and (boundary := self._next_boundary(self.now)) <= to:
            is_publication = boundary in {rules.live_at for rules in self.timeline.rules}
            self.judge_all(boundary, BY_PUBLICATION if is_publication else BY_TIME)
            self.now = boundary
        self.now = to

    def take(self, record: Record) -> None:
        """Count one record and judge whom it concerns."""
        move = move_of(record)
        changed: set[str] = set()
        if move is not None:
            before = self.aliases.resolve(move.source)
            if self.aliases.learn(move):
                self._move(move.source, before)
                changed.add(before[0])
        account_id, user_id = self.aliases.resolve((record.account_id, record.user_id))
        account = self._course((account_id, ""))
        apply_to_account(account.state, record, self.plan, user_id)
        if user_id:
            apply_to_member(self._course((account_id, user_id)).state, record, self.plan, user_id)
        self.taken.append(record)
        if record.history:
            return
        for key in list(self.courses):
            is_concerned = key[0] == account_id and (key[1] in ("", user_id) or record.kind in TRAIT_KINDS)
            if self.courses[key].moved_to is None and (is_concerned or key[0] in changed):
                self._judge(key, record.counted_at, record.id)

    def take_history(self, records: Iterable[Record], at: int) -> None:
        """Count imported records and judge everybody as of the end of the import."""
        self.step_to(at)
        for record in records:
            self.take(record)
        self.judge_all(at, BY_IMPORT)

    def judge_all(self, at: int, cause: str) -> None:
        """Judge everybody at an instant."""
        for key, course in list(self.courses.items()):
            if course.moved_to is None:
                self._judge(key, at, cause)

    def _move(self, source: Key, before: Key) -> None:
        """Join a moved member, and the personal account it leaves, with where it counts from now on."""
        target = self.aliases.resolve(source)
        if target == before:
            return
        account = self._course((target[0], ""))
        if self.aliases.resolve(before) == target:
            if before[0] != target[0]:
                self._join((before[0], ""), (target[0], ""), before[1], target[1])
            self._join(before, target, before[1], target[1])
        if before != source:
            self._recount(before[0])
            self._recount(target[0])
        elif source[1] != target[1] and account.state.is_full(self.plan.capacity):
            self._recount(target[0])
        elif source[1] != target[1]:
            rename_member(account.state, source[1], target[1], self.plan)

    def _join(self, source: Key, target: Key, old: str, new: str) -> None:
        moved = self.courses.get(source)
        if moved is None:
            return
        into = self._course(target)
        if old != new:
            rename_member(moved.state, old, new, self.plan)
        into.moved_to = None
        into.state.merge(moved.state, self.plan.capacity)
        into.standing = join_standings(into.standing, moved.standing)
        self.courses[source] = Course(transitions=moved.transitions, episodes=moved.episodes, moved_to=target)

    def _recount(self, account_id: str) -> None:
        """Count an account and its members anew: nothing can be taken out, nor a member renamed at capacity."""
        for key, course in self.courses.items():
            if key[0] == account_id and course.moved_to is None:
                course.state = State()
        for base in self.bases:
            key = self.aliases.resolve(base.key)
            if key[0] == account_id:
                self._course(key)
                self._count_base(base, key)
        for record in self.taken:
            key = self.aliases.resolve((record.account_id, record.user_id))
            if key[0] == account_id:
                apply_to_account(self._course((account_id, "")).state, record, self.plan, key[1])
                if key[1]:
                    apply_to_member(self._course(key).state, record, self.plan, key[1])

    def _course(self, key: Key) -> Course:
        return self.courses.setdefault(key, Course())

    def _judge(self, key: Key, at: int, cause: str) -> None:
        course = self.courses[key]
        account = self.courses[key[0], ""]
        subject = Judged(key[1], course.state, account.state, key[0])
        course.note(judge(self.timeline.at(at), subject, at, course.standing, cause), at, cause)

    def _next_boundary(self, after: int) -> int:
        midnight = (after // DAY + 1) * DAY
        return min(midnight, self.timeline.next_start(after), self._next_limit(after))

    def _next_limit(self, after: int) -> int:
        lengths = {
            since_signup_length(milestone.window)
            for rules in self.timeline.rules
            for milestone in rules.definition.milestones
            if milestone.window
        }
        soonest = FOREVER
        for (account_id, user_id), course in self.courses.items():
            if course.moved_to is not None:
                continue
            subject = Judged(user_id, course.state, self.courses[account_id, ""].state)
            subject.facts.now = after
            limits = [limit for length in lengths if (limit := subject.signup + length) > after]
            soonest = min([soonest, *limits, *(turn(subject.facts) for turn in self.turns)])
        return soonest


def _turns(timeline: Timeline) -> list[NextChange]:
    """Return the functions that tell when the conditions of any definition next turn by time."""
    definitions = [rules.definition for rules in timeline.rules]
    conditions = [milestone.when for known in definitions for milestone in known.milestones]
    conditions += [segment.when for known in definitions for segment in known.segments]
    return [compile_next_change(condition) for condition in conditions if condition is not None]
