"""Calibration on a real data set with an outcome long after its features.

Open University Learning Analytics data: J. Kuzilek, M. Hlosta, Z. Zdrahal, Scientific Data 4:170171 (2017), CC BY 4.0.
A pass or a distinction stands for conversion. It says nothing about products.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from nudge_sdk.insights.calibration import calibrate
from nudge_sdk.insights.calibration_reports import CalibrationReport, Settings
from nudge_sdk.insights.observations_file import Columns, read_observations

pytestmark = pytest.mark.shared

LAST_DAY = 60
FEATURES = ("submissions", "mean_score", "num_of_prev_attempts")
Enrolment = tuple[str, str, str]


def rows_of(folder: Path, name: str) -> Iterator[dict[str, str]]:
    with (folder / "oulad_subset" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def enrolment(row: dict[str, str]) -> Enrolment:
    return row["code_module"], row["code_presentation"], row["id_student"]


def submissions_until(folder: Path, last_day: int) -> dict[Enrolment, list[tuple[int, str]]]:
    """(day, score) of each submission of an enrolment up to a day."""
    course = {row["id_assessment"]: row for row in rows_of(folder, "assessments")}
    found: defaultdict[Enrolment, list[tuple[int, str]]] = defaultdict(list)
    for row in rows_of(folder, "studentAssessment"):
        if row["date_submitted"] and int(row["date_submitted"]) <= last_day:
            key = enrolment({**course[row["id_assessment"]], "id_student": row["id_student"]})
            found[key].append((int(row["date_submitted"]), row["score"]))
    return found


def table(folder: Path, last_day: int) -> str:
    """One row an enrolment that was not given up by day 60; what was known, when, and whether it was passed."""
    gone = {
        enrolment(row)
        for row in rows_of(folder, "studentRegistration")
        if row["date_unregistration"] and int(row["date_unregistration"]) <= LAST_DAY
    }
    submitted = submissions_until(folder, last_day)
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([*FEATURES, "passed", "observed", "last_submission"])
    for row in rows_of(folder, "studentInfo"):
        if enrolment(row) in gone:
            continue
        mine = submitted.get(enrolment(row), [])
        scores = [float(score) for _, score in mine if score]
        mean = sum(scores) / len(scores) / 100 if scores else 0
        passed = row["final_result"] in ("Pass", "Distinction")
        last = max((day for day, _ in mine), default="")
        writer.writerow([len(mine), mean, row["num_of_prev_attempts"], int(passed), LAST_DAY + 1, last])
    return out.getvalue()


def calibrated(folder: Path, last_day: int) -> CalibrationReport:
    columns = Columns(
        label="passed",
        features=FEATURES,
        time="observed",
        known_at={"submissions": "last_submission", "mean_score": "last_submission"},
    )
    observations, aside = read_observations(io.BytesIO(table(folder, last_day).encode()), columns, "enrolments")
    assert aside.rows == 0
    return calibrate(observations, Settings(penalty="none"))


def test_the_regression_is_the_one_computed_elsewhere(shared_data: Path) -> None:
    report = calibrated(shared_data, LAST_DAY)
    assert report.rows == 12_481
    assert report.intercept is not None
    found = [each.coefficient.value for each in report.features if each.coefficient]
    assert [round(each, 5) for each in found] == [0.20546, 3.07521, -0.70464]
    assert round(report.intercept.value, 5) == -1.38036
    assert report.apparent is not None
    assert report.apparent.auc is not None
    assert round(report.apparent.auc.value, 4) == 0.7555
    assert {each.verdict for each in report.features} == {"used"}


def test_with_later_submissions_let_in_it_is_leaky(shared_data: Path) -> None:
    report = calibrated(shared_data, 1000)
    verdicts = {each.name: each.verdict for each in report.features}
    assert verdicts == {"submissions": "leaky", "mean_score": "leaky", "num_of_prev_attempts": "used"}
    assert report.apparent is not None
    assert report.apparent.auc is not None
    assert report.apparent.auc.value < 0.6
