from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from nudge_sdk import NudgeClient
from nudge_sdk.admin.nudge_editor.document import canonical, flat, languages_of, patched
from nudge_sdk.admin.nudge_editor.moves import language_removed, moved
from nudge_sdk.documents import read_definition
from nudge_sdk.playbooks import list_playbooks, read_playbook
from nudge_sdk.rules.authoring import to_plain
from nudge_sdk.testing import Clock
from tests.admin.conftest import Admin
from tests.admin.forms_sent import form_of

GOOD = {
    "name": "Second campaign",
    "placement": "dashboard",
    "content.title": "You just {{ done | sent a campaign }}",
    "content.cta.label": "Add contacts",
    "content.cta.url": "/billing",
}


def stands(browser: FlaskClient, key: str) -> dict[str, Any]:
    """Return a nudge as it stands in the drafts."""
    with browser.application.test_request_context():
        from nudge_sdk.admin.pages import current_workspace

        found: dict[str, Any] = current_workspace().stands("nudge", key)
        return found


def write(browser: FlaskClient, key: str, **changes: str) -> Any:
    """Save a nudge as its form is, with some fields changed."""
    form = form_of(browser.get(f"/nudges/{key}/").text)
    for name, value in changes.items():
        form[name] = value
    return browser.post(f"/nudges/{key}/", data=form)


def test_the_list_groups_nudges_by_placement_and_says_who_and_when(admin: Admin) -> None:
    text = admin("viewer").get("/nudges/").text
    assert text.index("after_action") < text.index("After a campaign") < text.index("limit_reached")
    assert "Whoever qualified" in text
    assert "Right after “First campaign sent”" in text


def test_the_list_can_be_narrowed_to_help(admin: Admin) -> None:
    text = admin("viewer").get("/nudges/?mode=help").text
    assert "Help with choosing a plan" in text
    assert "After a campaign" not in text


def test_the_list_counts_what_came_of_a_nudge_in_the_last_28_days(
    admin: Admin, client: NudgeClient, clock: Clock
) -> None:
    client.track("ada", "contacts_imported", {"count": 500}, account="acme")
    client.group("acme", {"contacts_used": 500, "contacts_limit": 500})
    decision = client.decide("limit_reached", user="ada", account="acme")
    assert decision.nudge is not None or "HELD_OUT" in decision.reasons.values()
    came = "1 withheld" if decision.nudge is None else "<span>offered</span>"
    assert came in admin().get("/nudges/").text
    clock.move(days=40)
    assert came not in admin().get("/nudges/").text


def test_an_empty_definition_invites_to_begin(client: NudgeClient, admin: Admin) -> None:
    client.publish("name: Empty\nmilestones: []\n", by="test")
    text = admin().get("/nudges/").text
    assert "No nudges yet" in text
    assert "/nudges/new-nudge/" in text


def test_a_form_that_changes_nothing_saves_nothing_whatever_the_nudge(admin: Admin, client: NudgeClient) -> None:
    browser = admin()
    for key in ("after_campaign", "contacts_limit", "help_automation", "help_plan", "seats_limit", "expansion_ready"):
        answer = write(browser, key)
        assert answer.status_code == 303
        assert "notice=unchanged" in answer.location, key
    assert browser.get("/history/changes/").text.count("<summary") <= 1


@pytest.mark.parametrize("playbook", [each.key for each in list_playbooks()])
def test_every_nudge_of_every_playbook_survives_its_form(playbook: str) -> None:
    definition = read_definition(read_playbook(playbook))
    for nudge in definition.nudges:
        plain = to_plain(nudge)
        languages = languages_of(plain, "en")
        assert canonical(patched(plain, flat(plain, languages), languages, default="en")) == plain


def test_a_new_nudge_gets_a_key_from_its_name_and_becomes_a_draft(admin: Admin, client: NudgeClient) -> None:
    browser = admin()
    form = form_of(browser.get("/nudges/new-nudge/").text)
    form.update(GOOD)
    answer = browser.post("/nudges/new-nudge/", data=form)
    assert answer.location.startswith("/nudges/second_campaign/")
    found = stands(browser, "second_campaign")
    assert found["content"]["cta"] == {"label": "Add contacts", "url": "/billing"}
    assert found["goal"] == "paid"
    assert "second_campaign" not in {each.key for each in client.decider.catalog().rules.definition.nudges}
    assert browser.post("/nudges/new-nudge/", data=form).location.startswith("/nudges/second_campaign_2/")


