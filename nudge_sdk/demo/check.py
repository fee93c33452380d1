"""Checking the demo: every page as everybody, and what each is said to see."""

from __future__ import annotations

import re
from collections.abc import Iterator

from flask import Flask
from flask.testing import FlaskClient

from nudge_sdk.demo.cast import CAST, Person
from nudge_sdk.demo.mounting import ADMIN

PAGES = (
    "/", "/people", "/dashboard", "/contacts", "/contacts?full=1", "/contacts/import", "/campaigns", "/campaigns/new",
    "/automations", "/automations/new?template=welcome", "/team", "/team/invite", "/team/ask-admin", "/integrations",
    "/settings", "/settings/domain", "/billing/upgrade?from=check", "/billing/checkout?plan=growth", "/billing/seats",
    "/help/chat", "/help/videos/first-automation", "/help/videos/working-together",
)  # fmt: skip

_SHOWN = re.compile(r'data-nudge="([a-z_]+)"')


def problems(app: Flask) -> list[str]:
    """Return what is wrong, in a line each."""
    return [*_expected(app), *_after_action(app), *_pages(app), *_admin(app)]


def log_in(app: Flask, person: str) -> FlaskClient:
    """Return a browser in which somebody is logged in."""
    browser = app.test_client()
    answer = browser.post(f"/people/{person}")
    assert answer.status_code == 303, f"{person} cannot log in: {answer.status}"
    return browser


def shown(page: str) -> str:
    """Return the key of the nudge in a page; empty for none."""
    found = _SHOWN.search(page)
    return found[1] if found else ""


def _expected(app: Flask) -> Iterator[str]:
    for person in CAST:
        seen = shown(log_in(app, person.key).get(person.page).text)
        if seen != person.shows:
            yield f"{person.name} sees {seen or 'nothing'} at {person.page}, not {person.shows or 'nothing'}"


def _after_action(app: Flask) -> Iterator[str]:
    for person, path, form, expected in (
        ("ada", "/campaigns", {"name": "Fresh on Friday"}, "after_campaign"),
        ("alex", "/automations", {"name": "Welcome series"}, "after_automation"),
        ("lena", "/contacts", {"list": "Spring fair sign-ups"}, "contacts_limit"),
    ):
        seen = shown(log_in(app, person).post(path, data=form).text)
        if seen != expected:
            yield f"{person} sees {seen or 'nothing'} after a post to {path}, not {expected}"


def _pages(app: Flask) -> Iterator[str]:
    for person in CAST:
        browser = log_in(app, person.key)
        yield from _failing(browser, person)


def _failing(browser: FlaskClient, person: Person) -> Iterator[str]:
    for path in PAGES:
        status = browser.get(path).status_code
        if status not in (200, 302, 303):
            yield f"{path} answers {person.name} with {status}"


def _admin(app: Flask) -> Iterator[str]:
    status = app.test_client().get(f"{ADMIN}/").status_code
    if status != 200:
        yield f"{ADMIN}/ answers with {status}"
