"""The fold: records into states, standings, transitions and episodes, inside one transaction of the store.

Rows are inserted if missing and locked in sorted order before the records go in: locking rows that are not there yet,
or inserting records first, loses counts or deadlocks. Every record is judged by itself, after stepping through the
boundaries before it: one judgement a batch would lose transitions.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence

from msgspec.structs import replace

from nudge_sdk.rules.compiled import Rules
from nudge_sdk.rules.counting import (
    Event,
    apply_event,
    apply_event_to_account,
    apply_to_account,
    apply_to_member,
    may_matter,
)
from nudge_sdk.rules.identity import Aliases, Move, move_of, named_in, rename_member
from nudge_sdk.rules.ledger import merged, pack_ledger
from nudge_sdk.rules.measuring import is_quiet
from nudge_sdk.rules.records import Record
from nudge_sdk.rules.signals import Counted
from nudge_sdk.rules.standing import Judged, Standing, encode_standing, join_standings, judge
from nudge_sdk.rules.state import State, pack
from nudge_sdk.rules.stepping import BY_FORGETTING, BY_IMPORT, Change, advance
from nudge_sdk.rules.times import FOREVER, day_of
from nudge_sdk.runtime.catalog import Catalog
from nudge_sdk.runtime.concerned import ACCOUNT_WIDE, concerned_by, load_aliases
from nudge_sdk.runtime.conclusions import Conclusions
from nudge_sdk.runtime.recount import rebuild
from nudge_sdk.runtime.reports import exposure_of, reported
from nudge_sdk.runtime.work import Warm, Work
from nudge_sdk.store.protocol import Alias, FoldTransaction, Key, SubjectRow

_STEERING = frozenset({"convert", "churn", "opt_out", "opt_in"})


class MovedMeanwhileError(Exception):
    """Another process moved a member of this batch before its rows were locked; the batch begins anew."""


class Fold:
    """One transaction's worth of work.

    Args:
        transaction: The open transaction.
        catalog: The published definitions.
        now: The present instant, in microseconds.
        warm: Subjects that need not be unpacked.

    Attributes:
        new: How many records were not stored before.
        dropped: How many records named somebody who was forgotten.
        refused: How many records were older than what is kept.
        horizon: The first UTC day of which records are taken, or None while every day is.
    """

    def __init__(self, transaction: FoldTransaction, catalog: Catalog, now: int, *, warm: Warm | None = None) -> None:
        self.warm = warm or Warm(0)
        self.transaction = transaction
        self.catalog = catalog
        self.now = now
        self.works: dict[Key, Work] = {}
        self.aliases = Aliases()
        self.conclusions = Conclusions(now)
        self.new = self.dropped = self.refused = 0
        self.horizon: int | None = None
        self._pending: dict[Work, tuple[int, str]] = {}
        self._waiting: set[tuple[str, str, str, int]] = set()
        self._movers: set[Key] = set()

    def take(self, records: Sequence[Record], *, import_id: str = "") -> list[SubjectRow]:
        """Fold records in; those whose identity is stored already change nothing.

        Args:
            records: Records in any order.
            import_id: The import that brings them, for records marked as history.

        Returns:
            The rows as they were written.
        """
        self.absorb(records, import_id=import_id)
        return self.write()

    def absorb(self, records: Sequence[Record], *, import_id: str = "") -> None:
        """Do all that ``take`` does, but write no subject."""
        if self.transaction.has_forgotten():
            records = self._remembered(records)
        self.horizon = self.transaction.horizon()
        if self.horizon is not None:
            records = self._kept(records, self.horizon)
        load_aliases(self.transaction, self.aliases, records)
        self._lock_all(records)
        facts = [record for record in records if record.kind != "exposure"]
        fresh = [record for record, new in zip(facts, self.transaction.insert_records(facts), strict=True) if new]
        self.new += len(fresh)
        self._waiting = {record.identity for record in fresh} if self._movers else set()
        for at, _, _, record in sorted((each.counted_at, each.id, turn, each) for turn, each in enumerate(fresh)):
            if record.kind == "track":
                self._take_event(at, record, import_id)
            else:
                self._take_saying(at, record, import_id)
        self._settle()
        self._take_reports([record for record in records if record.kind == "exposure"])
        self._drop_blank()

    def _remembered(self, records: Sequence[Record]) -> list[Record]:
        """Leave out what names somebody who was forgotten."""
        names = [named_in(record) for record in records]
        gone = self.transaction.forgotten(set().union(*names))
        kept = [record for record, named in zip(records, names, strict=True) if gone.isdisjoint(named)]
        self.dropped += len(records) - len(kept)
        return kept

    def _kept(self, records: Sequence[Record], horizon: int) -> list[Record]:
        """Leave out what is older than what is kept: nobody knows any more whether it came before."""
        kept = [each for each in records if each.kind == "exposure" or day_of(each.counted_at) >= horizon]
        self.refused += len(records) - len(kept)
        return kept

    def _lock_all(self, records: Sequence[Record]) -> None:
        """Lock whom the records concern; an account stands still from then on, and so do its members."""
        keys, wide, self._movers = concerned_by(records, self.aliases)
        self.lock(keys)
        if wide:
            self.lock(self.transaction.members_of(wide))
        if not self.transaction.is_alone:
            known = dict(self.aliases.moves)
            load_aliases(self.transaction, self.aliases, records)
            if self.aliases.moves != known:
                raise MovedMeanwhileError

    def step_to(self, now: int, keys: Iterable[Key]) -> None:
        """Step locked subjects through their boundaries up to an instant."""
        for key in keys:
            if not self.works[key].is_moved:
                self._step(self.works[key], now)

    def sweep(self, keys: Sequence[Key]) -> list[SubjectRow]:
        """Step subjects through every boundary up to now; those an import released are judged as of then."""
        self.lock({(account_id, "") for account_id, _ in keys} | set(keys))
        for key in keys:
            work = self.works[key]
            released = work.row.next_change
            if released < work.standing.next_change and released <= self.now:
                at = max(released, work.standing.at)
                rules = self.catalog.timeline.at(at)
                after = judge(rules, self.judged(work), at, work.standing, BY_IMPORT)
                self._note(work, Change(work.standing, after, at, BY_IMPORT))
            self._step(work, self.now)
            work.is_changed = True
        return self.write()

    def recount(self, account_id: str, *, without_cause: Container[str]) -> None:
        """Count an account and its members anew from what is stored of them now, and judge them.

        Args:
            account_id: The account.
            without_cause: Message ids that may be named as a cause no more.
        """
        self.lock([(account_id, ""), *self.transaction.members_of([account_id])])
        works = [work for key, work in self.works.items() if key[0] == account_id]
        for work in works:
            self._step(work, self.now)
        self._rebuild(account_id)
        for work in works:
            episode = work.standing.episode
            if episode is not None and episode.cause in without_cause:
                work.standing = replace(work.standing, episode=replace(episode, cause=BY_FORGETTING))
            if not work.row.import_id:
                at = max(self.now, work.standing.at)
                after = judge(self.catalog.timeline.at(at), self.judged(work), at, work.standing, BY_FORGETTING)
                self._note(work, Change(work.standing, after, at, BY_FORGETTING))

    def lock(self, keys: Iterable[Key]) -> None:
        """Lock subjects, and bring their counts to the present signal set."""
        missing = sorted(set(keys) - self.works.keys())
        rows = self.transaction.lock_subjects(missing)
        self.works.update((key, self.warm.take(rows[key]) or Work(rows[key])) for key in missing)
        outdated = {key[0] for key in missing if self._is_outdated(rows[key])}
        for account_id in sorted(outdated):
            self._rebuild(account_id)

    def write(self) -> list[SubjectRow]:
        """Write everything that changed."""
        changed = [work for work in self.works.values() if work.is_changed and not work.is_moved]
        for work in changed:
            self._fill(work)
        self.transaction.put_subjects([work.row for work in changed])
        for work in self.works.values():
            if work.is_ledger_changed and not work.is_moved:
                work.row.ledger = pack_ledger(work.ledger)
                self.transaction.put_ledger(work.row, expected_version=work.row.ledger_version)
                work.row.ledger_version += 1
        self.conclusions.write(self.transaction)
        return [work.row for work in changed]

    def _is_outdated(self, row: SubjectRow) -> bool:
        if not row.state:
            row.signals = self.catalog.signals
        return row.signals < self.catalog.signals

    def _rebuild(self, account_id: str) -> None:
        """Count an account and all its members anew from the stored records that were taken."""
        if self.works[account_id, ""].row.signals > self.catalog.signals:
            return  # an overlay has no stored records: what it says is only seen until they are drained
        keys = [(account_id, ""), *self.transaction.members_of([account_id])]
        missing = sorted(set(keys) - self.works.keys())
        rows = self.transaction.lock_subjects(missing)
        self.works.update((key, Work(rows[key])) for key in missing)
        works = {key: self.works[key] for key in keys if not self.works[key].is_moved}
        rows_of = {key: work.row for key, work in works.items()}
        states = rebuild(self.transaction, self.catalog.plan, rows_of, without=self._waiting)
        for key, work in works.items():
            work.state = states.get(key) or State()
            work.row.signals = self.catalog.signals
            work.judged = None
            work.is_changed = True

    def _drop_blank(self) -> None:
        """Drop the rows that were made only to lock who moves."""
        for key in self._movers:
            work = self.works[key]
            if work.is_blank and not work.is_moved:
                self.transaction.delete_subject(key)
                del self.works[key]
        self._movers = set()

    def _take_event(self, at: int, record: Record, import_id: str) -> None:
        """Take a ``track`` record, by far the most frequent."""
        if self._waiting:
            self._waiting.discard(record.identity)
        if record.history:
            self._settle()
        account, member, user_id = self._concerned(record)
        plan = self.catalog.plan
        counted = plan.by_event.get(record.name, ())
        if counted:
            affected = [account] if member is None else [member, account]
        else:
            affected = self._affected(record, account, member)
        newest = self.catalog.rules
        for work in affected:
            standing = work.standing
            if record.history or at >= standing.next_change or not _is_of(newest, standing):
                self._step_for(work, at, record)
        taken = plan.taken(record, user_id) if counted else []
        event = Event(at, at != record.at, taken)
        apply_event_to_account(account.state, event, plan, user_id)
        account.touch(at)
        if member is not None:
            apply_event(member.state, event, plan)
            member.touch(at)
        if record.history:
            self._judge_all(affected, record, at, import_id)
        else:
            self._judge_or_wait(affected, (at, record), account.state, counted)

    def _judge_or_wait(
        self, works: list[Work], event: tuple[int, Record], account: State, counted: Sequence[Counted]
    ) -> None:
        """Judge subjects after an event; where it changes nothing that can wait for the last one of the batch."""
        at, record = event
        newest = self.catalog.rules
        for work in works:
            standing, subject = work.standing, work.judged
            if (
                subject is not None
                and subject.account is account
                and subject.state.first != at
                and _is_of(newest, standing)
                and is_quiet(subject, standing, counted, at if at > standing.at else standing.at)
            ):
                self._pending[work] = (at, record.id)
            else:
                self._pending.pop(work, None)
                self._judge_all([work], record, at, "")

    def _settle(self) -> None:
        """Judge those whose judgement waited, as of their last event."""
        while self._pending:
            self._judge(*self._pending.popitem())

    def _concerned(self, record: Record) -> tuple[Work, Work | None, str]:
        """Return the account and the member that a record counts for, and who that member is."""
        key = (record.account_id, record.user_id)
        account_id, user_id = self.aliases.resolve(key) if self.aliases.moves else key
        return self.works[account_id, ""], self.works.get((account_id, user_id)) if user_id else None, user_id

    def _take_saying(self, at: int, record: Record, import_id: str) -> None:
        """Take any other record."""
        self._settle()
        move = move_of(record)
        left = self._take_move(move, record) if move is not None else None
        self._waiting.discard(record.identity)
        account, member, user_id = self._concerned(record)
        affected = self._affected(record, account, member)
        if left is not None and left != account.row.account_id:
            affected += self._known_members(left)
        for work in affected:
            self._step_for(work, at, record)
        plan = self.catalog.plan
        apply_to_account(account.state, record, plan, user_id)
        account.touch(at)
        if member is not None:
            apply_to_member(member.state, record, plan, user_id)
            member.touch(at)
        if record.kind in _STEERING:
            account.is_ledger_changed = True
            if member is not None:
                member.is_ledger_changed = True
        self._judge_all(affected, record, at, import_id)

    def _affected(self, record: Record, account: Work, member: Work | None) -> list[Work]:
        """Return whom a record can make stand differently."""
        if record.kind in ACCOUNT_WIDE:
            known = self._known_members(account.row.account_id)
            return known + [work for work in (account, member) if work is not None and work not in known]
        plan = self.catalog.plan
        if record.kind == "track" and record.name in plan.by_event:
            return [account] if member is None else [member, account]
        user_id = member.row.user_id if member is not None else ""
        found = []
        if member is not None and may_matter(member.state, record, plan, user_id, is_account=False):
            found.append(member)
        if may_matter(account.state, record, plan, user_id, is_account=True):
            found.append(account)
        return found

    def _known_members(self, account_id: str) -> list[Work]:
        """Return an account and its members, those of whom anything was said so far."""
        everybody = [work for key, work in self.works.items() if key[0] == account_id and not work.is_moved]
        return [work for work in everybody if work.row.first_day is not None]

    def _step_for(self, work: Work, at: int, record: Record) -> None:
        """Step a subject to a record; to the present for imported history, of which nothing is concluded before."""
        if not record.history:
            self._step(work, at)
        elif not work.row.import_id:
            self._step(work, self.now)

    def _judge_all(self, works: list[Work], record: Record, at: int, import_id: str) -> None:
        for work in works:
            if work.judged is not None and (record.kind != "track" or work.state.first == at):
                work.judged.refresh()
            if record.history:
                self._hold(work, import_id)
            else:
                self._judge(work, (at, record.id))

    def _judge(self, work: Work, event: tuple[int, str]) -> None:
        """Judge a subject after an event: its instant, and its id."""
        at, cause = event
        before = work.standing
        instant = at if at > before.at else before.at
        after = judge(self.catalog.timeline.at(instant), self.judged(work), instant, before, cause)
        if after.tier != before.tier or after.reached is not before.reached or after.episode is not before.episode:
            self._note(work, Change(before, after, at, cause))
        work.standing = after
        work.row.next_change = after.next_change

    def _hold(self, work: Work, import_id: str) -> None:
        """Judge a subject no more until its import ends."""
        work.is_changed = True
        work.row.import_id = import_id
        if work.standing.next_change != FOREVER:
            work.standing = replace(work.standing, next_change=FOREVER)
        work.row.next_change = FOREVER if import_id else self.now

    def judged(self, work: Work) -> Judged:
        """Return a subject ready to be judged."""
        account = self.works[work.row.account_id, ""].state
        if work.judged is None or work.judged.account is not account:
            work.judged = Judged(work.row.user_id, work.state, account, work.row.account_id)
        return work.judged

    def _step(self, work: Work, to: int) -> None:
        standing = work.standing
        if to < standing.next_change and _is_of(self.catalog.rules, standing):
            return
        if work in self._pending:
            self._judge(work, self._pending.pop(work))
            standing = work.standing
        if self.catalog.timeline.is_due(standing, to):
            for change in advance(self.catalog.timeline, self.judged(work), standing, to):
                self._note(work, change)

    def _note(self, work: Work, change: Change) -> None:
        """Write down what a judgement changed."""
        work.standing = change.after
        work.row.next_change = change.after.next_change
        work.is_changed = True
        self.conclusions.note(work.row.key, change)

    def _take_move(self, move: Move, record: Record) -> str | None:
        """Let a member's records count for another; return the account that lost them, if it was counted anew."""
        source, before = move.source, self.aliases.resolve(move.source)
        if not self.aliases.learn(move):
            return None
        self.transaction.put_alias(Alias(*source, *move.target, move.at, move.id))
        target = self.aliases.resolve(source)
        if target == before:
            return None
        for key, work in self.works.items():
            if key[0] in (source[0], before[0], target[0]) and not work.is_moved:
                self._step_for(work, record.counted_at, record)
        if self.aliases.resolve(before) == target:
            if before[0] != target[0]:
                self._join((before[0], ""), (target[0], ""), (before[1], target[1]))
            self._join(before, target, (before[1], target[1]))
        self._count_moved(source, before, target)
        return before[0] if before != source else None

    def _count_moved(self, source: Key, before: Key, target: Key) -> None:
        """Bring the states of the accounts in line with a move: of who counted for himself, or for somebody else."""
        account = self.works[target[0], ""]
        if before != source:
            self._recount_moved(before, target)
        elif source[1] != target[1] and account.state.is_full(self.catalog.plan.capacity):
            self._rebuild(target[0])
        elif source[1] != target[1]:
            rename_member(account.state, source[1], target[1], self.catalog.plan)
            account.judged = None
            account.is_changed = True

    def _recount_moved(self, before: Key, target: Key) -> None:
        """Count anew whom a member counted for until now, and whom it counts for instead."""
        _widen(self.works[target].row, self.works[before].row)
        _widen(self.works[target[0], ""].row, self.works[before[0], ""].row)
        for account_id in sorted({before[0], target[0]}):
            if not self.works[account_id, ""].is_moved:
                self._rebuild(account_id)

    def _join(self, source: Key, target: Key, renamed: tuple[str, str]) -> None:
        moved, into = self.works.get(source), self.works[target]
        if moved is None or moved.is_moved or moved.is_blank:
            return
        if renamed[0] != renamed[1]:
            rename_member(moved.state, *renamed, self.catalog.plan)
        into.state.merge(moved.state, self.catalog.plan.capacity)
        into.standing = join_standings(into.standing, moved.standing)
        into.ledger = merged(into.ledger, moved.ledger)
        into.is_changed = into.is_ledger_changed = moved.is_moved = True
        into.judged = None
        _widen(into.row, moved.row)
        self.transaction.delete_subject(source)

    def _take_reports(self, reports: Sequence[Record]) -> None:
        """Write down what people did with nudges; each report counts once."""
        works = [self.works[self.aliases.resolve((each.account_id, each.user_id))] for each in reports]
        rows = [
            exposure_of(record, work.row.key, self.catalog.number) for record, work in zip(reports, works, strict=True)
        ]
        for record, work, is_new in zip(reports, works, self.transaction.add_exposures(rows), strict=True):
            if is_new:
                work.ledger = reported(work.ledger, record)
                work.is_ledger_changed = True

    def _fill(self, work: Work) -> None:
        row, standing = work.row, work.standing
        row.state, row.standing = pack(work.state), encode_standing(standing)
        row.signals = self.catalog.signals
        row.definition, row.segment, row.tier = standing.definition, standing.segment, standing.tier
        row.score, row.fit, row.active_users = standing.score, standing.fit, standing.active_users
        row.evaluated_at = standing.at
        row.episode_at = standing.episode.started_at if standing.episode else None
        row.episode_ended_at = standing.episode.ended_at if standing.episode else None


def _is_of(newest: Rules, standing: Standing) -> bool:
    """Whether a standing was judged by the newest definition, so that no later one comes into force."""
    return standing.definition == newest.number and standing.at >= newest.live_at


def _widen(row: SubjectRow, other: SubjectRow) -> None:
    """Let a row's span of days take in another's."""
    days = [day for each in (row, other) for day in (each.first_day, each.last_day) if day is not None]
    row.first_day, row.last_day = min(days, default=None), max(days, default=None)
