"""The life of a client: made, started by its first call, flushed and closed."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from nudge_sdk import DefinitionError, NudgeClient, NudgeError, Options, SetupError
from nudge_sdk.errors import StoreError
from nudge_sdk.store import open_store
from tests.runtime.examples import SLACK, Stopwatch, locked, nudge, open_client, product, run, wait_until


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


def test_publishing_raises_whatever_on_error_says(tmp_path: Path) -> None:
    client = NudgeClient(f"sqlite:///{tmp_path}/missing/nudges.db", journal=tmp_path / "j", drain="external")
    with pytest.raises(StoreError):
        client.publish(product())
    with pytest.raises(NudgeError):
        client.publish("milestones: [{key: 1}]")


def test_threads_that_are_the_first_to_read_a_definition_do_not_crash_the_process(tmp_path: Path) -> None:
    with open_client(tmp_path / "nudges.db", definition=product(nudge("hello"))) as client:
        assert client.decide("page", user="ada").nudge is not None
    code = """
sys.setswitchinterval(1e-6)
client = open_client(sys.argv[1])
barrier = threading.Barrier(4)
def decide(user):
    barrier.wait()
    client.explain("page", user=user)
threads = [threading.Thread(target=decide, args=(f"user-{n}",)) for n in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
say(client.explain("page", user="ada").decision.nudge.nudge)
"""
    for _ in range(5):
        assert run(code, tmp_path / "nudges.db") == ['"hello"']
