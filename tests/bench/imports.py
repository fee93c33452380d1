"""What ``import nudge_sdk`` costs a host that has Flask and SQLAlchemy already, beside ``import posthog``."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from tests.bench.harness import Figure, Limit, Scale, by_turns, ratios, significant

ROOT = Path(__file__).parents[2]
HOST = "import flask, jinja2, sqlalchemy, sqlalchemy.orm"

# A collection of the host's whole heap takes longer than either import, and falls to whichever happens to trigger it.
TIMED = """
import gc, json, sys, threading, time
{host}
gc.collect()
def status(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(name))
before, modules, began = status("VmRSS"), len(sys.modules), time.perf_counter()
import {module}
took = time.perf_counter() - began
print(json.dumps({{
    "ms": took * 1e3, "mb": (status("VmRSS") - before) / 1024, "modules": len(sys.modules) - modules,
    "threads": status("Threads") - 1,
}}))
"""

WATCHED = """
import json, os, sys
{host}
opened = []
def watch(event, arguments):
    if event.startswith(("socket.", "sqlite3.", "subprocess.")):
        opened.append(event)
before = len(os.listdir("/proc/self/fd"))
sys.addaudithook(watch)
import {module}
print(json.dumps({{"connections": opened, "files_left_open": len(os.listdir("/proc/self/fd")) - before}}))
"""


def measure(folder: Path, scale: Scale) -> Iterator[Figure]:
    """Yield what is measured of the import."""
    watched = _run(WATCHED, "nudge_sdk")
    seen: dict[str, list[dict[str, float]]] = {"nudge_sdk": [], "posthog": []}

    def start(module: str) -> float:
        seen[module].append(_run(TIMED, module))
        return seen[module][-1]["ms"]

    for module in seen:
        start(module)
        seen[module].clear()
    by_turns({module: partial(start, module) for module in seen}, scale.starts)
    is_quiet = not any(watched.values()) and not any(each["threads"] for each in seen["nudge_sdk"])
    details: dict[str, Any] = {
        module: {name: significant(median(each[name] for each in runs)) for name in runs[0]}
        for module, runs in seen.items()
    }
    details["nudge_sdk"] |= watched
    took = {module: [each["ms"] for each in runs] for module, runs in seen.items()}
    yield Figure(
        "import",
        "`import nudge_sdk` beside Flask and SQLAlchemy",
        ratios(took["nudge_sdk"], took["posthog"]),
        "of the time of `import posthog`",
        Limit("at most", 1 / 8),
        details,
        "1/n",
        f"{median(took['nudge_sdk']):.3g} ms beside {median(took['posthog']):.3g} ms",
        holds=is_quiet,
    )
    for unit, what, bound in (("ms", "time", 40), ("MB", "memory", 6)):
        values = [each[unit.lower()] for each in seen["nudge_sdk"]]
        yield Figure(
            f"import_{unit.lower()}",
            f"`import nudge_sdk`: {what}",
            values,
            "",
            Limit("at most", bound),
            {},
            unit,
            holds=is_quiet,
        )


def _run(code: str, module: str) -> dict[str, Any]:
    """Run in a fresh interpreter that may keep its bytecode, as an installed package does."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", code.format(host=HOST, module=module)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    found: dict[str, Any] = msgspec.json.decode(done.stdout)
    return found
