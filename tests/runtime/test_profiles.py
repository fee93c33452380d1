"""A process sees its own writes at once and exactly once, others' within its bound; memory is bounded."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from nudge_sdk import NudgeClient, Options
from nudge_sdk.rules.records import personal_account
from nudge_sdk.runtime.intake import Intake
from nudge_sdk.runtime.profiles import Pending, Profiles
from nudge_sdk.runtime.recorder import present
from nudge_sdk.store import open_store
from tests.runtime.examples import (
    FREE,
    locked,
    nudge,
    open_client,
    product,
    run,
    two_clients,
    wait_until,
)

DASHBOARD = nudge("counted", content={"type": "card", "title": "{{ count.two_campaigns | none }}",
                                      "cta": {"label": "Go", "url": "/"}})  # fmt: skip


def _count(client: NudgeClient, user: str, account: str | None = None) -> int:
    """How many campaigns of a member this process sees."""
    report = client.explain("page", user=user, account=account)
    assert report is not None
    assert report.decision.nudge is not None, report.decision.reasons
    return int(report.decision.nudge.title.replace("none", "0"))


@pytest.fixture
def client(tmp_path: Path) -> Iterator[NudgeClient]:
    definition = product(DASHBOARD, settings=FREE)
    with open_client(tmp_path / "nudges.db", definition=definition, max_staleness=3600) as client:
        yield client


def test_own_writes_are_seen_before_and_after_draining_and_count_once(client: NudgeClient) -> None:
    assert _count(client, "ada") == 0
    for number in range(1, 4):
        client.track("ada", "campaign_sent")
        assert _count(client, "ada") == number
    assert client.flush()
    assert _count(client, "ada") == 3
    client.track("ada", "campaign_sent")
    assert _count(client, "ada") == 4


def test_what_another_process_drained_counts_once_after_an_offer(tmp_path: Path) -> None:
    database = tmp_path / "nudges.db"
    web = open_client(database, definition=product(nudge("offer", placement="other"), DASHBOARD), max_staleness=3600)
    worker = open_client(database)
    assert _count(web, "ada") == 0
    web.track("ada", "campaign_sent")
    assert _count(web, "ada") == 1
    assert worker.flush()
    assert web.decide("other", user="ada").nudge is not None
    assert web.explain("page", user="ada").decision.reasons == {"counted": "THROTTLED"}  # type: ignore[union-attr]
    report = web.standing("ada")
    assert report is not None
    assert report.score == 0, "one campaign was counted twice and made two"
    web.close()
    worker.close()


def test_a_change_of_drainers_counts_nothing_twice(tmp_path: Path) -> None:
    database = tmp_path / "nudges.db"
    web = open_client(database, definition=product(DASHBOARD, settings=FREE), max_staleness=3600)
    worker = open_client(database)
    web.track("ada", "campaign_sent")
    assert _count(web, "ada") == 1
    assert worker.flush()
    assert web.recorder.journal is not None
    web.recorder.journal.close()
    web.track("ada", "campaign_sent")
    assert web.flush()
    assert _count(web, "ada") == 2
    web.close()
    worker.close()


def test_tracking_while_the_thread_drains_never_shows_a_wrong_count(tmp_path: Path) -> None:
    options = Options(on_error="raise", drain_seconds=0.001, max_staleness=0.02)
    definition = product(DASHBOARD, settings=FREE)
    with NudgeClient(f"sqlite:///{tmp_path}/nudges.db", definition=definition, options=options) as client:
        wrong: list[tuple[str, int, int]] = []

        def work(user: str) -> None:
            for number in range(1, 151):
                client.track(user, "campaign_sent", account="acme")
                seen = _count(client, user, "acme")
                if seen != number:
                    wrong.append((user, number, seen))
                if number % 10 == 0:
                    time.sleep(0.003)

        threads = [threading.Thread(target=work, args=(f"user-{number}",)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
        assert client.drainer is not None
        assert client.drainer.drained > 0, "the thread has to drain meanwhile, or this shows nothing"
        assert client.flush()
        assert [_count(client, f"user-{number}", "acme") for number in range(4)] == [150] * 4


def test_tracking_while_another_process_drains_never_shows_a_wrong_count(tmp_path: Path) -> None:
    database = tmp_path / "nudges.db"
    with open_client(database, definition=product(DASHBOARD, settings=FREE), max_staleness=0.01) as client:
        client.track("somebody", "campaign_sent")
        worker = threading.Event()
        other = open_client(database)

        def drain() -> None:
            while not worker.is_set():
                assert other.drainer is not None
                other.drainer.drain()

        thread = threading.Thread(target=drain)
        thread.start()
        seen = []
        for _ in range(300):
            client.track("ada", "campaign_sent")
            seen.append(_count(client, "ada"))
        worker.set()
        thread.join()
        other.close()
        assert seen == list(range(1, 301))


@pytest.mark.parametrize("is_drained", [False, True])
def test_the_same_message_delivered_again_counts_once(client: NudgeClient, is_drained: bool) -> None:
    at = present() - 60_000_000
    for _ in range(3):
        client.track("ada", "campaign_sent", id="message-1", at=at)
        if is_drained:
            assert client.flush()
        assert _count(client, "ada") == 1
    client.track("ada", "campaign_sent", id="message-2", at=at)
    assert _count(client, "ada") == 2
    assert client.flush()
    assert _count(client, "ada") == 2


def test_a_message_another_process_stored_counts_once_here(tmp_path: Path) -> None:
    first, second, _ = two_clients(tmp_path / "nudges.db", DASHBOARD, settings=FREE)
    first.track("ada", "campaign_sent", id="message-1", at="2026-03-02T08:00:00Z")
    assert first.flush()
    assert _count(second, "ada") == 1
    second.track("ada", "campaign_sent", id="message-1", at="2026-03-02T08:00:00Z")
    assert _count(second, "ada") == 1
    first.close()
    second.close()


def test_others_writes_are_seen_within_the_staleness(tmp_path: Path) -> None:
    database = tmp_path / "nudges.db"
    here = open_client(database, definition=product(DASHBOARD, settings=FREE), max_staleness=0.3)
    there = open_client(database)
    assert _count(here, "ada") == 0
    there.track("ada", "campaign_sent")
    assert there.flush()
    here.decide("elsewhere", user="ada")
    began = time.monotonic()
    assert wait_until(lambda: here.decide("elsewhere", user="ada") is not None and _count(here, "ada") == 1, 2)
    assert time.monotonic() - began < 0.3 + 0.25
    here.close()
    there.close()


def test_the_account_sees_the_pending_events_of_colleagues(tmp_path: Path) -> None:
    segment = {"key": "all", "account": {"warm": {"score": 3, "gates": [{"active_users": 2}]}}}
    milestone = {"key": "team", "subject": "account", "signal": {"event": "campaign_sent"}, "at_least": 2}
    definition = product(milestones=[milestone], segments=[segment])
    with open_client(tmp_path / "nudges.db", definition=definition, max_staleness=3600) as client:
        assert client.standing(account="acme").tier == "none"  # type: ignore[union-attr]
        client.track("ada", "campaign_sent", account="acme")
        assert client.standing(account="acme").tier == "none"  # type: ignore[union-attr]
        client.track("bob", "campaign_sent", account="acme")
        report = client.standing(account="acme")
        assert report is not None
        assert (report.tier, report.active_users) == ("warm", 2)
        assert client.flush()
        assert client.standing(account="acme").tier == "warm"  # type: ignore[union-attr]


def test_what_a_user_did_before_the_first_account_counts_there_at_once(client: NudgeClient) -> None:
    client.track("ada", "campaign_sent")
    client.group("acme", {"size": 3}, user="ada")
    assert _count(client, "ada", "acme") == 1
    client.track("ada", "campaign_sent")
    assert _count(client, "ada", "acme") == 2
    assert _count(client, "ada") == 2
    assert client.flush()
    assert _count(client, "ada", "acme") == 2
    assert client.store.read_subjects([(personal_account("ada"), "ada")]) == {}


def test_what_an_anonymous_visitor_did_counts_for_the_user_at_once(client: NudgeClient) -> None:
    client.track("visitor", "campaign_sent")
    client.alias("visitor", "ada")
    assert _count(client, "ada") == 1
    client.track("visitor", "campaign_sent")
    assert client.flush()
    assert _count(client, "ada") == 2
    assert _count(client, "visitor") == 2


def test_asking_for_another_day_leaves_today_alone(client: NudgeClient) -> None:
    client.track("ada", "campaign_sent")
    client.track("ada", "campaign_sent")
    later = present() + 20 * 86_400_000_000
    before = client.standing("ada")
    assert before is not None
    assert before.tier == "warm"
    then = client.standing("ada", at=later)
    assert then is not None
    assert then.tier == "none"
    assert client.explain("page", user="ada", at=later) is not None
    after = client.standing("ada")
    assert after is not None
    assert (after.tier, after.phase, after.score) == (before.tier, before.phase, before.score)


def test_the_cache_holds_no_more_profiles_than_it_may(tmp_path: Path) -> None:
    with open_client(tmp_path / "nudges.db", definition=product(DASHBOARD), profiles=50) as client:
        for number in range(500):
            client.decide("elsewhere", user=f"user-{number}", account=f"account-{number % 7}")
        assert len(client.profiles._profiles) == 50
        assert sum(map(len, client.profiles._members_of.values())) == 50
        assert len(client.profiles._moved) <= 50


def test_the_visible_pending_records_are_bounded_and_none_is_lost(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/nudges.db")
    profiles = Profiles(store, most=10, max_staleness=1, most_pending=5)
    with open_client(tmp_path / "nudges.db", definition=product(DASHBOARD, settings=FREE)) as client:
        client.profiles.most_pending = 5
        for _ in range(20):
            assert client.track("ada", "campaign_sent")
        assert client.profiles._pending_count == 5
        assert _count(client, "ada") == 5
        assert client.flush()
        assert client.profiles._pending_count == 0
        assert client.profiles._pending == {}
        assert _count(client, "ada") == 20
        record = next(client.store.records())
        for number in range(20):
            profiles.note(Pending("journal", number, record, is_ours=True))
        assert profiles._pending_count == 5
    store.close()


def test_names_of_drained_journals_do_not_pile_up(tmp_path: Path) -> None:
    from nudge_sdk.runtime.intake import Position

    profiles = Profiles(open_store(f"sqlite:///{tmp_path}/nudges.db"), most=10, max_staleness=1)
    for number in range(5000):
        profiles.drained([], Position(f"{number}.journal", 10))
    assert len(profiles._drained) < 2000


def test_a_profile_stays_usable_while_the_store_cannot_be_read(tmp_path: Path) -> None:
    store = _Switchable(open_store(f"sqlite:///{tmp_path}/nudges.db"))
    client = NudgeClient(
        store,  # type: ignore[arg-type]
        journal=tmp_path / "journals",
        drain="external",
        definition=product(DASHBOARD, settings=FREE),
        options=Options(on_error="raise", max_staleness=0.5, refresh_seconds=0.5),
    )
    client.track("ada", "campaign_sent")
    assert _count(client, "ada") == 1
    store.is_away = True
    time.sleep(0.6)
    assert _count(client, "ada") == 1
    client.track("ada", "campaign_sent")
    assert _count(client, "ada") == 2
    reads, began = store.refused, time.monotonic()
    for _ in range(100):
        _count(client, "ada")
    spans = 1 + (time.monotonic() - began) / 0.5
    assert store.refused - reads <= 3 * spans, "every request asked a store that does not answer"
    store.is_away = False
    time.sleep(0.6)
    assert _count(client, "ada") == 2
    client.close()


class _Switchable:
    """A store that can be away."""

    def __init__(self, store: object) -> None:
        self._store = store
        self.is_away = False
        self.refused = 0

    def __getattr__(self, name: str) -> object:
        from nudge_sdk.errors import StoreBusyError

        if self.is_away and name not in ("close", "after_fork"):
            self.refused += 1
            raise StoreBusyError("the store is away")
        return getattr(self._store, name)


def test_two_processes_that_track_and_decide_agree_with_the_store(tmp_path: Path) -> None:
    database = tmp_path / "nudges.db"
    with open_client(database, definition=product(DASHBOARD, settings=FREE)) as client:
        client.decide("page", user="nobody")
        code = """