def test_a_new_nudge_needs_a_name_and_nothing_typed_is_lost(admin: Admin) -> None:
    browser = admin()
    form = form_of(browser.get("/nudges/new-nudge/").text)
    form.update({**GOOD, "name": " "})
    answer = browser.post("/nudges/new-nudge/", data=form)
    assert answer.status_code == 422
    assert "the key is made from it" in answer.text
    assert form_of(answer.text)["content.title"] == GOOD["content.title"]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("content.title", "Hello {{ nobody | x }}", "nobody is not a known name"),
        ("content.title", "Hello {{ user_name }}", "needs a fallback"),
        ("content.title", "x" * 81, "81 characters long; at most 80 fit"),
        ("content.body", "x" * 40_000, "longer than 20000 characters"),
        ("content.cta.label", "", "has no text for en, the default locale"),
        ("content.cta.url", "javascript:alert(1)", "Only http, https and relative"),
        ("content.cta.action", "ask_admin", "Write exactly one of url, action"),
        ("placement", "", "Write the name of the slot"),
        ("priority", "many", "is a text"),
        ("priority", "5000", "out of range"),
        ("holdout", "120", "out of range"),
        ("lifetime", "0", "out of range"),
        ("tags", "Not A Key", "is not a key"),
        ("schedule.ends_at", "tomorrow", "tomorrow"),
        ("goal", "glory", "there is no goal"),
        ("content.type", "hologram", "no content type"),
        ("mode", "shout", "not one of the choices"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_nothing_typed_is_lost(
    admin: Admin, name: str, value: str, said: str
) -> None:
    browser = admin()
    answer = write(browser, "after_campaign", **{name: value})
    assert answer.status_code == 422
    words = said.split(";")[0]
    assert words in answer.text.replace("&#34;", '"').replace("&#39;", "'")
    if name not in ("mode",):
        assert form_of(answer.text)[name] == value
    assert "draft" not in browser.get("/nudges/after_campaign/").text.split('name="version"')[1][:40]


def test_a_change_is_saved_and_all_else_stays(admin: Admin) -> None:
    browser = admin()
    before = stands(browser, "after_campaign")
    assert write(browser, "after_campaign", **{"content.title.de": "Glückwunsch!", "priority": "12"}).status_code == 303
    after = stands(browser, "after_campaign")
    assert after["content"]["title"] == {**before["content"]["title"], "de": "Glückwunsch!"}
    assert after["priority"] == 12
    before["content"]["title"], before["priority"] = after["content"]["title"], 12
    assert after == before


def test_what_the_form_does_not_show_is_kept(admin: Admin) -> None:
    browser = admin()
    version = form_of(browser.get("/nudges/after_campaign/").text)["version"]
    browser.post("/nudges/after_campaign/pause/", data={"version": version, "is_paused": "1"})
    write(browser, "after_campaign", priority="3")
    assert stands(browser, "after_campaign")["is_paused"] is True


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ({"trigger.kind": "any"}, {"milestone": "*"}),
        ({"trigger.kind": "usage", "trigger.usage": "contacts_full"}, {"usage": "contacts_full"}),
        ({"trigger.kind": "tier", "trigger.tier": "hot", "trigger.seconds": "90"}, {"tier": "hot", "seconds": 90}),
        ({"trigger.kind": "page", "trigger.page": "/a\r\n/b/*\r\n"}, {"page": ["/a", "/b/*"]}),
        ({"trigger.kind": "manual"}, {"manual": True}),
        ({"trigger.kind": ""}, None),
    ],
)
def test_every_trigger_can_be_chosen(admin: Admin, typed: dict[str, str], expected: Any) -> None:
    browser = admin()
    assert write(browser, "after_campaign", **typed).status_code == 303
    assert stands(browser, "after_campaign").get("trigger") == expected


def test_limits_and_times_are_read(admin: Admin) -> None:
    browser = admin()
    page = browser.get("/nudges/after_campaign/").text
    more = browser.post("/nudges/after_campaign/", data={**form_of(page), "do": "caps.add"})
    form = form_of(more.text)
    form |= {"caps[0].count": "2", "caps[0].length": "7", "schedule.starts_at": "2026-06-01T08:00", "holdout": "12.5"}
    assert browser.post("/nudges/after_campaign/", data=form).status_code == 303
    found = stands(browser, "after_campaign")
    assert found["caps"] == [{"count": 2, "days": 7}]
    assert found["schedule"] == {"starts_at": "2026-06-01T08:00:00Z"}
    assert found["holdout"] == 0.125
    assert "notice=unchanged" in write(browser, "after_campaign").location


