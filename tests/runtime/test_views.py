"""What was once sorted out for a member is sorted out anew as soon as anything it rests on is different."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nudge_sdk import NudgeClient
from tests.runtime.examples import FREE, nudge, open_client, product

Act = Callable[[NudgeClient], object]
KEY = ("acme", "ada")
ADA: dict[str, Any] = {"user": "ada", "account": "acme"}
SEGMENTS = [
    {"key": key, **when, "member": {"warm": {"score": 5}}, "account": {"warm": {"score": 5}}}
    for key, when in (("big", {"when": {"account_trait": "size", "equals": "big"}}), ("all", {}))
]

MILESTONES = [
    {"key": "two_campaigns", "signal": {"event": "campaign_sent"}, "at_least": 2, "category": "high"},
    {"key": "joined", "subject": "account", "signal": {"event": "teammate_joined"}, "category": "high"},
]


@pytest.fixture
def client(tmp_path: Path, audience: dict[str, Any]) -> Iterator[NudgeClient]:
    """A client with a journal, asked for a nudge of such an audience, and for one elsewhere."""
    nudges = [nudge("page", **audience), nudge("other", placement="elsewhere")]
    goals = [{"key": "paid", "name": "Paid"}]
    rules = product(*nudges, settings=FREE, segments=SEGMENTS, milestones=MILESTONES, goals=goals)
    with open_client(tmp_path / "nudges.db", journal=tmp_path / "journals", definition=rules) as client:
        for user in ("ada", "bob"):
            client.identify(user, {"plan": "free"}, account="acme")
            client.track(user, "page_viewed", account="acme")
        assert client.flush(10)
        yield client


def _sent(client: NudgeClient) -> object:
    return [client.track("ada", "campaign_sent", account="acme") for _ in range(2)]


def _joined_by_bob(client: NudgeClient) -> object:
    return client.track("bob", "teammate_joined", account="acme")


def _record(what: str, kind: Any) -> Act:
    return lambda client: client.record(what, kind, **ADA)


CHANGES: dict[str, tuple[dict[str, Any], Act, bool]] = {
    "a trait": (
        {"audience": {"trait": "plan", "equals": "trial"}},
        lambda client: client.identify("ada", {"plan": "trial"}, account="acme"),
        True,
    ),
    "a trait of the account": (
        {"audience": {"account_trait": "size", "equals": "big"}},
        lambda client: client.group("acme", {"size": "big"}),
        True,
    ),
    "the segment": (
        {"audience": {"segment": True, "equals": "big"}},
        lambda client: client.group("acme", {"size": "big"}),
        True,
    ),
    "the tier": ({"audience": {"tier": "member", "equals": "warm"}}, _sent, True),
    "the account's tier": ({"audience": {"tier": "account", "equals": "warm"}}, _joined_by_bob, True),
    "a milestone": ({"audience": {"milestone": "two_campaigns"}}, _sent, True),
    "an episode": ({"needs_episode": True, "goal": "paid"}, _sent, True),
    "a goal": ({"goal": "paid"}, lambda client: client.convert("acme"), False),
    "no to everything": ({}, _record("", "opted_out"), False),
    "its own dismissal": ({}, _record("page", "dismissed"), False),
    "a click on another": ({"audience": {"exposure": "other", "did": "clicked"}}, _record("other", "clicked"), True),
}


@pytest.mark.parametrize("is_drained", [False, True], ids=["undrained", "drained"])
@pytest.mark.parametrize(("audience", "act", "is_shown"), CHANGES.values(), ids=CHANGES)
def test_a_change_is_seen_by_the_next_decision(client: NudgeClient, act: Act, is_shown: bool, is_drained: bool) -> None:
    for _ in range(2):
        assert bool(client.decide("page", **ADA)) is not is_shown
        # Nothing that matters, so what was sorted out is carried on.
        client.track("ada", "page_viewed", account="acme")
    act(client)
    if is_drained:
        assert client.flush(10)
    assert bool(client.decide("page", **ADA)) is is_shown


@pytest.mark.parametrize("audience", [CHANGES["a trait"][0]])
@pytest.mark.parametrize("is_drained", [False, True], ids=["undrained", "drained"])
def test_an_event_that_changes_nothing_leaves_it_sorted_out(client: NudgeClient, is_drained: bool) -> None:
    client.decide("page", **ADA)
    before = _shortlists(client)
    assert before
    client.track("ada", "page_viewed", account="acme")
    if is_drained:
        assert client.flush(10)
    assert _shortlists(client) == before
    client.identify("ada", {"plan": "trial"}, account="acme")
    assert _shortlists(client) == {}


def _shortlists(client: NudgeClient) -> dict[str, Any]:
    return dict(client.profiles.view(KEY, client.now(), client.decider.catalog()).shortlists)
