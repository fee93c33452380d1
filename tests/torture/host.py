"""A process of a tortured host: it tracks, decides and dismisses until it is killed.

Whatever it was promised it appends to a file that outlives it, a line each: ``event ID``, ``offered ID USER``,
``dismissed ID USER``; besides ``refused ID`` for what was answered False, ``raised TEXT``, and ``held SECONDS CALL``
for the longest call so far.
"""

from __future__ import annotations

import os
import random
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from nudge_sdk import NudgeClient, Options
from tests.torture.product import PLACEMENT, account_of

MEMBERS = 200
APART = 0.004
LATE = 120_000_000
"""Most microseconds that an event is late."""

RESENT = 50
SHARED_EVERY = 100_000
"""Microseconds from one event to the next that every process sends, with the same message id."""


class Host:
    """What the process does, one call after the other."""

    def __init__(self, client: NudgeClient, acks: str, name: str, seed: int) -> None:
        self.client = client
        self.name = name
        self.random = random.Random(seed)
        self.number = 0
        self.sent: deque[dict[str, Any]] = deque(maxlen=RESENT)
        self.shared = 0
        self._acks = os.open(acks, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._longest = 0.0

    def act(self) -> None:
        """Do one thing."""
        drawn = self.random.random()
        if drawn < 0.7:
            self.track(self._fresh())
        elif drawn < 0.8 and self.sent:
            self.track(self.random.choice(self.sent))
        else:
            self.decide()
        shared = time.time_ns() // 1000 // SHARED_EVERY
        if shared != self.shared:
            self.shared = shared
            self.track(self._event(f"shared-{shared}", shared * SHARED_EVERY, shared % MEMBERS))

    def track(self, event: dict[str, Any]) -> None:
        """Track, perhaps what was tracked before."""
        is_safe = self._call("track", lambda: self.client.track(**event))
        self._say("event" if is_safe else "refused", event["id"])
        self.sent.append(event)

    def decide(self) -> None:
        """Ask what is shown, and now and then close it."""
        user = self.random.randrange(MEMBERS)
        decision = self._call(
            "decide", lambda: self.client.decide(PLACEMENT, user=f"user-{user}", account=account_of(user))
        )
        if decision:
            self._say("offered", decision.id, user)
            if self.random.random() < 0.5:
                is_safe = self._call("record", lambda: self.client.record(decision, "dismissed"))
                self._say("dismissed" if is_safe else "refused", decision.id, user)

    def _fresh(self) -> dict[str, Any]:
        self.number += 1
        late = self.random.randrange(LATE) if self.random.random() < 0.2 else 0
        at = time.time_ns() // 1000 - late
        return self._event(f"{self.name}-{self.number}", at, self.random.randrange(MEMBERS))

    def _event(self, id: str, at: int, user: int) -> dict[str, Any]:
        return {"user": f"user-{user}", "event": "step", "account": account_of(user), "id": id, "at": at}

    def _call(self, what: str, call: Callable[[], Any]) -> Any:
        began = time.monotonic()
        try:
            return call()
        except Exception as error:
            self._say("raised", what, repr(error).replace("\n", " "))
        finally:
            took = time.monotonic() - began
            if took > self._longest:
                self._longest = took
                self._say("held", f"{took:.6f}", what)

    def _say(self, *words: object) -> None:
        os.write(self._acks, (" ".join(map(str, words)) + "\n").encode())


def host(store: str, journals: str, acks: str, name: str, seed: str, drain: Any) -> None:
    """Go on until killed."""
    options = Options(migrate=False, max_staleness=0.5, refresh_seconds=1)
    client = NudgeClient(store, journal=journals, drain=drain, options=options)
    actor = Host(client, acks, name, int(seed))
    while True:
        actor.act()
        time.sleep(APART)
