"""An import from the first row to the moment at which those who qualify start their episode."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

import msgspec

from nudge_sdk.errors import ImportFileError, RecordError, StoreBusyError, StoreError
from nudge_sdk.importing.rejects import Rejects
from nudge_sdk.importing.rows import Refused, Row
from nudge_sdk.importing.sorting import SortedRows
from nudge_sdk.importing.sources import STDIN
from nudge_sdk.rules.times import DAY, day_of, to_iso
from nudge_sdk.runtime.intake import Intake, encode_record
from nudge_sdk.store.journey_rows import note_import

WAIT = 60.0
"""Most seconds to wait for the store, a transaction: other imports into the same file take turns."""

MOST_SUBJECTS = 5000
"""Members and accounts a transaction: they are unpacked meanwhile, so this bounds the memory that an import takes."""

_FIRST_ROWS = 20
_ROWS_READ = 5000


class Summary(msgspec.Struct):
    """What an import did.

    Attributes:
        read: Rows that could be read.
        accepted: Rows that are in the store now: ``new`` and ``known`` together.
        new: Those it did not have before.
        known: Those it had already, or that stood in the file twice with one id.
        set_aside: Rows that could not be taken.
        judged: Members and accounts judged when the import had ended.
        first_reason: Why the first row was set aside, with its line.
        seconds: How long it took.
    """

    read: int = 0
    accepted: int = 0
    new: int = 0
    known: int = 0
    set_aside: int = 0
    judged: int = 0
    first_reason: str = ""
    seconds: float = 0.0


class ImportRun:
    """Takes rows into a store: reads them all, sorts them by whom they are about, and takes them in that order.

    Args:
        intake: The way into the store.
        rejects: Where rows are set aside that cannot be taken.
        import_id: Names the import; those it brings are not judged before it ends. The same name for the same file
            makes a second run free what a first, killed one held.
        batch: Rows a transaction, or fewer where they are about ``MOST_SUBJECTS``.
        on_read: Called now and then while rows are read.
        on_batch: Called before and after all rows are sorted, and after each batch that was taken.
        warn: Told, once, what is wrong with all of the first rows.
    """

    def __init__(
        self,
        intake: Intake,
        rejects: Rejects,
        *,
        import_id: str,
        batch: int = 5000,
        on_read: Callable[[Summary], None] | None = None,
        on_batch: Callable[[Summary], None] | None = None,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        self.intake = intake
        self.rejects = rejects
        self.import_id = import_id
        self.batch = batch
        self.summary = Summary()
        self._on_read = on_read
        self._on_batch = on_batch
        self._warn = warn
        self._naive = 0
        self._broken_off: ImportFileError | None = None

    def run(self, rows: Iterable[Row | Refused]) -> Summary:
        """Take all rows in, then judge those they brought, as of now; also when it is broken off.

        Raises:
            StoreError: The store refused, or did not answer in time; what was taken before stays.
            ImportFileError: The rows cannot be read on (those before are taken), sorted, or set aside.
        """
        begun = time.monotonic()
        try:
            with SortedRows() as laid:
                self._lay(rows, laid)
                self._tell(self._on_batch)
                ordered = laid.sort()
                self._tell(self._on_batch)
                self._take_all(ordered)
        finally:
            self._finish()
            self.summary.seconds = time.monotonic() - begun
        if self._broken_off is not None:
            raise self._broken_off
        return self.summary

    def _lay(self, rows: Iterable[Row | Refused], laid: SortedRows) -> None:
        good = self._good(rows)
        while some := list(islice(good, _ROWS_READ)):
            laid.add(some)
            self._tell(self._on_read)

    def _good(self, rows: Iterable[Row | Refused]) -> Iterator[Row]:
        """Yield what can be taken, as far as the source can be read."""
        try:
            for row in rows:
                if isinstance(row, Row):
                    self.summary.read += 1
                    yield row
                else:
                    self._set_aside(row)
        except ImportFileError as error:
            self._broken_off = error

    def _take_all(self, rows: Iterable[Row]) -> None:
        pending: list[Row] = []
        subjects: set[tuple[str, str]] = set()
        for row in rows:
            pending.append(row)
            account = row.record.account_id
            subjects.update(((account, ""), (account, row.record.user_id)))
            if len(pending) >= self.batch or len(subjects) >= MOST_SUBJECTS:
                self._take_batch(pending)
                pending = []
                subjects.clear()
        self._take_batch(pending)

    def _take_batch(self, rows: list[Row]) -> None:
        kept = self._kept(rows)
        if kept:
            self._take(kept)
        self._tell(self._on_batch)

    def _tell(self, told: Callable[[Summary], None] | None) -> None:
        if told is not None:
            told(self.summary)

    def _kept(self, rows: list[Row]) -> list[Row]:
        """Set rows aside that are older than what the store keeps."""
        first_day = self.intake.store.read_horizons().get("")
        if first_day is None:
            return rows
        reason = f"it is of before {to_iso(first_day * DAY)[:10]}; older events were dropped, and are refused"
        for row in rows:
            if day_of(row.record.counted_at) < first_day:
                self._set_aside(Refused(row.line, reason, encode_record(row.record).decode()))
        return [row for row in rows if day_of(row.record.counted_at) >= first_day]

    def _take(self, rows: list[Row]) -> None:
        """Take rows in one transaction; where the store refuses, look for the row and set it aside."""
        records = [row.record for row in rows]
        try:
            new = self.intake.take_counting(records, wait=WAIT, import_id=self.import_id)
        except StoreBusyError:
            raise
        except (StoreError, RecordError, ValueError, OverflowError, TypeError, KeyError) as error:
            if len(rows) == 1:
                self._set_aside(Refused(rows[0].line, str(error), encode_record(records[0]).decode()))
                return
            middle = len(rows) // 2
            self._take(rows[:middle])
            self._take(rows[middle:])
            return
        self.summary.accepted += len(records)
        self.summary.new += new
        self.summary.known += len(records) - new

    def _set_aside(self, refused: Refused) -> None:
        self.rejects.add(refused)
        self.summary.set_aside += 1
        self.summary.first_reason = self.summary.first_reason or f"line {refused.line}: {refused.reason}"
        self._naive += refused.is_naive
        if self._naive == self.summary.set_aside == _FIRST_ROWS and not self.summary.read and self._warn:
            self._warn(
                "the times have no time zone, so their rows are set aside; say whose times they are, "
                "such as --timezone UTC"
            )

    def _finish(self) -> None:
        self.intake.finish_import(self.import_id, wait=WAIT)
        while rows := self.intake.sweep(wait=WAIT):
            self.summary.judged += len(rows)
        # A run that was killed may have brought what this one finds there already.
        if self.summary.accepted:
            note_import(self.intake.store, self.intake.clock())


def import_id_of(source: str) -> str:
    """Return the name of an import: the same for the same file."""
    path = source if source == STDIN else str(Path(source).resolve())
    return f"import-{hashlib.sha256(path.encode(errors='surrogateescape')).hexdigest()[:16]}"
