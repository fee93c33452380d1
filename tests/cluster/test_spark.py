"""The same numbers from a Spark cluster as from SQLite and DuckDB. ``make cluster`` runs this; it takes minutes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from nudge_sdk.insights.accuracy import Asked, accuracy
from nudge_sdk.insights.funnel import event_funnel, funnel
from nudge_sdk.insights.signals import signals
from nudge_sdk.insights.tables import Tables, opened_tables
from nudge_sdk.store import open_store
from tests.cluster.spark import WORKERS, cluster, missing
from tests.insights.same_history import AT, live, whole, write_archive

pytestmark = [
    pytest.mark.skipif(bool(missing()), reason=missing()),
    pytest.mark.timeout(600),
    # What pyspark itself does with pandas, and sockets that Java leaves to the collector.
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Tables]]:
    folder = tmp_path_factory.mktemp("cluster")
    url = f"sqlite:///{folder}/n.db"
    store = open_store(url)
    store.migrate()
    store.close()
    live(url)
    write_archive(url, folder / "archive")
    with ExitStack() as stack:
        stack.enter_context(cluster(folder / "spark"))
        yield {
            "store": stack.enter_context(opened_tables(store=url)),
            "duckdb": stack.enter_context(opened_tables(archive=folder / "archive")),
            "spark": stack.enter_context(opened_tables(archive=folder / "archive", engine="spark")),
        }


def agreed(engines: dict[str, Tables], read: Any) -> Any:
    """Return what every engine says, which must be the same."""
    told = {name: read(tables) for name, tables in engines.items()}
    assert told["spark"] == told["duckdb"] == told["store"]
    return told["spark"]


def executors(tables: Tables) -> list[Any]:
    """Return the executors of a Spark session, without its driver."""
    context = tables.backend._session.sparkContext  # type: ignore[attr-defined]
    return [each for each in context._jsc.sc().statusTracker().getExecutorInfos() if each.port() != _driver(context)]


def _driver(context: Any) -> int:
    return int(context._jsc.sc().env().blockManager().blockManagerId().port())


def test_both_workers_work(engines: dict[str, Tables]) -> None:
    engines["spark"].rows(engines["spark"].events.limit(1))
    assert engines["spark"].backend._session.sparkContext.master.startswith("spark://127.0.0.1:")  # type: ignore[attr-defined]
    assert len(executors(engines["spark"])) == WORKERS


def test_every_table_is_the_same(engines: dict[str, Tables]) -> None:
    rows = agreed(engines, whole)
    assert all(len(found) > 5 for found in rows.values())


@pytest.mark.parametrize(("unit", "by"), [("member", "cohort"), ("account", "segment"), ("member", "trait:size")])
def test_the_funnel_is_the_same(engines: dict[str, Tables], unit: Any, by: str) -> None:
    report = agreed(engines, lambda tables: funnel(tables, unit=unit, by=by, within_days=30.0, at=AT))
    assert report.total.steps[0].count > 0


@pytest.mark.parametrize(("unit", "within"), [("member", None), ("account", 60.0), ("session", None)])
def test_a_funnel_of_events_is_the_same(engines: dict[str, Tables], unit: Any, within: float | None) -> None:
    def read(tables: Tables) -> Any:
        return event_funnel(tables, ("a", "b", "c"), unit=unit, within_days=within, session_property="v", at=AT)

    counts = [step.count for step in agreed(engines, read).total.steps]
    assert counts[0] > counts[1] > 0


@pytest.mark.parametrize(("unit", "flag"), [("member", "pql"), ("account", "pqa")])
def test_accuracy_is_the_same(engines: dict[str, Tables], unit: Any, flag: Any) -> None:
    asked = Asked(unit=unit, flag=flag, at=AT, has_events=True)
    report = agreed(engines, lambda tables: accuracy(tables, asked))
    assert report.precision.of > 0


def test_accuracy_by_a_list_is_the_same(engines: dict[str, Tables]) -> None:
    asked = Asked(unit="member", best_customers=["acme1", "dan2", "nobody"], at=AT)
    assert agreed(engines, lambda tables: accuracy(tables, asked)).unknown_ids == ("nobody",)


@pytest.mark.parametrize("unit", ["member", "account"])
def test_signals_are_the_same(engines: dict[str, Tables], unit: Any) -> None:
    report = agreed(engines, lambda tables: signals(tables, now=AT, unit=unit))
    assert report.events


def test_properties_are_read_as_texts_alike(engines: dict[str, Tables]) -> None:
    def read(tables: Tables) -> Any:
        events = tables.with_text("events", "v", "text")
        return sorted(tables.rows(events.select("name", "at", "text")), key=repr)

    assert {"x", "1", "1.5", "true"} <= {text for _, _, text in agreed(engines, read)}


def test_the_cluster_leaves_nothing_running(tmp_path: Path) -> None:
    before = dict(os.environ)
    with cluster(tmp_path / "spark") as running:
        assert os.environ["NUDGE_SPARK_MASTER"] == running.master
        assert all(worker.poll() is None for worker in running.workers)
    assert all(worker.poll() is not None for worker in running.workers)
    assert dict(os.environ) == before
