"""Events that are written in a transaction of the host's own."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import django
import psycopg
import pytest
import sqlalchemy
from django.conf import settings
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from nudge_sdk import NudgeClient, Options
from nudge_sdk.store import open_store
from tests.postgresql import name_of

settings.configure(DATABASES={}, USE_TZ=True)
django.setup()

RAISING = Options(on_error="raise")


class Host:
    """A database that the host and the client share.

    Attributes:
        store: Its address for the client.
        engine: The host's.
    """

    def __init__(self, store: str, engine_url: str) -> None:
        self.store = store
        self.engine = sqlalchemy.create_engine(engine_url)
        with self.engine.begin() as connection:
            connection.execute(sqlalchemy.text("CREATE TABLE invoices (number integer PRIMARY KEY)"))

    def invoices(self) -> int:
        with self.engine.connect() as connection:
            return int(connection.execute(sqlalchemy.text("SELECT count(*) FROM invoices")).scalar_one())


@pytest.fixture(params=["sqlite", "postgresql"])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Host]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'host.db'}"
        with closing(open_store(url)) as store:
            store.migrate()
        host = Host(url, url)
    else:
        url = request.getfixturevalue("new_postgresql")()
        host = Host(url, url.replace("postgresql://", "postgresql+psycopg://"))
    yield host
    host.engine.dispose()


@pytest.fixture
def client(host: Host, tmp_path: Path) -> Iterator[NudgeClient]:
    with NudgeClient(host.store, journal=tmp_path / "journal", drain="external", options=RAISING) as client:
        yield client


INVOICE = "INSERT INTO invoices (number) VALUES (1)"


@contextmanager
def by_connection(host: Host) -> Iterator[tuple[Any, Callable[[str], Any]]]:
    with host.engine.connect() as connection, connection.begin():
        yield connection, connection.exec_driver_sql


@contextmanager
def by_session(host: Host) -> Iterator[tuple[Any, Callable[[str], Any]]]:
    with Session(host.engine) as session, session.begin():
        yield session, lambda statement: session.execute(sqlalchemy.text(statement))


@contextmanager
def by_scoped_session(host: Host) -> Iterator[tuple[Any, Callable[[str], Any]]]:
    session = scoped_session(sessionmaker(host.engine))
    with session.begin():
        yield session, lambda statement: session.execute(sqlalchemy.text(statement))
    session.remove()


@contextmanager
def by_driver(host: Host) -> Iterator[tuple[Any, Callable[[str], Any]]]:
    path = host.engine.url.database
    assert path is not None
    opened: Any = sqlite3.connect(path) if host.engine.dialect.name == "sqlite" else psycopg.connect(host.store)
    with closing(opened), opened:
        yield opened, opened.execute


@contextmanager
def by_django(host: Host) -> Iterator[tuple[Any, Callable[[str], Any]]]:
    from django.db.utils import ConnectionHandler

    url = host.engine.url
    database: dict[str, Any] = {"ENGINE": "django.db.backends.sqlite3", "NAME": url.database}
    if url.get_backend_name() == "postgresql":
        name, folder = name_of(host.store), url.query["host"]
        database = {"ENGINE": "django.db.backends.postgresql", "NAME": name, "USER": "nudge", "HOST": folder}
    connection = ConnectionHandler({"default": database})["default"]
    connection.set_autocommit(False)

    def run(statement: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement)

    try:
        yield connection, run
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
    finally:
        connection.close()


WAYS = [by_connection, by_session, by_scoped_session, by_driver, by_django]


@pytest.mark.parametrize("way", WAYS)
def test_an_event_counts_with_the_transaction_that_it_is_part_of(host: Host, client: NudgeClient, way: Any) -> None:
    with way(host) as (connection, run):
        run(INVOICE)
        assert client.track("ann", "invoice_sent", {"total": 12}, account="acme", connection=connection)
        assert not list(client.store.records())
    assert client.flush()
    records = list(client.store.records())
    assert [(each.user_id, each.name, each.data) for each in records] == [("ann", "invoice_sent", {"total": 12})]
    assert host.invoices() == 1
    assert client.flush()
    assert len(list(client.store.records())) == 1


@pytest.mark.parametrize("way", WAYS)
def test_a_roll_back_leaves_no_trace(host: Host, client: NudgeClient, way: Any) -> None:
    def bill() -> None:
        with way(host) as (connection, run):
            run(INVOICE)
            assert client.track("ann", "invoice_sent", account="acme", connection=connection)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        bill()
    assert client.flush()
    assert not list(client.store.records())
    assert not client.store.has_inbox()
    assert host.invoices() == 0


@pytest.mark.parametrize("way", WAYS)
def test_a_database_without_our_tables_does_not_spoil_the_transaction_of_the_host(
    host: Host, client: NudgeClient, way: Any
) -> None:
    client.flush()
    with host.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE nudge_inbox")
    client.options = Options(on_error="log")
    with way(host) as (connection, run):
        run(INVOICE)
        assert not client.track("ann", "invoice_sent", account="acme", connection=connection)
    assert host.invoices() == 1
    assert sum(client.counters.values()) == 1


def test_a_line_that_cannot_be_read_is_set_aside_and_the_rest_goes_on(host: Host, client: NudgeClient) -> None:
    with host.engine.begin() as connection:
        for number in range(3):
            client.track("ann", f"event_{number}", account="acme", connection=connection)
            if number == 1:
                statement = "INSERT INTO nudge_inbox (account_id, line) VALUES ('acme', :line)"
                connection.execute(sqlalchemy.text(statement), {"line": b"\xff no JSON"})
    assert client.flush()
    assert sorted(each.name for each in client.store.records()) == ["event_0", "event_1", "event_2"]
    (aside,) = client.store.quarantined()
    assert (aside.journal, aside.line) == ("inbox", b"\xff no JSON")


def test_what_is_no_connection_is_refused(client: NudgeClient) -> None:
    with pytest.raises(Exception, match="cannot be written to; give a Connection or Session"):
        client.track("ann", "invoice_sent", connection=object())


def test_the_thread_takes_in_what_commits(host: Host, tmp_path: Path) -> None:
    options = Options(on_error="raise", drain_seconds=0.01)
    with NudgeClient(host.store, journal=tmp_path / "never used", options=options) as client:
        with host.engine.begin() as connection:
            client.track("ann", "invoice_sent", account="acme", connection=connection)
        until = time.monotonic() + 10
        while not list(client.store.records()) and time.monotonic() < until:
            time.sleep(0.01)
        assert [each.name for each in client.store.records()] == ["invoice_sent"]
