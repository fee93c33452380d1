"""Milestones in a real browser: by keyboard alone, without JavaScript, on a phone, and as axe sees them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from nudge_sdk import NudgeClient
from tests.admin.conftest import admin_of, client, clock, seeded
from tests.browser.harness import Troubles, check_accessibility, check_no_sideways_scroll, tab_to

__all__ = ["client", "clock", "seeded"]

PLACES = ("milestones/", "milestones/new-one/", "milestones/core_integration/", "milestones/first_campaign/remove/")


@pytest.fixture
def place(client: NudgeClient, serve: Callable[[Any], str]) -> str:
    """The address of an admin in which everybody is an editor."""
    return f"{serve(admin_of(client, 'editor'))}/"


def test_a_milestone_is_made_by_keyboard_alone(page: Page, place: str) -> None:
    page.goto(f"{place}milestones/")
    tab_to(page, page.get_by_role("link", name="New milestone"))
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_label("Name", exact=True))
    page.keyboard.type("Big campaign")
    tab_to(page, page.get_by_label("Event", exact=True))
    page.keyboard.type("campaign_sent")
    page.keyboard.press("Escape")
    tab_to(page, page.get_by_role("button", name="Add a condition").first)
    page.keyboard.press("Enter")
    first = page.get_by_label("Condition 1: name")
    expect(first).to_be_focused()
    page.keyboard.type("recipients")
    page.keyboard.press("Escape")
    tab_to(page, page.get_by_label("Condition 1: how"))
    page.keyboard.type("is at l")
    tab_to(page, page.get_by_label("Condition 1: value"))
    page.keyboard.type("100")
    tab_to(page, page.get_by_label("At least", exact=True))
    page.keyboard.type("2")
    expect(page.locator("#beside")).to_contain_text("Campaign sent (recipients is at least 100)")
    page.keyboard.press("Enter")
    expect(page.locator(".notice")).to_contain_text("Saved as a draft")
    expect(page.get_by_role("heading", level=1)).to_have_text("Big campaign")
    expect(page.locator("#beside")).to_contain_text("at least 2 times in the last 14 days")


def test_enter_in_a_row_saves_and_never_removes_it(page: Page, place: str) -> None:
    page.goto(f"{place}milestones/core_integration/")
    page.get_by_label("Condition 1: value").fill("basic")
    page.get_by_label("Condition 1: value").press("Enter")
    expect(page.locator(".notice")).to_contain_text("Saved as a draft")
    expect(page.get_by_label("Condition 1: value")).to_have_value("basic")


def test_a_row_shows_only_what_its_subject_needs(page: Page, place: str) -> None:
    page.goto(f"{place}milestones/admin_or_pm/")
    row = page.locator("#when [data-condition-row]").first
    row.get_by_label("Condition 1: how").select_option("exists")
    expect(row.get_by_label("Condition 1: value")).to_be_hidden()
    expect(page.locator("#when-reads")).to_contain_text("the person’s role is known")
    expect(page.get_by_label("Event", exact=True)).to_be_hidden()
    page.get_by_label("A limit of their plan").check()
    expect(row).to_be_hidden()
    expect(page.get_by_label("Trait with the limit")).to_be_visible()


def test_a_mistake_takes_the_focus_to_what_is_wrong(page: Page, place: str, troubles: Troubles) -> None:
    page.goto(f"{place}milestones/first_campaign/")
    page.get_by_label("At least", exact=True).fill("many")
    page.get_by_role("button", name="Save draft").click()
    expect(page.get_by_role("alert").first).to_be_focused()
    expect(page.get_by_label("At least", exact=True)).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("At least", exact=True)).to_have_value("many")
    check_accessibility(page)
    assert troubles.take("422")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_accessible_and_fits_a_phone(page: Page, place: str, scheme: Any) -> None:
    page.emulate_media(color_scheme=scheme)
    for path in PLACES:
        page.goto(f"{place}{path}")
        check_accessibility(page)
        check_no_sideways_scroll(page, 320, 390, 1280)


def test_without_javascript_rows_are_added_and_a_milestone_is_made(new_page: Callable[..., Page], place: str) -> None:
    page = new_page(java_script_enabled=False)
    page.goto(f"{place}milestones/new-one/")
    page.get_by_label("Name", exact=True).fill("By hand")
    page.get_by_label("Event", exact=True).fill("campaign_sent")
    for number, kind in enumerate(("core", "extra"), 1):
        page.get_by_role("button", name="Add a condition").first.click()
        page.get_by_label(f"Condition {number}: name").fill("kind")
        page.get_by_label(f"Condition {number}: value").fill(kind)
    page.get_by_label("how the conditions go together").select_option("any")
    expect(page.get_by_label("Name", exact=True)).to_have_value("By hand")
    page.get_by_role("button", name="Save draft").click()
    expect(page.locator(".notice")).to_contain_text("Saved as a draft")
    expect(page.locator("#where-reads")).to_contain_text("kind is core or kind is extra")


def test_hostile_names_do_nothing(page: Page, place: str, tmp_path: Path) -> None:
    hostile = "<img src=x onerror=alert(1)>\"'><script>alert(2)</script>"
    page.goto(f"{place}milestones/new-one/")
    page.get_by_label("Name", exact=True).fill(hostile)
    page.get_by_label("Event", exact=True).fill("campaign_sent")
    page.get_by_label("What they have just done").fill("did it")
    page.get_by_label("Notes").fill(hostile)
    page.get_by_role("button", name="Save draft").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(hostile)
    page.goto(f"{place}milestones/")
    expect(page.get_by_role("link", name=hostile)).to_be_visible()
