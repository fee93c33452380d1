from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from nudge_sdk.errors import ImportFileError
from nudge_sdk.insights.calibration import calibrate, with_points
from nudge_sdk.insights.calibration_reports import CalibrationReport, FeatureWeight, Settings
from nudge_sdk.insights.calibration_words import calibration_words, weight_rows
from nudge_sdk.insights.feature_checks import check_features
from nudge_sdk.insights.observations import Observations
from nudge_sdk.insights.observations_file import Columns, read_observations
from nudge_sdk.rules.authoring import parse_definition
from nudge_sdk.rules.times import DAY

TODAY = {"invited": 2000, "exported": 5000, "viewed": 3000}
TRUE = (1.6, 0.8, 0.0)


def people(rows: int = 4000, seed: int = 11, **changes: Any) -> Observations:
    """Inviting is worth twice as much as exporting, and viewing nothing; all known a day after the sign-up."""
    random = np.random.default_rng(seed)
    values = (random.random((rows, 3)) < (0.4, 0.25, 0.5)).astype(float)
    signed_up_at = np.sort(random.integers(0, 400 * DAY, rows))
    known: dict[str, Any] = {
        "names": tuple(TODAY),
        "values": values,
        "paid": random.random(rows) < expit(-2.2 + values @ TRUE),
        "signed_up_at": signed_up_at,
        "observed_at": signed_up_at + 14 * DAY,
        "known_at": {name: np.where(values[:, at] > 0, signed_up_at + DAY, np.nan) for at, name in enumerate(TODAY)},
    }
    return Observations(**{**known, **changes})


def with_feature(given: Observations, name: str, column: Any, known_at: Any = None) -> Observations:
    known = {**given.known_at, **({} if known_at is None else {name: known_at})}
    return Observations(
        names=(*given.names, name),
        values=np.column_stack([given.values, column]),
        paid=given.paid,
        signed_up_at=given.signed_up_at,
        observed_at=given.observed_at,
        known_at=known,
    )


def of(report: CalibrationReport, name: str) -> FeatureWeight:
    return next(each for each in report.features if each.name == name)


@pytest.mark.parametrize("penalty", ["none", "ridge", "firth"])
def test_what_is_planted_is_found(penalty: Any) -> None:
    report = calibrate(people(), Settings(penalty=penalty), TODAY)
    for name, true in zip(TODAY, TRUE, strict=True):
        found = of(report, name).coefficient
        assert found is not None
        assert found.value == pytest.approx(true, abs=0.25)
    assert report.tested is not None
    assert report.tested.auc is not None
    assert report.before is not None
    assert report.tested.auc.value > report.before + 0.03
    assert report.tested.slope == pytest.approx(1, abs=0.25)


def test_points_add_up_to_as_many_as_today() -> None:
    report = calibrate(people(), Settings(), TODAY)
    assert sum(report.points.values()) == pytest.approx(sum(TODAY.values()), abs=1000)
    assert report.points == {"invited": 7000, "exported": 3000, "viewed": 0}
    assert all(points % 1000 == 0 for points in report.points.values())
    invited = of(report, "invited")
    assert invited.points_low is not None
    assert invited.points_high is not None
    assert invited.points_low <= 7000 <= invited.points_high


def test_without_points_of_today_the_largest_is_ten() -> None:
    report = calibrate(people())
    assert report.points["invited"] == 10_000
    assert report.points["exported"] in (4000, 5000, 6000)
    assert report.before is None


def test_older_sign_ups_are_learnt_from_and_newer_ones_tested_on() -> None:
    """Inviting told who pays until the product changed; whoever learns from the old is wrong about the new."""
    given = people()
    newest = np.arange(len(given.paid)) >= 3000
    random = np.random.default_rng(1)
    paid = np.where(newest, random.random(len(newest)) < 0.25, given.paid)
    changed = people(paid=paid)
    report = calibrate(changed, Settings(test_share=0.25), TODAY)
    assert report.tested is not None
    assert report.apparent is not None
    assert (report.trained_on, report.tested_on) == (3000, 1000)
    assert report.tested.auc is not None
    assert report.tested.auc.low < 0.5 < report.tested.auc.high
    assert report.apparent.auc is not None
    assert report.apparent.auc.value > 0.58


def test_rows_of_one_instant_are_not_split() -> None:
    times = np.array([1, 2, 3, 3, 3, 3] * 200)
    report = calibrate(people(1200, signed_up_at=times), Settings(test_share=0.25))
    assert (report.trained_on, report.tested_on) == (400, 800)
    report = calibrate(people(1200, signed_up_at=np.full(1200, 7)))
    assert report.tested is None
    assert "too good to be true" in " ".join(report.notes)


def test_a_given_split_is_kept() -> None:
    is_test = np.arange(4000) % 10 == 0
    report = calibrate(people(is_test=is_test))
    assert report.tested_on == 400


