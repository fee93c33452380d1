"""Publishing: seen by every process, counted from history first, and never worse than the last good one."""

from __future__ import annotations

import json
import logging
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nudge_sdk import Definition, DefinitionError, NudgeClient
from nudge_sdk.rules.authoring import encode_definition, fingerprint
from nudge_sdk.rules.definition import Entry
from nudge_sdk.runtime.intake import Intake
from nudge_sdk.runtime.publishing import make_live, publish
from nudge_sdk.runtime.recorder import present
from nudge_sdk.store import open_store
from nudge_sdk.store.protocol import DefinitionRow
from nudge_sdk.testing import Clock, NudgeTest
from tests.runtime.examples import nudge, open_client, product, run, wait_until

REPORTS = {
    "milestones": [
        {"key": "reports", "signal": {"event": "report_made"}, "at_least": 2, "category": "high", "is_aha": True}
    ]
}


def _shown(client: NudgeClient, user: str = "ada") -> str | None:
    decision = client.decide("page", user=user)
    return decision.nudge.nudge if decision.nudge else None


def _put(client: NudgeClient, document: bytes, number: int, **changes: Any) -> None:
    """Store a definition past all checks, as a newer release might."""
    row = DefinitionRow(number, document, "print", present(), "a newer release", "", 1, present())
    with client.store.transaction(wait=1) as transaction:
        transaction.put_definition(msgspec.structs.replace(row, **changes))


def test_another_process_sees_a_publication_within_seconds_and_without_a_restart(tmp_path: Path) -> None:
    database = tmp_path / "nudges.db"
    here = open_client(database, refresh_seconds=0.3)
    there = open_client(database)
    there.publish(product(nudge("one")))
    assert here.explain("page", user="ada").decision.nudge.nudge == "one"  # type: ignore[union-attr]
    there.publish(product(nudge("two")))
    began = time.monotonic()
    assert wait_until(lambda: here.explain("page", user="ada").decision.nudge.nudge == "two", 3)  # type: ignore[union-attr]
    assert time.monotonic() - began < 0.3 + 0.25
    here.close()
    there.close()


def test_publishing_is_in_force_here_when_it_returns(tmp_path: Path) -> None:
    with open_client(tmp_path / "nudges.db", refresh_seconds=3600) as client:
        assert client.publish(product(nudge("one"))) == 1
        assert _shown(client) == "one"
        assert client.publish(product(nudge("two"))) == 2
        assert client.explain("page", user="eve").decision.nudge.nudge == "two"  # type: ignore[union-attr]


def test_a_new_signal_counts_yesterday_before_it_is_in_force() -> None:
    test = NudgeTest(product(nudge("upgrade", goal="paid", needs_episode=True)))
    for user in ("ada", "bob"):
        test.given(user, "report_made", times=2 if user == "ada" else 1)
    test.clock.move(days=1)
    assert _shown(test.client) is None
    told: list[tuple[int, int]] = []
    number = test.client.publish(
        product(nudge("upgrade", goal="paid", needs_episode=True), **REPORTS),
        progress=lambda done, total: told.append((done, total)),
    )
    assert number == 2
    assert told
    assert told[-1][0] == told[-1][1] > 0
    assert _shown(test.client) == "upgrade", "the member who did it before qualifies, with the prompt"
    assert _shown(test.client, "bob") is None
    report = test.client.standing("ada")
    assert report is not None
    assert (report.phase, report.tier) == ("prompt", "warm")
    test.client.sweep()
    (episode,) = test.client.store.episodes("personal:ada", "ada")
    assert episode.cause == "publication"


def test_while_a_new_signal_is_being_counted_everybody_is_judged_by_the_old_definition(tmp_path: Path) -> None:
    clock = Clock()
    with open_client(
        tmp_path / "nudges.db", clock=clock, max_staleness=0, refresh_seconds=0, definition=product(nudge("hello"))
    ) as client:
        for _ in range(2):
            client.track("ada", "campaign_sent")
            client.track("bob", "report_made")
        assert client.flush()
        assert client.standing("ada").tier == "warm"  # type: ignore[union-attr]
        clock.move(minutes=1)
        other = Intake(open_store(f"sqlite:///{tmp_path}/nudges.db"), client.now)
        publish(other, product(nudge("hello"), **REPORTS), by="test", note="")
        for _ in range(2):
            report = client.standing("ada")
            assert report is not None
            assert (report.tier, report.score) == ("warm", 5), "nobody is forgotten while the recount runs"
            client.track("ada", "campaign_sent")
        clock.move(minutes=1)
        assert make_live(other) == 2
        assert client.standing("bob").tier == "warm"  # type: ignore[union-attr]
        other.store.close()


