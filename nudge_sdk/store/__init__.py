"""Stores: where records, states and conclusions are kept."""

from __future__ import annotations

from nudge_sdk.errors import SetupError
from nudge_sdk.store.protocol import Store

__all__ = ["Store", "open_store"]

_SUPPORTED = "This release supports sqlite:///relative.db, sqlite:////absolute/path.db and memory:// (for tests)."


def open_store(url: str) -> Store:
    """Return the store a URL names, without opening anything yet.

    Args:
        url: ``sqlite:///relative.db``, ``sqlite:////absolute/path.db``, or ``memory://`` for a store that lives as
            long as the process.

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
    raise SetupError(f"{url!r} names no store. {_SUPPORTED}")
