"""Checking an archive: its files against its manifest, and its manifest against the store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from nudge_sdk.errors import SetupError
from nudge_sdk.insights.archive_format import (
    EVENTS,
    EVENTS_FILE,
    MODULUS,
    Day,
    File,
    Manifest,
    Sums,
    day_file,
    described,
    read_manifest,
    table_file,
)
from nudge_sdk.rules.times import DAY, to_iso
from nudge_sdk.store.archived_rows import day_sums
from nudge_sdk.store.rows import KINDS
from nudge_sdk.store.sql_store import SqlStore

_CODES = " ".join(f"WHEN '{kind}' THEN {code}" for code, kind in enumerate(KINDS, 1))


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What checking an archive found.

    Attributes:
        days: How many days of events it holds.
        events: How many events.
        is_compared: Whether it was compared with a store too.
        problems: What is wrong, a line each; empty where all is well.
    """

    days: int
    events: int
    is_compared: bool
    problems: tuple[str, ...]


def verify(root: Path, store: SqlStore | None = None) -> Verified:
    """Check an archive: bytes, counts and checksums of its files, and whether it holds what the store holds.

    Args:
        root: The archive.
        store: What it was written from; None to check the files alone.

    Raises:
        SetupError: There is no archive.
        StoreError: The store refused or was busy.
    """
    manifest = read_manifest(root)
    problems = [*_files(root, manifest), *_contents(root, manifest)]
    if store is not None:
        problems += _beside_store(manifest, store)
    return Verified(
        days=len(manifest.days),
        events=manifest.rows,
        is_compared=store is not None,
        problems=tuple(problems),
    )


def _files(root: Path, manifest: Manifest) -> Iterator[str]:
    """Yield what is wrong with the bytes of files."""
    if not manifest.written_at:
        yield "the first run has not ended; run nudge archive again"
    for name, file in manifest.tables.items():
        yield from _file(root, table_file(root, manifest.generation, name), file)
    for day, held in manifest.days.items():
        yield from _file(root, day_file(root, day), held.file)
    known = {day_file(root, day) for day in manifest.days}
    for path in sorted((root / EVENTS).glob("*/*")):
        if path not in known:
            yield f"{path.relative_to(root)} is not in the manifest; delete it"


def _file(root: Path, path: Path, file: File) -> Iterator[str]:
    name = path.relative_to(root)
    if not path.exists():
        yield f"{name} is missing"
    elif described(path, file.rows) != file:
        yield f"{name} is not the file that was written; delete it"


def _contents(root: Path, manifest: Manifest) -> Iterator[str]:
    """Yield the days whose rows are not what the manifest says."""
    days = {day: held for day, held in manifest.days.items() if day_file(root, day).exists()}
    duckdb = _duckdb()
    try:
        found = _archived_sums(duckdb, root) if days else {}
    except duckdb.Error as error:
        yield f"the events cannot be read: {str(error).splitlines()[0]}"
        return
    for day, held in days.items():
        if found.get(day) != held.sums:
            yield f"{_date(day)}: the rows of the file are not those that were written"


def _duckdb() -> Any:
    try:
        import duckdb
    except ImportError as error:
        raise SetupError(f"archives need more packages: pip install 'nudge-sdk[insights]' ({error})") from error
    return duckdb


def _archived_sums(duckdb: Any, root: Path) -> dict[int, Sums]:
    files = str(root / EVENTS / "*" / EVENTS_FILE).replace("'", "''")
    query = (
        f"SELECT e.day, count(*), sum(e.at % {MODULUS}), sum((e.received_at - e.at) % {MODULUS}), "
        f"sum(CASE e.kind {_CODES} END), sum(CAST(e.history AS INTEGER)), sum(length(e.account_id)), "
        "sum(length(e.user_id)), sum(length(e.name)), sum(coalesce(length(e.release), 0)), "
        f"sum(coalesce(strlen(e.properties), 0)) FROM read_parquet('{files}', hive_partitioning = true, "
        "hive_types = {'day': BIGINT}) AS e GROUP BY e.day"
    )
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        return {row[0]: _sums(row) for row in connection.execute(query).fetchall()}


def _beside_store(manifest: Manifest, store: SqlStore) -> Iterator[str]:
    """Yield the days on which the store holds something else."""
    stored = {row[0]: _sums(row) for row in day_sums(store, MODULUS)}
    for day in sorted(stored.keys() | manifest.days.keys()):
        held: Day | None = manifest.days.get(day)
        if held is None:
            yield f"{_date(day)}: the store has {stored[day].rows} events, the archive none"
        elif day not in stored:
            yield f"{_date(day)}: the archive has {held.sums.rows} events, the store none any more"
        elif held.sums != stored[day]:
            yield f"{_date(day)}: the store has {stored[day].rows} events, the archive {held.sums.rows}, not the same"


def _sums(row: tuple[int, ...]) -> Sums:
    return Sums(**dict(zip(Sums.__struct_fields__, map(int, row[1:]), strict=True)))


def _date(day: int) -> str:
    return to_iso(day * DAY)[:10]
