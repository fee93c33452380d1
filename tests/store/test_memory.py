from __future__ import annotations

from typing import Any

import pytest

from nudge_sdk.errors import SetupError
from nudge_sdk.store import Store, open_store
from nudge_sdk.store.memory import MemoryStore
from tests.store.contract import StoreContract
from tests.store.examples import insert, record


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self) -> Store:
        return open_store("memory://")

    def fill_inbox(self, store: Any, line: bytes) -> None:
        assert isinstance(store, MemoryStore)
        store.put_inbox("acme", line)


def test_every_memory_store_has_a_memory_of_its_own() -> None:
    first, second = open_store("memory://"), open_store("memory://")
    assert insert(first, record()) == [True]
    assert insert(second, record()) == [True]


@pytest.mark.parametrize("url", ["", "memory:", "memory://x", "nudge.db", "sqlite:nudge.db", "mysql://h/d"])
def test_a_url_of_no_store_is_refused_with_what_is_supported(url: str) -> None:
    with pytest.raises(SetupError, match=r"Say sqlite:///.*postgresql://.*memory://"):
        open_store(url)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:"])
def test_sqlite_without_a_file_is_pointed_to_the_memory_store(url: str) -> None:
    with pytest.raises(SetupError, match="memory://"):
        open_store(url)