def test_a_feature_known_at_the_observation_is_leaky_and_left_out() -> None:
    given = people()
    assert given.observed_at is not None
    known_at = np.full(4000, np.nan)
    known_at[17] = given.observed_at[17]
    leaky = with_feature(given, "invoices", given.paid, known_at)
    report = calibrate(leaky)
    found = of(report, "invoices")
    assert (found.verdict, found.coefficient, found.points) == ("leaky", None, None)
    assert "1 of 4,000 rows" in found.reason
    assert of(report, "invited").coefficient == of(calibrate(given), "invited").coefficient
    known_at[17] -= 1
    assert (
        of(
            calibrate(with_feature(given, "invoices", given.paid, known_at), Settings(penalty="ridge")), "invoices"
        ).verdict
        == "used"
    )


def test_a_feature_that_tells_all_apart_is_suspect_only_where_nobody_said_when_it_was_known() -> None:
    given = people()
    random = np.random.default_rng(2)
    nearly = np.where(random.random(4000) < 0.995, given.paid, ~given.paid)
    assert of(calibrate(with_feature(given, "invoices", nearly)), "invoices").verdict == "suspect"
    assert of(calibrate(with_feature(given, "refunds", ~nearly)), "refunds").verdict == "suspect"
    early = with_feature(given, "invoices", nearly, np.full(4000, -1.0))
    assert of(calibrate(early), "invoices").verdict == "used"


@pytest.mark.parametrize("differ", [0, 1, 7])
def test_a_nearly_constant_feature_carries_no_information(differ: int) -> None:
    column = np.arange(4000) < differ
    given = with_feature(people(), "signed_up", ~column)
    assert check_features(given)["signed_up"][0] == "no information"
    assert check_features(given)["invited"][0] == "used"


def test_too_few_conversions_are_said_with_the_number_needed() -> None:
    few = calibrate(people(200), Settings(), TODAY)
    assert few.enough.needed == 30
    small = people(60)
    report = calibrate(small, Settings(), TODAY)
    assert report.enough.conversions == small.paid.sum() < 30
    assert not report.enough.is_enough
    assert report.points == {}
    words = "\n".join(calibration_words(report))
    assert f"Too few conversions: {small.paid.sum()}, and it takes 30" in words
    assert "van Smeden" in words


def test_of_payers_and_others_the_fewer_count() -> None:
    given = people(400)
    assert calibrate(people(400, paid=~given.paid)).enough.conversions == given.paid.sum()


def test_those_nudged_are_left_out_and_counted_or_told_apart() -> None:
    given = people()
    nudged = given.values[:, 0] > 0
    nudged &= np.arange(4000) % 2 == 0
    lifted = given.paid | (nudged & (np.arange(4000) % 6 == 0))
    both = people(nudged=nudged, paid=lifted)
    without, adjusted, blind = (
        calibrate(both, Settings(nudged="exclude")),
        calibrate(both, Settings(nudged="adjust")),
        calibrate(people(paid=lifted)),
    )
    assert without.rows == 4000 - nudged.sum()
    assert [each.count for each in without.left_out] == [nudged.sum()]
    assert adjusted.rows == 4000
    assert [each.name for each in adjusted.features] == list(TODAY)
    assert adjusted.enough.needed == 40
    found = [of(each, "invited").coefficient for each in (without, adjusted, blind)]
    assert found[0] is not None
    assert found[1] is not None
    assert found[2] is not None
    assert found[1].value == pytest.approx(found[0].value, abs=0.25)
    assert found[2].value > found[1].value + 0.2
    assert any("association" in note for note in adjusted.notes)


def test_members_of_one_account_make_nothing_surer() -> None:
    given = people(800)
    fold = np.repeat(np.arange(800), 5)
    copies = people(4000, values=given.values[fold], paid=given.paid[fold], known_at={}, clusters=fold)
    alone, together = of(calibrate(given), "invited").coefficient, of(calibrate(copies), "invited").coefficient
    assert alone is not None
    assert together is not None
    assert together.high - together.low == pytest.approx(alone.high - alone.low, rel=0.05)


@pytest.mark.parametrize(("penalty", "advice"), [("none", "Choose ridge or firth"), ("firth", "choose ridge")])
def test_features_that_say_the_same_are_said_to(penalty: Any, advice: str) -> None:
    given = people()
    twice = people(values=np.column_stack([given.values[:, 0], given.values[:, 0], given.values[:, 2]]))
    report = calibrate(twice, Settings(penalty=penalty))
    assert report.intercept is None
    assert "say the same" in report.notes[0]
    assert advice in report.notes[0]
    assert calibrate(twice, Settings(penalty="ridge")).intercept is not None


