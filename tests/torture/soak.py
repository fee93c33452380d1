"""A soak: what a process takes of the machine stays as it is, however long it goes on."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from nudge_sdk import NudgeClient
from tests.torture.product import DEFINITION

ROOT = Path(__file__).parents[2]
SEED = 13
LONG = 600
"""Seconds from which on a soak is for many members."""
FEW, MANY = (20, 0.004), (100, 0.001)
"""How many members, and seconds from one of their calls to the next."""
MEMORY = 1.04
"""How much of its memory in the second quarter a process may take in the last."""


@dataclass
class Outcome:
    """What a process took.

    Attributes:
        samples: One a moment: memory in MiB, handles, threads, calls so far.
        failures: What failed in it.
    """

    samples: list[dict[str, Any]]
    failures: dict[str, int]

    def quarter(self, what: str, number: int) -> float:
        """Return the median of one quarter, the first being 0."""
        length = len(self.samples) // 4
        return median(float(sample[what]) for sample in self.samples[number * length :][:length])

    def most(self, what: str, number: int) -> float:
        """Return the most of one quarter."""
        length = len(self.samples) // 4
        return max(float(sample[what]) for sample in self.samples[number * length :][:length])

    @property
    def wrong(self) -> list[str]:
        """What grew."""
        grown = self.quarter("memory", 3) / self.quarter("memory", 1)
        found = [f"memory grew to {grown:.1%}"] if grown > MEMORY else []
        for what in ("handles", "threads"):
            before, after = self.most(what, 1), self.most(what, 3)
            if self.quarter(what, 3) > before or after > before + 2:
                found.append(f"{what} grew from {before:g} to {after:g}")
        return found

    def __str__(self) -> str:
        return "\n".join(
            f"  {what}: " + ", ".join(f"{self.quarter(what, number):.1f}" for number in range(4)) + " (medians)"
            for what in ("memory", "handles", "threads", "calls")
        )


class Soak:
    """One process that goes on for so long; several may run side by side."""

    def __init__(self, folder: Path, store: str, seconds: float) -> None:
        folder.mkdir(exist_ok=True)
        journals = folder / "journals"
        with NudgeClient(store, journal=journals, drain="external") as client:
            client.publish(DEFINITION)
        # What is kept of a member grows up to its limits: few of them reach those within the first quarter.
        words = [store, journals, seconds, *(FEW if seconds < LONG else MANY), SEED]
        with (folder / "log").open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.torture.soaked", *map(str, words)],
                cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip
        self._seconds = seconds
        self._log = folder / "log"

    def outcome(self) -> Outcome:
        """Wait for it to end; return what it took."""
        out, _ = self._process.communicate(timeout=self._seconds + 120)
        assert self._process.returncode == 0, self._log.read_text()
        *samples, last = map(json.loads, out.splitlines())
        return Outcome(samples, last["failures"])
