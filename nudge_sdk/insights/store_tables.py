"""The tables of a store: queries of its own tables, on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from nudge_sdk.errors import SetupError, StoreBusyError, StoreError
from nudge_sdk.insights.archive_format import MOVED_COLUMNS
from nudge_sdk.insights.engines import PostgresqlSpeech, Speech, SqliteSpeech, SqlTables
from nudge_sdk.insights.rolling import LARGEST_VALUE
from nudge_sdk.insights.tables import SCHEMAS, Name, loaded_ibis
from nudge_sdk.runtime.recorder import present
from nudge_sdk.store import open_store, shown
from nudge_sdk.store.journey_rows import read_rollup
from nudge_sdk.store.rows import KINDS
from nudge_sdk.store.sql_store import SqlStore
from nudge_sdk.store.statements import COUNTED

_SQLITE, _POSTGRESQL = "sqlite:///", "postgresql+psycopg://"
_TRACK, _CONVERT, _CHURN = (KINDS.index(kind) + 1 for kind in ("track", "convert", "churn"))
_MILLIONTHS = 1_000_000

# In the words of the partial index, or it is not used.
_OF_GOALS = f"e.kind IN ({_CONVERT}, {_CHURN})"
_JOURNEYS = (
    "SELECT account_id, user_id, segment, source, signed_up_at, activated_at, qualified_at, hot_at, won_at, value, "
    "offered_at, withheld_at, last_at, events, traits FROM nudge_journeys"
)


@contextmanager
def opened_store_tables(url: str) -> Iterator[SqlTables]:
    """Open the tables of a store; see ``tables.opened_tables``."""
    with closing(open_store(url)) as store:
        if not isinstance(store, SqlStore):
            raise SetupError(f"{shown(url)} holds nothing that reports could read; say an SQLite or PostgreSQL store")
        if store.sqlalchemy_url.startswith(_SQLITE):
            _check_exists(store, url)
        if not store.schema_is_current():
            raise SetupError(f"{shown(url)} has not this release's tables; run: nudge migrate --store {shown(url)}")
        rollup = read_rollup(store, "journeys")
        has_moves = _has_moves(store)
        location = store.sqlalchemy_url
    opened = _sqlite if location.startswith(_SQLITE) else _postgresql
    with opened(location, has_moves=has_moves) as tables:
        tables.as_of, tables.details = present(), rollup[1] if rollup else {}
        yield tables


def store_selects(speech: Speech, *, has_moves: bool) -> dict[Name, str]:
    """Return the query of each table of a store.

    Args:
        speech: How the database speaks.
        has_moves: Whether anybody ever moved; where nobody did, no table is joined for that.
    """
    data = speech.text("e.data")
    owned = _Owned(has_moves)
    return {
        "journeys": _JOURNEYS,
        "events": owned.select(
            "nudge_events", f"e.name, {COUNTED} AS at, e.day, {data} AS properties, e.release", f"e.kind = {_TRACK}"
        ),
        "exposures": owned.select(
            "nudge_exposures", "e.kind, e.nudge, e.variant, e.at, e.goal, e.holdout, e.definition, e.id"
        ),
        "goals": owned.select(
            "nudge_events",
            f"e.name AS goal, {COUNTED} AS at, {_value(speech, data)} AS value, "
            f"CASE e.kind WHEN {_CONVERT} THEN 'convert' ELSE 'churn' END AS kind",
            _OF_GOALS,
        ),
        "transitions": owned.select("nudge_transitions", "e.at, e.from_tier, e.tier, e.cause, e.definition"),
        "reached": owned.first_reached(),
    }


def selects_of(store: SqlStore) -> dict[str, tuple[str, dict[str, str]]]:
    """Return of each table but the events its query and its columns, and of who moved: what an archive is made of."""
    speech = SqliteSpeech() if store.sqlalchemy_url.startswith(_SQLITE) else PostgresqlSpeech()
    selects = store_selects(speech, has_moves=_has_moves(store))
    found: dict[str, tuple[str, dict[str, str]]] = {
        name: (query, SCHEMAS[name]) for name, query in selects.items() if name != "events"
    }
    return found | {"moved": (f"SELECT {', '.join(MOVED_COLUMNS)} FROM nudge_moved", MOVED_COLUMNS)}


def _has_moves(store: SqlStore) -> bool:
    return bool(store._read_long("SELECT 1 FROM nudge_moved LIMIT 1"))


class _Owned:
    """Queries of rows under whom they count for."""

    def __init__(self, has_moves: bool) -> None:
        self.has_moves = has_moves

    def select(self, table: str, columns: str, where: str = "") -> str:
        condition = f" WHERE {where}" if where else ""
        if not self.has_moves:
            return f"SELECT e.account_id, e.user_id, {columns} FROM {table} e{condition}"
        return (
            f"SELECT coalesce(m.to_account_id, e.account_id) AS account_id, "
            f"coalesce(m.to_user_id, e.user_id) AS user_id, {columns} FROM {table} e "
            f"LEFT JOIN nudge_moved m ON m.account_id = e.account_id AND m.user_id = e.user_id{condition}"
        )

    def first_reached(self) -> str:
        """Return the query of milestones; who moved may have reached one under two names."""
        every = self.select("nudge_reached", "e.milestone, e.at, e.definition")
        if not self.has_moves:
            return every
        return (
            "SELECT r.account_id, r.user_id, r.milestone, min(r.at) AS at, min(r.definition) AS definition "
            f"FROM ({every}) AS r GROUP BY r.account_id, r.user_id, r.milestone"
        )


def _value(speech: Speech, data: str) -> str:
    """Return SQL for the value of a conversion in millionths; rounded in a way that is the same on every engine."""
    if isinstance(speech, SqliteSpeech):
        is_number = f"json_type({data}, '$.value') IN ('integer', 'real')"
        number = f"CAST(json_extract({data}, '$.value') AS REAL)"
        cut = f"CAST({number} * {_MILLIONTHS} + 0.5 AS INTEGER)"
        # Not every SQLite has floor.
        whole = f"{cut} - CASE WHEN {number} * {_MILLIONTHS} + 0.5 < {cut} THEN 1 ELSE 0 END"
    else:
        is_number = f"json_typeof(CAST({data} AS json) -> 'value') = 'number'"
        number = f"CAST(CAST({data} AS json) ->> 'value' AS double precision)"
        whole = f"CAST(floor({number} * {_MILLIONTHS} + 0.5) AS bigint)"
    is_amount = f"CASE WHEN {is_number} THEN abs({number}) <= {LARGEST_VALUE} ELSE NULL END"
    return f"CASE WHEN {is_amount} THEN {whole} ELSE NULL END"


@contextmanager
def _sqlite(location: str, *, has_moves: bool) -> Iterator[SqlTables]:
    import sqlite3

    ibis = loaded_ibis("sqlite")
    try:
        backend = ibis.sqlite.connect(location.removeprefix(_SQLITE))
    except sqlite3.Error as error:
        raise StoreError(f"{location.removeprefix(_SQLITE)}: {error}") from error
    connection = backend.con

    def fetch(query: str) -> Any:
        try:
            return connection.execute(query).fetchall()
        except sqlite3.OperationalError as error:
            raise StoreBusyError(f"{location.removeprefix(_SQLITE)}: {error}") from error

    try:
        connection.execute("PRAGMA query_only=1").close()
        speech = SqliteSpeech()
        yield SqlTables(
            backend, "store", speech=speech, selects=store_selects(speech, has_moves=has_moves), fetch=fetch
        )
    finally:
        connection.close()


@contextmanager
def _postgresql(location: str, *, has_moves: bool) -> Iterator[SqlTables]:
    import psycopg

    ibis = loaded_ibis("postgres")
    url = f"postgresql://{location.removeprefix(_POSTGRESQL)}"
    try:
        connection = psycopg.connect(url, autocommit=True, application_name="nudge-sdk insights")
    except psycopg.Error as error:
        raise StoreBusyError(f"{shown(url)} did not answer ({str(error).strip().splitlines()[0]})") from None

    def fetch(query: str) -> Any:
        try:
            return connection.execute(query).fetchall()
        except psycopg.OperationalError as error:
            raise StoreBusyError(f"{shown(url)} did not answer ({error})") from error

    try:
        backend = ibis.postgres.from_connection(connection)
        connection.execute("SET default_transaction_read_only = on")
        speech = PostgresqlSpeech()
        yield SqlTables(
            backend, "store", speech=speech, selects=store_selects(speech, has_moves=has_moves), fetch=fetch
        )
    finally:
        connection.close()


def _check_exists(store: SqlStore, url: str) -> None:
    path = Path(store.sqlalchemy_url.removeprefix(_SQLITE))
    if not path.exists():
        raise SetupError(f"{path} is not there; check --store, or run: nudge migrate --store {shown(url)}")
