"""Draining: one at a time, taken over at once, and stopped by nothing."""

from __future__ import annotations

import logging
import os
import signal
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nudge_sdk import NudgeClient
from nudge_sdk.errors import RecordError, StoreError
from nudge_sdk.rules.records import Record
from nudge_sdk.runtime import drainer as drainer_module
from nudge_sdk.runtime.checking import check_name
from nudge_sdk.runtime.drainer import Drainer
from nudge_sdk.runtime.intake import Intake, Position, encode_record
from nudge_sdk.runtime.journal import Journal
from nudge_sdk.runtime.recorder import present
from nudge_sdk.store import open_store
from nudge_sdk.testing import Clock
from tests.runtime.examples import PRELUDE, line_of, nudge, open_client, product, start, wait_until

HOLD = """
client = open_client(sys.argv[1], journal=sys.argv[2])
client.track("holder", "step")
taken = client.drainer.drain()
client.track("holder", "left behind")
say(taken)
sys.stdin.readline()
"""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    with open_client(tmp_path / "nudges.db") as client:
        client.publish(product())
    return tmp_path / "nudges.db"


@pytest.fixture
def client(database: Path) -> Iterator[NudgeClient]:
    with open_client(database) as client:
        yield client


def _drain(client: NudgeClient) -> int:
    assert client.drainer is not None
    return client.drainer.drain()


def _files(client: NudgeClient) -> list[Path]:
    assert client.drainer is not None
    return sorted(client.drainer.folder.glob("*.journal"))


def _holder(database: Path) -> subprocess.Popen[str]:
    process = start(PRELUDE + HOLD, database, f"{database}-journals")
    assert line_of(process) == "1"
    return process


def _record(name: str = "step", **changes: Any) -> Record:
    now = present()
    return msgspec.structs.replace(Record("track", "acme", "ada", os.urandom(8).hex(), now, now, name), **changes)


def _orphan(client: NudgeClient, *lines: bytes) -> Path:
    """A journal whose process is gone."""
    assert client.drainer is not None
    journal = Journal(client.drainer.folder)
    for line in lines:
        journal.append(line)
    assert journal.path is not None
    path = journal.path
    journal.close()
    return path


def test_one_process_drains_and_a_killed_one_is_replaced_at_once(client: NudgeClient, database: Path) -> None:
    holder = _holder(database)
    client.track("ada", "step")
    assert _drain(client) == 0, "somebody else is at it"
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    assert _drain(client) == 2
    assert sorted(record.name for record in client.store.records()) == ["left behind", "step", "step"]
    (left,) = _files(client)
    assert client.recorder.journal is not None
    assert left == client.recorder.journal.path, "the orphan is gone, the own file stays"


def test_a_drainer_that_ends_lets_the_other_go_on(client: NudgeClient, database: Path) -> None:
    holder = _holder(database)
    client.track("ada", "step")
    assert _drain(client) == 0
    holder.communicate("go\n", timeout=10)
    assert wait_until(lambda: _drain(client) == 2, 2)


def test_positions_go_with_their_files(client: NudgeClient) -> None:
    paths = [_orphan(client, encode_record(_record())) for _ in range(3)]
    assert _drain(client) == 3
    assert [path.exists() for path in paths] == [False] * 3
    assert [client.store.read_position(path.name) for path in paths] == [None] * 3
    client.track("ada", "step")
    assert _drain(client) == 1
    (path,) = _files(client)
    assert client.store.read_position(path.name) == path.stat().st_size


def test_lines_that_are_no_records_are_set_aside_with_reason_and_place_and_the_rest_goes_on(
    client: NudgeClient, caplog: pytest.LogCaptureFixture
) -> None:
    garbage = [
        b"garbage",
        b"{}",
        b"[]",
        b'["track","acme"]',
        b"\xff\xfe",
        b'["fly","a","b","c",1,1,"n",{},"",false]',
        b"",
    ]
    path = _orphan(client, encode_record(_record("one")), *garbage, encode_record(_record("two")))
    with path.open("ab") as file:
        file.write(b"no separator at all\n")
    assert _drain(client) >= 2
    assert [record.name for record in client.store.records()] == ["one", "two"]
    rows = client.store.quarantined()
    assert sorted(row.line for row in rows) == sorted(garbage)
    assert all(row.reason and row.journal == path.name and row.at for row in rows)
    assert not path.exists()
    assert "was set aside" in caplog.text


