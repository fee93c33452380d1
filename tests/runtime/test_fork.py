"""Preloading servers fork: the child has its own journal, thread and ids, and leaves the parent's alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nudge_sdk.store import open_store
from tests.runtime.examples import open_client, product, run

# The tracer of coverage takes a lock, which a signal handler or a forked child would wait for, for ever.
pytestmark = pytest.mark.no_cover

FORK = """
definition = product(nudge("hello"))
client = open_client(sys.argv[1], drain=sys.argv[2], definition=definition, drain_seconds=0.01, store_wait=5)
names = lambda: [thread.name for thread in threading.enumerate()]
if sys.argv[3] == "used":
    client.track("parent", "before")
    client.decide("page", user="parent")
parent_thread = client.recorder.thread and client.recorder.thread._thread
read_end, write_end = os.pipe()
child = os.fork()
if child == 0:
    os.close(read_end)
    answer = {"names_before": names(), "pending": client.profiles._pending_count}
    client.track("child", "after")
    answer["names"] = names()
    answer["decided"] = bool(client.decide("page", user="child"))
    answer["ids"] = [client.recorder.ids.new(0) for _ in range(1000)]
    answer["flushed"] = client.flush(5)
    answer["counters"] = dict(client.counters)
    client.close()
    os.write(write_end, json.dumps(answer).encode())
    os._exit(0)
os.close(write_end)
ids = [client.recorder.ids.new(0) for _ in range(1000)]
client.track("parent", "after")
chunks = []
while chunk := os.read(read_end, 65536):
    chunks.append(chunk)
assert os.waitpid(child, 0)[1] == 0
answer = json.loads(b"".join(chunks))
answer["shared_ids"] = len(set(ids) & set(answer.pop("ids")))
answer["parent_names"] = names()
answer["parent_flushed"] = client.flush(5)
client.close()
say(answer)
"""


@pytest.mark.parametrize("when", ["unused", "used"])
def test_a_forked_child_tracks_drains_and_decides_by_itself(tmp_path: Path, when: str) -> None:
    answer = json.loads(run(FORK, tmp_path / "nudges.db", "thread", when)[0])
    assert answer["names_before"] == ["MainThread"]
    assert answer["names"].count("nudge-drainer") == 1
    assert answer["parent_names"].count("nudge-drainer") == 1
    assert answer["pending"] == 0
    assert answer["decided"] is True
    assert answer["shared_ids"] == 0
    assert (answer["flushed"], answer["parent_flushed"], answer["counters"]) == (True, True, {})
    found = sorted((record.user_id, record.name) for record in open_store(f"sqlite:///{tmp_path}/nudges.db").records())
    before = [("parent", "before")] if when == "used" else []
    assert found == sorted([("child", "after"), ("parent", "after"), *before])
    assert list((tmp_path / "nudges.db-journals").glob("*.journal")) == []


def test_a_forked_child_without_a_thread_starts_none(tmp_path: Path) -> None:
    answer = json.loads(run(FORK, tmp_path / "nudges.db", "external", "used")[0])
    assert answer["names"] == answer["parent_names"] == ["MainThread"]
    assert answer["flushed"] is True


def test_a_fork_while_threads_track_and_drain_leaves_no_lock_behind(tmp_path: Path) -> None:
    code = """
client = open_client(sys.argv[1], drain="thread", definition=product(nudge("hello")), drain_seconds=0.001, store_wait=5)
client.track("parent", "start")
client.decide("page", user="parent")
stop = threading.Event()
def busy(user):
    while not stop.is_set():
        client.track(user, "busy")
        client.decide("elsewhere", user=user)
        client.identify(user, {"n": time.time()})
threads = [threading.Thread(target=busy, args=(f"user-{n}",)) for n in range(3)]
[thread.start() for thread in threads]
children = []
for number in range(12):
    time.sleep(0.02)
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        ok = client.track(f"child-{number}", "forked") and client.flush(15)
        client.decide("page", user="child")
        os._exit(0 if ok else 1)
    children.append(child)
statuses = [os.waitpid(child, 0)[1] for child in children]
stop.set()
[thread.join() for thread in threads]
assert client.flush(15)
client.close()
say(statuses)
"""
    assert json.loads(run(code, tmp_path / "nudges.db")[0]) == [0] * 12
    records = [record for record in open_store(f"sqlite:///{tmp_path}/nudges.db").records() if record.name == "forked"]
    assert sorted(record.user_id for record in records) == sorted(f"child-{number}" for number in range(12))


def test_a_fork_while_a_thread_makes_the_tables_hangs_nobody(tmp_path: Path) -> None:
    code = """
client = open_client(sys.argv[1], drain="thread", drain_seconds=0.001, on_error="log")
client.track("parent", "start")
children = []
for number in range(10):
    time.sleep(0.02)
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        client.track(f"child-{number}", "forked")
        client.decide("page", user="child")
        os._exit(0 if client.flush(15) else 1)
    children.append(child)
say([os.waitpid(child, 0)[1] for child in children])
assert client.flush(15)
client.close()
"""
    assert json.loads(run(code, tmp_path / "nudges.db")[0]) == [0] * 10
    assert len(list(open_store(f"sqlite:///{tmp_path}/nudges.db").records())) == 11


def test_the_child_does_not_release_the_parents_right_to_drain(tmp_path: Path) -> None:
    code = """
client = open_client(sys.argv[1], drain="external", definition=product())
client.track("parent", "before")
assert client.drainer.drain() == 1
assert client.drainer._lock is not None
child = os.fork()
if child == 0:
    client.track("child", "after")
    taken = client.drainer.drain()
    client.close()
    os._exit(taken)
taken = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
other = open_client(sys.argv[1], drain="external")
say([taken, other.drainer.drain(), client.drainer.drain()])
client.close()
"""
    assert json.loads(run(code, tmp_path / "nudges.db")[0]) == [0, 0, 1]


def test_what_the_parent_has_not_drained_is_drained_once(tmp_path: Path) -> None:
    database = tmp_path / "nudges.db"
    with open_client(database) as client:
        client.publish(product())
    code = """
client = open_client(sys.argv[1], drain="thread", drain_seconds=3600)
for number in range(50):
    client.track("ada", "campaign_sent")
child = os.fork()
if child == 0:
    for number in range(50):
        client.track("ada", "campaign_sent")
    assert client.flush(10)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
client.close()
"""
    run(code, database)
    assert len(list(open_store(f"sqlite:///{database}").records())) == 100
