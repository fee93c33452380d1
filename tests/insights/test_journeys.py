"""Journeys: rolled up in any steps, they say what the logs and states say."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import given, settings

from nudge_sdk import NudgeClient
from nudge_sdk.cli import main
from nudge_sdk.errors import SetupError
from nudge_sdk.insights import journeys
from nudge_sdk.insights.activation import activation_of, first_activated
from nudge_sdk.insights.journeys import Refreshed, ensure_fresh, refresh, refreshed_at, steps
from nudge_sdk.insights.refreshing import Refresher
from nudge_sdk.rules.authoring import parse_definition
from nudge_sdk.rules.definition import Definition
from nudge_sdk.rules.identity import Aliases, Move
from nudge_sdk.rules.measuring import signup_of
from nudge_sdk.rules.state import unpack
from nudge_sdk.rules.times import HOUR, MINUTE, to_micros
from nudge_sdk.runtime.intake import Intake
from nudge_sdk.runtime.retaining import retain
from nudge_sdk.store import open_store
from nudge_sdk.store.journey_rows import Journey, journeys_of, read_rollup, stored_moves
from nudge_sdk.store.memory import MemoryStore
from nudge_sdk.store.protocol import Key
from nudge_sdk.store.sql_store import SqlStore
from nudge_sdk.testing import Clock, memory_client
from tests.properties import histories
from tests.properties.histories import Drawn
from tests.properties.running import Installation
from tests.properties.test_fold import MOVING

Client = Callable[[], NudgeClient]


def product(**changes: Any) -> Definition:
    """One thing to do for a PQL, two people doing it for a PQA, and an aha moment."""
    said = {
        "name": "product",
        "milestones": [
            {"key": "sent", "signal": {"event": "sent"}, "points": 5, "is_aha": True},
            {"key": "team", "subject": "account", "points": 5, "at_least": 2, "window": {"ever": True},
             "signal": {"event": "sent", "measure": "values", "property": "$user"}},
        ],
        "segments": [
            {"key": "big", "when": {"account_trait": "size", "equals": "big"}, "member": {"warm": {"score": 5}},
             "account": {"hot": {"score": 5}}},
            {"key": "rest", "name": "Everybody else", "member": {"warm": {"score": 5}},
             "account": {"hot": {"score": 5}}},
        ],
        **changes,
    }  # fmt: skip
    return parse_definition(said)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path, new_postgresql: Callable[[], str]) -> str:
    return f"sqlite:///{tmp_path}/n.db" if request.param == "sqlite" else new_postgresql()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(url: str, clock: Clock) -> Iterator[NudgeClient]:
    with memory_client(product(), clock=clock, store=url) as client:
        yield client


def rolled(client: NudgeClient, now: int | None = None) -> Refreshed:
    done = refresh(client.store, client.intake.refresh().rules, client.now() if now is None else now)
    assert done is not None
    return done


def journey(client: NudgeClient, account: str, user: str = "") -> Journey:
    (found,) = journeys_of(client.store, [(account, user)])
    return found


def every(store: Any) -> dict[Key, Journey]:
    return {each.key: each for each in journeys_of(store, [row.key for row in store.subjects(limit=10_000)])}


def instant(clock: Clock) -> int:
    return to_micros(clock())


def test_a_journey_has_its_instants_value_and_traits(client: NudgeClient, clock: Clock) -> None:
    client.identify("ann", {"created_at": "2026-03-01T00:00:00Z", "role": "admin", "tags": ["x"], "note": "n" * 300})
    client.group("acme", {"size": "big", "source": "partner"}, user="ann")
    did = {}
    for name, user in (("ann", "ann"), ("bob", "bob")):
        clock.move(hours=5)
        did[name] = instant(clock)
        client.track(user, "sent", account="acme")
    clock.move(days=1)
    won = instant(clock)
    client.convert("acme", user="bob", value=19.99)
    rolled(client)
    ann, acme = journey(client, "acme", "ann"), journey(client, "acme")
    signed_up = to_micros("2026-03-01T00:00:00Z")
    assert (ann.signed_up_at, ann.activated_at, ann.qualified_at) == (signed_up, did["ann"], did["ann"])
    assert (ann.hot_at, ann.won_at, ann.value, ann.last_at) == (did["bob"], won, 19_990_000, did["ann"])
    assert (ann.segment, ann.source) == ("big", "partner")
    assert ann.traits == '{"created_at":"2026-03-01T00:00:00Z","role":"admin"}'
    assert (acme.activated_at, acme.qualified_at, acme.hot_at, acme.events) == (did["ann"], did["ann"], did["bob"], 2)
    assert (acme.traits, acme.value) == ('{"size":"big","source":"partner"}', 19_990_000)


def test_only_what_changed_is_written_again(client: NudgeClient, clock: Clock) -> None:
    for user in ("ann", "bob", "cyd"):
        client.track(user, "sent", account="acme")
        client.track(user, "opened", account=f"own-{user}")
    assert rolled(client).changed == 10
    assert rolled(client).changed == 0
    clock.move(hours=1)
    client.track("bob", "opened", account="own-bob")
    done = rolled(client)
    assert (done.changed, done.gone, done.subjects) == (2, 0, 10)


def test_exposures_of_members_reach_the_account(clock: Clock, url: str) -> None:
    content = {"title": "Hi", "cta": {"label": "Up", "url": "/"}}
    shown = {"key": "hello", "placement": "top", "needs_episode": False, "content": content}
    with memory_client(product(nudges=[shown], holdout={"share": 0}), clock=clock, store=url) as client:
        client.track("ann", "opened", account="acme")
        assert client.decide("top", user="ann", account="acme")
        rolled(client)
        assert journey(client, "acme", "ann").offered_at == instant(clock) == journey(client, "acme").offered_at
        assert journey(client, "acme", "ann").withheld_at is None


def test_who_moved_takes_their_journey_along(client: NudgeClient, clock: Clock) -> None:
    client.track("anon", "sent")
    sent = instant(clock)
    rolled(client)
    assert journey(client, "personal:anon", "anon").qualified_at == sent
    clock.move(hours=1)
    client.alias("anon", "ann")
    client.group("acme", user="ann")
    assert rolled(client).gone == 2
    assert journey(client, "acme", "ann").qualified_at == sent
    assert journeys_of(client.store, [("personal:anon", "anon"), ("personal:anon", "")]) == []
    assert isinstance(client.store, SqlStore)
    assert stored_moves(client.store) == {
        ("personal:anon", "anon"): ("acme", "ann"),
        ("personal:ann", "ann"): ("acme", "ann"),
    }


def test_a_goal_of_members_is_won_by_each_alone_and_by_the_account_with_the_first(clock: Clock, url: str) -> None:
    with memory_client(product(goals=[{"key": "paid", "unit": "member"}]), clock=clock, store=url) as client:
        for user in ("ann", "bob", "cyd"):
            client.track(user, "opened", account="acme")
        client.convert("acme", user="bob", value=3)
        first = instant(clock)
        clock.move(days=1)
        client.convert("acme", user="ann", value=5)
        rolled(client)
        won = {user: journey(client, "acme", user).won_at for user in ("ann", "bob", "cyd", "")}
        assert won == {"ann": instant(clock), "bob": first, "cyd": None, "": first}
        assert journey(client, "acme").value == 3_000_000


def test_the_first_conversion_counts_and_a_late_earlier_one_takes_its_place(client: NudgeClient, clock: Clock) -> None:
    client.track("ann", "opened", account="acme")
    client.convert("acme", user="ann", value=10)
    rolled(client)
    assert journey(client, "acme").won_at == instant(clock)
    earlier = clock.move(hours=-3)
    clock.move(hours=5)
    client.convert("acme", user="ann", value=7, at=earlier)
    rolled(client)
    assert (journey(client, "acme").won_at, journey(client, "acme").value) == (to_micros(earlier), 7_000_000)


def test_what_dropped_events_came_to_stays(client: NudgeClient, clock: Clock) -> None:
    client.track("ann", "sent", account="acme")
    client.convert("acme", user="ann", value=10)
    first = instant(clock)
    rolled(client)
    before = journey(client, "acme", "ann")
    clock.move(days=100)
    client.convert("acme", user="ann", value=99)
    client.track("ann", "opened", account="acme")
    assert retain(client.intake, days=30).events == 2
    rolled(client)
    after = journey(client, "acme", "ann")
    assert (after.won_at, after.value, after.activated_at, after.qualified_at) == (first, 10_000_000, first, first)
    assert (after.signed_up_at, after.events) == (before.signed_up_at, 2)


def test_what_was_never_rolled_up_before_events_were_dropped_is_what_is_still_known(
    client: NudgeClient, clock: Clock
) -> None:
    client.track("ann", "sent", account="acme")
    client.convert("acme", user="ann", value=10)
    first = instant(clock)
    clock.move(days=100)
    retain(client.intake, days=30)
    rolled(client)
    assert (journey(client, "acme", "ann").won_at, journey(client, "acme").value) == (first, 10_000_000)


def test_the_command_that_drops_events_rolls_up_what_they_came_to_first(
    client: NudgeClient, clock: Clock, url: str
) -> None:
    client.convert("acme", user="ann", value=10)
    first = instant(clock)
    clock.move(days=20)
    client.convert("acme", user="ann", value=99)
    done = CliRunner().invoke(main, ["retain", "--days", "1", "--yes", "--store", url])
    assert done.exit_code == 0, done.output
    rolled(client)
    assert (journey(client, "acme").won_at, journey(client, "acme").value) == (first, 10_000_000)


def test_another_goal_takes_nothing_over_from_the_one_before(client: NudgeClient, clock: Clock) -> None:
    client.track("ann", "opened", account="acme")
    client.convert("acme", user="ann")
    rolled(client)
    clock.move(days=100)
    retain(client.intake, days=30)
    client.publish(product(goals=[{"key": "expanded"}]))
    rolled(client)
    assert journey(client, "acme").won_at is None


def test_nothing_is_left_of_somebody_forgotten_and_the_next_refresh_brings_nothing_back(
    client: NudgeClient, clock: Clock
) -> None:
    client.track("anon-7", "sent")
    client.alias("anon-7", "ann-7")
    client.group("acme", {"owner": "ann-7", "source": "ann-7"}, user="ann-7")
    client.track("ann-7", "sent", account="acme")
    client.track("bob", "sent", account="acme")
    rolled(client)
    assert "ann-7" in _stored(client)
    client.forget("ann-7")
    assert "ann-7" not in _stored(client)
    assert "anon-7" not in _stored(client)
    rolled(client)
    assert "n-7" not in _stored(client)
    assert journey(client, "acme", "bob").activated_at is not None


def _stored(client: NudgeClient) -> str:
    store = client.store
    assert isinstance(store, SqlStore)
    return repr([store._read_long(f"SELECT * FROM {table}") for table in ("nudge_journeys", "nudge_moved")])


def test_somebody_forgotten_while_a_refresh_runs_is_not_written_by_it(client: NudgeClient, clock: Clock) -> None:
    client.track("ann-7", "sent")
    client.track("ann-7", "sent", account="acme")
    running = steps(client.store, client.intake.refresh().rules, client.now())
    rows_read: list[Any] = []
    subjects = client.store.subjects

    def forget_meanwhile(**asked: Any) -> list[Any]:
        rows_read.append(subjects(**asked))
        if len(rows_read) == 1:
            client.forget("ann-7")
        return list(rows_read[-1])

    client.store.subjects = forget_meanwhile  # type: ignore[method-assign]
    assert list(running)
    assert "ann-7" in repr(rows_read)
    assert "ann-7" not in _stored(client)


def test_a_person_is_given_their_journey(client: NudgeClient, clock: Clock) -> None:
    client.track("ann", "sent", account="acme")
    rolled(client)
    (given,) = client.export("ann")["journeys"]
    assert (given["account"], given["user"], given["qualified_at"]) == ("acme", "ann", "2026-03-02T09:00:00Z")
    assert "mark" not in given


def test_one_process_refreshes_at_a_time_and_who_is_broken_off_lets_the_next_go_on(client: NudgeClient) -> None:
    for number in range(5):
        client.track(f"user-{number}", "sent", account="acme")
    rules = client.intake.refresh().rules
    running = steps(client.store, rules, client.now())
    next(running)
    assert refresh(client.store, rules, client.now()) is None
    running.close()
    assert refreshed_at(client.store) is None
    assert rolled(client).subjects == 6
    assert refreshed_at(client.store) == client.now()


def test_pages_of_any_length_give_the_same(client: NudgeClient, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    for number in range(12):
        client.track(f"user-{number % 5}", "sent", account=f"acme-{number % 3}")
        client.convert(f"acme-{number % 3}", user=f"user-{number % 5}", value=number)
        clock.move(hours=7)
    rolled(client)
    whole = every(client.store)
    assert len(whole) == 15
    for length in (1, 2, 4):
        monkeypatch.setattr(journeys, "PAGE", length)
        with client.store.transaction(wait=5) as transaction:
            transaction.count("DELETE FROM nudge_journeys", ())  # type: ignore[attr-defined]
        assert rolled(client).changed == 15
        assert every(client.store) == whole


def test_somebody_waiting_for_a_page_waits_only_for_few(client: NudgeClient, clock: Clock) -> None:
    client.track("ann", "sent", account="acme")
    client.track("bob", "sent", account="acme")
    rules = client.intake.refresh().rules
    assert ensure_fresh(client.store, rules, client.now(), most=1) is None
    first = ensure_fresh(client.store, rules, client.now(), most=2)
    assert first == client.now()
    clock.move(minutes=9)
    assert ensure_fresh(client.store, rules, client.now()) == first
    clock.move(minutes=2)
    assert ensure_fresh(client.store, rules, client.now()) == client.now()


def test_what_reports_need_of_the_definition_is_written_down(client: NudgeClient) -> None:
    client.track("ann", "sent", account="acme")
    rolled(client)
    assert isinstance(client.store, SqlStore)
    rollup = read_rollup(client.store, "journeys")
    assert rollup is not None
    known = {name: rollup[1][name] for name in ("definition", "goal", "goal_unit", "activation", "scored", "segments")}
    assert known == {
        "definition": 1, "goal": "paid", "goal_unit": "account", "activation": ["sent"], "scored": ["sent"],
        "segments": {"big": "big", "rest": "Everybody else"},
    }  # fmt: skip


def test_a_store_in_memory_has_no_journeys() -> None:
    client = memory_client(product())
    with pytest.raises(SetupError, match="a store in memory"):
        refresh(client.store, client.intake.refresh().rules, 0)
    assert client.export("ann")["journeys"] == []
    assert isinstance(client.store, MemoryStore)


def test_a_refresher_does_a_page_a_step_and_then_rests(client: NudgeClient, clock: Clock) -> None:
    client.track("ann", "sent", account="acme")
    other = Refresher(client.intake)
    other.step()
    assert refreshed_at(client.store) is None
    other.finish()
    assert refreshed_at(client.store) == client.now()
    clock.move(minutes=30)
    other.finish()
    assert refreshed_at(client.store) == client.now() - 30 * MINUTE
    Refresher(client.intake).finish()
    assert refreshed_at(client.store) == client.now()


def test_a_refresher_survives_a_store_that_is_away(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = open_store(f"sqlite:///{tmp_path}/gone/n.db")
    refresher = Refresher(Intake(store, lambda: 0))
    refresher.finish()
    assert [record.nudge_event for record in caplog.records] == ["refresh_failed"]  # type: ignore[attr-defined]


def test_the_command_says_what_it_did(client: NudgeClient, url: str) -> None:
    client.track("ann", "sent", account="acme")
    done = CliRunner().invoke(main, ["refresh", "--store", url])
    assert "2 members and accounts: 2 journeys written, 0 deleted" in done.output
    again = CliRunner().invoke(main, ["refresh", "--store", url, "--json"])
    assert msgspec.json.decode(again.output)["changed"] == 0


def _told(store: Any, definition: Definition) -> dict[Key, tuple[Any, ...]]:
    """Return what journeys must say, read one subject at a time."""
    aliases = Aliases(
        Move((each.account_id, each.user_id), (each.to_account_id, each.to_user_id), each.at, each.id)
        for each in store.aliases()
    )
    sources: dict[Key, set[Key]] = {}
    for source in aliases.moves:
        sources.setdefault(aliases.resolve(source), set()).add(source)
    won: dict[str, int] = {}
    for record in store.records():
        if record.kind == "convert" and record.name == "paid":
            account = aliases.resolve((record.account_id, record.user_id))[0]
            won[account] = min(won.get(account, record.counted_at), record.counted_at)
    found: dict[Key, tuple[Any, ...]] = {}
    activation = activation_of(definition)
    for row in store.subjects(limit=10_000):
        of = {row.key, *sources.get(row.key, ())}
        state = unpack(row.state)
        signup = signup_of(state.plain_traits(), state)
        risen = [line.at for key in of for line in store.transitions(*key) if line.tier != "none"]
        logged = [(line.milestone, line.at) for key in of for line in store.reached(*key)]
        kind = activation.member if row.user_id else activation.account
        hot = [line.at for line in store.transitions(row.account_id, "") if line.tier == "hot"]
        found[row.key] = (
            signup or None,
            first_activated(kind, state, signup, logged),
            min(risen, default=None) if row.user_id else None,
            min(hot, default=None),
            won.get(row.account_id),
            state.last,
            state.events,
        )
    return _with_members(found)


def _with_members(found: dict[Key, tuple[Any, ...]]) -> dict[Key, tuple[Any, ...]]:
    for account in [key[0] for key in found if not key[1]]:
        members = [told for key, told in found.items() if key[0] == account and key[1]]
        own = list(found[account, ""])
        for column in (1, 2):
            own[column] = min((told[column] for told in [own, *members] if told[column] is not None), default=None)
        found[account, ""] = tuple(own)
    return found


def _columns(journey: Journey) -> tuple[Any, ...]:
    names = ("signed_up_at", "activated_at", "qualified_at", "hot_at", "won_at", "last_at", "events")
    return tuple(getattr(journey, name) for name in names)


def _with_aha(definition: Definition) -> Definition:
    milestones = tuple(
        msgspec.structs.replace(each, is_aha=each.signal is not None and each.subject == "member")
        for each in definition.milestones
    )
    return msgspec.structs.replace(definition, milestones=milestones)


@given(histories.drawn(MOVING))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_rolled_up_in_steps_it_is_what_states_and_logs_say(drawn: Drawn) -> None:
    definition = _with_aha(drawn.definition)
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(f"sqlite:///{folder}/n.db")
        assert isinstance(store, SqlStore)
        store.migrate()
        place = Installation(definition, store=store)
        for batch in histories.batches(histories.to_records(drawn.steps), drawn.cuts):
            place.take(batch)
            assert refresh(store, place.intakes[0].refresh().rules, place.now)
        found = every(store)
        store.close()
        assert {key: _columns(each) for key, each in found.items()} == _told(store, definition)


def test_a_worker_refreshes_between_batches(url: str, tmp_path: Path, clock: Clock) -> None:
    with memory_client(product(), clock=clock, store=url) as client:
        client.track("ann", "sent", account="acme")
    done = CliRunner().invoke(main, ["worker", "--once", "--store", url, "--journal", str(tmp_path / "j")])
    assert done.exit_code == 0, done.output
    store = open_store(url)
    assert abs((refreshed_at(store) or 0) - time.time_ns() // 1000) < HOUR
    assert len(every(store)) == 2
    store.close()
