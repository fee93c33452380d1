"""Intake: lines and records into the store, with the definitions the store has at that very moment."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

import msgspec

from nudge_sdk.errors import StoreBusyError, StoreError
from nudge_sdk.rules.records import Record
from nudge_sdk.rules.tallies import CAPACITY, Capacity
from nudge_sdk.rules.times import DAY, to_iso
from nudge_sdk.runtime.catalog import Catalog, learn_to_read
from nudge_sdk.runtime.fold import Fold, MovedMeanwhileError
from nudge_sdk.runtime.metrics import FOLD, JUDGED, SET_ASIDE, SWEEP, Metrics
from nudge_sdk.runtime.work import Warm
from nudge_sdk.store.protocol import Quarantined, Store, SubjectRow, Transaction

log = logging.getLogger("nudge_sdk")

decode_record = msgspec.json.Decoder(Record).decode
encode_record = msgspec.json.Encoder(decimal_format="number").encode

T = TypeVar("T")

SWEEP_BATCH = 500
INBOX_BATCH = 500
INBOX = "inbox"
"""The journal's name in the quarantine, of lines that came by the inbox."""

RECOUNT_BATCH = 100
PREPARE_WAIT = 10.0
_ATTEMPTS = 3
_OF_THE_DATA = frozenset({"DataError", "IntegrityError"})


class Position(msgspec.Struct, frozen=True):
    """How far a journal is drained once a batch is in."""

    journal: str
    offset: int


