"""Segments in the admin: order, thresholds, gates, saving, conflicts, removal."""

from __future__ import annotations

from typing import Any

import pytest

from nudge_sdk import NudgeClient
from nudge_sdk.admin.queries.events import tiers_by_segment
from nudge_sdk.admin.tier_ways import tiers_of
from nudge_sdk.admin.uses import uses_of_milestone, uses_of_segment
from nudge_sdk.documents import read_definition
from nudge_sdk.playbooks import list_playbooks, read_playbook
from nudge_sdk.rules.authoring import parse_definition, to_plain
from tests.admin.conftest import Admin, admin_of
from tests.admin.reading import form_of, version_of
from tests.admin.test_milestones import OURS, change, stands, text_of

SMB = "/segments/smb/"
PLAYBOOK = read_definition(read_playbook("email_tool"))


def order(client: NudgeClient) -> list[str]:
    found: list[str] = stands(client, "segments", "order")
    return found


def test_every_page_of_segments_answers(admin: Admin) -> None:
    editor = admin("editor")
    for path in ("", "new-one/", "enterprise/", "smb/", "smb/remove/"):
        assert editor.get(f"/segments/{path}").status_code == 200, path
    for path in ("nobody/", "nobody/remove/"):
        assert editor.get(f"/segments/{path}").status_code == 404, path
        assert editor.post(f"/segments/{path}").status_code == 404, path


@pytest.mark.parametrize("playbook", [each.key for each in list_playbooks()])
def test_a_form_that_changes_nothing_saves_nothing(client: NudgeClient, admin: Admin, playbook: str) -> None:
    definition = read_definition(read_playbook(playbook))
    client.publish(definition, by="setup", note="another")
    editor = admin("editor")
    for segment in definition.segments:
        answer = change(editor, f"/segments/{segment.key}/")
        assert answer.status_code == 303, segment.key
        assert "notice=unchanged" in answer.location, segment.key


def test_the_list_shows_thresholds_gates_and_who_is_in_each(admin: Admin) -> None:
    said = text_of(admin("viewer").get("/segments/").text)
    assert "1 Enterprise The account has at least 100 employees or the account’s plan is enterprise" in said
    assert "2 Small and mid-sized Every account that no segment above takes." in said
    assert "hot 12 of 26 points, with “First campaign of the account”, and 3 active users in 7 days" in said
    assert "Accounts now 1 hot, 0 warm, 2 in all" in said
    assert "Move up" not in said


def test_a_threshold_is_lowered_and_the_ways_into_the_tier_stand_beside_it(client: NudgeClient, admin: Admin) -> None:
    looked = text_of(change(admin("editor"), SMB, **{"member_warm-score": "5", "do": "look"}).text)
    assert "Members warm 5 of 26 points First campaign sent (5) = 5" in looked
    answer = change(admin("editor"), SMB, **{"member_warm-score": "5"})
    assert answer.location == f"{SMB}?notice=saved"
    smb = stands(client, "smb", "segment")
    assert smb["member"]["warm"] == {"score": 5, "gates": [{"milestones": ["first_campaign"]}]}
    assert smb["member"]["hot"] == to_plain(PLAYBOOK.segments[1].member.hot)
    page = admin("editor").get(answer.location).text
    assert "Who would enter and leave" in page
    assert 'href="/publish/"' in page


def test_everything_a_segment_can_be_is_made_in_the_form(client: NudgeClient, admin: Admin) -> None:
    fields: dict[str, Any] = {
        "name": "Big ones",
        "model": "trial",
        "when-0-subject": "account_trait",
        "when-0-name": "employees",
        "when-0-operator": "at_least",
        "when-0-value": "50",
        "member_warm-score": "6",
        "member_warm-milestones": ["first_campaign", "teammates"],
        "member_warm-needed": "2",
        "member_hot-score": "",
        "account_hot-score": "12.5",
        "account_hot-active_users": "5",
        "account_hot-days": "14",
        "account_hot-fit": "1",
        "account_hot-more": "- {milestones: [account_teammates]}\r\n- {milestones: [account_first_campaign]}\r\n",
        "hold_days": "5",
        "help_after_days": "3",
        "episode_days": "14",
        "rest_days": "0",
        "half_life": "14",
        "capacity_per_week": "10",
    }
    answer = change(admin("editor"), "/segments/new-one/", **fields)
    assert answer.status_code == 303, text_of(answer.text)
    made = {
        "key": "big_ones",
        "name": "Big ones",
        "model": "trial",
        "when": {"account_trait": "employees", "at_least": 50},
        "member": {"warm": {"score": 6, "gates": [{"milestones": ["first_campaign", "teammates"], "at_least": 2}]}},
        "account": {
            "hot": {
                "score": 12.5,
                "gates": [
                    {"active_users": 5, "days": 14},
                    {"fit": 1},
                    {"milestones": ["account_teammates"]},
                    {"milestones": ["account_first_campaign"]},
                ],
            }
        },
        "hold_days": 5,
        "help_after_days": 3,
        "episode_days": 14,
        "rest_days": 0,
        "decay": {"half_life_days": 14},
        "capacity_per_week": 10,
    }
    assert stands(client, "big_ones", "segment") == made
    assert change(admin("editor"), "/segments/big_ones/").location.endswith("notice=unchanged")


