"""What browser tests need beside Playwright: troubles, served apps, accessibility, the keyboard."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from typing import Any

from playwright.sync_api import BrowserContext, ConsoleMessage, Dialog, Locator, Page, WebError
from werkzeug.serving import WSGIRequestHandler, make_server

REPORT_VIOLATIONS = """
addEventListener("securitypolicyviolation", (found) => console.error(
  `refused by the policy: ${found.effectiveDirective} ${found.blockedURI} ${found.sample}`));
"""
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
SEVERE = ("serious", "critical")


class Troubles:
    """What went wrong in the pages of a test: dialogs, uncaught errors, errors in the console, refusals by the policy.

    What is left when the test ends fails it.
    """

    def __init__(self) -> None:
        self._found: list[str] = []

    def watch(self, context: BrowserContext) -> None:
        """Listen to every page of a browser context, those it opens later among them."""
        context.add_init_script(REPORT_VIOLATIONS)
        context.on("dialog", self._dialog)
        context.on("weberror", self._uncaught)
        context.on("console", self._console)

    def take(self, pattern: str = "") -> list[str]:
        """Return the troubles that match a regular expression, and forget them: the test expected them."""
        taken = [text for text in self._found if re.search(pattern, text)]
        self._found = [text for text in self._found if text not in taken]
        return taken

    def _dialog(self, dialog: Dialog) -> None:
        self._found.append(f"dialog: {dialog.type} {dialog.message!r}")
        dialog.dismiss()

    def _uncaught(self, error: WebError) -> None:
        self._found.append(f"uncaught: {error.error}")

    def _console(self, message: ConsoleMessage) -> None:
        # A browser asks for an icon by itself; a host need not have one. On a busy machine the tests' server drops
        # a connection now and then; what a page then lacks, its test misses.
        is_ours = message.location["url"].endswith("/favicon.ico") or "net::ERR_CONNECTION_RESET" in message.text
        if message.type == "error" and not is_ours:
            self._found.append(f"console: {message.text} ({message.location['url']})")


@contextmanager
def served(app: Any) -> Iterator[str]:
    """Serve a WSGI app on this machine for as long as the block runs; gives its address, without a slash at the end."""

    def whole(environ: Any, start_response: Any) -> list[bytes]:
        # Werkzeug leaves a file open whose browser has gone; here every answer is read and closed first.
        answer = app(environ, start_response)
        try:
            return [b"".join(answer)]
        finally:
            getattr(answer, "close", lambda: None)()

    server = make_server("127.0.0.1", 0, whole, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()


def check_accessibility(page: Page, *, within: str = "html", only: Sequence[str] = ()) -> None:
    """Fail if axe-core finds a serious or critical violation in the page as it is now.

    Args:
        page: The page.
        within: CSS selector of the part to look at.
        only: Names of axe rules, such as ``color-contrast``, where all the others were looked at already.
    """
    has_scripting = page.evaluate("matchMedia('(scripting: enabled)').matches")
    assert has_scripting, "axe-core needs JavaScript: look at the same page in a browser that has it"
    if not page.evaluate("'axe' in window"):
        page.evaluate(_axe())
    page.evaluate(_AT_REST)
    found = page.evaluate(
        "([within, rules]) => axe.run(within, {runOnly: rules, resultTypes: ['violations']})",
        [within, list(only or RULES)],
    )
    severe = [violation for violation in found["violations"] if violation["impact"] in SEVERE]
    assert not severe, f"{page.url} is not accessible:\n" + "\n".join(map(_readable, severe))


def check_no_sideways_scroll(page: Page, *widths: int) -> None:
    """Fail if the page is wider than the window, at any of these widths in CSS pixels (as it is, if none is named)."""
    before = page.viewport_size or {"width": 1280, "height": 900}
    for width in widths or (before["width"],):
        page.set_viewport_size({"width": width, "height": before["height"]})
        over = page.evaluate(_WIDEST)
        assert not over, f"{page.url} scrolls sideways at {width} px: {over}"
    page.set_viewport_size(before)


def tab_to(page: Page, target: Locator, *, most: int = 60) -> None:
    """Press Tab until an element has the focus; fail if it never has it, or shows no outline when it has."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if target.evaluate("it => it.getRootNode().activeElement === it"):
            assert target.evaluate(_IS_OUTLINED), f"{target} shows nothing when it has the focus"
            return
    raise AssertionError(f"{most} times Tab, and {target} never had the focus")


class _Quiet(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


@cache
def _axe() -> str:
    return (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


def _readable(violation: dict[str, Any]) -> str:
    places = "".join(f"\n    {node['target']}: {node['failureSummary']}" for node in violation["nodes"][:5])
    return f"  {violation['impact']} {violation['id']}: {violation['help']}{places}"


_AT_REST = """() => Promise.all(document.getAnimations()
  .filter((it) => it.effect.getComputedTiming().endTime < Infinity)
  .map((it) => it.finished.catch(() => {})))"""
_WIDEST = """() => {
  const root = document.documentElement;
  if (root.scrollWidth <= root.clientWidth) return "";
  const found = [...document.querySelectorAll("body *")].filter(
    (it) => it.getBoundingClientRect().left + it.scrollWidth > root.clientWidth + 0.5);
  return found.slice(0, 5).map((it) => `${it.localName}.${it.className}`).join(", ") || "the page";
}"""
_IS_OUTLINED = """(it) => {
  const {outlineStyle, outlineWidth, boxShadow} = getComputedStyle(it);
  return (outlineStyle !== "none" && parseFloat(outlineWidth) > 0) || boxShadow !== "none";
}"""
