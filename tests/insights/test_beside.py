"""Reports that are made beforehand, and imports that are replayed, beside a worker."""

from __future__ import annotations

import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from nudge_sdk.cli import main
from nudge_sdk.insights import needs, preparing
from nudge_sdk.insights.beside import LEASE, Beside
from nudge_sdk.insights.journeys import refresh
from nudge_sdk.insights.kept_reports import Kept, ask_anew, is_due, keep_report, kept_report
from nudge_sdk.insights.preparing import due_questions, has_many_events, make_kept, prepare
from nudge_sdk.insights.questions import AskCalibration, AskSignals, AskWorth, Worth, first_questions
from nudge_sdk.insights.replaying import needs_replay
from nudge_sdk.insights.signal_reports import SignalReport
from nudge_sdk.rules.definition import Definition, Goal
from nudge_sdk.rules.times import DAY
from nudge_sdk.runtime.catalog import Catalog
from nudge_sdk.runtime.intake import Intake
from nudge_sdk.store import open_store
from nudge_sdk.store.journey_rows import note_import
from nudge_sdk.store.sql_store import SqlStore
from tests.admin.made_up import NOW, made_up_database


class MadeUp:
    """The made-up history in a store of its own."""

    def __init__(self, folder: Path) -> None:
        path = folder / "made-up.db"
        path.write_bytes(made_up_database())
        self.url = f"sqlite:///{path}"
        opened = open_store(self.url)
        assert isinstance(opened, SqlStore)
        self.store: Any = opened
        self.intake: Intake = Intake(opened, lambda: NOW)
        self.catalog: Catalog = self.intake.current()

    def due(self, now: int = NOW) -> list[str]:
        return [type(each).__name__ for each in due_questions(self.store, self.catalog, now)]


@pytest.fixture
def made_up(tmp_path: Path) -> MadeUp:
    return MadeUp(tmp_path)


@pytest.fixture
def many(made_up: MadeUp, monkeypatch: pytest.MonkeyPatch) -> MadeUp:
    """The same, its history said to be long."""
    monkeypatch.setattr(preparing, "MANY", 1000)
    return made_up


