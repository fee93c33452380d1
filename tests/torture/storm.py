"""Four processes of a host that are killed, with their drainers, their database and their disk; then the count."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from nudge_sdk import NudgeClient
from nudge_sdk.errors import NudgeError
from nudge_sdk.runtime.drainer import Drainer
from nudge_sdk.runtime.journal_files import journals, total_bytes
from nudge_sdk.store import Store
from tests.fleet.history import all_subjects, concluded_wrongly, miscounted, stored_ids
from tests.torture.product import DEFINITION, account_of
from tests.torture.troubles import Database, full, small_disk

ROOT = Path(__file__).parents[2]
PROCESSES = 4
FLUSH = 120.0
PAUSE = (0.05, 0.4)
AWAY = (0.5, 2.0)
FULL = (0.3, 1.0)
BETWEEN = (3.0, 7.0)
"""Seconds between two kills, that the database is away, that the disk is full, and from one of these to the next."""


@dataclass
class Outcome:
    """What the storm left behind; whatever stands in ``wrong`` breaks a promise.

    Attributes:
        kills: Processes killed, by what they were.
        undrained: Kills of a host's process that found bytes not drained yet.
        aways, fulls: How often the database was away and the disk full.
        promised: Answers of True and offers, by what was promised.
        refused: Calls answered False.
        stored: Events in the store.
        held: Seconds that the longest call took, and which it was.
        remark: What could not be done here.
    """

    kills: Counter[str] = field(default_factory=Counter)
    undrained: int = 0
    aways: int = 0
    fulls: int = 0
    promised: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    stored: int = 0
    held: tuple[float, str] = (0.0, "")
    remark: str = ""
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        remark = f"\n  {self.remark}" if self.remark else ""
        promised = ", ".join(f"{count} {what}" for what, count in sorted(self.promised.items()))
        return (
            f"  {self.kills['host']} host processes and {self.kills['worker']} drainers killed, {self.undrained} kills "
            f"found undrained bytes; the database was away {self.aways} times, the disk full {self.fulls} times\n"
            f"  promised: {promised}; {self.refused} refused; {self.stored} events stored; "
            f"the longest call, {self.held[1]}, took {self.held[0] * 1000:.0f} ms{remark}"
        )


class Storm:
    """One database, four processes of hosts, a drainer for each journal folder, and what happens to them.

    Args:
        folder: For everything on disk.
        database: What to torture.
        seed: Draws what happens when, as far as processes that race can be drawn.
    """

    def __init__(self, folder: Path, database: Database, seed: int) -> None:
        self.folder = folder
        self.database = database
        self.random = random.Random(seed)
        self.outcome = Outcome()
        self.disk = folder / "disk"
        self.acks: list[Path] = []
        self.hosts: list[int] = [0] * PROCESSES
        self.workers: list[int] = [0] * database.hosts
        self._is_away = False
        self._troubles: list[tuple[float, ExitStack]] = []
        self._next_trouble = 0.0

    def run(self, seconds: float) -> Outcome:
        """Let it rage for so long, then drain the rest and count."""
        with small_disk(self.disk) as remark:
            self.outcome.remark = remark
            with NudgeClient(self.database.address, journal=self.disk / "first", drain="external") as client:
                client.publish(DEFINITION)
            self.zygote = subprocess.Popen(
                [sys.executable, "-m", "tests.torture.zygote"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT,
            )  # fmt: skip
            try:
                self._rage(seconds)
            finally:
                self._calm()
            self._count()
        return self.outcome

    def _rage(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        self._next_trouble = time.monotonic() + self.random.uniform(*BETWEEN)
        for number in range(PROCESSES):
            self._start_host(number)
        for number in range(self.database.hosts):
            self._start_worker(number)
        while time.monotonic() < until:
            time.sleep(self.random.uniform(*PAUSE))
            self._trouble()
            if self.random.random() < 0.75:
                self._kill_host(self.random.randrange(PROCESSES))
            else:
                self._kill_worker(self.random.randrange(self.database.hosts))

    def _journals(self, host: int) -> Path:
        return self.disk / f"host-{host}"

    def _start_host(self, number: int) -> None:
        host = number % self.database.hosts
        # Half of them drain for themselves as well.
        drain = "thread" if number // self.database.hosts % 2 else "external"
        ack = self.folder / f"ack-{len(self.acks)}"
        ack.touch()
        self.acks.append(ack)
        words = (self.database.address, self._journals(host), ack, f"p{len(self.acks)}", len(self.acks), drain)
        self.hosts[number] = self._spawn("host", *words)

    def _start_worker(self, host: int) -> None:
        self.workers[host] = self._spawn("worker", self.database.address, self._journals(host))

    def _kill_host(self, number: int) -> None:
        self.outcome.undrained += self._has_undrained(number % self.database.hosts)
        self._kill(self.hosts[number], "host")
        self._start_host(number)

    def _kill_worker(self, host: int) -> None:
        self._kill(self.workers[host], "worker")
        self._start_worker(host)

    def _has_undrained(self, host: int) -> bool:
        folder = self._journals(host)
        if self._is_away:
            return total_bytes(folder) > 0
        with NudgeClient(self.database.address, drain="external", journal=folder) as client:
            assert client.drainer is not None
            try:
                return client.drainer.lag() > 0
            except NudgeError:
                return total_bytes(folder) > 0

    def _trouble(self) -> None:
        """Begin or end a trouble, if it is time."""
        now = time.monotonic()
        for end, stack in [each for each in self._troubles if each[0] <= now]:
            self._troubles.remove((end, stack))
            stack.close()
        if now < self._next_trouble or self._troubles:
            return
        self._next_trouble = now + self.random.uniform(*BETWEEN)
        stack, lasts = ExitStack(), AWAY
        if self.random.random() < 0.5 and not self.outcome.remark:
            stack.enter_context(full(self.disk))
            self.outcome.fulls += 1
            lasts = FULL
        else:
            stack.enter_context(self.database.away())
            self._is_away = True
            stack.callback(self._is_back)
            self.outcome.aways += 1
        self._troubles.append((now + self.random.uniform(*lasts), stack))

    def _is_back(self) -> None:
        self._is_away = False

    def _calm(self) -> None:
        for _, stack in self._troubles:
            stack.close()
        for pid in (*self.hosts, *self.workers):
            self._kill(pid, "")
        self.zygote.communicate(timeout=10)

    def _spawn(self, *words: object) -> int:
        assert self.zygote.stdin is not None
        assert self.zygote.stdout is not None
        print(*words, file=self.zygote.stdin, flush=True)
        return int(self.zygote.stdout.readline())

    def _kill(self, pid: int, what: str) -> None:
        if not _is_alive(pid):
            if what:
                self.outcome.wrong.append(f"a {what} had ended by itself")
            return
        os.kill(pid, signal.SIGKILL)
        while _is_alive(pid):
            time.sleep(0.001)
        self.outcome.kills[what] += bool(what)

    def _count(self) -> None:
        for host in range(self.database.hosts):
            with NudgeClient(self.database.address, journal=self._journals(host), drain="external") as client:
                if not client.flush(FLUSH):
                    self.outcome.wrong.append(f"not everything arrives: {client.counters}")
                client.sweep()
                self._still_there(client)
        with NudgeClient(self.database.address, journal=self.disk / "first", drain="external") as client:
            self._compare(client.store, client.now())

    def _still_there(self, client: NudgeClient) -> None:
        assert isinstance(client.drainer, Drainer)
        client.drainer.drain()
        self.outcome.wrong += [f"{path.name} is left" for path in journals(client.drainer.folder)]

    def _compare(self, store: Store, now: int) -> None:
        promised = self._promised()
        stored = stored_ids(store)
        self.outcome.stored = sum(stored.values())
        wrong = self.outcome.wrong
        wrong += [f"{id} is stored {count} times" for id, count in stored.items() if count != 1]
        wrong += [f"{id} is lost" for id in promised.pop("event", set()) if id not in stored]
        exposures = _exposures(store)
        for what, found in promised.items():
            wrong += [f"{words} was {what}, and is stored {exposures[what, words]} times"
                      for words in found if exposures[what, words] != 1]  # fmt: skip
        wrong += [f"a line was set aside: {each.reason}" for each in store.quarantined()]
        wrong += miscounted(store, now) + concluded_wrongly(store)

    def _promised(self) -> dict[str, set[str]]:
        """Read what was promised; what was raised is wrong, what was refused without a full disk as well."""
        promised: dict[str, set[str]] = {}
        for line in (line for ack in self.acks for line in ack.read_text().splitlines()):
            what, _, rest = line.partition(" ")
            if what == "held":
                seconds, _, call = rest.partition(" ")
                self.outcome.held = max(self.outcome.held, (float(seconds), call))
            elif what == "refused":
                self.outcome.refused += 1
            elif what == "raised":
                self.outcome.wrong.append(line)
            else:
                promised.setdefault(what, set()).add(rest)
        self.outcome.promised.update({what: len(found) for what, found in promised.items()})
        if self.outcome.refused and not self.outcome.fulls:
            self.outcome.wrong.append(f"{self.outcome.refused} calls were refused")
        return promised


def _exposures(store: Store) -> Counter[tuple[str, str]]:
    """Count what was done with nudges: (kind, id and number of the user)."""
    found: Counter[tuple[str, str]] = Counter()
    for row in all_subjects(store):
        if row.user_id:
            number = row.user_id.removeprefix("user-")
            assert row.account_id == account_of(int(number))
            found.update((each.kind, f"{each.id} {number}") for each in store.exposures(*row.key))
    return found


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