def test_a_host_that_trusts_its_memory_counts_the_new_signal_once_it_is_in_force(tmp_path: Path) -> None:
    database = tmp_path / "nudges.db"
    here = open_client(database, definition=product(nudge("hello")), max_staleness=3600, refresh_seconds=0)
    for _ in range(2):
        here.track("ada", "report_made")
    assert here.flush()
    assert here.standing("ada").tier == "none"  # type: ignore[union-attr]
    there = open_client(database)
    there.publish(product(nudge("hello"), **REPORTS))
    assert here.standing("ada").tier == "warm"  # type: ignore[union-attr]
    here.close()
    there.close()


def test_going_back_is_publishing_the_old_one_again() -> None:
    first, second = product(nudge("one")), product(nudge("two"), **REPORTS)
    test = NudgeTest(first)
    test.given("ada", "campaign_sent", times=2)
    test.clock.move(minutes=1)
    assert test.client.publish(second) == 2
    assert test.client.standing("ada").score == 0  # type: ignore[union-attr]
    test.clock.move(minutes=1)
    assert test.client.publish(first) == 3
    assert test.client.standing("ada").score == 5  # type: ignore[union-attr]
    assert _shown(test.client) == "one"
    numbers = [(row.number, row.fingerprint) for row in test.client.store.definitions()]
    assert [number for number, _ in numbers] == [1, 2, 3]


