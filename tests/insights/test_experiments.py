"""When an experiment ends, what then decides, and what nothing may change any more."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nudge_sdk.insights.experiments import Design, Units, report_of
from nudge_sdk.insights.lift_reports import LiftReport, Verdict
from nudge_sdk.insights.lift_words import lift_words
from nudge_sdk.insights.statistics.clusters import ClusterCounts, clustered_difference
from nudge_sdk.insights.statistics.comparisons import compare
from nudge_sdk.insights.statistics.power import plan_experiment
from nudge_sdk.insights.statistics.sequential import always_valid, half_width
from nudge_sdk.rules.times import DAY

PLAN = plan_experiment(0.2, 0.58)
"""11 units an arm; small enough to count."""


def design(**changes: Any) -> Design:
    plain = {"kind": "overall", "key": "paid", "name": "Paid", "goal": "paid", "unit": "account", "window_days": 30}
    return Design(**{**plain, "shares": {"withheld": 1, "offered": 1}, "plan": PLAN, **changes})


def units(*arms: tuple[int, int, int], several: int = 0, drawn: dict[str, int] | None = None, **named: Any) -> Units:
    """Units that come one an hour: (treated or not, how many, of which won), arm after arm, taken in turn."""
    rows = sorted(
        ((place, is_treated, place < won) for is_treated, of, won in arms for place in range(of)),
        key=lambda row: row[0],
    )
    treated = np.array([row[1] for row in rows], dtype=bool)
    counted = {"withheld": int((~treated).sum()), "offered": int(treated.sum())}
    plain: dict[str, Any] = {
        "is_treated": treated,
        "has_won": np.array([row[2] for row in rows], dtype=bool),
        "first_at": np.arange(len(rows), dtype=np.int64) * DAY // 24,
        "cluster": None,
        "drawn": drawn or counted,
        "several": several,
        "exposed": len(rows),
    }
    return Units(**{**plain, **named})


def days(report: LiftReport) -> tuple[int | None, bool]:
    return report.progress.days, report.progress.is_over


def test_the_planned_size_alone_is_not_enough_before_14_days_and_the_window_have_passed() -> None:
    found = units((0, 12, 2), (1, 12, 9))
    before = report_of(design(), found, 44 * DAY - 1)
    assert before.verdict is Verdict.NOT_YET
    assert before.final is None
    assert "24 of 22 accounts planned have been observed, on day 43 of at least 44" in before.reason
    after = report_of(design(), found, 44 * DAY)
    assert (after.verdict, days(after)) == (Verdict.GAIN, (44, True))
    assert after.final == compare((2, 12), (9, 12))


def test_14_days_alone_are_not_enough_before_the_planned_size() -> None:
    found = report_of(design(), units((0, 10, 0), (1, 11, 11)), 400 * DAY)
    assert (found.verdict, found.final) == (Verdict.NOT_YET, None)
    assert "21 of 22" in found.reason
    assert found.live.shows == "gain", "what may be looked at every day says it, without a verdict"


def test_who_comes_after_the_planned_end_changes_nothing_in_the_verdict() -> None:
    first, late = units((0, 12, 2), (1, 12, 9)), units((0, 300, 200), (1, 300, 40))
    both = first._replace(
        is_treated=np.concatenate([first.is_treated, late.is_treated]),
        has_won=np.concatenate([first.has_won, late.has_won]),
        first_at=np.concatenate([first.first_at, late.first_at + 15 * DAY]),  # type: ignore[operator]
        drawn={"withheld": 312, "offered": 312},
    )
    found = report_of(design(), both, 200 * DAY)
    assert found.final == report_of(design(), first, 200 * DAY).final
    assert found.progress.ends_at == 14 * DAY
    assert found.verdict is Verdict.GAIN
    assert found.live.shows == "harm"
    assert found.progress.observed == 624


def test_units_whose_window_is_open_are_in_no_interval() -> None:
    found = report_of(design(), units((0, 6, 6), (1, 6, 1)), 30 * DAY + 3 * DAY // 24)
    assert (found.control.seen.count, found.control.seen.of) == (2, 2)
    assert (found.control.waiting, found.control.waiting_won) == (4, 4)
    assert (found.treated.seen.of, found.treated.waiting, found.treated.waiting_won) == (2, 4, 0)
    assert found.live.units == 4


@pytest.mark.parametrize(
    ("control", "treated", "verdict", "word"),
    [
        (2, 10, Verdict.GAIN, "points more"),
        (10, 2, Verdict.HARM, "points fewer"),
        (6, 7, Verdict.NO_DIFFERENCE, "Chance alone may well explain that"),
        (6, 6, Verdict.NO_DIFFERENCE, "as many"),
        (0, 0, Verdict.NO_DIFFERENCE, "as many"),
    ],
)
def test_harm_is_said_as_plainly_as_gain(control: int, treated: int, verdict: Verdict, word: str) -> None:
    found = report_of(design(), units((0, 12, control), (1, 12, treated)), 100 * DAY)
    assert found.verdict is verdict
    assert word in found.reason
    assert lift_words(found)[1] == f"{verdict.value.capitalize()}: {found.reason}"


def test_the_live_interval_is_the_always_valid_one_tuned_for_the_plan() -> None:
    found = report_of(design(), units((0, 8, 2), (1, 8, 5)), 400 * DAY)
    low, high = always_valid((2, 8), (5, 8), planned=PLAN.units)
    assert (found.live.low, found.live.high) == pytest.approx((low, high))
    assert found.live.difference == 3 / 8


def test_live_harm_says_to_think_of_stopping() -> None:
    found = report_of(design(), units((0, 11, 11), (1, 10, 0)), 400 * DAY)
    assert found.verdict is Verdict.NOT_YET
    assert any("harm. Think of switching it off." in line for line in lift_words(found))


@pytest.mark.parametrize(
    ("named", "word"),
    [
        ({"drawn": {"withheld": 30, "offered": 90}}, "not as large as configured"),
        ({"several": 12}, "12 of 24 units (50.0 %) were seen in both arms"),
    ],
)
def test_what_the_checks_forbid_is_invalid_and_no_interval_is_shown(named: dict[str, Any], word: str) -> None:
    found = report_of(design(), units((0, 12, 0), (1, 12, 12), **named), 100 * DAY)
    assert (found.verdict, found.final, found.live.shows) == (Verdict.INVALID, None, "")
    assert word in found.reason
    assert not any("always-valid" in line for line in lift_words(found))


def test_a_small_mismatch_is_told_but_forbids_nothing() -> None:
    drawn = {"withheld": 503_000, "offered": 497_000}
    found = report_of(design(), units((0, 12, 0), (1, 12, 12), drawn=drawn), 100 * DAY)
    assert found.verdict is Verdict.GAIN
    assert any("too small to turn the result, but look for its cause" in line for line in lift_words(found))


def test_members_of_one_account_make_both_intervals_wider_and_decide() -> None:
    plain = units((0, 24, 6), (1, 24, 14))
    halves = np.concatenate([np.flatnonzero(~plain.is_treated), np.flatnonzero(plain.is_treated)])
    cluster = np.empty(48, dtype=np.int64)
    cluster[halves] = np.arange(48) // 6
    found = report_of(design(unit="member"), plain._replace(cluster=cluster), 100 * DAY)
    counts = ClusterCounts(
        np.array([6, 0, 0, 0, 0, 0, 0, 0]),
        np.array([6] * 4 + [0] * 4),
        np.array([0, 0, 0, 0, 6, 6, 2, 0]),
        np.array([0] * 4 + [6] * 4),
    )
    expected = clustered_difference(counts)
    assert found.final_clustered == expected
    assert found.final is not None
    assert expected.low < 0 < found.final.low, "eight accounts are not 48 members"
    assert found.verdict is Verdict.NO_DIFFERENCE
    assert expected.error is not None
    wider = float(half_width(expected.error, 48, planned=PLAN.units))
    assert found.live.high - found.live.low >= min(2 * wider, 1)
    alone = report_of(design(unit="member"), plain._replace(cluster=np.arange(48)), 100 * DAY)
    assert (alone.final_clustered, alone.live.clusters, alone.verdict) == (None, None, Verdict.GAIN)


def test_without_a_plan_there_is_no_end() -> None:
    found = report_of(design(plan=None), units((0, 500, 0), (1, 500, 500)), 400 * DAY)
    assert (found.verdict, found.progress.planned) == (Verdict.NOT_YET, None)
    assert "No size was fixed beforehand" in found.reason


def test_association_has_neither_plan_nor_verdict_nor_sign() -> None:
    found = report_of(design(is_randomised=False), units((0, 500, 0), (1, 500, 500)), 400 * DAY)
    assert (found.verdict, found.plan, found.final, found.live.shows) == (None, None, None, "")
    assert not found.ratio.is_checked
    text = " ".join(lift_words(found))
    assert "association, not lift" in text
    assert "always-valid" not in text


def test_of_nobody_there_is_a_report_too() -> None:
    found = report_of(design(), units(), 400 * DAY)
    assert (found.verdict, found.live.difference, found.progress.days) == (Verdict.NOT_YET, None, None)
    assert lift_words(found)
