"""Milestones in the admin: list, editor, saving, conflicts, removal."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from nudge_sdk import NudgeClient
from nudge_sdk.admin.queries.events import seen_events
from nudge_sdk.admin.workspace import open_workspace
from nudge_sdk.documents import read_definition
from nudge_sdk.playbooks import read_playbook
from nudge_sdk.rules.times import to_micros
from nudge_sdk.testing import Clock
from tests.admin.conftest import Admin, admin_of
from tests.admin.reading import form_of, version_of

CAMPAIGN = "/milestones/first_campaign/"
OURS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }}",
    "' OR 1=1 --",
    "a, b",
    'he said "hi"',
    "\u202eright to left",
    "Ω≈ç√",
]


def stands(client: NudgeClient, key: str, kind: str = "milestone") -> Any:
    with admin_of(client).app_context():
        return open_workspace(client).stands(kind, key)


def text_of(html: str) -> str:
    """What is read on a page, its white space as one space."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def change(browser: FlaskClient, place: str, **fields: Any) -> Any:
    """Open an editor, type, save."""
    sent: dict[str, Any] = {**form_of(browser.get(place).text), **fields}
    return browser.post(place, data=sent)


def test_every_page_of_milestones_answers(admin: Admin) -> None:
    editor = admin("editor")
    for path in ("", "new-one/", "first_campaign/", "company_size/", "contacts_full/", "first_campaign/remove/"):
        assert editor.get(f"/milestones/{path}").status_code == 200, path
    for path in ("nobody/", "nobody/remove/"):
        assert editor.get(f"/milestones/{path}").status_code == 404, path
    for path in ("nobody/", "nobody/remove/"):
        assert editor.post(f"/milestones/{path}").status_code == 404, path


def test_the_list_says_what_counts_what_it_is_worth_and_where_it_is_used(admin: Admin) -> None:
    said = text_of(admin("viewer").get("/milestones/").text)
    assert "First campaign sent aha moment Campaign sent in the last 14 days 5 high 2 segments , 1 nudge" in said
    assert said.index("Of people") < said.index("Of accounts") < said.index("First campaign of the account")
    assert "New milestone" not in said


def test_an_empty_list_shows_how_to_begin(tmp_path: Path, clock: Clock) -> None:
    with NudgeClient(f"sqlite:///{tmp_path / 'empty.db'}", drain="inline", clock=clock) as client:
        app = admin_of(client)
        assert "Start from a playbook" in app.test_client().get("/milestones/").text
        assert "Start from a playbook" in app.test_client().get("/segments/").text
        assert app.test_client().get("/milestones/new-one/").status_code == 200


@pytest.mark.parametrize("playbook", ["email_tool", "points_70", "trial"])
def test_a_form_that_changes_nothing_saves_nothing(client: NudgeClient, admin: Admin, playbook: str) -> None:
    definition = read_definition(read_playbook(playbook))
    client.publish(definition, by="setup", note="another")
    editor = admin("editor")
    for milestone in definition.milestones[::2]:
        answer = change(editor, f"/milestones/{milestone.key}/")
        assert answer.status_code == 303, milestone.key
        assert "notice=unchanged" in answer.location, milestone.key


def test_a_new_milestone_gets_its_key_from_its_name(client: NudgeClient, admin: Admin) -> None:
    fields = {
        "name": " Second campaign! ",
        "event": "campaign_sent",
        "at_least": "2",
        "category": "high",
        "done": "sent two",
    }
    answer = change(admin("editor"), "/milestones/new-one/", **fields)
    assert answer.status_code == 303
    assert answer.location == "/milestones/second_campaign/?notice=saved"
    assert stands(client, "second_campaign") == {
        "key": "second_campaign",
        "name": "Second campaign!",
        "category": "high",
        "signal": {"event": "campaign_sent"},
        "at_least": 2,
        "done": "sent two",
    }
    again = change(admin("editor"), "/milestones/new-one/", **fields)
    assert again.location == "/milestones/second_campaign_2/?notice=saved"


@pytest.mark.parametrize("name", ["日本", "9 lives", "---", "x" * 150])
def test_any_name_gives_a_key(client: NudgeClient, admin: Admin, name: str) -> None:
    answer = change(admin("editor"), "/milestones/new-one/", name=name, event="e")
    assert answer.status_code == 303
    assert re.fullmatch(r"/milestones/[a-z][a-z0-9_]{0,63}/\?notice=saved", answer.location)