client = open_client(sys.argv[1], drain="thread", drain_seconds=0.005, max_staleness=0.01, store_wait=5)
for number in range(100):
    client.track("ada", "campaign_sent", account="acme")
    client.decide("elsewhere", user="ada", account="acme")
assert client.flush()
client.close()
"""
        threads = [threading.Thread(target=run, args=(code, database)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert client.flush()
        assert _count(client, "ada", "acme") == 200


@contextmanager
def _counting_reads(client: NudgeClient) -> Iterator[list[str]]:
    """The names of what is asked of the store meanwhile."""
    asked: list[str] = []
    store = client.store

    class Watched:
        def __getattr__(self, name: str) -> object:
            asked.append(name)
            return getattr(store, name)

    watched: Any = Watched()
    client.profiles.store = client.intake.store = watched
    yield asked
    client.profiles.store = client.intake.store = store


def test_an_answer_of_nothing_asks_the_store_nothing(client: NudgeClient) -> None:
    client.decider.refresh_seconds = 3600
    client.decide("elsewhere", user="ada")
    client.decider.forget_catalog()
    client.decide("elsewhere", user="ada")
    with _counting_reads(client) as asked:
        for _ in range(5):
            client.decide("elsewhere", user="ada")
        assert asked == []
        client.decide("page", user="ada")
        assert asked == ["transaction"]
        client.decide("elsewhere", user="bob")
        assert "read_profile" in asked


def test_a_commit_of_another_thread_is_never_lost_from_the_overlay(tmp_path: Path) -> None:
    database = tmp_path / "nudges.db"
    with open_client(database, definition=product(DASHBOARD, settings=FREE), max_staleness=3600) as client:
        client.track("ada", "campaign_sent")
        client.identify("ada", {"plan": "free"})
        with locked(database):
            client.convert(user="ada")
        assert _count(client, "ada") == 1
        intake = Intake(client.store, present)
        assert intake.catalog.number == 1
        report = client.standing("ada")
        assert report is not None
        assert client.flush()
        assert {record.kind for record in client.store.records()} == {"track", "identify", "convert"}
