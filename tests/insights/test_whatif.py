from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nudge_sdk import NudgeClient
from nudge_sdk.insights.peaks import Climb, Climbs, Peak, climbs
from nudge_sdk.insights.whatif import MONDAY, WEEK, PeakColumns, threshold_curve, walk_key, what_if, what_if_words
from nudge_sdk.rules.authoring import parse_definition
from nudge_sdk.rules.compiled import Rules
from nudge_sdk.rules.records import Record
from nudge_sdk.rules.times import DAY, HOUR, SECOND
from nudge_sdk.testing import Clock, memory_client

START = MONDAY + 2900 * WEEK
"""A Monday."""


def at(after: int) -> datetime:
    return datetime.fromtimestamp((START + after) / SECOND, UTC)


def definition(warm: float = 5, hot: float = 8, **changes: Any) -> Any:
    raw = {
        "name": "Product",
        "milestones": [
            {"key": "sent", "name": "Sent", "signal": {"event": "sent"}, "points": 5, "is_aha": True, "done": "x"},
            {"key": "invited", "name": "Invited", "signal": {"event": "invited"}, "points": 3, "done": "x"},
            {
                "key": "team",
                "name": "Team",
                "subject": "account",
                "signal": {"event": "sent"},
                "at_least": 2,
                "points": 8,
            },
        ],
        "segments": [
            {
                "key": "everybody",
                "capacity_per_week": 1,
                "member": {"warm": {"score": warm}},
                "account": {"hot": {"score": hot}},
            }
        ],
        **changes,
    }
    return parse_definition(raw)


def columns(*members: Climb, until: int, share: float = 1.0) -> PeakColumns:
    return PeakColumns(Climbs(until=until, first_at=START, climbs=members, share=share))


def member(name: str, *scores: tuple[int, float], won: int | None = None) -> Climb:
    peaks = [Peak(START + day * DAY, round(score * 1000), "everybody") for day, score in scores]
    return Climb(
        account_id=name,
        user_id=name,
        segment="everybody",
        won_at=None if won is None else START + won * DAY,
        warm=peaks,
    )


def test_a_threshold_is_entered_at_the_first_peak_that_is_as_high() -> None:
    found = columns(member("a", (0, 3), (2, 5), (9, 8)), member("b", (1, 2)), until=START + 99 * DAY).members
    for threshold, day in ((1, 0), (3, 0), (4, 2), (5, 2), (6, 9), (8, 9)):
        assert found.entered_at("warm", {"everybody": threshold * 1000})[0] == START + day * DAY
    assert list(found.entered_at("warm", {"everybody": 9000})) == [-1, -1]
    assert list(found.entered_at("warm", {})) == [-1, -1]
    assert list(found.entered_at("hot", {"everybody": 0})) == [-1, -1]


def test_precision_counts_those_whose_window_is_over_and_recall_those_who_converted() -> None:
    found = columns(
        member("buys after", (1, 9), won=10),
        member("buys later than the window", (1, 9), won=40),
        member("never buys", (2, 9)),
        member("bought before", (20, 9), won=3),
        member("is not over", (80, 9)),
        member("buys unseen", won=5),
        until=START + 100 * DAY,
    )
    curve = threshold_curve(found, Rules(definition()), ("everybody", "member", "warm"))
    step = next(each for each in curve.steps if each.threshold == 5)
    assert (step.precision.count, step.precision.of) == (1, 3)
    assert (step.recall.count, step.recall.of) == (2, 4)
    assert curve.threshold == 5


def test_numbers_a_week_are_means_over_whole_weeks_and_of_all_accounts() -> None:
    climbed = [member(f"u{number}", (7 * (number % 4), 9)) for number in range(8)]
    whole = columns(*climbed, until=START + 4 * WEEK)
    half = columns(*climbed, until=START + 4 * WEEK, share=0.5)
    for found, per_week in ((whole, 2.0), (half, 4.0)):
        curve = threshold_curve(found, Rules(definition()), ("everybody", "member", "warm"))
        assert [each.per_week for each in curve.steps if each.threshold == 5] == [per_week]


def test_the_proposal_is_the_lowest_threshold_within_capacity() -> None:
    accounts = [
        Climb(
            account_id=f"a{score}",
            user_id="",
            segment="everybody",
            hot=[Peak(START + DAY, score * 1000, "everybody")],
        )
        for score in (3, 5, 8, 12)
    ]
    found = columns(*accounts, until=START + 2 * WEEK)
    curve = threshold_curve(found, Rules(definition()), ("everybody", "account", "hot"))
    assert curve.capacity == 1
    assert [(each.threshold, each.per_week) for each in curve.steps if each.threshold in (3, 4, 6, 12)] == [
        (3, 2.0),
        (4, 1.5),
        (6, 1.0),
        (12, 0.5),
    ]
    assert curve.proposal == 6


