"""Archives: the events and what came of them as Parquet files, for engines that read long histories fast.

Only days whose events are not what they were are written anew, so that late arrivals and people who were forgotten
reach the archive with the next run. Every file is finished before it takes the place of the one before it: broken off
at any moment, the archive can be read, and doing it again goes on. One process writes at a time.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from nudge_sdk.errors import SetupError, StoreBusyError
from nudge_sdk.insights.archive_format import (
    EVENTS,
    MODULUS,
    TABLES,
    UNFINISHED,
    Day,
    Manifest,
    Sums,
    day_file,
    described,
    put_in_place,
    read_manifest,
    table_file,
    write_manifest,
)
from nudge_sdk.insights.archive_writing import write_events, write_table
from nudge_sdk.insights.store_tables import selects_of
from nudge_sdk.store.archived_rows import day_sums, events_of_day, rows_of
from nudge_sdk.store.journey_rows import read_rollup
from nudge_sdk.store.protocol import Store
from nudge_sdk.store.sql_store import SqlStore

_MANIFEST_SECONDS = 5.0
"""How long at most the manifest lags behind the files while days are written."""

LOCK = ".lock"

Progress = Callable[[int, int], None]
"""Told how many days of how many were written."""


class Archived(msgspec.Struct, frozen=True, kw_only=True):
    """What a run did.

    Attributes:
        days: How many days of events the archive holds.
        events: How many events.
        written: How many days were written anew.
        deleted: How many days were deleted, of which no event is left.
        seconds: How long it took.
    """

    days: int
    events: int
    written: int
    deleted: int
    seconds: float


def archive(store: Store, root: Path, now: int, progress: Progress | None = None) -> Archived:
    """Bring an archive up to date, or begin one.

    Args:
        store: Read only; its journeys as they were last refreshed.
        root: The folder of the archive. It will hold personal data, readable by its owner alone.
        now: The present instant, in microseconds.
        progress: Told now and then how far it is.

    Raises:
        SetupError: The store is no database, the folder holds something else, or a package is missing.
        StoreError: The store refused or was busy, or another process is writing; what was written is in order.
    """
    began = time.monotonic()
    database = _database(store)
    with _locked(root):
        run = _Run(database, root)
        run.write_days(progress)
        run.write_tables(now)
        manifest = run.manifest
    return Archived(
        days=len(manifest.days),
        events=manifest.rows,
        written=run.written,
        deleted=run.deleted,
        seconds=time.monotonic() - began,
    )


class _Run:
    """One run of the archive."""

    def __init__(self, store: SqlStore, root: Path) -> None:
        self.store = store
        self.root = root
        self.written = self.deleted = 0
        self.manifest = read_manifest(root) if (root / "manifest.json").exists() else Manifest()

    def write_days(self, progress: Progress | None) -> None:
        """Write the days whose events are not what the manifest says, and delete those that are no more."""
        present = {row[0]: _sums(row) for row in day_sums(self.store, MODULUS)}
        days = dict(self.manifest.days)
        self.deleted = self._delete(days, days.keys() - present.keys())
        outdated = [day for day, sums in present.items() if not self._holds(days, day, sums)]
        saved_at = time.monotonic()
        for number, day in enumerate(outdated, 1):
            written = self._write_day(day)
            days[day] = written
            self.written += 1
            if time.monotonic() - saved_at > _MANIFEST_SECONDS:
                self._save(days)
                saved_at = time.monotonic()
            if progress is not None:
                progress(number, len(outdated))
        self._save(days)

    def _holds(self, days: dict[int, Day], day: int, sums: Sums) -> bool:
        path = day_file(self.root, day)
        return day in days and days[day].sums == sums and path.exists() and path.stat().st_size == days[day].file.size

    def _delete(self, days: dict[int, Day], gone: set[int]) -> int:
        """Delete days that are no more, and whatever lies among the files that no run noted."""
        for day in gone:
            del days[day]
        known = {day_file(self.root, day) for day in days}
        for path in (self.root / EVENTS).glob("*/*"):
            if path not in known:
                path.unlink()
        for folder in (self.root / EVENTS).glob("*"):
            if not any(folder.iterdir()):
                folder.rmdir()
        return len(gone)

    def _write_day(self, day: int) -> Day:
        unfinished = self.root / UNFINISHED / "events.parquet"
        sums = write_events(unfinished, events_of_day(self.store, day))
        file = described(unfinished, sums.rows)
        put_in_place(unfinished, day_file(self.root, day))
        return Day(file=file, sums=sums)

    def write_tables(self, now: int) -> None:
        """Write the other tables as of now, and let the manifest name them; then delete those of the run before."""
        generation = self.manifest.generation + 1
        rollup = read_rollup(self.store, "journeys")
        files = {}
        for name, (query, columns) in selects_of(self.store).items():
            unfinished = self.root / UNFINISHED / f"{name}.parquet"
            rows = write_table(unfinished, rows_of(self.store, query), columns)
            files[name] = described(unfinished, rows)
            put_in_place(unfinished, table_file(self.root, generation, name))
        details = rollup[1] if rollup else {}
        self.manifest = msgspec.structs.replace(
            self.manifest, written_at=now, generation=generation, details=details, tables=files
        )
        write_manifest(self.root, self.manifest)
        for folder in (self.root / TABLES).iterdir():
            if folder.name != str(generation):
                shutil.rmtree(folder, ignore_errors=True)

    def _save(self, days: dict[int, Day]) -> None:
        self.manifest = msgspec.structs.replace(self.manifest, days=dict(sorted(days.items())))
        write_manifest(self.root, self.manifest)


def _sums(row: tuple[int, ...]) -> Sums:
    return Sums(**dict(zip(Sums.__struct_fields__, row[1:], strict=True)))


def _database(store: Store) -> SqlStore:
    if not isinstance(store, SqlStore):
        raise SetupError("a store in memory cannot be archived; use SQLite or PostgreSQL")
    return store


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Make the folder, keep other processes out, and clear away what a run that was broken off left unfinished."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    known = {LOCK, UNFINISHED, EVENTS, TABLES, "manifest.json"}
    strangers = sorted({path.name for path in root.iterdir()} - known)
    if strangers:
        raise SetupError(f"{root} holds {strangers[0]}, which is no part of an archive; name an empty folder")
    lock = os.open(root / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(root / UNFINISHED, ignore_errors=True)
        (root / UNFINISHED).mkdir(mode=0o700)
        yield
    except BlockingIOError:
        raise StoreBusyError(f"another process is writing {root}; try again when it is done") from None
    finally:
        os.close(lock)
