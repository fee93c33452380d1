"""Peaks: how high everybody's score ever rose while a tier's gates held, had a definition always been in force.

The stored history is replayed once. From the peaks follows, for any threshold and without reading anything again, who
would have entered a tier and when: at the first peak that is at least as high.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import msgspec

from nudge_sdk.insights.sampling import DRAWN_OF, draw
from nudge_sdk.rules.compiled import Rules, SubjectRules, in_thousandths
from nudge_sdk.rules.counting import TRAIT_KINDS, apply_to_account, apply_to_member
from nudge_sdk.rules.definition import Definition, Entry, Tier
from nudge_sdk.rules.identity import Aliases, Key, Move
from nudge_sdk.rules.measuring import Judged, measure
from nudge_sdk.rules.records import Record
from nudge_sdk.rules.standing import gates_hold, is_opted_out
from nudge_sdk.rules.state import State
from nudge_sdk.rules.times import DAY, FOREVER
from nudge_sdk.store.protocol import Alias

TIERS: tuple[Tier, ...] = ("warm", "hot")
_LOWEST = -FOREVER


class Peak(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A score higher than any before it with which the gates of a tier held.

    Attributes:
        at: The instant, in microseconds.
        score: In thousandths of a point.
        segment: Key of the segment by which it was judged.
    """

    at: int
    score: int
    segment: str


class Climb(msgspec.Struct, kw_only=True, gc=False):
    """The course of one member, or of an account (``user_id`` empty).

    Attributes:
        segment: Key of the segment in the end.
        signed_up_at: In microseconds; None where it is not known.
        won_at: When the first goal was first met; of a member: by its account, where the goal is the account's.
        warm, hot: Peaks towards each tier, by time; each higher than those before it of the same segment.
    """

    account_id: str
    user_id: str
    segment: str = ""
    signed_up_at: int | None = None
    won_at: int | None = None
    warm: list[Peak] = []
    hot: list[Peak] = []


class Climbs(msgspec.Struct, frozen=True, kw_only=True):
    """Everybody's course, or that of a sample of whole accounts.

    Attributes:
        until: The instant the history was read up to.
        first_at: The earliest instant of any event; ``until`` where there is none.
        climbs: Members and accounts.
        share: The share of accounts that was followed, 1 = all.
    """

    until: int
    first_at: int
    climbs: tuple[Climb, ...]
    share: float

    @property
    def is_sample(self) -> bool:
        """Whether only some accounts were followed."""
        return self.share < 1


class History(Protocol):
    """Where a history is read: a store, or the records of an archive."""

    def records(self) -> Iterator[Record]:
        """Yield every record by counted time and id."""

    def aliases(self) -> list[Alias]:
        """Return where everybody's records count who moved."""


def climbs(store: History, rules: Rules, now: int, *, most: int = 20_000) -> Climbs:
    """Replay the stored history as if a definition had always been in force.

    Everybody counts from their first event on for whom they turned out to be, whenever that became known; history that
    was imported counts when it happened. Where there are more than ``most`` members, whole accounts are left out: those
    whose hash does not fall into a share that is halved until few enough are left.

    Args:
        store: Read only, once, from the first event on.
        rules: The definition.
        now: The instant to stop at, in microseconds.
        most: How many members are followed at most.
    """
    return follow(rules, store.records(), aliases_of(store), now, most=most)


def first_entries(climb: Climb, definition: Definition) -> dict[Tier, int]:
    """Return when each tier was first entered by a definition's thresholds; who is hot is warm too."""
    segments = {each.key: each.account if not climb.user_id else each.member for each in definition.segments}
    first: dict[Tier, int] = {}
    for tier, peaks in (("hot", climb.hot), ("warm", climb.warm)):
        for peak in peaks:
            entry: Entry | None = getattr(segments.get(peak.segment), tier, None)
            if entry is not None and peak.score >= in_thousandths(entry.score):
                first["warm"] = min(peak.at, first.get("warm", peak.at))
                if tier == "hot":
                    first["hot"] = peak.at
                break
    return first


def aliases_of(store: History) -> Aliases:
    """Return for whom everybody counts who moved."""
    return Aliases(
        Move((each.account_id, each.user_id), (each.to_account_id, each.to_user_id), each.at, each.id)
        for each in store.aliases()
    )


def follow(
    rules: Rules,
    records: Iterable[Record],
    aliases: Aliases,
    now: int,
    *,
    most: int = 20_000,
    wanted: Callable[[str], bool] | None = None,
) -> Climbs:
    """Do what ``climbs`` does with records that are ordered by (counted time, id).

    Args:
        rules: The definition.
        records: The history.
        aliases: For whom everybody counts who moved.
        now: The instant to stop at, in microseconds.
        most: How many members are followed at most.
        wanted: Whether to follow an account; without it, all.
    """
    walk = _Walk(rules, aliases, most, wanted)
    for record in records:
        if record.counted_at > now:
            break
        walk.take(record)
    walk.step(now)
    return Climbs(
        until=now,
        first_at=now if walk.first_at is None else walk.first_at,
        climbs=tuple(walk.ended()),
        share=walk.share / DRAWN_OF,
    )