def test_a_new_segment_stands_before_one_that_takes_every_account(client: NudgeClient, admin: Admin) -> None:
    when = {"when-0-subject": "account_trait", "when-0-name": "plan", "when-0-operator": "equals", "when-0-value": "x"}
    assert change(admin("editor"), "/segments/new-one/", name="Third", **when).status_code == 303
    assert order(client) == ["enterprise", "third", "smb"]


def test_segments_move_up_and_down_as_a_draft(client: NudgeClient, admin: Admin) -> None:
    editor = admin("editor")
    version = version_of(editor.get("/segments/").text)
    moved = editor.post("/segments/move-one/", data={"key": "smb", "to": "up", "version": version})
    assert moved.location == "/segments/?notice=moved"
    assert order(client) == ["smb", "enterprise"]
    late = editor.post("/segments/move-one/", data={"key": "smb", "to": "down", "version": version})
    assert late.status_code == 409
    again = version_of(editor.get("/segments/").text)
    assert editor.post("/segments/move-one/", data={"key": "smb", "to": "up", "version": again}).status_code == 303
    assert editor.post("/segments/move-one/", data={"key": "smb", "to": "down", "version": again}).status_code == 303
    assert order(client) == ["enterprise", "smb"]
    assert editor.post("/segments/move-one/", data={"key": "nobody", "version": again}).status_code == 404


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": ""}, "Give it a name."),
        ({"member_warm-score": "many"}, "Warm members, points needed: Write a number"),
        ({"member_warm-score": ""}, "Write the points needed; what else is required stands below"),
        ({"member_warm-needed": "9"}, "Warm members, at least how many of them: 9 is out of range"),
        ({"member_warm-milestones": ["nobody"]}, "there is no milestone"),
        ({"member_hot-milestones": ["account_sessions"]}, "no milestone of the member"),
        ({"account_hot-active_users": "0"}, "Hot accounts, active users: 0 is out of range"),
        ({"account_hot-active_users": "2.5"}, "Write a whole number"),
        ({"account_hot-days": "0"}, "0 is out of range"),
        ({"account_hot-more": "milestones: [a]"}, "Write a list of gates"),
        ({"account_hot-more": "- ["}, "is not YAML"),
        (
            {"account_hot-more": "- {milestones: [nobody]}"},
            "Hot accounts, further gates, as yaml: There is no milestone",
        ),
        ({"hold_days": ""}, "Write a number of days."),
        ({"hold_days": "31"}, "31 is out of range"),
        ({"help_after_days": "28"}, "is not before the end of the episode"),
        ({"capacity_per_week": "0"}, "0 is out of range"),
        (
            {"when-0-subject": "account_trait", "when-0-name": "x", "when-0-operator": "before", "when-0-value": "y"},
            "not an instant",
        ),
    ],
)
def test_what_cannot_be_saved_is_said_at_its_field_and_nothing_typed_is_lost(
    client: NudgeClient, admin: Admin, fields: dict[str, Any], said: str
) -> None:
    before = stands(client, "smb", "segment")
    answer = change(admin("editor"), SMB, notes="Typed with care", **fields)
    assert answer.status_code == 422
    assert said.lower() in text_of(answer.text).lower()
    sent = form_of(answer.text)
    assert sent["notes"] == ["Typed with care"]
    for name, value in fields.items():
        assert sent[name] == (value if isinstance(value, list) else [value])
    assert stands(client, "smb", "segment") == before


def test_a_viewer_reads_the_same_without_a_form(admin: Admin) -> None:
    viewer = admin("viewer")
    page = viewer.get(SMB).text
    assert "<form" not in page.split("<main")[1]
    assert "28 days, help from day 7, then 30 days of rest" in text_of(page)
    for path in ("new-one/", "smb/", "smb/remove/", "smb/discard/", "move-one/"):
        assert viewer.post(f"/segments/{path}").status_code == 403


def test_who_saves_late_sees_what_stands_and_can_go_on(client: NudgeClient, admin: Admin) -> None:
    bob, pia = admin("editor", "Bob"), admin("editor", "Pia")
    typed = {**form_of(bob.get(SMB).text), "member_warm-score": "7"}
    assert change(pia, SMB, **{"member_warm-score": "4"}).status_code == 303
    late = bob.post(SMB, data=typed)
    assert late.status_code == 409
    assert "Pia changed this while you were editing" in text_of(late.text)
    assert bob.post(SMB, data=form_of(late.text)).status_code == 303
    assert stands(client, "smb", "segment")["member"]["warm"]["score"] == 7