def test_a_record_that_the_store_refuses_is_found_and_set_aside(client: NudgeClient) -> None:
    good = [encode_record(_record(f"good-{number}")) for number in range(20)]
    bad = [
        encode_record(_record("bad", at=2**70, received_at=2**70)),
        encode_record(_record("bad", at=-(2**65))),
        b'["track","acme","a\\ud800","x",1,1,"bad"]',
    ]
    _orphan(client, *good[:7], bad[0], *good[7:9], bad[1], *good[9:], bad[2])
    assert _drain(client) == 23
    assert {record.name for record in client.store.records()} == {f"good-{number}" for number in range(20)}
    assert len(client.store.quarantined()) == 3
    assert _files(client) == []


def test_a_batch_refused_by_a_full_disk_makes_no_record_look_bad(database: Path, tmp_path: Path) -> None:
    store: Any = _FullDisk(open_store(f"sqlite:///{database}"))
    journal = Journal(tmp_path / "journals")
    for number in range(5):
        journal.append(encode_record(_record(f"step-{number}")))
    drainer = Drainer(Intake(store, present), tmp_path / "journals")
    store.is_full = True
    for _ in range(3):
        with pytest.raises(StoreError, match="full"):
            drainer.drain()
    assert store.quarantined() == []
    store.is_full = False
    assert drainer.drain() == 5
    assert len(list(store.records())) == 5
    drainer.close()


