"""Tables that hold what a test says, on an engine that keeps them in memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from nudge_sdk.insights.engines import DuckdbSpeech, SqliteSpeech, SqlTables
from nudge_sdk.insights.tables import SCHEMAS, Name, Tables

Rows = Iterable[Mapping[str, Any]]
_TYPES = {"string": "TEXT", "int64": "BIGINT"}


def given_tables(*, on: Literal["sqlite", "duckdb"] = "sqlite", **given: Rows) -> Tables:
    """Return tables with these rows; what a row does not say is NULL, and a table that is not said is empty."""
    import duckdb
    import ibis
    import pyarrow

    connection: Any = sqlite3.connect(":memory:") if on == "sqlite" else duckdb.connect(config={"threads": 1})
    for name, columns in SCHEMAS.items():
        described = ", ".join(f'"{column}" {_TYPES[kind]}' for column, kind in columns.items())
        connection.execute(f"CREATE TABLE {name} ({described})")
        rows = [[row.get(column) for column in columns] for row in given.get(name, ())]
        if rows and on == "sqlite":
            connection.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(columns))})", rows)
        elif rows:
            columnar = pyarrow.table(dict(zip(columns, zip(*rows, strict=True), strict=True)))
            connection.register("given_rows", columnar).execute(f"INSERT INTO {name} SELECT * FROM given_rows")
    backend = ibis.sqlite.from_connection(connection) if on == "sqlite" else ibis.duckdb.from_connection(connection)
    selects: dict[Name, str] = {name: f"SELECT * FROM {name}" for name in SCHEMAS}
    return SqlTables(
        backend,
        "store" if on == "sqlite" else "duckdb",
        speech=SqliteSpeech() if on == "sqlite" else DuckdbSpeech(),
        selects=selects,
        fetch=lambda sql: connection.execute(sql).fetchall(),
    )