def test_of_little_history_a_page_makes_its_own_report(made_up: MadeUp, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not has_many_events(made_up.store)
    assert made_up.due() == []
    events = made_up.store._read_long("SELECT count(*) FROM nudge_events", ())[0][0]
    monkeypatch.setattr(preparing, "MANY", events)
    assert not has_many_events(made_up.store)
    monkeypatch.setattr(preparing, "MANY", events - 1)
    assert has_many_events(made_up.store)


def test_what_pages_ask_first_is_made_once_and_again_after_half_a_day_or_a_publication(many: MadeUp) -> None:
    everything = ["AskSignals", "AskWorth", "AskCalibration"]
    assert many.due() == everything
    assert prepare(many.store, many.catalog, NOW) == 3
    assert many.due() == []
    assert prepare(many.store, many.catalog, NOW) == 0
    assert many.due(NOW + DAY // 2) == everything
    many.catalog.number += 1
    assert many.due() == everything


def test_what_is_kept_is_what_the_report_says(many: MadeUp) -> None:
    prepare(many.store, many.catalog, NOW)
    kept = kept_report(many.store, AskSignals().name, SignalReport)
    assert kept is not None
    assert (kept.at, kept.definition) == (NOW, many.catalog.number)
    assert kept.report.top
    ask_anew(many.store)
    again = make_kept(many.store, many.catalog, AskSignals(), NOW)
    assert again is not None
    assert again.report == kept.report
    worth = kept_report(many.store, AskWorth().name, Worth)
    assert worth is not None
    assert worth.report.milestones


def test_of_two_processes_one_makes_a_report(many: MadeUp) -> None:
    question = AskWorth()
    assert many.store.acquire_lease(f"report {question.name}", "another", now=NOW, seconds=60)
    assert make_kept(many.store, many.catalog, question, NOW) is None
    assert make_kept(many.store, many.catalog, question, NOW + 61_000_000) is not None


def test_questions_have_names_of_their_own_and_whoever_buys_is_calibrated() -> None:
    asked = [AskSignals(), AskSignals(unit="member"), AskSignals(within_days=14), AskWorth(), AskCalibration()]
    assert len({each.name for each in asked}) == len(asked)
    of_members = Definition(goals=(Goal(key="paid", name="Paid", unit="member"),))
    assert first_questions(of_members)[-1] == AskCalibration(unit="member")
    assert first_questions(Definition())[-1] == AskCalibration(unit="account")


def _keep_all(store: MadeUp) -> None:
    """Keep reports that say nothing, so that there is nothing to make."""
    for each in first_questions(store.catalog.rules.definition):
        keep_report(store.store, each.name, Kept(report=each, at=NOW, definition=store.catalog.number))


def test_beside_a_worker_a_process_replays_what_was_imported(made_up: MadeUp) -> None:
    note_import(made_up.store, NOW)
    beside = Beside(made_up.intake, made_up.url)
    beside.step()
    began = time.monotonic()
    beside.step()
    assert time.monotonic() - began < 0.5
    beside.finish()
    assert not needs_replay(made_up.store, made_up.catalog.rules)
    assert made_up.store.acquire_lease(LEASE, "another", now=NOW, seconds=60)


def test_a_replay_has_reports_made_anew(many: MadeUp) -> None:
    _keep_all(many)
    assert many.due() == []
    note_import(many.store, NOW)
    Beside(many.intake, many.url).finish()
    assert many.due() == ["AskSignals", "AskWorth", "AskCalibration"]


def test_where_nothing_is_to_do_no_process_is_started(many: MadeUp, monkeypatch: pytest.MonkeyPatch) -> None:
    _keep_all(many)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    beside = Beside(many.intake, many.url)
    beside.step()
    beside.close()
    assert many.store.acquire_lease(LEASE, "another", now=NOW, seconds=60)


def test_before_journeys_are_rolled_up_nothing_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparing, "MANY", 1000)
    store = MadeUp(tmp_path)
    with store.store.transaction(wait=1) as transaction:
        transaction.count("DELETE FROM nudge_rollups", ())
    note_import(store.store, NOW)
    Beside(store.intake, store.url).finish()
    assert needs_replay(store.store, store.catalog.rules)


def test_of_two_workers_one_begins(made_up: MadeUp) -> None:
    note_import(made_up.store, NOW)
    assert made_up.store.acquire_lease(LEASE, "another", now=NOW, seconds=60)
    Beside(made_up.intake, made_up.url).finish()
    assert needs_replay(made_up.store, made_up.catalog.rules)


def test_a_worker_that_stops_ends_the_process_and_lets_others_go_on(made_up: MadeUp) -> None:
    note_import(made_up.store, NOW)
    beside = Beside(made_up.intake, made_up.url)
    beside.step()
    child = beside._child
    assert child is not None
    beside.close()
    assert child.returncode is not None
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)
    assert made_up.store.acquire_lease(LEASE, "another", now=NOW, seconds=60)


def test_without_the_packages_that_is_said_once_and_imports_are_replayed(
    many: MadeUp, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(needs, "STATISTICS", ("no_such_package",))
    caplog.set_level(logging.INFO, "nudge_sdk")
    beside = Beside(many.intake, many.url)
    for _ in range(2):
        beside._next = 0.0
        beside.finish()
    note_import(many.store, NOW)
    beside._next = 0.0
    beside.finish()
    told = [record.nudge_event for record in caplog.records]  # type: ignore[attr-defined]
    assert told == ["reports_not_prepared", "reports_prepared"]
    assert not needs_replay(many.store, many.catalog.rules)


def test_a_process_that_fails_is_told_of_and_rests(
    made_up: MadeUp, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    note_import(made_up.store, NOW)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    beside = Beside(made_up.intake, made_up.url)
    beside.finish()
    beside.finish()
    assert [record.nudge_event for record in caplog.records] == ["reports_failed"]  # type: ignore[attr-defined]


def test_the_command_makes_reports_too(many: MadeUp) -> None:
    done = CliRunner().invoke(main, ["refresh", "--reports", "--store", many.url])
    assert "3 reports made" in done.output
    assert not is_due(many.store, AskSignals().name, _at(many), many.catalog.number)


def _at(store: MadeUp) -> int:
    return max(
        int(row[0]) for row in store.store._read_long("SELECT at FROM nudge_rollups WHERE name LIKE 'report %'", ())
    )


def test_worker_once_replays_after_it_drained(made_up: MadeUp) -> None:
    refresh(made_up.store, made_up.catalog.rules, NOW)
    note_import(made_up.store, NOW)
    done = CliRunner().invoke(main, ["worker", "--once", "--store", made_up.url])
    assert "0 lines drained" in done.output, done.output
    assert not needs_replay(made_up.store, made_up.catalog.rules)
