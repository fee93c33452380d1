from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from nudge_sdk.errors import SetupError, StoreBusyError, StoreError
from nudge_sdk.rules.times import to_micros
from nudge_sdk.store import Store, open_store, shown
from nudge_sdk.store.postgresql import PostgresqlStore
from nudge_sdk.store.schema import VERSION_TABLE, Base
from tests.postgresql import Server
from tests.store.contract import StoreContract
from tests.store.examples import ACCOUNT, DEFINITION, MEMBER, WAIT, in_threads, insert, record
from tests.store.processes import finish, start, together


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


def test_making_a_store_opens_nothing_and_an_absent_server_is_said_without_its_password(tmp_path: Path) -> None:
    store = open_store(f"postgresql://nudge:s3cret@/shop?host={tmp_path}")
    began = time.monotonic()
    for _ in range(20):
        with pytest.raises(StoreBusyError, match=r"PostgreSQL database shop on .* did not answer") as caught:
            store.definitions()
        assert "s3cret" not in f"{caught.value!r} {caught.value.__cause__!r}"
    with pytest.raises(StoreBusyError), store.transaction(wait=0.05):
        pass
    assert time.monotonic() - began < 1
    store.close()


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("postgresql://u:pa:ss@h/db", "postgresql://u:***@h/db"),
        ("postgresql://u@h/db?password=x&a=b", "postgresql://u@h/db?password=***&a=b"),
        ("sqlite:////a/b:c@d.db", "sqlite:////a/b:c@d.db"),
    ],
)
def test_an_address_is_shown_without_its_password(url: str, seen: str) -> None:
    assert shown(url) == seen


def test_an_address_that_cannot_be_read_is_refused_at_once() -> None:
    with pytest.raises(SetupError, match="cannot be read"):
        open_store("postgresql://h/db?nonsense=1")


def test_without_tables_the_error_says_what_to_call(postgresql_server: Server) -> None:
    url = postgresql_server.new_database()
    store = PostgresqlStore(url)
    assert not store.schema_is_current()
    with pytest.raises(StoreError, match="migrate"):
        insert(store, record())
    store.close()
    postgresql_server.drop_database(url)


class Proxy:
    """A socket before the server's that can be slow, or fall silent, as a broken network does."""

    def __init__(self, server: Path, folder: Path) -> None:
        self.folder = folder
        self.delay = 0.0
        self._server = server / ".s.PGSQL.5432"
        self.is_silent = threading.Event()
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(folder / ".s.PGSQL.5432"))
        self._listening.listen()
        self._open: list[socket.socket] = [self._listening]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(self._server))
                self._open += [client, server]
                for source, target in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                time.sleep(self.delay)
                if not self.is_silent.is_set():
                    target.sendall(data)
            target.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        for each in self._open:
            each.close()


def test_a_command_waits_for_a_server_that_is_slow_where_a_request_would_not(
    store: PostgresqlStore, postgresql_server: Server, tmp_path: Path, request_wait: float
) -> None:
    proxy = Proxy(postgresql_server.folder, tmp_path)
    far = PostgresqlStore(store.url.replace(str(postgresql_server.folder), str(tmp_path)))
    assert insert(far, record()) == [True]
    proxy.delay = 0.6
    with pytest.raises(StoreBusyError):
        far.read_horizons()
    far.read_wait = 20.0
    assert far.read_horizons() == {}
    far.close()
    proxy.close()


def test_a_server_that_falls_silent_is_waited_for_no_longer_than_the_bound(
    store: PostgresqlStore, postgresql_server: Server, tmp_path: Path, request_wait: float
) -> None:
    proxy = Proxy(postgresql_server.folder, tmp_path)
    far = PostgresqlStore(store.url.replace(str(postgresql_server.folder), str(tmp_path)))
    assert insert(far, record()) == [True]
    proxy.is_silent.set()
    for call, bound in ((lambda: far.read_subjects([MEMBER]), 0.25), (lambda: _lock(far, 0.05), 0.05)):
        began = time.monotonic()
        with pytest.raises(StoreBusyError, match=r"no answer|takes long"):
            call()
        assert time.monotonic() - began < bound + 0.2
    began = time.monotonic()
    for _ in range(50):
        with pytest.raises(StoreBusyError, match="has just not answered"):
            far.read_subjects([MEMBER])
    assert time.monotonic() - began < 0.2
    far.close()
    proxy.close()


def _lock(store: Store, wait: float) -> None:
    with store.transaction(wait=wait) as transaction:
        transaction.lock_subjects([MEMBER])


def test_sessions_that_the_server_ended_are_replaced(store: PostgresqlStore, postgresql_server: Server) -> None:
    assert insert(store, record()) == [True]
    store.read_subjects([MEMBER])
    with psycopg.connect(postgresql_server.url(), autocommit=True) as other:
        end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'nudge-sdk'"
        assert other.execute(end).fetchall()
        while other.execute(end.replace("pg_terminate_backend(pid)", "pid")).fetchall():
            time.sleep(0.01)
    assert store.read_subjects([MEMBER]) == {}
    assert insert(store, record("m2")) == [True]


