"""The database is away while a host's processes go on: nobody is held up, and everything arrives afterwards."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from nudge_sdk import NudgeClient
from tests.fleet.history import stored_ids
from tests.torture.product import DEFINITION

ROOT = Path(__file__).parents[2]
PROCESSES = 2
SEED = 3
WARM_UP, NORMAL, AFTER = 2.0, 6.0, 3.0
"""Seconds before anything is measured, of normal times, and after the database is back."""

LIMIT = 3.0
"""Times of its normal p99 that a call may take while the database is away."""

IMPERCEPTIBLE = 0.001
"""Seconds below which nothing is judged: the clock tick of a busy machine, not a call that waits."""


@dataclass
class Outcome:
    """What came of it.

    Attributes:
        p99: (phase, call) to seconds; phases are normal, away and after.
        longest: The same for the longest call.
        raised: What a call of the host raised, or ``track`` answered False to.
        lost, doubled: Acknowledged events that are missing, or stored more than once.
    """

    p99: dict[tuple[str, str], float] = field(default_factory=dict)
    longest: dict[tuple[str, str], float] = field(default_factory=dict)
    calls: dict[tuple[str, str], int] = field(default_factory=dict)
    raised: list[str] = field(default_factory=list)
    acknowledged: int = 0
    shown: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> list[str]:
        """What breaks a promise."""
        found = [*self.raised, *(f"{id} is lost" for id in self.lost), *(f"{id} is doubled" for id in self.doubled)]
        for call in ("track", "decide"):
            allowed = max(LIMIT * self.p99["normal", call], IMPERCEPTIBLE)
            if self.p99["away", call] > allowed:
                found.append(f"{call} waits for an absent database: p99 over {allowed * 1000:.1f} ms")
            if self.calls["away", call] < 100:
                found.append(f"{call} was hardly called")
        return found if self.shown else [*found, "nothing was ever shown"]

    def __str__(self) -> str:
        lines = [
            f"  {call:6} {phase:6} p99 {self.p99[phase, call] * 1000:7.3f} ms, "
            f"longest {self.longest[phase, call] * 1000:7.1f} ms, {self.calls[phase, call]} calls"
            for phase, call in sorted(self.p99, key=lambda each: (each[1], each[0]))
        ]
        return "\n".join(
            [*lines, f"  {self.acknowledged} acknowledged, {len(self.lost)} lost, {len(self.doubled)} doubled"]
        )


def torture(folder: Path, store: str, away: Callable[[], AbstractContextManager[None]], seconds: float) -> Outcome:
    """Take the database away from processes that work, and look at what came of it.

    Args:
        folder: For journals and answers.
        store: Address of an empty store.
        away: The database is away inside this context.
        seconds: For how long.
    """
    journals = folder / "journals"
    with NudgeClient(store, journal=journals, drain="external") as client:
        client.publish(DEFINITION)
    processes = [_start(folder, store, journals, number) for number in range(PROCESSES)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    time.sleep(WARM_UP)
    marks = [time.monotonic()]
    time.sleep(NORMAL)
    marks.append(time.monotonic())
    with away():
        time.sleep(seconds)
    marks.append(time.monotonic())
    time.sleep(AFTER)
    marks.append(time.monotonic())
    for process in processes:
        process.communicate(timeout=90)
    return _outcome(folder, store, journals, marks)


def _start(folder: Path, store: str, journals: Path, number: int) -> subprocess.Popen[str]:
    words = [store, journals, f"p{number}", SEED + number, folder / f"answer-{number}"]
    command = [sys.executable, "-m", "tests.torture.paced", *map(str, words)]
    with (folder / f"log-{number}").open("w") as log:
        return subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)


def _outcome(folder: Path, store: str, journals: Path, marks: list[float]) -> Outcome:
    outcome = Outcome()
    answers = [json.loads((folder / f"answer-{number}").read_text()) for number in range(PROCESSES)]
    for call in ("track", "decide"):
        timed = [each for answer in answers for each in answer["took"][call]]
        for phase, begin, end in zip(("normal", "away", "after"), marks, marks[1:], strict=False):
            took = sorted(seconds for at, seconds in timed if begin <= at < end)
            outcome.calls[phase, call] = len(took)
            outcome.p99[phase, call] = took[len(took) * 99 // 100]
            outcome.longest[phase, call] = took[-1]
    for number, answer in enumerate(answers):
        outcome.raised += answer["raised"]
        outcome.acknowledged += answer["acknowledged"]
        outcome.shown += answer["shown"]
        outcome.lost += [f"p{number}-{event}" for event in range(answer["acknowledged"])]
    with NudgeClient(store, journal=journals, drain="external") as client:
        assert client.flush(60), "what was tracked does not arrive"
        stored = stored_ids(client.store)
    outcome.lost = [id for id in outcome.lost if id not in stored]
    outcome.doubled = [id for id, count in stored.items() if count != 1]
    return outcome
