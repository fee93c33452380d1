"""The same numbers from SQLite, PostgreSQL and the DuckDB archives of both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from nudge_sdk.errors import SetupError
from nudge_sdk.insights.accuracy import Asked, accuracy
from nudge_sdk.insights.funnel import event_funnel, funnel
from nudge_sdk.insights.signals import signals
from nudge_sdk.insights.tables import Tables, opened_tables
from nudge_sdk.store import open_store
from tests.insights.same_history import AT, live, whole, write_archive
from tests.postgresql import Server


@pytest.fixture(scope="module")
def engines(
    tmp_path_factory: pytest.TempPathFactory, postgresql_server: Server, migrated: str
) -> Iterator[dict[str, Tables]]:
    folder = tmp_path_factory.mktemp("engines")
    urls = {"sqlite": f"sqlite:///{folder}/n.db", "postgresql": postgresql_server.new_database(migrated)}
    store = open_store(urls["sqlite"])
    store.migrate()
    store.close()
    with ExitStack() as stack:
        found = {}
        for name, url in urls.items():
            live(url)
            write_archive(url, folder / name)
            found[name] = stack.enter_context(opened_tables(store=url))
            found[f"archive of {name}"] = stack.enter_context(opened_tables(archive=folder / name))
        yield found
    postgresql_server.drop_database(urls["postgresql"])


ONCE_EACH = ("sqlite", "postgresql", "archive of sqlite")
"""Every engine once: the two archives hold the same rows, and DuckDB reads both."""


def agreed(engines: dict[str, Tables], read: Any, *, of: Sequence[str] = ONCE_EACH) -> Any:
    """Return what engines say, which must be the same."""
    told = {name: read(engines[name]) for name in of}
    first = told["sqlite"]
    for name, found in told.items():
        assert found == first, name
    return first


def test_every_table_is_the_same(engines: dict[str, Tables]) -> None:
    rows = agreed(engines, whole, of=tuple(engines))
    assert len(engines) == 4
    assert {name: len(found) > 5 for name, found in rows.items()} == dict.fromkeys(rows, True)
    assert {row[5] for row in rows["goals"]} == {"convert", "churn"}
    assert None in {row[4] for row in rows["goals"]}
    assert not any(row[:2] == ("personal:anon1", "anon1") for row in rows["events"])
    assert {type(value) for row in rows["journeys"] for value in row} == {str, int, type(None)}


def test_what_the_journeys_were_rolled_up_by_is_the_same(engines: dict[str, Tables]) -> None:
    names = ("definition", "goal", "goal_unit", "activation", "activation_basis", "segments", "scored")
    assert agreed(engines, lambda tables: {name: tables.details[name] for name in names})["goal"] == "paid"


@pytest.mark.parametrize("unit", ["member", "account"])
@pytest.mark.parametrize("by", ["", "segment", "cohort", "source", "trait:role", "trait:used", "trait:size"])
@pytest.mark.parametrize("within", [None, 3.5, 30.0])
def test_the_funnel_is_the_same(engines: dict[str, Tables], unit: Any, by: str, within: float | None) -> None:
    report = agreed(engines, lambda tables: funnel(tables, unit=unit, by=by, within_days=within, at=AT))
    assert report.total.steps[0].count > 0
    assert report.total.steps[4].count + report.total.outside_count > 0
    if by in ("segment", "cohort", "trait:size") or (by == "trait:role" and unit == "member"):
        assert len(report.groups) > 1


@pytest.mark.parametrize("unit", ["member", "account", "session"])
@pytest.mark.parametrize("within", [None, 60.0])
def test_a_funnel_of_events_is_the_same(engines: dict[str, Tables], unit: Any, within: float | None) -> None:
    def read(tables: Tables) -> Any:
        return event_funnel(tables, ("a", "b", "c"), unit=unit, within_days=within, session_property="v", at=AT)

    counts = [step.count for step in agreed(engines, read).total.steps]
    assert counts[0] > counts[1] > 0


@pytest.mark.parametrize("unit", ["member", "account"])
@pytest.mark.parametrize("flag", ["pql", "pqa"])
@pytest.mark.parametrize("within", [None, 20.0])
def test_accuracy_is_the_same(engines: dict[str, Tables], unit: Any, flag: Any, within: float | None) -> None:
    asked = Asked(unit=unit, flag=flag, within_days=within, at=AT, has_events=True)
    report = agreed(engines, lambda tables: accuracy(tables, asked))
    assert report.precision.of > 0
    assert report.goals


def test_accuracy_by_a_list_is_the_same(engines: dict[str, Tables]) -> None:
    asked = Asked(unit="member", best_customers=["acme1", "dan2", "cyd3", "ann4", "nobody"], at=AT)
    report = agreed(engines, lambda tables: accuracy(tables, asked))
    assert report.unknown_ids == ("nobody",)
    assert report.true_positives + report.false_negatives > 1


@pytest.mark.parametrize("unit", ["member", "account"])
def test_signals_are_the_same(engines: dict[str, Tables], unit: Any) -> None:
    report = agreed(engines, lambda tables: signals(tables, now=AT, unit=unit))
    assert report.events


def test_properties_are_read_as_texts_alike(engines: dict[str, Tables]) -> None:
    def read(tables: Tables) -> Any:
        events = tables.with_text("events", "v", "text")
        return sorted(tables.rows(events.select("name", "at", "text")), key=repr)

    texts = {text for _, _, text in agreed(engines, read)}
    assert {"x", "1", "1.5", "true"} <= texts


@pytest.mark.parametrize("key", ["", "a'b", 'a"b', "a[0]", "a\\b", "a\nb"])
def test_a_name_that_no_engine_could_ask_for_is_refused(engines: dict[str, Tables], key: str) -> None:
    with pytest.raises(SetupError, match="cannot be asked for"):
        engines["sqlite"].with_text("events", key, "text")


def test_a_name_with_dots_and_spaces_is_one_name(engines: dict[str, Tables]) -> None:
    agreed(engines, lambda tables: tables.rows(tables.with_text("events", "a.b c-d$é", "text").limit(1).select("text")))


def test_nothing_can_be_written_through_the_tables(engines: dict[str, Tables]) -> None:
    import sqlite3

    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        engines["sqlite"].backend.con.execute("DELETE FROM nudge_journeys")  # type: ignore[attr-defined]
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        engines["postgresql"].backend.con.execute("DELETE FROM nudge_journeys")  # type: ignore[attr-defined]


def test_a_report_is_json(engines: dict[str, Tables]) -> None:
    report = funnel(engines["sqlite"], by="cohort", at=AT)
    assert msgspec.json.decode(msgspec.json.encode(report))["unit"] == "member"


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({}, "say a store or an archive"),
        ({"store": "sqlite:///x.db", "archive": "y"}, "say a store or an archive"),
        ({"store": "sqlite:////nowhere/x.db"}, "is not there"),
        ({"store": "sqlite:////nowhere/x.db", "engine": "duckdb"}, "reads an archive"),
        ({"store": "memory://"}, "holds nothing that reports could read"),
        ({"archive": "/nowhere"}, "is no archive"),
        ({"archive": "/nowhere", "engine": "store"}, "--engine duckdb"),
    ],
)
def test_what_cannot_be_opened_says_why(asked: dict[str, Any], told: str) -> None:
    with pytest.raises(SetupError, match=told), opened_tables(**asked):
        raise AssertionError


def test_a_password_is_never_shown(tmp_path: Path) -> None:
    from nudge_sdk.errors import StoreError

    with (
        pytest.raises(StoreError) as raised,
        opened_tables(store=f"postgresql://nudge:sesame@/nothing?host={tmp_path}"),
    ):
        raise AssertionError
    assert "sesame" not in str(raised.value)
