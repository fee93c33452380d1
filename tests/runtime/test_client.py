"""The host is never hurt: what happens when the store, the disk, the clock or the caller is broken."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from freezegun import freeze_time

from nudge_sdk import DefinitionError, NudgeClient, NudgeError, Options, RecordError, SetupError
from nudge_sdk.errors import JournalError, StoreError
from nudge_sdk.store import open_store
from nudge_sdk.testing import Clock
from tests.runtime.examples import HELP, SLACK, Stopwatch, locked, nudge, open_client, product, run, wait_until

WAIT = Options().store_wait


class BrokenStore:
    """A store that raises what no store should."""

    def __getattr__(self, name: str) -> Any:
        if name in ("close", "after_fork"):
            return lambda: None
        if name == "transaction":
            return self._transaction
        if name.startswith("__"):
            raise AttributeError(name)
        return self._refuse

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("the store is on fire")

    @contextmanager
    def _transaction(self, *, wait: float) -> Any:
        raise RuntimeError("the store is on fire")
        yield


def _call_everything(client: NudgeClient) -> dict[str, Any]:
    return {
        "track": client.track("ada", "campaign_sent"),
        "track_many": client.track_many([{"user": "ada", "event": "campaign_sent"}]),
        "identify": client.identify("ada", {"plan": "free"}),
        "group": client.group("acme", {"size": 3}, user="ada"),
        "alias": client.alias("visitor", "ada"),
        "convert": client.convert("acme"),
        "churn": client.churn("acme"),
        "record": client.record("upgrade", "dismissed", user="ada"),
        "decide": client.decide("page", user="ada"),
        "standing": client.standing("ada"),
        "explain": client.explain("page", user="ada"),
        "flush": client.flush(0.2),
        "sweep": client.sweep(),
    }


def _said(caplog: pytest.LogCaptureFixture, what: str) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.WARNING and record.getMessage().startswith(what)
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        {"store": "mysql://host/db"},
        {"store": "nudges.db"},
        {"store": "sqlite://"},
        {"store": None},
        {"store": 42, "drain": "inline"},
        {"store": "memory://", "drain": "sometimes"},
        {"store": "memory://", "drain": "thread"},
        {"store": "memory://", "clock": "noon"},
        {"store": "memory://", "definition": "no/such/file.yaml"},
    ],
    ids=str,
)
def test_a_mistake_in_the_set_up_raises_at_once(arguments: dict[str, Any]) -> None:
    with pytest.raises(SetupError):
        NudgeClient(**arguments)


@pytest.mark.parametrize(
    "wrong",
    [
        {"on_error": "shout"},
        {"max_staleness": -1},
        {"store_wait": float("nan")},
        {"refresh_seconds": -0.1},
        {"drain_seconds": 0},
        {"profiles": 0},
        {"max_journal_bytes": 0},
        {"store_wait": "fast"},
    ],
    ids=str,
)
def test_options_that_make_no_sense_raise_at_once(wrong: dict[str, Any]) -> None:
    with pytest.raises(SetupError) as caught:
        Options(**wrong)
    assert next(iter(wrong)) in str(caught.value)


def test_a_small_limit_for_journals_is_taken(tmp_path: Path) -> None:
    with open_client(tmp_path / "nudges.db", max_journal_bytes=100_000) as client:
        assert client.track("ada", "campaign_sent")


def test_a_definition_with_problems_raises_when_the_client_is_made(tmp_path: Path) -> None:
    path = tmp_path / "definition.yaml"
    path.write_text("milestones: [{key: 1}]\n")
    with pytest.raises(DefinitionError):
        open_client(tmp_path / "nudges.db", definition=path)


def test_nothing_is_opened_started_or_connected_before_the_first_call(tmp_path: Path) -> None:
    code = """
happened = []
def watch(event, arguments):
    if event.startswith(("socket.", "sqlite3.", "_thread.", "os.fork", "subprocess.")):
        happened.append(event)
    if event == "open" and str(arguments[0]).startswith(sys.argv[1]):
        happened.append(event)
