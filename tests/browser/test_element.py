"""The element in a real page: what it reports, what it does with the focus, and that it works wherever it is put."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from nudge_sdk.hosts.assets import static_folder
from tests.browser.element_page import FORMATS, Host
from tests.browser.harness import Troubles, check_accessibility, check_no_sideways_scroll, tab_to

TITLE = "You just sent your first campaign!"
INSERT = "async (from) => { here.innerHTML = await (await fetch(from)).text(); }"


@pytest.fixture
def host() -> Iterator[Host]:
    host = Host()
    yield host
    host.client.close()


# Before any page, so that it is there until the last page is closed.
@pytest.fixture(autouse=True)
def base_url(host: Host, serve: Callable[[object], str]) -> str:
    return serve(host.app)


def at(base_url: str, path: str, lang: str = "en") -> str:
    return f"{base_url}{path}?as=ada&lang={lang}"


def press(page: Page, name: str) -> None:
    """Press a button, and wait until the server has answered."""
    with page.expect_response(lambda answer: "report=shown" not in (answer.request.post_data or "report=shown")):
        page.get_by_role("button", name=name).click()


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.innerText.trim() || document.activeElement.id"))


def test_the_script_is_small() -> None:
    assert len(gzip.compress((static_folder() / "nudge.js").read_bytes())) <= 6 * 1024


def open_paused(page: Page, address: str) -> None:
    """Open a page whose time stands still; only ``let_pass`` lets it go on."""
    page.clock.install(time=0)
    page.goto(address)
    page.clock.pause_at(60_000)


def let_pass(page: Page, milliseconds: int) -> None:
    """Let the page see what has come into view, and then let its time go on."""
    page.wait_for_timeout(300)
    page.clock.run_for(milliseconds)
    page.wait_for_timeout(100)


def test_shown_is_said_once_after_a_second_of_being_visible(page: Page, host: Host, base_url: str) -> None:
    open_paused(page, at(base_url, "/empty/card"))
    page.evaluate(INSERT, "/part/card")
    let_pass(page, 900)
    assert host.all_kinds() == ["offered"]
    with page.expect_response(lambda answer: "/report" in answer.url):
        let_pass(page, 200)
    assert host.all_kinds() == ["offered", "shown"]
    page.evaluate(INSERT, "/part/card")
    let_pass(page, 2000)
    assert [report for report, _ in host.reports] == ["shown"]


def test_what_is_scrolled_past_is_not_shown_and_what_is_scrolled_to_is(page: Page, host: Host, base_url: str) -> None:
    open_paused(page, at(base_url, "/empty/card"))
    page.evaluate("here.before(Object.assign(document.createElement('div'), {className: 'far'}))")
    page.evaluate("here.className = 'far'")
    page.evaluate(INSERT, "/part/card")
    let_pass(page, 2000)
    page.locator(".nudge").scroll_into_view_if_needed()
    let_pass(page, 900)
    page.evaluate("scrollTo(0, 0)")
    let_pass(page, 2000)
    assert host.all_kinds() == ["offered"]
    page.locator(".nudge").scroll_into_view_if_needed()
    with page.expect_response(lambda answer: "/report" in answer.url):
        let_pass(page, 1100)
    assert host.all_kinds() == ["offered", "shown"]


def test_a_panel_taller_than_the_window_can_be_shown_too(
    new_page: Callable[..., Page], host: Host, base_url: str
) -> None:
    page = new_page(viewport={"width": 320, "height": 240})
    open_paused(page, at(base_url, "/empty/help"))
    page.evaluate(INSERT, "/part/help")
    page.locator(".nudge-steps").scroll_into_view_if_needed()
    with page.expect_response(lambda answer: "/report" in answer.url):
        let_pass(page, 1100)
    assert host.all_kinds() == ["offered", "shown"]


def test_a_dismissal_needs_no_new_page_and_stays(page: Page, host: Host, base_url: str) -> None:
    page.goto(at(base_url, "/card"))
    page.evaluate("window.isSame = true")
    press(page, "Not now")
    expect(page.locator(".nudge")).to_be_hidden()
    assert page.evaluate("window.isSame")
    assert host.kinds() == ["offered", "dismissed"]
    page.reload()
    expect(page.locator("nudge-prompt")).to_have_count(0)


def test_without_a_dismissal_it_is_there_again(page: Page, base_url: str) -> None:
    page.goto(at(base_url, "/card"))
    page.reload()
    expect(page.get_by_text(TITLE)).to_be_visible()


def test_the_other_tab_loses_it_too(page: Page, base_url: str) -> None:
    other = page.context.new_page()
    for each in (page, other):
        each.goto(at(base_url, "/card"))
    press(page, "Not now")
    expect(other.locator("nudge-prompt")).to_have_count(0)


def test_a_page_that_the_browser_brings_back_asks_whether_it_still_stands(
    page: Page, host: Host, base_url: str
) -> None:
    back = "dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))"
    page.goto(at(base_url, "/card"))
    with page.expect_response(lambda answer: "/report" in answer.url):
        page.evaluate(back)
    expect(page.get_by_text(TITLE)).to_be_visible()
    host.client.record("card", "dismissed", user="ada", account="acme")
    page.evaluate(back)
    expect(page.locator("nudge-prompt")).to_have_count(0)


def test_the_focus_stays_where_the_closed_nudge_was(page: Page, base_url: str) -> None:
    page.goto(at(base_url, "/card"))
    tab_to(page, page.get_by_role("button", name="Not now"))
    page.keyboard.press("Enter")
    expect(page.locator(".nudge")).to_be_hidden()
    expect(page.get_by_role("status")).to_have_text("Closed")
    assert focused(page) == "Closed"
    page.keyboard.press("Tab")
    assert focused(page) == "After it"
    expect(page.locator("nudge-prompt")).to_have_count(0)


def test_a_click_is_a_form_that_leads_on_and_is_counted(page: Page, host: Host, base_url: str) -> None:
    page.goto(at(base_url, "/card"))
    page.get_by_role("button", name="See the plans").click()
    expect(page).to_have_url(re.compile("/plans$"))
    assert host.reports[-1] == ("clicked", False)
    assert host.kinds() == ["offered", "clicked"]


def test_a_click_with_control_opens_another_tab(page: Page, host: Host, base_url: str) -> None:
    page.goto(at(base_url, "/card"))
    with page.context.expect_page() as opened:
        page.get_by_role("button", name="See the plans").click(modifiers=["ControlOrMeta"])
    expect(opened.value).to_have_url(re.compile("/plans$"))
    expect(page.get_by_text(TITLE)).to_be_visible()
    assert host.kinds() == ["offered", "clicked"]


@pytest.mark.parametrize("kind", ["card", "modal", "slideout"])
def test_where_the_script_is_not_answered_the_form_is_posted(page: Page, host: Host, base_url: str, kind: str) -> None:
    host.broken = True
    page.goto(at(base_url, f"/{kind}"))
    with page.expect_navigation():
        page.get_by_role("button", name="Not now").click()
    expect(page.locator("nudge-prompt")).to_have_count(0)
    assert host.reports[-2:] == [("dismissed", True), ("dismissed", False)]
    assert host.kinds() == ["offered", "dismissed"]


def test_what_a_blocker_stops_is_posted_as_a_form(page: Page, host: Host, base_url: str, troubles: Troubles) -> None:
    page.route(
        "**/report", lambda route: route.abort() if route.request.resource_type == "fetch" else route.continue_()
    )
    page.goto(at(base_url, "/card"))
    with page.expect_navigation():
        page.get_by_role("button", name="Not now").click()
    assert host.kinds() == ["offered", "dismissed"]
    troubles.take("ERR_FAILED")


def test_without_a_network_the_page_stays_and_the_report_follows(
    page: Page, host: Host, base_url: str, troubles: Troubles
) -> None:
    page.goto(at(base_url, "/card"))
    page.context.set_offline(True)
    page.get_by_role("button", name="Not now").click()
    expect(page.locator(".nudge")).to_be_hidden()
    page.wait_for_timeout(200)
    assert page.url.endswith("/card?as=ada&lang=en")
    with page.expect_response(lambda answer: "/report" in answer.url):
        page.context.set_offline(False)
    assert host.kinds() == ["offered", "dismissed"]
    troubles.take("ERR_INTERNET_DISCONNECTED")


def test_it_can_be_put_off_and_opted_out_of(page: Page, host: Host, base_url: str) -> None:
    page.goto(at(base_url, "/card"))
    page.get_by_label("More options").click()
    press(page, "Remind me tomorrow")
    page.goto(at(base_url, "/banner"))
    page.get_by_label("More options").click()
    press(page, "Don't show suggestions like this")
    assert host.client.decide("banner", user="ada", account="acme").reasons == {"banner": "OPTED_OUT"}
    assert host.kinds() == ["offered", "snoozed", "offered"]


def test_a_finished_guide_says_so(page: Page, host: Host, base_url: str) -> None:
    for event in ("list_picked", "email_written"):
        host.client.track("ada", event, account="acme")
    page.goto(at(base_url, "/help"))
    expect(page.get_by_text("2 of 2 done")).to_be_visible()
    press(page, "I'm done")
    assert host.kinds() == ["offered", "completed"]


def test_a_modal_is_worked_by_the_keyboard_alone(page: Page, host: Host, base_url: str) -> None:
    page.goto(at(base_url, "/empty/modal"))
    page.locator("#after").focus()
    page.evaluate(INSERT, "/part/modal")
    dialog = page.get_by_role("dialog", name=TITLE)
    expect(dialog).to_be_focused()
    order = []
    for _ in range(4):
        page.keyboard.press("Tab")
        order.append(focused(page))
    assert order == ["See the plans", "Not now", "⋯", "See the plans"]
    page.keyboard.press("Shift+Tab")
    assert focused(page) == "⋯"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert focused(page) == "Remind me tomorrow"
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert focused(page) == "After it"
    expect(page.locator("nudge-prompt")).to_have_count(0)
    assert host.kinds() == ["offered", "dismissed"]


def test_a_press_beside_a_modal_dismisses_it_but_a_press_in_it_does_not(page: Page, host: Host, base_url: str) -> None:
    page.goto(at(base_url, "/modal"))
    dialog = page.get_by_role("dialog")
    dialog.get_by_text(TITLE).click()
    box = dialog.bounding_box()
    assert box
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(5, 5)
    page.mouse.up()
    expect(dialog).to_be_visible()
    page.mouse.click(5, 5)
    expect(dialog).to_be_hidden()
    page.wait_for_timeout(200)
    assert host.kinds() == ["offered", "dismissed"]


def test_a_modal_waits_for_the_hosts_own_dialog(page: Page, base_url: str) -> None:
    page.goto(at(base_url, "/dialog/modal"))
    page.wait_for_timeout(800)
    expect(page.get_by_text(TITLE)).to_be_hidden()
    page.get_by_role("button", name="OK").click()
    expect(page.get_by_role("dialog", name=TITLE)).to_be_visible()


def test_a_modal_waits_until_nobody_types(page: Page, host: Host, base_url: str) -> None:
    page.goto(at(base_url, "/focused/modal"))
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.type("spring")
    page.wait_for_timeout(800)
    expect(page.get_by_text(TITLE)).to_be_hidden()
    expect(page.locator("#search")).to_have_value("spring")
    assert "shown" not in host.all_kinds()
    page.keyboard.press("Tab")
    expect(page.get_by_role("dialog", name=TITLE)).to_be_visible()


def test_one_modal_at_a_time(page: Page, base_url: str) -> None:
    page.goto(at(base_url, "/two"))
    dialogs = page.get_by_role("dialog")
    expect(dialogs).to_have_count(1)
    page.wait_for_timeout(700)
    expect(dialogs).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator("nudge-prompt")).to_have_count(1)
    expect(dialogs).to_have_count(1)


@pytest.mark.parametrize("kind", ["banner", "card", "slideout", "help"])
def test_only_a_modal_takes_the_focus(page: Page, base_url: str, kind: str) -> None:
    page.goto(at(base_url, f"/empty/{kind}"))
    page.locator("#search").press_sequentially("spr")
    page.evaluate(INSERT, f"/part/{kind}")
    expect(page.get_by_text(TITLE)).to_be_visible()
    page.keyboard.type("ing")
    expect(page.locator("#search")).to_have_value("spring")
    expect(page.locator("#search")).to_be_focused()


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844), (320, 640)])
def test_a_slide_out_leaves_most_of_the_page_free(
    new_page: Callable[..., Page], base_url: str, width: int, height: int
) -> None:
    page = new_page(viewport={"width": width, "height": height}, reduced_motion="reduce")
    page.goto(at(base_url, "/slideout"))
    box = page.locator(".nudge").bounding_box()
    assert box
    assert box["height"] <= 0.4 * height + 1
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    check_no_sideways_scroll(page)
    expect(page.get_by_role("status")).to_contain_text(TITLE)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_fragment_that_is_put_in_later_works(page: Page, host: Host, base_url: str, kind: str) -> None:
    page.goto(at(base_url, f"/empty/{kind}"))
    page.evaluate(INSERT, f"/part/{kind}")
    expect(page.get_by_text(TITLE)).to_be_visible()
    press(page, "Not now")
    expect(page.locator(".nudge:visible")).to_have_count(0)
    assert host.kinds()[-1] == "dismissed"
    page.evaluate(INSERT, f"/part/{kind}")
    expect(page.locator("nudge-prompt")).to_have_count(0)


def test_a_copy_that_a_cache_of_pages_kept_opens_anew_and_a_closed_one_does_not(page: Page, base_url: str) -> None:
    page.goto(at(base_url, "/modal"))
    dialog = page.get_by_role("dialog", name=TITLE)
    expect(dialog).to_be_visible()
    page.evaluate("() => { window.kept = here.cloneNode(true); here.replaceWith(kept.cloneNode(true)); }")
    expect(dialog).to_have_count(1)
    press(page, "Not now")
    expect(dialog).to_have_count(0)
    page.evaluate("() => here.replaceWith(kept.cloneNode(true))")
    expect(page.locator("nudge-prompt")).to_have_count(0)


def test_a_page_without_a_body_works(page: Page, host: Host, base_url: str) -> None:
    page.goto(at(base_url, "/bare/card"))
    press(page, "Not now")
    assert host.kinds() == ["offered", "dismissed"]


def test_a_slot_asks_by_itself_and_again_when_it_is_told_to(page: Page, host: Host, base_url: str) -> None:
    page.goto(at(base_url, "/single/help"))
    expect(page.get_by_text("0 of 2 done")).to_be_visible()
    host.client.track("ada", "list_picked", account="acme")
    page.evaluate("after.dispatchEvent(new Event('nudge:refresh', {bubbles: true}))")
    expect(page.get_by_text("1 of 2 done")).to_be_visible()
    host.client.track("ada", "email_written", account="acme")
    page.evaluate("document.querySelector('nudge-slot').refresh()")
    expect(page.get_by_text("2 of 2 done")).to_be_visible()
    page.get_by_role("button", name="Ask a person").click()
    expect(page).to_have_url(re.compile("/chat$"))
    page.go_back()
    press(page, "I'm done")
    expect(page.locator(".nudge")).to_have_count(0)
    page.evaluate("document.querySelector('nudge-slot').setAttribute('placement', 'modal')")
    expect(page.get_by_role("dialog", name=TITLE)).to_be_visible()
    page.evaluate("document.querySelector('nudge-slot').refresh()")
    page.wait_for_timeout(300)
    press(page, "Not now")
    expect(page.locator("nudge-prompt")).to_have_count(0)
    assert host.kinds().count("dismissed") == 1


def test_a_slot_keeps_what_has_the_focus_and_what_stands_when_there_is_no_answer(
    page: Page, host: Host, base_url: str, troubles: Troubles
) -> None:
    page.goto(at(base_url, "/single/card"))
    button = page.get_by_role("button", name="Not now")
    button.focus()
    with page.expect_response(lambda answer: "/slot" in answer.url):
        page.evaluate("document.querySelector('nudge-slot').refresh()")
    page.wait_for_timeout(100)
    expect(button).to_be_focused()
    page.route("**/slot*", lambda route: route.abort())
    page.locator("#search").focus()
    page.evaluate("document.querySelector('nudge-slot').refresh()")
    expect(button).to_be_visible()
    troubles.take("ERR_FAILED")


@pytest.mark.parametrize("kind", FORMATS)
def test_without_javascript_it_is_a_card_whose_buttons_work(
    new_page: Callable[..., Page], host: Host, base_url: str, kind: str
) -> None:
    page = new_page(java_script_enabled=False)
    page.goto(at(base_url, f"/{kind}"))
    expect(page.get_by_text(TITLE)).to_be_visible(timeout=500)
    assert page.locator(".nudge").evaluate("it => getComputedStyle(it).position") == "static"
    page.get_by_role("button", name="Not now").click()
    expect(page.locator("nudge-prompt")).to_have_count(0)
    assert host.kinds() == ["offered", "dismissed"]


@pytest.mark.parametrize("kind", ["modal", "slideout"])
def test_where_the_script_never_comes_it_stands_in_its_place(
    page: Page, base_url: str, kind: str, troubles: Troubles
) -> None:
    page.route("**/nudge.js*", lambda route: route.abort())
    page.goto(at(base_url, f"/{kind}"))
    expect(page.get_by_text(TITLE)).to_be_visible(timeout=5000)
    troubles.take("ERR_FAILED")


def test_a_policy_that_asks_for_a_nonce_is_met(page: Page, host: Host, base_url: str) -> None:
    host.policy = (
        "default-src 'none'; script-src 'nonce-n0'; style-src 'nonce-n0'; connect-src 'self'; form-action 'self'"
    )
    host.app.jinja_env.globals["nudge_head"] = lambda: host.nudges.head(nonce="n0")
    page.goto(at(base_url, "/bare/modal"))
    expect(page.get_by_role("dialog", name=TITLE)).to_be_visible()
    press(page, "Not now")
    assert host.kinds() == ["offered", "dismissed"]


@pytest.mark.parametrize(("scheme", "lang"), [("light", "en"), ("dark", "ar")])
@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_accessible(
    new_page: Callable[..., Page], base_url: str, kind: str, scheme: str, lang: str
) -> None:
    page = new_page(color_scheme=scheme, reduced_motion="reduce")
    page.goto(at(base_url, f"/{kind}", lang))
    more = page.locator(".nudge summary")
    more.click()
    check_accessibility(page)
    for control in page.locator(".nudge button:visible, .nudge summary").all():
        box = control.bounding_box()
        assert box
        assert min(box["width"], box["height"]) >= 44
    check_no_sideways_scroll(page, 320, 640)


def test_a_preview_reports_nothing_and_stays(page: Page, host: Host, base_url: str) -> None:
    page.goto(at(base_url, "/empty/card"))
    page.evaluate(
        "async () => { here.innerHTML = (await (await fetch('/part/card')).text())"
        ".replace('<nudge-prompt', '<nudge-prompt data-preview'); }"
    )
    page.get_by_role("button", name="Not now").click()
    page.get_by_role("button", name="See the plans").click()
    expect(page.get_by_text(TITLE)).to_be_visible()
    assert host.reports == []
