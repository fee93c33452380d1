from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from nudge_sdk.store import Store
from nudge_sdk.store.postgresql import PostgresqlStore
from tests.store.contract import StoreContract


@pytest.fixture
def store(new_postgresql: Callable[[], str]) -> Iterator[PostgresqlStore]:
    store = PostgresqlStore(new_postgresql())
    yield store
    store.close()


class TestPostgresqlStore(StoreContract):
    @pytest.fixture
    def store(self, store: PostgresqlStore) -> Store:
        return store

    def fill_inbox(self, store: Any, line: bytes) -> None:
        with psycopg.connect(store.url) as host:
            host.execute("INSERT INTO nudge_inbox (account_id, line) VALUES ('acme', %s)", (line,))
