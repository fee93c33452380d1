"""Segments in a real browser: a threshold lowered by keyboard alone, the order, a phone, and as axe sees them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from nudge_sdk import NudgeClient
from tests.admin.conftest import admin_of, client, clock, seeded
from tests.browser.harness import Troubles, check_accessibility, check_no_sideways_scroll, tab_to

__all__ = ["client", "clock", "seeded"]

PLACES = ("segments/", "segments/new-one/", "segments/enterprise/", "segments/smb/remove/")


@pytest.fixture
def place(client: NudgeClient, serve: Callable[[Any], str]) -> str:
    """The address of an admin in which everybody is an editor."""
    return f"{serve(admin_of(client, 'editor'))}/"


def test_a_threshold_is_lowered_by_keyboard_alone(page: Page, place: str) -> None:
    page.goto(f"{place}segments/")
    tab_to(page, page.get_by_role("link", name="Small and mid-sized"))
    page.keyboard.press("Enter")
    score = page.locator("#member_warm").get_by_label("Points needed")
    tab_to(page, score)
    page.keyboard.type("5")
    page.keyboard.press("Tab")
    expect(page.locator("#beside")).to_contain_text("First campaign sent (5) = 5")
    tab_to(page, page.get_by_role("button", name="Save draft"))
    page.keyboard.press("Enter")
    expect(page.locator(".notice")).to_contain_text("Saved as a draft")
    expect(score).to_have_value("5")
    expect(page.get_by_role("link", name="Look at the review")).to_be_visible()


def test_required_milestones_are_ticked_by_keyboard(page: Page, place: str) -> None:
    page.goto(f"{place}segments/smb/")
    entry = page.locator("#member_warm")
    tab_to(page, entry.get_by_text("Required milestones").first.locator("xpath=ancestor-or-self::summary"))
    page.keyboard.press("Enter")
    box = entry.get_by_label("Three teammates invited")
    tab_to(page, box)
    page.keyboard.press("Space")
    tab_to(page, page.get_by_role("button", name="Save draft"))
    page.keyboard.press("Enter")
    expect(page.locator(".notice")).to_contain_text("Saved as a draft")
    expect(entry.locator(".chosen")).to_have_text("at least 1 of First campaign sent, Three teammates invited")


def test_segments_are_put_in_order(page: Page, place: str) -> None:
    page.goto(f"{place}segments/")
    page.get_by_role("button", name="Move up").click()
    expect(page.locator(".notice")).to_contain_text("order")
    expect(page.locator(".segments h2").first).to_contain_text("Small and mid-sized")


def test_who_is_late_sees_both(page: Page, new_page: Callable[..., Page], place: str, troubles: Troubles) -> None:
    other = new_page()
    for each in (page, other):
        each.goto(f"{place}segments/smb/")
        each.locator("#member_warm").get_by_label("Points needed").fill("6" if each is page else "7")
    page.get_by_role("button", name="Save draft").click()
    expect(page.locator(".notice")).to_contain_text("Saved as a draft")
    other.get_by_role("button", name="Save draft").click()
    expect(other.get_by_role("alert").first).to_contain_text("changed this while you were editing")
    check_accessibility(other)
    check_no_sideways_scroll(other, 320)
    assert troubles.take("409")
    other.get_by_role("button", name="Save draft").click()
    expect(other.locator("#member_warm").get_by_label("Points needed")).to_have_value("7")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_accessible_and_fits_a_phone(page: Page, place: str, scheme: Any) -> None:
    page.emulate_media(color_scheme=scheme)
    for path in PLACES:
        page.goto(f"{place}{path}")
        for summary in page.locator("#editor summary").all():
            summary.click()
        check_accessibility(page)
        check_no_sideways_scroll(page, 320, 390, 1280)


def test_without_javascript_a_segment_is_made(new_page: Callable[..., Page], place: str) -> None:
    page = new_page(java_script_enabled=False)
    page.goto(f"{place}segments/new-one/")
    page.get_by_label("Name", exact=True).fill("Schools")
    page.get_by_role("button", name="Add a condition").click()
    page.get_by_label("Condition 1: name").fill("kind")
    page.get_by_label("Condition 1: value").fill("school")
    page.locator("#member_warm").get_by_label("Points needed").fill("5")
    page.get_by_role("button", name="Save draft").click()
    expect(page.locator(".notice")).to_contain_text("Saved as a draft")
    page.goto(f"{place}segments/")
    expect(page.locator(".segments h2").nth(1)).to_contain_text("Schools")
