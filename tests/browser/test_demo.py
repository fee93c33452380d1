"""The demo as people meet it: a new user's whole way, and every page for everybody."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from playwright.sync_api import Locator, Page, expect

from nudge_sdk import NudgeClient
from nudge_sdk.demo.check import PAGES
from nudge_sdk.demo.clock import DemoClock
from nudge_sdk.demo.server import Demo, create_app
from tests.browser.harness import check_accessibility, check_no_sideways_scroll, served, tab_to

MONDAY = 1_772_442_000_000_000
"""2026-03-02T09:00:00Z."""

NewPage = Callable[..., Page]

INVITED = "You just invited your teammates"
GUIDE = "Let's finish your first automation together"
READY = re.compile("time for a bit more room")


def make_demo(folder: str) -> Flask:
    begun = time.monotonic()
    return create_app(folder, DemoClock(lambda: MONDAY + int((time.monotonic() - begun) * 1_000_000)))


@pytest.fixture(scope="module")
def demo_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A demo whose clock nobody moves."""
    app = make_demo(str(tmp_path_factory.mktemp("still")))
    with served(app) as url:
        yield url
    app.extensions["demo"].client.close()


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Demo]]:
    """A demo whose clock tests move on; each signs up people of its own."""
    app = make_demo(str(tmp_path_factory.mktemp("moving")))
    with served(app) as url:
        yield url, app.extensions["demo"]
    app.extensions["demo"].client.close()


def sign_up(page: Page, url: str, name: str) -> None:
    page.goto(f"{url}/people")
    page.get_by_label("Your name").fill(name)
    page.get_by_role("button", name="Sign up for free").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Good day, {name.split()[0]}")


def log_in(page: Page, url: str, name: str) -> None:
    page.goto(f"{url}/people")
    key = page.locator("option", has_text=f"{name}:").get_attribute("value")
    page.get_by_label("You are").select_option(key)
    page.get_by_role("button", name="Log in", exact=True).click()
    page.wait_for_url(lambda at: not at.endswith("/people"))


def send_a_campaign(page: Page, url: str) -> None:
    page.goto(f"{url}/settings")
    page.get_by_label("Domain").fill("news.example.com")
    page.get_by_role("button", name="Connect it").click()
    page.goto(f"{url}/contacts/import")
    page.get_by_role("button", name="Import", exact=True).click()
    page.get_by_role("link", name="Campaigns").click()
    page.get_by_role("link", name="Write a campaign").click()
    page.get_by_role("button", name="Send to 120 contacts").click()


def invite(page: Page, name: str) -> str:
    """Invite somebody; return the body of the very answer."""
    page.get_by_role("textbox", name="Name").fill(name)
    with page.expect_response(lambda answer: answer.request.method == "POST") as answered:
        page.get_by_role("button", name="Send the invitation").click()
    expect(page.get_by_role("status").filter(has_text=f"{name} has an invitation")).to_be_visible()
    return answered.value.text()


def become_ready(page: Page, url: str) -> str:
    """Do the key actions; return the answer to the last one."""
    send_a_campaign(page, url)
    page.get_by_role("link", name="Team").click()
    answers = [invite(page, name) for name in ("Mara", "Tom", "Ida")]
    assert INVITED not in "".join(answers[:2])
    return answers[-1]


def move(page: Page, *steps: str) -> None:
    for step in steps:
        page.get_by_role("button", name=step).click()


def why(page: Page, nudge: str) -> str:
    """Open "Why this?" and return the row of a nudge."""
    page.get_by_role("link", name="Why this?").click()
    return page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=nudge, exact=True)).inner_text()


