from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from nudge_sdk.demo.cast import CAST
from nudge_sdk.demo.check import log_in, shown
from nudge_sdk.demo.clock import DemoClock
from nudge_sdk.demo.server import Demo, create_app, definition, greeting
from nudge_sdk.demo.toolbar import why

NOW = 1_772_442_000_000_000


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """A demo that each test uses as somebody else."""
    app = create_app(tmp_path_factory.mktemp("demo"), DemoClock(lambda: NOW))
    yield app
    app.extensions["demo"].client.close()


@pytest.fixture
def own_app(tmp_path: Path) -> Iterator[Flask]:
    app = create_app(tmp_path / "demo", DemoClock(lambda: NOW))
    yield app
    app.extensions["demo"].client.close()


def test_somebody_new_has_an_account_of_their_own_and_sees_nothing_yet(app: Flask) -> None:
    first, second = app.test_client(), app.test_client()
    for browser in (first, second):
        form = {"name": "<b>Robin</b>", "company": "Brook Bakery"}
        assert browser.post("/people/new", data=form).location == "/dashboard"
    first.post("/contacts", data={"list": "Newsletter export"})
    page = first.get("/dashboard").text
    assert "&lt;b&gt;Robin&lt;/b&gt;" in page
    assert "<strong>250</strong> of 500 contacts" in page
    assert shown(page) == ""
    for other in (second, log_in(app, "ada")):
        assert "<strong>250</strong>" not in other.get("/dashboard").text


def test_why_this_says_what_was_decided_on_the_very_page(app: Flask) -> None:
    ada = log_in(app, "ada")
    answer = ada.post("/campaigns", data={"name": "Fresh"}).text
    assert re.search(r"After a campaign</th><td><code>SHOWN", answer)
    assert re.search(r"After inviting the team</th><td><code>NOT_TRIGGERED", answer)
    assert "Ada Brook is in segment Small and mid-sized, tier <strong>warm</strong>, with 8 points" in answer
    assert "This page has no place for nudges." in ada.get("/settings").text


def test_why_this_has_nothing_to_say_of_nobody(app: Flask) -> None:
    with app.test_request_context("/people"):
        assert why() == (None, [])


def test_why_this_spends_nothing(app: Flask) -> None:
    wanda = log_in(app, "wanda")
    pages = [wanda.get("/dashboard").text for _ in range(3)]
    assert [shown(page) for page in pages] == ["dashboard_ready"] * 3
    demo: Demo = app.extensions["demo"]
    demo.client.flush()
    exposures = demo.client.store.exposures("silva-travel", "wanda")
    assert [row.kind for row in exposures].count("offered") == 1


@pytest.mark.parametrize(
    ("referrer", "leads_to"),
    [
        ("http://localhost/campaigns?x=1", "/campaigns?x=1"),
        ("https://evil.example/campaigns", "/"),
        ("http://localhost//evil.example", "/"),
        (None, "/"),
    ],
)
def test_after_a_control_one_is_where_one_was_and_never_elsewhere(
    app: Flask, referrer: str | None, leads_to: str
) -> None:
    ada = log_in(app, "ada")
    headers = {"Referer": referrer} if referrer else {}
    assert ada.post("/demo/role", data={"role": "viewer"}, headers=headers).location == leads_to


@pytest.mark.parametrize(
    ("path", "form", "status"),
    [
        ("/demo/clock", {"to": "yesterday"}, 400),
        ("/demo/role", {"role": "owner"}, 400),
        ("/people/nobody", {}, 404),
        ("/people", {"person": ""}, 303),
        ("/contacts", {"list": "no such list"}, 400),
    ],
)
def test_what_the_controls_do_not_offer_is_refused(app: Flask, path: str, form: dict[str, str], status: int) -> None:
    assert log_in(app, "ada").post(path, data=form).status_code == status


def test_the_select_of_the_toolbar_logs_in(app: Flask) -> None:
    browser = app.test_client()
    assert browser.post("/people", data={"person": "emil"}).location == "/team"
    assert "Emil Larsen" in browser.get("/dashboard").text


def test_starting_over_forgets_newcomers_and_sends_them_back(own_app: Flask) -> None:
    robin = own_app.test_client()
    robin.post("/people/new", data={"name": "Robin"})
    robin.post("/demo/clock", data={"to": "today"})
    assert robin.get("/dashboard").location == "/people"
    assert "It is today again" in robin.get("/people").text


def test_the_demo_shows_each_format_and_holds_nobody_out() -> None:
    kinds = {nudge.content.type for nudge in definition().nudges if nudge.content}
    assert {"banner", "card", "modal", "slideout", "help"} <= kinds
    assert definition().holdout.share == 0
    for nudge in definition().nudges:
        assert not nudge.content or not nudge.ask or nudge.content.type == nudge.ask.type


def test_the_greeting_says_where_and_as_whom() -> None:
    text = greeting("http://127.0.0.1:5000", Counter({"none": 3, "warm": 2}))
    assert "http://127.0.0.1:5000/nudges/" in text
    assert all(person.name in text and person.expect in text for person in CAST)
    assert max(map(len, text.splitlines())) <= 140


def test_a_form_that_comes_twice_at_once_counts_once(app: Flask) -> None:
    browsers = [log_in(app, "hiro") for _ in range(8)]
    together = threading.Barrier(len(browsers))

    def send(browser) -> None:
        together.wait(10)
        browser.post("/campaigns", data={"name": "Only once", "once": "x"})

    in_threads(lambda browser=browser: send(browser) for browser in browsers)
    assert len(app.extensions["demo"].workspaces["hiro"].campaigns) == 3


def test_starting_over_breaks_no_request_that_is_under_way(own_app: Flask) -> None:
    done = threading.Event()
    statuses: Counter[int] = Counter()

    def look() -> None:
        browser = log_in(own_app, "wanda")
        while not done.is_set():
            statuses[browser.get("/dashboard").status_code] += 1
            time.sleep(0.02)  # or starting over would hardly come to run

    def start_over() -> None:
        try:
            own_app.test_client().post("/demo/clock", data={"to": "today"})
        finally:
            done.set()

    in_threads([look, look, start_over])
    assert set(statuses) == {200}
    assert shown(log_in(own_app, "wanda").get("/dashboard").text) == "dashboard_ready"


def in_threads(works) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
