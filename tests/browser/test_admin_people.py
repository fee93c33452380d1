"""People, accounts and what they see, in a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from nudge_sdk import NudgeClient, Options
from nudge_sdk.admin import Actor, create_admin
from nudge_sdk.documents import read_definition
from nudge_sdk.playbooks import read_playbook
from nudge_sdk.testing import Clock
from tests.browser.harness import Troubles, check_accessibility, check_no_sideways_scroll, tab_to

LONG = "a-name-without-any-place-to-break-it-" * 4
PLACES = (
    "/",
    "/people/",
    "/people/?tier=all",
    "/people/?q=zzz",
    "/people/person?account=acme&user=ada",
    "/people/person?account=bolt&user=dora",
    f"/people/person?account={LONG}&user={LONG}",
    "/accounts/",
    "/accounts/account?account=acme",
    "/what-they-see/",
    "/what-they-see/?account=acme&user=ada&placement=dashboard",
    "/what-they-see/?account=bolt&user=dora&placement=dashboard",
    "/data",
)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[NudgeClient]:
    options = Options(on_error="raise", refresh_seconds=0.0)
    store = f"sqlite:///{tmp_path / 'nudges.db'}"
    with NudgeClient(store, drain="inline", clock=Clock(), options=options) as client:
        client.publish(read_definition(read_playbook("email_tool")), by="setup", note="The first one")
        client.group("acme", {"name": "Acme", "employees": 20, "contacts_used": 450, "contacts_limit": 500}, user="ada")
        client.identify("ada", {"name": "Ada Lovelace", "role": "admin"}, account="acme")
        for event in ("domain_connected", "contacts_imported", "campaign_sent", "workflow_started"):
            client.track("ada", event, account="acme")
        client.track("bob", "session_started", account="acme")
        client.track("dora", "workflow_started", account="bolt")
        client.identify(LONG, {"name": LONG, LONG: LONG}, account=LONG)
        client.track(LONG, LONG, {LONG: LONG}, account=LONG)
        client.record(client.decide("dashboard", user="ada", account="acme"), "shown")
        yield client


@pytest.fixture
def address(client: NudgeClient, serve: Callable[[object], str]) -> str:
    return serve(create_admin(client, authenticate=lambda request: Actor("Pia", "publisher")))


@pytest.mark.parametrize("place", PLACES)
def test_every_page_is_accessible_in_light_and_dark_and_fits_a_phone(page: Page, address: str, place: str) -> None:
    page.goto(address + place)
    check_accessibility(page)
    page.emulate_media(color_scheme="dark")
    check_accessibility(page)
    check_no_sideways_scroll(page, 320, 390)


def test_the_list_follows_as_one_types(page: Page, address: str) -> None:
    page.goto(f"{address}/people/?tier=all")
    expect(page.get_by_role("link", name="dora")).to_be_visible()
    search = page.get_by_role("searchbox", name="Search")
    tab_to(page, search)
    page.keyboard.type("ada")
    expect(page.get_by_role("link", name="dora")).to_have_count(0)
    expect(page.get_by_role("link", name="Ada Lovelace")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="1 person")).to_be_visible()
    expect(search).to_be_focused()
    assert "q=ada" in page.url
    assert "tier=all" in page.url
    tab_to(page, page.get_by_role("link", name="Ada Lovelace"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Ada Lovelace")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="People", exact=True)).to_be_visible()
    expect(search).to_have_value("ada")


def test_a_filter_changes_the_list_at_once(page: Page, address: str) -> None:
    page.goto(f"{address}/people/")
    page.get_by_label("Tier").select_option("none")
    expect(page.get_by_role("link", name="dora")).to_be_visible()
    expect(page.get_by_role("link", name="Ada Lovelace")).to_have_count(0)


def test_what_they_see_by_keyboard_from_the_person(page: Page, address: str, troubles: Troubles) -> None:
    page.goto(f"{address}/people/person?account=acme&user=ada")
    tab_to(page, page.get_by_role("link", name="What they see").last)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="They see", exact=True)).to_be_visible()
    day = page.get_by_role("link", name="The day after (day 8)")
    tab_to(page, day)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="They see", exact=True)).to_be_visible()
    expect(page.get_by_label("Date and time")).to_have_value("2026-03-10T09:00")
    page.wait_for_load_state("networkidle")
    troubles.take("404.*/help/videos/")


def test_a_problem_takes_the_focus_and_what_was_typed_stays(page: Page, address: str, troubles: Troubles) -> None:
    page.goto(f"{address}/what-they-see/?account=acme&user=ada&placement=dashboard&at=soon")
    expect(page.get_by_role("alert").first).to_be_focused()
    expect(page.get_by_label("User")).to_have_value("ada")
    troubles.take("422")


def test_the_doctor_s_words_come_into_the_overview(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_role("link", name="Look closer").click()
    expect(page.get_by_text("Tables: of this release")).to_be_visible()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()


def test_everything_works_without_javascript(new_page: Callable[..., Page], address: str) -> None:
    page = new_page(java_script_enabled=False)
    page.goto(f"{address}/people/")
    page.get_by_label("Search").fill("dora")
    page.get_by_label("Tier").select_option("all")
    page.get_by_role("button", name="Show").click()
    page.get_by_role("link", name="dora", exact=True).click()
    page.get_by_role("link", name="What they see").last.click()
    page.get_by_label("User").fill("ada")
    page.get_by_label("Account").fill("acme")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_role("heading", name="They see", exact=True)).to_be_visible()
    page.goto(address)
    page.get_by_role("link", name="Look closer").click()
    expect(page.get_by_role("heading", name="Data")).to_be_visible()
