"""The tables of an archive: queries of its Parquet files, on DuckDB and Spark."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nudge_sdk.insights.archive_format import (
    EVENT_COLUMNS,
    EVENTS,
    EVENTS_FILE,
    MOVED_COLUMNS,
    Manifest,
    day_file,
    finished_manifest,
    table_file,
)
from nudge_sdk.insights.engines import DuckdbSpeech, SparkSpeech, SqlTables
from nudge_sdk.insights.tables import SCHEMAS, Engine, Name, loaded_ibis

MEMORY = "1500MB"
"""What DuckDB takes at most; beyond that it writes to a temporary folder."""

SPARK_MASTER = "NUDGE_SPARK_MASTER"
"""Environment variable that names the master of a Spark cluster; without it, this machine's cores."""

# A folder a day: without the last one, Spark begins a job of its own to list them.
_SPARK_SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.sources.parallelPartitionDiscovery.threshold": "100000",
}
_TYPES = {"string": "VARCHAR", "int64": "BIGINT", "bool": "BOOLEAN"}
_SPARK_TYPES = {"string": "STRING", "int64": "BIGINT", "bool": "BOOLEAN"}


@contextmanager
def opened_archive_tables(root: Path, engine: Engine) -> Iterator[SqlTables]:
    """Open the tables of an archive; see ``tables.opened_tables``."""
    manifest = finished_manifest(root)
    opened = _duckdb if engine == "duckdb" else _spark
    with opened(root.resolve(), manifest) as tables:
        tables.as_of, tables.details = manifest.written_at, manifest.details
        yield tables


@contextmanager
def _duckdb(root: Path, manifest: Manifest) -> Iterator[SqlTables]:
    ibis = loaded_ibis("duckdb")
    with TemporaryDirectory(prefix="nudge-duckdb-") as folder:
        backend = ibis.duckdb.connect(
            memory_limit=MEMORY,
            temp_directory=folder,
            preserve_insertion_order=False,
            autoinstall_known_extensions=False,
        )
        try:
            # It would be printed among what a command prints.
            backend.con.execute("SET enable_progress_bar = false")
            yield SqlTables(
                backend,
                "duckdb",
                speech=DuckdbSpeech(),
                selects=_selects(parquet_of(root, manifest), manifest),
                fetch=lambda query: backend.con.execute(query).fetchall(),
            )
        finally:
            backend.disconnect()


def parquet_of(root: Path, manifest: Manifest) -> dict[str, str]:
    """Return what DuckDB calls each file."""
    sources = {
        name: f"read_parquet('{_quoted(table_file(root, manifest.generation, name))}')" for name in manifest.tables
    }
    if _has_events(root, manifest):
        files = _quoted(root / EVENTS / "*" / EVENTS_FILE)
        sources["events"] = f"read_parquet('{files}', hive_partitioning = true, hive_types = {{'day': BIGINT}})"
    else:
        columns = ", ".join(f"CAST(NULL AS {_TYPES[kind]}) AS {name}" for name, kind in _event_columns().items())
        sources["events"] = f"(SELECT {columns} WHERE false)"
    return sources


def _selects(sources: dict[str, str], manifest: Manifest) -> dict[Name, str]:
    """Return the query of each table.

    Args:
        sources: What the engine calls each of them.
        manifest: What the archive holds.
    """
    selects: dict[Name, str] = {
        name: f"SELECT {', '.join(f't.{column}' for column in columns)} FROM {sources[name]} t"
        for name, columns in SCHEMAS.items()
        if name != "events"
    }
    rest = "e.name, e.counted_at AS at, e.day, e.properties, e.release"
    if not manifest.tables["moved"].rows:
        query = f"SELECT e.account_id, e.user_id, {rest} FROM {sources['events']} e WHERE e.kind = 'track'"
    else:
        query = (
            "SELECT coalesce(m.to_account_id, e.account_id) AS account_id, "
            f"coalesce(m.to_user_id, e.user_id) AS user_id, {rest} FROM {sources['events']} e "
            f"LEFT JOIN {sources['moved']} m ON m.account_id = e.account_id AND m.user_id = e.user_id "
            "WHERE e.kind = 'track'"
        )
    return {**selects, "events": query}


@contextmanager
def _spark(root: Path, manifest: Manifest) -> Iterator[SqlTables]:
    ibis = loaded_ibis("pyspark")
    from pyspark.sql import SparkSession

    running = SparkSession.getActiveSession()
    session = running or _session(SparkSession.builder)
    try:
        backend = ibis.pyspark.connect(session)
        yield SqlTables(
            backend,
            "spark",
            speech=SparkSpeech(),
            selects=_selects(_views(session, root, manifest), manifest),
            fetch=lambda query: session.sql(query).collect(),
        )
    finally:
        if running is None:
            session.stop()


def _session(builder: Any) -> Any:
    master = os.environ.get(SPARK_MASTER)
    for name, value in _SPARK_SETTINGS.items():
        builder = builder.config(name, value)
    session = (builder.appName("nudge-sdk").master(master) if master else builder.appName("nudge-sdk")).getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session


def _views(session: Any, root: Path, manifest: Manifest) -> dict[str, str]:
    """Let Spark see the files as temporary views, and return their names."""
    views = {}
    for name in manifest.tables:
        columns = SCHEMAS.get(name, MOVED_COLUMNS)  # type: ignore[call-overload]
        path = table_file(root, manifest.generation, name)
        views[name] = _view(session, name, session.read.schema(_spark_schema(columns)).parquet(path.as_uri()))
    if _has_events(root, manifest):
        events = session.read.schema(_spark_schema(_event_columns())).parquet((root / EVENTS).as_uri())
    else:
        events = session.createDataFrame([], _spark_schema(_event_columns()))
    return {**views, "events": _view(session, "events", events)}


def _view(session: Any, name: str, frame: Any) -> str:
    view = f"nudge_archived_{name}"
    frame.createOrReplaceTempView(view)
    return view


def _spark_schema(columns: dict[str, str]) -> str:
    return ", ".join(f"`{name}` {_SPARK_TYPES[kind]}" for name, kind in columns.items())


def _event_columns() -> dict[str, str]:
    return {**EVENT_COLUMNS, "day": "int64"}


def _has_events(root: Path, manifest: Manifest) -> bool:
    return any(day_file(root, day).exists() for day in manifest.days)


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