def test_steps_are_added_moved_and_removed_without_a_script(admin: Admin) -> None:
    browser = admin()

    def press(form: Any, what: str) -> Any:
        answer = browser.post("/nudges/help_automation/", data={**form, "do": what})
        assert answer.status_code == 200
        return form_of(answer.text)

    form = form_of(browser.get("/nudges/help_automation/").text)
    first, second = form["content.steps[0].title"], form["content.steps[1].title"]
    form = press(form, "steps.down:content:0")
    assert (form["content.steps[0].title"], form["content.steps[1].title"]) == (second, first)
    form = press({**form, "name": "Typed meanwhile"}, "steps.add:content")
    assert form["content.steps[3].title"] == ""
    form = press(form, "steps.remove:content:0")
    assert form["content.steps[0].title"] == first
    assert form["name"] == "Typed meanwhile"
    assert "draft" not in form["version"]


def test_a_language_is_added_and_removed(admin: Admin) -> None:
    browser = admin()
    form = form_of(browser.get("/nudges/after_campaign/").text)
    refused = browser.post("/nudges/after_campaign/", data={**form, "do": "languages.add", "new_language": "x!"})
    assert "Write a language tag" in refused.text
    form = form_of(
        browser.post("/nudges/after_campaign/", data={**form, "do": "languages.add", "new_language": "pt_BR"}).text
    )
    form["content.title.pt-BR"] = "Você enviou"
    browser.post("/nudges/after_campaign/", data=form)
    assert stands(browser, "after_campaign")["content"]["title"]["pt-BR"] == "Você enviou"
    form = form_of(browser.get("/nudges/after_campaign/").text)
    form = form_of(browser.post("/nudges/after_campaign/", data={**form, "do": "languages.remove:de"}).text)
    browser.post("/nudges/after_campaign/", data=form)
    assert set(stands(browser, "after_campaign")["content"]["title"]) == {"en", "pt-BR"}


def test_two_texts_are_tried_against_each_other_and_one_is_kept(admin: Admin) -> None:
    browser = admin()
    form = form_of(browser.get("/nudges/after_campaign/").text)
    form = form_of(browser.post("/nudges/after_campaign/", data={**form, "do": "variants.add"}).text)
    form |= {"variants[1].content.title": "Another title", "variants[1].weight": "3"}
    assert browser.post("/nudges/after_campaign/", data=form).status_code == 303
    found = stands(browser, "after_campaign")
    assert [(each["key"], each.get("weight", 1)) for each in found["variants"]] == [("a", 1), ("b", 3)]
    assert "content" not in found
    form = form_of(browser.get("/nudges/after_campaign/").text)
    form = form_of(browser.post("/nudges/after_campaign/", data={**form, "do": "variants.remove::0"}).text)
    browser.post("/nudges/after_campaign/", data=form)
    assert stands(browser, "after_campaign")["content"]["title"]["en"] == "Another title"


def test_those_who_cannot_buy_get_a_text_of_their_own(admin: Admin) -> None:
    browser = admin()
    form = form_of(browser.get("/nudges/after_campaign/").text)
    form = form_of(browser.post("/nudges/after_campaign/", data={**form, "do": "ask.remove"}).text)
    browser.post("/nudges/after_campaign/", data=form)
    assert "ask" not in stands(browser, "after_campaign")
    form = form_of(browser.post("/nudges/after_campaign/", data={**form, "do": "ask.add"}).text)
    assert form["ask.title"] == form["content.title"]


def test_an_audience_is_saved_and_one_that_cannot_be_read_is_not(admin: Admin) -> None:
    browser = admin()
    row = {"audience-0-subject": "account_trait", "audience-0-name": "plan", "audience-0-operator": "equals"}
    answer = write(browser, "after_campaign", **row, **{"audience-0-value": ""})
    assert answer.status_code == 422
    assert "Write a value" in answer.text
    assert write(browser, "after_campaign", **row, **{"audience-0-value": "free"}).status_code == 303
    assert stands(browser, "after_campaign")["audience"] == {"account_trait": "plan", "equals": "free"}


def test_an_unfinished_condition_survives_another_button(admin: Admin) -> None:
    browser = admin()
    form = form_of(browser.get("/nudges/after_campaign/").text)
    form |= {"audience-0-subject": "trait", "audience-0-name": "role", "audience-0-value": "", "do": "caps.add"}
    assert form_of(browser.post("/nudges/after_campaign/", data=form).text)["audience-0-name"] == "role"


