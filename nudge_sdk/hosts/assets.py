"""Assets: the style sheet and the script, and the lines that bring them into a page."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable
from functools import cache
from pathlib import Path

from nudge_sdk.errors import SetupError
from nudge_sdk.hosts.rendering import Html, element, join

STYLE_SHEET = "nudge.css"
SCRIPT = "nudge.js"
# The tables of some systems call a script plain text, and browsers refuse to run that.
MEDIA_TYPES = {".js": "text/javascript", ".css": "text/css"}


def head_lines(address: Callable[[str, str], str], nonce: str | None = None) -> Html:
    """Return what belongs into the head of a page.

    Args:
        address: Given the name of a file and its fingerprint, returns where it is served.
        nonce: The nonce of the page's Content-Security-Policy, if it asks for one.
    """
    style, script = (address(name, fingerprint(name)) for name in (STYLE_SHEET, SCRIPT))
    return join(
        element("link", rel="stylesheet", href=style, nonce=nonce),
        element("script", type="module", src=script, nonce=nonce),
    )


@cache
def static_folder() -> Path:
    """Return the folder of the files.

    Raises:
        SetupError: It is not there.
    """
    # In an editable install only the admin's place is known to the import system; static/ lies beside it.
    found = importlib.util.find_spec("nudge_sdk.admin")
    if found is None or found.origin is None:
        raise SetupError("nudge_sdk.admin cannot be found: nudge-sdk is not installed whole")
    return Path(found.origin).parent.parent / "static"


@cache
def fingerprint(name: str) -> str:
    """Return a short hash of a file, so that browsers may keep it for a year."""
    return hashlib.sha256((static_folder() / name).read_bytes()).hexdigest()[:12]
