"""The funnel from sign-up to won, beside a plain reading of the journeys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nudge_sdk.errors import SetupError
from nudge_sdk.insights.funnel import funnel, funnel_rows, funnel_words
from nudge_sdk.insights.funnel_reports import FunnelGroup, FunnelReport
from nudge_sdk.rules.times import DAY, HOUR
from tests.insights.given_tables import given_tables

NOW = 20_000 * DAY + 15 * HOUR
KEYS = ("signed_up_at", "activated_at", "qualified_at", "hot_at", "won_at")

instants = st.one_of(st.none(), st.integers(0, 40).map(lambda days: NOW - (40 - days) * DAY))
people = st.lists(
    st.fixed_dictionaries({
        **dict.fromkeys(KEYS, instants),
        "account_id": st.sampled_from(["acme", "beta"]),
        "segment": st.sampled_from(["big", "rest", ""]),
        "source": st.sampled_from(["ads", ""]),
    }),
    max_size=25,
)  # fmt: skip


def members(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, "user_id": f"user-{number}"} for number, row in enumerate(rows)]


def came(row: dict[str, Any], within: float | None) -> int:
    """Return how many steps somebody came through in order."""
    end = NOW if within is None else min(NOW, (row["signed_up_at"] or 0) + round(within * DAY))
    steps, before = 0, 0
    for key in KEYS:
        at = row[key]
        if at is None or at < before or at > (end if steps else NOW):
            break
        steps, before = steps + 1, at
    return steps


def is_over(row: dict[str, Any], within: float | None) -> bool:
    return within is None or row["signed_up_at"] + round(within * DAY) <= NOW


def won(row: dict[str, Any], within: float | None) -> bool:
    end = NOW if within is None else min(NOW, row["signed_up_at"] + round(within * DAY))
    return row["won_at"] is not None and row["won_at"] <= end


def counts(group: FunnelGroup) -> list[int]:
    return [step.count for step in group.steps]


def expected(rows: list[dict[str, Any]], within: float | None) -> list[int]:
    return [sum(came(row, within) > step for row in rows) for step in range(len(KEYS))]


@given(people, st.sampled_from([None, 5.0, 30.0]), st.sampled_from(["", "segment", "source", "cohort"]))
@settings(deadline=None, max_examples=60)
def test_the_counts_are_those_of_a_plain_reading(rows: list[dict[str, Any]], within: float | None, by: str) -> None:
    report = funnel(given_tables(journeys=members(rows)), by=by, within_days=within, at=NOW)
    known = [row for row in rows if row["signed_up_at"] is not None and row["signed_up_at"] <= NOW]
    over = [row for row in known if is_over(row, within)]
    assert counts(report.total) == expected(over, within)
    assert report.total.waiting == len(known) - len(over)
    assert report.unknown == len(rows) - len(known)
    outside = [row for row in over if won(row, within) and came(row, within) < len(KEYS)]
    assert report.total.outside_count == len(outside) == sum(each.count for each in report.total.outside)
    if by in ("segment", "source"):
        for group in report.groups:
            assert counts(group) == expected([row for row in over if row[by] == group.key], within)
        assert sum(counts(group)[0] for group in report.groups) == len(over)


@given(people, st.sampled_from([None, 5.0]))
@settings(deadline=None, max_examples=40)
def test_a_cohort_is_a_week_from_monday_and_is_observed_when_its_last_window_is_over(
    rows: list[dict[str, Any]], within: float | None
) -> None:
    report = funnel(given_tables(journeys=members(rows)), by="cohort", within_days=within, at=NOW)
    known = [row for row in rows if row["signed_up_at"] is not None]
    weeks: dict[str, list[dict[str, Any]]] = {}
    for row in known:
        day = datetime.fromtimestamp(row["signed_up_at"] / 1e6, UTC).date()
        weeks.setdefault(str(day - timedelta(days=day.weekday())), []).append(row)
    assert [group.key for group in report.groups] == sorted(weeks)
    for group in report.groups:
        assert counts(group) == expected(weeks[group.key], within)
        assert group.is_observed == all(is_over(row, within) for row in weeks[group.key])


@pytest.mark.parametrize("day", [-1, 0, 3, 4, 20_000])
def test_sign_ups_of_long_ago_have_their_monday_too(day: int) -> None:
    (group,) = funnel(
        given_tables(journeys=members([{"account_id": "a", "signed_up_at": day * DAY + 5}])), by="cohort", at=NOW
    ).groups
    monday = datetime.fromisoformat(group.key).replace(tzinfo=UTC)
    assert monday.weekday() == 0
    assert monday <= datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day) < monday + timedelta(days=7)


def test_who_was_won_in_another_order_is_shown_with_what_was_missing() -> None:
    at = NOW - 100 * DAY
    rows = [
        {"signed_up_at": at, "won_at": at + DAY},
        {"signed_up_at": at, "activated_at": at, "won_at": at},
        {"signed_up_at": at, "activated_at": at, "qualified_at": at + 2 * DAY, "won_at": at + DAY},
        {"signed_up_at": at, "activated_at": at, "qualified_at": at, "won_at": at + DAY},
        {"signed_up_at": at, "activated_at": at, "qualified_at": at, "hot_at": at, "won_at": at},
    ]
    total = funnel(given_tables(journeys=members([{"account_id": "a", **row} for row in rows])), at=NOW).total
    assert counts(total) == [5, 4, 3, 1, 1]
    missing = {each.missing: each.count for each in total.outside}
    assert missing == {"activated": 1, "qualified": 2, "hot": 1}


def test_where_nobody_can_become_a_pqa_the_step_is_left_out() -> None:
    at = NOW - 100 * DAY
    rows = [
        {"signed_up_at": at, "activated_at": at, "qualified_at": at + DAY, "won_at": at + 2 * DAY},
        {"signed_up_at": at, "activated_at": at, "qualified_at": at + DAY},
    ]
    tables = given_tables(journeys=members([{"account_id": "a", **row} for row in rows]))
    tables.details = {"has_pqa": False}
    report = funnel(tables, at=NOW)
    assert [each.key for each in report.total.steps] == ["signed_up", "activated", "qualified", "won"]
    assert counts(report.total) == [2, 2, 2, 1]
    assert report.total.outside == ()
    assert any("the step is left out" in each for each in report.notes)
    tables.details = {"has_pqa": True}
    assert counts(funnel(tables, at=NOW).total) == [2, 2, 2, 0, 0]


def test_members_and_accounts_are_counted_apart() -> None:
    at = NOW - 100 * DAY
    rows = [
        {"account_id": "acme", "user_id": "", "signed_up_at": at},
        {"account_id": "acme", "user_id": "ann", "signed_up_at": at},
        {"account_id": "acme", "user_id": "bob", "signed_up_at": at},
    ]
    tables = given_tables(journeys=rows)
    assert counts(funnel(tables, unit="member", at=NOW).total)[0] == 2
    assert counts(funnel(tables, unit="account", at=NOW).total)[0] == 1


def test_it_is_divided_by_a_trait_of_the_member_or_else_of_its_account() -> None:
    rows = [
        {"account_id": "acme", "user_id": "", "signed_up_at": 1, "traits": '{"plan":"pro"}'},
        {"account_id": "acme", "user_id": "ann", "signed_up_at": 1, "traits": "{}"},
        {"account_id": "acme", "user_id": "bob", "signed_up_at": 1, "traits": '{"plan":"free"}'},
        {"account_id": "beta", "user_id": "cyd", "signed_up_at": 1, "traits": '{"plan":7}'},
        {"account_id": "beta", "user_id": "dan", "signed_up_at": 1, "traits": '{"plan":true}'},
        {"account_id": "beta", "user_id": "eve", "signed_up_at": 1, "traits": None},
    ]
    groups = funnel(given_tables(journeys=rows), by="trait:plan", at=NOW).groups
    assert {group.key: counts(group)[0] for group in groups} == {"pro": 1, "free": 1, "7": 1, "true": 1, "": 1}
    assert {group.name for group in groups if not group.key} == {"(none)"}


def test_nothing_later_than_the_moment_is_looked_at() -> None:
    at = NOW - 100 * DAY
    rows = [{"account_id": "a", "signed_up_at": at, "activated_at": at + DAY, "qualified_at": at + 2 * DAY}]
    tables = given_tables(journeys=members(rows))
    assert counts(funnel(tables, within_days=None, at=at + DAY).total) == [1, 1, 0, 0, 0]
    assert funnel(tables, within_days=None, at=at - 1).unknown == 1


def test_only_the_largest_groups_are_shown_and_the_latest_weeks() -> None:
    rows: list[dict[str, Any]] = [
        {"account_id": "a", "signed_up_at": day * 7 * DAY, "source": f"s{day}"} for day in range(40)
    ]
    tables = given_tables(journeys=members([*rows, rows[39]]))
    by_source = funnel(tables, by="source", at=NOW)
    assert (len(by_source.groups), by_source.other_groups, by_source.groups[0].key) == (30, 10, "s39")
    weeks = funnel(tables, by="cohort", at=NOW).groups
    assert weeks[-1].key == "1970-09-28"
    assert counts(by_source.total)[0] == 41


def report(**asked: Any) -> FunnelReport:
    at = NOW - 100 * DAY
    rows: list[dict[str, Any]] = [
        {"account_id": "a", "signed_up_at": at, "activated_at": at, "won_at": at + DAY},
        {"account_id": "a", "signed_up_at": NOW - DAY},
        {"account_id": "a"},
    ]
    return funnel(given_tables(journeys=members(rows)), at=NOW, **asked)


def test_the_words_say_unit_order_window_and_who_stands_apart() -> None:
    text = "\n".join(funnel_words(report(by="cohort")))
    for said in (
        "Everybody (by member)", "Activation", "outside this order: 1 took the last step (1 without PQL before)",
        "not yet observed: 1 members", "1 members have no known sign-up", "Each step is at or after the one before it",
        "within 30 days of sign-up", "not yet observed)", "Wilson intervals, 95%", "run nudge refresh",
    ):  # fmt: skip
        assert said in text


def test_the_table_has_a_line_for_each_step_of_each_group() -> None:
    rows = funnel_rows(report(by="segment"))
    assert [row.step for row in rows[:5]] == ["Sign-up", "Activation", "PQL", "PQA", "Won"]
    assert len(rows) == 10
    assert rows[1].of_first == 1.0
    assert rows[1].of_first_low < 1.0


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"unit": "session"}, "not of 'session'"),
        ({"by": "country"}, "segment, cohort, source or trait"),
        ({"by": "trait:"}, "cannot be asked for"),
        ({"within_days": 0}, "a window of 0 days"),
    ],
)
def test_what_cannot_be_says_what_can(asked: dict[str, Any], told: str) -> None:
    with pytest.raises(SetupError, match=told):
        report(**asked)