def test_nobody_overwrites_what_they_have_not_seen(admin: Admin) -> None:
    pia, eli = admin(name="Pia"), admin("editor", "Eli")
    form = form_of(pia.get("/nudges/after_campaign/").text)
    write(eli, "after_campaign", name="Eli was here")
    form["name"] = "Pia was here"
    answer = pia.post("/nudges/after_campaign/", data=form)
    assert answer.status_code == 409
    assert "Eli" in answer.text
    assert "Eli was here" in answer.text
    again = form_of(answer.text)
    assert again["name"] == "Pia was here"
    assert stands(pia, "after_campaign")["name"] == "Eli was here"
    assert pia.post("/nudges/after_campaign/", data=again).status_code == 303
    assert stands(pia, "after_campaign")["name"] == "Pia was here"


def test_a_nudge_is_paused_and_resumed_with_one_click(admin: Admin) -> None:
    browser = admin("editor")
    version = form_of(browser.get("/nudges/after_campaign/").text)["version"]
    browser.post("/nudges/after_campaign/pause/", data={"version": version, "is_paused": "1"})
    assert stands(browser, "after_campaign")["is_paused"] is True
    assert "paused" in browser.get("/nudges/").text
    stale = browser.post("/nudges/after_campaign/pause/", data={"version": version})
    assert stale.status_code == 409
    version = form_of(browser.get("/nudges/after_campaign/").text)["version"]
    browser.post("/nudges/after_campaign/pause/", data={"version": version})
    assert "is_paused" not in stands(browser, "after_campaign")
    assert "unpublished change" not in browser.get("/nudges/").text


def test_a_nudge_is_removed_listed_until_then_and_kept_after_all(admin: Admin) -> None:
    browser = admin()
    version = form_of(browser.get("/nudges/after_campaign/").text)["version"]
    browser.post("/nudges/after_campaign/remove/", data={"version": version})
    assert stands(browser, "after_campaign") is None
    assert "removed, still live" in browser.get("/nudges/").text
    page = browser.get("/nudges/after_campaign/")
    assert "Keep it after all" in page.text
    assert 'name="content.title"' not in page.text
    version = page.text.split('name="version" value="')[1].split('"')[0]
    browser.post("/nudges/after_campaign/discard/", data={"version": version})
    assert stands(browser, "after_campaign")["name"] == "After a campaign"


def test_a_copy_begins_with_all_of_its_original(admin: Admin) -> None:
    form = form_of(admin().get("/nudges/new-nudge/?from=after_campaign").text)
    assert form["name"] == "Copy of After a campaign"
    assert form["trigger.milestone"] == "first_campaign"


def test_a_viewer_reads_the_nudge_and_cannot_change_it(admin: Admin) -> None:
    browser = admin("viewer")
    text = browser.get("/nudges/after_campaign/?look-locale=de").text
    assert "Du hast gerade" in text
    assert 'name="content.title"' not in text
    assert "Save draft" not in text
    assert browser.post("/nudges/after_campaign/", data={"name": "x"}).status_code == 403
    assert browser.get("/nudges/new-nudge/").status_code == 403


def test_an_unknown_nudge_is_not_found(admin: Admin) -> None:
    assert admin().get("/nudges/nothing/").status_code == 404


def test_another_language_named_like_a_field_takes_nothing_else_away() -> None:
    document = {"key": "k", "name": "kept", "content": {"title": {"en": "a", "name": "b"}, "cta": {"label": "go"}}}
    without = language_removed(document, "name")
    assert without == {"key": "k", "name": "kept", "content": {"title": {"en": "a"}, "cta": {"label": "go"}}}


@pytest.mark.parametrize(
    "asked", ["", "x", "steps.add", "steps.remove:content:99", "caps.up::7", "steps.add:name", "ask.x:y:z"]
)
def test_a_button_nobody_has_changes_nothing_much(asked: str) -> None:
    document = {"key": "k", "placement": "p", "content": {"title": "t"}}
    assert moved(document, asked)[0] == document


@pytest.mark.parametrize("value", ["\x00", "\u202e\u2066", "[]", "-1", "9" * 400, "1e999", "nan", " "])
def test_whatever_is_sent_is_never_an_error_of_ours(admin: Admin, value: str) -> None:
    browser = admin()
    form = form_of(browser.get("/nudges/help_automation/").text)
    sent = {name: old if name == "version" else value for name, old in form.items()}
    more = {"content.steps[9].title": value, "caps[0].count": value, "variants[0].weight": value}
    for data in (sent, sent | more, form | {"do": value}, form | {"do": f"steps.up:content:{value}"}):
        assert browser.post("/nudges/help_automation/", data=data).status_code in (200, 422)
