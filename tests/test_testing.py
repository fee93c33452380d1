"""What hosts use in their own tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nudge_sdk import NudgeClient, RecordError
from nudge_sdk.documents import to_yaml
from nudge_sdk.testing import START, Clock, NudgeTest, memory_client
from tests.runtime.examples import HELP, nudge, product

UPGRADE = nudge("upgrade", goal="paid", needs_episode=True)
HELPING = nudge("helping", goal="paid", needs_episode=True, mode="help", placement="help", content=HELP)


def test_given_these_events_expect_this_prompt_and_help_a_week_later() -> None:
    test = NudgeTest(product(UPGRADE, HELPING))
    test.given("ada", "campaign_sent", {"size": 100}, account="acme")
    test.expect_nothing("page", user="ada", account="acme")
    test.given("ada", "campaign_sent", account="acme")
    test.expect_prompt("page", "upgrade", user="ada", account="acme")
    test.clock.move(days=7)
    test.expect_nothing("page", user="ada", account="acme")
    test.expect_help("help", "helping", user="ada", account="acme")


def test_a_definition_is_taken_as_value_path_or_text(tmp_path: Path) -> None:
    text = to_yaml(product(UPGRADE))
    path = tmp_path / "definition.yaml"
    path.write_text(text)
    for form in (product(UPGRADE), path, str(path), text):
        test = NudgeTest(form)
        test.given("ada", "campaign_sent", times=2)
        test.expect_prompt("page", user="ada")


@pytest.mark.parametrize(
    ("expect", "times", "message"),
    [
        ("expect_prompt", 1, r"expected prompt upgrade at page, got nothing \(upgrade: NOT_TARGETED\)"),
        ("expect_help", 2, r"expected help upgrade at page, got prompt upgrade"),
    ],
)
def test_a_missed_expectation_says_what_came_and_why(expect: str, times: int, message: str) -> None:
    test = NudgeTest(product(UPGRADE))
    test.given("ada", "campaign_sent", times=times)
    with pytest.raises(AssertionError, match=message):
        getattr(test, expect)("page", "upgrade", user="ada")


def test_expecting_nothing_or_another_nudge_fails_where_there_is_one() -> None:
    test = NudgeTest(product(UPGRADE))
    test.given("ada", "campaign_sent", times=2)
    with pytest.raises(AssertionError, match="expected nothing at page, got upgrade"):
        test.expect_nothing("page", user="ada")
    with pytest.raises(AssertionError, match="expected prompt other at page, got prompt upgrade"):
        test.expect_prompt("page", "other", user="ada")


def test_the_clock_stands_still_until_it_is_moved() -> None:
    clock = Clock()
    assert clock() == clock() == START
    assert clock.move(days=1, hours=2) == START + timedelta(days=1, hours=2) == clock()
    clock.set(datetime(2030, 1, 1, tzinfo=UTC))
    assert clock().year == 2030
    assert Clock(datetime(2020, 1, 1, tzinfo=UTC))().year == 2020


def test_a_memory_client_raises_writes_at_once_and_begins_empty() -> None:
    first, second = memory_client(product(nudge("hello"))), memory_client()
    with pytest.raises(RecordError):
        first.track("", "campaign_sent")
    assert first.track("ada", "campaign_sent")
    assert [record.name for record in first.store.records()] == ["campaign_sent"]
    assert list(second.store.records()) == []
    assert first.decide("page", user="ada").nudge is not None
    assert second.decide("page", user="ada").nudge is None


def test_another_store_may_be_used(tmp_path: Path) -> None:
    test = NudgeTest(product(UPGRADE), store=f"sqlite:///{tmp_path}/nudges.db")
    test.given("ada", "campaign_sent", times=2)
    test.expect_prompt("page", user="ada")
    test.client.close()
    with NudgeClient(f"sqlite:///{tmp_path}/nudges.db", drain="external") as client:
        assert len(list(client.store.records())) == 2
