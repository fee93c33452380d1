from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from nudge_sdk.insights.kept_reports import KEPT_FOR, WORTH_KEEPING, forget_reports, kept_report
from nudge_sdk.store import open_store
from nudge_sdk.store.protocol import Store

NOW = 10**15


class Counted(msgspec.Struct, frozen=True):
    number: int


class Another(msgspec.Struct, frozen=True):
    words: str


class Maker:
    """Makes reports, counts how many, and takes its time."""

    def __init__(self, seconds: float = WORTH_KEEPING) -> None:
        self.seconds, self.made = seconds, 0

    def __call__(self) -> Counted:
        time.sleep(self.seconds)
        self.made += 1
        return Counted(self.made)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path}/nudge.db")
    opened.migrate()
    yield opened
    opened.close()


def test_what_took_long_is_kept_for_a_day(store: Store) -> None:
    make = Maker()
    found = [kept_report(store, "a", Counted, make, now=at).number for at in (NOW, NOW + KEPT_FOR - 1, NOW + KEPT_FOR)]
    assert found == [1, 1, 2]


def test_what_is_quick_is_made_anew_each_time(store: Store) -> None:
    make = Maker(seconds=0)
    assert [kept_report(store, "a", Counted, make, now=NOW).number for _ in range(3)] == [1, 2, 3]


def test_reports_of_other_options_are_kept_apart(store: Store) -> None:
    make = Maker()
    assert [kept_report(store, name, Counted, make, now=NOW).number for name in ("a", "b", "a")] == [1, 2, 1]


def test_what_another_release_kept_is_made_anew(store: Store) -> None:
    kept_report(store, "a", Counted, Maker(), now=NOW)
    assert kept_report(store, "a", Another, lambda: Another("new"), now=NOW) == Another("new")


def test_what_was_kept_by_a_clock_ahead_is_made_anew(store: Store) -> None:
    make = Maker()
    assert [kept_report(store, "a", Counted, make, now=at).number for at in (NOW + 1, NOW)] == [1, 2]


def test_kept_reports_can_be_forgotten(store: Store) -> None:
    make = Maker()
    kept_report(store, "a", Counted, make, now=NOW)
    forget_reports(store)
    assert kept_report(store, "a", Counted, make, now=NOW).number == 2


def test_memory_keeps_none() -> None:
    make = Maker()
    memory = open_store("memory://")
    assert [kept_report(memory, "a", Counted, make, now=NOW).number for _ in range(2)] == [1, 2]
    forget_reports(memory)
