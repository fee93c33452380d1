"""How an archive lies in its folder: Parquet files, and a manifest that says what each of them holds.

``events/day=N/events.parquet`` holds what counts on UTC day N since 1970, as it was sent; ``tables/G/`` the other
tables as of one moment, G rising with each run; ``manifest.json`` which G, and the counts and checksums of all.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import msgspec

from nudge_sdk.errors import SetupError

FORMAT = 1
MANIFEST = "manifest.json"
EVENTS, TABLES, UNFINISHED = "events", "tables", ".unfinished"
EVENTS_FILE = "events.parquet"
MODULUS = 1_000_003

EVENT_COLUMNS = {
    "account_id": "string",
    "user_id": "string",
    "id": "string",
    "kind": "string",
    "name": "string",
    "at": "int64",
    "counted_at": "int64",
    "received_at": "int64",
    "history": "bool",
    "properties": "string",
    "release": "string",
}
"""Columns of the event files; ``day`` is in the name of the folder. ``at`` is as sent, ``counted_at`` what counts."""

MOVED_COLUMNS = {"account_id": "string", "user_id": "string", "to_account_id": "string", "to_user_id": "string"}

_PIECE = 1024 * 1024


class Sums(msgspec.Struct, frozen=True, kw_only=True):
    """What the events of one day come to: whoever is added, taken away or replaced, one of these differs.

    Attributes:
        rows: How many events.
        instants, delays: Sums of the instants as sent and of the time to arrival, each modulo ``MODULUS``.
        kinds, history: Sums of the kinds' numbers, and of the marks of imported ones.
        accounts, users, names, releases: Characters in these, all together.
        properties: Bytes in the properties, all together.
    """

    rows: int = 0
    instants: int = 0
    delays: int = 0
    kinds: int = 0
    history: int = 0
    accounts: int = 0
    users: int = 0
    names: int = 0
    releases: int = 0
    properties: int = 0


class File(msgspec.Struct, frozen=True, kw_only=True):
    """What a file must be: its rows, its bytes, and their SHA-256."""

    rows: int
    size: int
    sha256: str


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """The file of one day, and what its events come to."""

    file: File
    sums: Sums


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What an archive holds.

    Attributes:
        format: Version of this form.
        written_at: When the last run began, in microseconds; 0 while none has ended.
        generation: Which folder of ``tables`` holds.
        details: What the journeys were rolled up by.
        tables: The other tables, by name.
        days: The events, by UTC day since 1970.
    """

    format: int = FORMAT
    written_at: int = 0
    generation: int = 0
    details: dict[str, Any] = {}
    tables: dict[str, File] = {}
    days: dict[int, Day] = {}

    @property
    def rows(self) -> int:
        """How many events there are."""
        return sum(day.sums.rows for day in self.days.values())


def read_manifest(root: Path) -> Manifest:
    """Return the manifest of an archive.

    Raises:
        SetupError: There is none, or it cannot be read, or a newer release wrote it.
    """
    path = root / MANIFEST
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise SetupError(f"{root} is no archive: it has no {MANIFEST}; write one with nudge archive {root}") from None
    except (OSError, msgspec.MsgspecError) as error:
        raise SetupError(f"{path} cannot be read ({error}); write the archive anew: nudge archive {root}") from error
    if manifest.format > FORMAT:
        raise SetupError(f"{root} was written by a newer nudge-sdk (format {manifest.format}); install that one")
    return manifest


def write_manifest(root: Path, manifest: Manifest) -> None:
    """Write the manifest in one step."""
    path = root / UNFINISHED / MANIFEST
    path.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1))
    put_in_place(path, root / MANIFEST)


def put_in_place(path: Path, target: Path) -> None:
    """Move a finished file where it belongs, so that after a crash there is the old one or the new one, whole."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
    target.parent.mkdir(parents=True, exist_ok=True)
    path.replace(target)
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def described(path: Path, rows: int) -> File:
    """Return what a file is."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return File(rows=rows, size=path.stat().st_size, sha256=digest.hexdigest())


def day_file(root: Path, day: int) -> Path:
    """Return the file of the events of one day."""
    return root / EVENTS / f"day={day}" / EVENTS_FILE


def table_file(root: Path, generation: int, name: str) -> Path:
    """Return the file of one of the other tables."""
    return root / TABLES / str(generation) / f"{name}.parquet"


def finished_manifest(root: Path) -> Manifest:
    """Return the manifest of an archive that can be read.

    Raises:
        SetupError: It is not there, is none, or its first run has not ended.
    """
    manifest = read_manifest(root)
    if not manifest.written_at:
        raise SetupError(f"the first run of nudge archive {root} has not ended; run it again")
    return manifest
