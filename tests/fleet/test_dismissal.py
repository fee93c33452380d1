"""A nudge that was dismissed on one worker, host or browser is never shown by another right after (promise 8)."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import product as combinations
from pathlib import Path

import pytest

from nudge_sdk import NudgeClient
from tests.fleet.servers import Browser, Host, serving
from tests.runtime.examples import FREE, nudge, product

pytestmark = [pytest.mark.no_cover, pytest.mark.slow]

SEED = 5
DISMISSED, CONTROL = 1000, 100
ROUNDS = DISMISSED + CONTROL
DEFINITION = product(nudge("hello", lifetime=1_000_000), settings=FREE)


class Pair:
    """Connections to two workers, and what is done with them in one round."""

    def __init__(self, first: Browser, second: Browser, *, is_second_browser: bool) -> None:
        self.first = first
        self.second = second
        self.is_second_browser = is_second_browser

    def play(self, user: str, *, is_dismissed: bool) -> list[str | None]:
        """Show a person a nudge on one worker, dismiss it there or not, and ask both again; return what they show."""
        self.first.cookies = {}
        self.second.cookies = {} if self.is_second_browser else self.first.cookies
        self.first.post("/sign-in", user=user)
        # Both workers have the person in memory when it is dismissed, and would go by that.
        shown = [self._asked_first(), self._asked_second(user)]
        assert shown == ["hello", "hello"]
        if is_dismissed:
            assert self.first.post("/dismiss", nudge="hello")["dismissed"]
        return [self._asked_second(user), self._asked_first()]

    def _asked_first(self) -> str | None:
        nudge: str | None = self.first.get("/decide")["nudge"]
        return nudge

    def _asked_second(self, user: str) -> str | None:
        named = {"user": user} if self.is_second_browser else {}
        nudge: str | None = self.second.get("/decide", **named)["nudge"]
        assert bool(self.second.cookies) is not self.is_second_browser
        return nudge


@pytest.fixture
def workers(tmp_path: Path, new_postgresql: Callable[[], str]) -> Iterator[list[list[Browser]]]:
    """Two hosts of two workers each: a lasting connection to every worker, host by host."""
    address = new_postgresql()
    with NudgeClient(address, journal=tmp_path / "journals", drain="external") as client:
        client.publish(DEFINITION)
    # Not the usual 50 ms: a busy machine must not make a dismissal go by the journal.
    hosts = [Host(tmp_path / name, address, kind="threads", workers=2, NUDGE_WAIT="5") for name in ("first", "second")]
    with serving(*hosts):
        found = [host.browsers() for host in hosts]
        yield found
        for browser in (browser for host in found for browser in host):
            browser.close()


@pytest.mark.timeout(120)
def test_what_was_dismissed_is_shown_by_no_other_worker_host_or_browser(workers: list[list[Browser]]) -> None:
    (here, neighbour), (elsewhere, _) = workers
    pairs = [
        Pair(*each, is_second_browser=second)
        for each, second in combinations(
            [(here, neighbour), (neighbour, here), (here, elsewhere), (elsewhere, here)], (True, False)
        )
    ]
    chance = random.Random(SEED)
    kept = set(chance.sample(range(ROUNDS), CONTROL))
    for number in range(ROUNDS):
        is_dismissed = number not in kept
        shown = pairs[number % len(pairs)].play(f"user-{number:04}", is_dismissed=is_dismissed)
        assert shown == ([None, None] if is_dismissed else ["hello", "hello"]), f"round {number} of seed {SEED}"
    for browser in (here, neighbour, elsewhere):
        assert browser.get("/counts")["failures"] == {}