class Intake:
    """Takes records into a store; the one place where the fold meets the store.

    Args:
        store: Where to.
        clock: The present instant in microseconds.
        capacity: How much states keep.
        prepare: Brings the store's schema up to date, before the first use, waiting for others at most so many seconds.

    Attributes:
        dropped: How many records named somebody who was forgotten, and were not taken.
        refused: How many records were older than what is kept, and were not taken.
    """

    def __init__(
        self,
        store: Store,
        clock: Callable[[], int],
        capacity: Capacity = CAPACITY,
        *,
        prepare: Callable[[float], None] | None = None,
    ) -> None:
        self.store = store
        self.clock = clock
        self.capacity = capacity
        self.metrics: Metrics | None = None
        self._catalog: Catalog | None = None
        self._prepare = prepare
        self._is_ready = prepare is None
        self._unreadable: dict[int, str] = {}
        self.dropped = self.refused = 0
        self._is_preparing = False
        learn_to_read()
        self.after_fork()

    def after_fork(self) -> None:
        """Forget a parent's locks."""
        self._preparing = threading.RLock()
        self._warm = Warm()
        # A thread of the parent may have been importing what migrating needs: its import locks stay locked here.
        self.is_prepared_by_parent = self._is_preparing
        self._is_preparing = False

    def ready(self, wait: float = PREPARE_WAIT) -> None:
        """Prepare the store, once, before it is first used.

        Args:
            wait: Most seconds to wait for another thread or process that is at it.

        Raises:
            StoreError: The store did not answer; the next use tries again.
        """
        if self._is_ready:
            return
        if not self._preparing.acquire(timeout=wait):
            raise StoreBusyError(f"another thread has been preparing the store for more than {wait:g} s")
        try:
            # Preparing uses this very object, and so comes by here again.
            if not (self._is_ready or self._is_preparing or self._prepare is None):
                self._run_prepare(self._prepare, wait)
        finally:
            self._preparing.release()

    def _run_prepare(self, prepare: Callable[[float], None], wait: float) -> None:
        self._is_preparing = True
        try:
            prepare(wait)
            self._is_ready = True
        finally:
            self._is_preparing = False

    @property
    def catalog(self) -> Catalog:
        """The published definitions as last read."""
        return self._catalog or self.refresh()

    def current(self) -> Catalog:
        """Return the published definitions, read anew only where another one was published or came into force."""
        catalog = self.catalog
        return catalog if self.store.read_definition_state() == definition_state(catalog) else self.refresh()

    def refresh(self) -> Catalog:
        """Read the published definitions anew."""
        self.ready()
        self._catalog = catalog = Catalog(self.store.definitions(), self.capacity, self.store.read_horizons())
        for number, reason in catalog.unreadable.items():
            if self._unreadable.get(number) != reason:
                good = catalog.rules.number
                facts = {"nudge_event": "definition_unreadable", "nudge_definition": number, "nudge_in_force": good}
                log.error("definition %d cannot be read, %d stays in force: %s", number, good, reason, extra=facts)
        self._unreadable = catalog.unreadable
        return catalog

    def take(
        self, records: Sequence[Record], *, wait: float, position: Position | None = None, import_id: str = ""
    ) -> list[SubjectRow]:
        """Fold records in, in one transaction, together with the position they bring a journal to.

        Raises:
            StoreBusyError: The store did not answer within ``wait`` seconds; nothing was taken.
            StoreError: The store refused; nothing was taken.
        """

        return self._take(records, wait, position, import_id)[1]

    def take_counting(self, records: Sequence[Record], *, wait: float, import_id: str) -> int:
        """Fold records in as ``take`` does; how many were not in the store before, nor twice among these."""
        return self._take(records, wait, None, import_id)[0].new

    def _take(
        self, records: Sequence[Record], wait: float, position: Position | None, import_id: str
    ) -> tuple[Fold, list[SubjectRow]]:
        def work(transaction: Transaction, catalog: Catalog) -> tuple[Fold, list[SubjectRow]]:
            fold = Fold(transaction, catalog, self.clock(), warm=self._warm)
            rows = fold.take(records, import_id=import_id) if records else []
            if position is not None:
                transaction.put_position(position.journal, position.offset)
            return fold, rows

        began = time.perf_counter()
        fold, rows = self._with_present_catalog(work, wait)
        self._timed(FOLD, began)
        self._keep(fold)
        return fold, rows

    def take_lines(self, lines: Sequence[bytes], position: Position, *, wait: float) -> list[SubjectRow]:
        """Fold lines of a journal in; what cannot be read or stored is set aside with its reason, the rest goes on."""
        records: list[Record] = []
        for line in lines:
            try:
                records.append(decode_record(line))
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                self._quarantine(line, position, str(error), wait)
        try:
            return self.take(records, wait=wait, position=position)
        except Exception as error:
            if _is_of_the_store(error):
                raise
            facts = {"nudge_event": "batch_refused", "nudge_journal": position.journal, "nudge_lines": len(records)}
            log.warning("a batch of %s was refused, looking for the line: %s", position.journal, error, extra=facts)
            rows = self._bisect(records, position, wait, error)
            self.take([], wait=wait, position=position)
            return rows

    def take_inbox(self, *, wait: float) -> list[SubjectRow]:
        """Fold in what hosts wrote in transactions of their own; up to one batch, empty where there is none.

        A line that cannot be read or stored is set aside with its reason, the rest goes on.
        """
        if not self.store.has_inbox():
            return []
        try:
            return self._take_inbox(INBOX_BATCH, wait)
        except Exception as error:
            if _is_of_the_store(error):
                raise
            facts = {"nudge_event": "batch_refused", "nudge_journal": INBOX}
            log.warning("a batch of the inbox was refused, looking for the line: %s", error, extra=facts)
            return self._take_inbox_singly(wait)

    def _take_inbox(self, limit: int, wait: float) -> list[SubjectRow]:
        folds: list[Fold] = []

        def work(transaction: Transaction, catalog: Catalog) -> list[SubjectRow]:
            fold = Fold(transaction, catalog, self.clock(), warm=self._warm)
            folds.append(fold)
            records = []
            for number, line in transaction.take_inbox(limit):
                try:
                    records.append(decode_record(line))
                except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                    transaction.add_quarantined([Quarantined(INBOX, number, line, str(error), self.clock())])
            return fold.take(records) if records else []

        began = time.perf_counter()
        rows = self._with_present_catalog(work, wait)
        self._timed(FOLD, began)
        self._keep(folds[-1])
        return rows

    def _take_inbox_singly(self, wait: float) -> list[SubjectRow]:
        """Take a batch line by line, and set the one aside that the store refuses."""
        rows: list[SubjectRow] = []
        for _ in range(INBOX_BATCH):
            try:
                rows += self._take_inbox(1, wait)
            except Exception as error:
                if _is_of_the_store(error):
                    raise
                self._set_first_aside(str(error), wait)
        return rows

    def _set_first_aside(self, reason: str, wait: float) -> None:
        facts = {"nudge_event": "line_set_aside", "nudge_journal": INBOX}
        log.warning("a line of the inbox was set aside: %s", reason, extra=facts)
        with self.store.transaction(wait=wait) as transaction:
            taken = transaction.take_inbox(1)
            rows = [Quarantined(INBOX, number, line, reason, self.clock()) for number, line in taken]
            transaction.add_quarantined(rows)
        if self.metrics is not None:
            self.metrics.count(SET_ASIDE, len(rows))

    def sweep(self, *, wait: float) -> list[SubjectRow]:
        """Step members and accounts whose time has come through their boundaries; up to one batch."""

        def work(transaction: Transaction, catalog: Catalog) -> list[SubjectRow]:
            now = self.clock()
            keys = transaction.due(now, definition=catalog.rules.number, limit=SWEEP_BATCH)
            return Fold(transaction, catalog, now).sweep(keys) if keys else []

        began = time.perf_counter()
        rows = self._with_present_catalog(work, wait)
        self._timed(SWEEP, began)
        if self.metrics is not None and rows:
            self.metrics.count(JUDGED, len(rows))
        return rows

    def count_new_signals(self, *, wait: float) -> list[SubjectRow]:
        """Bring members and accounts to the newest signal set, from stored records; up to one batch."""

        def work(transaction: Transaction, catalog: Catalog) -> list[SubjectRow]:
            fold = Fold(transaction, catalog, self.clock())
            keys = transaction.outdated(catalog.signals, limit=RECOUNT_BATCH)
            fold.lock({(account_id, "") for account_id, _ in keys} | set(keys))
            return fold.write()

        return self._with_present_catalog(work, wait)

    def finish_import(self, import_id: str, *, wait: float) -> int:
        """End an import of history: those it brought are judged as of now, by the next sweeps."""

        def work(transaction: Transaction, catalog: Catalog) -> int:
            return transaction.release_import(import_id, self.clock())

        return self._with_present_catalog(work, wait)

    def _timed(self, name: str, began: float) -> None:
        if self.metrics is not None:
            self.metrics.timing(name, time.perf_counter() - began)

    def run(self, work: Callable[[Transaction, Catalog], T], wait: float) -> T:
        """Do something in one transaction, with the definitions that are published at that very moment."""
        return self._with_present_catalog(work, wait)

    def forget_warm(self) -> None:
        """Unpack everybody anew the next time."""
        self._warm = Warm()

    def _keep(self, fold: Fold) -> None:
        self._warm.keep(fold.works)
        self.dropped += fold.dropped
        if fold.refused and fold.horizon is not None:
            self._note_refused(fold.refused, fold.horizon)

    def _note_refused(self, count: int, horizon: int) -> None:
        if not self.refused:
            day = to_iso(horizon * DAY)[:10]
            facts = {"nudge_event": "events_too_old", "nudge_from": day}
            log.warning("events from before %s are refused: older ones were dropped", day, extra=facts)
        self.refused += count

    def _with_present_catalog(self, work: Callable[[Transaction, Catalog], T], wait: float) -> T:
        self.ready(wait)
        for _ in range(_ATTEMPTS):
            catalog = self.catalog
            with suppress(MovedMeanwhileError), self.store.transaction(wait=wait) as transaction:
                if transaction.definition_state() == definition_state(catalog):
                    return work(transaction, catalog)
            if definition_state(catalog) != self.store.read_definition_state():
                self.refresh()
        raise StoreBusyError("definitions are published, or members moved, faster than they can be read")

    def _bisect(self, records: Sequence[Record], position: Position, wait: float, error: Exception) -> list[SubjectRow]:
        if len(records) == 1:
            self._quarantine(encode_record(records[0]), position, str(error), wait)
            return []
        middle = len(records) // 2
        rows: list[SubjectRow] = []
        for half in (records[:middle], records[middle:]):
            try:
                rows += self.take(half, wait=wait) if half else []
            except Exception as failure:
                if _is_of_the_store(failure):
                    raise
                rows += self._bisect(half, position, wait, failure)
        return rows

    def _quarantine(self, line: bytes, position: Position, reason: str, wait: float) -> None:
        journal, offset = position.journal, position.offset
        facts = {"nudge_event": "line_set_aside", "nudge_journal": journal, "nudge_offset": offset}
        log.warning("a line before %s:%d was set aside: %s", journal, offset, reason, extra=facts)
        self.ready(wait)
        row = Quarantined(journal, offset, line, reason, self.clock())
        with self.store.transaction(wait=wait) as transaction:
            transaction.add_quarantined([row])
        if self.metrics is not None:
            self.metrics.count(SET_ASIDE)


def _is_of_the_store(error: Exception) -> bool:
    """Whether the store is in trouble, whatever it is given: a full disk must not make every record look bad.

    Drivers say by the exceptions that PEP 249 names whether they blame what they were given.
    """
    if not isinstance(error, StoreError):
        return False
    blamed = {kind.__name__ for kind in type(error.__cause__).__mro__}
    return isinstance(error, StoreBusyError) or not blamed & _OF_THE_DATA


def definition_state(catalog: Catalog) -> tuple[int, int]:
    """Return (number of the newest definition, number of the newest live one)."""
    return (catalog.rows[-1].number if catalog.rows else 0, catalog.number)
