from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nudge_sdk.store.postgresql import PostgresqlStore
from tests import postgresql

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("shared") and not SHARED_DATA.is_dir():
        pytest.skip("the data folder ../shared/data is not beside this checkout")


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
