"""SQLite files with this release's tables: migrated once, for a test run; each further file repeats the statements.

Alembic takes longer to make the tables of one file than most tests take for all the rest. Whatever holds tables already
is migrated as ever, and so is every file of the tests that ask for ``real_migrations``, and of other processes.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from contextlib import closing
from functools import cache
from pathlib import Path

from nudge_sdk.store import sqlite
from nudge_sdk.store.sqlite_connections import connect, prepare_for_writing

migrate = sqlite._migrate
"""What the store itself does."""


def fill(path: str) -> None:
    """Do to a file without tables what the migrations do; leave any other to them, and whatever fails."""
    try:
        with closing(connect(path)) as connection:
            prepare_for_writing(connection, time.monotonic())
            connection.execute("BEGIN IMMEDIATE").close()
            if connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,):
                for statement in statements():
                    connection.execute(statement).close()
                connection.execute("COMMIT").close()
                return
    except sqlite3.Error:
        pass
    migrate(path)


@cache
def statements() -> tuple[str, ...]:
    """Return what makes the tables of a newly migrated file, and the rows in them."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "nudges.db"))
        migrate(path)
        with closing(sqlite3.connect(path)) as connection:
            _, *between, _ = connection.iterdump()
    return tuple(between)
