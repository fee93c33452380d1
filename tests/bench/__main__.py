"""Measure how fast nudge-sdk is, beside its peers and the limits of the machine; one line of JSON a figure."""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import logging
import os
import platform
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from tests.bench import (
    cold,
    decide,
    drain,
    history,
    importing,
    imports,
    insights,
    memory,
    postgresql,
    requests,
    track,
    whatif,
)
from tests.bench.harness import FULL, QUICK, Figure, Scale
from tests.bench.table import table
from tests.postgresql import programs

PARTS: dict[str, Callable[[Path, Scale], Iterator[Figure]]] = {
    "decide": decide.measure,
    "cold": cold.measure,
    "track": track.measure,
    "drain": drain.measure,
    "postgresql": postgresql.measure,
    "importing": importing.measure,
    "memory": memory.measure,
    "requests": requests.measure,
    "import": imports.measure,
    "history": history.measure,
    "insights": insights.measure,
    "whatif": whatif.measure,
}
PEERS = ("growthbook", "posthog")
NEED_SERVER = {"cold", "postgresql"}
PAGE = Path(__file__).parents[2] / "docs" / "speed.md"


def main() -> int:
    """Print the figures, and write the table of a whole run; 0 where all keep to their limits."""
    chosen = _arguments()
    names = chosen.only or list(PARTS)
    missing = _missing(names)
    if missing:
        print(missing, file=sys.stderr)
        return 2
    logging.disable(logging.CRITICAL)
    scale = (QUICK if chosen.quick else FULL).with_events(chosen.events)
    lines = [msgspec.json.encode({"machine": _machine(is_quick=chosen.quick)}).decode()]
    print(lines[0], flush=True)
    all_hold = True
    with tempfile.TemporaryDirectory(prefix="nudge-bench-") as folder:
        for name in names:
            for figure in PARTS[name](Path(folder) / name, scale):
                lines.append(figure.line())
                print(lines[-1], flush=True)
                all_hold = all_hold and figure.ok
            shutil.rmtree(Path(folder) / name, ignore_errors=True)
    page = chosen.table or (None if chosen.only or chosen.quick else PAGE)
    if page:
        page.write_text(table(lines))
    return 0 if all_hold else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=PARTS, help="measure only this; may be given again")
    parser.add_argument("--quick", action="store_true", help="fewer repeats and less history; not for judging")
    parser.add_argument(
        "--events",
        type=int,
        default=0,
        metavar="N",
        help="import N events, and drain into N too: 10000000 is asked for",
    )
    parser.add_argument(
        "--table", type=Path, metavar="FILE", help="where the table goes; a whole run writes docs/speed.md"
    )
    return parser.parse_args()


def _missing(names: list[str]) -> str:
    """Return what has to be installed first, or nothing."""
    missing = [name for name in PEERS if importlib.util.find_spec(name) is None]
    if missing:
        return f"{', '.join(missing)} not found: run `pip install -e '.[bench]'`, or `make bench`"
    try:
        return "" if NEED_SERVER.isdisjoint(names) else str(programs())[:0]
    except RuntimeError as error:
        return str(error)


def _machine(*, is_quick: bool) -> dict[str, Any]:
    versions = {"Python": platform.python_version(), "SQLite": sqlite3.sqlite_version}
    try:
        said = subprocess.run([programs() / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
        versions["PostgreSQL"] = said.split()[2]
    except (RuntimeError, OSError):
        pass
    peers = {name: importlib.metadata.version(name) for name in PEERS}
    return {"cores": len(os.sched_getaffinity(0)), "versions": versions | peers, "quick": is_quick}


if __name__ == "__main__":
    sys.exit(main())
