"""A process that has everything imported and forks a child per line of its standard input.

Lines: ``track FOLDER DB ACK PROCESS`` tracks as fast as it can; ``drain FOLDER DB SEED`` drains, and kills itself after
a random number of transactions between its last statement and the commit. ``host STORE FOLDER ACKS NAME SEED DRAIN``
is a process of a host, see ``tests.torture.host``; ``worker STORE FOLDER`` is ``nudge worker``.
"""

from __future__ import annotations

import mmap
import os
import random
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from nudge_sdk import NudgeClient, Options
from nudge_sdk.cli import main as cli
from nudge_sdk.runtime.drainer import Drainer
from nudge_sdk.runtime.intake import Intake
from nudge_sdk.runtime.recorder import present
from nudge_sdk.store import open_store
from nudge_sdk.store.protocol import Store, Transaction
from tests.torture.host import host

MEMBERS = 20


def track(folder: str, database: str, ack: str, process: str) -> None:
    """Track for ever; the number of events that were acknowledged stands in the ack file."""
    acknowledged = memoryview(mmap.mmap(os.open(ack, os.O_RDWR), 8)).cast("Q")
    client = NudgeClient(
        f"sqlite:///{database}", journal=folder, drain="external", options=Options(on_error="raise", migrate=False)
    )
    number = 0
    while True:
        user = f"user-{number % MEMBERS}"
        assert client.track(user, "step", {"n": number}, account=f"account-{number % 4}", id=f"{process}-{number}")
        number += 1
        acknowledged[0] = number


class KillingStore:
    """A store whose process dies just before a commit."""

    def __init__(self, store: Store, after: int) -> None:
        self._store = store
        self._left = after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    @contextmanager
    def transaction(self, *, wait: float) -> Iterator[Transaction]:
        with self._store.transaction(wait=wait) as transaction:
            yield transaction
            self._left -= 1
            if self._left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)


def drain(folder: str, database: str, seed: str) -> None:
    """Drain until it dies."""
    after = random.Random(int(seed)).randint(1, 3)
    store: Any = KillingStore(open_store(f"sqlite:///{database}"), after)
    drainer = Drainer(Intake(store, present), Path(folder))
    while True:
        drainer.drain()


def worker(store: str, folder: str) -> None:
    """Drain as ``nudge worker`` does."""
    cli(["worker", "--store", store, "--journal", folder, "--pause", "0.02"], standalone_mode=False)


LOADED_FIRST = ("nudge_sdk.commands.running", "nudge_sdk.rules.authoring", "nudge_sdk.store.postgresql")
"""Modules loaded at first use, which a child that soon dies must not spend its life on."""

WORKS: dict[str, Callable[..., None]] = {"track": track, "drain": drain, "host": host, "worker": worker}


def main() -> None:
    """Fork a child for each line."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for module in LOADED_FIRST:
        import_module(module)
    for line in sys.stdin:
        what, *arguments = line.split()
        pid = os.fork()
        if pid == 0:
            try:
                WORKS[what](*arguments)
            except BaseException as error:
                print(f"{what}: {error!r}", file=sys.stderr, flush=True)
            os._exit(1)
        print(pid, flush=True)


if __name__ == "__main__":
    main()
