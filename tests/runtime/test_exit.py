"""Processes that end without a word: what they tracked is safe in the journal, and nobody waits for them to end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runtime.examples import PRELUDE, Stopwatch, line_of, locked, open_client, product, run, start

# The tracer of coverage takes a lock, which a forked child would wait for, for ever.
pytestmark = pytest.mark.no_cover

TRACK_AND_END = """
client = open_client(sys.argv[1], drain="thread", drain_seconds=0.001, store_wait=5)
answers = [client.track(f"user-{number % 20}", "campaign_sent") for number in range(int(sys.argv[2]))]
say(answers.count(True))
"""


def test_a_process_that_ends_without_closing_loses_nothing_and_ends_well(tmp_path: Path) -> None:
    database = tmp_path / "nudges.db"
    with open_client(database) as client:
        client.publish(product())
    acknowledged = sum(int(run(TRACK_AND_END, database, str(many))[0]) for many in (1, 50, 500, 3000))
    assert acknowledged == 3551
    with open_client(database) as client:
        assert client.flush()
        assert len(list(client.store.records())) == acknowledged


def test_ending_waits_for_no_store(tmp_path: Path) -> None:
    database = tmp_path / "nudges.db"
    with open_client(database) as client:
        client.publish(product())
    with locked(database):
        process = start(PRELUDE + TRACK_AND_END, database, "100")
        assert line_of(process) == "100"
        with Stopwatch() as took:
            assert process.wait(10) == 0
        assert took.seconds < 1
        assert process.communicate()[1] == ""
    with open_client(database) as client:
        assert client.flush()
        assert len(list(client.store.records())) == 100


def test_a_fork_after_closing_lets_both_begin_anew(tmp_path: Path) -> None:
    code = """
client = open_client(sys.argv[1], drain="thread", definition=product(), drain_seconds=0.01, store_wait=5)
client.track("ada", "before")
client.close()
child = os.fork()
who = "child" if child == 0 else "parent"
assert client.track("ada", who) and client.flush(10)
client.close()
if child == 0:
    os._exit(0)
say(os.waitpid(child, 0)[1])
"""
    assert run(code, tmp_path / "nudges.db") == ["0"]
    with open_client(tmp_path / "nudges.db") as client:
        assert sorted(record.name for record in client.store.records()) == ["before", "child", "parent"]
        assert client.drainer is not None
        assert client.drainer.lag() == 0
