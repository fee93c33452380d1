"""A report that takes long, in a browser: it comes by itself, a newer one is offered, also without JavaScript."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from nudge_sdk import NudgeClient
from nudge_sdk.demo.clock import DemoClock
from nudge_sdk.insights import preparing
from nudge_sdk.insights.questions import AskCalibration, AskSignals
from tests.admin.conftest import admin_of
from tests.admin.made_up import made_up_client_in
from tests.browser.harness import check_accessibility, check_no_sideways_scroll, served

COMES = 20_000
"""Milliseconds in which a report comes."""


class Busy:
    """An admin over made-up history that passes for a long one; ``hold`` keeps reports from being made."""

    def __init__(self, client: NudgeClient, address: str) -> None:
        self.client, self.address = client, address

    def hold(self, question: AskSignals | AskCalibration) -> None:
        now = self.client.now()
        assert self.client.store.acquire_lease(f"report {question.name}", "test", now=now, seconds=300)

    def release(self, question: AskSignals | AskCalibration) -> None:
        self.client.store.release_lease(f"report {question.name}", "test")


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Busy]:
    monkeypatch.setattr(preparing, "MANY", 1000)
    folder = Path(tempfile.mkdtemp(prefix="busy-"))
    with made_up_client_in(folder) as client, served(admin_of(client, "editor")) as url:
        yield Busy(client, f"{url}/")
    shutil.rmtree(folder)


def test_a_report_that_is_being_made_comes_by_itself(page: Page, busy: Busy) -> None:
    busy.hold(AskSignals())
    page.goto(f"{busy.address}signals/")
    waiting = page.get_by_role("status").filter(has_text="This report is being made")
    expect(waiting).to_be_visible()
    page.wait_for_timeout(2000)
    expect(waiting).to_have_count(1)
    check_accessibility(page)
    page.emulate_media(color_scheme="dark")
    check_accessibility(page, only=["color-contrast"])
    check_no_sideways_scroll(page, 320, 768)
    busy.release(AskSignals())
    expect(page.locator(".answer")).to_be_visible(timeout=COMES)
    expect(waiting).to_have_count(0)
    expect(page.locator("canvas[role=img]")).to_have_count(1)
    expect(page.get_by_role("columnheader", name="Advice")).to_be_visible(timeout=COMES)


def test_an_old_report_stays_until_one_asks_for_the_newer(page: Page, busy: Busy) -> None:
    assert preparing.prepare(busy.client.store, busy.client.intake.current(), busy.client.now()) == 3  # type: ignore[arg-type]
    clock = busy.client._clock
    assert isinstance(clock, DemoClock)
    clock.move(2)
    page.goto(f"{busy.address}calibration/")
    expect(
        page.get_by_text("This is how it was on 2 Mar 2026, 09:00 UTC. A newer report is being made.")
    ).to_be_visible()
    check_accessibility(page, within=".newer")
    expect(page.get_by_text("A newer report is ready.")).to_be_visible(timeout=COMES)
    expect(page.get_by_text("As of 2 Mar 2026, 09:00 UTC.")).to_be_visible()
    page.get_by_role("link", name="Show it").click()
    expect(page.get_by_text("As of 4 Mar 2026, 09:00 UTC.")).to_be_visible()


def test_without_javascript_the_page_looks_again(new_page: Callable[..., Page], busy: Busy) -> None:
    page = new_page(java_script_enabled=False)
    page.goto(f"{busy.address}calibration/")
    expect(page.get_by_text("This report is being made")).to_be_visible()
    expect(page.locator(".answer")).to_be_visible(timeout=COMES)
