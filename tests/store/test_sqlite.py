from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nudge_sdk.errors import RecordError, StoreBusyError, StoreError
from nudge_sdk.rules.times import DAY
from nudge_sdk.store import Store, open_store, statements
from nudge_sdk.store import sqlite_statements as sql
from nudge_sdk.store.rows import pack_id, unpack_id
from nudge_sdk.store.sqlite import SqliteStore
from tests.store.contract import StoreContract
from tests.store.examples import MEMBER, NOON, UUID, insert, put, record, records_of, subject
from tests.store.processes import finish, start, wait_for


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "nudge.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(str(path))
    store.migrate()
    yield store
    store.close()


class TestSqliteStore(StoreContract):
    @pytest.fixture
    def store(self, store: SqliteStore) -> Store:
        return store

    def fill_inbox(self, store: Any, line: bytes) -> None:
        with closing(sqlite3.connect(store.path)) as host, host:
            host.execute(statements.PUT_INBOX, ("acme", line))


def test_making_a_store_opens_nothing(path: Path) -> None:
    open_store(f"sqlite:///{path}").close()
    assert not path.exists()


def test_a_relative_url_is_relative_to_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = open_store("sqlite:///here.db")
    store.migrate()
    store.close()
    assert (tmp_path / "here.db").exists()


def test_without_tables_the_error_says_what_to_call(path: Path) -> None:
    store = SqliteStore(str(path))
    with pytest.raises(StoreError, match="migrate"):
        insert(store, record())
    with pytest.raises(StoreError, match="migrate"):
        store.read_subjects([MEMBER])
    assert not store.schema_is_current()
    store.close()


def test_a_folder_that_is_missing_is_a_store_error(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path / "missing" / "nudge.db"))
    for call in (store.migrate, store.definitions, lambda: insert(store, record())):
        with pytest.raises(StoreError, match="unable to open"):
            call()


def test_a_file_that_is_no_database_is_a_store_error(path: Path) -> None:
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(StoreError, match="not a database"):
        SqliteStore(str(path)).migrate()


def test_events_take_at_most_130_bytes_each(store: SqliteStore) -> None:
    batch = [
        record(
            str(uuid.UUID(int=n * 0x9E3779B97F4A7C15_9E3779B97F4A7C15 % 2**128)),
            at=NOON + n * 7_919_000_003 % DAY,
            received_at=NOON + n * 7_919_000_003 % DAY + 350_000,
            account_id=f"acct-{n * 7919 % 2000:05d}",
            user_id=f"user-{n * 104_729 % 20_000:06d}",
            data={"plan": "pro"},
        )
        for n in range(20_000)
    ]
    for start_at in range(0, len(batch), 500):
        insert(store, *batch[start_at : start_at + 500])
    with closing(sqlite3.connect(store.path)) as connection:
        (size,) = connection.execute("SELECT sum(pgsize) FROM dbstat WHERE name = 'nudge_events'").fetchone()
    assert size / len(batch) <= 130


def _plan(store: SqliteStore, query: str, parameters: tuple[Any, ...]) -> str:
    with closing(sqlite3.connect(store.path)) as connection:
        return "\n".join(row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + query, parameters))


def test_the_records_of_a_person_are_one_seek_a_day(store: SqliteStore) -> None:
    plan = _plan(store, sql.events_of(2), ("a", "b", "c", "d", 0, 9, 9))
    assert "SEARCH e USING PRIMARY KEY (day=? AND account_id=? AND user_id=?)" in plan
    assert "SCAN e" not in plan
    assert "SCAN n" not in plan
    of_account = _plan(store, sql.EVENTS_OF_ACCOUNT, (0, 9, 9, "a"))
    assert "SEARCH e USING PRIMARY KEY (day=? AND account_id=?)" in of_account


@pytest.mark.parametrize(
    ("query", "parameters"),
    [
        (statements.DUE, (1, 2, 3)),
        (statements.OUTDATED, (1, 2)),
        (statements.COUNT_OUTDATED, (1,)),
        (statements.RELEASE_IMPORT[0], ("i", 1)),
        (sql.members_of(2), ("a", "b")),
        (statements.READ_FEW[2], ("a", "u", "a")),
        (sql.READ_PROFILE, ("a", "u", '["j"]')),
        (sql.read_subjects("nudge_members", 4), ("a", "u") * 4),
        (sql.stored_events(2), (1, "a", "u", 1, b"m") * 2),
        (sql.stored_clamped(2), (1, "a", "u", b"m") * 2),
        (sql.read_aliases(2), ("a", "u") * 2),
        (statements.ALIAS_SOURCES, ("a", "u")),
        (statements.PAGE_ALL, ("a", "u", 10)),
    ],
)
def test_no_query_of_the_hot_path_or_the_sweep_reads_a_whole_table(
    store: SqliteStore, query: str, parameters: tuple[Any, ...]
) -> None:
    plan = _plan(store, query, parameters)
    assert "SEARCH" in plan
    assert not re.search(r"SCAN (nudge_\w+|[secn])\b", plan)


