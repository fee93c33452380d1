from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
import pytest
from scipy.special import expit

from nudge_sdk.insights.calibration_words import drift_words
from nudge_sdk.insights.drift import drift, points_changed_at
from nudge_sdk.insights.drift_reports import DriftReport
from nudge_sdk.insights.observations import Observations
from nudge_sdk.rules.times import DAY, to_iso, to_micros
from nudge_sdk.store.protocol import DefinitionRow

POINTS = {"invited": 5000, "exported": 3000}
YEAR = to_micros(datetime(2026, 1, 1, tzinfo=UTC))


def quarters(worth: tuple[float, ...], rows: int = 1500, **changes: Any) -> Observations:
    """In each quarter of 2026 inviting somebody is worth as much as said, in log odds."""
    random = np.random.default_rng(6)
    starts = np.repeat(YEAR + np.arange(len(worth)) * 91 * DAY, rows)
    signed_up_at = starts + random.integers(0, 80 * DAY, len(starts))
    values = (random.random((len(signed_up_at), 2)) < 0.4).astype(float)
    odds = -1.5 + np.repeat(worth, rows) * values[:, 0] + 0.3 * values[:, 1]
    known: dict[str, Any] = {
        "names": tuple(POINTS),
        "values": values,
        "paid": random.random(len(odds)) < expit(odds),
        "signed_up_at": signed_up_at,
        "qualified": values[:, 0] > 0,
        "release": np.array([f"1.{number // rows}" for number in range(len(odds))], object),
    }
    return Observations(**{**known, **changes})


def looked_at(given: Observations) -> DriftReport:
    return drift(given, POINTS, now=YEAR + 365 * DAY)


def test_a_milestone_that_lost_its_meaning_raises_an_alarm() -> None:
    report = looked_at(quarters((1.5, 1.5, 1.5, 0.0)))
    alarms = {(each.cut, each.metric) for each in report.alarms}
    assert {("quarter", "precision"), ("quarter", "auc"), ("release", "auc")} <= alarms
    for alarm in report.alarms:
        assert alarm.newer < alarm.older
        assert alarm.high < 0
        assert alarm.name in ("2026-Q4", "1.3")
    assert any(line.startswith("Alarm: in quarter 2026-Q4") for line in drift_words(report))


def test_where_all_is_as_before_there_is_no_alarm() -> None:
    report = looked_at(quarters((1.0, 1.0, 1.0)))
    assert len(report.compared) == 6
    assert report.alarms == ()
    assert any("No drift" in line for line in drift_words(report))


def test_alarms_without_cause_are_rare() -> None:
    """Each of 60 products stays as it is; by Benjamini and Hochberg at most one in twenty raises any alarm: 60 × 0.05
    = 3, and more than 8 of 60 one time in two hundred."""
    random = np.random.default_rng(7)
    times = np.concatenate([YEAR + random.integers(0, 80 * DAY, 200), YEAR + 91 * DAY + random.integers(0, DAY, 200)])
    false = 0
    for _ in range(60):
        values = (random.random((400, 2)) < 0.4).astype(float)
        paid = random.random(400) < expit(-1 + values[:, 0])
        given = quarters((0.0,), values=values, paid=paid, signed_up_at=times, release=None, qualified=values[:, 0] > 0)
        false += bool(looked_at(given).alarms)
    assert false <= 8


def test_rows_are_quarters_and_releases_oldest_first_with_their_shares() -> None:
    given = quarters((1.0, 1.0))
    rows = looked_at(given).rows
    assert [(each.cut, each.name) for each in rows] == [
        ("quarter", "2026-Q1"),
        ("quarter", "2026-Q2"),
        ("release", "1.0"),
        ("release", "1.1"),
    ]
    first = given.only(np.arange(3000) < 1500)
    assert (rows[0].baseline.count, rows[0].baseline.of) == (first.paid.sum(), 1500)
    assert first.qualified is not None
    qualified = first.paid[first.qualified]
    assert (rows[0].precision.count, rows[0].precision.of) == (qualified.sum(), len(qualified))


@pytest.mark.parametrize("given", [quarters((1.0,)), quarters((1.0, 1.0), rows=8), quarters(())])
def test_of_too_few_nothing_is_compared(given: Observations) -> None:
    report = looked_at(given)
    assert report.compared == ()
    assert any("cannot be told yet" in line for line in drift_words(report))


@pytest.mark.parametrize(
    ("published", "month", "quarter"),
    [
        ("2026-01-31T10:00:00Z", "2026-02-28", "2026-04-30"),
        ("2026-11-30T00:00:00Z", "2026-12-30", "2027-02-28"),
        ("2028-01-31T00:00:00Z", "2028-02-29", "2028-04-30"),
    ],
)
def test_reminders_come_a_month_and_a_quarter_later(published: str, month: str, quarter: str) -> None:
    at = to_micros(published)
    due = drift(quarters(()), POINTS, now=at, published_at=at).reminders
    assert [(each.what, to_iso(each.due_at)[:10], each.is_due) for each in due] == [
        ("thresholds", month, False),
        ("points", quarter, False),
    ]


def test_points_are_due_a_quarter_after_they_were_changed_whatever_was_published_since() -> None:
    changed, published = to_micros("2026-01-10T00:00:00Z"), to_micros("2026-04-01T00:00:00Z")
    now = to_micros("2026-04-15T00:00:00Z")
    thresholds, points = drift(quarters(()), POINTS, now=now, published_at=published, calibrated_at=changed).reminders
    assert not thresholds.is_due
    assert points.is_due


def test_points_count_as_changed_with_the_publication_that_changed_them() -> None:
    def row(at: int, points: float | None, note: str = "") -> DefinitionRow:
        document = {"notes": note, "milestones": [{"key": "invited", "points": points}]}
        return DefinitionRow(at, msgspec.json.encode(document), "", at, "kim", "", 1)

    assert points_changed_at([]) is None
    assert points_changed_at([row(1, 5)]) == 1
    assert points_changed_at([row(1, 5), row(2, 5, "copy"), row(3, 7), row(4, 7)]) == 3