def test_a_key_that_is_taken_or_no_key_is_said_at_its_field(admin: Admin) -> None:
    editor = admin("editor")
    taken = change(editor, "/milestones/new-one/", name="Mine", event="e", key="first_campaign")
    assert taken.status_code == 422
    assert "This key is taken" in taken.text
    odd = change(editor, "/milestones/new-one/", name="Mine", event="e", key="Not a key")
    assert odd.status_code == 422
    assert "is not a key" in text_of(odd.text)
    assert 'value="Mine"' in odd.text


@pytest.mark.parametrize(
    ("fields", "made"),
    [
        (
            {"event": "file_shared, project_shared", "measure": "days", "at_least": "3", "window_amount": "7"},
            {
                "signal": {"event": ["file_shared", "project_shared"], "measure": "days"},
                "at_least": 3,
                "window": {"days": 7},
            },
        ),
        (
            {"event": "a", "measure": "sum", "property": "amount", "at_least": "99.5", "window": "ever"},
            {
                "signal": {"event": "a", "measure": "sum", "property": "amount"},
                "at_least": 99.5,
                "window": {"ever": True},
            },
        ),
        (
            {
                "subject": "account",
                "event": "a",
                "measure": "people",
                "window": "since_signup_hours",
                "window_amount": "48",
            },
            {
                "subject": "account",
                "signal": {"event": "a", "measure": "values", "property": "$user"},
                "window": {"since_signup_hours": 48},
            },
        ),
        (
            {
                "what": "usage",
                "usage_value": "seats_used",
                "usage_limit": "seats_limit",
                "share": "80",
                "at_least": "junk",
            },
            {"usage": {"value": "seats_used", "limit": "seats_limit", "share": 0.8}},
        ),
        (
            {
                "what": "when",
                "when-0-subject": "trait",
                "when-0-name": "role",
                "when-0-operator": "in",
                "when-0-value": "admin, pm",
                "axis": "fit",
                "points": "1,5",
            },
            {"when": {"trait": "role", "in": ["admin", "pm"]}, "axis": "fit", "points": 1.5},
        ),
        (
            {
                "event": "a",
                "half_life": "14",
                "grace": "0",
                "is_aha": "y",
                "done": "did it",
                "done_others": "de: getan",
            },
            {
                "signal": {"event": "a"},
                "decay": {"half_life_days": 14, "grace_days": 0},
                "is_aha": True,
                "done": {"en": "did it", "de": "getan"},
            },
        ),
    ],
)
def test_everything_a_milestone_can_be_is_made_in_the_form(
    client: NudgeClient, admin: Admin, fields: dict[str, str], made: dict[str, Any]
) -> None:
    answer = change(admin("editor"), "/milestones/new-one/", name="New", key="new_one", **fields)
    assert answer.status_code == 303, text_of(answer.text)
    assert stands(client, "new_one") == {"key": "new_one", "name": "New", **made}
    assert change(admin("editor"), "/milestones/new_one/").location.endswith("notice=unchanged")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": ""}, "Give it a name."),
        ({"event": ""}, "Write the name of the event."),
        ({"event": '"open'}, "Close the quotes"),
        ({"at_least": "many"}, "Write a number"),
        ({"at_least": "15", "measure": "days"}, "the window has 14 days"),
        ({"measure": "sum"}, "Write the name of the property."),
        ({"points": "1.23456"}, "more than three decimals"),
        ({"window_amount": ""}, "Write how many."),
        ({"window_amount": "0"}, "0 is out of range"),
        ({"done_others": "eine Kampagne"}, "one language a line"),
        ({"what": "usage"}, "Write the name of a trait."),
        ({"what": "when"}, "Write exactly one of"),
        ({"what": "nonsense"}, "Not a valid choice"),
        ({"group": "nobody"}, "there is no group"),
        ({"half_life": "0"}, "0 is out of range"),
        ({"done": "x" * 300}, "at most 80 characters"),
    ],
)
def test_what_cannot_be_saved_is_said_at_its_field_and_nothing_typed_is_lost(
    client: NudgeClient, admin: Admin, fields: dict[str, str], said: str
) -> None:
    before = stands(client, "first_campaign")
    answer = change(admin("editor"), CAMPAIGN, **{"notes": "Typed with care", **fields})
    assert answer.status_code == 422
    assert said.lower() in text_of(answer.text).lower()
    sent = form_of(answer.text)
    assert sent["notes"] == ["Typed with care"]
    assert all(sent.get(name, [value]) == [value] for name, value in fields.items() if name not in ("what", "group"))
    assert stands(client, "first_campaign") == before


