"""Sorting more records than fit into memory, by an SQLite file that nobody else sees."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from nudge_sdk.errors import StoreError

_MEMORY_KIB = 16 * 1024


class SortedFile:
    """Packed records by account, user and time, each with a number.

    They lie in an SQLite database without a name, which is gone when this object is closed, or its process ends in
    whatever way. SQLite puts it into the folder that the variable ``SQLITE_TMPDIR`` or ``TMPDIR`` names, or into
    ``/var/tmp``, and needs the same space once more while it sorts.

    Raises:
        StoreError: There is no room; from every method.
    """

    def __init__(self) -> None:
        with _explained():
            self._database = sqlite3.connect("", isolation_level=None)
            for setting in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{_MEMORY_KIB}"):
                self._database.execute(f"PRAGMA {setting}")
            self._database.execute(
                "CREATE TABLE lines (account_id TEXT, user_id TEXT, at INTEGER, number INTEGER, packed BLOB)"
            )
            self._database.execute("BEGIN")

    def add(self, lines: Iterable[tuple[str, str, int, int, bytes]]) -> None:
        """Put in (account id, user id, instant in microseconds, number, packed record)."""
        with _explained():
            self._database.executemany("INSERT INTO lines VALUES (?, ?, ?, ?, ?)", lines)

    def sort(self) -> Iterator[tuple[int, bytes]]:
        """Return (number, packed record) in order; when this returns they are sorted."""
        with _explained():
            found = self._database.execute("SELECT number, packed FROM lines ORDER BY account_id, user_id, at")
            first = found.fetchone()
        return _read(first, found)

    def close(self) -> None:
        """Give the space back."""
        self._database.close()


def _read(first: tuple[int, bytes] | None, others: sqlite3.Cursor) -> Iterator[tuple[int, bytes]]:
    if first is None:
        return
    yield first
    with _explained():
        yield from others


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(f"the temporary file cannot be used: {error}") from error
