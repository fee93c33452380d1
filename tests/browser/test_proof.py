"""The pages of proof in a browser: drawn in light, dark and on a phone, told without a picture, swapped in place."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.admin.conftest import admin_of
from tests.admin.made_up import made_up_client_in
from tests.browser.harness import check_accessibility, check_no_sideways_scroll, served, tab_to

PAGES = {
    "funnel/": 1,
    "lift/": 1,
    "accuracy/": 2,
    "signals/": 1,
    "calibration/": 2,
    "trend/": 1,
    "economics/?pql=12000&other=40000": 1,
}
"""How many charts each page draws."""

SHORT = "main details:not(:has(tr:nth-child(20))) > summary"
"""What can be opened, without long lists: axe-core takes seconds for a hundred lines that are alike."""

INKED = """(canvas) => {
  const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const found = new Set();
  for (let at = 0; at < data.length; at += 4) {
    if (data[at + 3] > 200) found.add(`${data[at]},${data[at + 1]},${data[at + 2]}`);
  }
  return found.size;
}"""
"""How many opaque colours a canvas has: none if nothing is drawn."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An admin over the made-up history, in which everybody is an editor."""
    with (
        made_up_client_in(tmp_path_factory.mktemp("proof")) as client,
        served(admin_of(client, "editor")) as url,
    ):
        yield f"{url}/"


def check_drawn(page: Page, number: int) -> None:
    """Fail unless so many charts are drawn, each said in words, in the colours of the page."""
    charts = page.locator("canvas[role=img]")
    expect(charts).to_have_count(number)
    page.wait_for_timeout(300)
    for chart in charts.all():
        assert len(chart.get_attribute("aria-label") or "") > 30
        assert chart.evaluate(INKED) > 3
        box = chart.bounding_box()
        assert box is not None
        assert box["height"] > 100


@pytest.mark.parametrize("path", PAGES)
def test_each_page_is_drawn_and_accessible_in_light_and_dark_and_fits_a_phone(
    page: Page, address: str, path: str
) -> None:
    page.goto(address + path)
    check_drawn(page, PAGES[path])
    for summary in page.locator(SHORT).all():
        summary.click()
    check_accessibility(page)
    light = page.locator("canvas").first.evaluate("it => it.toDataURL()")
    page.emulate_media(color_scheme="dark")
    check_drawn(page, PAGES[path])
    assert page.locator("canvas").first.evaluate("it => it.toDataURL()") != light
    check_accessibility(page, only=["color-contrast"])
    check_no_sideways_scroll(page, 320, 768)


def test_without_javascript_the_tables_tell_it_all(new_page: Callable[..., Page], address: str) -> None:
    page = new_page(java_script_enabled=False)
    for path in PAGES:
        page.goto(address + path)
        expect(page.locator("canvas")).to_have_count(0)
        expect(page.locator(".chart").first).to_be_hidden()
        expect(page.locator(".answer")).to_be_visible()
        assert page.locator("figure table, figure summary").first.is_visible()
    page.goto(f"{address}funnel/")
    page.get_by_label("Counting").select_option("member")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("heading", name="Counted: people")).to_be_visible()


def test_a_filter_swaps_the_report_and_draws_it_anew_by_keyboard(page: Page, address: str) -> None:
    page.goto(f"{address}funnel/")
    check_drawn(page, 1)
    first = page.locator("canvas").get_attribute("aria-label")
    tab_to(page, page.get_by_label("Counting"))
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("heading", name="Counted: people")).to_be_visible()
    check_drawn(page, 1)
    assert page.locator("canvas").get_attribute("aria-label") != first
    assert "unit=member" in page.url
    expect(page.get_by_label("Counting")).to_be_focused()
    assert page.evaluate("Object.keys(Chart.instances).length") == 1


def test_a_size_is_fixed_and_refused_in_place(page: Page, address: str) -> None:
    page.goto(f"{address}lift/")
    page.get_by_text("Fix another size").click()
    page.get_by_label("Worth finding, in points").fill("20")
    page.get_by_role("button", name="Fix it").click()
    expect(page.locator(".notice")).to_contain_text("The size is fixed")
    expect(page.get_by_role("region", name="The size, fixed beforehand")).to_contain_text("find a difference of +20.0")


def test_without_motion_nothing_moves(new_page: Callable[..., Page], address: str) -> None:
    page = new_page(reduced_motion="reduce")
    page.goto(f"{address}trend/")
    check_drawn(page, 1)
    assert page.evaluate("Object.values(Chart.instances)[0].options.animation") is False
