"""Real processes for the tests of what several of them do to one store."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PRELUDE = """
import os, sys, threading, time
from nudge_sdk.rules.times import to_micros
from nudge_sdk.store import open_store
from tests.store.examples import NOON, MEMBER, WAIT, insert, put, record, subject
store = open_store(sys.argv[1] if "://" in sys.argv[1] else f"sqlite:///{sys.argv[1]}")
"""


def start(code: str, *arguments: str | Path) -> subprocess.Popen[str]:
    """Start a Python process that has ``store`` on the file, or at the address, of the first argument."""
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


def together(processes: list[subprocess.Popen[str]]) -> list[str]:
    """Let processes that print "ready" go on at the same moment; return what they printed."""
    for process in processes:
        wait_for(process, "ready")
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return [finish(process) for process in processes]