def test_a_new_user_is_prompted_once_then_helped_and_then_left_alone(
    page: Page, new_page: NewPage, moving: tuple[str, Demo]
) -> None:
    url, demo = moving
    sign_up(page, url, "Robin Newman")
    prompt = page.get_by_text(INVITED)

    assert INVITED in become_ready(page, url)
    expect(prompt).to_be_visible()
    page.reload()
    expect(prompt).to_be_visible()
    expect(page.get_by_text("Ida", exact=True)).to_have_count(1)

    page.get_by_role("button", name="Not now").click()
    expect(prompt).to_have_count(0)
    page.goto(f"{url}/team")
    expect(prompt).to_have_count(0)
    assert "DISMISSED" in why(page, "After inviting the team")
    elsewhere = new_page()
    log_in(elsewhere, url, "Robin Newman")
    elsewhere.goto(f"{url}/team")
    expect(elsewhere.get_by_role("heading", name="Team", exact=True)).to_be_visible()
    expect(elsewhere.get_by_text(INVITED)).to_have_count(0)
    robin = next(person for person in demo.people.values() if person.name == "Robin Newman")
    with NudgeClient(f"sqlite:///{demo.client.store.path}", clock=demo.clock) as worker:  # type: ignore[attr-defined]
        decision = worker.decide("after_action", user=robin.key, account=robin.account_id)
    assert (decision.nudge, decision.reasons["after_team"]) == (None, "DISMISSED")

    move(page, "+1 week", "+1 day")
    page.goto(f"{url}/dashboard")
    expect(page.get_by_role("heading", name=GUIDE)).to_be_visible()
    expect(page.get_by_text("2 of 3 done")).to_be_visible()
    page.get_by_role("link", name="Switch on the welcome e-mail").click()
    page.get_by_role("button", name="Start it").click()
    page.get_by_role("link", name="Dashboard").click()
    expect(page.get_by_text("3 of 3 done")).to_be_visible()
    page.get_by_role("button", name="I'm done").click()
    expect(page.get_by_role("heading", name=GUIDE)).to_have_count(0)
    page.goto(f"{url}/dashboard")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_role("heading", name=GUIDE)).to_have_count(0)


def test_without_the_dismissal_the_prompt_is_shown_again(
    page: Page, new_page: NewPage, moving: tuple[str, Demo]
) -> None:
    url, _ = moving
    sign_up(page, url, "Vera Control")
    become_ready(page, url)
    page.goto(f"{url}/team")
    expect(page.get_by_text(INVITED)).to_be_visible()
    elsewhere = new_page()
    log_in(elsewhere, url, "Vera Control")
    elsewhere.goto(f"{url}/team")
    expect(elsewhere.get_by_text(INVITED)).to_be_visible()


def test_of_two_people_the_one_who_dismissed_is_not_asked_again_the_next_day(
    new_page: NewPage, moving: tuple[str, Demo]
) -> None:
    url, _ = moving
    dora, kim = new_page(), new_page()
    for page, name in ((dora, "Dora Dismisses"), (kim, "Kim Keeps")):
        sign_up(page, url, name)
        become_ready(page, url)
    move(dora, "+1 day")
    for page in (dora, kim):
        page.goto(f"{url}/dashboard")
        expect(page.get_by_text(READY)).to_be_visible()
    dora.get_by_role("button", name="Not now").click()
    expect(dora.get_by_text(READY)).to_have_count(0)
    move(dora, "+1 day")
    for page, times in ((dora, 0), (kim, 1)):
        page.goto(f"{url}/dashboard")
        expect(page.get_by_text(READY)).to_have_count(times)


def test_the_whole_way_by_keyboard_alone(page: Page, moving: tuple[str, Demo]) -> None:
    url, _ = moving
    sign_up(page, url, "Kay Board")
    become_ready(page, url)
    expect(page.get_by_text(INVITED)).to_be_visible()
    assert page.evaluate("document.activeElement.localName") == "body"
    press(page, page.get_by_role("button", name="Not now"))
    expect(page.get_by_text(INVITED)).to_have_count(0)
    for step in ("+1 week", "+1 day"):
        press(page, page.get_by_role("button", name=step))
        page.wait_for_load_state()
    press(page, page.get_by_role("link", name="Dashboard"))
    press(page, page.get_by_role("link", name="Switch on the welcome e-mail"))
    press(page, page.get_by_role("button", name="Start it"))
    press(page, page.get_by_role("link", name="Dashboard"))
    press(page, page.get_by_role("button", name="I'm done"))
    expect(page.get_by_role("heading", name=GUIDE)).to_have_count(0)


def press(page: Page, target: Locator) -> None:
    expect(target).to_be_visible()
    tab_to(page, target)
    page.keyboard.press("Enter")


