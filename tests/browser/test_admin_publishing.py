"""Publishing as a product manager does it: by keyboard, on a phone, in the dark, and without JavaScript."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from nudge_sdk import NudgeClient, Options
from nudge_sdk.admin import OwnLogins, create_admin
from nudge_sdk.admin.logins import add_user
from nudge_sdk.documents import read_definition
from nudge_sdk.playbooks import read_playbook
from tests.admin.conftest import admin_of
from tests.browser.harness import Troubles, check_accessibility, check_no_sideways_scroll, tab_to

NewPage = Callable[..., Page]
Serve = Callable[[Flask], str]

PAGES = (
    "/publish/",
    "/publish/movement",
    "/history/",
    "/history/1",
    "/history/changes",
    "/check/",
    "/playbooks/",
    "/nowhere",
)
PASSWORD = "correct horse battery"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[NudgeClient]:
    options = Options(on_error="raise", refresh_seconds=0.0)
    with NudgeClient(f"sqlite:///{tmp_path / 'nudges.db'}", drain="inline", options=options) as client:
        client.publish(read_definition(read_playbook("email_tool")), by="setup", note="The first one")
        for user in ("ada", "bob"):
            client.track(user, "campaign_sent", account="acme")
        yield client


def draft_a_lower_bar(page: Page, url: str) -> None:
    page.goto(f"{url}/segments/smb/")
    page.get_by_label("Points needed").first.fill("5")
    page.get_by_role("button", name="Save draft").click()
    expect(page.get_by_text("unpublished change")).to_be_visible()


def publish(page: Page, url: str, note: str) -> None:
    page.goto(f"{url}/publish/")
    page.get_by_label("Note").fill(note)
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("History")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_of_a_release_is_accessible_and_fits_a_phone(
    client: NudgeClient, new_page: NewPage, serve: Serve, troubles: Troubles, scheme: str
) -> None:
    page = new_page(color_scheme=scheme)
    url = serve(admin_of(client))
    draft_a_lower_bar(page, url)
    publish(page, url, "A lower bar")
    page.goto(f"{url}/milestones/sessions/")
    page.get_by_label("Name").first.fill("Often here")
    page.get_by_role("button", name="Save draft").click()
    for place in PAGES:
        page.goto(url + place)
        if place == "/publish/":
            expect(page.get_by_text("Nobody would stand differently.")).to_be_visible()
        check_accessibility(page)
        check_no_sideways_scroll(page, 320, 390)
    troubles.take("status of 404.*/nowhere")


def test_publishing_and_going_back_by_keyboard_alone(client: NudgeClient, page: Page, serve: Serve) -> None:
    url = serve(admin_of(client))
    draft_a_lower_bar(page, url)
    page.goto(f"{url}/publish/")
    expect(page.get_by_text("2 people would enter warm")).to_be_visible()
    tab_to(page, page.get_by_label("Note"))
    page.keyboard.type("A lower bar")
    tab_to(page, page.get_by_role("button", name="Publish", exact=True))
    page.keyboard.press("Enter")
    expect(page.get_by_text("Published. It is in force.")).to_be_visible()
    expect(page.get_by_role("row", name="A lower bar")).to_contain_text("live")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_role("link", name="Compare"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="What going back from 2 to 1 would change")).to_be_visible()
    tab_to(page, page.get_by_label("Note"))
    page.keyboard.type("Too many")
    tab_to(page, page.get_by_role("button", name="Roll back to 1"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("row", name="Too many")).to_contain_text("live")
    assert client.intake.refresh().number == 3


def test_publishing_without_javascript(client: NudgeClient, new_page: NewPage, serve: Serve) -> None:
    page = new_page(java_script_enabled=False)
    url = serve(admin_of(client))
    draft_a_lower_bar(page, url)
    page.goto(f"{url}/publish/")
    page.get_by_role("link", name="Judge everybody by the drafts").click()
    expect(page.get_by_text("2 people would enter warm")).to_be_visible()
    publish(page, url, "A lower bar")


def test_a_form_with_problems_comes_back_with_what_was_typed(
    client: NudgeClient, page: Page, serve: Serve, troubles: Troubles
) -> None:
    url = serve(admin_of(client))
    draft_a_lower_bar(page, url)
    page.goto(f"{url}/publish/")
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.get_by_text("Say why you publish")).to_be_visible()
    expect(page.get_by_label("Note")).to_have_attribute("aria-invalid", "true")
    troubles.take("status of 422")


def test_beginning_from_a_playbook(tmp_path: Path, page: Page, serve: Serve) -> None:
    with NudgeClient(f"sqlite:///{tmp_path / 'empty.db'}", drain="inline") as client:
        url = serve(admin_of(client))
        page.goto(f"{url}/")
        page.get_by_role("link", name="Choose a playbook").first.click()
        page.get_by_role("listitem").filter(has_text="Project management").get_by_role("button").click()
        page.get_by_label("Note").fill("The first one")
        page.get_by_role("button", name="Publish", exact=True).click()
        expect(page.get_by_role("row", name="The first one")).to_contain_text("live")
        assert client.intake.refresh().number == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_logging_in_with_a_password(
    client: NudgeClient, new_page: NewPage, serve: Serve, troubles: Troubles, scheme: str
) -> None:
    app = create_admin(client, authenticate=OwnLogins("s" * 32, is_https=False))
    with app.app_context():
        add_user("pia", PASSWORD, "publisher")
    page = new_page(color_scheme=scheme)
    page.goto(f"{serve(app)}/check/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Log in")
    check_accessibility(page)
    check_no_sideways_scroll(page, 320)
    page.get_by_label("Name").fill("pia")
    page.get_by_label("Password").fill("wrong horse battery")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").first).to_contain_text("do not belong together")
    troubles.take("status of 422")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Check")
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Log in")
