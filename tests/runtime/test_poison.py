"""Lines that one store or another refuses: found by halving, set aside with the reason, and the rest goes on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nudge_sdk.rules.records import Record
from nudge_sdk.runtime.drainer import Drainer
from nudge_sdk.runtime.intake import Intake, encode_record
from nudge_sdk.runtime.journal import Journal
from nudge_sdk.runtime.recorder import present
from nudge_sdk.store import open_store
from nudge_sdk.store.protocol import Store

MANY = 40


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "postgresql":
        make: Callable[[], str] = request.getfixturevalue("new_postgresql")
        url = make()
    else:
        url = f"sqlite:///{tmp_path}/nudges.db"
    store = open_store(url)
    store.migrate()
    yield store
    store.close()


def record(name: str, **changes: Any) -> bytes:
    now = present()
    made = Record("track", "acme", "ada", os.urandom(8).hex(), now, now, name)
    return encode_record(msgspec.structs.replace(made, **changes))


POISON = [
    record("bad", at=2**70, received_at=2**70),
    record("bad", at=-(2**65)),
    record("bad", user_id="a\x00b"),
    record("b\x00ad"),
    b'["track","acme","a\\ud800","x",1,1,"bad"]',
    b"no json at all",
    b'["fly","a","b","c",1,1,"n",{},"",false]',
]


@pytest.mark.parametrize("place", [0, 7, MANY - 1])
@pytest.mark.parametrize("poison", POISON, ids=range(len(POISON)))
def test_one_bad_line_anywhere_is_set_aside_and_all_others_count(
    store: Store, tmp_path: Path, poison: bytes, place: int
) -> None:
    lines = [record(f"good-{number}") for number in range(MANY)]
    lines.insert(place, poison)
    rows = drained(store, tmp_path, lines)
    names = [each.name for each in store.records()]
    assert {f"good-{number}" for number in range(MANY)} <= set(names)
    assert (len(names), len(rows)) == (MANY, 1)
    for row in rows:
        assert row.reason
        assert row.journal.endswith(".journal")
        assert row.offset > 0


def test_many_bad_lines_stop_nothing(store: Store, tmp_path: Path) -> None:
    lines = [line for number in range(MANY) for line in (record(f"good-{number}"), POISON[number % 2])]
    rows = drained(store, tmp_path, lines)
    assert len(list(store.records())) == MANY
    # The same line at the same place of a journal is set aside once.
    assert {row.line for row in rows} == {encode(line) for line in POISON[:2]}


def encode(line: bytes) -> bytes:
    return encode_record(msgspec.json.decode(line, type=Record))


def drained(store: Store, tmp_path: Path, lines: list[bytes]) -> list[Any]:
    journal = Journal(tmp_path / "journals")
    for line in lines:
        journal.append(line)
    drainer = Drainer(Intake(store, present), tmp_path / "journals")
    assert drainer.drain() == len(lines)
    assert drainer.lag() == 0
    drainer.close()
    return store.quarantined()
