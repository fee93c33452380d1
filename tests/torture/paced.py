"""A process of a host that tracks and decides at an even pace, and writes down how long each call took.

``python -m tests.torture.paced STORE JOURNALS NAME SEED ANSWER``; it goes on until its standard input ends.
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from nudge_sdk import NudgeClient, Options
from tests.torture.product import PLACEMENT, account_of

MEMBERS = 1000
APART = 0.005
"""Seconds from one request to the next; each tracks once and decides once."""


class Calls:
    """How long calls took, and what they raised.

    Attributes:
        took: Name of the call to (when it began on the monotonic clock, seconds).
    """

    def __init__(self) -> None:
        self.took: dict[str, list[tuple[float, float]]] = {}
        self.raised: list[str] = []

    def timed(self, what: str, call: Callable[[], Any]) -> Any:
        """Call, and write down how long it took."""
        began = time.monotonic()
        try:
            return call()
        except Exception as error:
            self.raised.append(f"{what}: {error!r}")
        finally:
            self.took.setdefault(what, []).append((began, time.monotonic() - began))


def main(store: str, journals: str, name: str, seed: str, answer: str) -> None:
    """Go on until the standard input ends."""
    over = threading.Event()
    threading.Thread(target=_wait_for_the_end, args=(over,), daemon=True).start()
    client = NudgeClient(store, journal=journals, options=Options(migrate=False))
    calls, chance, acknowledged, shown = Calls(), random.Random(seed), 0, 0
    for user in range(MEMBERS):
        client.decide(PLACEMENT, user=f"user-{user}", account=account_of(user))
    print("ready", flush=True)
    next_at = time.monotonic()
    while not over.is_set():
        user = chance.randrange(MEMBERS)
        who: Any = {"user": f"user-{user}", "account": account_of(user)}
        if calls.timed("track", partial(client.track, event="step", id=f"{name}-{acknowledged}", **who)):
            acknowledged += 1
        else:
            calls.raised.append("track was refused")
        shown += bool(calls.timed("decide", partial(client.decide, PLACEMENT, **who)))
        next_at = max(next_at + APART, time.monotonic() - 10 * APART)
        over.wait(max(0.0, next_at - time.monotonic()))
    client.close(30)
    found = {"took": calls.took, "raised": calls.raised, "acknowledged": acknowledged, "shown": shown}
    Path(answer).write_text(json.dumps({**found, "failures": dict(client.counters)}))


def _wait_for_the_end(over: threading.Event) -> None:
    sys.stdin.read()
    over.set()


if __name__ == "__main__":
    main(*sys.argv[1:])
