"""gunicorn with preloading, its workers and its master killed: what was answered counts once (promises 2 and 3)."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from nudge_sdk import NudgeClient
from nudge_sdk.rules.conditions import Signal
from nudge_sdk.rules.signals import signal_id
from nudge_sdk.rules.state import unpack
from nudge_sdk.runtime.journal_files import journals
from nudge_sdk.store import Store
from tests.fleet.history import all_subjects, concluded_wrongly, miscounted, stored_ids
from tests.fleet.servers import UNANSWERED, Browser, Host, serving
from tests.runtime.examples import nudge, product, wait_until

pytestmark = [pytest.mark.no_cover, pytest.mark.slow]

SEED = 11
CLIENTS = 6
USERS = 60
SECONDS = 2.5
STEP = Signal(event="step")
DEFINITION = product(
    nudge("hello"),
    milestones=[{"key": "steps", "signal": {"event": "step"}, "at_least": 5, "category": "high"}],
)


class Load:
    """Clients that track until they are told to stop, and send again what was not answered."""

    def __init__(self, port: int, seed: int) -> None:
        self.answered: set[str] = set()
        self.refused: list[str] = []
        self.unanswered = 0
        self._port = port
        self._random = random.Random(seed)
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(CLIENTS)]
        self.open: dict[int, tuple[str, str, int]] = {}

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _run(self, client: int) -> None:
        number = 0
        with Browser(self._port, seconds=10) as browser:
            while not self._stop.is_set():
                message = (f"user-{self._random.randrange(USERS):02}", f"{client}-{number}", time.time_ns() // 1000)
                self.open[client] = message
                while not self._is_answered(browser, *message):
                    if self._stop.wait(0.02):
                        return
                del self.open[client]
                number += 1

    def _is_answered(self, browser: Browser, user: str, id: str, at: int) -> bool:
        try:
            tracked = browser.post("/track", user=user, id=id, at=at)["tracked"]
        except UNANSWERED:
            self.unanswered += 1
            return False
        if tracked:
            self.answered.add(id)
        else:
            self.refused.append(id)
        return True


@pytest.mark.timeout(90)
@pytest.mark.parametrize(("store", "kind"), [("sqlite", "sync"), ("sqlite", "threads"), ("postgresql", "threads")])
def test_what_a_killed_gunicorn_answered_counts_once_after_it_is_started_again(
    tmp_path: Path, new_store: Callable[[str], str], capsys: pytest.CaptureFixture[str], store: str, kind: str
) -> None:
    address = new_store(store)
    host = Host(tmp_path / "host", address, kind=kind)
    chance = random.Random(SEED)
    with NudgeClient(address, journal=host.journals, drain="external") as client:
        client.publish(DEFINITION)
        with serving(host):
            workers = 0
            with Load(host.port, SEED) as load:
                until = time.monotonic() + SECONDS
                while time.monotonic() < until:
                    time.sleep(chance.uniform(0.2, 0.5))
                    with suppress(IndexError):
                        host.kill_worker(chance.choice(host.pids()))
                        workers += 1
                host.kill()
                lag = client.drainer.lag() if client.drainer else 0
                before = len(load.answered)
                host.start()
                assert wait_until(lambda: len(load.answered) > before + 20, 20), "it serves again"
                host.kill_worker(chance.choice(host.pids()))
                time.sleep(0.3)
        assert client.flush(30)
        client.sweep()
        with capsys.disabled():
            print(
                f"\n{store}, {kind}, seed {SEED}: {len(load.answered)} answered, {load.unanswered} not; {workers + 1} "
                f"workers and the master killed, {lag} bytes were not drained then"
            )
        check(client.store, load)
        assert miscounted(client.store, client.now()) == []
        assert concluded_wrongly(client.store) == []
        assert journals(host.journals) == []


def check(store: Store, load: Load) -> None:
    """Everything answered is stored and counted once; of what was not answered, what arrived."""
    assert load.refused == []
    assert load.unanswered > 0, "no request ever met a killed server"
    stored = stored_ids(store)
    assert load.answered - set(stored) == set()
    assert {id: count for id, count in stored.items() if count != 1} == {}
    assert set(stored) - load.answered <= {id for _, id, _ in load.open.values()}
    totals = [0, 0]
    for row in all_subjects(store):
        tally = unpack(row.state).tallies.get(signal_id(STEP))
        totals[bool(row.user_id)] += tally.total if tally else 0
    assert totals == [len(stored), len(stored)], "counted for accounts and for members"
