from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.chromium import FLAGS, NoChromiumError, find_chromium
from tests.browser.harness import Troubles, served


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave coverage out, which slows the pages that are served; and give axe-core time on a busy machine.

    Pages are opened last and so closed first: what they still ask for finds its server and its store.
    """
    for item in items:
        if Path(__file__).parent in item.path.parents and isinstance(item, pytest.Function):
            item.add_marker(pytest.mark.no_cover)
            item.add_marker(pytest.mark.timeout(400))
            item.fixturenames.sort(key=("new_page", "page").__contains__)


@pytest.fixture(scope="session")
def chromium_path() -> str:
    try:
        return find_chromium()
    except NoChromiumError as error:
        pytest.fail(str(error), pytrace=False)


# Of the package, not the session: while Playwright runs, no other test of this thread could start an event loop.
@pytest.fixture(scope="package")
def browser(chromium_path: str) -> Iterator[Browser]:
    """One Chromium for all browser tests."""
    expect.set_options(timeout=10_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=list(FLAGS), timeout=60_000)
        yield browser
        browser.close()


@pytest.fixture
def troubles() -> Troubles:
    """What went wrong in the pages of this test; ``take`` what is expected."""
    return Troubles()


@pytest.fixture
def new_page(browser: Browser, troubles: Troubles) -> Iterator[Callable[..., Page]]:
    """Open a page as another person's browser would, without anybody's cookies.

    Takes what Playwright's ``new_context`` takes: viewport, color_scheme, reduced_motion, locale, java_script_enabled.
    """
    with ExitStack() as contexts:

        def open_page(**options: Any) -> Page:
            context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
            contexts.callback(context.close)
            context.set_default_timeout(10_000)
            troubles.watch(context)
            return context.new_page()

        yield open_page
    left = troubles.take()
    assert not left, "the browser reported:\n  " + "\n  ".join(left)


@pytest.fixture
def page(new_page: Callable[..., Page]) -> Page:
    """A fresh browser with one page."""
    return new_page()


@pytest.fixture
def serve() -> Iterator[Callable[[Any], str]]:
    """Serve a WSGI app for the test; gives its address. Called twice with two apps, they are two workers."""
    with ExitStack() as servers:
        yield lambda app: servers.enter_context(served(app))
