"""Where Chromium is; ``python -m tests.browser.chromium`` prints it, or says how to install it."""

from __future__ import annotations

import os
import shutil
import sys

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
"""The same browser without windows comes first: the others draw for each page the frame of a window nobody sees."""

HOW = "install it (Debian: sudo apt-get install chromium-headless-shell), or name one: NUDGE_CHROMIUM=/path/to/chromium"
FLAGS = (
    # Chromium's own sandbox refuses to run as root, as tests do in a container; what they open is on this machine.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Whatever a page asks of another machine fails, and so fails its test.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)


class NoChromiumError(Exception):
    """There is no Chromium; says how to get one."""


def find_chromium() -> str:
    """Return the path of Chromium: the one that NUDGE_CHROMIUM names, else the first of ``NAMES`` on the PATH.

    Raises:
        NoChromiumError: There is none.
    """
    named = os.environ.get("NUDGE_CHROMIUM")
    if named:
        if found := shutil.which(named):
            return found
        raise NoChromiumError(f"NUDGE_CHROMIUM={named} is no program: {HOW}")
    for name in NAMES:
        if found := shutil.which(name):
            return found
    raise NoChromiumError(f"the browser tests need Chromium, and {', '.join(NAMES)} are not on the PATH: {HOW}")


def main() -> int:
    """Print the path; return 1 where there is none."""
    try:
        print(find_chromium())
    except NoChromiumError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