def test_a_reader_never_waits_for_a_writer_of_another_process(store: SqliteStore, path: Path) -> None:
    put(store, subject(tier="warm"))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE nudge_members SET tier = 'hot'")
        started = time.monotonic()
        assert store.read_subjects([MEMBER])[MEMBER].tier == "warm"
        assert store.read_ledger_versions([MEMBER]) == {MEMBER: 0}
        assert time.monotonic() - started < 0.2


def test_a_writer_waits_for_another_process_as_long_as_it_may(store: SqliteStore, path: Path) -> None:
    insert(store, record())
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for wait in (0.0, 0.15):
            started = time.monotonic()
            with pytest.raises(StoreBusyError), store.transaction(wait=wait):
                pass
            assert wait - 0.02 <= time.monotonic() - started < wait + 0.5
    assert insert(store, record("m2")) == [True]


def test_while_the_file_stays_locked_requests_try_and_few_of_them_wait(store: SqliteStore, path: Path) -> None:
    insert(store, record())
    waited = []
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            started = time.monotonic()
            with pytest.raises(StoreBusyError), store.transaction(wait=0.05):
                pass
            waited.append(time.monotonic() - started > 0.04)
            time.sleep(0.005)
        other.execute("ROLLBACK")
    assert 5 <= sum(waited) < 20, "all waited, or none"
    assert len(waited) > 2 * sum(waited)
    with closing(SqliteStore(str(path))) as second, store.transaction(wait=0.05):
        started = time.monotonic()
        with pytest.raises(StoreBusyError), second.transaction(wait=0.05):
            pass
    assert time.monotonic() - started > 0.04, "a store that is not away is waited for"


