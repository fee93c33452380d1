"""Whoever sees somebody cross a threshold, and however many see it: it is concluded once (promise 3)."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nudge_sdk import NudgeClient
from nudge_sdk.store import open_store
from tests.fleet.history import concluded_wrongly, miscounted
from tests.runtime.examples import FREE, PRELUDE, line_of, nudge, product, start

pytestmark = [pytest.mark.no_cover, pytest.mark.slow]

PROCESSES = 6
MEMBERS = 150
PER_ACCOUNT = 10
SOLO, TEAM = PROCESSES, 2 * PER_ACCOUNT
DEFINITION = product(
    nudge("hello"),
    milestones=[
        {"key": "all_saw_it", "signal": {"event": "step"}, "at_least": SOLO, "category": "high"},
        {"key": "team", "subject": "account", "signal": {"event": "step"}, "at_least": TEAM, "category": "high"},
    ],
    segments=[{"key": "all", "member": {"warm": {"score": 5}}, "account": {"hot": {"score": 5}}}],
    settings=FREE,
)

TRACK = f"""
client = NudgeClient(sys.argv[1], journal=sys.argv[2], options=Options(drain_seconds=0.01))
client.decide("elsewhere", user="nobody")
say("ready")
sys.stdin.readline()
for number in range({MEMBERS}):
    user, account = f"user-{{number}}", f"account-{{number // {PER_ACCOUNT}}}"
    assert client.track(user, "step", account=account)
    client.decide("elsewhere", user=user, account=account)
assert client.flush(30)
client.close()
"""


@pytest.mark.timeout(90)
def test_a_threshold_crossed_before_many_processes_at_once_is_concluded_once(
    tmp_path: Path, new_postgresql: Callable[[], str]
) -> None:
    address = new_postgresql()
    with NudgeClient(address, journal=tmp_path / "journals", drain="external") as client:
        client.publish(DEFINITION)
    processes = [start(PRELUDE + TRACK, address, tmp_path / f"host-{number}") for number in range(PROCESSES)]
    for process in processes:
        assert line_of(process) == '"ready"'
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
    store = open_store(address)
    for number in range(MEMBERS):
        key = (f"account-{number // PER_ACCOUNT}", f"user-{number}")
        assert [(each.from_tier, each.tier) for each in store.transitions(*key)] == [("none", "warm")], key
        assert len(store.episodes(*key)) == 1, key
        assert [each.milestone for each in store.reached(*key)] == ["all_saw_it"], key
    for number in range(MEMBERS // PER_ACCOUNT):
        assert [each.tier for each in store.transitions(f"account-{number}", "")] == ["hot"], number
    assert miscounted(store, time.time_ns() // 1000) == []
    assert concluded_wrongly(store) == []
    store.close()