def test_two_transactions_on_different_accounts_do_not_wait_for_each_other(store: PostgresqlStore) -> None:
    def other() -> None:
        with store.transaction(wait=0.2) as transaction:
            transaction.lock_subjects([("beta", "bob"), ("beta", "")])
        done.append(True)

    done: list[bool] = []
    with store.transaction(wait=WAIT) as transaction:
        transaction.lock_subjects([MEMBER, ACCOUNT])
        in_threads(other)
    assert done == [True]


def test_whoever_publishes_waits_for_the_batches_that_are_under_way(store: PostgresqlStore) -> None:
    def publish() -> None:
        with pytest.raises(StoreBusyError), store.transaction(wait=0.05) as transaction:
            transaction.put_definition(DEFINITION)
        tried.append(True)

    tried: list[bool] = []
    with store.transaction(wait=WAIT) as transaction:
        assert transaction.definition_state() == (0, 0)
        in_threads(publish)
        assert transaction.definition_state() == (0, 0)
    assert tried == [True]
    with store.transaction(wait=WAIT) as transaction:
        transaction.put_definition(DEFINITION)
    assert store.read_definition_state() == (1, 0)


def test_events_stand_in_a_partition_for_their_month(store: PostgresqlStore) -> None:
    instants = ["1969-12-31", "2026-01-31", "2026-02-01", "2026-12-31", "2250-01-01"]
    at = [to_micros(f"{day}T12:00:00Z", "at") for day in instants]
    assert insert(store, *(record(f"m{n}", at=each) for n, each in enumerate(at))) == [True] * 5
    with psycopg.connect(store.url) as connection:
        rows = connection.execute("SELECT tableoid::regclass::text, id FROM nudge_events ORDER BY at").fetchall()
    names = ["before", "2026_01", "2026_02", "2026_12", "after"]
    assert rows == [(f"nudge_events_{name}", b"m%d" % n) for n, name in enumerate(names)]
    assert [each.id for each in store.records()] == [f"m{n}" for n in range(5)]


PARTITION = """
print("ready", flush=True); sys.stdin.readline()
for month in range(1, 13):
    at = to_micros(f"2026-{month:02}-05T12:00:00Z", "at")
    insert(store, record(f"{sys.argv[2]}{month}", at=at, account_id=sys.argv[2]))
"""


def test_several_processes_make_the_same_partitions(store: PostgresqlStore) -> None:
    together([start(PARTITION, store.url, name) for name in ("one", "two", "three")])
    assert len(list(store.records())) == 36


FORK = """
insert(store, record("parent"))
store.read_subjects([MEMBER])
child = os.fork()
if child == 0:
    insert(store, record("child"))
    store.close()
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
(session,) = store._read("SELECT pg_backend_pid()")[0]
insert(store, record("parent 2"))
assert store._read("SELECT pg_backend_pid()")[0] == (session,)
print("ok")
"""


def test_a_forked_child_leaves_the_sessions_of_its_parent_alone(store: PostgresqlStore) -> None:
    assert finish(start(FORK, store.url)) == "ok\n"
    assert sorted(each.id for each in store.records()) == ["child", "parent", "parent 2"]


MIGRATE = """
print("ready", flush=True); sys.stdin.readline()
store.migrate()
insert(store, record(sys.argv[2]))
"""


def test_four_processes_migrate_at_once(postgresql_server: Server) -> None:
    url = postgresql_server.new_database()
    together([start(MIGRATE, url, name) for name in ("one", "two", "three", "four")])
    store = PostgresqlStore(url)
    assert sorted(each.id for each in store.records()) == ["four", "one", "three", "two"]
    store.close()
    postgresql_server.drop_database(url)


def test_the_migrated_schema_is_the_one_of_the_models(store: PostgresqlStore) -> None:
    engine = create_engine(store.sqlalchemy_url)
    with engine.connect() as connection:
        options = {"version_table": VERSION_TABLE, "include_name": lambda name, kind, _: not _is_partition(name, kind)}
        found = compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata)
    engine.dispose()
    assert found == []


def _is_partition(name: str | None, kind: str) -> bool:
    return kind == "table" and (name or "").startswith("nudge_events_")


def test_a_schema_of_a_newer_release_is_left_alone(store: PostgresqlStore) -> None:
    with psycopg.connect(store.url) as later:
        later.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(StoreError, match="9999 of a newer nudge-sdk"):
        store.migrate()


def test_loading_the_store_loads_neither_sqlalchemy_nor_alembic(store: PostgresqlStore) -> None:
    code = "insert(store, record('x'), record('x'))\n" + (
        "print([m for m in sys.modules if m.split('.')[0] in ('sqlalchemy', 'alembic', 'flask')])"
    )
    assert finish(start(code, store.url)) == "[]\n"