def test_a_segment_is_removed_restored_and_its_draft_discarded(client: NudgeClient, admin: Admin) -> None:
    editor = admin("editor")
    asked = editor.get(f"{SMB}remove/").text
    assert "Nothing refers to it" in asked
    assert editor.post(f"{SMB}remove/", data={"version": "live-old"}).status_code == 409
    assert editor.post(f"{SMB}remove/", data={"version": version_of(asked)}).location == "/segments/?notice=removed"
    assert order(client) == ["enterprise"]
    assert "removed, still live" in editor.get("/segments/").text
    seen = {"version": version_of(editor.get(SMB).text)}
    assert editor.post(f"{SMB}discard/", data=seen).location == f"{SMB}?notice=discarded"
    assert order(client) == ["enterprise", "smb"]
    assert editor.post(f"{SMB}discard/", data=seen).status_code == 409


def test_a_gate_on_a_milestone_that_is_gone_can_be_taken_out(client: NudgeClient, admin: Admin) -> None:
    editor = admin("editor")
    place = "/milestones/first_campaign/"
    editor.post(f"{place}remove/", data={"version": form_of(editor.get(place).text)["version"]})
    page = editor.get(SMB).text
    assert "first_campaign (not there)" in page
    assert change(editor, SMB, notes="x").status_code == 422
    fields = {"member_warm-milestones": [], "member_hot-milestones": ["contacts_imported"], "member_hot-needed": "1"}
    assert change(editor, SMB, **fields).status_code == 303
    assert "gates" not in stands(client, "smb", "segment")["member"]["warm"]


@pytest.mark.parametrize("text", OURS)
def test_hostile_names_and_values_are_escaped_and_survive(client: NudgeClient, admin: Admin, text: str) -> None:
    where = {
        "when-0-subject": "account_trait",
        "when-0-name": text,
        "when-0-operator": "contains",
        "when-0-value": text,
    }
    if text.startswith('"'):
        where["when-0-value"] = "x"
    answer = change(admin("editor"), "/segments/new-one/", name=text, key="hostile", notes=text, **where)
    assert answer.status_code == 303, text_of(answer.text)
    assert stands(client, "hostile", "segment")["when"]["account_trait"] == text
    for role, path in (("editor", "hostile/"), ("viewer", "hostile/"), ("viewer", ""), ("editor", "hostile/remove/")):
        page = admin(role).get(f"/segments/{path}").text
        assert "<script>alert" not in page
        assert "<img src=x" not in page
    assert change(admin("editor"), "/segments/hostile/").location.endswith("notice=unchanged")


def test_counts_of_people_by_segment_and_tier_are_read_at_once(client: NudgeClient) -> None:
    with admin_of(client).app_context():
        assert tiers_by_segment(members=False) == {"smb": {"hot": 1, "none": 1}}
        assert sum(tiers_by_segment(members=True)["smb"].values()) == 4


def test_the_picture_of_tiers_lies_within_what_can_be_reached() -> None:
    plain = to_plain(PLAYBOOK)
    plain["segments"][1]["member"] = {"warm": {"score": 8}, "hot": {"score": 40}}
    plain["segments"][1]["account"] = {}
    definition = parse_definition(plain)
    member, account = tiers_of(definition, definition.segments[1])
    warm, hot = member.tiers
    assert (member.highest, warm.score, hot.score) == (26000, 8000, 40000)
    assert (warm.start, warm.width, hot.start, hot.width) == (200, 800, 1000, 0)
    assert warm.is_reachable
    assert not hot.is_reachable
    assert (account.tiers, account.highest) == ((), 26000)


def test_what_refers_to_a_milestone_or_a_segment_is_found_in_every_part() -> None:
    plain = to_plain(PLAYBOOK)
    plain["nudges"][0]["audience"] = {"not": {"any": [{"segment": True, "in": ["smb"]}, {"milestone": "teammates"}]}}
    definition = parse_definition(plain)
    assert [use.how for use in uses_of_segment(definition, "smb")] == ["audience"]
    assert uses_of_segment(definition, "enterprise") == []
    ways = {use.key: use.how for use in uses_of_milestone(definition, "teammates")}
    assert ways["after_campaign"] == "audience"
    assert ways["after_team"] == "trigger"
    assert {use.how for use in uses_of_milestone(definition, "contacts_full")} == {"trigger"}
    assert any("step of its guide" in use.how for use in uses_of_milestone(definition, "domain_connected"))
