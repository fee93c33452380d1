"""Writing to the inbox through a connection of the host's, inside the host's own transaction."""

from __future__ import annotations

import sys
from typing import Any

from nudge_sdk.errors import SetupError

_INSERT = "INSERT INTO nudge_inbox (account_id, line) VALUES ({0}, {0})"
_NAMED = "INSERT INTO nudge_inbox (account_id, line) VALUES (:account_id, :line)"
_SAVEPOINT = "nudge_inbox"

_ACCEPTED = "a Connection or Session of SQLAlchemy, a connection of Django, or one of psycopg or sqlite3"


def put_line(connection: Any, account_id: str, line: bytes) -> None:
    """Write a line that commits, or rolls back, with whatever else the connection's transaction holds.

    On PostgreSQL a statement that fails would spoil the host's transaction, so it has a savepoint of its own. SQLite
    forgets a failed statement by itself, and there its driver may take a savepoint for the whole transaction.

    Args:
        connection: To the database that holds the tables of nudge-sdk.
        account_id: The account it is about.
        line: The encoded record.

    Raises:
        SetupError: No kind of connection that is known.
    """
    if _is_sqlalchemy(connection):
        _by_sqlalchemy(connection, account_id, line)
    elif hasattr(connection, "cursor"):
        _by_driver(connection, account_id, line)
    else:
        raise SetupError(f"connection={type(connection).__name__} cannot be written to; give {_ACCEPTED}")


def _is_sqlalchemy(connection: Any) -> bool:
    loaded = sys.modules.get("sqlalchemy.orm")
    if loaded is not None and isinstance(connection, loaded.Session | loaded.scoped_session):
        return True
    engine = sys.modules.get("sqlalchemy.engine")
    return engine is not None and isinstance(connection, engine.Connection)


def _by_sqlalchemy(connection: Any, account_id: str, line: bytes) -> None:
    from sqlalchemy import text

    values = {"account_id": account_id, "line": line}
    dialect = connection.dialect if hasattr(connection, "dialect") else connection.get_bind().dialect
    if dialect.name == "sqlite":
        connection.execute(text(_NAMED), values)
        return
    with connection.begin_nested():
        connection.execute(text(_NAMED), values)


def _by_driver(connection: Any, account_id: str, line: bytes) -> None:
    """Write by the driver's own cursor; Django's wraps one, and says of which database."""
    is_sqlite = type(connection).__module__ == "sqlite3" or getattr(connection, "vendor", "") == "sqlite"
    is_django = hasattr(connection, "vendor")
    cursor = connection.cursor()
    try:
        if not is_sqlite:
            cursor.execute(f"SAVEPOINT {_SAVEPOINT}")
        try:
            cursor.execute(_INSERT.format("?" if is_sqlite and not is_django else "%s"), (account_id, line))
        except Exception:
            if not is_sqlite:
                cursor.execute(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
            raise
        if not is_sqlite:
            cursor.execute(f"RELEASE SAVEPOINT {_SAVEPOINT}")
    finally:
        cursor.close()
