from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings

from nudge_sdk import client
from nudge_sdk.options import Options
from nudge_sdk.store import postgresql_connections
from nudge_sdk.store import sqlite as sqlite_store
from nudge_sdk.store.postgresql import PostgresqlStore
from tests import postgresql, sqlite

_STORE_WAIT = Options().store_wait
_DEFAULTS: dict[str, Any] = Options.__init__.__kwdefaults__ or {}
_READ_WAIT = postgresql_connections.READ_WAIT


def _wait_by_default(seconds: float) -> None:
    """Have clients that are made without options wait so long; theirs were made before this was read."""
    object.__setattr__(client.DEFAULTS, "store_wait", seconds)


# A client waits 50 ms for its store, then goes on without. That is too short where other tests run at the same time.
_DEFAULTS["store_wait"] = 5.0
_wait_by_default(5.0)
postgresql_connections.READ_WAIT = 0.9 * postgresql_connections.OF_A_REQUEST
sqlite_store._migrate = sqlite.fill

settings.register_profile(
    "properties",
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    # Making a failing example small can take minutes, so it is left to the long runs.
    phases=(Phase.explicit, Phase.generate),
)
_usual = settings.get_profile("properties")
settings.register_profile("mutants", _usual, max_examples=60)
settings.register_profile("thorough", _usual, max_examples=3000, derandomize=False, phases=tuple(Phase))
settings.load_profile("properties")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile(config.getoption("--hypothesis-profile", None) or "properties")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave coverage out of property tests: it makes them four times as long, and other tests go the same ways."""
    for item in items:
        if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker(pytest.mark.no_cover)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("shared") and not SHARED_DATA.is_dir():
        pytest.skip("the data folder ../shared/data is not beside this checkout")


@pytest.fixture
def request_wait(monkeypatch: pytest.MonkeyPatch) -> Iterator[float]:
    """Clients wait for the store as hosts' do, not as patiently as in other tests; gives the seconds."""
    monkeypatch.setitem(_DEFAULTS, "store_wait", _STORE_WAIT)
    monkeypatch.setattr(postgresql_connections, "READ_WAIT", _READ_WAIT)
    patient = client.DEFAULTS.store_wait
    _wait_by_default(_STORE_WAIT)
    yield _STORE_WAIT
    _wait_by_default(patient)


@pytest.fixture
def real_migrations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every SQLite file is migrated, not filled with what the migrations made of another."""
    monkeypatch.setattr(sqlite_store, "_migrate", sqlite.migrate)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The outside data; a test that asks for it carries the marker ``shared``."""
    return SHARED_DATA


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[postgresql.Server]:
    """A real server, for all tests of this run."""
    with postgresql.running() as server:
        yield server


@pytest.fixture(scope="session")
def migrated(postgresql_server: postgresql.Server) -> str:
    """Name of a database with this release's tables, to make others from."""
    url = postgresql_server.new_database()
    store = PostgresqlStore(url)
    store.migrate()
    store.close()
    return postgresql.name_of(url)


@pytest.fixture
def new_postgresql(postgresql_server: postgresql.Server, migrated: str) -> Iterator[Callable[[], str]]:
    """Make databases with this release's tables, each empty; gives their addresses."""
    made: list[str] = []

    def make() -> str:
        made.append(postgresql_server.new_database(migrated))
        return made[-1]

    yield make
    for url in made:
        postgresql_server.drop_database(url)
