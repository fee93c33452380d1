"""What holds for the admin as a whole: who gets in, where it may stand, what it says when something fails."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask, redirect, session
from flask.testing import FlaskClient
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

from nudge_sdk import NudgeClient
from nudge_sdk.admin import Actor, create_admin
from nudge_sdk.errors import SetupError
from nudge_sdk.testing import memory_client
from tests.admin.conftest import Admin, admin_of


def test_a_client_without_a_database_is_refused_with_what_to_do() -> None:
    with pytest.raises(SetupError, match="sqlite:///"):
        create_admin(memory_client(), authenticate=lambda request: None)


def test_authenticate_has_to_be_a_function(client: NudgeClient) -> None:
    with pytest.raises(SetupError, match="authenticate"):
        create_admin(client, authenticate=None)


def test_making_it_opens_nothing(tmp_path: Path) -> None:
    client = NudgeClient(f"sqlite:///{tmp_path / 'nudges.db'}")
    create_admin(client, authenticate=lambda request: Actor("Pia", "viewer"))
    assert list(tmp_path.iterdir()) == []


def test_an_answer_of_authenticate_leads_to_the_hosts_log_in(client: NudgeClient) -> None:
    app = create_admin(client, authenticate=lambda request: redirect("/log-in?next=/nudges/"))
    plain = app.test_client().get("/check/")
    assert (plain.status_code, plain.location) == (302, "/log-in?next=/nudges/")
    part = app.test_client().get("/check/", headers={"HX-Request": "true", "HX-Request-Type": "partial"})
    assert (part.status_code, part.headers["HX-Redirect"]) == (200, "/log-in?next=/nudges/")


@pytest.mark.parametrize("answer", [None, "Pia", Actor("Pia", "root")])
def test_whoever_is_no_actor_gets_nothing(client: NudgeClient, answer: object) -> None:
    refused = create_admin(client, authenticate=lambda request: answer).test_client().get("/check/")
    assert refused.status_code == 403
    assert "finding" not in refused.text


def test_every_answer_forbids_foreign_scripts_and_frames(admin: Admin) -> None:
    policy = admin().get("/check/").headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


def test_pages_are_not_kept_and_say_what_they_vary_by(admin: Admin) -> None:
    answer = admin().get("/check/")
    assert answer.headers["Cache-Control"] == "no-store"
    assert {"HX-Request", "HX-Request-Type"} <= set(answer.vary)


def test_back_gets_the_whole_page_though_htmx_asks(admin: Admin) -> None:
    browser = admin()
    assert "<html" in browser.get("/check/", headers={"HX-Request": "true", "HX-Request-Type": "full"}).text
    assert "<html" not in browser.get("/check/", headers={"HX-Request": "true", "HX-Request-Type": "partial"}).text


def test_a_missing_page_is_said_in_words(admin: Admin) -> None:
    answer = admin().get("/nowhere")
    assert answer.status_code == 404
    assert "Not here" in answer.text


def test_an_error_of_a_part_goes_aside_and_not_into_the_block(admin: Admin) -> None:
    answer = admin().get("/history/99", headers={"HX-Request": "true", "HX-Request-Type": "partial"})
    assert answer.status_code == 404
    assert answer.headers["HX-Retarget"] == "#toast"
    assert "There is no definition 99" in answer.text


def test_read_only_makes_everybody_a_viewer(admin: Admin) -> None:
    browser = admin("publisher", read_only=True)
    assert "viewer" in browser.get("/check/").text
    assert browser.post("/publish/", data={"note": "x"}).status_code == 403


def _mounted(client: NudgeClient) -> tuple[Client, Flask]:
    host = Flask("host")
    host.secret_key = "the host's own"

    @host.post("/log-in")
    def log_in() -> str:
        session["user"] = "ada"
        return "in"

    @host.get("/who")
    def who() -> str:
        return str(session.get("user"))

    return Client(DispatcherMiddleware(host, {"/nudges": admin_of(client)})), host


def test_the_hosts_log_in_survives_opening_the_mounted_admin(client: NudgeClient) -> None:
    browser, _ = _mounted(client)
    browser.post("/log-in")
    assert browser.get("/nudges/check/").status_code == 200
    assert browser.get("/who").text == "ada"


def test_links_of_the_mounted_admin_stay_below_its_place(client: NudgeClient) -> None:
    browser, _ = _mounted(client)
    text = browser.get("/nudges/check/").text
    assert 'href="/nudges/publish/"' in text
    assert 'href="/publish/"' not in text
    with browser.get("/nudges/static/admin.css") as style:
        assert style.status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 422),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"}, 403),
        ({"Origin": "http://localhost"}, 422),
        ({"Origin": "http://localhost.example"}, 403),
        ({"Origin": "null"}, 403),
        ({}, 403),
    ],
)
def test_only_the_admins_own_pages_change_anything(client: NudgeClient, headers: dict[str, str], status: int) -> None:
    browser: FlaskClient = admin_of(client).test_client()
    assert browser.post("/publish/", headers=headers).status_code == status