class _FullDisk:
    """A store that takes small things only."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.is_full = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    @contextmanager
    def transaction(self, *, wait: float) -> Iterator[Any]:
        with self._store.transaction(wait=wait) as transaction:
            yield _FullTransaction(transaction) if self.is_full else transaction


class _FullTransaction:
    def __init__(self, transaction: Any) -> None:
        self._transaction = transaction

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transaction, name)

    def insert_records(self, records: Any) -> Any:
        raise StoreError("database or disk is full") from sqlite3.OperationalError("database or disk is full")


def test_a_fold_that_fails_on_one_record_in_an_unforeseen_way_does_not_stop_the_drainer(
    database: Path, tmp_path: Path
) -> None:
    store: Any = _Allergic(open_store(f"sqlite:///{database}"))
    journal = Journal(tmp_path / "journals")
    for name in ("one", "poison", "two"):
        journal.append(encode_record(_record(name)))
    drainer = Drainer(Intake(store, present), tmp_path / "journals")
    assert drainer.drain() == 3
    assert [record.name for record in store.records()] == ["one", "two"]
    (row,) = store.quarantined()
    assert "poison" in row.line.decode()
    assert row.reason
    drainer.close()


class _Allergic(_FullDisk):
    @contextmanager
    def transaction(self, *, wait: float) -> Iterator[Any]:
        with self._store.transaction(wait=wait) as transaction:
            yield _AllergicTransaction(transaction)


class _AllergicTransaction(_FullTransaction):
    def insert_records(self, records: Any) -> Any:
        if any(record.name == "poison" for record in records):
            raise ZeroDivisionError("nobody thought of this")
        return self._transaction.insert_records(records)


def test_a_line_that_was_never_finished_is_skipped_and_the_rest_counts(
    client: NudgeClient, caplog: pytest.LogCaptureFixture
) -> None:
    path = _orphan(client, encode_record(_record("whole")))
    with path.open("ab") as file:
        file.write(b'\x1e["track","acme","ada","half')
    assert _drain(client) == 1
    assert [record.name for record in client.store.records()] == ["whole"]
    assert not path.exists()
    assert "never finished" in caplog.text
    assert client.store.quarantined() == []


def test_a_file_that_cannot_be_read_keeps_no_other_waiting(
    client: NudgeClient, caplog: pytest.LogCaptureFixture
) -> None:
    client.track("ada", "step")
    assert client.drainer is not None
    (client.drainer.folder / f"{0:020d}-1-aaaa.journal").mkdir()
    assert _drain(client) == 1
    client.track("ada", "step")
    assert _drain(client) == 1
    assert caplog.text.count("cannot be read and waits") == 1


def test_a_folder_that_vanishes_stops_nothing(client: NudgeClient) -> None:
    assert client.drainer is not None
    assert _drain(client) == 0
    assert client.drainer.lag() == 0
    client.track("ada", "step")
    assert client.drainer.lag() > 0
    assert _drain(client) == 1
    assert client.drainer.lag() == 0


def test_a_drain_with_an_end_stops_after_the_batch_in_hand(
    client: NudgeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drainer_module, "BATCH_BYTES", 1000)
    for _ in range(200):
        client.track("ada", "step")
    assert client.drainer is not None
    assert client.drainer.drain(until=0.0) == 0
    assert client.flush()
    assert len(list(client.store.records())) == 200


def test_the_same_batch_drained_twice_counts_once(client: NudgeClient) -> None:
    for _ in range(10):
        client.track("ada", "campaign_sent")
    assert _drain(client) == 10
    (path,) = _files(client)
    with client.store.transaction(wait=1) as transaction:
        transaction.put_position(path.name, 0)
    assert client.drainer is not None
    client.drainer.close()
    client.drainer._offsets.clear()
    assert _drain(client) == 10
    assert len(list(client.store.records())) == 10
    report = client.standing("ada")
    assert report is not None
    assert report.score == 5


def test_the_sweep_moves_tiers_at_midnight_without_an_event(tmp_path: Path) -> None:
    clock = Clock()
    with open_client(tmp_path / "nudges.db", clock=clock, definition=product(nudge("hello"))) as client:
        for _ in range(2):
            client.track("ada", "campaign_sent")
        assert client.flush()
        row = client.store.read_subjects([("personal:ada", "ada")])["personal:ada", "ada"]
        assert row.tier == "warm"
        clock.move(days=13)
        client.sweep()
        assert client.store.read_subjects([row.key])[row.key].tier == "warm"
        clock.move(days=4, hours=16)
        assert client.sweep() > 0
        assert client.store.read_subjects([row.key])[row.key].tier == "none"
        last = client.store.transitions(*row.key)[-1]
        assert (last.from_tier, last.tier, last.cause) == ("warm", "none", "time")
        assert last.at % 86_400_000_000 == 0
        assert client.sweep() == 0


def test_the_thread_sweeps_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drainer_module, "SWEEP_SECONDS", 0.05)
    clock = Clock()
    with open_client(
        tmp_path / "nudges.db", clock=clock, drain="thread", drain_seconds=0.01, definition=product()
    ) as client:
        for _ in range(2):
            client.track("ada", "campaign_sent")
        assert client.flush()
        key = ("personal:ada", "ada")
        assert client.store.read_subjects([key])[key].tier == "warm"
        clock.move(days=30)
        assert wait_until(lambda: client.store.read_subjects([key])[key].tier == "none", 5)


def test_a_definition_nobody_can_read_does_not_make_the_sweep_run_for_ever(client: NudgeClient) -> None:
    client.track("ada", "campaign_sent")
    assert client.flush()
    row = client.store.definitions()[-1]
    with client.store.transaction(wait=1) as transaction:
        transaction.put_definition(msgspec.structs.replace(row, number=2, document=b"no json"))
    thread = threading.Thread(target=client.sweep, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()


def test_positions_are_committed_with_their_rows(client: NudgeClient) -> None:
    client.track("ada", "step")
    (path,) = _files(client)
    intake = Intake(client.store, present)
    with pytest.raises(RecordError):
        _put_position_and_fail(client, path.name)
    assert client.store.read_position(path.name) is None
    intake.take([_record()], wait=1, position=Position(path.name, 7))
    assert client.store.read_position(path.name) == 7


def _put_position_and_fail(client: NudgeClient, journal: str) -> None:
    with client.store.transaction(wait=1) as transaction:
        transaction.put_position(journal, 10**6)
        check_name("", "user")


def test_draining_is_said_to_fail_once_and_not_every_time(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        client = open_client(tmp_path / "no" / "nudges.db", journal=tmp_path / "j", drain="thread", drain_seconds=0.005)
        client.track("ada", "step")
        thread = client.recorder.thread
        assert thread is not None
        assert wait_until(lambda: thread.failures >= 4)
        (tmp_path / "no").mkdir()
        client.close()
    assert caplog.text.count("draining goes on later") == 1
