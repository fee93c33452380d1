"""Nudges in a browser: writing one by keyboard with the preview beside it, with and without scripts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from nudge_sdk import NudgeClient, Options
from nudge_sdk.admin import Actor, create_admin
from nudge_sdk.documents import read_definition
from nudge_sdk.playbooks import read_playbook
from nudge_sdk.testing import Clock
from tests.browser.harness import Troubles, check_accessibility, check_no_sideways_scroll, tab_to

PLACES = ("/nudges/", "/nudges/new-nudge/", "/nudges/contacts_limit/", "/nudges/help_automation/")


@pytest.fixture
def client(tmp_path: Path) -> Iterator[NudgeClient]:
    options = Options(on_error="raise", refresh_seconds=0.0)
    store = f"sqlite:///{tmp_path / 'nudges.db'}"
    with NudgeClient(store, drain="inline", clock=Clock(), options=options) as client:
        client.publish(read_definition(read_playbook("email_tool")), by="setup", note="The first one")
        client.group("acme", {"name": "Acme", "contacts_used": 500, "contacts_limit": 500}, user="ada")
        client.identify("ada", {"name": "Ada Lovelace"}, account="acme")
        client.record(client.decide("limit_reached", user="ada", account="acme"), "shown")
        yield client


@pytest.fixture
def base(client: NudgeClient, serve: Callable[[Any], str]) -> str:
    return serve(create_admin(client, authenticate=lambda request: Actor("Pia", "publisher")))


def open_all(page: Page) -> None:
    page.evaluate("document.querySelectorAll('main details').forEach((it) => (it.open = true))")


@pytest.mark.parametrize("place", PLACES)
def test_every_page_is_accessible_in_light_and_dark_and_fits_a_phone(base: str, page: Page, place: str) -> None:
    page.goto(base + place)
    open_all(page)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        check_accessibility(page)
    check_no_sideways_scroll(page, 320, 390, 1280)


def test_the_stage_is_legible_in_its_own_colours_whatever_those_of_the_admin(base: str, page: Page) -> None:
    page.goto(f"{base}/nudges/help_automation/")
    for admin in ("light", "dark"):
        page.emulate_media(color_scheme=admin)
        for stage in ("Dark", "Light"):
            page.get_by_label(stage, exact=True).check()
            check_accessibility(page, within=".stage")
    colours = {}
    for stage in ("Light", "Dark"):
        page.get_by_label(stage, exact=True).check()
        colours[stage] = page.locator(".stage .nudge").evaluate("it => getComputedStyle(it).color")
    assert colours["Light"] != colours["Dark"]


def test_a_nudge_is_written_by_keyboard_alone_and_the_preview_follows(base: str, page: Page) -> None:
    page.goto(f"{base}/nudges/")
    tab_to(page, page.get_by_role("link", name="New nudge"))
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_label("Name", exact=True))
    page.keyboard.type("After the second campaign")
    tab_to(page, page.get_by_label("Placement", exact=True))
    page.keyboard.type("dashboard")
    tab_to(page, page.get_by_label("Title", exact=True))
    page.keyboard.type("You just ")
    stage = page.locator("#preview .stage")
    expect(stage.locator(".nudge-title")).to_have_text("You just ")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    chip = page.get_by_role("button", name="milestone", exact=True)
    chip.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Title", exact=True)).to_be_focused()
    expect(page.get_by_label("Title", exact=True)).to_have_value("You just {{ milestone | a milestone }}")
    expect(stage.locator(".nudge-title")).to_have_text("You just First campaign sent")
    tab_to(page, page.get_by_label("Text", exact=True))
    page.keyboard.type("**More** room, [here](/plans).")
    expect(stage.locator("strong")).to_have_text("More")
    tab_to(page, page.get_by_label("Button", exact=True))
    page.keyboard.type("See plans")
    tab_to(page, page.locator('[id="content.cta.url"]'))
    page.keyboard.type("/plans")
    expect(page.locator(".leads")).to_contain_text("/plans")
    expect(page.locator(".said-status")).to_be_hidden()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="After the second campaign")).to_be_visible()
    expect(page.locator(".notice")).to_contain_text("Saved as a draft")
    page.goto(f"{base}/nudges/")
    expect(page.get_by_role("link", name="After the second campaign")).to_be_visible()


def test_counters_count_as_people_see_and_problems_stand_beside_what_is_typed(base: str, page: Page) -> None:
    page.goto(f"{base}/nudges/after_campaign/")
    title = page.get_by_label("Title", exact=True).first
    counter = page.locator('[data-counter-of="content.title"]')
    title.fill("Hi {{ user_name | there }}")
    expect(counter).to_have_text("8 of 80 characters")
    title.fill("x" * 81)
    expect(counter).to_have_text("81 of 80 characters")
    problem = page.locator('[id="content.title-error"]')
    expect(problem).to_contain_text("At most 80 fit")
    expect(title).to_have_attribute("aria-invalid", "true")
    title.fill("Hi {{ nobody | x }}")
    expect(problem).to_contain_text("nobody is not a known name")
    title.fill("Hi")
    expect(problem).to_be_empty()
    body = page.get_by_label("Text", exact=True).first
    body.fill("**Hi** [there](/somewhere/far/away)")
    expect(page.locator('[data-counter-of="content.body"]')).to_have_text("8 of 600 characters")
    expect(title).not_to_have_attribute("aria-invalid", "true")


def test_a_problem_shown_after_saving_does_not_take_the_focus_from_where_somebody_types(
    base: str, page: Page, troubles: Troubles
) -> None:
    page.goto(f"{base}/nudges/after_campaign/")
    page.get_by_label("Button", exact=True).first.fill("")
    page.get_by_role("button", name="Save draft").click()
    expect(page.locator(".problems")).to_be_focused()
    assert troubles.take("422")
    button = page.get_by_label("Button", exact=True).first
    button.fill("Go on")
    expect(page.locator("#preview .nudge-primary")).to_have_text("Go on")
    expect(button).to_be_focused()


def test_steps_are_added_in_place_and_the_new_one_has_the_focus(base: str, page: Page) -> None:
    page.goto(f"{base}/nudges/help_automation/")
    page.get_by_label("Name", exact=True).fill("Typed before")
    page.get_by_role("button", name="Add a step").first.click()
    fresh = page.locator('[id="content.steps[3].title"]')
    expect(fresh).to_be_focused()
    page.keyboard.type("Send it")
    expect(page.locator("#preview .nudge-step-title").last).to_have_text("Send it")
    page.get_by_role("button", name="Move up step 4").click()
    expect(page.locator('[id="content.steps[2].title"]')).to_have_value("Send it")
    expect(page.get_by_label("Name", exact=True)).to_have_value("Typed before")


def test_somebody_looks_as_a_real_person_who_cannot_buy_in_german(base: str, page: Page) -> None:
    page.goto(f"{base}/nudges/contacts_limit/")
    page.get_by_label("Who is looking").select_option("real")
    page.get_by_label("Account", exact=True).fill("acme")
    page.get_by_label("User", exact=True).fill("ada")
    page.get_by_label("May buy").select_option("no")
    page.get_by_label("Language", exact=True).select_option("de")
    expect(page.locator("#preview")).to_contain_text("500 von 500 Kontakten")
    expect(page.locator("#preview .nudge-primary")).to_have_text("Mehr Kontakte anfragen")
    page.locator("#preview .nudge-primary").click()
    assert page.url.endswith("/nudges/contacts_limit/")


def test_a_modal_opens_on_a_page_of_its_own_and_reports_nothing(base: str, page: Page) -> None:
    page.goto(f"{base}/nudges/contacts_limit/")
    page.get_by_label("Format", exact=True).first.select_option("modal")
    with page.expect_popup() as opened:
        page.get_by_role("button", name="Open on a page of its own").click()
    alone = opened.value
    expect(alone.locator("dialog")).to_be_visible()
    alone.locator("dialog .nudge-primary").click()
    expect(alone.locator("dialog")).to_be_visible()
    check_accessibility(alone)


def test_without_javascript_steps_preview_and_saving_work(base: str, new_page: Callable[..., Page]) -> None:
    page = new_page(java_script_enabled=False)
    page.goto(f"{base}/nudges/help_automation/")
    page.get_by_role("button", name="Add a step").first.click()
    page.locator('[id="content.steps[3].title"]').fill("Send it")
    page.get_by_role("button", name="Show preview").click()
    expect(page.locator("#preview .nudge-step-title").last).to_have_text("Send it")
    page.get_by_role("button", name="Save draft").click()
    expect(page.locator(".notice")).to_contain_text("Saved as a draft")
    expect(page.locator('[id="content.steps[3].title"]')).to_have_value("Send it")


def test_enter_in_a_text_saves_and_presses_no_other_button(base: str, page: Page) -> None:
    page.goto(f"{base}/nudges/help_automation/")
    page.locator('[id="content.steps[1].title"]').fill("Changed")
    page.keyboard.press("Enter")
    expect(page.locator(".notice")).to_contain_text("Saved as a draft")
    expect(page.locator('[id="content.steps[1].title"]')).to_have_value("Changed")
