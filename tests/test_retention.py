"""Old events are dropped: what they came to stays, nothing counts twice, and what is too old says so."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from nudge_sdk import NudgeClient
from nudge_sdk.cli import main
from nudge_sdk.documents import to_yaml
from nudge_sdk.errors import StoreBusyError
from nudge_sdk.exporting import Dump, dropped_from, recounted_states, stored_states
from nudge_sdk.options import Options
from nudge_sdk.rules.conditions import Signal, Window
from nudge_sdk.rules.definition import Definition, Entry, Milestone, Segment, Thresholds
from nudge_sdk.rules.replay import Start, replay
from nudge_sdk.rules.state import canonical
from nudge_sdk.rules.tallies import CAPACITY
from nudge_sdk.rules.times import DAY, HOUR, to_iso
from nudge_sdk.runtime import retaining
from nudge_sdk.runtime.retaining import retain
from nudge_sdk.store import Store
from nudge_sdk.store.memory import MemoryStore
from tests.postgresql import Server, name_of
from tests.properties import histories
from tests.properties.running import TINY, Installation
from tests.properties.test_fold import MOVING

NOON = 20_500 * DAY + 12 * HOUR
EVER = Window(ever=True)
SENT = Milestone(key="sent", signal=Signal(event="sent"), at_least=3, window=EVER, points=5)
PEOPLE = Milestone(
    key="people", subject="account", signal=Signal(event="sent", measure="values", property="$user"), at_least=2,
    window=EVER, points=5,
)  # fmt: skip
OPENED = Milestone(key="opened", signal=Signal(event="opened"), at_least=2, window=EVER, points=1)
LATELY = Milestone(key="lately", signal=Signal(event="opened"), at_least=1, window=Window(days=10), points=1)
SEGMENT = Segment(
    key="all", member=Thresholds(warm=Entry(score=5)), account=Thresholds(hot=Entry(score=5))
)  # fmt: skip
DEFINITION = Definition(milestones=(SENT, PEOPLE), segments=(SEGMENT,))
WIDER = Definition(milestones=(SENT, PEOPLE, OPENED, LATELY), segments=(SEGMENT,))


class Clock:
    def __init__(self) -> None:
        self.now = NOON - 100 * DAY

    def __call__(self) -> int:
        self.now += 1000
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def _client(store: str | Store, clock: Clock) -> NudgeClient:
    options = Options(on_error="raise", store_wait=5.0)
    return NudgeClient(store, drain="inline", definition=DEFINITION, clock=clock, options=options)


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def client(
    request: pytest.FixtureRequest, tmp_path: Path, clock: Clock, new_postgresql: Callable[[], str]
) -> Iterator[NudgeClient]:
    urls = {"sqlite": lambda: f"sqlite:///{tmp_path}/n.db", "postgresql": new_postgresql}
    with _client(MemoryStore() if request.param == "memory" else urls[request.param](), clock) as client:
        yield client


def live(client: NudgeClient, clock: Clock) -> None:
    """Let three months pass: a visitor signs up, two people work, one leaves, something is bought."""
    client.track("anon", "opened", id="o-0")
    client.alias("anon", "ann")
    client.identify("ann", {"email": "ann@example.org"})
    client.group("acme", {"plan": "pro"}, user="ann")
    client.group("acme", user="eve")
    for day in range(0, 99, 3):
        clock.now = NOON - (100 - day) * DAY
        client.track("ann", "sent", {"n": day}, account="acme", id=f"ann-{day}")
        client.track(("bob", "eve")[day % 2], "opened", account="acme", id=f"o-{day}")
        if day == 30:
            client.convert("acme", user="bob", value=12)
            client.group("acme", user="eve", left=True)
    client.track("bob", "sent", account="acme")
    clock.now = NOON
    client.flush()
    client.sweep()


def told(client: NudgeClient) -> list[tuple[Any, ...]]:
    """Return all states and standings, and what was concluded."""
    logs = (client.store.transitions, client.store.episodes, client.store.reached)
    return [
        (row.key, row.state, row.standing, row.tier, row.score, *(log(*row.key) for log in logs))
        for row in client.store.subjects()
    ]


def digests(client: NudgeClient) -> tuple[str, str]:
    """Return the digest of what is stored, and of what replay makes of base and stored events."""
    rules = client.intake.refresh().rules
    again = recounted_states(client.store.records, rules.plan, dropped_from(client.store))
    return Dump(stored_states(client.store), rules, NOON).sha256(), Dump(again, rules, NOON).sha256()


def text_of(client: NudgeClient, milestone: str, user: str | None = "ann") -> str:
    standing = client.standing(user, account="acme")
    assert standing is not None
    return next(line.text for line in standing.reasons if line.key == milestone)


def test_states_and_standings_are_the_same_before_and_after(client: NudgeClient, clock: Clock) -> None:
    live(client, clock)
    before, kept = told(client), [each for each in client.store.records() if each.counted_at >= NOON - 40 * DAY]
    stored = len(list(client.store.records()))
    result = retain(client.intake, days=40)
    assert result.first_day == 20_460
    assert result.events == stored - len(list(client.store.records())) > 30
    assert {each.counted_at // DAY >= 20_460 for each in client.store.records()} == {True}
    assert len(list(client.store.records())) >= len(kept) > 20
    assert told(client) == before
    one, other = digests(client)
    assert one == other
    assert retain(client.intake, days=40).events == 0
    assert told(client) == before


def test_an_event_that_is_too_old_is_refused_counted_and_said_once(
    client: NudgeClient, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    live(client, clock)
    retain(client.intake, days=40)
    before = told(client)
    with caplog.at_level(logging.WARNING, "nudge_sdk"):
        assert client.track("ann", "sent", {"n": 0}, account="acme", id="ann-0", at=NOON - 100 * DAY)
        assert client.track("ann", "sent", account="acme", at=NOON - 41 * DAY)
        client.flush()
    assert client.intake.refused == 2
    assert [each.nudge_from for each in caplog.records if each.nudge_event == "events_too_old"] == ["2026-01-07"]  # type: ignore[attr-defined]
    assert told(client) == before
    client.track("ann", "sent", account="acme", at=NOON - 40 * DAY)
    client.flush()
    assert client.intake.refused == 2
    assert told(client) != before
    one, other = digests(client)
    assert one == other


def test_a_new_signal_counts_from_the_horizon_and_says_so(client: NudgeClient, clock: Clock) -> None:
    live(client, clock)
    retain(client.intake, days=40)
    client.publish(WIDER, by="kim")
    said = text_of(client, "opened", "bob")
    assert said.startswith("opened: at least 7 ")
    assert " (counted from 7 Jan 2026 on: older events were dropped)" in said
    assert "counted from" not in text_of(client, "lately", "bob")
    assert "counted from" not in text_of(client, "sent")
    assert "33 " in text_of(client, "sent")
    one, other = digests(client)
    assert one == other
    clock.now = NOON + 20 * DAY
    retain(client.intake, days=10)
    assert "7 Jan 2026" in text_of(client, "opened", "bob")
    assert client.store.read_horizons()[""] == 20_510
    one, other = digests(client)
    assert one == other


def test_a_signal_that_comes_back_counts_from_the_horizon(client: NudgeClient, clock: Clock) -> None:
    live(client, clock)
    client.publish(WIDER, by="kim")
    client.publish(DEFINITION, by="kim")
    assert "counted from" not in text_of(client, "sent")
    client.publish(Definition(milestones=(OPENED,), segments=(SEGMENT,)), by="kim")
    client.publish(Definition(milestones=(OPENED, LATELY), segments=(SEGMENT,)), by="kim")
    retain(client.intake, days=40)
    client.publish(WIDER, by="kim")
    one, other = digests(client)
    assert one == other


def test_a_late_sign_up_moves_what_was_dropped(client: NudgeClient, clock: Clock) -> None:
    live(client, clock)
    client.track("visitor", "sent", account="acme", id="v-1", at=NOON - 60 * DAY)
    client.track("loner", "sent", id="l-1", at=NOON - 60 * DAY)
    client.flush()
    retain(client.intake, days=40)
    client.alias("visitor", "bob", account="acme")
    client.group("acme", user="loner")
    client.flush()
    assert text_of(client, "sent", "bob").startswith("sent: 2 of 3")
    assert text_of(client, "sent", "loner").startswith("sent: 1 of 3")
    client.publish(WIDER, by="kim")
    assert text_of(client, "sent", "bob").startswith("sent: 2 of 3")
    one, other = digests(client)
    assert one == other


def test_who_is_forgotten_is_counted_out_of_what_was_dropped(client: NudgeClient, clock: Clock) -> None:
    live(client, clock)
    retain(client.intake, days=40)
    assert "2 " in text_of(client, "people", None)
    assert client.forget("ann").kept >= 1
    assert text_of(client, "people", None).startswith("people: 1 of 2")
    everything = repr([client.store.subjects(), list(client.store.bases()), *map(told, [client])])
    assert "ann" not in everything
    view = client._view(("acme", "bob"), None)
    assert view.account.state.plain_traits() == {"plan": "pro"}
    assert view.person.met_goals == {"paid"}
    one, other = digests(client)
    assert one == other


def test_the_horizon_never_moves_back_and_one_process_at_a_time_drops(client: NudgeClient, clock: Clock) -> None:
    live(client, clock)
    with pytest.raises(ValueError, match="keep 1 day or more"):
        retain(client.intake, days=0)
    assert retain(client.intake, days=40).first_day == 20_460
    assert retain(client.intake, days=90).first_day == 20_460
    client.store.acquire_lease(retaining.LEASE, "other", now=clock.now, seconds=60)
    with pytest.raises(StoreBusyError, match="another process"):
        retain(client.intake, days=10)


class _Killed(BaseException):
    pass


def test_it_can_be_broken_off_anywhere_and_goes_on(
    client: NudgeClient, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    live(client, clock)
    before = told(client)
    monkeypatch.setattr(retaining, "BATCH", 7)

    def kill(events: int) -> None:
        raise _Killed

    for _ in range(3):
        with pytest.raises(_Killed):
            retain(client.intake, days=40, progress=kill)
        assert told(client) == before
        assert len(set(digests(client))) == 1
        client.publish(WIDER if client.intake.catalog.rules.number % 2 else DEFINITION, by="kim")
        assert len(set(digests(client))) == 1
        before = told(client)
    assert retain(client.intake, days=40).events > 0
    assert told(client) == before
    assert len(set(digests(client))) == 1


_RUN = """
import sys
from nudge_sdk.runtime import retaining
from nudge_sdk.runtime.intake import Intake
from nudge_sdk.store import open_store
retaining.BATCH = 2
intake = Intake(open_store(sys.argv[1]), lambda: int(sys.argv[2]))
retaining.retain(intake, days=1, progress=lambda events: print(events, flush=True))
"""


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_killed_process_loses_nothing_and_counts_nothing_twice(
    kind: str, tmp_path: Path, clock: Clock, new_postgresql: Callable[[], str]
) -> None:
    url = f"sqlite:///{tmp_path}/n.db" if kind == "sqlite" else new_postgresql()
    with _client(url, clock) as client:
        live(client, clock)
        before = told(client)
        for lines in (1, 3, 5):
            command = [sys.executable, "-c", _RUN, url, str(NOON)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
                assert process.stdout is not None
                for _ in range(lines):
                    process.stdout.readline()
                os.kill(process.pid, signal.SIGKILL)
            assert told(client) == before
            assert len(set(digests(client))) == 1
            client.store.release_lease(retaining.LEASE, _holder(client.store))
        assert retain(client.intake, days=1).events > 0
        assert told(client) == before
        assert len(set(digests(client))) == 1


def _holder(store: Any) -> str:
    return str(store._read("SELECT holder FROM nudge_leases WHERE name = 'retain'")[0][0])


def test_whole_months_are_given_back_on_postgresql(clock: Clock, new_postgresql: Callable[[], str]) -> None:
    url = new_postgresql()

    def partitions() -> set[str]:
        query = "SELECT relname FROM pg_class WHERE relname LIKE 'nudge_events_2%' AND relkind = 'r'"
        with psycopg.connect(url) as root:
            return {row[0] for row in root.execute(query)}

    with _client(url, clock) as client:
        live(client, clock)
        before = told(client)
        assert partitions() >= {"nudge_events_2025_11", "nudge_events_2025_12", "nudge_events_2026_01"}
        result = retain(client.intake, days=40)
        assert result.partitions == 2
        assert partitions() & {"nudge_events_2025_11", "nudge_events_2025_12"} == set()
        assert "nudge_events_2026_01" in partitions()
        assert told(client) == before
        client.track("ann", "sent", account="acme", at=NOON - 90 * DAY)
        client.track("ann", "sent", account="acme", id="new")
        client.flush()
        assert client.intake.refused == 1
        assert "new" in {each.id for each in client.store.records()}
        assert len(set(digests(client))) == 1


def test_events_go_on_arriving_while_old_ones_are_dropped(clock: Clock, new_postgresql: Callable[[], str]) -> None:
    url = new_postgresql()
    with _client(url, clock) as client:
        live(client, clock)
        command = [sys.executable, "-c", _RUN, url, str(NOON)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            number = 0
            while process.poll() is None:
                client.track("ann", "sent", account="acme")
                client.group("acme", user=f"guest-{number}")
                client.publish(WIDER if number % 2 else DEFINITION, by="kim")
                number += 1
                time.sleep(0.001)
        assert process.returncode == 0
        client.flush()
        assert number > 2
        assert len(set(digests(client))) == 1


def test_no_byte_of_somebody_forgotten_is_left_of_what_was_dropped(
    tmp_path: Path, clock: Clock, new_postgresql: Callable[[], str], postgresql_server: Server
) -> None:
    name, url = "zoe-55aa", new_postgresql()
    with psycopg.connect(url, autocommit=True) as root:
        found = root.execute("SELECT oid FROM pg_database WHERE datname = %s", (name_of(url),)).fetchone()
        assert found
        files = postgresql_server.data / "base" / str(found[0])
        for each, folder in ((url, files), (f"sqlite:///{tmp_path}/n.db", tmp_path)):
            clock.now = NOON - 100 * DAY
            with _client(each, clock) as client:
                client.track("bob", "sent", account="acme")
                client.flush()
                for number in range(4):
                    client.track(name, "sent", account="acme", id=f"{name}-{number}")
                client.group("acme", {"owner": name, "plan": "pro"}, user=name)
                client.flush()
                clock.now = NOON
                client.sweep()
                assert {row.cause for row in client.store.transitions("acme", "")} == {f"{name}-0"}
                assert retain(client.intake, days=10).events >= 6
                client.forget(name)
                root.execute("CHECKPOINT")
                assert [
                    path.name for path in folder.iterdir() if path.is_file() and name.encode() in path.read_bytes()
                ] == []
                view = client._view(("acme", "bob"), None)
                assert view.account.state.plain_traits() == {"plan": "pro"}


def test_the_commands_drop_import_and_replay(tmp_path: Path, clock: Clock) -> None:
    url = f"sqlite:///{tmp_path}/n.db"
    run = CliRunner().invoke
    clock.now = time.time_ns() // 1000 - 100 * DAY
    with _client(url, clock) as client:
        for _ in range(4):
            client.track("ann", "sent", account="acme")
            client.flush()
        clock.now = time.time_ns() // 1000
        client.track("ann", "sent", account="acme")
        client.flush()
        client.sweep()
    assert run(main, ["retain", "--store", url, "--days", "30"], input="n\n").exit_code == 1
    done = run(main, ["retain", "--store", url, "--days", "30", "--yes"])
    assert done.exit_code == 0, done.output
    assert done.output.startswith("4 events dropped; those from ")
    at = ["--store", url, "--at", "2100-01-01T00:00:00Z", "--sha256"]
    assert run(main, ["replay", "--all", *at]).output == run(main, ["export", "--states", *at]).output != ""
    course = json.loads(run(main, ["replay", "--store", url, "--user", "ann", "--account", "acme", "--json"]).output)
    assert (course["standing"]["tier"], course["standing"]["score"]) == ("warm", 5000)
    definition = tmp_path / "wider.yaml"
    definition.write_text(to_yaml(WIDER))
    published = run(main, ["publish", str(definition), "--store", url, "--override", "a test"])
    assert "2 is in force" in published.output
    assert "1 of what it counts is counted from 20" in published.output
    file = tmp_path / "old.csv"
    now = to_iso(time.time_ns() // 1000)
    file.write_text(f"user_id,event,timestamp,account_id\nann,sent,2020-01-01T10:00:00Z,acme\nann,sent,{now},acme\n")
    columns = [
        "--user-col",
        "user_id",
        "--event-col",
        "event",
        "--time-col",
        "timestamp",
        "--account-col",
        "account_id",
    ]
    done = run(main, ["import", str(file), "--store", url, *columns])
    assert "1 accepted: 1 new, 0 already there; 1 set aside" in done.output, done.output
    assert "older events were dropped, and are refused" in done.output


@settings(max_examples=100, deadline=None)
@given(histories.drawn(MOVING), st.integers(1, 30), st.sampled_from([CAPACITY, TINY]))
def test_with_and_without_dropping_everything_is_the_same(drawn: Any, days: int, capacity: Any) -> None:
    whole, short = (Installation(drawn.definition, capacity=capacity) for _ in range(2))
    first_day = 0
    for batch in histories.batches(histories.to_records(drawn.steps), drawn.cuts):
        kept = [each for each in batch if each.counted_at // DAY >= first_day]
        for place in (whole, short):
            place.take(kept)
            place.sweep(place.now)
        first_day = retain(short.intakes[0], days=days).first_day
    for place in (whole, short):
        place.publish(drawn.definition)
        place.sweep(place.now)
    assert short.verdicts() == whole.verdicts()
    for key, log in whole.transitions().items():
        assert short.store.transitions(*key) == log
    for key, episodes in whole.episodes().items():
        assert short.store.episodes(*key) == episodes
    dropped = dropped_from(short.store)
    plan = short.intakes[0].catalog.plan
    again = {key: canonical(state) for key, state in recounted_states(short.store.records, plan, dropped)}
    if capacity == CAPACITY:
        assert {key: again[key] for key in short.rows()} == {key: each.state for key, each in short.verdicts().items()}
        start = Start(dropped.bases, dropped.moves, first_day * DAY)
        courses = replay(short.intakes[0].catalog.timeline, list(short.store.records()), until=short.now, start=start)
        assert {key: canonical(courses[key].state) for key in short.rows()} == {key: again[key] for key in short.rows()}
        tiers = {key: each.tier for key, each in short.verdicts().items()}
        assert {key: courses[key].standing.tier for key in tiers} == tiers
