"""Profiles: what this process knows of a member, ready to decide with.

A profile is two packed rows, member and account, as last read, with this process's own undrained records over them. What
was judged from it is kept until an event, a new definition, or the next instant at which time alone changes something.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import NamedTuple

from nudge_sdk.errors import NudgeError
from nudge_sdk.rules.ledger import Ledger, exposures_of
from nudge_sdk.rules.records import Record
from nudge_sdk.rules.selection import Person, opted_out_categories
from nudge_sdk.rules.standing import Judged, Standing, met_goals, phase_of
from nudge_sdk.runtime.catalog import Catalog
from nudge_sdk.runtime.fold import Fold, Work
from nudge_sdk.runtime.intake import Position
from nudge_sdk.runtime.overlay import Overlay
from nudge_sdk.store.protocol import Key, Store, SubjectRow

_CONSISTENT_READS = 4


class View(NamedTuple):
    """A member, judged: all that a decision needs, until ``valid_until``.

    Attributes:
        versions: Versions of the member's and the account's ledger.
    """

    person: Person
    account_standing: Standing
    member: Judged
    account: Judged
    exposures: dict[tuple[str, str], int]
    versions: tuple[int, int]
    judged_at: int
    valid_until: int
    catalog: Catalog


class Pending(NamedTuple):
    """A record of this process that may not be drained yet."""

    journal: str
    offset: int
    record: Record


class Profile:
    """The rows of one member and its account, and what was judged from them."""

    __slots__ = ("loaded_at", "rows", "view")

    def __init__(self, rows: dict[Key, SubjectRow], loaded_at: float) -> None:
        self.rows = rows
        self.loaded_at = loaded_at
        self.view: View | None = None


class Profiles:
    """A bounded cache of profiles, with the undrained records of this process.

    Args:
        store: Where profiles are read from.
        most: How many profiles are kept.
        max_staleness: After how many seconds a profile is read again.
        most_pending: How many undrained records are kept visible; more are safe in the journal but seen later.
    """

    def __init__(self, store: Store, *, most: int, max_staleness: float, most_pending: int = 100_000) -> None:
        self.store = store
        self.most = most
        self.max_staleness = max_staleness
        self.most_pending = most_pending
        self._profiles: OrderedDict[Key, Profile] = OrderedDict()
        self._pending: dict[Key, list[Pending]] = {}
        self._pending_count = 0
        self._members_of: dict[str, set[Key]] = {}
        self._drained: dict[str, int] = {}
        self._moved: dict[Key, tuple[Key, float]] = {}
        self._lock = threading.RLock()

    def note(self, key: Key, journal: str, offset: int, record: Record) -> None:
        """Remember a record of this process until it is drained."""
        with self._lock:
            profile = self._profiles.get(key)
            if offset <= self._drained.get(journal, -1):
                self._drop(key)
                return
            if self._pending_count < self.most_pending:
                self._pending.setdefault(key, []).append(Pending(journal, offset, record))
                self._pending_count += 1
            if profile is not None:
                profile.view = None
            if len(self._members_of.get(key[0], ())) > 1:
                self._forget_views(key[0])

    def drained(self, rows: list[SubjectRow], position: Position | None) -> None:
        """Take over rows that this process's drainer wrote, and drop the pending records they contain."""
        with self._lock:
            if position is not None:
                self._drained[position.journal] = position.offset
            by_key = {row.key: row for row in rows}
            for key in list(self._pending):
                self._keep_undrained(key)
            for account_id in {row.account_id for row in rows}:
                for key in list(self._members_of.get(account_id, ())):
                    self._refresh(key, by_key)

    def forget(self, key: Key) -> None:
        """Read a member anew the next time."""
        with self._lock:
            self._drop(key)

    def put_ledger(self, key: Key, rows: dict[Key, SubjectRow]) -> None:
        """Take over rows whose ledgers this process has just written or read."""
        with self._lock:
            profile = self._profiles.get(key)
            if profile is not None:
                profile.rows.update(rows)
                profile.view = None

    def resolve(self, key: Key) -> Key:
        """Return the member that a member's records count for."""
        known = self._moved.get(key)
        if known is not None and time.monotonic() - known[1] < self.max_staleness:
            return known[0]
        alias = self.store.read_alias(key)
        target = (alias.to_account_id, alias.to_user_id) if alias else key
        if alias is not None and self.store.read_alias(target):
            target = self.resolve(target)
        with self._lock:
            if len(self._moved) >= self.most:
                self._moved.clear()
            self._moved[key] = (target, time.monotonic())
        return target

    def moved(self, source: Key) -> None:
        """Ask the store anew where a member's records count."""
        with self._lock:
            self._moved.pop(source, None)

    def view(self, key: Key, now: int, catalog: Catalog) -> View:
        """Return a member as of now.

        Raises:
            StoreError: The profile is not in memory and the store did not answer.
        """
        profile = self._profiles.get(key)
        if profile is not None and time.monotonic() - profile.loaded_at < self.max_staleness:
            view = profile.view
            if view is not None and view.judged_at <= now < view.valid_until and view.catalog is catalog:
                return view
        else:
            profile = self._read(key, profile)
        return self._judge(key, profile, now, catalog)

    def after_fork(self) -> None:
        """Forget what the parent has not drained: the parent drains it."""
        self._lock = threading.RLock()
        self._pending.clear()
        self._pending_count = 0
        self._profiles.clear()
        self._members_of.clear()

    def _judge(self, key: Key, profile: Profile, now: int, catalog: Catalog) -> View:
        with self._lock:
            pending = [each.record for each in self._pending.get(key, ())]
            rows = dict(profile.rows)
        fold = Fold(Overlay(rows), catalog, now)
        fold.lock([(key[0], ""), key])
        if pending:
            fold.absorb(self._unknown(pending))
        fold.step_to(now)
        view = _view(fold, key, now, catalog, (rows[key].ledger_version, rows[key[0], ""].ledger_version))
        profile.view = view
        return view

    def _unknown(self, records: list[Record]) -> list[Record]:
        """Leave out records the store has already: a message that was delivered again."""
        try:
            known = self.store.read_known(records)
        except NudgeError:
            return records
        return [record for record, is_known in zip(records, known, strict=True) if not is_known]

    def _read(self, key: Key, stale: Profile | None) -> Profile:
        account = (key[0], "")
        try:
            rows = self._read_with_positions(key, account)
        except NudgeError:
            if stale is None:
                raise
            return stale
        for each in (key, account):
            rows.setdefault(each, SubjectRow(account_id=each[0], user_id=each[1]))
        with self._lock:
            self._drop(key)
            profile = self._profiles[key] = Profile(rows, time.monotonic())
            self._members_of.setdefault(key[0], set()).add(key)
            while len(self._profiles) > self.most:
                self._drop(next(iter(self._profiles)))
        return profile

    def _read_with_positions(self, key: Key, account: Key) -> dict[Key, SubjectRow]:
        """Read rows, and with them how far this process's own journals are drained: at one and the same moment."""
        journals = {each.journal for each in self._pending.get(key, ())}
        before: dict[str, int] | None = None
        for _ in range(_CONSISTENT_READS):
            rows = self.store.read_subjects([key, account])
            after = {journal: self.store.read_position(journal) or 0 for journal in journals}
            if not journals or after == before:
                break
            before = after
        with self._lock:
            for journal, offset in (before or {}).items():
                self._drained[journal] = max(offset, self._drained.get(journal, 0))
            self._keep_undrained(key)
        return rows

    def _keep_undrained(self, key: Key) -> None:
        pending = self._pending.get(key)
        if pending is None:
            return
        left = [each for each in pending if each.offset > self._drained.get(each.journal, -1)]
        self._pending_count -= len(pending) - len(left)
        if left:
            self._pending[key] = left
        else:
            del self._pending[key]

    def _refresh(self, key: Key, by_key: dict[Key, SubjectRow]) -> None:
        profile = self._profiles[key]
        for each in (key, (key[0], "")):
            if each in by_key:
                profile.rows[each] = by_key[each]
        profile.view = None

    def _forget_views(self, account_id: str) -> None:
        for key in self._members_of.get(account_id, ()):
            self._profiles[key].view = None

    def _drop(self, key: Key) -> None:
        if self._profiles.pop(key, None) is not None:
            members = self._members_of[key[0]]
            members.discard(key)
            if not members:
                del self._members_of[key[0]]


def _view(fold: Fold, key: Key, now: int, catalog: Catalog, versions: tuple[int, int]) -> View:
    member, account = fold.works[key], fold.works[key[0], ""]
    judged, judged_account = fold.judged(member), fold.judged(account)
    standing = member.standing
    judged.facts.now = now
    segment = catalog.rules.segment_of(judged.facts).segment
    person = Person(
        key[0],
        key[1],
        standing,
        member.ledger,
        account.ledger,
        phase_of(standing.episode, segment, now),
        met_goals(catalog.rules, judged),
        opted_out_categories(member.state),
        account.state.has_left(key[1]),
    )
    _fill_facts(judged, person, account, member.ledger, catalog)
    valid_until = min(
        _next(member.standing), _next(account.standing), catalog.timeline.next_start(now), _next_midnight(standing, now)
    )
    return View(
        person,
        account.standing,
        judged,
        judged_account,
        exposures_of(member.ledger),
        versions,
        now,
        valid_until,
        catalog,
    )
