from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from nudge_sdk.insights.kept_reports import (
    KEPT_FOR,
    RENEWED_AFTER,
    Kept,
    ask_anew,
    is_due,
    keep_report,
    kept_at,
    kept_report,
)
from nudge_sdk.store import open_store
from nudge_sdk.store.sql_store import SqlStore

NOW = 10**15


class Counted(msgspec.Struct, frozen=True):
    number: int


class Another(msgspec.Struct, frozen=True):
    words: str


def made(number: int = 1, at: int = NOW, definition: int = 1) -> Kept[Counted]:
    return Kept(report=Counted(number), at=at, definition=definition)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    opened = open_store(f"sqlite:///{tmp_path}/nudge.db")
    assert isinstance(opened, SqlStore)
    opened.migrate()
    yield opened
    opened.close()


def test_a_report_stands_for_a_day_by_the_definition_it_was_made_by() -> None:
    kept = made()
    asked = [(NOW, 1), (NOW + KEPT_FOR - 1, 1), (NOW + KEPT_FOR, 1), (NOW, 2), (NOW - 1, 1)]
    assert [kept.is_fresh(*each) for each in asked] == [True, True, False, False, False]


def test_one_that_is_old_is_still_there_with_its_date(store: SqlStore) -> None:
    keep_report(store, "a", made())
    assert kept_report(store, "a", Counted) == made()
    assert kept_report(store, "b", Counted) is None
    keep_report(store, "a", made(2, NOW + KEPT_FOR))
    assert kept_report(store, "a", Counted) == made(2, NOW + KEPT_FOR)


def test_one_is_renewed_beforehand_after_half_a_day(store: SqlStore) -> None:
    assert is_due(store, "a", NOW, 1)
    keep_report(store, "a", made())
    asked = [(NOW, 1), (NOW + RENEWED_AFTER - 1, 1), (NOW + RENEWED_AFTER, 1), (NOW, 2)]
    assert [is_due(store, "a", *each) for each in asked] == [False, False, True, True]


def test_what_another_release_kept_is_not_read(store: SqlStore) -> None:
    keep_report(store, "a", made())
    assert kept_report(store, "a", Another) is None


def test_when_somebody_asks_anew_the_old_ones_stay_until_then(store: SqlStore) -> None:
    keep_report(store, "a", made())
    ask_anew(store)
    kept = kept_report(store, "a", Counted)
    assert kept is not None
    assert (kept.report, kept.at, kept.is_fresh(NOW, 1)) == (Counted(1), NOW, False)
    assert is_due(store, "a", NOW, 1)
    assert (kept_at(store, "a"), kept_at(store, "b")) == (0, None)
    keep_report(store, "a", made(2))
    assert kept_at(store, "a") == NOW
    assert not is_due(store, "a", NOW, 1)


def test_where_the_store_is_busy_nothing_is_kept_and_nothing_raised(store: SqlStore) -> None:
    begun, done = threading.Event(), threading.Event()

    def write() -> None:
        with store.transaction(wait=1.0):
            begun.set()
            done.wait(10)

    writer = threading.Thread(target=write)
    writer.start()
    begun.wait(10)
    keep_report(store, "a", made())
    done.set()
    writer.join()
    assert kept_report(store, "a", Counted) is None
