from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest

from nudge_sdk import NudgeClient
from nudge_sdk.insights.movement import MOST_NAMED, Movement, movement, uncounted
from nudge_sdk.rules.authoring import parse_definition
from nudge_sdk.rules.compiled import Rules
from nudge_sdk.rules.definition import Definition
from nudge_sdk.rules.standing import RANK
from nudge_sdk.testing import Clock, memory_client

EVENTS = ("campaign_sent", "contacts_imported", "teammate_invited")


def product(warm: float = 6, hot: float = 9, **changes: Any) -> Definition:
    """Three things to do, for 5, 3 and 2 points, and an account that needs two active users to be hot."""
    points = zip(EVENTS, (5, 3, 2), strict=True)
    milestones = [{"key": event, "signal": {"event": event}, "points": worth} for event, worth in points]
    milestones.append({"key": "account_campaign", "subject": "account", "signal": {"event": EVENTS[0]}, "points": 5})
    segment = {
        "key": "all",
        "name": "Everybody",
        "member": {"warm": {"score": warm}, "hot": {"score": hot}},
        "account": {"warm": {"score": 5}, "hot": {"score": 5, "gates": [{"active_users": 2}]}},
    }
    return parse_definition({"name": "product", "milestones": milestones, "segments": [segment], **changes})


def segments(*written: dict[str, Any]) -> dict[str, Any]:
    return {"segments": list(written)}


@pytest.fixture
def client() -> NudgeClient:
    client = memory_client(clock=Clock())
    client.publish(product())
    return client


def crowd(client: NudgeClient, accounts: int, seed: int = 3) -> None:
    random = Random(seed)
    for account in range(accounts):
        for user in range(random.randint(1, 3)):
            for event in random.sample(EVENTS, random.randint(1, 3)):
                client.track(f"user-{account}-{user}", event, account=f"account-{account}")


def moved(client: NudgeClient, after: Definition, **options: Any) -> Movement:
    return movement(client.store, client.decider.catalog().rules, Rules(after), client.now(), **options)


def tiers(client: NudgeClient) -> Counter[tuple[str, str]]:
    """How many are in each tier or above, as the store says it."""
    return Counter(
        ("member" if row.user_id else "account", tier)
        for row in client.store.subjects(limit=10_000)
        for tier in ("warm", "hot")
        if RANK[row.tier] >= RANK[tier]  # type: ignore[index]
    )


def test_a_lower_threshold_lets_in_whom_it_names(client: NudgeClient) -> None:
    client.track("ada", "campaign_sent", account="acme")
    client.track("bob", "teammate_invited", account="acme")
    found = moved(client, product(warm=5)).of("member", "warm")
    assert (found.before, found.after, found.entering, found.leaving) == (0, 1, 1, 0)
    (ada,) = found.first_entering
    assert (ada.account_id, ada.user_id, ada.before, ada.after) == ("acme", "ada", "none", "warm")
    assert (ada.score_before, ada.score_after, ada.segment) == (5000, 5000, "Everybody")
    assert ada.why == "Before: 5 of 6 points. After: 5 of 5 points."


def test_a_higher_threshold_puts_out_whom_it_names(client: NudgeClient) -> None:
    for event in EVENTS[:2]:
        client.track("ada", event, account="acme")
    found = moved(client, product(warm=8.5))
    assert [each.user_id for each in found.of("member", "warm").first_leaving] == ["ada"]
    assert found.of("member", "warm").segments[0].leaving == 1
    assert found.of("member", "hot").leaving == 0
    assert found.starting == 0


@pytest.mark.parametrize(("warm", "hot"), [(2, 9), (5, 8), (8, 10), (3, 5), (9, 9)])
def test_it_foretells_what_publishing_does(client: NudgeClient, warm: float, hot: float) -> None:
    crowd(client, 40)
    after = product(warm, hot)
    found, before = moved(client, after), tiers(client)
    running = {row.key for row in client.store.subjects(limit=10_000) if row.episode_at is not None}
    client.publish(after)
    client.sweep()
    now = tiers(client)
    for each in found.tiers:
        key = (each.subject, each.tier)
        assert (each.before, each.after) == (before[key], now[key])
        assert each.after - each.before == each.entering - each.leaving
    started = {row.key for row in client.store.subjects(limit=10_000) if row.episode_at is not None}
    assert found.starting == len(started - running)


