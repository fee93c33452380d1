from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nudge_sdk.insights.signal_counts import MOST_DAYS, MOST_NAMES, MOST_TIMES
from nudge_sdk.insights.signal_reports import CountedFrom, EventSignal, SignalReport
from nudge_sdk.insights.signals import signals
from nudge_sdk.rules.times import DAY, HOUR, MINUTE
from tests.insights.given_tables import given_tables

NOW = 100 * DAY
Row = dict[str, Any]


def member(number: int, signed_up_at: int | None, won_at: int | None = None, account: str = "") -> Row:
    return {
        "account_id": account or f"a{number}",
        "user_id": f"u{number}",
        "signed_up_at": signed_up_at,
        "won_at": won_at,
    }


def event(who: Row, name: str, at: int) -> Row:
    return {"account_id": who["account_id"], "user_id": who["user_id"], "name": name, "at": at}


def of(report: SignalReport, name: str) -> EventSignal:
    return next(each for each in report.events if each.name == name)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Row], list[Row]]:
    """A few members with a few events each, around the edges of days and of the purchase."""
    journeys, events = [], []
    for number in range(draw(st.integers(0, 8))):
        signed_up_at = draw(st.integers(0, 70)) * DAY + draw(st.sampled_from([0, 1, 7 * HOUR]))
        won_after = draw(st.none() | st.integers(-2, 40 * 24))
        won_at = None if won_after is None else signed_up_at + won_after * HOUR
        journeys.append(member(number, draw(st.sampled_from([signed_up_at, signed_up_at, None])), won_at))
        for _ in range(draw(st.integers(0, 14))):
            at = signed_up_at + draw(st.integers(-1, 17)) * DAY + draw(st.sampled_from([-1, 0, 1, 5 * HOUR]))
            if won_at is not None and draw(st.booleans()):
                at = won_at + draw(st.sampled_from([-2 * MINUTE, -1, 0, 1, DAY]))
            events.append(event(journeys[-1], draw(st.sampled_from(["sent", "invited"])), at))
    return journeys, events


def counted(
    journeys: list[Row], events: list[Row], cell: tuple[str, int, int], within: int, counted_from: CountedFrom
) -> tuple[int, int, int, int]:
    """(did it and paid, did it, paid, all), counted one member at a time."""
    name, times, days = cell
    length = max(within, MOST_DAYS) if counted_from == "sign-up" else MOST_DAYS + within
    both = did = paid = everybody = 0
    for who in journeys:
        start, won = who["signed_up_at"], who["won_at"]
        if start is None or start + length * DAY > NOW or (won is not None and won < start):
            continue
        end = start + days * DAY
        from_ = start if counted_from == "sign-up" else end
        if won is not None and won < from_:
            continue
        mine = [each for each in events if each["user_id"] == who["user_id"] and each["name"] == name]
        early = [each for each in mine if start <= each["at"] < end and (won is None or each["at"] < won)]
        has_paid = won is not None and won < from_ + within * DAY
        everybody += 1
        paid += has_paid
        did += len(early) >= times
        both += has_paid and len(early) >= times
    return both, did, paid, everybody


@settings(max_examples=30, deadline=None)
@given(histories(), st.sampled_from([3, 15, 30]), st.sampled_from(["sign-up", "observation"]))
def test_every_cell_is_what_counting_by_hand_gives(
    history: tuple[list[Row], list[Row]], within: int, counted_from: CountedFrom
) -> None:
    journeys, events = history
    report = signals(
        given_tables(journeys=journeys, events=events), now=NOW, within_days=within, counted_from=counted_from
    )
    for signal in report.events:
        assert [(each.days, each.at_least) for each in signal.cells] == [
            (days, times) for days in range(1, MOST_DAYS + 1) for times in range(1, MOST_TIMES + 1)
        ]
        for cell in signal.cells:
            both, did, paid, of = counted(
                journeys, events, (signal.name, cell.at_least, cell.days), within, counted_from
            )
            found = cell.association
            assert (found.precision.count, found.precision.of) == (both, did)
            assert (found.recall.of, found.false_omission.of) == (paid, of - did)


