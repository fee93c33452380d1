"""Archives: what is written, written again, broken off and checked."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from nudge_sdk import NudgeClient
from nudge_sdk.cli import main
from nudge_sdk.errors import SetupError, StoreBusyError
from nudge_sdk.insights.archive import LOCK, Archived, archive
from nudge_sdk.insights.archive_checking import verify
from nudge_sdk.insights.archive_format import MANIFEST, day_file, read_manifest, table_file
from nudge_sdk.insights.journeys import refresh
from nudge_sdk.insights.tables import opened_tables
from nudge_sdk.rules.times import DAY, SECOND
from nudge_sdk.store import open_store
from nudge_sdk.store.sql_store import SqlStore
from nudge_sdk.testing import Clock, memory_client

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path, new_postgresql: Callable[[], str]) -> str:
    return f"sqlite:///{tmp_path}/n.db" if request.param == "sqlite" else new_postgresql()


@pytest.fixture
def client(url: str, clock: Clock) -> Iterator[NudgeClient]:
    with memory_client(clock=clock, store=url) as client:
        for day in range(6):
            for user in ("ann", "bob", "cyd"):
                client.track(user, "sent", {"n": day, "ü": "é"}, account="acme", id=f"{user}-{day}")
            client.track("dan", "opened")
            clock.move(days=1)
        yield client


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "it's an archive"


def written(client: NudgeClient, root: Path) -> Archived:
    refresh(client.store, client.intake.refresh().rules, client.now())
    return archive(client.store, root, client.now())


def problems(root: Path, client: NudgeClient | None = None) -> tuple[str, ...]:
    store = client.store if client else None
    assert store is None or isinstance(store, SqlStore)
    return verify(root, store).problems


def test_every_event_is_written_once_as_it_was_sent(client: NudgeClient, root: Path) -> None:
    done = written(client, root)
    assert (done.events, done.days, done.written, done.deleted) == (24, 6, 6, 0)
    rows = [row for path in sorted(root.glob("events/*/*.parquet")) for row in pq.read_table(path).to_pylist()]
    stored = {record.identity: record for record in client.store.records()}
    assert len(rows) == len(stored) == 24
    for row in rows:
        record = stored[row["account_id"], row["user_id"], row["id"], row["at"]]
        assert (row["kind"], row["name"], row["history"]) == (record.kind, record.name, record.history)
        assert (row["counted_at"], row["received_at"]) == (record.counted_at, record.received_at)
        assert (msgspec.json.decode(row["properties"]) if row["properties"] else {}) == record.data
    assert problems(root, client) == ()


def test_only_days_that_changed_are_written_again(client: NudgeClient, root: Path, clock: Clock) -> None:
    written(client, root)
    files = {path: path.stat().st_mtime_ns for path in root.glob("events/*/*.parquet")}
    assert written(client, root).written == 0
    client.track("bob", "sent", account="acme", id="late", at=clock() - timedelta(days=4))
    assert len(problems(root, client)) == 1
    assert written(client, root).written == 1
    changed = [path for path, at in files.items() if path.stat().st_mtime_ns != at]
    assert len(changed) == 1
    assert problems(root, client) == ()


def test_who_was_forgotten_is_in_no_file_after_the_next_run(client: NudgeClient, root: Path) -> None:
    client.convert("acme", user="ann", value=3)
    written(client, root)
    assert _holding(root, b"ann-")
    client.forget("ann")
    assert len(problems(root, client)) == 7
    assert written(client, root).written == 7
    assert not _holding(root, b"ann-")
    assert problems(root, client) == ()


def _holding(root: Path, word: bytes) -> bool:
    """Whether a value of any file holds a word."""
    tables = [pq.read_table(path) for path in root.rglob("*.parquet")]
    return any(word.decode() in repr(table.to_pylist()) for table in tables) or any(
        word in path.read_bytes() for path in root.rglob("*") if path.is_file() and path.suffix != ".parquet"
    )


def test_a_day_of_which_nothing_is_left_is_deleted(client: NudgeClient, root: Path, clock: Clock) -> None:
    from nudge_sdk.runtime.retaining import retain

    written(client, root)
    retain(client.intake, days=2)
    done = written(client, root)
    assert (done.days, done.deleted, done.events) == (2, 4, 8)
    assert len(list(root.glob("events/*"))) == 2
    assert problems(root, client) == ()


def test_one_event_in_the_place_of_another_is_noticed(client: NudgeClient, root: Path) -> None:
    """The number of events alone says nothing: what a person said of an account stays when they are forgotten."""
    client.group("gamma", {"plan": "pro"}, user="eve")
    written(client, root)
    client.forget("eve")
    assert written(client, root).written == 1
    assert problems(root, client) == ()


def test_an_empty_store_makes_an_empty_archive(tmp_path: Path, root: Path, clock: Clock) -> None:
    with memory_client(clock=clock, store=f"sqlite:///{tmp_path}/empty.db") as client:
        client.store.migrate()
        assert written(client, root).events == 0
        with opened_tables(archive=root) as tables:
            assert tables.rows(tables.events) == []
            assert tables.rows(tables.journeys) == []
        assert problems(root, client) == ()


def test_the_moment_of_an_archive_is_that_of_its_last_run(client: NudgeClient, root: Path, clock: Clock) -> None:
    written(client, root)
    clock.move(days=9)
    with opened_tables(archive=root) as tables:
        assert tables.as_of == client.now() - 9 * DAY
        assert tables.details["goal"] == "paid"


def test_no_engine_prints_how_far_it_is_among_what_a_command_prints(client: NudgeClient, root: Path) -> None:
    written(client, root)
    with opened_tables(archive=root) as tables:
        shown = tables.backend.con.execute("SELECT current_setting('enable_progress_bar')")  # type: ignore[attr-defined]
        assert shown.fetchall() == [(False,)]


def test_the_archive_is_readable_by_its_owner_alone(client: NudgeClient, root: Path) -> None:
    written(client, root)
    assert root.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("harm", ["flip", "cut", "delete", "add", "table"])
def test_harm_to_a_file_is_found(client: NudgeClient, root: Path, harm: str) -> None:
    written(client, root)
    day = min(read_manifest(root).days)
    path = day_file(root, day)
    data = path.read_bytes()
    match harm:
        case "flip":
            path.write_bytes(data[:40] + bytes([data[40] ^ 1]) + data[41:])
        case "cut":
            path.write_bytes(data[:-20])
        case "delete":
            path.unlink()
        case "add":
            path.with_name("other.parquet").write_bytes(data)
        case "table":
            table_file(root, 1, "journeys").write_bytes(b"")
    found = problems(root)
    assert found
    assert all(str(day) in each or "journeys" in each or "events" in each or "2026" in each for each in found)
    if harm == "flip":
        path.unlink()
    written(client, root)
    assert problems(root, client) == ()


def test_a_folder_that_holds_something_else_is_left_alone(client: NudgeClient, root: Path) -> None:
    root.mkdir()
    (root / "thesis.txt").write_text("mine")
    with pytest.raises(SetupError, match=r"holds thesis\.txt"):
        written(client, root)
    assert [path.name for path in root.iterdir()] == ["thesis.txt"]


def test_two_runs_at_once_do_not_mix(client: NudgeClient, root: Path) -> None:
    import fcntl

    written(client, root)
    with (root / LOCK).open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(StoreBusyError, match="another process is writing"):
            written(client, root)
    assert problems(root, client) == ()


@pytest.mark.parametrize("text", ["", "{", '{"format": "x"}', '{"format": 99}'])
def test_a_manifest_that_cannot_be_read_says_so(client: NudgeClient, root: Path, text: str) -> None:
    written(client, root)
    (root / MANIFEST).write_text(text)
    with pytest.raises(SetupError), opened_tables(archive=root):
        raise AssertionError
    with pytest.raises(SetupError):
        verify(root)


def test_the_command_writes_checks_and_compares(client: NudgeClient, root: Path, url: str) -> None:
    run = CliRunner().invoke
    assert run(main, ["archive", str(root)], env={"NUDGE_STORE": ""}).exit_code == 2
    assert "24 events of 6 days; 6 days written" in run(main, ["archive", str(root), "--store", url]).output
    alone = run(main, ["archive", str(root), "--verify"], env={"NUDGE_STORE": ""})
    assert (alone.exit_code, alone.output) == (0, "24 events of 6 days: every file is as it was written\n")
    beside = run(main, ["archive", str(root), "--verify", "--store", url])
    assert "and the store holds the same" in beside.output
    client.track("ann", "sent", account="acme")
    wrong = run(main, ["archive", str(root), "--verify", "--store", url])
    assert wrong.exit_code == 1
    assert "the store has 1 events, the archive none" in wrong.output
    as_json = run(main, ["archive", str(root), "--verify", "--store", url, "--json"])
    assert len(msgspec.json.decode(as_json.output)["problems"]) == 1


WRITE = """
import sys, time
from pathlib import Path
from nudge_sdk.insights import archive_writing
from nudge_sdk.insights.archive import archive
from nudge_sdk.store import open_store
store = open_store(sys.argv[1])
print("ready", flush=True)
archive(store, Path(sys.argv[2]), int(sys.argv[3]))
"""


def test_kill_9_at_any_moment_leaves_an_archive_that_can_be_read_and_finished(tmp_path: Path, clock: Clock) -> None:
    url, root = f"sqlite:///{tmp_path}/n.db", tmp_path / "archive"
    chosen = random.Random(3)
    with memory_client(clock=clock, store=url) as client:
        _fill(client, clock, days=120)
        written(client, root)
        counts = {_events(root)}
        for attempt in range(6):
            _fill(client, clock, days=120, of=f"more{attempt}")
            counts.add(sum(1 for _ in client.store.records()))
            process = _start(url, root, client.now())
            time.sleep(chosen.uniform(0.01, 0.5))
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
            assert min(counts) <= _events(root) <= max(counts)
        written(client, root)
        assert problems(root, client) == ()
        assert _events(root) == max(counts)


def _fill(client: NudgeClient, clock: Clock, *, days: int, of: str = "first") -> None:
    start = clock()
    for day in range(days):
        client.track(f"user-{day % 7}", "sent", {"n": day}, account="acme", id=f"{of}-{day}", at=start)
        start -= timedelta(days=1)
    clock.move(seconds=1)


def _events(root: Path) -> int:
    with opened_tables(archive=root) as tables:
        count: int = tables.rows(tables.events.count().name("n").as_table())[0][0]
        return count


def _start(url: str, root: Path, now: int) -> subprocess.Popen[str]:
    command: list[Any] = [sys.executable, "-c", WRITE, url, root, str(now)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_opening_a_store_that_is_gone_changes_nothing(tmp_path: Path, root: Path) -> None:
    from nudge_sdk.errors import StoreError

    store = open_store(f"sqlite:///{tmp_path}/gone/n.db")
    with pytest.raises(StoreError):
        archive(store, root, SECOND)
    with pytest.raises(SetupError, match="is no archive"), opened_tables(archive=root):
        raise AssertionError