def test_nothing_moves_where_nothing_changed(client: NudgeClient) -> None:
    crowd(client, 10)
    found = moved(client, product())
    assert found.is_still
    assert not found.is_sample


def test_nothing_is_written(client: NudgeClient) -> None:
    crowd(client, 10)
    before = client.store.subjects(limit=1000)
    moved(client, product(warm=1, hot=2))
    assert client.store.subjects(limit=1000) == before


def test_a_milestone_that_counts_something_new_is_named_and_reached_by_nobody(client: NudgeClient) -> None:
    client.track("ada", "workflow_started", account="acme")
    plain = {"key": "workflow", "signal": {"event": "workflow_started"}, "points": 9}
    after = product(milestones=[plain, {"key": "campaign_sent", "signal": {"event": "campaign_sent"}}])
    found = moved(client, after)
    assert found.uncounted == ("workflow",)
    assert found.of("member", "warm").entering == 0
    client.publish(after)
    assert uncounted(client.store, Rules(after)) == ()


def test_other_points_for_what_is_counted_already_are_known(client: NudgeClient) -> None:
    client.track("ada", "teammate_invited", account="acme")
    after = product(milestones=[{"key": "team", "signal": {"event": "teammate_invited"}, "points": 7}])
    found = moved(client, after)
    assert found.uncounted == ()
    assert found.of("member", "warm").entering == 1


def test_accounts_enter_and_leave_too(client: NudgeClient) -> None:
    for user in ("ada", "bob"):
        client.track(user, "campaign_sent", account="acme")
    gate = {"score": 5, "gates": [{"active_users": 3}]}
    after = product(**segments({"key": "all", "account": {"warm": {"score": 5}, "hot": gate}}))
    (acme,) = moved(client, after).of("account", "hot").first_leaving
    assert (acme.user_id, acme.before, acme.after) == ("", "hot", "warm")
    assert "needs 3 active users in the last 7 days (has 2)" in acme.why


def test_another_segment_is_said_with_its_name(client: NudgeClient) -> None:
    client.group("acme", {"employees": 120})
    client.track("ada", "campaign_sent", account="acme")
    large = {"key": "large", "name": "Large", "when": {"account_trait": "employees", "at_least": 100}}
    large["member"] = {"warm": {"score": 4}}
    found = moved(client, product(**segments(large, {"key": "all"}))).of("member", "warm")
    assert [(each.key, each.entering) for each in found.segments] == [("large", 1)]
    assert found.first_entering[0].why == "Before in Everybody: 5 of 6 points. After in Large: 5 of 4 points."


def test_somebody_who_rests_gets_no_new_prompts(client: NudgeClient) -> None:
    for event in EVENTS[:2]:
        client.track("ada", event, account="acme")
    clock = client._clock
    assert isinstance(clock, Clock)
    clock.move(days=35)
    client.sweep()
    client.track("ada", "campaign_sent", account="acme")
    found = moved(client, product(warm=5))
    assert found.of("member", "warm").entering == 1
    assert found.starting == 0


def test_of_many_a_sample_is_judged_the_same_one_each_time(client: NudgeClient) -> None:
    crowd(client, 60)
    first, again = (moved(client, product(warm=2), most=40) for _ in range(2))
    assert first == again
    assert first.is_sample
    assert 10 <= first.judged <= 40 < first.known
    whole = moved(client, product(warm=2))
    assert whole.judged == whole.known == first.known
    names = {each.user_id for each in whole.of("member", "warm").first_entering}
    assert {each.user_id for each in first.of("member", "warm").first_entering} <= names


def test_no_more_than_the_first_are_named_those_with_most_points_first(client: NudgeClient) -> None:
    for number in range(MOST_NAMED + 5):
        client.track(f"user-{number}", EVENTS[number % 3], account=f"account-{number}")
    found = moved(client, product(warm=2)).of("member", "warm")
    assert found.entering == MOST_NAMED + 5
    scores = [each.score_after for each in found.first_entering]
    assert len(scores) == MOST_NAMED
    assert scores == sorted(scores, reverse=True)


def test_definitions_of_one_number_are_told_apart(client: NudgeClient) -> None:
    client.track("ada", "campaign_sent", account="acme")
    before, after = Rules(product()), Rules(product(warm=5))
    assert before.number == after.number
    assert movement(client.store, before, after, client.now()).of("member", "warm").entering == 1