def test_fields_that_the_form_does_not_know_are_kept(client: NudgeClient, admin: Admin) -> None:
    answer = change(admin("editor"), "/milestones/core_integration/", points="4")
    assert answer.status_code == 303
    made = stands(client, "core_integration")
    assert made["signal"] == {"event": "integration_connected", "where": {"property": "kind", "equals": "core"}}
    assert made["done"] == {"en": "connected an integration", "de": "eine Integration verbunden"}
    assert made["points"] == 4


def test_asking_for_a_row_saves_nothing_and_keeps_what_was_typed(client: NudgeClient, admin: Admin) -> None:
    answer = change(admin("editor"), CAMPAIGN, do="add:where", name="Other", at_least="junk")
    assert answer.status_code == 200
    assert form_of(answer.text)["where-0-name"] == [""]
    assert form_of(answer.text)["at_least"] == ["junk"]
    assert "name" in stands(client, "first_campaign")
    assert stands(client, "first_campaign")["name"] != "Other"


def test_looking_says_in_words_what_is_typed_and_what_it_would_bring_about(admin: Admin) -> None:
    answer = change(admin("editor"), CAMPAIGN, do="look", event="never_tracked", at_least="3")
    said = text_of(answer.text)
    assert "Never tracked at least 3 times in the last 14 days." in said
    assert "never_tracked not seen in the last 30 days" in said
    weaker = text_of(change(admin("editor"), CAMPAIGN, do="look", points="-50").text)
    assert "can never become warm" in weaker


def test_how_often_an_event_was_seen_stands_beside_it(admin: Admin) -> None:
    said = text_of(admin("editor").get("/milestones/teammates/").text)
    assert "teammate_invited 3 events in the last 30 days" in said


def test_a_viewer_reads_the_same_without_a_form(admin: Admin) -> None:
    viewer = admin("viewer")
    page = viewer.get(CAMPAIGN).text
    assert "<form" not in page.split("<main")[1]
    said = text_of(page)
    assert "Campaign sent in the last 14 days" in said
    assert "Yes, the aha moment" in said
    for path in ("new-one/", "first_campaign/", "first_campaign/remove/", "first_campaign/discard/"):
        assert viewer.post(f"/milestones/{path}").status_code == 403


def test_who_saves_late_sees_what_stands_and_can_go_on(client: NudgeClient, admin: Admin) -> None:
    bob, pia = admin("editor", "Bob"), admin("editor", "Pia")
    typed = {**form_of(bob.get(CAMPAIGN).text), "at_least": "7", "notes": "Bob’s"}
    assert change(pia, CAMPAIGN, at_least="4").status_code == 303
    late = bob.post(CAMPAIGN, data=typed)
    assert late.status_code == 409
    assert "Pia changed this while you were editing" in text_of(late.text)
    assert "at_least 4 7" in text_of(late.text)
    assert stands(client, "first_campaign")["at_least"] == 4
    again = form_of(late.text)
    assert (again["at_least"], again["notes"]) == (["7"], ["Bob’s"])
    assert bob.post(CAMPAIGN, data=again).status_code == 303
    assert stands(client, "first_campaign")["at_least"] == 7


def test_a_mistake_does_not_hide_that_somebody_else_saved(client: NudgeClient, admin: Admin) -> None:
    bob, pia = admin("editor", "Bob"), admin("editor", "Pia")
    typed = {**form_of(bob.get(CAMPAIGN).text), "at_least": "junk"}
    assert change(pia, CAMPAIGN, at_least="4").status_code == 303
    wrong = bob.post(CAMPAIGN, data=typed)
    assert wrong.status_code == 422
    assert bob.post(CAMPAIGN, data={**form_of(wrong.text), "at_least": "7"}).status_code == 409
    assert stands(client, "first_campaign")["at_least"] == 4


def test_a_milestone_somebody_removed_meanwhile_can_be_put_back(client: NudgeClient, admin: Admin) -> None:
    bob, pia = admin("editor", "Bob"), admin("editor", "Pia")
    typed = {**form_of(bob.get(CAMPAIGN).text), "at_least": "7"}
    pia.post(f"{CAMPAIGN}remove/", data={"version": form_of(pia.get(CAMPAIGN).text)["version"]})
    late = bob.post(CAMPAIGN, data=typed)
    assert late.status_code == 409
    assert "Pia removed this" in text_of(late.text)
    assert bob.post(CAMPAIGN, data=form_of(late.text)).status_code == 303
    assert stands(client, "first_campaign")["at_least"] == 7


