from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nudge_sdk.documents import read_definition, to_yaml
from nudge_sdk.errors import SetupError
from nudge_sdk.playbooks import list_playbooks, read_playbook
from nudge_sdk.rules.conditions import Facts, Window, compile_condition
from nudge_sdk.rules.definition import (
    CATEGORY_POINTS,
    Content,
    Definition,
    Entry,
    Gate,
    Milestone,
    Nudge,
    Segment,
    Usage,
)
from nudge_sdk.rules.lint import lint

ROOT = Path(__file__).resolve().parent.parent
KEYS = [playbook.key for playbook in list_playbooks()]
S0 = ["email_tool", "project_tool", "ecommerce", "analytics_b2b", "trial", "freemium"]
TWO_WEEKS = Window(days=14)


@cache
def playbook(key: str) -> Definition:
    return read_definition(read_playbook(key))


def milestone(key: str, name: str) -> Milestone:
    return next(each for each in playbook(key).milestones if each.key == name)


def segment(key: str, name: str) -> Segment:
    return next(each for each in playbook(key).segments if each.key == name)


def entry(found: Entry | None) -> Entry:
    assert found is not None
    return found


def points(each: Milestone) -> float:
    return CATEGORY_POINTS[each.category] if each.points is None else each.points


def needed(found: Entry | None) -> set[str]:
    """The milestones without any one of which the tier is not entered."""
    return {key for gate in entry(found).gates if gate.at_least == len(gate.milestones) for key in gate.milestones}


def event_of(each: Milestone) -> Any:
    assert each.signal is not None
    return each.signal.event


def contents(nudge: Nudge) -> Iterator[Content]:
    yield from (each for each in (nudge.content, nudge.ask) if each is not None)
    yield from (variant.content for variant in nudge.variants)


def test_there_is_one_playbook_a_business_model() -> None:
    others = {"collaboration", "api_tool", "points_70"}
    assert set(KEYS) == {*S0, *others}
    assert {path.stem for path in (ROOT / "nudge_sdk" / "playbooks").glob("*.yaml")} == set(KEYS)


@pytest.mark.parametrize("listed", list_playbooks(), ids=KEYS)
def test_the_list_says_what_each_playbook_is_for(listed: Any) -> None:
    key, name, description = listed
    definition = playbook(key)
    assert name == definition.name
    assert definition.notes.startswith(description)
    assert description.endswith(".")
    assert 40 < len(description) < 200


@pytest.mark.parametrize("key", ["", "nothing", "../playbooks/email_tool", "email_tool.yaml"])
def test_an_unknown_playbook_is_refused_with_the_names_there_are(key: str) -> None:
    with pytest.raises(SetupError, match="email_tool"):
        read_playbook(key)


def test_a_yaml_reader_is_loaded_only_when_playbooks_are_listed() -> None:
    code = "import sys, nudge_sdk.playbooks as p; p.read_playbook('trial'); assert 'yaml' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.parametrize("key", KEYS)
def test_a_playbook_survives_being_written_and_read_again(key: str) -> None:
    assert read_definition(to_yaml(playbook(key))) == playbook(key)


@pytest.mark.parametrize("key", KEYS)
def test_nothing_in_a_playbook_stops_its_publication(key: str) -> None:
    assert [str(finding) for finding in lint(playbook(key)) if finding.severity == "block"] == []


@pytest.mark.parametrize("key", KEYS)
def test_every_playbook_prompts_at_once_and_helps_after_a_week(key: str) -> None:
    definition = playbook(key)
    assert {nudge.mode for nudge in definition.nudges} == {"prompt", "help"}
    placements = {nudge.placement for nudge in definition.nudges}
    assert placements >= {"dashboard", "after_action"}
    assert ("limit_reached" in placements) == any(each.usage for each in definition.milestones)
    assert {each.help_after_days for each in definition.segments} == {7}
    assert {each.hold_days for each in definition.segments} == {3}
    assert (definition.holdout.share, definition.holdout.unit) == (0.1, "account")
    assert [(cap.count, cap.days) for cap in definition.settings.caps] == [(1, 1), (3, 7)]
    assert definition.settings.gap_minutes == 10


@pytest.mark.parametrize("key", KEYS)
def test_help_is_a_guide_of_three_steps_a_short_video_and_a_person(key: str) -> None:
    guides = [content for nudge in playbook(key).nudges if nudge.mode == "help" for content in contents(nudge)]
    assert all(guide.chat for guide in guides)
    full = [guide for guide in guides if guide.steps]
    assert full
    for guide in full:
        assert len(guide.steps) == 3
        assert all(step.url for step in guide.steps)
        assert sum(bool(step.milestone) for step in guide.steps) >= 2
        assert guide.video is not None
        assert guide.video.seconds == 60
        assert guide.video.captions_url
        assert guide.video.transcript_url