@settings(max_examples=15, deadline=None)
@given(histories())
def test_engines_agree(history: tuple[list[Row], list[Row]]) -> None:
    journeys, events = history
    found = [signals(given_tables(on=engine, journeys=journeys, events=events), now=NOW) for engine in ENGINES]
    assert found[0] == found[1]


ENGINES: tuple[Literal["sqlite", "duckdb"], ...] = ("sqlite", "duckdb")


def planted(members: int, seed: int) -> tuple[list[Row], list[Row]]:
    """A product in which those who invite somebody pay four times as often, and nothing else matters.

    ``plan_changed`` is tracked when somebody pays, half a minute before the purchase or after it; ``team_seat_used``
    only by those who have paid; ``plan_chosen`` by every buyer, and some others, before they pay.
    """
    random = np.random.default_rng(seed)
    journeys, events = [], []
    for number in range(members):
        start = int(random.integers(0, 60 * DAY))
        has_invited = random.random() < 0.3
        is_paying = random.random() < (0.4 if has_invited else 0.1)
        won_at = start + int(random.integers(2 * DAY, 25 * DAY)) if is_paying else None
        who = member(number, start, won_at)
        journeys.append(who)
        events.append(event(who, "signed_up", start))
        for name, share, most in (("viewed_docs", 0.6, 6), ("exported", 0.2, 3), ("logged_in", 0.9, 20)):
            if random.random() < share:
                times = random.integers(0, 20 * DAY, random.integers(1, most + 1))
                events += [event(who, name, start + int(each)) for each in times]
        if has_invited:
            events.append(event(who, "invited", start + int(random.integers(0, DAY))))
        if won_at is not None:
            events.append(event(who, "plan_changed", won_at + int(random.integers(-MINUTE // 2, MINUTE))))
            events.append(event(who, "team_seat_used", won_at + int(random.integers(HOUR, 2 * DAY))))
        if won_at is not None or random.random() < 0.15:
            before = won_at if won_at is not None else start + 10 * DAY
            events.append(event(who, "plan_chosen", before - int(random.integers(HOUR, DAY))))
    return journeys, events


@pytest.fixture(scope="module")
def report() -> SignalReport:
    journeys, events = planted(4000, seed=5)
    return signals(given_tables(on="duckdb", journeys=journeys, events=events), now=NOW)


def test_a_planted_action_is_found_first(report: SignalReport) -> None:
    assert report.top[0] == report.events[0].name == "invited"
    found = of(report, "invited")
    assert found.verdict == "predicts"
    assert found.best is not None
    assert (found.best.at_least, found.best.days) == (1, 1)
    assert found.best.q_value < 1e-6
    precision, others = found.best.association.precision, found.best.association.false_omission
    assert precision.low < 0.4 < precision.high
    assert others.low < 0.1 < others.high


def test_what_does_not_matter_is_not_said_to(report: SignalReport) -> None:
    assert report.top == ("invited",)
    for name in ("viewed_docs", "exported"):
        assert of(report, name).verdict == "unclear"


@pytest.mark.parametrize("name", ["plan_changed", "team_seat_used"])
def test_a_planted_leak_is_flagged(report: SignalReport, name: str) -> None:
    found = of(report, name)
    assert found.verdict == "leaky"
    assert found.after_purchase.share == 1
    assert "computed from the purchase" in found.reason
    assert name not in report.top


def test_a_leak_looks_better_than_anything_true(report: SignalReport) -> None:
    """Half of its occurrences lie before the purchase: without the flag it would be the first."""
    leak, truth = of(report, "plan_changed").best, of(report, "invited").best
    assert leak is not None
    assert truth is not None
    assert (leak.association.phi or 0) > (truth.association.phi or 0)
    assert leak.q_value == 1


def test_a_constant_event_carries_no_information(report: SignalReport) -> None:
    found = of(report, "signed_up")
    assert found.verdict == "no information"
    assert found.best is None
    assert f"{report.members:,} of {report.members:,} did it" in found.reason


def test_what_every_buyer_does_first_is_a_step_to_be_judged(report: SignalReport) -> None:
    found = of(report, "plan_chosen")
    assert found.verdict == "step"
    assert found.buyers.share == 1


def test_what_buyers_do_after_they_paid_is_no_sign_but_hindsight() -> None:
    """Everybody does it at times, but buyers chiefly once they have paid."""
    random = np.random.default_rng(8)
    journeys, events = [], []
    for number in range(1500):
        is_paying = number % 5 == 0
        who = member(number, 0, DAY if is_paying else None)
        journeys.append(who)
        if random.random() < (0.9 if is_paying else 0.4):
            after = DAY if is_paying and random.random() < 0.85 else 0
            events.append(event(who, "profile_edited", after + int(random.integers(0, DAY))))
    found = of(signals(given_tables(journeys=journeys, events=events), now=NOW), "profile_edited")
    assert found.verdict == "leaky"
    assert "hindsight" in found.reason


def test_those_whose_time_is_not_over_are_not_asked() -> None:
    journeys = [member(1, NOW - 31 * DAY), member(2, NOW - 29 * DAY), member(3, NOW + DAY), member(4, None)]
    report = signals(given_tables(journeys=journeys), now=NOW)
    assert (report.members, report.unfinished) == (1, 1)
    later = signals(given_tables(journeys=journeys), now=NOW + 30 * DAY)
    assert (later.members, later.unfinished) == (2, 1)
    observed = signals(given_tables(journeys=journeys), now=NOW, counted_from="observation")
    assert (observed.members, observed.unfinished) == (0, 2)


def test_those_who_joined_an_account_that_had_paid_are_not_asked() -> None:
    journeys = [member(1, 5 * DAY, 5 * DAY - 1), member(2, 5 * DAY, 5 * DAY)]
    report = signals(given_tables(journeys=journeys), now=NOW)
    assert (report.members, report.converted, report.already_paid) == (1, 1, 1)


def test_accounts_are_asked_for_what_all_their_members_did() -> None:
    journeys, events = [], []
    for number in range(40):
        won_at = 5 * DAY if number % 2 else None
        journeys.append({"account_id": f"a{number}", "user_id": "", "signed_up_at": 0, "won_at": won_at})
        for user in range(2):
            who = member(2 * number + user, 0, won_at, account=f"a{number}")
            journeys.append(who)
            if number % 2:
                events.append(event(who, "invited", DAY))
    tables = given_tables(journeys=journeys, events=events)
    by_account, by_member = (signals(tables, now=NOW, unit=unit) for unit in ("account", "member"))
    assert (by_account.members, by_member.members) == (40, 80)
    best = of(by_account, "invited").best
    assert best is not None
    assert best.association.phi == 1
    twice = next(each for each in of(by_account, "invited").cells if (each.days, each.at_least) == (2, 2))
    assert twice.association.precision.count == 20
    assert of(by_member, "invited").cells[11].association.precision.count == 0


def test_where_nobody_pays_nothing_is_said() -> None:
    journeys = [member(number, 0) for number in range(50)]
    events = [event(who, "sent", DAY) for who in journeys[:20]]
    report = signals(given_tables(journeys=journeys, events=events), now=NOW)
    assert report.top == ()
    assert of(report, "sent").verdict == "unclear"
    assert "nobody paid" in of(report, "sent").reason


def test_an_empty_store_gives_an_empty_report() -> None:
    report = signals(given_tables(), now=NOW)
    assert (report.members, report.events) == (0, ())


def test_of_very_many_names_the_most_frequent_are_tried() -> None:
    journeys = [member(number, 0) for number in range(3)]
    names = [f"button_{number}" for number in range(MOST_NAMES + 7)]
    events = [event(journeys[0], name, 1) for name in names] + [event(who, names[-1], 1) for who in journeys[1:]]
    report = signals(given_tables(journeys=journeys, events=events), now=NOW)
    assert len(report.events) == MOST_NAMES
    assert report.more_names == 7
    assert of(report, names[-1]).members == 3