def test_removal_says_first_what_refers_to_it_and_can_be_taken_back(client: NudgeClient, admin: Admin) -> None:
    editor = admin("editor")
    asked = editor.get(f"{CAMPAIGN}remove/").text
    assert "Enterprise segment, gate of warm members, gate of hot members" in text_of(asked)
    assert "After a campaign nudge, trigger" in text_of(asked)
    version = re.search(r'name="version" value="([^"]+)"', asked)
    assert version is not None
    assert editor.post(f"{CAMPAIGN}remove/", data={"version": "live-old"}).status_code == 409
    answer = editor.post(f"{CAMPAIGN}remove/", data={"version": version[1]})
    assert answer.location == "/milestones/?notice=removed"
    assert stands(client, "first_campaign") is None
    assert "removed, still live" in editor.get("/milestones/").text
    assert "Restore" in editor.get(CAMPAIGN).text
    seen = {"version": version_of(editor.get(CAMPAIGN).text)}
    assert editor.post(f"{CAMPAIGN}discard/", data=seen).location == f"{CAMPAIGN}?notice=discarded"
    assert stands(client, "first_campaign") is not None
    assert editor.post(f"{CAMPAIGN}discard/", data=seen).status_code == 409


def test_the_draft_of_a_new_milestone_is_discarded_to_the_list(client: NudgeClient, admin: Admin) -> None:
    editor = admin("editor")
    change(editor, "/milestones/new-one/", name="New", event="e")
    assert "new, not live" in editor.get("/milestones/").text
    seen = {"version": version_of(editor.get("/milestones/new/").text)}
    assert editor.post("/milestones/new/discard/", data=seen).location == "/milestones/?notice=discarded"
    assert stands(client, "new") is None


@pytest.mark.parametrize("text", OURS)
def test_hostile_names_and_events_are_escaped_and_survive(client: NudgeClient, admin: Admin, text: str) -> None:
    fields = {"name": text, "notes": text, "event": json.dumps(text), "done": "did it", "key": "hostile"}
    where = {
        "where-0-subject": "property",
        "where-0-name": text,
        "where-0-operator": "equals",
        "where-0-value": json.dumps(text),
    }
    answer = change(admin("editor"), "/milestones/new-one/", **fields, **where)
    assert answer.status_code == 303, text_of(answer.text)
    made = stands(client, "hostile")
    assert (made["name"], made["notes"], made["signal"]["event"]) == (text, text, text)
    assert made["signal"]["where"] == {"property": text, "equals": text}
    for role, path in (("editor", "hostile/"), ("viewer", "hostile/"), ("viewer", ""), ("editor", "hostile/remove/")):
        page = admin(role).get(f"/milestones/{path}").text
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "49" not in re.sub(r"\d{3,}", "", text_of(page).replace("{{ 7 * 7 }}", ""))
    assert change(admin("editor"), "/milestones/hostile/").location.endswith("notice=unchanged")


@pytest.mark.shared
@pytest.mark.slow
def test_the_naughty_strings_survive_the_form_or_are_refused(
    client: NudgeClient, admin: Admin, shared_data: Path
) -> None:
    editor = admin("editor")
    sent = form_of(editor.get(CAMPAIGN).text)
    for text in json.loads((shared_data / "blns.json").read_text())[::12]:
        looked = editor.post(CAMPAIGN, data={**sent, "name": text, "event": text, "do": "look"})
        assert looked.status_code == 200
        assert form_of(looked.text)["name"] == [text.replace("\r", "").replace("\n", "")] or "\n" in text
        assert editor.post(CAMPAIGN, data={**sent, "name": text, "do": ""}).status_code in (303, 422, 409)
        sent = form_of(editor.get(CAMPAIGN).text)


def test_counting_events_looks_at_a_bounded_number_of_them(client: NudgeClient, clock: Clock) -> None:
    client.flush()
    with admin_of(client).app_context():
        now = to_micros(clock())
        every = seen_events(now)
        assert every.is_whole
        assert every.counts["teammate_invited"] == 3
        assert "identify" not in every.counts
        some = seen_events(now, most=2)
        assert not some.is_whole
        assert sum(some.counts.values()) <= 2
        clock.move(days=40)
        assert seen_events(to_micros(clock())).counts == {}
