"""Real processes for the tests of what several of them do to one store."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PRELUDE = """
import os, sys, threading, time
from nudge_sdk.store.sqlite import SqliteStore
from tests.store.examples import NOON, MEMBER, WAIT, insert, put, record, subject
store = SqliteStore(sys.argv[1])
"""


def start(code: str, *arguments: str | Path) -> subprocess.Popen[str]:
    """Start a Python process that has ``store`` on the file of the first argument."""
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + code, *map(str, arguments)],
        cwd=ROOT,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def finish(process: subprocess.Popen[str]) -> str:
    """Let it end, demand that it ended well and silently, and return what it printed."""
    out, err = process.communicate("go\n", timeout=60)
    assert (process.returncode, err) == (0, "")
    return out


def wait_for(process: subprocess.Popen[str], line: str) -> None:
    """Wait until it prints that line."""
    assert process.stdout is not None
    read = process.stdout.readline()
    assert read == line + "\n", f"{read!r} {process.stderr and process.stderr.read()}"
