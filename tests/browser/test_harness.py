from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask, Response
from playwright.sync_api import Page

from tests.browser.chromium import NoChromiumError, find_chromium
from tests.browser.harness import Troubles, check_accessibility, check_no_sideways_scroll, tab_to


@pytest.fixture
def base_url(serve: Callable[[Flask], str]) -> str:
    app = Flask(__name__)
    strict = {"Content-Security-Policy": "default-src 'self'"}
    page = "<!doctype html><html lang=en><title>Test</title><main><h1>Test</h1>{}</main></html>"
    for path, body, headers in (
        ("/alert", "<script>alert('boo')</script>", {}),
        ("/throws", "<script>throw new Error('thrown')</script>", {}),
        ("/inline", "<button onclick='alert(1)'>Press</button><script>alert(2)</script>", strict),
        ("/elsewhere", "<img alt='' src='http://example.com/pixel.gif'>", {}),
        ("/unlabelled", "<input><img src='data:image/gif;base64,R0lGODlhAQABAAAAACw='>", {}),
        ("/wide", f"<pre>{20 * 'wide '}</pre>", {}),
        ("/plain", "<button>One</button><button>Two</button><button tabindex=-1>Three</button>", strict),
    ):
        app.add_url_rule(path, path, lambda body=body, headers=headers: Response(page.format(body), headers=headers))
    return serve(app)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/alert", "dialog: alert 'boo'"),
        ("/throws", "uncaught: thrown"),
        ("/elsewhere", "console: .*ERR_NAME_NOT_RESOLVED"),
        ("/missing", "console: .*404"),
    ],
)
def test_what_goes_wrong_in_a_page_is_reported(
    page: Page, base_url: str, troubles: Troubles, path: str, says: str
) -> None:
    page.goto(base_url + path)
    page.wait_for_load_state("networkidle")
    assert troubles.take(says)


def test_what_the_policy_refuses_is_reported_and_not_run(page: Page, base_url: str, troubles: Troubles) -> None:
    page.goto(f"{base_url}/inline")
    page.get_by_role("button").click()
    refused = troubles.take("refused by the policy")
    assert any("script-src-elem inline" in text for text in refused)
    assert any("script-src-attr inline" in text for text in refused)
    assert troubles.take("dialog") == []
    troubles.take("Content Security Policy")


def test_a_page_without_faults_passes(page: Page, base_url: str) -> None:
    page.goto(f"{base_url}/plain")
    check_accessibility(page)
    check_no_sideways_scroll(page, 320, 390)
    tab_to(page, page.get_by_role("button", name="Two"))


def test_with_javascript_off_nothing_of_the_page_runs_and_axe_says_that_it_cannot(
    new_page: Callable[..., Page], base_url: str
) -> None:
    page = new_page(java_script_enabled=False)
    page.goto(f"{base_url}/alert")
    check_no_sideways_scroll(page, 320)
    with pytest.raises(AssertionError, match="needs JavaScript"):
        check_accessibility(page)


def test_what_axe_finds_fails_with_its_place(page: Page, base_url: str) -> None:
    page.goto(f"{base_url}/unlabelled")
    with pytest.raises(AssertionError, match=r"critical image-alt: .*\n.*img(.|\n)*critical label"):
        check_accessibility(page)


def test_a_page_wider_than_the_window_fails_and_says_what_is_wide(page: Page, base_url: str) -> None:
    page.goto(f"{base_url}/wide")
    check_no_sideways_scroll(page)
    with pytest.raises(AssertionError, match=r"at 390 px: .*pre"):
        check_no_sideways_scroll(page, 390)


def test_what_the_keyboard_cannot_reach_fails(page: Page, base_url: str) -> None:
    page.goto(f"{base_url}/plain")
    with pytest.raises(AssertionError, match="never had the focus"):
        tab_to(page, page.get_by_role("button", name="Three"), most=10)


def test_without_chromium_the_message_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("NUDGE_CHROMIUM", raising=False)
    with pytest.raises(NoChromiumError, match="apt-get install chromium"):
        find_chromium()
    monkeypatch.setenv("NUDGE_CHROMIUM", "/no/such/program")
    with pytest.raises(NoChromiumError, match="NUDGE_CHROMIUM=/no/such/program is no program"):
        find_chromium()
