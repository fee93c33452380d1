"""Wall clocks that jump: days ahead, years back, and to the very same instant again."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest

from nudge_sdk import NudgeClient, Options
from nudge_sdk.options import Drain
from nudge_sdk.rules.times import DAY
from nudge_sdk.runtime import drainer as drainer_module
from nudge_sdk.runtime.journal import Journal
from nudge_sdk.runtime.journal_files import adopt, journals, sweep
from tests.runtime.examples import nudge, product, wait_until

NANOSECONDS = 1_000_000_000
JUMPS = [0, -3 * 86_400, 90, 400 * 86_400, -0.5, -5 * 365 * 86_400, 0, 1e-3]
"""Seconds that the clock is wrong by, one after the other."""


class WallClock:
    """The machine's clock, wrong by so many seconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_wrong_by = 0.0
        right = time.time_ns
        monkeypatch.setattr("time.time_ns", lambda: right() + round(self.is_wrong_by * NANOSECONDS))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> WallClock:
    return WallClock(monkeypatch)


def test_files_begun_at_any_time_are_all_found_and_none_is_written_twice(tmp_path: Path, clock: WallClock) -> None:
    journal = Journal(tmp_path, max_file_bytes=100)
    names: list[str] = []
    for jump in JUMPS:
        clock.is_wrong_by = jump
        for number in range(30):
            names.append(journal.append(b"[%d]" % number)[0])
    journal.close()
    found = journals(tmp_path)
    assert {path.name for path in found} == set(names)
    assert sweep(tmp_path) == 0
    lines = 0
    for path in found:
        adopted = adopt(path)
        assert adopted is not None
        with adopted:
            lines += len(adopted.read().lines)
    assert lines == len(names)


@pytest.mark.parametrize("drain", ["thread", "external"])
def test_nothing_is_lost_or_counted_twice_while_the_clock_jumps(
    tmp_path: Path, clock: WallClock, drain: Drain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drainer_module, "SWEEP_SECONDS", 0.01)
    options = Options(drain_seconds=0.005, store_wait=5, max_journal_bytes=200_000, refresh_seconds=0)
    client = NudgeClient(
        f"sqlite:///{tmp_path}/nudges.db",
        definition=product(nudge("hello")),
        drain=drain,
        options=options,
    )
    ids: list[str] = []
    for round_, jump in enumerate([*JUMPS, *JUMPS]):
        clock.is_wrong_by = jump
        for number in range(20):
            ids.append(f"{round_}-{number}")
            assert client.track("ada", "campaign_sent", account="acme", id=ids[-1])
        client.decide("page", user="ada", account="acme")
        assert client.recorder.journal is not None
        client.recorder.journal.close()
        if drain == "external":
            client.sweep()
    clock.is_wrong_by = 0
    assert client.flush(20)
    assert Counter(record.id for record in client.store.records()) == Counter(ids)
    assert client.counters == {}
    report = client.standing("ada", account="acme")
    assert report is not None
    assert report.score == 5
    client.close()


def test_after_the_clock_went_back_time_alone_still_moves_tiers(tmp_path: Path, clock: WallClock) -> None:
    options = Options(drain_seconds=0.005, store_wait=5)
    with NudgeClient(
        f"sqlite:///{tmp_path}/nudges.db", definition=product(), drain="external", options=options
    ) as client:
        key = ("acme", "ada")
        clock.is_wrong_by = 2 * 86_400
        for _ in range(2):
            client.track("ada", "campaign_sent", account="acme")
        assert client.flush()
        client.sweep()
        clock.is_wrong_by = 0
        assert client.store.read_subjects([key])[key].tier == "warm"
        clock.is_wrong_by = 40 * 86_400
        assert wait_until(lambda: client.sweep() and client.store.read_subjects([key])[key].tier == "none", 5)
        assert client.store.transitions(*key)[-1].at % DAY == 0