def test_a_definition_that_differs_in_thresholds_alone_needs_no_other_replay() -> None:
    assert walk_key(definition()) == walk_key(definition(warm=9, hot=3))
    other = definition()
    milestones = (msgspec.structs.replace(other.milestones[0], points=4), *other.milestones[1:])
    assert walk_key(definition()) != walk_key(msgspec.structs.replace(other, milestones=milestones))
    one_tier = msgspec.structs.replace(other.segments[0].member, warm=None)
    segments = (msgspec.structs.replace(other.segments[0], member=one_tier),)
    assert walk_key(definition()) != walk_key(msgspec.structs.replace(other, segments=segments))


@pytest.fixture
def client() -> NudgeClient:
    client = memory_client(definition(), clock=Clock(at(60 * DAY)))
    for day, user, event in (
        (0, "ann", "sent"),
        (1, "bob", "invited"),
        (2, "bob", "sent"),
        (3, "cyd", "invited"),
        (4, "bob", "sent"),
    ):
        then = START + day * DAY + HOUR
        client.track(user, event, account=f"{user} ltd", at=then, id=f"{day}{user}")
    client.convert(account="bob ltd", user="bob", at=START + 9 * DAY, id="paid")
    client.flush()
    return client


def compared(client: NudgeClient, before: Any, after: Any) -> Any:
    now = START + 60 * DAY
    rules = Rules(before), Rules(after)
    found = [PeakColumns(climbs(client.store, each, now)) for each in rules]
    return what_if(found[0], found[1], rules)


def test_who_enters_and_leaves_is_named_with_what_became_of_them(client: NudgeClient) -> None:
    found = compared(client, definition(warm=5, hot=8), definition(warm=8, hot=99))
    assert (found.members.before.qualified, found.members.after.qualified) == (2, 1)
    assert [each.user_id for each in found.members.first_leaving] == ["ann"]
    assert found.members.entering == 0
    assert (found.members.after.precision.count, found.members.after.precision.of) == (1, 1)
    assert (found.members.before.precision.count, found.members.before.precision.of) == (1, 2)
    assert [(each.account_id, each.won_at) for each in found.accounts.first_leaving] == [("bob ltd", START + 9 * DAY)]
    assert sum(each.before for each in found.members.weeks) == 2
    assert sum(each.after for each in found.members.weeks) == 1


def test_other_points_are_replayed(client: NudgeClient) -> None:
    other = definition()
    invited = msgspec.structs.replace(other.milestones[1], points=5)
    other = msgspec.structs.replace(other, milestones=(other.milestones[0], invited, other.milestones[2]))
    found = compared(client, definition(), other)
    assert [each.user_id for each in found.members.first_entering] == ["cyd"]
    assert found.members.leaving == 0


def test_history_that_was_imported_counts_when_it_happened() -> None:
    client = memory_client(definition(), clock=Clock(at(50 * DAY)))
    record = Record("track", "acme", "ann", "1", START, START + 50 * DAY, "sent", history=True)
    client.intake.take([record], wait=5)
    (found,) = (each for each in climbs(client.store, Rules(definition()), START + 60 * DAY).climbs if each.user_id)
    assert [each.at for each in found.warm] == [START]


def test_a_sample_takes_whole_accounts(client: NudgeClient) -> None:
    for number in range(64):
        for user in ("x", "y"):
            client.track(f"{user}{number}", "sent", account=f"acme {number}", id=f"{user}{number}")
    client.flush()
    found = climbs(client.store, Rules(definition()), START + 60 * DAY, most=40)
    assert found.is_sample
    accounts = [each.account_id for each in found.climbs if not each.user_id]
    members = [each.account_id for each in found.climbs if each.user_id]
    assert 0 < len(members) <= 40
    assert set(members) == set(accounts)
    assert all(members.count(each) == 2 for each in accounts if each.startswith("acme"))


@given(st.lists(st.lists(st.tuples(st.integers(0, 90), st.integers(1, 20)), max_size=5), min_size=1, max_size=9))
def test_every_threshold_agrees_with_asking_each_person(drawn: Sequence[Sequence[tuple[int, int]]]) -> None:
    people = [member(str(index), *sorted(mine)) for index, mine in enumerate(drawn)]
    found = columns(*people, until=START + 99 * DAY).members
    for threshold in range(1, 21):
        expected = [
            min((each.at for each in person.warm if each.score >= threshold * 1000), default=-1) for person in people
        ]
        assert list(found.entered_at("warm", {"everybody": threshold * 1000})) == expected
    assert found.won_at.dtype == np.int64


def test_the_words_say_what_would_change(client: NudgeClient) -> None:
    words = "\n".join(what_if_words(compared(client, definition(), definition(warm=8, hot=99))))
    assert "PQLs" in words
    assert "1 would no longer qualify" in words
