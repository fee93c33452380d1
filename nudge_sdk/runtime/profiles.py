"""Profiles: what this process knows of a member, ready to decide with.

A profile is two packed rows, member and account, as last read, with this process's own undrained records over them.
What was judged from it is kept until an event, a new definition, or the next instant at which time alone changes it.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import msgspec

from nudge_sdk.errors import NudgeError
from nudge_sdk.rules.records import Record
from nudge_sdk.rules.selection import Shortlist
from nudge_sdk.rules.times import FOREVER
from nudge_sdk.runtime.catalog import Catalog
from nudge_sdk.runtime.intake import Position
from nudge_sdk.runtime.undrained import Undrained
from nudge_sdk.runtime.views import View, at_rest, grounds, resting_view, view_of, with_ledgers
from nudge_sdk.store.protocol import Key, ProfileRows, Store, SubjectRow

_CONSISTENT_READS = 4
_LONGEST_CHAIN = 8
_DRAINED_KEPT = 1000
_OF_ONE = frozenset({"track", "exposure", "identify", "opt_out", "opt_in"})
"""Kinds of records that change no other member than their own."""


class Pending(msgspec.Struct, frozen=True, gc=False):
    """A record of this process that may not be drained yet.

    Attributes:
        is_ours: Whether its message id was made here, so that it cannot have been delivered before.
    """

    journal: str
    offset: int
    record: Record
    is_ours: bool


class Profile:
    """The rows of one member and its account, and what was judged from them.

    Attributes:
        taken: How many undrained records of this process are part of that, a source; empty for none.
        is_moved: Whether the member's records count for another.
        shortlists: Those of the last view, with the grounds they rest on.
    """

    __slots__ = ("is_moved", "loaded_at", "rows", "shortlists", "taken", "view")

    def __init__(self, rows: dict[Key, SubjectRow], loaded_at: float) -> None:
        self.rows = rows
        self.loaded_at = loaded_at
        self.is_moved = False
        self.shortlists: tuple[tuple[object, ...], dict[str, Shortlist]] = ((), {})
        self.reset()

    def reset(self) -> None:
        """Forget what was judged."""
        self.view: View | None = None
        self.taken: dict[str, int] = {}

    def judged(self, view: View, taken: dict[str, int]) -> None:
        """Keep what was judged of the rows and the undrained records; most events leave the shortlists as they were."""
        known, found = self.shortlists, grounds(view)
        if known[0] == found:
            view.shortlists.update(known[1])
        self.view, self.taken, self.shortlists = view, taken, (found, view.shortlists)

    def renew(self, key: Key, fresh: dict[Key, SubjectRow]) -> None:
        """Take over rows; what was judged stays where only ledgers changed and nothing undrained is part of it."""
        is_alike = all(_counts_alike(self.rows[each], row) for each, row in fresh.items())
        view = self.view if is_alike and fresh and not self.taken else None
        self.rows = {**self.rows, **fresh}
        self.reset()
        if view is not None:
            self.view = with_ledgers(view, self.rows[key], self.rows[key[0], ""])


class Profiles:
    """A bounded cache of profiles, with the undrained records of this process.

    Args:
        store: Where profiles are read from.
        most: How many profiles are kept.
        max_staleness: After how many seconds a profile is read again.
        most_pending: How many undrained records are kept visible; more are safe in the journal but seen later.
        folder: Where this process's journals are.
    """

    def __init__(
        self,
        store: Store,
        *,
        most: int,
        max_staleness: float,
        most_pending: int = 100_000,
        folder: Path | None = None,
    ) -> None:
        self.store = store
        self.folder = folder
        self.most = most
        self.max_staleness = max_staleness
        self.most_pending = most_pending
        self.after_fork()

    def after_fork(self) -> None:
        """Begin empty: what a parent has not drained, the parent drains."""
        self._lock = threading.RLock()
        self._profiles: OrderedDict[Key, Profile] = OrderedDict()
        self._members_of: dict[str, set[Key]] = {}
        self._pending: dict[str, list[Pending]] = {}
        self._pending_count = 0
        self._undrained: dict[str, Undrained] = {}
        self._next_forgetting = 0.0
        self._journals: set[str] = set()
        self._drained: dict[str, int] = {}
        self._moved: dict[Key, tuple[Key, float]] = {}

    def note(self, pending: Pending) -> None:
        """Remember a record of this process until it is drained."""
        account_id = pending.record.account_id
        moved = self._moved.get((account_id, pending.record.user_id))
        if moved is not None:
            account_id = moved[0][0]
        with self._lock:
            self._journals.add(pending.journal)
            if pending.offset <= self._drained.get(pending.journal, -1):
                for key in list(self._members_of.get(account_id, ())):
                    self._drop(key)
            elif self._pending_count < self.most_pending:
                self._pending.setdefault(account_id, []).append(pending)
                self._pending_count += 1

    def drained(self, rows: list[SubjectRow], position: Position | None) -> None:
        """Take over rows that this process wrote, and drop the pending records they contain."""
        with self._lock:
            if position is not None:
                self._note_drained({position.journal: position.offset})
            by_key = {row.key: row for row in rows}
            for account_id in {*self._pending, *(row.account_id for row in rows)}:
                self._renew(account_id, by_key)

    def positions(self, read: Callable[[str], int | None]) -> dict[str, int]:
        """Return how far each journal of this process is drained.

        Args:
            read: Returns what the store holds of a journal; nothing if it never was drained, or drained and removed.
        """
        found = {}
        for journal in list(self._journals):
            stored = read(journal)
            is_gone = stored is None and self.folder is not None and not (self.folder / journal).exists()
            found[journal] = FOREVER if is_gone else stored or 0
        return found

    def put(self, rows: dict[Key, SubjectRow], positions: dict[str, int]) -> None:
        """Take over rows that this process has just written.

        Args:
            rows: The rows.
            positions: How far journals were drained at that moment, so that nothing in the rows counts twice.
        """
        with self._lock:
            is_newest = self._is_newest(positions)
            self._note_drained(positions)
            for account_id in {account_id for account_id, _ in rows}:
                self._renew(account_id, rows if is_newest else {})

    def forget(self, account_id: str) -> None:
        """Read an account's members anew the next time."""
        with self._lock:
            for key in list(self._members_of.get(account_id, ())):
                self._drop(key)

    def resolve(self, key: Key) -> Key:
        """Return the member that a member's records count for.

        Raises:
            StoreError: It is not known here and the store did not answer.
        """
        known = self._moved.get(key)
        if known is not None and time.monotonic() - known[1] < self.max_staleness:
            return known[0]
        try:
            target = self._read_target(key)
        except NudgeError:
            if known is None:
                raise
            target = known[0]
        self._remember(key, target)
        return target

    def _remember(self, key: Key, target: Key) -> None:
        with self._lock:
            if len(self._moved) >= self.most:
                self._moved.clear()
            self._moved[key] = (target, time.monotonic())

    def _meet(self, sent: Key) -> Key:
        """Return whom a member's records count for; most were never moved, and are read in the same breath."""
        known = self._moved.get(sent)
        if known is None or known[0] == sent:
            profile = self._read(sent, self._profiles.get(sent))
            if not profile.is_moved:
                self._remember(sent, sent)
                return sent
        return self.resolve(sent)

    def _read_target(self, key: Key) -> Key:
        for _ in range(_LONGEST_CHAIN):
            alias = self.store.read_alias(key)
            if alias is None:
                break
            key = (alias.to_account_id, alias.to_user_id)
        return key

    def moved(self, source: Key | None = None) -> None:
        """Ask the store anew where members' records count; the undrained ones of a source go along with it."""
        with self._lock:
            self._moved.clear()
        if source is None or source[0] not in self._pending:
            return
        target = self.resolve(source)
        with self._lock:
            pending = self._pending.pop(source[0], [])
            for each in pending:
                is_moved = (each.record.account_id, each.record.user_id) == source
                self._pending.setdefault(target[0] if is_moved else source[0], []).append(each)
            self.forget(source[0])
            self.forget(target[0])

    def view(self, sent: Key, now: int, catalog: Catalog, *, is_kept: bool = True) -> View:
        """Return a member as of now.

        Args:
            sent: (account, user) as the host says it.
            now: The present instant in microseconds.
            catalog: The published definitions.
            is_kept: Whether to keep what was judged; not for another instant than the present one.

        Raises:
            StoreError: The profile is not in memory and the store did not answer.
        """
        oldest = time.monotonic() - self.max_staleness
        moved = self._moved.get(sent)
        if moved is not None and moved[1] > oldest:
            key = moved[0]
            found = self._profiles.get(key)
            # The usual case by itself: nothing changed since this member was last looked at.
            if found is not None and is_kept and not found.taken and found.loaded_at > oldest:
                view, pending = found.view, self._pending
                is_quiet = not pending or (key[0] not in pending and sent[0] not in pending)
                if (
                    is_quiet
                    and view is not None
                    and view.catalog is catalog
                    and view.judged_at <= now < view.valid_until
                ):
                    return view
        else:
            key = self._meet(sent)
        return self._look(key, sent, now, catalog, is_kept=is_kept)

    def _look(self, key: Key, sent: Key, now: int, catalog: Catalog, *, is_kept: bool) -> View:
        oldest = time.monotonic() - self.max_staleness
        attempts = 0
        while True:
            attempts += 1
            found = self._profiles.get(key)
            is_fresh = found is not None and found.loaded_at > oldest
            # Where the definition is new, a new signal may have been counted in the store since the rows were read.
            if found is None or not is_fresh or (found.view is not None and found.view.catalog is not catalog):
                found = self._read(key, found)
            view = found.view
            if view is not None and is_kept and view.catalog is catalog and view.judged_at <= now < view.valid_until:
                counts = {name: len(self._pending.get(name, ())) for name in (key[0], sent[0])}
                if all(count == found.taken.get(name, 0) for name, count in counts.items()):
                    return view
            with self._lock:
                # Another thread may have drained what was pending, and so made these rows too old.
                if self._profiles.get(key) is found or attempts == _CONSISTENT_READS:
                    return self._judge(key, sent, found, now, catalog, is_kept=is_kept)

    def _judge(self, key: Key, sent: Key, profile: Profile, now: int, catalog: Catalog, *, is_kept: bool) -> View:
        pending = {name: self._pending[name] for name in (key[0], sent[0]) if name in self._pending}
        if is_kept and not pending:
            resting = resting_view(profile.rows, key, now, catalog)
            if resting is not None:
                profile.judged(resting, {})
                return resting
        together = self._holding(key, profile, pending, now, catalog) if is_kept else None
        if together is None:
            together = Undrained(catalog, now, self._known_target)
            together.hold(profile.rows)
        fresh: list[Pending] = []
        for name, records in pending.items():
            fresh += records[together.taken.get(name, 0) :]
            together.taken[name] = len(records)
        if fresh:
            together.absorb(self._new(fresh))
        together.fold.step_to(now, profile.rows)
        versions = (profile.rows[key].ledger_version, profile.rows[key[0], ""].ledger_version)
        view = view_of(together.fold, key, now, catalog, versions)
        if is_kept:
            taken = {name: len(records) for name, records in pending.items()}
            profile.judged(view if taken else at_rest(view, profile.rows), taken)
        return view

    def _holding(
        self, key: Key, profile: Profile, pending: dict[str, list[Pending]], now: int, catalog: Catalog
    ) -> Undrained | None:
        """Return the account's fold with this member in it, or None where nothing is undrained."""
        if not pending:
            return None
        known = self._undrained.get(key[0])
        if known is not None and known.fold.catalog is catalog and known.hold(profile.rows):
            return known
        together = self._undrained[key[0]] = Undrained(catalog, now, self._known_target)
        together.hold(profile.rows)
        account = profile.rows[key[0], ""]
        for each in {(one.record.account_id, one.record.user_id) for records in pending.values() for one in records}:
            colleague = self._profiles.get(self._known_target(each) or each)
            if colleague is not None and colleague.rows.get((key[0], "")) is account:
                together.hold(colleague.rows)
        return together

    def _known_target(self, key: Key) -> Key | None:
        known = self._moved.get(key)
        return known[0] if known is not None else None

    def _new(self, pending: list[Pending]) -> list[Record]:
        """Leave out records the store has already: a message that the host delivered again."""
        foreign = [each.record for each in pending if not each.is_ours and each.record.kind != "exposure"]
        known: set[tuple[str, str, str, int]] = set()
        if foreign:
            try:
                found = self.store.read_known(foreign)
            except NudgeError:
                found = [False] * len(foreign)
            known = {record.identity for record, is_known in zip(foreign, found, strict=True) if is_known}
        return [each.record for each in pending if each.is_ours or each.record.identity not in known]

    def _read(self, key: Key, stale: Profile | None) -> Profile:
        """Read a member, and with it how far this process's own journals are drained: at one and the same moment."""
        try:
            for attempt in range(_CONSISTENT_READS):
                read = self.store.read_profile(key, list(self._journals))
                positions = self.positions(read.positions.get)
                # A file may have been drained and removed since the rows were read.
                if not attempt and FOREVER in positions.values():
                    continue
                with self._lock:
                    if self._is_newest(positions):
                        return self._insert(key, read, positions)
            with self._lock:
                return self._insert(key, read, positions)
        except NudgeError:
            if stale is None:
                raise
            # Not asked again for a while: what this process knows is better than a request that waits.
            stale.loaded_at = time.monotonic()
            return stale

    def _insert(self, key: Key, read: ProfileRows, positions: dict[str, int]) -> Profile:
        rows = read.rows
        for each in (key, (key[0], "")):
            rows.setdefault(each, SubjectRow(account_id=each[0], user_id=each[1]))
        self._keep_known(key, rows)
        self._note_drained(positions)
        self._renew(key[0], rows)
        self._forget_drained(positions)
        profile = self._profiles.pop(key, None)
        if profile is None:
            profile = Profile(rows, 0.0)
            self._members_of.setdefault(key[0], set()).add(key)
        profile.loaded_at = time.monotonic()
        profile.is_moved = read.is_moved
        self._profiles[key] = profile
        while len(self._profiles) > self.most:
            self._drop(next(iter(self._profiles)))
        return profile

    def _keep_known(self, key: Key, rows: dict[Key, SubjectRow]) -> None:
        """Put the rows that are known already in the place of equal ones: colleagues share their account's."""
        colleague = next(iter(self._members_of.get(key[0], ())), None)
        for known in (self._profiles.get(key), self._profiles.get(colleague) if colleague else None):
            if known is not None:
                rows.update((each, row) for each, row in known.rows.items() if row == rows.get(each))

    def _is_newest(self, positions: dict[str, int]) -> bool:
        """Whether rows read at these positions hold all that is not pending any more."""
        return all(positions.get(journal, 0) >= self._drained.get(journal, 0) for journal in self._journals)

    def _note_drained(self, positions: dict[str, int]) -> None:
        for journal, offset in positions.items():
            self._drained[journal] = max(offset, self._drained.pop(journal, 0))
        while len(self._drained) > _DRAINED_KEPT:
            del self._drained[next(iter(self._drained))]

    def _forget_drained(self, positions: dict[str, int]) -> None:
        """Drop records that another process drained, of accounts that nobody asks about too."""
        gone = {journal for journal, offset in positions.items() if offset == FOREVER}
        is_many = self._pending_count > self.most_pending // 2 and time.monotonic() >= self._next_forgetting
        if gone or is_many:
            self._next_forgetting = time.monotonic() + 1
            for account_id in list(self._pending):
                self._renew(account_id, {})
            self._journals -= gone

    def _renew(self, account_id: str, rows: dict[Key, SubjectRow]) -> None:
        """Drop an account's pending records that are drained, and what is older than that of its members.

        Args:
            account_id: The account.
            rows: Rows of the same moment, to be taken over.
        """
        gone = self._keep_undrained(account_id)
        if gone:
            self._undrained.pop(account_id, None)
        is_mixed = account_id in self._pending and len(self._journals) > 1
        for key in list(self._members_of.get(account_id, ())):
            profile = self._profiles[key]
            covered = [each for each in profile.rows if each in rows]
            fresh = {each: rows[each] for each in covered if rows[each] is not profile.rows[each]}
            is_older = any(row.ledger_version < profile.rows[each].ledger_version for each, row in fresh.items())
            if fresh:
                self._undrained.pop(account_id, None)
            is_uncovered = len(covered) < 2 and (key in gone or (account_id, "") in gone)
            # Where several journals are in play, another process may have drained some: only a fresh reading tells.
            if is_older or is_uncovered or (covered and is_mixed):
                self._drop(key)
            elif fresh or gone:
                profile.renew(key, fresh)

    def _keep_undrained(self, account_id: str) -> set[Key]:
        """Drop pending records that are drained; return whose they were, and the account if all its members are."""
        pending = self._pending.get(account_id)
        if pending is None:
            return set()
        left = [each for each in pending if each.offset > self._drained.get(each.journal, -1)]
        if len(left) == len(pending):
            return set()
        self._pending_count -= len(pending) - len(left)
        if left:
            self._pending[account_id] = left
        else:
            del self._pending[account_id]
        gone: set[Key] = set()
        for each in pending:
            if each.offset <= self._drained.get(each.journal, -1):
                key = (each.record.account_id, each.record.user_id)
                gone.add(self._known_target(key) or key if each.record.kind in _OF_ONE else (account_id, ""))
        return gone

    def _drop(self, key: Key) -> None:
        if self._profiles.pop(key, None) is not None:
            members = self._members_of[key[0]]
            members.discard(key)
            if not members:
                del self._members_of[key[0]]


def _counts_alike(old: SubjectRow, new: SubjectRow) -> bool:
    return (old.state, old.standing, old.signals) == (new.state, new.standing, new.signals)