@pytest.mark.parametrize("key", KEYS)
def test_every_prompt_has_one_next_step_and_words_for_those_who_cannot_buy(key: str) -> None:
    for nudge in playbook(key).nudges:
        if nudge.mode != "prompt":
            continue
        assert nudge.ask is not None, nudge.key
        assert nudge.ask.cta is not None
        assert nudge.ask.cta.action == "ask_admin"
        for content in contents(nudge):
            assert content.cta is not None
            assert content.dismiss, nudge.key


@pytest.mark.parametrize("key", KEYS)
def test_prompts_name_what_was_done_and_limit_prompts_the_real_numbers(key: str) -> None:
    for nudge in playbook(key).nudges:
        wanted = f"usage.{nudge.trigger.usage}.value" if nudge.trigger and nudge.trigger.usage else "done"
        if nudge.mode == "prompt":
            said = msgspec.json.encode(nudge.content).decode()
            assert f"{{{{ {wanted} |" in said, nudge.key


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(
    ("context", "is_hidden"),
    [
        ({"page": "/checkout/address"}, True),
        ({"page": "login"}, True),
        ({"page": "/errors/error_500"}, True),
        ({"page": "/home", "has_error": True}, True),
        ({"page": "/home", "has_error": False}, False),
        ({"page": "/billing"}, False),
        ({}, False),
    ],
)
def test_nothing_is_shown_at_checkout_at_log_in_or_on_errors(
    key: str, context: dict[str, Any], is_hidden: bool
) -> None:
    facts = Facts(0)
    facts.context = context
    assert compile_condition(playbook(key).settings.hide)(facts) is is_hidden


@pytest.mark.parametrize("key", KEYS)
def test_what_people_are_told_they_did_is_only_ever_their_own(key: str) -> None:
    told = {each.subject for each in playbook(key).milestones if each.done}
    assert told == {"member"}


def test_the_email_tool_speaks_english_and_german_throughout() -> None:
    definition = playbook("email_tool")
    texts: list[Any] = [each.done for each in definition.milestones if each.done]
    for content in (content for nudge in definition.nudges for content in contents(nudge)):
        buttons = [button.label for button in (content.cta, content.chat) if button]
        steps = [text for step in content.steps for text in (step.title, step.body)]
        video = [content.video.title] if content.video else []
        texts += [content.title, content.body, content.dismiss, *buttons, *steps, *video]
    assert [text for text in texts if not isinstance(text, dict) or set(text) != {"en", "de"}] == []


@pytest.mark.parametrize("key", S0)
def test_playbooks_of_the_first_source_do_not_fade(key: str) -> None:
    definition = playbook(key)
    assert [each.key for each in definition.segments if each.decay] == []
    assert [each.key for each in definition.milestones if each.decay] == []


@pytest.mark.parametrize("subject", ["member", "account"])
def test_the_email_framework_weighs_5_3_2_and_1_and_sums_to_26(subject: str) -> None:
    weighed = [each for each in playbook("email_tool").milestones if each.subject == subject and points(each)]
    assert sorted((points(each) for each in weighed), reverse=True) == [5, 5, 5, 3, 3, 2, 2, 1]
    assert sum(map(points, weighed)) == 26


def test_the_email_framework_counts_what_the_source_names() -> None:
    found = {
        each.key: (event_of(each), each.at_least, each.window)
        for each in playbook("email_tool").milestones
        if each.signal and each.subject == "member"
    }
    assert found == {
        "first_campaign": ("campaign_sent", 1, TWO_WEEKS),
        "first_payment": ("payment_received", 1, TWO_WEEKS),
        "first_workflow": ("workflow_started", 1, TWO_WEEKS),
        "teammates": ("teammate_invited", 3, TWO_WEEKS),
        "core_integration": ("integration_connected", 1, TWO_WEEKS),
        "sessions": ("session_started", 3, Window(days=7)),
        "domain_connected": ("domain_connected", 1, Window(ever=True)),
        "contacts_imported": ("contacts_imported", 1, Window(ever=True)),
    }
    assert [each.key for each in playbook("email_tool").milestones if each.is_aha] == ["first_campaign"]


