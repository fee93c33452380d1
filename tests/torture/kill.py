"""Kills trackers and drainers at random moments, then counts: every acknowledged event exactly once."""

from __future__ import annotations

import os
import random
import signal
import struct
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from nudge_sdk import Definition, NudgeClient
from nudge_sdk.rules.conditions import Signal, Window
from nudge_sdk.rules.definition import Milestone
from nudge_sdk.rules.signals import signal_id
from nudge_sdk.rules.state import unpack
from nudge_sdk.runtime.drainer import Drainer
from nudge_sdk.runtime.intake import Intake
from nudge_sdk.runtime.journal_files import journals
from nudge_sdk.runtime.recorder import present
from nudge_sdk.store import open_store

STEP = Signal(event="step")
DEFINITION = Definition(
    milestones=(
        Milestone(key="steps", category="high", signal=STEP, at_least=5, window=Window(ever=True)),
        Milestone(key="all_steps", subject="account", category="high", signal=STEP, window=Window(ever=True)),
    )
)


@dataclass
class Outcome:
    """What the kills left behind.

    Attributes:
        trackers, drainers: How many were killed.
        undrained: Kills of a tracker that found bytes not drained yet.
        acknowledged: Events that ``track`` answered True for.
        stored: Events in the store.
        lost, doubled: Acknowledged events that are missing, or stored or counted twice.
    """

    trackers: int = 0
    drainers: int = 0
    undrained: int = 0
    acknowledged: int = 0
    stored: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)


class Torture:
    """One folder, one SQLite file, and processes that die."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.database = folder / "nudges.db"
        self.journals = folder / "journals"
        self.random = random.Random(seed)
        self.outcome = Outcome()
        self.acks: list[Path] = []
        with NudgeClient(f"sqlite:///{self.database}", journal=self.journals) as client:
            client.publish(DEFINITION)
        self.zygote = subprocess.Popen(
            [sys.executable, "-m", "tests.torture.zygote"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )

    def run(self, kills: int) -> Outcome:
        """Kill that many processes, two trackers to one drainer, then drain the rest and count."""
        drainer = self._drainer()
        while self.outcome.trackers + self.outcome.drainers < kills:
            tracker = self._tracker()
            time.sleep(self.random.uniform(0.005, 0.08))
            self.outcome.undrained += self._lag() > 0
            self._kill(tracker)
            self.outcome.trackers += 1
            if not _is_alive(drainer):
                self.outcome.drainers += 1
                drainer = self._drainer()
        self._kill(drainer)
        self._count()
        self.zygote.communicate(timeout=10)
        return self.outcome

    def _spawn(self, *words: object) -> int:
        assert self.zygote.stdin is not None
        assert self.zygote.stdout is not None
        print(*words, file=self.zygote.stdin, flush=True)
        return int(self.zygote.stdout.readline())

    def _tracker(self) -> int:
        ack = self.folder / f"ack-{len(self.acks)}"
        ack.write_bytes(bytes(8))
        self.acks.append(ack)
        return self._spawn("track", self.journals, self.database, ack, f"p{len(self.acks) - 1}")

    def _drainer(self) -> int:
        return self._spawn("drain", self.journals, self.database, self.random.randint(0, 2**31))

    def _kill(self, pid: int) -> None:
        if _is_alive(pid):
            os.kill(pid, signal.SIGKILL)
        while _is_alive(pid):
            time.sleep(0.001)

    def _lag(self) -> int:
        store = open_store(f"sqlite:///{self.database}")
        try:
            return Drainer(Intake(store, present), self.journals).lag()
        finally:
            store.close()

    def _count(self) -> None:
        store = open_store(f"sqlite:///{self.database}")
        drainer = Drainer(Intake(store, present), self.journals)
        drainer.drain()
        drainer.drain()
        assert journals(self.journals) == [], "every journal is drained and removed"
        stored = Counter(record.id for record in store.records())
        outcome = self.outcome
        outcome.stored = sum(stored.values())
        outcome.doubled += [key for key, count in stored.items() if count != 1]
        for number, ack in enumerate(self.acks):
            (acknowledged,) = struct.unpack("Q", ack.read_bytes())
            outcome.acknowledged += acknowledged
            outcome.lost += [f"p{number}-{n}" for n in range(acknowledged) if f"p{number}-{n}" not in stored]
        members = accounts = 0
        for row in store.subjects(limit=10_000):
            tally = unpack(row.state).tallies.get(signal_id(STEP))
            total = tally.total if tally else 0
            members, accounts = members + (total if row.user_id else 0), accounts + (0 if row.user_id else total)
        if members != outcome.stored or accounts != outcome.stored:
            outcome.doubled.append(
                f"counted {members} for members and {accounts} for accounts, stored {outcome.stored}"
            )
        drainer.close()
        store.close()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
