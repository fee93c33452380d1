"""A process of a host that goes on and on, and writes down what it takes of the machine.

``python -m tests.torture.soaked STORE JOURNALS SECONDS MEMBERS APART SEED``; prints one JSON line a sample.
"""

from __future__ import annotations

import gc
import json
import os
import random
import sqlite3
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from nudge_sdk import NudgeClient, Options
from nudge_sdk.rules.tallies import Capacity
from tests.torture.product import PLACEMENT, account_of

A_PROFILE = 5
"""Members for one profile that is kept: profiles come and go."""

CAPACITY = Capacity(days=3, occurrences=4, values=4, members=12, traits=4)
"""Small, so that states are as large as they get within seconds."""

SHOWN = 0.5
"""Share of decisions that may show something."""

SAMPLES = 60
_PAGE = os.sysconf("SC_PAGE_SIZE")
_SQLITE_BYTES = 1024 * 1024
"""What SQLite may take in this process: its cache would else go on filling up to its limit of 64 MiB for minutes."""


def main(store: str, journals: str, seconds: str, members: str, apart: str, seed: str) -> None:
    """Go on for so long, that many seconds apart."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(f"PRAGMA soft_heap_limit={_SQLITE_BYTES}")
    client = NudgeClient(
        store, journal=journals, options=Options(profiles=int(members) // A_PROFILE, max_staleness=1, capacity=CAPACITY)
    )
    chance = random.Random(seed)
    begin, sampled, calls = time.monotonic(), 0, 0
    while sampled < SAMPLES:
        _act(client, chance, int(members))
        calls += 1
        time.sleep(float(apart))
        if time.monotonic() - begin >= (sampled + 1) * float(seconds) / SAMPLES:
            sampled += 1
            print(json.dumps({**_sample(), "calls": calls}), flush=True)
    client.close(10)
    print(json.dumps({"failures": dict(client.counters)}))


def _act(client: NudgeClient, chance: random.Random, members: int) -> None:
    user = chance.randrange(members)
    who: Any = {"user": f"user-{user}", "account": account_of(user)}
    client.track(event="step", properties={"n": user}, **who)
    decision = client.decide(PLACEMENT if chance.random() < SHOWN else "elsewhere", **who)
    if decision and chance.random() < 0.5:
        client.record(decision, "dismissed")
    if chance.random() < 0.02:
        client.identify(**who, traits={"country": chance.choice(("DE", "FR"))})


def _sample() -> dict[str, float]:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "memory": pages * _PAGE / 1024 / 1024,
        "handles": len(os.listdir("/proc/self/fd")),
        "threads": threading.active_count(),
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