def test_the_email_thresholds_are_8_for_people_and_12_with_three_active_users_for_accounts() -> None:
    smb, enterprise = segment("email_tool", "smb"), segment("email_tool", "enterprise")
    assert [each.key for each in playbook("email_tool").segments] == ["enterprise", "smb"]
    assert entry(smb.member.warm) == Entry(score=8, gates=(Gate(milestones=("first_campaign",)),))
    assert entry(smb.account.hot).score == 12
    assert Gate(active_users=3, days=7) in entry(smb.account.hot).gates
    assert entry(enterprise.member.warm).score > 8
    assert entry(enterprise.account.hot).score > 12
    assert needed(smb.member.hot) == {"domain_connected", "contacts_imported", "first_campaign"}


def test_a_project_tool_asks_for_a_project_a_member_and_tasks_that_move() -> None:
    assert needed(segment("project_tool", "everybody").member.warm) == {
        "project_created",
        "member_invited",
        "tasks_moved",
    }
    assert milestone("project_tool", "member_invited").at_least == 1
    assert milestone("project_tool", "tasks_moved").at_least == 2


def test_a_shop_asks_for_a_product_a_way_to_pay_and_an_order() -> None:
    assert needed(segment("ecommerce", "everybody").member.warm) == {"first_product", "payments_ready", "first_order"}
    assert milestone("ecommerce", "first_product").at_least == 1
    assert milestone("ecommerce", "first_order").at_least == 1


def test_b2b_analytics_asks_for_four_users_three_dashboards_and_two_roles() -> None:
    hot = entry(segment("analytics_b2b", "everybody").account.hot)
    assert Gate(active_users=4, days=14) in hot.gates
    assert needed(hot) == {
        "account_dashboards",
        "account_integration",
        "account_two_roles",
        "account_weekly_sessions",
        "account_admin_active",
    }
    assert milestone("analytics_b2b", "account_dashboards").at_least == 3
    assert milestone("analytics_b2b", "account_integration").at_least == 1
    roles = milestone("analytics_b2b", "account_two_roles")
    assert roles.signal is not None
    assert (roles.signal.measure, roles.signal.property, roles.at_least) == ("values", "role", 2)
    assert roles.window == TWO_WEEKS


def test_people_in_analytics_need_two_projects_a_shared_dashboard_and_advanced_features() -> None:
    hot = needed(segment("analytics_b2b", "everybody").member.hot)
    assert hot == {"dashboard_shared", "two_projects", "advanced_features"}
    projects = milestone("analytics_b2b", "two_projects")
    assert projects.signal is not None
    assert (projects.signal.measure, projects.signal.property, projects.at_least) == ("values", "project", 2)


def test_collaboration_counts_three_invites_a_limit_and_the_core_feature_three_times_in_7_days() -> None:
    assert milestone("collaboration", "invites").at_least == 3
    core = milestone("collaboration", "core_feature")
    assert (core.at_least, core.window) == (3, Window(days=7))
    limits = [each.usage for each in playbook("collaboration").milestones if each.usage and each.subject == "member"]
    assert limits == [
        Usage(value="storage_used", limit="storage_limit"),
        Usage(value="projects_used", limit="projects_limit"),
    ]


def test_an_api_tool_counts_the_first_100_calls_the_credits_and_the_billing_info() -> None:
    hot = needed(segment("api_tool", "everybody").member.hot)
    assert hot == {"hundred_calls", "credits_exceeded", "billing_linked"}
    calls = milestone("api_tool", "hundred_calls")
    assert calls.signal is not None
    assert (calls.at_least, calls.signal.measure, calls.window) == (100, "sum", Window(ever=True))


def test_a_trial_and_freemium_ask_for_different_things() -> None:
    trial, free = segment("trial", "trial"), segment("freemium", "free")
    assert (trial.model, free.model) == ("trial", "freemium")
    repeats = entry(trial.member.warm).gates[1]
    assert [milestone("trial", key).window for key in repeats.milestones] == [Window(days=7), TWO_WEEKS]
    assert needed(trial.member.warm) == {"first_action"}
    assert milestone("trial", "quick_start").window == Window(since_signup_hours=72)
    assert needed(free.member.hot) == {"depth", "seats", "integrations"}


def test_points_to_70_are_those_of_the_source() -> None:
    mine = {each.key: points(each) for each in playbook("points_70").milestones if each.subject == "member"}
    assert mine == {
        "invites": 30,
        "free_limit": 40,
        "shared": 20,
        "five_of_seven": 20,
        "first_weeks": 20,
        "pricing_page": 25,
    }
    assert entry(segment("points_70", "everybody").member.warm).score == 70
    assert milestone("points_70", "invites").at_least == 3
    assert milestone("points_70", "shared").at_least == 2
    week = milestone("points_70", "five_of_seven")
    assert (week.at_least, week.window) == (5, Window(days=7))
    weeks = milestone("points_70", "first_weeks")
    assert (weeks.at_least, weeks.window) == (4, Window(since_signup_days=14))