sys.addaudithook(watch)
client = NudgeClient(f"sqlite:///{sys.argv[1]}/nudges.db")
say([happened, threading.active_count(), os.listdir(sys.argv[1])])
client.track("ada", "campaign_sent")
say([sorted(set(happened)) != [], threading.active_count(), len(os.listdir(sys.argv[1])) > 0])
client.close()
"""
    assert run(code, tmp_path) == ["[[], 1, []]", "[true, 2, true]"]


def test_importing_starts_no_thread_and_opens_no_connection() -> None:
    code = """
import sys, threading
seen = []
watched = ("socket.", "sqlite3.connect", "_thread.start")
sys.addaudithook(lambda event, _: event.startswith(watched) and seen.append(event))
import nudge_sdk
print(seen, threading.active_count(), "sqlite3" in sys.modules, "sqlalchemy" in sys.modules)
"""
    from tests.runtime.examples import start

    out, err = start(code).communicate(timeout=30)
    assert (out.strip(), err) == ("[] 1 False False", "")


def test_tracking_is_safe_while_there_is_no_store_and_arrives_when_there_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database = tmp_path / "not_mounted" / "nudges.db"
    client = NudgeClient(f"sqlite:///{database}", journal=tmp_path / "journals", drain="external")
    for _ in range(3):
        assert client.track("ada", "campaign_sent") is True
        with Stopwatch() as took:
            decision = client.decide("page", user="ada")
        assert took.seconds < WAIT + SLACK
        assert not decision
        assert decision.problem
    assert client.flush(0.2) is False
    assert client.counters["decide: StoreError"] == 3
    assert len(_said(caplog, "decide")) == 1
    database.parent.mkdir()
    assert client.flush() is True
    assert len(list(client.store.records())) == 3
    assert client.decide("page", user="ada").problem == ""
    client.close()


def test_a_store_that_another_process_locked_costs_a_request_no_more_than_its_bound(tmp_path: Path) -> None:
    database = tmp_path / "nudges.db"
    client = NudgeClient(f"sqlite:///{database}", drain="external")
    client.publish(product(nudge("hello")))
    with locked(database):
        with Stopwatch() as took:
            decision = client.decide("page", user="ada")
        assert took.seconds < WAIT + SLACK
        assert decision.nudge is None
        assert decision.reasons == {"hello": "UNCONFIRMED"}
        assert client.decide("elsewhere", user="ada").problem == ""
        with Stopwatch() as took:
            assert client.track("ada", "campaign_sent") is True
            assert client.convert(user="ada") is True
        assert took.seconds < WAIT + SLACK
    assert client.decide("page", user="ada").nudge is not None
    assert client.flush()
    assert {record.kind for record in client.store.records()} == {"track", "convert"}
    client.close()


def test_what_was_not_confirmed_is_counted_and_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    database = tmp_path / "nudges.db"
    client = NudgeClient(f"sqlite:///{database}", drain="external")
    client.publish(product(nudge("hello")))
    with locked(database):
        for _ in range(3):
            client.decide("page", user="ada")
    assert client.counters["confirm: StoreBusyError"] == 3
    assert len(_said(caplog, "confirm")) == 1
    client.close()


@pytest.mark.parametrize("how", ["BEGIN EXCLUSIVE", "BEGIN IMMEDIATE"])
def test_a_store_that_is_locked_before_it_has_tables_holds_no_request_up(tmp_path: Path, how: str) -> None:
    database = tmp_path / "nudges.db"
    client = NudgeClient(f"sqlite:///{database}", drain="external", definition=product(nudge("hello")))
    with locked(database, how):
        with Stopwatch() as took:
            assert client.track("ada", "campaign_sent") is True
        assert took.seconds < SLACK
        with Stopwatch() as took:
            assert client.decide("page", user="ada").problem
        # SQLite lets nobody read in this one state; the store's own bound for that is a quarter of a second.
        assert took.seconds < WAIT + 0.25 + SLACK
    assert client.decide("page", user="ada").nudge is not None
    client.close()


def test_threads_do_not_use_the_store_before_it_is_prepared(tmp_path: Path) -> None:
    client = open_client(tmp_path / "nudges.db", definition=product(nudge("hello")), store_wait=5)
    problems: list[BaseException] = []
    barrier = threading.Barrier(8)

    def decide(user: str) -> None:
        barrier.wait()
        try:
            assert client.decide("page", user=user).nudge is not None
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=decide, args=(f"user-{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    client.close()


def test_a_journal_that_cannot_be_written_says_false_counts_and_logs_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "taken").write_text("a file where the folder should be")
    client = NudgeClient(f"sqlite:///{tmp_path}/nudges.db", journal=tmp_path / "taken", drain="external")
    assert [client.track("ada", "campaign_sent") for _ in range(5)] == [False] * 5
    assert client.counters["track: JournalError"] == 5
    assert len(_said(caplog, "track")) == 1
    assert client.decide("page", user="ada").problem == ""
    client.close()
    strict = open_client(tmp_path / "nudges.db", journal=tmp_path / "taken")
    with pytest.raises(JournalError):
        strict.track("ada", "campaign_sent")
    strict.close()


def _raising_clock() -> int:
    raise ZeroDivisionError("no time")


@pytest.mark.parametrize("drain", ["inline", "external", "thread"])
@pytest.mark.parametrize("clock", [_raising_clock, lambda: None, lambda: "noon"], ids=["raises", "None", "noon"])
def test_a_broken_clock_hurts_nobody(tmp_path: Path, clock: Any, drain: Any) -> None:
    client = NudgeClient(f"sqlite:///{tmp_path}/nudges.db", clock=clock, drain=drain)
    answers = _call_everything(client)
    assert answers["track"] is False
    assert answers["decide"].nudge is None
    assert answers["standing"] is None
    assert client.counters.total() > 5
    client.close()


@pytest.mark.parametrize("drain", ["inline", "external", "thread"])
def test_a_store_that_raises_anything_hurts_nobody(tmp_path: Path, drain: Any) -> None:
    store: Any = BrokenStore()
    client = NudgeClient(store, journal=tmp_path / "journals", drain=drain)
    answers = _call_everything(client)
    is_safe = drain != "inline"
    assert answers["track"] is is_safe
    assert answers["convert"] is is_safe
    assert answers["record"] is is_safe
    assert answers["alias"] is is_safe
    assert answers["decide"].nudge is None
    assert answers["flush"] is (drain == "inline")
    assert answers["sweep"] == 0
    client.close()


def test_with_on_error_raise_everything_raises(tmp_path: Path) -> None:
    store: Any = BrokenStore()
    client = NudgeClient(store, journal=tmp_path, drain="external", options=Options(on_error="raise"))
    with pytest.raises(RuntimeError):
        client.decide("page", user="ada")
    with pytest.raises(RecordError):
        client.track("", "campaign_sent")
    with pytest.raises(RuntimeError):
        client.standing("ada")
    with pytest.raises(RuntimeError):
        client.sweep()


@pytest.mark.parametrize(
    "arguments",
    [
        {"user": None, "event": "x"},
        {"user": "ada", "event": None},
        {"user": 3, "event": "x"},
        {"user": "ada", "event": "x", "account": ""},
        {"user": "ada", "event": "x", "at": "yesterday"},
        {"user": "ada", "event": "x", "at": 2**63},
        {"user": "ada", "event": "x", "at": -(2**63) - 1},
        {"user": "ada", "event": "x", "at": 2**62},
        {"user": "ada", "event": "x", "properties": [1]},
        {"user": "ada", "event": "x", "properties": 5},
        {"user": "ada", "event": "x", "unheard_of": 5},
    ],
    ids=str,
)
def test_nonsense_is_refused_with_false_and_nothing_is_written(tmp_path: Path, arguments: dict[str, Any]) -> None:
    client = NudgeClient(f"sqlite:///{tmp_path}/nudges.db", drain="external")
    (answer,) = client.track_many([arguments])
    assert answer is False
    assert client.counters.total() == 1
    assert client.track("ada", "fine")
    assert client.flush()
    assert [record.name for record in client.store.records()] == ["fine"]
    assert client.store.quarantined() == []
    client.close()


def test_nonsense_asked_of_decide_is_answered_neutrally(tmp_path: Path) -> None:
    client = NudgeClient(f"sqlite:///{tmp_path}/nudges.db", drain="external", definition=product(nudge("hello")))
    odd: Any = object()
    assert client.decide("page", user="ada", context={"page": odd}).nudge is not None
    for asked in ({"user": odd}, {"user": ""}, {"user": "a", "context": 5}, {"user": "a", "request": 5}):
        decision = client.decide("page", **asked)
        assert decision.nudge is None
        assert decision.problem
    assert client.explain("page", user="ada", colour="red") is None
    assert client.record("hello", "liked", user="ada") is False  # type: ignore[arg-type]
    assert client.record("hello", "snoozed", user="ada") is False
    assert client.record("hello", "snoozed", user="ada", until=2**70) is False
    client.close()


def test_flush_of_a_client_without_a_thread_lets_the_worker_drain_again(tmp_path: Path) -> None:
    database = tmp_path / "nudges.db"
    web, worker = open_client(database), open_client(database)
    web.track("ada", "campaign_sent")
    assert web.flush()
    web.track("ada", "campaign_sent")
    assert worker.drainer is not None
    assert worker.drainer.drain() == 1
    web.track("ada", "campaign_sent")
    assert web.flush(0.2) is False
    worker.close()
    assert web.flush() is True
    web.sweep()
    assert open_client(database).drainer.drain() == 0  # type: ignore[union-attr]
    web.close()


def test_flush_counts_what_was_written_to_files_that_are_full(tmp_path: Path) -> None:
    database = tmp_path / "nudges.db"
    client = open_client(database)
    assert client.recorder.journal is not None
    client.track("ada", "campaign_sent", {"text": "x" * 1000})
    client.recorder.journal.close()
    with locked(database):
        assert client.flush(0.2) is False
    assert client.flush() is True
    assert len(list(client.store.records())) == 1
    client.close()


def test_flush_and_close_keep_their_deadline_while_the_store_is_locked(tmp_path: Path) -> None:
    database = tmp_path / "nudges.db"
    client = NudgeClient(f"sqlite:///{database}", definition=product())
    client.track("ada", "campaign_sent")
    assert client.flush()
    with locked(database):
        client.track("ada", "campaign_sent")
        time.sleep(0.3)
        with Stopwatch() as took:
            assert client.flush(0.3) is False
        assert took.seconds < 0.3 + SLACK
        with Stopwatch() as took:
            client.close(0.5)
        assert took.seconds < 0.5 + SLACK
    with open_client(database) as other:
        assert other.flush()
        assert len(list(other.store.records())) == 2


def test_close_drains_what_was_tracked(tmp_path: Path) -> None:
    database = tmp_path / "nudges.db"
    with NudgeClient(f"sqlite:///{database}", options=Options(drain_seconds=60)) as client:
        for _ in range(500):
            client.track("ada", "campaign_sent")
    assert len(list(open_store(f"sqlite:///{database}").records())) == 500
    assert list((tmp_path / "nudges.db-journals").glob("*.journal")) == []


def test_a_closed_client_may_be_used_again(tmp_path: Path) -> None:
    client = open_client(tmp_path / "nudges.db", drain="thread")
    client.track("ada", "one")
    client.close()
    assert client.track("ada", "two")
    assert client.flush()
    assert [record.name for record in client.store.records()] == ["one", "two"]
    client.close()


def test_the_thread_starts_with_the_first_track_and_ends_with_close(tmp_path: Path) -> None:
    client = open_client(tmp_path / "nudges.db", drain="thread")
    names = lambda: [thread.name for thread in threading.enumerate()]  # noqa: E731
    client.decide("page", user="ada")
    assert "nudge-drainer" not in names()
    client.track("ada", "campaign_sent")
    assert names().count("nudge-drainer") == 1
    client.track("ada", "campaign_sent")
    assert names().count("nudge-drainer") == 1
    client.close()
    assert "nudge-drainer" not in names()


def test_an_external_client_has_no_thread_at_all(tmp_path: Path) -> None:
    before = threading.active_count()
    client = open_client(tmp_path / "nudges.db", drain="external")
    client.track("ada", "campaign_sent")
    client.convert(user="ada")
    client.decide("page", user="ada")
    assert threading.active_count() == before
    client.close()


def test_the_thread_outlives_a_store_that_is_away(tmp_path: Path) -> None:
    database = tmp_path / "away" / "nudges.db"
    client = NudgeClient(f"sqlite:///{database}", journal=tmp_path / "journals", options=Options(drain_seconds=0.01))
    client.track("ada", "campaign_sent")
    thread = client.recorder.thread
    assert thread is not None
    assert wait_until(lambda: thread.failures >= 2)
    database.parent.mkdir()
    assert wait_until(lambda: thread.failures == 0)
    assert len(list(client.store.records())) == 1
    client.close()


def test_a_rejoining_member_counts_again_within_the_hour() -> None:
    clock = Clock()
    client = NudgeClient("memory://", clock=clock, definition=product(nudge("hello")))
    client.group("acme", {"plan": "free"}, user="ada")
    clock.move(minutes=1)
    client.group("acme", user="ada", left=True)
    assert client.decide("page", user="ada", account="acme").reasons == {"hello": "NOT_TARGETED"}
    clock.move(minutes=1)
    client.group("acme", {"plan": "free"}, user="ada")
    assert client.decide("page", user="ada", account="acme").nudge is not None


def test_the_same_traits_said_again_within_the_hour_write_nothing(tmp_path: Path) -> None:
    clock = Clock()
    with open_client(tmp_path / "nudges.db", clock=clock) as client:
        for _ in range(3):
            clock.move(minutes=10)
            client.identify("ada", {"plan": "free"})
            client.group("acme", {"size": 3}, user="ada")
        client.identify("ada", {"plan": "paid"})
        client.identify("ada", {"plan": "free"})
        clock.move(minutes=61)
        client.identify("ada", {"plan": "free"})
        assert client.flush()
        said = [record.kind for record in client.store.records()]
        assert (said.count("identify"), said.count("group")) == (4, 1)


def test_a_failed_track_is_tried_again_by_the_next_one(tmp_path: Path) -> None:
    (tmp_path / "journals").write_text("in the way")
    client = NudgeClient(f"sqlite:///{tmp_path}/nudges.db", journal=tmp_path / "journals", drain="external")
    assert client.identify("ada", {"plan": "free"}) is False
    (tmp_path / "journals").unlink()
    assert wait_until(lambda: client.identify("ada", {"plan": "free"}), 3)
    assert client.flush()
    assert len(list(client.store.records())) == 1
    client.close()


def test_publishing_raises_whatever_on_error_says(tmp_path: Path) -> None:
    client = NudgeClient(f"sqlite:///{tmp_path}/missing/nudges.db", journal=tmp_path / "j", drain="external")
    with pytest.raises(StoreError):
        client.publish(product())
    with pytest.raises(NudgeError):
        client.publish("milestones: [{key: 1}]")


def test_a_frozen_week_from_first_campaign_to_help(tmp_path: Path) -> None:
    nudges = (
        nudge("upgrade", needs_episode=True, goal="paid", trigger={"milestone": "two_campaigns"}),
        nudge("helping", needs_episode=True, goal="paid", mode="help", placement="help", content=HELP),
    )
    with freeze_time("2026-03-02 09:00:00") as frozen:
        client = NudgeClient(
            f"sqlite:///{tmp_path}/nudges.db", drain="inline", definition=product(*nudges),
            options=Options(on_error="raise", max_staleness=0, refresh_seconds=0),
        )  # fmt: skip
        client.track("ada", "campaign_sent", account="acme")
        assert client.decide("page", user="ada", account="acme").reasons == {"upgrade": "NOT_TARGETED"}
        frozen.tick(60)
        client.track("ada", "campaign_sent", account="acme")
        offered = client.decide("page", user="ada", account="acme")
        assert offered.nudge is not None
        assert client.record(offered, "dismissed")
        assert client.decide("help", user="ada", account="acme").reasons == {"helping": "THROTTLED"}
        frozen.move_to("2026-03-09 09:30:00")
        assert client.sweep() > 0
        helped = client.decide("help", user="ada", account="acme")
        assert helped.nudge is not None
        assert helped.nudge.mode == "help"
        assert client.standing("ada", account="acme").phase == "help"  # type: ignore[union-attr]
        client.close()
