"""Pages whose report takes long: the old one with its date while a new one is made, or that it is being made."""

from __future__ import annotations

import html
import logging
import re
import sys
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from nudge_sdk import NudgeClient
from nudge_sdk.admin.proof.making import Maker
from nudge_sdk.admin.proof.reading import MAKER
from nudge_sdk.demo.clock import DemoClock
from nudge_sdk.errors import SetupError
from nudge_sdk.insights import preparing
from nudge_sdk.insights.preparing import prepare
from nudge_sdk.insights.replaying import replay_history
from nudge_sdk.store.journey_rows import note_import
from tests.admin.conftest import admin_of, browser_of
from tests.admin.made_up import NOW, made_up_client
from tests.admin.test_milestones import text_of
from tests.admin.test_proof_pages import answer_of, charts_of

__all__ = ["made_up_client"]

KEPT = ("/signals/", "/calibration/")
PAGES = (*KEPT, "/signals/milestones")
MADE = "This report is being made"
IS_MADE = "A newer report is being made"


@pytest.fixture(autouse=True)
def many_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the made-up history pass for a long one."""
    monkeypatch.setattr(preparing, "MANY", 1000)


@pytest.fixture
def app(made_up_client: NudgeClient) -> Iterator[Flask]:
    app = admin_of(made_up_client, "editor")
    yield app
    assert maker_of(app).wait(60)


@pytest.fixture
def viewer(app: Flask) -> FlaskClient:
    return browser_of(app)


def maker_of(app: Flask) -> Maker:
    maker: Maker = app.extensions.setdefault(MAKER, Maker())
    return maker


def prepared(client: NudgeClient) -> None:
    prepare(client.store, client.intake.current(), client.now())  # type: ignore[arg-type]


def polled(page: str) -> str:
    found = re.search(r'role="status" hx-get="([^"]+)"', page)
    assert found is not None, "the page does not ask for itself again"
    return html.unescape(found[1])


@pytest.mark.parametrize("path", PAGES)
def test_a_report_that_was_never_made_is_said_to_be_made_and_comes_by_itself(
    app: Flask, viewer: FlaskClient, path: str
) -> None:
    page = viewer.get(f"{path}?unit=member").text
    assert MADE in page
    assert '<noscript><meta http-equiv="refresh"' in page
    assert f'href="{path}?unit=member"' in page
    assert polled(page) == f"{path}?unit=member"
    assert maker_of(app).wait(60)
    part = viewer.get(polled(page), headers={"HX-Request": "true", "HX-Request-Type": "partial"}).text
    assert "<html" not in part
    assert MADE not in part
    assert "<table" in part


def test_while_it_is_made_other_filters_can_be_chosen(viewer: FlaskClient) -> None:
    for path in KEPT:
        page = viewer.get(f"{path}?within=60").text
        assert MADE in page
        assert '<option value="60" selected>' in page


@pytest.mark.parametrize("path", PAGES)
def test_what_was_made_beforehand_is_shown_without_waiting(
    made_up_client: NudgeClient, app: Flask, viewer: FlaskClient, path: str
) -> None:
    prepared(made_up_client)
    page = viewer.get(path).text
    assert "<table" in page
    assert IS_MADE not in page
    assert MADE not in page
    assert MAKER not in app.extensions


@pytest.mark.parametrize("path", KEPT)
def test_yesterdays_report_is_shown_with_its_date_until_a_newer_one_is_ready(
    made_up_client: NudgeClient, app: Flask, viewer: FlaskClient, path: str
) -> None:
    prepared(made_up_client)
    clock = made_up_client._clock
    assert isinstance(clock, DemoClock)
    clock.move(2)
    page = viewer.get(path).text
    assert answer_of(page)
    assert charts_of(page)
    assert "This is how it was on 2 Mar 2026, 09:00 UTC" in page
    assert IS_MADE in page
    assert "As of 2 Mar 2026" in page
    assert maker_of(app).wait(60)
    note = viewer.get(polled(page)).text
    assert "A newer report is ready" in note
    assert f'href="{path}">Show it' in note
    newer = viewer.get(path).text
    assert "As of 4 Mar 2026" in newer
    assert IS_MADE not in newer


def test_while_it_is_not_ready_the_note_goes_on_asking(made_up_client: NudgeClient, viewer: FlaskClient) -> None:
    place = f"/proof/newer?name=AskSignals&than={NOW}&definition=3&back=/signals/"
    note = viewer.get(place).text
    assert IS_MADE in note
    assert polled(note).startswith("/proof/newer?name=AskSignals")
    assert 'href="/"' in viewer.get(place.replace("/signals/", "//evil.example")).text


@pytest.mark.parametrize("path", KEPT)
def test_counting_anew_keeps_the_old_one_on_the_page(
    made_up_client: NudgeClient, app: Flask, viewer: FlaskClient, path: str
) -> None:
    prepared(made_up_client)
    assert viewer.post("/proof/refresh", data={"back": path}).location == path
    assert IS_MADE in viewer.get(path).text
    assert maker_of(app).wait(60)
    assert IS_MADE not in viewer.get(path).text


def test_points_proposed_for_an_earlier_definition_are_shown_and_not_taken(
    made_up_client: NudgeClient, app: Flask, viewer: FlaskClient
) -> None:
    prepared(made_up_client)
    assert "Take these points" in viewer.get("/calibration/").text
    before = made_up_client.intake.current().number
    made_up_client.publish(made_up_client.intake.current().rules.definition, by="pia")
    page = viewer.get("/calibration/").text
    assert f"by definition {before}. A newer report is being made" in text_of(page)
    assert "Take these points" not in page
    assert maker_of(app).wait(60)
    assert "Take these points" in viewer.get("/calibration/").text


def test_why_a_report_cannot_be_made_is_said(app: Flask, viewer: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.stats", None)
    assert MADE in viewer.get("/signals/?unit=member").text
    assert maker_of(app).wait(60)
    page = viewer.get("/signals/?unit=member").text
    assert "pip install" in page
    assert "This cannot be told yet" in page


@pytest.mark.parametrize("path", ["/funnel/", "/accuracy/", "/calibration/", "/trend/", "/economics/"])
def test_imported_history_that_waits_is_told_of_with_what_to_run(
    made_up_client: NudgeClient, viewer: FlaskClient, path: str
) -> None:
    prepared(made_up_client)
    waits = "Imported history waits to be replayed"
    assert waits not in viewer.get(path).text
    note_import(made_up_client.store, made_up_client.now())
    page = viewer.get(path).text
    assert waits in page
    assert "<code>nudge refresh</code>" in page
    replay_history(made_up_client.store, made_up_client.intake.current().rules, made_up_client.now())
    assert waits not in viewer.get(path).text


def test_old_journeys_are_shown_with_their_date_while_they_are_counted_anew(
    made_up_client: NudgeClient, app: Flask, viewer: FlaskClient
) -> None:
    clock = made_up_client._clock
    assert isinstance(clock, DemoClock)
    clock.move(7)
    assert "As of 2 Mar 2026, 09:00 UTC" in viewer.get("/trend/").text
    assert maker_of(app).wait(60)
    assert "As of 9 Mar 2026, 09:00 UTC" in viewer.get("/trend/").text


def test_jobs_are_done_once_each_and_one_after_the_other() -> None:
    maker, done = Maker(), []
    for number in range(3):
        for _ in range(2):
            assert maker.ask(f"job {number}", lambda number=number: done.append(number)) == ""
    assert maker.wait(10)
    assert sorted(set(done)) == [0, 1, 2]


def test_why_a_job_failed_is_told_once_and_then_it_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    maker, tried = Maker(), []

    def fail() -> None:
        tried.append(1)
        raise SetupError("no luck")

    for expected in ("", "no luck", ""):
        assert maker.ask("job", fail) == expected
        assert maker.wait(10)
    assert (len(tried), maker.failure("job"), maker.failure("another")) == (2, "no luck", "")
    assert caplog.records == []


def test_what_nobody_foresaw_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    maker = Maker()
    maker.ask("job", lambda: 1 // 0)
    assert maker.wait(10)
    assert "unforeseen" in maker.failure("job")
    assert [(each.levelno, each.nudge_event) for each in caplog.records] == [(logging.ERROR, "report_failed")]  # type: ignore[attr-defined]
