"""Calibration in the admin: what it proposes, what a person takes of it, and that nothing goes live by it."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from nudge_sdk import NudgeClient
from nudge_sdk.admin.proof.calibration import answer_of
from nudge_sdk.insights.calibration_reports import CalibrationReport, Enough
from nudge_sdk.insights.statistics.performance import Auc, Performance
from tests.admin.conftest import admin_of, browser_of
from tests.admin.forms_sent import form_of
from tests.admin.made_up import made_up_client
from tests.admin.test_milestones import stands, text_of
from tests.admin.test_proof_pages import charts_of

__all__ = ["made_up_client"]

PLACE = "/calibration/"


@pytest.fixture
def editor(made_up_client: NudgeClient) -> FlaskClient:
    return browser_of(admin_of(made_up_client, "editor"))


def test_points_are_proposed_beside_todays_with_intervals_and_who_enters_and_leaves(editor: FlaskClient) -> None:
    page = editor.get(PLACE).text
    reliability, weights = charts_of(page)
    assert reliability["has_diagonal"]
    assert [each["name"] for each in weights["series"]] == ["Proposed", "Today"]
    proposed = weights["series"][0]
    ends = zip(proposed["low"], proposed["values"], proposed["high"], strict=True)
    assert all(low <= value <= high for low, value, high in ends)
    assert "tested on" in page
    assert "no information" in text_of(page)
    moves = editor.get(form_moves(page)).text
    assert "hot accounts" in text_of(moves)
    assert "by what is live, and by the proposed points" in text_of(moves)


def form_moves(page: str) -> str:
    return page.split('<div id="movement" hx-get="', 1)[1].split('"', 1)[0].replace("&amp;", "&")


def sent_with(page: str, *keys: str) -> dict[str, str | list[str]]:
    """Return what the form sends if the boxes of some milestones are ticked."""
    fields = form_of(page, "take")
    return {"take": list(keys), **{name: value for name, value in fields.items() if name != "take"}}


def test_an_editor_takes_points_into_drafts_and_nothing_goes_live(
    made_up_client: NudgeClient, editor: FlaskClient
) -> None:
    form = sent_with(editor.get(PLACE).text, "account_first_campaign")
    answer = editor.post(PLACE, data=form)
    assert answer.location == "/publish/?notice=saved"
    drafted = stands(made_up_client, "account_first_campaign", "milestone")
    assert drafted["points"] * 1000 == int(form["points-account_first_campaign"])  # type: ignore[arg-type]
    live = made_up_client.intake.current().rules.definition
    assert next(each for each in live.milestones if each.key == "account_first_campaign").points is None
    assert "account_teammates" not in text_of(editor.get("/publish/").text)


def test_who_takes_points_late_is_told_and_overwrites_nobody(made_up_client: NudgeClient, editor: FlaskClient) -> None:
    form = sent_with(editor.get(PLACE).text, "account_first_campaign")
    assert editor.post(PLACE, data=form).status_code == 303
    late = editor.post(PLACE, data={**form, "points-account_first_campaign": "3000"})
    assert late.status_code == 409
    assert "Somebody changed First campaign of the account" in text_of(late.text)


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({}, 422),
        ({"take": "account_first_campaign"}, 422),
        ({"take": "account_first_campaign", "points-account_first_campaign": "many"}, 422),
        ({"take": "account_first_campaign", "points-account_first_campaign": "9999999999"}, 422),
        ({"take": "nobody", "points-nobody": "3000"}, 404),
    ],
)
def test_what_makes_no_sense_is_refused(editor: FlaskClient, form: dict[str, str], status: int) -> None:
    assert editor.post(PLACE, data=form).status_code == status
    assert editor.get("/calibration/movement?account_first_campaign=x").status_code == 422


def test_a_viewer_sees_the_proposal_without_boxes(made_up_client: NudgeClient) -> None:
    page = browser_of(admin_of(made_up_client, "viewer")).get(PLACE).text
    assert 'type="checkbox"' not in page
    assert "Take these points" not in page
    assert charts_of(page)


def test_too_few_conversions_are_said_with_the_number_that_it_takes(editor: FlaskClient) -> None:
    page = text_of(editor.get(f"{PLACE}?observed=30&within=90").text)
    assert "Too few have paid to say what points should be: " in page
    assert "and it takes 70." in page


def report(before: float | None, after: float) -> CalibrationReport:
    tested = Performance(
        rows=9, happened=3, auc=Auc(value=after, low=after - 0.08, high=after + 0.08), brier=0.1, brier_baseline=0.2,
        log_loss=0.3, intercept=0.0, slope=1.0, bins=(),
    )  # fmt: skip
    return CalibrationReport(
        penalty="firth", strength=None, rows=9, converted=3, left_out=(), intercept=None, features=(),
        enough=Enough(conversions=3, needed=3, rule=""), points_per_unit=1.0, apparent=None, tested=tested,
        before=before,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        (0.7, 0.8, "better than today's: 80 % of pairs right, against 70 %"),
        (0.75, 0.8, "are not shown to tell payers from others better than today's: 80 % of pairs right, against 75 %"),
        (0.8, 0.7, "worse than today's"),
        (None, 0.8, "The proposed points tell payers from others: 80 % of pairs right."),
    ],
)
def test_the_sentence_says_whether_the_proposal_is_better(before: float | None, after: float, says: str) -> None:
    assert says in answer_of(report(before, after))
