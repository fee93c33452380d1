"""The PostgreSQL store: many processes on many hosts. SQLAlchemy is loaded by ``migrate`` only."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from nudge_sdk.errors import StoreError
from nudge_sdk.rules.records import Record
from nudge_sdk.store import postgresql_statements as sql
from nudge_sdk.store import statements
from nudge_sdk.store.postgresql_connections import SILENCE, Connections
from nudge_sdk.store.postgresql_partitions import Partitions, drop_empty
from nudge_sdk.store.postgresql_transaction import PostgresqlLookup, PostgresqlTransaction, arrays
from nudge_sdk.store.protocol import Key
from nudge_sdk.store.rows import in_order
from nudge_sdk.store.sql_store import LEASE_WAIT, MIGRATION_WAIT, SqlStore
from nudge_sdk.store.statements import MEMBERS
from nudge_sdk.store.subject_rows import by_table


class PostgresqlStore(SqlStore):
    """Durable memory in a PostgreSQL database; see ``store.protocol.Store``.

    Connections keep prepared statements and staging tables, so a pooler between must pool sessions, not transactions.

    Args:
        url: ``postgresql://user@host/database``, as libpq takes it. Nothing is opened before the first use.

    Raises:
        SetupError: The URL cannot be read.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._connections = Connections(url)
        self._partitions = Partitions(self._connections)

    @property
    def sqlalchemy_url(self) -> str:
        return f"postgresql+psycopg://{self.url.partition('://')[2]}"

    def _read(self, statement: str, parameters: Sequence[Any] = ()) -> list[Any]:
        return self._connections.read(statement, parameters, self.read_wait)

    def _read_long(self, statement: str, parameters: Sequence[Any] = ()) -> list[Any]:
        return self._connections.read(statement, parameters, wait=SILENCE)

    @contextmanager
    def transaction(self, *, wait: float) -> Iterator[PostgresqlTransaction]:
        with self._connections.writing(wait) as connection:
            yield PostgresqlTransaction(connection, self._partitions.ensure)

    def _change(self, statement: str, parameters: Sequence[Any]) -> int:
        with self.transaction(wait=LEASE_WAIT) as transaction:
            return transaction.count(statement, parameters)

    def _profile(self, key: Key, journals: Sequence[str]) -> list[Any]:
        return self._read(sql.READ_PROFILE, (*key, list(journals)))

    def _many_subjects(self, keys: Sequence[Key]) -> list[Any]:
        return self._by_key(sql.READ_SUBJECTS, keys)

    def _many_versions(self, keys: Sequence[Key]) -> list[Any]:
        return self._by_key(sql.READ_VERSIONS, keys)

    def _by_key(self, queries: dict[str, str], keys: Sequence[Key]) -> list[Any]:
        return [
            row
            for table, wanted in by_table(keys)
            for row in self._read(queries[table], arrays(wanted)[: 2 if table == MEMBERS else 1])
        ]

    def read_known(self, records: Sequence[Record]) -> list[bool]:
        return PostgresqlLookup(self._read).known(records)

    def _stream(self, statement: str) -> Iterator[Any]:
        return self._connections.stream(statement)

    def records(self) -> Iterator[Record]:
        return in_order(self._stream(statements.EVENTS))

    def release_room(self, before: int, *, wait: float) -> int:
        return drop_empty(self._connections, before, wait)

    def scrub(self, days: Collection[int] | None, *, wait: float) -> None:
        from nudge_sdk.store.postgresql_scrubbing import scrub

        scrub(self._connections, days, wait)

    def _revision(self, read: Callable[[str], list[Any]]) -> str | None:
        if not read(sql.HAS_TABLES)[0][0]:
            return None
        rows = read(statements.REVISION)
        return rows[0][0] if rows else None

    def _migrate(self) -> None:
        """Hold an advisory lock over the whole of it: one process migrates, and a crash leaves the old schema."""
        from sqlalchemy import create_engine
        from sqlalchemy.exc import DBAPIError
        from sqlalchemy.pool import NullPool

        from nudge_sdk.store.migrations.runner import upgrade_from

        raw = self._connections.open(MIGRATION_WAIT)
        raw.set_autocommit(False)
        name = self._connections.name
        try:
            engine = create_engine("postgresql+psycopg://", creator=lambda: raw, poolclass=NullPool)
            with self._connections.translating(), engine.connect() as connection, connection.begin():
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = {round(MIGRATION_WAIT * 1000)}")
                connection.exec_driver_sql(sql.LOCK_TO_MIGRATE)
                found = connection.exec_driver_sql(sql.HAS_TABLES).scalar()
                revision = connection.exec_driver_sql(statements.REVISION).scalar() if found else None
                upgrade_from(revision, connection, f"the {name}")
        except DBAPIError as error:
            raise StoreError(f"the {name}: {error.orig}") from error
        finally:
            raw.close()

    def close(self) -> None:
        self._connections.close()

    def after_fork(self) -> None:
        self._connections.after_fork()
        self._partitions.after_fork()
