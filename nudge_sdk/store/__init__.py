"""Stores: where records, states and conclusions are kept."""

from __future__ import annotations

import re

from nudge_sdk.errors import SetupError
from nudge_sdk.store.protocol import Store

__all__ = ["Store", "open_store", "shown"]

_SUPPORTED = (
    "Say sqlite:///relative.db, sqlite:////absolute/path.db, postgresql://user@host/database, or memory:// (for tests)."
)
# Up to the last @, for a password may hold what it should not.
_PASSWORD = re.compile(r"(//[^/@:]*:).*(?=@)|([?&]password=)[^&]*")
_POSTGRESQL = ("postgresql", "postgres", "postgresql+psycopg")


def open_store(url: str) -> Store:
    """Return the store a URL names, without opening anything yet.

    Args:
        url: ``sqlite:///relative.db``, ``sqlite:////absolute/path.db``, ``postgresql://user@host/database``, or
            ``memory://`` for a store that lives as long as the process.

    Raises:
        SetupError: The URL names no store of this release.
    """
    scheme, separator, rest = url.partition("://")
    if scheme == "memory" and separator and not rest:
        from nudge_sdk.store.memory import MemoryStore

        return MemoryStore()
    if scheme == "sqlite" and rest in ("", "/", "/:memory:"):
        raise SetupError(f"{url!r} would be a database of its own for each thread; use memory:// or name a file.")
    if scheme == "sqlite" and rest.startswith("/"):
        from nudge_sdk.store.sqlite import SqliteStore

        return SqliteStore(rest[1:])
    if scheme in _POSTGRESQL and separator:
        return _postgresql(f"postgresql://{rest}")
    raise SetupError(f"{shown(url)!r} names no store. {_SUPPORTED}")


def shown(url: str) -> str:
    """Return a store's address as people and logs may see it: without the password."""
    return _PASSWORD.sub(lambda found: f"{found[1] or found[2]}***", url)


def _postgresql(url: str) -> Store:
    try:
        from nudge_sdk.store.postgresql import PostgresqlStore
    except ImportError as error:
        text = f"a PostgreSQL store needs psycopg ({error}); run: pip install 'nudge-sdk[postgresql]'"
        raise SetupError(text) from error
    return PostgresqlStore(url)
