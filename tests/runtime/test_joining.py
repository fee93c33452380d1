"""Members who join, get a name, convert together or leave: counts, caps and answers go along."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nudge_sdk.testing import NudgeTest
from tests.runtime.examples import (
    locked,
    nudge,
    open_client,
    product,
    trial,
)


def _shown(test: NudgeTest, user: str = "ada", placement: str = "page", **asked: Any) -> str | None:
    decision = test.client.decide(placement, user=user, **asked)
    return decision.nudge.nudge if decision.nudge else None


def _reason(test: NudgeTest, key: str, user: str = "ada", placement: str = "page", **asked: Any) -> str:
    decision = test.client.decide(placement, user=user, **asked)
    assert decision.nudge is None or decision.nudge.nudge != key
    return decision.reasons[key]


def test_a_conversion_of_the_account_ends_the_episodes_of_colleagues() -> None:
    test = trial(nudge("upgrade", goal="paid", needs_episode=True))
    for user in ("ada", "bob"):
        test.given(user, "campaign_sent", account="acme", times=2)
        assert test.client.standing(user, account="acme").phase == "prompt"  # type: ignore[union-attr]
    test.clock.move(minutes=1)
    assert test.client.convert("acme", user="ada", value=49.0)
    for user in ("ada", "bob"):
        report = test.client.standing(user, account="acme")
        assert report is not None
        assert report.phase != "prompt"
        assert report.episode is not None
        assert report.episode.end_reason
        assert _reason(test, "upgrade", user=user, account="acme") == "GOAL_MET"
    assert _shown(test, user="eve", account="other") is None


def test_a_user_of_two_accounts_is_two_members() -> None:
    test = trial(nudge("hello"))
    assert _shown(test, account="acme") == "hello"
    test.client.record("hello", "dismissed", user="ada", account="acme")
    assert _shown(test, account="other") == "hello"
    assert _reason(test, "hello", account="acme") == "DISMISSED"


def test_joining_an_account_takes_counts_caps_and_answers_along(tmp_path: Path) -> None:
    nudges = [nudge("hello"), nudge("other", placement="other"), nudge("third", placement="third")]
    with open_client(tmp_path / "nudges.db", definition=product(*nudges)) as client:
        client.track("ada", "campaign_sent")
        client.track("ada", "campaign_sent")
        offered = client.decide("page", user="ada")
        client.record(offered, "dismissed")
        assert client.flush()
        assert client.group("acme", {"size": 3}, user="ada")
        for _ in range(2):
            assert client.decide("page", user="ada", account="acme").reasons == {"hello": "DISMISSED"}
            assert client.decide("other", user="ada", account="acme").reasons == {"other": "THROTTLED"}
            report = client.standing("ada", account="acme")
            assert report is not None
            assert (report.tier, report.phase) == ("warm", "prompt")
            assert client.decide("other", user="ada").reasons == {"other": "THROTTLED"}
            assert client.flush()
        assert client.decide("third", user="bob", account="acme").nudge is not None


@pytest.mark.parametrize("drained_before", [True, False])
def test_an_anonymous_visitor_who_logs_in_is_not_shown_it_again(tmp_path: Path, drained_before: bool) -> None:
    with open_client(tmp_path / "nudges.db", definition=product(nudge("hello", lifetime=1))) as client:
        client.track("cookie-1", "visited")
        if drained_before:
            assert client.flush()
        offered = client.decide("page", user="cookie-1")
        assert offered.nudge is not None
        assert client.record(offered, "dismissed")
        client.decide("elsewhere", user="ada")
        assert client.alias("cookie-1", "ada")
        for _ in range(2):
            assert client.decide("page", user="ada").reasons == {"hello": "DISMISSED"}
            assert client.decide("page", user="cookie-1").reasons == {"hello": "DISMISSED"}
            assert client.flush()
        assert client.decide("page", user="somebody else").nudge is not None


def test_joining_while_the_store_is_locked_keeps_caps_once_it_is_drained(tmp_path: Path, request_wait: float) -> None:
    database = tmp_path / "nudges.db"
    with open_client(database, definition=product(nudge("hello", lifetime=1))) as client:
        offered = client.decide("page", user="cookie-1")
        assert client.record(offered, "dismissed")
        with locked(database):
            assert client.alias("cookie-1", "ada") is True
        assert client.flush()
        assert client.decide("page", user="ada").reasons == {"hello": "DISMISSED"}


def test_somebody_who_left_gets_nothing_and_counts_no_more() -> None:
    segment = {"key": "all", "account": {"warm": {"score": 0, "gates": [{"active_users": 2}]}}}
    test = trial(nudge("hello"), segments=[segment])
    for user in ("ada", "bob"):
        test.client.group("acme", user=user)
        test.given(user, "campaign_sent", account="acme")
    assert test.client.standing(account="acme").active_users == 2  # type: ignore[union-attr]
    test.clock.move(minutes=1)
    test.client.group("acme", user="bob", left=True)
    assert _reason(test, "hello", user="bob", account="acme") == "NOT_TARGETED"
    assert test.client.standing(account="acme").active_users == 1  # type: ignore[union-attr]
    assert _shown(test, user="ada", account="acme") == "hello"
