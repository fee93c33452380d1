"""Forgetting: one person, everywhere, and for good.

First a tombstone, so that from that moment on nothing brings the person back; then what the journals of this host still
hold is drained, which drops it; then the rows go, and the accounts the person was in are counted anew from what is
left; at last the bytes go that deleting leaves in files.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Collection, Container, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from nudge_sdk.rules.bases import Base
from nudge_sdk.rules.identity import Key, named_in
from nudge_sdk.rules.records import Record
from nudge_sdk.rules.state import State, Written, pack, unpack
from nudge_sdk.rules.stepping import BY_FORGETTING
from nudge_sdk.rules.times import day_of
from nudge_sdk.runtime.erasing import erase_lines, members_named_in
from nudge_sdk.runtime.fold import Fold
from nudge_sdk.runtime.intake import Intake
from nudge_sdk.runtime.journal_files import journals
from nudge_sdk.runtime.person import Person, find, records_of, resolve
from nudge_sdk.store.journey_rows import blank_journeys
from nudge_sdk.store.protocol import Transaction

if TYPE_CHECKING:
    from nudge_sdk.runtime.catalog import Catalog
    from nudge_sdk.runtime.recorder import Recorder
    from nudge_sdk.runtime.upkeep import Upkeep

log = logging.getLogger("nudge_sdk")

WAIT = 10.0
"""Seconds that each step waits for others that write."""

SCRUB_WAIT = 60.0
"""Seconds to wait for others that keep a file from being written anew."""

_OF_THE_ACCOUNT = frozenset({"group", "left", "convert", "churn"})
"""What a member said of the account: it stays, as said of the account alone."""


class Forgotten(msgspec.Struct, frozen=True, kw_only=True):
    """What forgetting a person came to.

    Attributes:
        rows: How many rows were deleted.
        lines: How many lines of this host's journals were overwritten.
        accounts: Accounts that were counted anew without the person.
        kept: How many facts of those accounts stay that the person had said.
        journals_left: Journals of this folder that this process may not write.
    """

    rows: int = 0
    lines: int = 0
    accounts: tuple[str, ...] = ()
    kept: int = 0
    journals_left: tuple[str, ...] = ()


class _Erased(msgspec.Struct, frozen=True):
    person: Person
    rows: int
    accounts: tuple[str, ...]
    kept: int
    days: frozenset[int]


def forget(
    upkeep: Upkeep, recorder: Recorder, *, user_id: str, account_id: str | None = None, scrub: bool = True
) -> Forgotten:
    """Forget a person; doing it again finishes what was left undone.

    Args:
        upkeep: Of the client whose store, journals and memory are meant.
        recorder: Of the same client.
        user_id: The person.
        account_id: The only account to forget them in, or None for every one.
        scrub: Whether to overwrite what deleting leaves in the database's files.

    Raises:
        StoreError: The store refused or was busy; what was done so far stays done.
    """
    intake = upkeep.intake
    person, was_forgotten = bury(intake, user_id, account_id)
    upkeep.flush(time.monotonic() + WAIT)
    erased = intake.run(lambda transaction, catalog: _erase(transaction, catalog, intake.clock(), person), WAIT)
    _forget_cached(upkeep, recorder, erased)
    lines, left = _erase_journals(intake, upkeep.drainer.folder, erased.person) if upkeep.drainer else (0, [])
    if scrub and (erased.rows or was_forgotten):
        intake.store.scrub(None if was_forgotten else erased.days, wait=SCRUB_WAIT)
    return Forgotten(
        rows=erased.rows, lines=lines, accounts=erased.accounts, kept=erased.kept, journals_left=tuple(left)
    )


def readmit(intake: Intake, user_id: str, account_id: str | None) -> bool:
    """Take somebody's tombstone away, so that they may come back; whether there was one.

    What was joined to them stays forgotten, and so does what they did.
    """
    with intake.store.transaction(wait=WAIT) as transaction:
        transaction.definition_state(is_changing=True)
        person = find(transaction, user_id, account_id)
        return transaction.delete_forgotten(person.tombstones) > 0


def bury(intake: Intake, user_id: str, account_id: str | None) -> tuple[Person, bool]:
    """Leave the tombstones of a person, and return them; whether there was one already.

    Nobody folds meanwhile: who began before has ended, and who begins afterwards sees the tombstone.
    """
    with intake.store.transaction(wait=WAIT) as transaction:
        transaction.definition_state(is_changing=True)
        person = find(transaction, user_id, account_id)
        was_forgotten = bool(transaction.forgotten(person.keys))
        transaction.put_forgotten(sorted(person.tombstones), intake.clock())
        return person, was_forgotten


def _erase(transaction: Transaction, catalog: Catalog, now: int, buried: Person) -> _Erased:
    found = find(transaction, buried.user_id, buried.account_id or None)
    person = msgspec.structs.replace(found, keys=found.keys | buried.keys)
    counted = {key: resolve(transaction, key)[0] for key in person.keys}
    accounts = _lock(transaction, person, counted)
    records = records_of(transaction, person)
    bases = transaction.bases_of(person.keys)
    kept = list(_facts(records, counted, person))
    rows = transaction.erase(person.erasure) + transaction.erase_lines(person.is_in_line)
    transaction.insert_records(kept)
    of_dropped = _keep_facts(transaction, bases, counted, person)
    ids = _Causes(frozenset(record.id for record in records), person.keys if bases else frozenset())
    transaction.hide_causes(accounts, ids, BY_FORGETTING)
    fold = Fold(transaction, catalog, now)
    for account_id in accounts:
        fold.recount(account_id, without_cause=ids)
    fold.write()
    blank_journeys(transaction, accounts)
    days = frozenset(day_of(record.counted_at) for record in records)
    return _Erased(person, rows, tuple(accounts), len(kept) + of_dropped, days)


class _Causes(Container[str]):
    """The message ids of somebody forgotten; of dropped events, of which nobody knows the ids, those that name them."""

    def __init__(self, ids: Collection[str], keys: Collection[Key]) -> None:
        self._ids = ids
        self._names = {user_id for _, user_id in keys}

    def __contains__(self, cause: object) -> bool:
        return cause in self._ids or any(name in str(cause) for name in self._names)


def _lock(transaction: Transaction, person: Person, counted: dict[Key, str]) -> list[str]:
    """Lock the accounts the person is in, with all their members; return those accounts that stay.

    Only rows that are there are locked: one made for that would write the id once more.
    """
    members = transaction.members_of({account_id for key in counted for account_id in (key[0], counted[key])})
    present = [key for key in person.keys if key in members or counted[key] != key[0]]
    accounts = {account_id for key in present for account_id in (key[0], counted[key])}
    accounts &= {account_id for account_id, _ in members}
    transaction.lock_subjects([key for key in members if key[0] in accounts] + [(each, "") for each in accounts])
    return sorted(accounts - person.accounts)


def _facts(records: list[Record], counted: dict[Key, str], person: Person) -> Iterator[Record]:
    """Yield what the person had said of accounts that stay, as said of the account alone."""
    for record in records:
        account_id = counted[record.account_id, record.user_id]
        if record.kind not in _OF_THE_ACCOUNT or account_id in person.accounts:
            continue
        kind = "group" if record.kind == "left" else record.kind
        data = {name: value for name, value in record.data.items() if not _holds(value, person)}
        if kind != "group" or data:
            yield msgspec.structs.replace(
                record, kind=kind, account_id=account_id, user_id="", id=str(uuid.uuid4()), data=data
            )


def _keep_facts(transaction: Transaction, bases: list[Base], counted: dict[Key, str], person: Person) -> int:
    """Keep what the person had said of accounts that stay in events that were dropped; how many facts there are."""
    kept = 0
    for base in bases:
        account_id, said = counted[base.key], unpack(base.account)
        if account_id in person.accounts:
            continue
        facts = State()
        facts.traits, facts.goals = _unsigned(said.traits, person), _unsigned(said.goals, person)
        if facts.traits or facts.goals:
            own = next(iter(transaction.bases_of([(account_id, "")])), Base(account_id, ""))
            state = unpack(own.account)
            state.merge(facts)
            transaction.put_bases([msgspec.structs.replace(own, account=pack(state))])
            kept += len(facts.traits) + len(facts.goals)
    return kept


def _unsigned(entries: dict[str, Written], person: Person) -> dict[str, Written]:
    """Return entries that do not hold the person, under other message ids."""
    return {name: (at, str(uuid.uuid4()), v) for name, (at, _, v) in entries.items() if not _holds(v, person)}


def _holds(value: Any, person: Person) -> bool:
    return person.is_in_text(msgspec.json.encode(value)) if isinstance(value, str | list | dict) else False


def _forget_cached(upkeep: Upkeep, recorder: Recorder, erased: _Erased) -> None:
    upkeep.intake.forget_warm()
    recorder.forget({user_id for _, user_id in erased.person.keys})
    upkeep.profiles.moved()
    for account_id in {*erased.accounts, *(account_id for account_id, _ in erased.person.keys)}:
        upkeep.profiles.forget(account_id)


def _erase_journals(intake: Intake, folder: Path, person: Person) -> tuple[int, list[str]]:
    lines, left = 0, []
    for path in journals(folder):
        try:
            lines += _erase_journal(intake, path, person)
        except FileNotFoundError:
            continue
        except OSError as error:
            facts = {"nudge_event": "journal_not_erased", "nudge_path": str(path)}
            told = "%s cannot be written, so what it holds of somebody forgotten stays in it: %s"
            log.warning(told, path, error, extra=facts)
            left.append(path.name)
    return lines, left


def _erase_journal(intake: Intake, path: Path, person: Person) -> int:
    """Overwrite what is of the person, and of whoever else was forgotten: joined visitors, known elsewhere as such."""
    named = members_named_in(path)
    with intake.store.transaction(wait=WAIT) as transaction:
        gone = transaction.forgotten(named)

    def is_theirs(line: bytes, record: Record | None) -> bool:
        return person.is_in(line, record) or (record is not None and not gone.isdisjoint(named_in(record)))

    return erase_lines(path, is_theirs)
