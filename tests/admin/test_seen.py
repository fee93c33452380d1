from __future__ import annotations

import re
from html import unescape
from urllib.parse import urlencode

import pytest
from flask.testing import FlaskClient

from nudge_sdk import NudgeClient
from nudge_sdk.admin.queries import StoredDraft, save_draft
from nudge_sdk.testing import Clock
from tests.admin.conftest import Admin, admin_of

ADA = {"user": "ada", "account": "acme", "placement": "dashboard"}


def ask(browser: FlaskClient, status: int = 200, **asked: str) -> str:
    answer = browser.get("/what-they-see/?" + urlencode({**ADA, **asked}))
    assert answer.status_code == status
    return answer.text


def codes(html: str) -> dict[str, str]:
    """Name to code of every nudge."""
    found = re.findall(r'class="strong"[^>]*>([^<]+)<.*?class="badge badge-\w+">([A-Z_]+)<', html, re.DOTALL)
    return {unescape(name): code for name, code in found}


def test_it_shows_the_nudge_and_why_not_the_others(admin: Admin) -> None:
    html = ask(admin("viewer"))
    assert "They see" in html
    assert 'data-nudge="dashboard_ready"' in html
    found = codes(html)
    assert next(iter(found)) == "Ready for more"
    assert found["Ready for more"] == "SHOWN"
    assert found["Help with the first automation"] == "NOT_TARGETED"
    assert "Too early for help: this is the time of prompts." in html


def test_nothing_in_the_nudge_can_be_sent_or_followed(admin: Admin) -> None:
    (shown,) = re.findall(r"<nudge-prompt.*?</nudge-prompt>", ask(admin("viewer")), re.DOTALL)
    assert "<form" not in shown
    assert 'type="submit"' not in shown


def test_nothing_is_spent_or_kept(admin: Admin, client: NudgeClient) -> None:
    before = client.store.subjects(limit=100)
    for rules in ("live", "drafts"):
        for at in ("", "2026-05-12T09:00", "2026-06-12T09:00"):
            ask(admin("viewer"), rules=rules, at=at)
    assert client.store.subjects(limit=100) == before
    assert client.store.exposures("acme", "ada") == []
    assert client.decide("dashboard", user="ada", account="acme").nudge is not None


def test_it_answers_as_the_product_does(admin: Admin, client: NudgeClient, clock: Clock) -> None:
    browser = admin("viewer")
    decision = client.decide("dashboard", user="ada", account="acme")
    client.record(decision, "dismissed")
    assert codes(ask(browser))["Ready for more"] == "DISMISSED"
    clock.move(days=8)
    foretold = codes(ask(browser))
    helped = client.decide("dashboard", user="ada", account="acme")
    assert helped.nudge is not None
    assert foretold["Help with the first automation"] == "SHOWN"
    assert helped.nudge.nudge == "help_automation"


def test_the_eighth_day_can_be_looked_at_today(admin: Admin) -> None:
    browser = admin("viewer")
    html = ask(browser)
    place = unescape(re.findall(r'href="([^"]+)">The day after \(day 8\)', html)[0])
    later = browser.get(place).text
    assert codes(later)["Help with the first automation"] == "SHOWN"
    assert "12 May 2026, 09:00 UTC" in later


def test_a_past_moment_is_marked_as_such(admin: Admin) -> None:
    assert "That moment is past" in ask(admin("viewer"), at="2026-05-01 10:00")
    assert "That moment is past" not in ask(admin("viewer"))


def test_who_may_not_buy_sees_the_other_text(admin: Admin) -> None:
    shown = re.findall(r"<nudge-prompt.*?</nudge-prompt>", ask(admin("viewer"), purchase="no"), re.DOTALL)
    assert shown != re.findall(r"<nudge-prompt.*?</nudge-prompt>", ask(admin("viewer")), re.DOTALL)


def test_the_language_is_the_one_asked_for(admin: Admin) -> None:
    assert 'lang="de"' in ask(admin("viewer"), locale="de-AT")


def test_drafts_are_tried_only_when_asked_for(admin: Admin, client: NudgeClient) -> None:
    app = admin_of(client)
    with app.test_request_context():
        from nudge_sdk.admin.workspace import open_workspace

        plain = open_workspace(client).stands("nudge", "dashboard_ready")
        draft = {**plain, "content": {**plain["content"], "title": "A draft's title"}}
        save_draft(StoredDraft("nudge", "dashboard_ready", draft, 0, client.now(), "Ed"), before=plain)
    browser = admin("viewer")
    assert "A draft&#x27;s title" in ask(browser, rules="drafts")
    assert "A draft&#x27;s title" not in ask(browser)
    assert client.decider.catalog().number == 1


def test_a_draft_that_counts_something_new_says_so(admin: Admin, client: NudgeClient) -> None:
    app = admin_of(client)
    with app.test_request_context():
        milestone = {"key": "brand_new", "signal": {"event": "never_seen"}, "points": 3}
        save_draft(StoredDraft("milestone", "brand_new", milestone, 0, client.now(), "Ed"), before=None)
    browser = admin("viewer")
    assert "brand_new" in ask(browser, rules="drafts")
    assert "something new" not in ask(browser)


@pytest.mark.parametrize(
    "asked",
    [{"at": "soon"}, {"at": "2030-01-01T00:00"}, {"at": "99999-01-01"}, {"purchase": "maybe"}, {"rules": "other"}],
)
def test_what_makes_no_sense_is_said_at_the_field(admin: Admin, asked: dict[str, str]) -> None:
    html = ask(admin("viewer"), 422, **asked)
    assert "has-error" in html
    assert 'value="ada"' in html


def test_an_unknown_person_is_said_in_clear_words(admin: Admin) -> None:
    assert "Nobody is known by that name" in ask(admin("viewer"), 404, user="zed")


def test_without_anybody_the_form_offers_who_is_ready(admin: Admin) -> None:
    answer = admin("viewer").get("/what-they-see/")
    assert answer.status_code == 200
    assert "Choose somebody" in answer.text
    assert '<option value="ada">acme</option>' in answer.text
    assert '<option value="dashboard"></option>' in answer.text


def test_a_placement_without_nudges_is_said(admin: Admin) -> None:
    assert "No nudge belongs to the placement" in ask(admin("viewer"), placement="nowhere")


def test_a_user_without_an_account_is_found_without_one(admin: Admin, client: NudgeClient) -> None:
    client.track("solo", "campaign_sent")
    assert "Every nudge at dashboard" in ask(admin("viewer"), user="solo", account="")