class _Walker:
    """A member or an account on its way."""

    __slots__ = ("climb", "judged", "next_change")

    def __init__(self, key: Key, account: State) -> None:
        self.climb = Climb(account_id=key[0], user_id=key[1], warm=[], hot=[])
        self.judged = Judged(key[1], State() if key[1] else account, account, key[0])
        self.next_change = FOREVER

    def look(self, rules: Rules, at: int) -> None:
        """Judge, and write down a new peak."""
        subject = self.judged
        subject.facts.now = at
        segment = rules.segment_of(subject.facts)
        by = segment.member if subject.is_member else segment.account
        self.climb.segment = segment.segment.key
        found = measure(by, subject, at)
        soonest = found.next_change
        if found.is_fading and _has_negative(by):
            soonest = min(soonest, (at // DAY + 1) * DAY)
        if rules.has_timed_segments:
            subject.facts.now = at
            soonest = min([soonest, *(each.next_change(subject.facts) for each in rules.segments if each.next_change)])
        self.next_change = soonest
        if is_opted_out(subject):
            return
        for rule, peaks in ((by.warm, self.climb.warm), (by.hot, self.climb.hot)):
            peak = Peak(at, found.score, segment.segment.key)
            if rule is not None and _is_higher(peak, peaks) and gates_hold(rule, subject, found.totals, at):
                peaks.append(peak)

    def step(self, rules: Rules, to: int) -> None:
        """Judge at every instant up to ``to`` at which time alone changes something."""
        while self.next_change <= to:
            self.look(rules, self.next_change)


class _Walk:
    """All who are followed.

    Attributes:
        share: Accounts are followed whose draw lies below it.
    """

    def __init__(self, rules: Rules, aliases: Aliases, most: int, wanted: Callable[[str], bool] | None) -> None:
        self.rules, self.aliases, self.most, self.wanted = rules, aliases, most, wanted
        self.share = DRAWN_OF
        self.first_at: int | None = None
        self._of: dict[str, dict[str, _Walker]] = {}
        self._members = 0

    def take(self, record: Record) -> None:
        """Count a record, and judge whom it concerns."""
        account_id, user_id = self.aliases.resolve((record.account_id, record.user_id))
        if self.share < DRAWN_OF and draw(account_id) >= self.share:
            return
        if self.wanted is not None and not self.wanted(account_id):
            return
        at = record.counted_at
        if self.first_at is None:
            self.first_at = at
        walkers = self._of.get(account_id)
        if walkers is None:
            walkers = self._of[account_id] = {"": _Walker((account_id, ""), State())}
        account = walkers[""]
        member = walkers.get(user_id) or self._new(account, user_id)
        if account_id not in self._of:
            return
        for each in (account, member):
            each.step(self.rules, at - 1)
        self._count(record, user_id, account, member)
        concerned = walkers.values() if record.kind in TRAIT_KINDS else {account, member}
        for each in concerned:
            if record.kind in TRAIT_KINDS or not each.judged.signup:
                each.step(self.rules, at - 1)
                each.judged.refresh()
            each.look(self.rules, at)

    def step(self, to: int) -> None:
        """Let time pass for everybody."""
        for walkers in self._of.values():
            for each in walkers.values():
                each.step(self.rules, to)

    def ended(self) -> Iterator[Climb]:
        """Yield the courses of all."""
        for walkers in self._of.values():
            for each in walkers.values():
                each.climb.signed_up_at = each.judged.signup or None
                yield each.climb

    def _count(self, record: Record, user_id: str, account: _Walker, member: _Walker) -> None:
        plan = self.rules.plan
        apply_to_account(account.judged.state, record, plan, user_id)
        if user_id:
            apply_to_member(member.judged.state, record, plan, user_id)
        goals = self.rules.goals
        if record.kind == "convert" and goals and record.name == goals[0].key:
            everybody = self._of[account.climb.account_id].values()
            for each in everybody if self._goal_is_of_account() else (account, member):
                if each.climb.won_at is None:
                    each.climb.won_at = record.counted_at

    def _new(self, account: _Walker, user_id: str) -> _Walker:
        account_id = account.climb.account_id
        member = self._of[account_id][user_id] = _Walker((account_id, user_id), account.judged.state)
        if self._goal_is_of_account():
            member.climb.won_at = account.climb.won_at
        self._members += 1
        self._limit()
        return member

    def _goal_is_of_account(self) -> bool:
        return bool(self.rules.goals) and self.rules.goals[0].unit == "account"

    def _limit(self) -> None:
        """Follow fewer accounts while there are too many members."""
        while self._members > self.most and self.share > 1:
            self.share //= 2
            for account_id in [each for each in self._of if draw(each) >= self.share]:
                self._members -= len(self._of.pop(account_id)) - 1


def _is_higher(peak: Peak, peaks: list[Peak]) -> bool:
    return peak.score > next((each.score for each in reversed(peaks) if each.segment == peak.segment), _LOWEST)


def _has_negative(by: SubjectRules) -> bool:
    """Whether a score can rise because points below zero fade."""
    return any(each.points < 0 and each.half_life for each in by.milestones)
