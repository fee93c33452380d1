"""Several hosts, threads and processes over one store: nobody sees what was dismissed, no cap is spent twice."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.runtime.examples import (
    FREE,
    SLACK,
    Stopwatch,
    locked,
    nudge,
    open_client,
    product,
    run,
    two_clients,
)

STEERING = {
    "dismissed": lambda client, decision: client.record(decision, "dismissed"),
    "snoozed": lambda client, decision: client.record(decision, "snoozed", until="2026-03-05T00:00:00Z"),
    "completed": lambda client, decision: client.record(decision, "completed"),
    "opted_out": lambda client, decision: client.record(decision, "opted_out"),
    "converted": lambda client, decision: client.convert("acme"),
}


@pytest.mark.parametrize("what", STEERING)
def test_what_steers_is_seen_by_another_host_that_trusts_its_memory(tmp_path: Path, what: str) -> None:
    first, second, _ = two_clients(tmp_path / "nudges.db", nudge("hello", goal="paid"))
    assert second.decide("elsewhere", user="ada", account="acme").reasons == {}
    offered = first.decide("page", user="ada", account="acme")
    assert offered.nudge is not None
    assert second.decide("page", user="ada", account="acme").id == offered.id, "on display everywhere"
    assert STEERING[what](first, offered) is True
    here = second.decide("page", user="ada", account="acme")
    assert here.nudge is None
    expected = {"dismissed": "DISMISSED", "snoozed": "SNOOZED", "completed": "GOAL_MET", "opted_out": "OPTED_OUT"}
    assert here.reasons == {"hello": expected.get(what, "GOAL_MET")}
    first.close()
    second.close()


def test_without_the_confirmation_the_other_host_would_have_shown_it(tmp_path: Path) -> None:
    first, second, _ = two_clients(tmp_path / "nudges.db", nudge("hello"))
    second.decide("page", user="ada")
    first.record("hello", "dismissed", user="ada")
    explained = second.explain("page", user="ada")
    assert explained is not None
    assert explained.decision.nudge is not None, "the memory of the second host has to be stale for this test"
    assert second.decide("page", user="ada").nudge is None
    first.close()
    second.close()


def test_a_cap_spent_on_another_host_is_spent_here(tmp_path: Path) -> None:
    first, second, _ = two_clients(tmp_path / "nudges.db", nudge("a", placement="a"), nudge("b", placement="b"))
    second.decide("elsewhere", user="ada")
    assert first.decide("a", user="ada").nudge is not None
    assert second.decide("b", user="ada").reasons == {"b": "THROTTLED"}
    first.close()
    second.close()


def test_a_cap_of_the_account_spent_for_a_colleague_on_another_host_is_spent_here(tmp_path: Path) -> None:
    capped = nudge("hello", caps=[{"count": 1, "days": 1, "per": "account"}])
    first, second, _ = two_clients(tmp_path / "nudges.db", capped)
    second.decide("elsewhere", user="bob", account="acme")
    assert first.decide("page", user="ada", account="acme").nudge is not None
    assert second.decide("page", user="bob", account="acme").reasons == {"hello": "CAPPED"}
    first.close()
    second.close()


def test_threads_of_two_hosts_never_spend_one_cap_twice(tmp_path: Path) -> None:
    placements = [nudge(f"n{number}", placement=f"p{number}") for number in range(2)]
    hosts = two_clients(tmp_path / "nudges.db", *placements)[:2]
    offers: list[tuple[int, str]] = []
    barrier = threading.Barrier(4)

    def ask(number: int) -> None:
        for user in range(60):
            barrier.wait()
            decision = hosts[number % 2].decide(f"p{number // 2}", user=f"user-{user}")
            if decision.nudge is not None:
                offers.append((user, decision.id))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    by_user = {user: {id for each, id in offers if each == user} for user in range(60)}
    assert max(map(len, by_user.values())) == 1, "one member saw two nudges under a cap of one"
    assert sum(map(len, by_user.values())) > 50
    for user in range(60):
        assert len(hosts[0].store.exposures(f"personal:user-{user}", f"user-{user}")) <= 1
    for host in hosts:
        host.close()


def test_processes_never_spend_the_cap_of_an_account_twice(tmp_path: Path) -> None:
    database = tmp_path / "nudges.db"
    capped = nudge("hello", caps=[{"count": 1, "days": 1, "per": "account"}])
    with open_client(database) as client:
        client.publish(product(capped, settings=FREE))
    code = """
client = open_client(sys.argv[1], journal=sys.argv[1] + sys.argv[2], max_staleness=3600, store_wait=1)
for number in range(150):
    client.decide("elsewhere", user=sys.argv[2], account=f"account-{number}")
start = float(sys.argv[3])
for number in range(150):
    while time.time() < start + number * 0.004: pass
    decision = client.decide("page", user=sys.argv[2], account=f"account-{number}")
    if decision: say(number)
client.close()
"""
    import time

    begin = str(time.time() + 2.5)
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda user=user: found.extend(run(code, database, user, begin))) for user in "ab"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(int, found)) == list(range(150))


def test_nothing_is_shown_while_the_store_is_locked_not_even_what_is_on_display_elsewhere(
    tmp_path: Path, request_wait: float
) -> None:
    database = tmp_path / "nudges.db"
    with open_client(database, definition=product(nudge("hello"))) as client:
        client.decide("elsewhere", user="ada")
        with locked(database):
            with Stopwatch() as took:
                assert client.decide("page", user="ada").reasons == {"hello": "UNCONFIRMED"}
            assert 0.8 * request_wait < took.seconds < request_wait + SLACK
        assert client.store.exposures("personal:ada", "ada") == []
        assert client.decide("page", user="ada").nudge is not None


def test_a_dismissal_while_the_store_is_locked_hides_at_once_and_arrives_later(
    tmp_path: Path, request_wait: float
) -> None:
    database = tmp_path / "nudges.db"
    first, second, _ = two_clients(database, nudge("hello"))
    offered = first.decide("page", user="ada")
    with locked(database):
        with Stopwatch() as took:
            assert first.record(offered, "dismissed") is True
        assert took.seconds < request_wait + SLACK
        assert first.decide("page", user="ada").reasons == {"hello": "DISMISSED"}
    assert first.decide("page", user="ada").reasons == {"hello": "DISMISSED"}
    assert first.flush()
    assert second.decide("page", user="ada").reasons == {"hello": "DISMISSED"}
    assert {each.kind for each in second.store.exposures("personal:ada", "ada")} == {"offered", "dismissed"}
    first.close()
    second.close()
