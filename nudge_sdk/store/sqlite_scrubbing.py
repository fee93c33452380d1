"""Overwriting what deleted rows leave behind in an SQLite file."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable

from nudge_sdk.errors import StoreBusyError
from nudge_sdk.store.sqlite_connections import is_busy

_PAUSE = 0.05


def scrub(connection: sqlite3.Connection, path: str, deadline: float) -> None:
    """Write the file anew and empty its log: no page keeps what was deleted or replaced on it before.

    Deleting with ``secure_delete`` alone is not enough: what earlier updates left on a page stays there.

    Args:
        connection: Outside any transaction, with nobody of this process writing.
        path: The file, for messages.
        deadline: When to give up, in seconds of the monotonic clock.

    Raises:
        StoreBusyError: Others read or wrote until then.
    """
    connection.execute("PRAGMA secure_delete=ON").close()
    try:
        _until(lambda: _vacuum(connection), path, deadline)
        _until(lambda: _empty_log(connection), path, deadline)
    finally:
        connection.execute("PRAGMA secure_delete=OFF").close()


def _until(work: Callable[[], bool], path: str, deadline: float) -> None:
    while not work():
        if time.monotonic() >= deadline:
            text = f"{path} is in use, so what was deleted cannot be overwritten yet; do the same again later."
            raise StoreBusyError(text)
        time.sleep(_PAUSE)


def _vacuum(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("VACUUM").close()
    except sqlite3.OperationalError as error:
        if not is_busy(error):
            raise
        return False
    return True


def _empty_log(connection: sqlite3.Connection) -> bool:
    """Bring the log into the file and cut it to nothing; a reader of an older moment keeps it from being cut."""
    is_blocked: int = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    return not is_blocked
