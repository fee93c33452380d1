"""Time alone changes standings once, whoever sweeps, also when the one that sweeps is killed."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nudge_sdk import NudgeClient
from nudge_sdk.rules.times import DAY, SECOND
from nudge_sdk.runtime.drainer import LEASE_SECONDS, SWEEP
from nudge_sdk.store import Store
from nudge_sdk.store.postgresql import PostgresqlStore
from tests.fleet.history import concluded_wrongly, miscounted
from tests.runtime.examples import ROOT, product, wait_until

pytestmark = [pytest.mark.no_cover, pytest.mark.slow]

WORKERS = 3
MEMBERS = 60
FIRST, APART = 3.0, 0.1
LATE = 5.0
DEFINITION = product(
    milestones=[{"key": "overdue", "when": {"not": {"trait": "seen_at", "within_days": 1}}, "category": "high"}],
    segments=[{"key": "all", "hold_days": 0, "member": {"warm": {"score": 5}}}],
)


@pytest.mark.timeout(90)
def test_whoever_sweeps_is_replaced_when_it_is_killed_and_everything_is_concluded_once(
    tmp_path: Path, new_postgresql: Callable[[], str]
) -> None:
    address = new_postgresql()
    client = NudgeClient(address, journal=tmp_path / "journals", drain="external")
    client.publish(DEFINITION)
    command = [sys.executable, "-m", "nudge_sdk.cli", "worker", "--store", address, "--journal"]
    workers = [
        subprocess.Popen([*command, str(tmp_path / f"host-{number}")], cwd=ROOT, stderr=subprocess.DEVNULL)
        for number in range(WORKERS)
    ]
    try:
        assert wait_until(lambda: sweeper(address), 20), "nobody sweeps"
        begin = time.time_ns() // 1000 + round(FIRST * SECOND)
        turns = {f"user-{number}": begin + round(number * APART * SECOND) for number in range(MEMBERS)}
        for user, turn in turns.items():
            seen = datetime.fromtimestamp((turn - DAY) / SECOND, UTC)
            assert client.identify(user, {"seen_at": seen.isoformat(timespec="microseconds")}, account="acme")
        assert client.flush()
        assert wait_until(lambda: len(concluded(client.store, turns)) > MEMBERS // 4, 20), "nobody is swept"
        first = sweeper(address)
        killed = next(each for each in workers if f"-{each.pid}-" in first)
        killed.kill()
        killed.wait(10)
        before = len(concluded(client.store, turns))
        assert before < MEMBERS
        assert wait_until(lambda: len(concluded(client.store, turns)) == MEMBERS, LEASE_SECONDS + LATE)
        assert sweeper(address) not in ("", first)
    finally:
        for each in workers:
            each.terminate()
            each.wait(15)
    for user, turn in turns.items():
        log = client.store.transitions("acme", user)
        assert [(each.at, each.cause, each.tier) for each in log] == [(turn, "time", "warm")], user
        assert len(client.store.episodes("acme", user)) == 1, user
    assert miscounted(client.store, client.now()) == []
    assert concluded_wrongly(client.store) == []
    assert sweeper(address) == "", "who ends in peace lets another sweep at once"
    client.close()


def sweeper(address: str) -> str:
    """Return who holds the lease on sweeping, or an empty text."""
    import psycopg

    with psycopg.connect(address) as connection:
        row = connection.execute("SELECT holder FROM nudge_leases WHERE name = %s", (SWEEP,)).fetchone()
    return str(row[0]) if row else ""


def concluded(store: Store, users: dict[str, int]) -> list[str]:
    """Return the users of whom time changed something."""
    assert isinstance(store, PostgresqlStore)
    return [row.user_id for row in store.subjects(members=True) if row.tier == "warm" and row.user_id in users]
