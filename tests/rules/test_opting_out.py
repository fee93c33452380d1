"""Whoever says no to everything is not scored, until they say yes again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from nudge_sdk import NudgeClient
from nudge_sdk.options import Options
from nudge_sdk.rules.conditions import Condition, Signal
from nudge_sdk.rules.definition import Definition, Entry, Milestone, Segment, Thresholds
from nudge_sdk.rules.explaining import StandingReport
from nudge_sdk.rules.replay import replay
from nudge_sdk.rules.standing import Standing, decode_standing, encode_standing
from nudge_sdk.rules.stepping import Timeline
from nudge_sdk.rules.times import DAY, HOUR

NOON = 20_500 * DAY + 12 * HOUR
DEFINITION = Definition(
    milestones=(
        Milestone(key="sent", signal=Signal(event="sent"), points=5),
        Milestone(key="chief", when=Condition(trait="role", equals="chief"), points=3, axis="fit"),
        Milestone(key="busy", subject="account", signal=Signal(event="sent"), points=4),
    ),
    segments=(
        Segment(key="all", member=Thresholds(warm=Entry(score=5)), account=Thresholds(warm=Entry(score=4))),
    ),
)  # fmt: skip


class Ada:
    """A client with a clock, and a member who is warm."""

    def __init__(self) -> None:
        self.now = NOON
        options = Options(on_error="raise")
        self.client = NudgeClient("memory://", definition=DEFINITION, clock=lambda: self.now, options=options)
        self.client.identify("ada", {"role": "chief"}, account="acme")
        self.client.track("ada", "sent", account="acme")

    def say(self, kind: Any, tag: str = "") -> None:
        self.now += HOUR
        self.client.record(tag, kind, user="ada", account="acme")

    @property
    def standing(self) -> StandingReport:
        found = self.client.standing("ada", account="acme")
        assert found is not None
        return found


@pytest.fixture
def test() -> Iterator[Ada]:
    test = Ada()
    yield test
    test.client.close()


def test_an_objection_to_everything_ends_all_scoring(test: Ada) -> None:
    assert (test.standing.tier, test.standing.score, test.standing.fit, test.standing.reason) == ("warm", 5, 3, "")
    test.say("opted_out")
    found = test.standing
    assert (found.tier, found.entry, found.score, found.fit, found.reason) == ("none", "none", 0, 0, "opted_out")
    assert (found.reasons, found.tiers, found.label) == ((), (), "")
    assert found.sub_scores.depth == found.sub_scores.recency == found.sub_scores.frequency == 0
    assert {line.score for line in found.outlook} == {0}
    assert "nothing is scored" in found.why_now


def test_an_objection_ends_the_episode_and_none_begins(test: Ada) -> None:
    test.say("opted_out")
    (ended,) = test.client.store.episodes("acme", "ada")
    assert (ended.ended_at, ended.end_reason) == (test.now, "opt_out")
    test.now += 90 * DAY
    test.client.track("ada", "sent", account="acme")
    test.client.sweep()
    assert len(test.client.store.episodes("acme", "ada")) == 1
    assert test.standing.tier == "none"


def test_nobody_who_objected_is_counted_among_the_qualified(test: Ada) -> None:
    test.say("opted_out")
    (row,) = test.client.store.subjects(members=True)
    assert (row.tier, row.score, row.fit) == ("none", 0, 0)
    assert [(line.from_tier, line.tier) for line in test.client.store.transitions("acme", "ada")] == [
        ("none", "warm"),
        ("warm", "none"),
    ]


def test_an_objection_to_one_kind_of_nudge_goes_on_scoring(test: Ada) -> None:
    test.say("opted_out", "promo")
    assert (test.standing.tier, test.standing.reason) == ("warm", "")


def test_a_yes_brings_the_scoring_back_with_all_that_was_done(test: Ada) -> None:
    test.say("opted_out")
    test.client.track("ada", "sent", account="acme")
    test.say("opted_in")
    found = test.standing
    assert (found.tier, found.score, found.fit, found.reason) == ("warm", 5, 3, "")
    assert found.reasons[0].measured == 2


def test_what_a_member_does_still_counts_for_the_account(test: Ada) -> None:
    test.say("opted_out")
    account = test.client.standing(account="acme")
    assert account is not None
    assert (account.tier, account.score, account.reason) == ("warm", 4, "")


class Alone:
    """A client with a clock, and somebody without an account who makes the personal account warm."""

    def __init__(self) -> None:
        self.now = NOON
        options = Options(on_error="raise")
        self.client = NudgeClient("memory://", definition=DEFINITION, clock=lambda: self.now, options=options)
        self.client.track("eve", "sent")

    def say(self, kind: Any, tag: str = "") -> None:
        self.now += HOUR
        self.client.record(tag, kind, user="eve")

    def tier_of(self, account_id: str) -> str:
        (row,) = self.client.store.read_subjects([(account_id, "")]).values()
        assert row.tier == decode_standing(row.standing).tier
        return row.tier


@pytest.fixture
def alone() -> Iterator[Alone]:
    test = Alone()
    yield test
    test.client.close()


def test_a_personal_account_is_no_longer_scored_either(alone: Alone) -> None:
    assert alone.tier_of("personal:eve") == "warm"
    alone.say("opted_out", "promo")
    assert alone.tier_of("personal:eve") == "warm"
    alone.say("opted_out")
    (row,) = alone.client.store.read_subjects([("personal:eve", "")]).values()
    assert (row.tier, row.score, decode_standing(row.standing).reason) == ("none", 0, "opted_out")
    alone.client.track("eve", "sent")
    assert alone.tier_of("personal:eve") == "none"
    alone.say("opted_in")
    assert alone.tier_of("personal:eve") == "warm"


def test_the_account_that_somebody_joins_is_scored_and_they_are_not(alone: Alone) -> None:
    alone.say("opted_out")
    alone.client.group("acme", user="eve")
    assert alone.tier_of("acme") == "warm"
    found = alone.client.standing("eve", account="acme")
    assert found is not None
    assert (found.tier, found.reason) == ("none", "opted_out")


def test_who_said_no_before_the_log_in_is_not_scored_after_it(alone: Alone) -> None:
    alone.client.track("visitor", "sent")
    alone.now += HOUR
    alone.client.record("", "opted_out", user="visitor")
    assert (alone.tier_of("personal:visitor"), alone.tier_of("personal:eve")) == ("none", "warm")
    alone.client.alias("visitor", "eve")
    assert alone.tier_of("personal:eve") == "none"


def test_a_replay_of_the_history_says_the_same(alone: Alone) -> None:
    alone.say("opted_out")
    alone.client.track("eve", "sent")
    alone.now += 30 * DAY
    alone.client.sweep()
    store, rules = alone.client.store, alone.client.intake.catalog.rules
    courses = replay(Timeline([rules]), store.records(), until=alone.now)
    account = courses["personal:eve", ""]
    assert (account.standing.tier, account.standing.reason) == ("none", "opted_out")
    told = [(line.at, line.from_tier, line.tier) for line in store.transitions("personal:eve", "")]
    assert told == [(at, before, after) for at, _, before, after in account.transitions]
    assert told == [(NOON, "none", "warm"), (NOON + HOUR, "warm", "none")]


def test_a_standing_packed_by_an_earlier_release_is_read() -> None:
    now = Standing(NOON, 1, "all", 5, 0, "warm", "warm", 0, NOON, {}, NOON, None, "opted_out")
    assert decode_standing(encode_standing(now)) == now
    earlier = msgspec.msgpack.encode(msgspec.to_builtins(now)[:-1])
    assert decode_standing(earlier).reason == ""