def test_connections_of_threads_that_ended_are_closed(store: SqliteStore) -> None:
    def read() -> None:
        store.read_subjects([MEMBER])

    def open_files() -> int:
        return sum(str(store.path) in os.path.realpath(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd"))

    read()
    before = open_files()
    for _ in range(5):
        thread = threading.Thread(target=read)
        thread.start()
        thread.join()
    assert before > 0
    assert open_files() <= before + 1


def test_a_long_read_shows_one_moment_and_lets_others_see_the_next(store: SqliteStore) -> None:
    insert(store, *(record(f"m{n:04d}") for n in range(1200)))
    streamed = store.records()
    first = next(streamed)
    insert(store, record("m0000b"))
    put(store, subject(tier="hot"))
    assert store.read_subjects([MEMBER])[MEMBER].tier == "hot"
    assert first.id == "m0000"
    assert len([first, *streamed]) == 1200


def test_a_column_added_by_a_later_release_does_not_stop_this_one(store: SqliteStore) -> None:
    with closing(sqlite3.connect(store.path)) as later:
        tables = later.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'nudge%'").fetchall()
        for (table,) in tables:
            later.execute(f"ALTER TABLE {table} ADD COLUMN later TEXT")
    contract = TestSqliteStore()
    contract.test_a_transition_is_logged_once(store)
    contract.test_an_exposure_is_new_once(store)
    contract.test_positions_are_kept_and_dropped(store)
    contract.test_every_column_comes_back(store, MEMBER)
    contract.test_the_newest_definition_and_the_newest_live_one_are_told_apart(store)
    contract.test_every_bad_line_is_quarantined_once(store)
    contract.test_a_lease_is_given_back_by_its_holder_only(store)
    assert insert(store, record()) == [True]


DELIVER = """
print("ready", flush=True); sys.stdin.readline()
import json
batches = [[record(f"m{n}") for n in range(start, start + 25)] for start in range(0, 500, 25)]
if sys.argv[2] == "backwards":
    batches.reverse()
answers = {one.id: new for batch in batches for one, new in zip(batch, insert(store, *batch))}
print(json.dumps(answers))
"""


def test_two_processes_inserting_the_same_records_count_each_once(store: SqliteStore, path: Path) -> None:
    processes = [start(DELIVER, path, way) for way in ("forwards", "backwards")]
    for process in processes:
        wait_for(process, "ready")
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [json.loads(finish(process)) for process in processes]
    assert len(answers[0]) == 500
    assert all(answers[0][name] + answers[1][name] == 1 for name in answers[0])
    assert len(list(store.records())) == 500


HALF_DONE = """
with store.transaction(wait=WAIT) as transaction:
    transaction.lock_subjects([MEMBER])
    transaction.insert_records([record(f"n{n}", data={"filler": "x" * 900}) for n in range(20_000)])
    transaction.put_position("j1", 99)
    print("written", flush=True)
    time.sleep(60)
"""


def test_kill_9_in_the_middle_of_a_transaction_leaves_nothing(store: SqliteStore, path: Path) -> None:
    insert(store, record())
    process = start(HALF_DONE, path)
    wait_for(process, "written")
    with pytest.raises(StoreBusyError), store.transaction(wait=0.02):
        pass
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert [r.id for r in store.records()] == ["m1"]
    assert (store.subjects(), store.read_position("j1")) == ([], None)
    assert insert(store, record("n0")) == [True]


FORK_WHILE_OPEN = """
insert(store, record("parent"))
store.read_subjects([MEMBER])
ready, go = os.pipe(), os.pipe()
child = os.fork()
if child == 0:
    insert(store, record("child 1"))
    os.write(ready[1], b"x")
    os.read(go[0], 1)
    insert(store, record("child 2"))
    os._exit(0 if len(list(store.records())) == 4 else 1)
os.read(ready[0], 1)
insert(store, record("parent 2"))
store.close()
os.write(go[1], b"x")
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_what_a_forked_child_commits_outlives_the_closing_of_its_parent(store: SqliteStore, path: Path) -> None:
    store.close()
    assert finish(start(FORK_WHILE_OPEN, path)) == "0\n"
    assert sorted(r.id for r in store.records()) == ["child 1", "child 2", "parent", "parent 2"]


FORK_BESIDE_A_WRITER = """
import warnings; warnings.simplefilter("ignore", DeprecationWarning)
entered, left = threading.Event(), threading.Event()
def write():
    with store.transaction(wait=WAIT) as transaction:
        transaction.insert_records([record("thread")])
        entered.set()
        time.sleep(0.3)
    left.set()
threading.Thread(target=write).start()
entered.wait()
child = os.fork()
if child == 0:
    insert(store, record("child"))
    os._exit(0 if left.is_set() else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
insert(store, record("parent"))
"""


def test_a_fork_waits_for_the_transaction_of_another_thread(store: SqliteStore, path: Path) -> None:
    store.close()
    assert finish(start(FORK_BESIDE_A_WRITER, path)) in ("0\n", "1\n")
    assert sorted(r.id for r in store.records()) == ["child", "parent", "thread"]


FORK_INSIDE = """
from nudge_sdk.errors import StoreError
child, was_refused = None, False
try:
    with store.transaction(wait=WAIT) as transaction:
        transaction.insert_records([record("parent")])
        child = os.fork()
except StoreError as error:
    was_refused = "forked inside a transaction" in str(error)
if child == 0:
    try:
        insert(store, record("child"))
    except StoreError as error:
        os._exit(0 if was_refused and "forked while" in str(error) else 1)
    os._exit(2)
assert not was_refused
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_child_forked_inside_a_transaction_is_refused_and_the_parent_commits(store: SqliteStore, path: Path) -> None:
    store.close()
    assert finish(start(FORK_INSIDE, path)) == "0\n"
    assert [r.id for r in store.records()] == ["parent"]


def test_loading_the_store_loads_neither_sqlalchemy_nor_alembic(store: SqliteStore, path: Path) -> None:
    code = "insert(store, record('x'), record('x'))\n" + (
        "print([m for m in sys.modules if m.split('.')[0] in ('sqlalchemy', 'alembic', 'flask')])"
    )
    assert finish(start(code, path)) == "[]\n"


@given(st.uuids().map(str) | st.text(min_size=1) | st.sampled_from([UUID, UUID.upper(), f"{UUID} ", "-" * 36]))
def test_an_id_is_packed_reversibly_or_refused(message_id: str) -> None:
    try:
        packed = pack_id(message_id)
    except (RecordError, UnicodeEncodeError):
        assert message_id.startswith("\0") or not message_id.isprintable()
    else:
        assert unpack_id(packed) == message_id


def test_a_uuid_takes_17_bytes() -> None:
    assert len(pack_id(UUID)) == 17


@given(st.lists(st.integers(), max_size=700))
def test_chunks_hold_everything_in_few_different_lengths(items: list[int]) -> None:
    pieces = sql.chunks(items)
    assert {item for piece in pieces for item in piece} == set(items)
    assert {len(piece) for piece in pieces} <= {2**power for power in range(9)}


def test_days_far_apart_cost_no_more_than_the_days_that_exist(store: SqliteStore) -> None:
    insert(store, record("old", at=-60 * 365 * DAY), record("new"))
    started = time.perf_counter()
    assert [r.id for r in records_of(store, [MEMBER], -700_000, 700_000)] == ["old", "new"]
    assert time.perf_counter() - started < 0.1
