from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from nudge_sdk import NudgeClient
from nudge_sdk.admin import OwnLogins, create_admin
from nudge_sdk.admin.logins import FREE_TRIES, add_user
from nudge_sdk.errors import SetupError
from nudge_sdk.rules.times import MINUTE, SECOND

SECRET = "s" * 32
PASSWORD = "correct horse battery"


class At:
    """A clock in microseconds."""

    def __init__(self) -> None:
        self.now = 1_772_442_000 * SECOND

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def at() -> At:
    return At()


@pytest.fixture
def app(client: NudgeClient, at: At) -> Flask:
    client.intake.ready()
    app: Flask = create_admin(client, authenticate=OwnLogins(SECRET, is_https=False, now=at))
    with app.app_context():
        add_user("pia", PASSWORD, "publisher")
    return app


def browser_of(app: Flask) -> FlaskClient:
    browser = app.test_client()
    browser.environ_base["HTTP_SEC_FETCH_SITE"] = "same-origin"
    return browser


def log_in(browser: FlaskClient, name: str = "pia", password: str = PASSWORD, then: str = "") -> int:
    place = f"/log-in?then={then}" if then else "/log-in"
    return browser.post(place, data={"name": name, "password": password}).status_code


def test_nobody_sees_anything_before_the_log_in(app: Flask) -> None:
    answer = app.test_client().get("/check/?x=1")
    assert (answer.status_code, answer.location) == (303, "/log-in?then=/check/?x%3D1")


def test_the_right_password_opens_the_page_that_was_asked_for(app: Flask) -> None:
    browser = browser_of(app)
    answer = browser.post("/log-in?then=/check/", data={"name": "pia", "password": PASSWORD})
    assert (answer.status_code, answer.location) == (303, "/check/")
    assert "pia" in browser.get("/check/").text


@pytest.mark.parametrize("then", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_the_log_in_leads_to_no_other_site(app: Flask, then: str) -> None:
    answer = browser_of(app).post("/log-in", query_string={"then": then}, data={"name": "pia", "password": PASSWORD})
    assert answer.location == "/"


@pytest.mark.parametrize(
    ("name", "password"), [("pia", "wrong horse battery"), ("nobody", PASSWORD), ("", ""), ("pia", "")]
)
def test_a_wrong_name_or_password_opens_nothing(app: Flask, name: str, password: str) -> None:
    browser = browser_of(app)
    assert log_in(browser, name, password) == 422
    assert browser.get("/check/").status_code == 303


def test_wrong_name_and_wrong_password_are_answered_alike(app: Flask) -> None:
    first = browser_of(app).post("/log-in", data={"name": "pia", "password": "wrong horse battery"}).text
    other = browser_of(app).post("/log-in", data={"name": "eve", "password": "wrong horse battery"}).text
    assert first.replace("pia", "") == other.replace("eve", "")


def test_too_many_wrong_tries_make_even_the_right_one_wait(app: Flask, at: At) -> None:
    browser = browser_of(app)
    for _ in range(FREE_TRIES):
        assert log_in(browser, password="wrong horse battery") == 422
    assert log_in(browser) == 429
    at.now += 16 * MINUTE
    assert log_in(browser) == 303


def test_log_out_ends_the_session(app: Flask) -> None:
    browser = browser_of(app)
    log_in(browser)
    assert browser.post("/log-out").status_code == 303
    assert browser.get("/check/").status_code == 303


def test_a_new_password_ends_every_session(app: Flask) -> None:
    browser = browser_of(app)
    log_in(browser)
    with app.app_context():
        add_user("pia", "another horse battery", "viewer")
    assert browser.get("/check/").status_code == 303


def test_the_cookie_is_for_the_admin_alone(app: Flask) -> None:
    answer = browser_of(app).post("/log-in", data={"name": "pia", "password": PASSWORD})
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("nudge_admin=")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))


def test_passwords_are_kept_as_argon2_hashes(app: Flask, client: NudgeClient) -> None:
    path = client.store.path  # type: ignore[attr-defined]
    content = b"".join(file.read_bytes() for file in Path(path).parent.glob(f"{Path(path).name}*") if file.is_file())
    assert b"$argon2id$" in content
    assert PASSWORD.encode() not in content


@pytest.mark.parametrize(
    ("name", "password", "role", "said"),
    [
        ("", PASSWORD, "viewer", "name"),
        ("a\x00b", PASSWORD, "viewer", "name"),
        ("pia", "short", "viewer", "12 to 256"),
        ("pia", PASSWORD, "root", "no role"),
    ],
)
def test_a_user_that_will_not_do_is_refused(app: Flask, name: str, password: str, role: str, said: str) -> None:
    with app.app_context(), pytest.raises(SetupError, match=said):
        add_user(name, password, role)


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(SetupError, match="32 characters"):
        OwnLogins("short")
