"""Reports over ten million events on the DuckDB archive, beside plain SQL for the same questions; and pages on SQLite.

What is asked in plain SQL is what each report asks, by one connection that is opened for it, as ours is; what the
reports add to it, such as intervals, is part of their time.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import duckdb

from nudge_sdk.insights.accuracy import Asked, accuracy
from nudge_sdk.insights.archive_tables import MEMORY
from nudge_sdk.insights.funnel import event_funnel
from nudge_sdk.insights.signals import signals
from nudge_sdk.insights.tables import opened_tables
from nudge_sdk.rules.times import DAY
from tests.bench import pages, plain_sql
from tests.bench.archived import ACTIVATION, PREDICTIVE, QUALIFYING, write_archive
from tests.bench.harness import Figure, Limit, Scale, by_turns, in_words, ratios, timed

STEPS = (ACTIVATION, QUALIFYING, PREDICTIVE)
WITHIN = 14
EVENTS_OF_A_MEMBER = 50
SCORED = frozenset({QUALIFYING, ACTIVATION})
PAGE_EVENTS = 20
"""The pages' store has two of so many of the archive's events, at most a million."""

KIB = 1024
REPORTS = ("funnel", "accuracy", "signals")

# Not getrusage: what that says of a process is no less than what its parent had taken.
_MEMORY = """
import re, sys
from pathlib import Path
from tests.bench.insights import ours
ours(Path(sys.argv[1]), int(sys.argv[2]))[sys.argv[3]]()
print(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""


def measure(folder: Path, scale: Scale) -> Iterator[Figure]:
    """Yield how long each report takes beside plain SQL, how much memory, and how long the pages take."""
    folder.mkdir()
    root = folder / "archive"
    at = write_archive(root, events=scale.archived, members=scale.archived // EVENTS_OF_A_MEMBER)
    counted = f"{scale.archived:,} events of {scale.archived // EVENTS_OF_A_MEMBER:,} members"
    for report in REPORTS:
        yield _beside_plain(report, root, at, scale, counted)
    for report in REPORTS:
        yield _memory(report, root, at, counted)
    yield from pages.measure(folder / "pages", scale, scale.archived // PAGE_EVENTS * 2)


def ours(root: Path, at: int) -> dict[str, Callable[[], object]]:
    """Return what asks for each report."""

    def event_steps() -> object:
        with opened_tables(archive=root) as tables:
            return event_funnel(tables, STEPS, within_days=WITHIN, at=at)

    def judged() -> object:
        with opened_tables(archive=root) as tables:
            return accuracy(tables, Asked(unit="member", at=at, scored=SCORED, has_events=True))

    def predictive() -> object:
        with opened_tables(archive=root) as tables:
            return signals(tables, now=at)

    return {"funnel": event_steps, "accuracy": judged, "signals": predictive}


def plain(root: Path, at: int) -> dict[str, Callable[[], object]]:
    """Return what asks the same in plain SQL."""

    def asked(queries: list[str]) -> Callable[[], object]:
        def run() -> object:
            with duckdb.connect(config={"memory_limit": MEMORY}) as connection:
                connection.execute("SET enable_progress_bar = false")
                return [connection.execute(query).fetchall() for query in queries]

        return run

    return {
        "funnel": asked(plain_sql.funnel(root, STEPS, WITHIN * DAY, at)),
        "accuracy": asked(plain_sql.accuracy(root, SCORED, at)),
        "signals": asked(plain_sql.signals(root, at)),
    }


def _beside_plain(report: str, root: Path, at: int, scale: Scale, counted: str) -> Figure:
    cases = {"ours": ours(root, at)[report], "plain": plain(root, at)[report]}
    for case in cases.values():
        case()
    taken = by_turns({name: timed(case) for name, case in cases.items()}, scale.few)
    told = f"{in_words(taken['ours'])}; plain SQL {in_words(taken['plain'])}"
    details = {name: round(median(seconds), 3) for name, seconds in taken.items()}
    what = f"{report} over {counted}, DuckDB archive"
    unit = "of the time of plain DuckDB SQL for the same question"
    found = ratios(taken["ours"], taken["plain"])
    return Figure(f"{report}_archive", what, found, unit, Limit("at most", 1.5), details, "×", told)


def _memory(report: str, root: Path, at: int, counted: str) -> Figure:
    """Return the most memory that a process of its own takes for a report."""
    command = [sys.executable, "-c", _MEMORY, str(root), str(at), report]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    taken = int(done.stdout) / KIB
    what = f"{report} over {counted}: most memory of the process"
    return Figure(f"{report}_memory", what, [taken], "in all", Limit("at most", 2048), {}, "MiB", f"{taken:,.0f} MiB")