def test_without_a_penalty_separation_is_said() -> None:
    given = people(values=np.zeros((4000, 3)))
    values = np.column_stack([given.paid, given.values[:, 1], given.values[:, 2]]).astype(float)
    separated = people(values=values, known_at={"invited": given.signed_up_at})
    report = calibrate(separated, Settings(penalty="none"))
    assert report.intercept is None
    assert "Choose ridge or firth" in report.notes[0]
    assert calibrate(separated, Settings(penalty="firth")).intercept is not None


@pytest.mark.parametrize("paid", [np.zeros(4000, bool), np.ones(4000, bool)])
def test_where_all_are_of_one_kind_there_is_no_model(paid: Any) -> None:
    report = calibrate(people(paid=paid))
    assert report.intercept is None
    assert report.enough.conversions == 0
    assert "nothing to tell apart" in report.notes[0]


def test_of_nobody_there_is_a_report_too() -> None:
    report = calibrate(people().only(np.zeros(4000, bool)))
    assert (report.rows, report.intercept, report.points) == (0, None, {})
    assert calibration_words(report)


def test_a_milestone_newer_sign_ups_alone_have_is_no_trouble() -> None:
    given = people()
    column = (np.arange(4000) > 3500) & (given.values[:, 1] > 0)
    report = calibrate(with_feature(given, "added_lately", column))
    assert of(report, "added_lately").coefficient is not None
    assert report.tested is not None


def test_points_go_into_a_definition_and_leave_the_rest() -> None:
    milestones = [{"key": key, "signal": {"event": key}, "points": 5} for key in ("invited", "exported")]
    segment = {"key": "all", "member": {"warm": {"score": 5}}}
    definition = parse_definition({"name": "product", "milestones": milestones, "segments": [segment]})
    changed = with_points(definition, {"invited": 7000, "no_such": 1000})
    assert [each.points for each in changed.milestones] == [7, 5]
    assert with_points(changed, {"invited": 5000}) == definition
    assert with_points(definition, {"invited": 2500}).milestones[0].points == 2.5


def test_rows_of_a_table_hold_whole_points() -> None:
    rows = weight_rows(calibrate(people(), Settings(), TODAY))
    assert [(each.name, each.old_points, each.points) for each in rows] == [
        ("invited", 2, 7),
        ("exported", 5, 3),
        ("viewed", 3, 0),
    ]


def read(text: str, **said: Any) -> tuple[Observations, Any]:
    columns = Columns(**{"label": "paid", "features": ("a", "b"), **said})
    return read_observations(io.BytesIO(text.encode()), columns, "trial.csv")


def test_a_file_is_read_and_bad_lines_are_set_aside_with_their_number() -> None:
    text = "a,b,paid,at\n1,2.5,yes,3\nx,1,1,3\n1,1,maybe,3\n1,1\n\n0,nan,0,3\n0,-4,0,2026-01-01\nno,7,FALSE,2\n"
    found, aside = read(text, time="at")
    assert found.values.tolist() == [[1, 2.5], [0, 7]]
    assert found.paid.tolist() == [True, False]
    assert found.observed_at is not None
    assert found.observed_at.tolist() == [3, 2]
    assert aside.rows == 5
    assert [line for line, _ in aside.first] == [3, 4, 5, 7, 8]
    assert "'x' for a" in aside.first[0][1]
    assert "2 cells where the first line has 4" in aside.first[2][1]
    assert "time zone" in aside.first[4][1]


def test_times_may_be_instants_and_known_times_may_lack() -> None:
    text = "a,b,paid,at,a_at\n1,1,1,2026-01-02T00:00:00Z,2026-01-01T00:00:00+01:00\n0,1,0,2026-01-02T00:00:00Z,\n"
    found, _ = read(text, time="at", known_at={"a": "a_at"})
    assert found.observed_at is not None
    assert np.isnan(found.known_at["a"]).tolist() == [False, True]
    assert found.observed_at[0] - found.known_at["a"][0] == 25 * 3600 * 10**6


@pytest.mark.parametrize(
    ("text", "said", "expected"),
    [
        ("a,b\n1,1\n", {}, "no column for --label 'paid'; its first line names: 'a', 'b'"),
        ("a,b,paid\n1,1,1\n", {"time": "when"}, "--time 'when'"),
        ("a,b,paid\n1,1,1\n", {"known_at": {"c": "a"}}, "'c' is none of the features"),
        ("a,b,paid,a\n1,1,1,1\n", {}, "more than one column 'a'"),
        ("a,b,paid\nx,y,z\n", {}, "nothing in trial.csv could be read: 1 rows were set aside; the first: line 2"),
        ("", {}, "its first line names: none"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(text: str, said: Any, expected: str) -> None:
    with pytest.raises(ImportFileError) as raised:
        read(text, **said)
    assert expected in str(raised.value)
