"""A small product to test with, and real processes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nudge_sdk import Definition, NudgeClient, Options
from nudge_sdk.rules.authoring import parse_definition
from nudge_sdk.testing import Clock, NudgeTest

ROOT = Path(__file__).resolve().parents[2]
SLACK = 0.25
"""Seconds that a busy machine may add to a bound."""

PRELUDE = """
import json, os, signal, sys, threading, time
from pathlib import Path
from nudge_sdk import NudgeClient, Options
from tests.runtime.examples import open_client, product, nudge, wait_until
def say(what):
    print(json.dumps(what), flush=True)
"""

LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute(sys.argv[2])
print("locked", flush=True)
sys.stdin.readline()
"""


def content(title: str = "Upgrade") -> dict[str, Any]:
    return {"type": "card", "title": title, "cta": {"label": "Go", "url": "/upgrade"}, "dismiss": "Not now"}


def nudge(key: str, **changes: Any) -> dict[str, Any]:
    """A nudge that everybody may get at the page, unless something else is said."""
    plain = {"key": key, "placement": "page", "needs_episode": False, "content": content(key)}
    return {**plain, **changes}


def product(*nudges: dict[str, Any], **changes: Any) -> Definition:
    """Two campaigns make a member warm; an account is warm with one warm sign of its own."""
    milestones = [
        {
            "key": "two_campaigns",
            "signal": {"event": "campaign_sent"},
            "at_least": 2,
            "category": "high",
            "is_aha": True,
            "done": "sent two campaigns",
        },
        {"key": "seats_full", "usage": {"value": "seats_used", "limit": "seats"}, "points": 0},
    ]
    segments = [{"key": "all", "member": {"warm": {"score": 5}}}]
    written = {"milestones": milestones, "segments": segments, "holdout": {"share": 0}, "nudges": list(nudges)}
    return parse_definition({"name": "product", **written, **changes})


HELP = {"type": "help", "title": "Let us help", "chat": {"label": "Ask us", "action": "open_chat"}}

FREE = {"caps": [], "gap_minutes": 0}
"""Settings without overall caps."""


def open_client(database: str | Path, **changes: Any) -> NudgeClient:
    """A client that drains when it is told to, or as ``drain`` says."""
    changes = {"drain": "external", "on_error": "raise", **changes}
    named = {name: changes.pop(name) for name in ("drain", "journal", "definition", "clock") if name in changes}
    return NudgeClient(f"sqlite:///{database}", options=Options(**changes), **named)


def trial(*nudges: dict[str, Any], **changes: Any) -> NudgeTest:
    return NudgeTest(product(*nudges, **changes))


def two_clients(database: Path, *nudges: dict[str, Any], **changes: Any) -> tuple[NudgeClient, NudgeClient, Clock]:
    """Two hosts over one store, with one clock; each trusts its memory for an hour."""
    clock = Clock()
    first, second = (
        open_client(database, journal=database.with_name(name), clock=clock, max_staleness=3600, refresh_seconds=3600)
        for name in ("first", "second")
    )
    first.publish(product(*nudges, **changes))
    return first, second, clock


def start(code: str, *arguments: str | Path) -> subprocess.Popen[str]:
    """Start a Python process."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code, *map(str, arguments)],
        cwd=ROOT,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def run(code: str, *arguments: str | Path) -> list[str]:
    """Run a process to its end, demand that it ended well, and return the lines it printed."""
    process = start(PRELUDE + code, *arguments)
    out, err = process.communicate("go\n", timeout=60)
    assert process.returncode == 0, err
    return out.splitlines()


def line_of(process: subprocess.Popen[str]) -> str:
    """The next line a process prints."""
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    assert line, process.stderr and process.stderr.read()
    return line


@contextmanager
def locked(database: Path, how: str = "BEGIN EXCLUSIVE") -> Iterator[None]:
    """Another process keeps everybody else from writing."""
    process = start(LOCK, database, how)
    try:
        assert line_of(process) == "locked"
        yield
    finally:
        process.communicate("go\n", timeout=10)


def wait_until(holds: Callable[[], Any], seconds: float = 10.0) -> bool:
    """Wait until something holds; whether it did in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if holds():
            return True
        time.sleep(0.01)
    return bool(holds())


class Stopwatch:
    """How long a block took, in seconds."""

    def __enter__(self) -> Stopwatch:
        self.began = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self.began
