"""What-if in the admin: what other thresholds would have come to, with what is typed."""

from __future__ import annotations

import pytest

from nudge_sdk import NudgeClient
from tests.admin.conftest import Admin
from tests.admin.reading import form_of
from tests.admin.test_milestones import stands, text_of

PLACE = "/segments/smb/what-if/"
PART = {"HX-Request": "true", "HX-Request-Type": "partial"}


@pytest.fixture
def history(client: NudgeClient) -> NudgeClient:
    """Twelve people who sent a campaign; one of three pays."""
    for number in range(12):
        account = f"shop {number}"
        client.track(f"u{number}", "campaign_sent", account=account, at="2026-01-05T10:00:00Z", id=f"c{number}")
        if number % 3 == 0:
            client.convert(account, at="2026-01-15T10:00:00Z", id=f"p{number}")
    assert client.flush()
    return client


def test_the_page_shows_each_threshold_with_its_numbers(history: NudgeClient, admin: Admin) -> None:
    said = text_of(admin("viewer").get(PLACE + "?tier=member_warm").text)
    assert "33 %" in said
    assert "4 of 12" in said
    assert "Against what is live" not in said


def test_what_is_typed_is_replayed_and_nothing_is_saved(history: NudgeClient, admin: Admin) -> None:
    editor = admin("editor")
    before = stands(history, "smb", "segment")
    form = form_of(editor.get("/segments/smb/").text)
    looked = editor.post(PLACE, data={**form, "member_warm-score": "3", "tier": "member_warm"}, headers=PART)
    assert looked.status_code == 200
    said = text_of(looked.text)
    assert "At 3 points" in said
    assert "Against what is live" in said
    assert stands(history, "smb", "segment") == before


def test_what_is_typed_and_cannot_be_says_so(history: NudgeClient, admin: Admin) -> None:
    editor = admin("editor")
    form = form_of(editor.get("/segments/smb/").text)
    looked = editor.post(PLACE, data={**form, "member_warm-score": "many"}, headers=PART)
    assert "What is typed has problems" in text_of(looked.text)


def test_a_segment_that_is_not_there_is_not_found(history: NudgeClient, admin: Admin) -> None:
    editor = admin("editor")
    assert editor.get("/segments/nobody/what-if/").status_code == 404
    assert editor.post("/segments/nobody/what-if/").status_code == 404