UNREADABLE = {
    "no JSON": b"no json",
    "not an object": b"[1, 2]",
    "a newer format": b'{"name": "x", "format": 99}',
    "a shape of another world": b'{"name": "x", "milestones": {"a": 1}}',
    "a score that is a text": b'{"name": "x", "segments": [{"key": "a", "member": {"warm": {"score": "x"}}}]}',
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_a_definition_this_release_cannot_read_leaves_the_last_good_one_in_force_loudly(
    tmp_path: Path, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    database = tmp_path / "nudges.db"
    with open_client(database, refresh_seconds=0, definition=product(nudge("hello"))) as client:
        client.track("ada", "campaign_sent")
        assert _shown(client) == "hello"
        _put(client, UNREADABLE[what], 2)
        with caplog.at_level(logging.ERROR):
            for _ in range(5):
                assert _shown(client) == "hello"
        assert caplog.text.count("definition 2 cannot be read") == 1
        assert client.convert(user="bob")
        client.track("ada", "campaign_sent")
        assert client.flush()
        assert client.standing("ada").tier == "warm"  # type: ignore[union-attr]
        assert client.sweep() >= 0
        with open_client(database) as restarted:
            assert _shown(restarted) == "hello"
        assert client.publish(product(nudge("better"))) == 3
        assert client.explain("page", user="new").decision.nudge.nudge == "better"  # type: ignore[union-attr]


def test_nothing_readable_at_all_is_neutral(tmp_path: Path) -> None:
    with open_client(tmp_path / "nudges.db") as client:
        client.flush()
        client.decide("page", user="ada")
        _put(client, b"garbage", 1)
        client.decider.forget_catalog()
        assert client.track("ada", "campaign_sent")
        assert client.flush()
        assert _shown(client) is None


def test_a_nudge_of_a_type_from_a_newer_release_is_not_offered(tmp_path: Path) -> None:
    with open_client(tmp_path / "nudges.db", refresh_seconds=0, definition=product(nudge("hello"))) as client:
        client.decide("elsewhere", user="ada")
        plain = json.loads(encode_definition(product(nudge("hello"), nudge("space", priority=9))))
        plain["nudges"][1]["content"]["type"] = "hologram"
        plain["invented"] = {"later": True}
        _put(client, json.dumps(plain).encode(), 2)
        decision = client.decide("page", user="ada")
        assert decision.nudge is not None
        assert decision.nudge.nudge == "hello"
        assert decision.reasons == {"space": "NOT_TARGETED"}
        assert decision.definition == 2
        with pytest.raises(DefinitionError):
            client.publish(json.dumps(plain))


def test_a_first_definition_is_published_once_and_never_over_another(tmp_path: Path) -> None:
    database = tmp_path / "nudges.db"
    for name in ("one", "two"):
        with open_client(database, definition=product(nudge(name))) as client:
            client.decide("elsewhere", user="ada")
            assert [row.number for row in client.store.definitions()] == [1]
            assert client.explain("page", user="ada").decision.nudge.nudge == "one"  # type: ignore[union-attr]


def test_processes_that_start_at_once_publish_the_first_definition_once(tmp_path: Path) -> None:
    code = """
client = open_client(sys.argv[1], journal=sys.argv[1] + sys.argv[2], definition=product(nudge("hello")), store_wait=5)
while time.time() < float(sys.argv[3]): pass
assert client.decide("page", user=sys.argv[2]).nudge is not None
client.close()
"""
    for attempt in range(2):
        database = tmp_path / f"nudges-{attempt}.db"
        begin = str(time.time() + 1.5)
        threads = [threading.Thread(target=run, args=(code, database, f"p{n}", begin)) for n in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        store = open_store(f"sqlite:///{database}")
        assert [row.number for row in store.definitions()] == [1]
        assert sum(len(store.exposures(f"personal:p{n}", f"p{n}")) for n in range(3)) == 3
        store.close()


def test_two_intakes_that_race_for_the_first_definition_publish_one(tmp_path: Path) -> None:
    with open_client(tmp_path / "nudges.db") as client:
        client.decide("page", user="ada")
        intakes = [Intake(client.store, present) for _ in range(2)]
        rows = [publish(each, product(nudge("hello")), by="x", note="", is_first=True) for each in intakes]
        assert [row.number for row in rows] == [1, 1]
        assert publish(intakes[0], product(nudge("hello")), by="x", note="").number == 2


def test_events_before_the_first_definition_count_once_there_is_one(tmp_path: Path) -> None:
    with open_client(tmp_path / "nudges.db", max_staleness=0) as client:
        for _ in range(2):
            client.track("ada", "campaign_sent")
        assert client.flush()
        client.publish(product(nudge("hello")))
        assert client.standing("ada").tier == "warm"  # type: ignore[union-attr]


def test_an_unchanged_nudge_keeps_the_number_that_brought_it_and_a_fingerprint_is_of_content() -> None:
    test = NudgeTest(product(nudge("old")))
    test.client.publish(product(nudge("old"), nudge("new")))
    definition = msgspec.json.decode(test.client.store.definitions()[-1].document, type=Definition)
    assert {each.key: each.published_in for each in definition.nudges} == {"old": 1, "new": 2}
    assert _shown(test.client) == "new", "the newest published wins among equals"
    assert fingerprint(definition) == fingerprint(msgspec.structs.replace(definition, number=99))


def test_two_who_publish_at_once_get_two_numbers(tmp_path: Path) -> None:
    database = tmp_path / "nudges.db"
    with open_client(database) as client:
        client.publish(product(nudge("first")))
        numbers: list[int] = []
        clients = [open_client(database) for _ in range(4)]
        threads = [
            threading.Thread(target=lambda each=each, n=n: numbers.append(each.publish(product(nudge(f"n{n}")))))
            for n, each in enumerate(clients)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [row.number for row in client.store.definitions()] == [1, 2, 3, 4, 5]
        assert max(numbers) == 5
        for each in clients:
            each.close()


def test_a_definition_with_problems_changes_nothing(tmp_path: Path) -> None:
    with open_client(tmp_path / "nudges.db", definition=product(nudge("hello"))) as client:
        assert _shown(client) == "hello"
        with pytest.raises(DefinitionError) as caught:
            client.publish("milestones: [{key: a}]\nnudges: [{key: b}]\n")
        assert len(caught.value.problems) > 1
        assert len(client.store.definitions()) == 1


UPGRADE = nudge("upgrade", goal="paid", needs_episode=True)


def _trial_with_one_mild_sign() -> NudgeTest:
    sign = {"key": "looked", "signal": {"event": "report_seen"}, "points": 2}
    test = NudgeTest(product(UPGRADE, milestones=[sign], segments=[{"key": "all", "member": {"warm": {"score": 5}}}]))
    test.given("ada", "report_seen")
    return test


def _lower(test: NudgeTest, to: float) -> None:
    live = test.client.intake.catalog.rules.definition
    thresholds = msgspec.structs.replace(live.segments[0].member, warm=Entry(score=to))
    segment = msgspec.structs.replace(live.segments[0], member=thresholds)
    test.client.publish(msgspec.structs.replace(live, segments=(segment,)))


def test_a_roll_back_takes_away_what_only_the_publication_brought() -> None:
    test = _trial_with_one_mild_sign()
    first = test.client.intake.catalog.rules.definition
    _lower(test, 2)
    assert _shown(test.client) == "upgrade"
    test.clock.move(minutes=1)
    test.client.publish(first, back_to=1)
    assert _shown(test.client) is None, "it stayed on display"
    standing = test.client.standing("ada")
    assert standing is not None
    assert standing.episode is not None
    assert standing.episode.end_reason == "rolled_back"
    test.clock.move(days=2)
    _lower(test, 2)
    assert _shown(test.client) == "upgrade", "what should not have begun cost a rest"


def test_a_roll_back_leaves_those_who_qualify_either_way() -> None:
    test = _trial_with_one_mild_sign()
    _lower(test, 2)
    assert _shown(test.client) == "upgrade"
    _lower(test, 1)
    test.clock.move(minutes=1)
    rows = test.client.store.definitions()
    second = msgspec.json.decode(rows[1].document, type=Definition)
    test.client.publish(second, back_to=2)
    assert _shown(test.client) == "upgrade"


def test_an_ordinary_publication_ends_no_episode() -> None:
    test = _trial_with_one_mild_sign()
    _lower(test, 2)
    assert _shown(test.client) == "upgrade"
    test.clock.move(minutes=1)
    _lower(test, 5)
    assert _shown(test.client) == "upgrade", "an episode is latched"
    assert test.client.intake.catalog.rules.definition.back_to == 0