def test_the_whole_way_without_javascript(new_page: NewPage, moving: tuple[str, Demo]) -> None:
    url, _ = moving
    page = new_page(java_script_enabled=False)
    sign_up(page, url, "Nora Script")
    assert INVITED in become_ready(page, url)
    expect(page.get_by_text(INVITED)).to_be_visible()
    page.get_by_role("button", name="Not now").click()
    expect(page.get_by_text(INVITED)).to_have_count(0)
    expect(page).to_have_url(re.compile("/team"))
    move(page, "+1 week", "+1 day")
    page.goto(f"{url}/dashboard")
    page.get_by_role("link", name="Switch on the welcome e-mail").click()
    page.get_by_role("button", name="Start it").click()
    page.goto(f"{url}/dashboard")
    page.get_by_role("button", name="I'm done").click()
    expect(page.get_by_role("heading", name="Good day, Nora")).to_be_visible()
    expect(page.get_by_role("heading", name=GUIDE)).to_have_count(0)


@pytest.mark.parametrize("has_script", [True, False])
def test_the_prompt_at_the_limit_is_shown_with_and_without_javascript(
    new_page: NewPage, demo_url: str, has_script: bool
) -> None:
    page = new_page(java_script_enabled=has_script)
    log_in(page, demo_url, "Lena Novak")
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_text("500 of 500 contacts: your list is full")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(int(has_script))


def test_starting_over_brings_back_the_day_the_data_and_the_admin(page: Page, moving: tuple[str, Demo]) -> None:
    url, _ = moving
    log_in(page, url, "Ada Brook")
    page.get_by_role("button", name="Send to 240 contacts").click()
    move(page, "+1 week")
    expect(page.get_by_text("ahead")).to_be_visible()
    move(page, "Start over")
    expect(page.get_by_role("status")).to_contain_text("It is today again")
    expect(page.get_by_text("ahead")).to_have_count(0)
    page.goto(f"{url}/campaigns")
    expect(page.get_by_text("No campaign yet")).to_be_visible()
    page.get_by_role("link", name="Open the admin").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text("The playbook for e-mail tools")


@pytest.mark.parametrize("role", ["viewer", "editor", "publisher"])
def test_the_admin_opens_in_the_role_chosen_in_the_toolbar(page: Page, demo_url: str, role: str) -> None:
    log_in(page, demo_url, "Wanda Silva")
    page.get_by_label("as", exact=True).select_option(role)
    page.get_by_role("button", name="Set the role").click()
    page.get_by_role("link", name="Open the admin").click()
    expect(page.get_by_role("banner")).to_contain_text("Pia")
    expect(page.get_by_role("banner")).to_contain_text(role)
    page.goto(f"{demo_url}/dashboard")
    expect(page.get_by_role("heading", name="Good day, Wanda")).to_be_visible()


@pytest.mark.parametrize("path", [path for path in PAGES if path != "/"])
def test_every_page_is_accessible_in_light_and_dark_and_fits_a_phone(page: Page, demo_url: str, path: str) -> None:
    page.request.post(f"{demo_url}/people/hana")
    look_at(page, demo_url + path)


@pytest.mark.parametrize(
    ("person", "path", "says"),
    [
        ("nia", "/dashboard", "No campaign yet"),
        ("nia", "/contacts", "Nobody is on your list yet"),
        ("wanda", "/dashboard", "time for a bit more room"),
        ("jonas", "/dashboard", "Zeit für etwas mehr Platz"),
        ("mo", "/billing/checkout", "Only an admin can switch plans"),
        ("lena", "/contacts?full=1", "your list is full"),
        ("emil", "/team", "seats are taken"),
        ("carla", "/billing/upgrade", "Your plan"),
    ],
)
def test_every_state_is_accessible_in_light_and_dark_and_fits_a_phone(
    page: Page, demo_url: str, person: str, path: str, says: str
) -> None:
    page.request.post(f"{demo_url}/people/{person}")
    look_at(page, demo_url + path)
    expect(page.get_by_text(says).first).to_be_visible()


def test_the_controls_and_why_this_are_accessible_when_they_are_open(new_page: NewPage, demo_url: str) -> None:
    page = new_page(viewport={"width": 390, "height": 844})
    page.goto(f"{demo_url}/people")
    page.get_by_role("button", name="Wanda Silva").click()
    page.get_by_role("complementary", name="Demo controls").locator("summary").click()
    page.get_by_role("link", name="Why this?").click()
    expect(page.get_by_text("SHOWN")).to_be_visible()
    check_accessibility(page)
    check_no_sideways_scroll(page, 320, 390, 1280)


def look_at(page: Page, address: str) -> None:
    page.goto(address)
    check_accessibility(page)
    page.emulate_media(color_scheme="dark")
    check_accessibility(page, only=["color-contrast"])
    check_no_sideways_scroll(page, 320, 390, 768)
