"""Opening stores and clients for one command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nudge_sdk.errors import SetupError

if TYPE_CHECKING:
    from nudge_sdk.client import NudgeClient
    from nudge_sdk.runtime.catalog import Catalog
    from nudge_sdk.runtime.intake import Intake
    from nudge_sdk.store.protocol import Store

_SQLITE = "sqlite:///"
_READ_WAIT = 30.0


@contextmanager
def opened_store(url: str, *, make: bool = False) -> Iterator[Store]:
    """Open a store whose schema is this release's.

    Args:
        url: Which.
        make: Whether to make or migrate it where it is missing or older.

    Raises:
        SetupError: It is missing or older, and ``make`` was not asked for.
        StoreError: It does not answer.
    """
    from nudge_sdk.store import open_store, shown
    from nudge_sdk.store.sql_store import SqlStore

    if not make:
        check_exists(url)
    with closing(open_store(url)) as store:
        if isinstance(store, SqlStore):
            # A person waits for the answer, not a page.
            store.read_wait = _READ_WAIT
        if not store.schema_is_current():
            if not make:
                raise SetupError(f"{shown(url)} has not this release's tables; run: nudge migrate --store {shown(url)}")
            store.migrate()
        yield store


@contextmanager
def opened_client(url: str, *, make: bool = False) -> Iterator[NudgeClient]:
    """Open a client that writes straight to the store and raises its errors; see ``opened_store``."""
    from nudge_sdk.client import NudgeClient
    from nudge_sdk.options import Options

    # A person waits for the answer, not a page: a busy store may take its time.
    options = Options(on_error="raise", store_wait=10.0)
    with opened_store(url, make=make) as store, NudgeClient(store, drain="inline", options=options) as client:
        yield client


def intake_of(store: Store) -> Intake:
    """Return the way into a store, by the clock of this machine."""
    from nudge_sdk.runtime.intake import Intake
    from nudge_sdk.runtime.recorder import present

    return Intake(store, present)


def live_catalog(store: Store) -> Catalog:
    """Return what is published.

    Raises:
        SetupError: Nothing is in force yet.
    """
    catalog = intake_of(store).catalog
    if not catalog.number:
        raise SetupError("no definition is in force in this store; run: nudge publish FILE")
    return catalog


def check_exists(url: str) -> None:
    """Refuse to make a database out of a mistyped name.

    Raises:
        SetupError: The URL names a file that is not there.
    """
    path = sqlite_file(url)
    if path is not None and not path.exists():
        raise SetupError(f"{path} is not there; check --store, or run: nudge migrate --store {url}")


def sqlite_file(url: str) -> Path | None:
    """Return the file that a URL names, if it names one."""
    return Path(url.removeprefix(_SQLITE).partition("?")[0]) if url.startswith(_SQLITE) else None


def journals_of(url: str, journal: str | None) -> Path:
    """Return the folder of a store's journals.

    Raises:
        SetupError: It is not said, and the store is no file that it could be beside.
    """
    if journal:
        return Path(journal)
    path = sqlite_file(url)
    if path is None:
        raise SetupError("say in which folder the journals are: --journal /var/lib/…")
    return path.with_name(f"{path.name}-journals")
