"""Drafts, the review, publishing, history and the way back."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from nudge_sdk import NudgeClient
from nudge_sdk.admin import drafting, queries
from nudge_sdk.admin.queries import Conflict, StoredDraft
from nudge_sdk.admin.workspace import open_workspace
from nudge_sdk.rules.authoring import to_plain
from tests.admin.conftest import Admin, admin_of, browser_of


def field(text: str, name: str) -> str:
    """Return the value of a hidden field of a page."""
    found = re.search(rf'name="{name}"[^>]* value="([^"]*)"|value="([^"]*)"[^>]* name="{name}"', text)
    assert found is not None, f"no field {name}"
    return found[1] or found[2]


class Desk:
    """Somebody who drafts by calling what views call."""

    def __init__(self, client: NudgeClient) -> None:
        self.client = client
        self.app = admin_of(client)

    def save(self, kind: str, key: str, *, seen: str | None = None, by: str = "Ed", **changes: Any) -> None:
        """Change fields of an entity; ``gone=True`` takes it away."""
        with self.app.app_context():
            workspace = open_workspace(self.client)
            document = None if changes.pop("gone", False) else {**to_plain(workspace.entity(kind, key)), **changes}
            if document:
                document.pop("published_in", None)
            draft = StoredDraft(kind, key, document, 0, 0, by)
            drafting.save(self.client, workspace, draft, seen=seen or workspace.version(kind, key))

    def version(self, kind: str, key: str) -> str:
        with self.app.app_context():
            version: str = open_workspace(self.client).version(kind, key)
        return version

    def changes(self) -> list[tuple[str, str, str]]:
        with self.app.app_context():
            return [(each.what, each.kind, each.key) for each in open_workspace(self.client).changes]

    def lower(self, score: float = 1) -> None:
        """Lower the warm threshold of small companies, and drop its gates."""
        with self.app.app_context():
            segment = open_workspace(self.client).entity("segment", "smb")
        member = {**to_plain(segment)["member"], "warm": {"score": score}}
        self.save("segment", "smb", member=member)


@pytest.fixture
def desk(client: NudgeClient) -> Desk:
    return Desk(client)


def test_a_draft_changes_nothing_that_is_live(desk: Desk, client: NudgeClient) -> None:
    before = client.standing("dora", account="bolt")
    desk.lower()
    assert client.standing("dora", account="bolt") == before
    assert desk.changes() == [("changed", "segment", "smb")]


def test_saving_what_is_live_throws_the_draft_away(desk: Desk) -> None:
    desk.lower()
    desk.save("milestone", "sessions", name="Often here")
    with desk.app.app_context():
        name = open_workspace(desk.client).live_entity("milestone", "sessions").name
    desk.save("milestone", "sessions", name=name)
    assert desk.changes() == [("changed", "segment", "smb")]


def test_nobody_overwrites_what_they_have_not_seen(desk: Desk) -> None:
    seen = desk.version("milestone", "sessions")
    desk.save("milestone", "sessions", name="One", seen=seen, by="Ed")
    with pytest.raises(Conflict):
        desk.save("milestone", "sessions", name="Two", seen=seen, by="Eve")


def test_a_form_from_before_a_publication_does_not_bring_back_what_stood_there(desk: Desk, client: NudgeClient) -> None:
    seen = desk.version("milestone", "sessions")
    desk.save("milestone", "sessions", name="One")
    with desk.app.app_context():
        workspace = open_workspace(client)
        actor = drafting.Actor("Pia", "publisher")
        drafting.publish(client, workspace, note="why", seen=workspace.fingerprint, actor=actor)
    with pytest.raises(Conflict):
        desk.save("milestone", "sessions", name="Two", seen=seen)
    assert desk.changes() == []


def test_a_version_never_comes_twice(desk: Desk) -> None:
    desk.save("milestone", "sessions", name="One")
    first = desk.version("milestone", "sessions")
    with desk.app.app_context():
        workspace = open_workspace(desk.client)
        drafting.discard(
            desk.client, workspace, ("milestone", "sessions"), seen=first, actor=drafting.Actor("Ed", "editor")
        )
    desk.save("milestone", "sessions", name="Two")
    assert desk.version("milestone", "sessions") != first


def review(browser: FlaskClient) -> str:
    answer = browser.get("/publish/")
    assert answer.status_code == 200
    return answer.text


def publish(browser: FlaskClient, **fields: str) -> Any:
    data = {"note": "A lower bar", "anyway": "y", "seen": field(review(browser), "seen"), **fields}
    return browser.post("/publish/", data=data)


def test_the_review_shows_what_changes_and_who_would_enter(desk: Desk) -> None:
    desk.lower()
    browser = browser_of(desk.app)
    assert "member.warm.score" in review(browser)
    moves = browser.get("/publish/movement").text
    assert "dora" in moves
    assert "would enter warm" in moves


def test_publishing_puts_the_drafts_in_force_and_writes_down_who_and_why(desk: Desk, client: NudgeClient) -> None:
    desk.lower()
    browser = browser_of(desk.app)
    assert publish(browser).status_code == 303
    assert desk.changes() == []
    standing = client.standing("dora", account="bolt")
    assert standing is not None
    assert standing.tier == "warm"
    history = browser.get("/history/").text
    assert "A lower bar" in history
    assert "Pia" in history
    assert "A lower bar" in browser.get("/history/changes").text


def test_publishing_takes_a_note(desk: Desk) -> None:
    desk.lower()
    answer = publish(browser_of(desk.app), note=" ")
    assert answer.status_code == 422
    assert "Say why you publish" in answer.text
    assert desk.changes()


def test_a_draft_saved_after_the_review_is_not_published_unseen(desk: Desk) -> None:
    desk.lower()
    browser = browser_of(desk.app)
    seen = field(review(browser), "seen")
    desk.save("milestone", "sessions", name="Unseen")
    answer = publish(browser, seen=seen)
    assert answer.status_code == 409
    assert "Unseen" in answer.text
    assert "A lower bar" in answer.text, "the note that was typed is lost"
    assert len(desk.changes()) == 2


def test_what_the_check_forbids_is_published_only_on_purpose(desk: Desk) -> None:
    desk.lower()
    answer = publish(browser_of(desk.app), anyway="")
    assert answer.status_code == 422
    assert "The check says no" in answer.text


def test_drafts_with_problems_are_named_and_not_published(desk: Desk) -> None:
    desk.save("milestone", "sessions", at_least=-1)
    browser = browser_of(desk.app)
    assert "at_least" in review(browser)
    answer = publish(browser)
    assert answer.status_code == 422
    assert desk.changes()


def test_roll_back_puts_the_earlier_definition_in_force_and_leaves_drafts(desk: Desk, client: NudgeClient) -> None:
    desk.lower()
    browser = browser_of(desk.app)
    publish(browser)
    desk.save("milestone", "sessions", name="A draft")
    page = browser.get("/history/1").text
    assert "going back" in page
    answer = browser.post("/history/1/roll-back", data={"note": "Too many", "seen": field(page, "seen")})
    assert answer.status_code == 303
    standing = client.standing("dora", account="bolt")
    assert standing is not None
    assert standing.definition == 3
    assert desk.changes() == [("changed", "milestone", "sessions")]
    assert "Too many" in browser.get("/history/").text


def test_roll_back_sees_a_publication_in_between(desk: Desk) -> None:
    desk.lower()
    browser = browser_of(desk.app)
    publish(browser)
    page = browser.get("/history/1").text
    desk.save("milestone", "sessions", name="Another")
    publish(browser)
    answer = browser.post("/history/1/roll-back", data={"note": "Too many", "seen": field(page, "seen")})
    assert answer.status_code == 409
    assert "Too many" in answer.text


def test_the_order_of_segments_is_a_draft_too(desk: Desk) -> None:
    with desk.app.app_context():
        workspace = open_workspace(desk.client)
        keys = [each.key for each in workspace.live.segments]
        draft = StoredDraft("order", "segments", keys[::-1], 0, 0, "Ed")
        drafting.save(desk.client, workspace, draft, seen=workspace.version("order", "segments"))
        assert [each.key for each in open_workspace(desk.client).definition.segments] == keys[::-1]
    assert desk.changes() == [("moved", "order", "segments")]


def test_what_is_removed_stays_live_until_it_is_published(desk: Desk, client: NudgeClient) -> None:
    key = client.intake.catalog.rules.definition.nudges[0].key
    desk.save("nudge", key, gone=True)
    assert desk.changes() == [("removed", "nudge", key)]
    publish(browser_of(desk.app))
    assert key not in [each.key for each in client.intake.catalog.rules.definition.nudges]


def test_a_draft_is_thrown_away_only_as_it_was_seen(desk: Desk) -> None:
    desk.lower()
    browser = browser_of(desk.app)
    seen = field(review(browser), "version")
    desk.lower(2)
    data = {"kind": "segment", "key": "smb", "version": seen}
    assert browser.post("/publish/discard", data=data).status_code == 409
    data["version"] = field(review(browser), "version")
    assert browser.post("/publish/discard", data=data).status_code == 303
    assert desk.changes() == []


def test_the_history_shows_what_a_change_was(desk: Desk) -> None:
    desk.save("milestone", "sessions", name="Often here", by="Ed")
    text = browser_of(desk.app).get("/history/changes?entity=milestone+sessions").text
    assert "Ed" in text
    assert "Often here" in text
    with desk.app.app_context():
        assert len(queries.history()) == 1


def test_an_earlier_definition_can_be_had_as_yaml(admin: Admin) -> None:
    answer = admin("viewer").get("/history/1.yaml")
    assert answer.mimetype == "application/yaml"
    assert "milestones:" in answer.text
