from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest

from nudge_sdk.rules.authoring import parse_definition
from nudge_sdk.rules.definition import Definition
from nudge_sdk.rules.lint import Finding, is_blocking, lint, smallest_sets
from nudge_sdk.rules.tallies import CAPACITY

POINTS = {"high": 5, "medium": 3, "context": 2, "hygiene": 1}

FRAMEWORK: list[dict[str, Any]] = [
    {"key": "campaign", "name": "Sent the first campaign", "category": "high", "signal": {"event": "campaign_sent"}},
    {"key": "payment", "name": "Took the first payment", "category": "high", "signal": {"event": "payment_taken"}},
    {"key": "workflow", "name": "Ran the first workflow", "category": "high", "signal": {"event": "workflow_ran"}},
    {"key": "team", "name": "Invited 3 teammates", "signal": {"event": "teammate_invited"}, "at_least": 3},
    {"key": "integration", "name": "Connected an integration", "signal": {"event": "integration_connected"}},
    {"key": "role", "name": "Is admin or PM", "category": "context", "when": {"trait": "role", "in": ["admin", "pm"]}},
    {"key": "size", "name": "Company of 100", "category": "context", "when": {"trait": "size", "at_least": 100}},
    {
        "key": "sessions",
        "name": "3 sessions in 7 days",
        "category": "hygiene",
        "signal": {"event": "session_started"},
        "at_least": 3,
        "window": {"days": 7},
    },
]
BY_LIMITS: list[dict[str, Any]] = [
    {"key": "invites", "name": "Invited 3 people", "points": 30, "signal": {"event": "invited"}, "at_least": 3},
    {
        "key": "logins",
        "name": "Logged in on 5 of 7 days",
        "category": "hygiene",
        "points": 20,
        "signal": {"event": "logged_in", "measure": "days"},
        "at_least": 5,
        "window": {"days": 7},
        "group": "hygiene",
    },
    {
        "key": "limit",
        "name": "Hit the free limit",
        "category": "high",
        "points": 40,
        "usage": {"value": "used", "limit": "quota"},
    },
    {"key": "pricing", "name": "Viewed the pricing page", "points": 25, "signal": {"event": "Pricing Page Viewed"}},
]
PLAYBOOK: list[dict[str, Any]] = [
    {
        "key": "invites",
        "name": "Invited 3 people",
        "category": "high",
        "points": 30,
        "signal": {"event": "invited"},
        "at_least": 3,
    },
    {"key": "files", "name": "Shared 2 files", "points": 20, "signal": {"event": "file_shared"}, "at_least": 2},
    {
        "key": "logins",
        "name": "4 log-ins in the first 14 days",
        "category": "hygiene",
        "points": 20,
        "signal": {"event": "login"},
        "at_least": 4,
        "window": {"since_signup_days": 14},
    },
]


def members(milestones: list[dict[str, Any]], score: float, **more: Any) -> Definition:
    """A definition with one segment, whose members become warm at a score."""
    segment = {"key": "smb", "name": "SMB", "member": {"warm": {"score": score, "gates": more.pop("gates", [])}}}
    return parse_definition(
        {"milestones": milestones, "segments": [{**segment, **more.pop("segment", {})}], **more},
    )


def found(definition: Definition, code: str) -> list[Finding]:
    return [finding for finding in lint(definition) if finding.code == code]


def only(definition: Definition, code: str) -> Finding:
    [finding] = found(definition, code)
    return finding


def milestone(key: str, **more: Any) -> dict[str, Any]:
    what = {} if {"when", "usage"} & set(more) else {"signal": {"event": f"{key}_done"}}
    return {"key": key, **what, **more}


def test_weights_counted_once_a_category_cannot_reach_the_threshold_of_12() -> None:
    account = [{**each, "subject": "account", "group": each.get("category", "medium")} for each in FRAMEWORK]
    account = [each for each in account if "when" not in each]
    account += [
        milestone("tech", name="Technology company", subject="account", category="context", group="context",
                  when={"account_trait": "industry", "equals": "tech"}),
        milestone("big", name="Company of 100", subject="account", category="context", group="context",
                  when={"account_trait": "size", "at_least": 100}),
    ]  # fmt: skip
    definition = parse_definition(
        {
            "groups": [{"key": key, "cap": cap} for key, cap in POINTS.items()],
            "milestones": account,
            "segments": [
                {"key": "smb", "name": "SMB", "account": {"hot": {"score": 12, "gates": [{"active_users": 3}]}}}
            ],
        }
    )
    assert str(only(definition, "UNREACHABLE")) == (
        "block: UNREACHABLE at segments[smb].account.hot.score\n"
        "  An account of SMB can never become hot: the highest possible score is 11, the threshold 12.\n"
        "  To do: Lower the threshold to 11 or less, give milestones more points, or raise the caps of groups.\n"
        "  - Sent the first campaign, Took the first payment and Ran the first workflow: 15, "
        "of which at most 5 counts\n"
        "  - Invited 3 teammates and Connected an integration: 6, of which at most 3 counts\n"
        "  - Technology company and Company of 100: 4, of which at most 2 counts\n"
        "  - 3 sessions in 7 days: 1, of which at most 1 counts"
    )
    assert smallest_sets(definition, "smb", "account", "hot") == []


def test_four_milestones_of_one_category_each_reach_11_and_never_12() -> None:
    four = [milestone(category, category=category) for category in POINTS]
    assert "the highest possible score is 11, the threshold 12" in only(members(four, 12), "UNREACHABLE").message
    assert found(members(four, 11), "UNREACHABLE") == []


def test_eight_points_can_be_met_in_eight_ways_without_one_high_intent_action() -> None:
    points = {each["key"]: POINTS[each.get("category", "medium")] for each in FRAMEWORK}
    lower = [key for key in points if points[key] < 5]
    ways = [
        set(chosen)
        for size in range(len(lower) + 1)
        for chosen in combinations(lower, size)
        if sum(points[key] for key in chosen) >= 8
    ]
    assert len(ways) == 8
    finding = only(members(FRAMEWORK, 8), "NO_HIGH_INTENT")
    names = {each["name"]: each["key"] for each in FRAMEWORK}
    said = [
        {names[term.rpartition(" (")[0]] for term in line.split(" = ")[0].split(" + ")} for line in finding.evidence
    ]
    assert sorted(map(sorted, said)) == sorted(map(sorted, ways))
    assert str(finding) == (
        "warn: NO_HIGH_INTENT at segments[smb].member.warm.score\n"
        "  A member of SMB can become warm in 8 ways without a single high-intent milestone: the threshold of 8 alone "
        "does not ask for one.\n"
        "  To do: Require at least one milestone of category high beside the score (a gate), or raise the threshold.\n"
        "  - Invited 3 teammates (3) + Connected an integration (3) + Is admin or PM (2) = 8\n"
        "  - Invited 3 teammates (3) + Connected an integration (3) + Company of 100 (2) = 8\n"
        "  - Invited 3 teammates (3) + Connected an integration (3) + Is admin or PM (2) + Company of 100 (2) = 10\n"
        "  - Invited 3 teammates (3) + Connected an integration (3) + Is admin or PM (2) + 3 sessions in 7 days (1)"
        " = 9\n"
        "  - Invited 3 teammates (3) + Connected an integration (3) + Company of 100 (2) + 3 sessions in 7 days (1)"
        " = 9\n"
        "  - Invited 3 teammates (3) + Is admin or PM (2) + Company of 100 (2) + 3 sessions in 7 days (1) = 8\n"
        "  - Connected an integration (3) + Is admin or PM (2) + Company of 100 (2) + 3 sessions in 7 days (1) = 8\n"
        "  - Invited 3 teammates (3) + Connected an integration (3) + Is admin or PM (2) + Company of 100 (2)"
        " + 3 sessions in 7 days (1) = 11"
    )


def test_a_gate_on_high_intent_closes_all_ways_without_it() -> None:
    gates = [{"milestones": ["campaign", "payment", "workflow"]}]
    definition = members(FRAMEWORK, 8, gates=gates)
    assert not {"NO_HIGH_INTENT", "VANITY", "SIGNUP_ALONE"} & {finding.code for finding in lint(definition)}
    assert ("campaign", "team") in smallest_sets(definition, "smb", "member", "warm")
    assert not is_blocking(lint(definition))


def test_two_of_the_three_smallest_ways_to_70_contain_the_pricing_view() -> None:
    definition = members(BY_LIMITS, 70, groups=[{"key": "hygiene", "cap": 20}])
    ways = smallest_sets(definition, "smb", "member", "warm")
    assert ways == [("limit", "invites"), ("limit", "pricing", "logins"), ("invites", "pricing", "logins")]
    assert str(only(definition, "BOOSTER")) == (
        "warn: BOOSTER at segments[smb].member.warm.score\n"
        "  To warm for a member of SMB, 2 of the 3 smallest ways need “Viewed the pricing page” (pricing view). "
        "That shows interest, not value.\n"
        "  To do: Lower these points until they cannot change a tier, or take these milestones out of the score.\n"
        "  - Hit the free limit (40) + Invited 3 people (30) = 70\n"
        "  - Hit the free limit (40) + Viewed the pricing page (25) + Logged in on 5 of 7 days (20) = 85\n"
        "  - Invited 3 people (30) + Viewed the pricing page (25) + Logged in on 5 of 7 days (20) = 75"
    )


def test_log_ins_that_are_not_capped_hygiene_are_boosters_too() -> None:
    plain = [{name: value for name, value in each.items() if name != "group"} for each in BY_LIMITS]
    message = only(members(plain, 70), "BOOSTER").message
    assert "2 of the 3 smallest ways need “Logged in on 5 of 7 days” (log-in)" in message


def test_exactly_70_is_lost_with_the_first_point_that_fades() -> None:
    segment = {"decay": {"half_life_days": 14, "grace_days": 0}, "hold_days": 0}
    assert str(only(members(PLAYBOOK, 70, segment=segment), "EXACT_THRESHOLD")) == (
        "warn: EXACT_THRESHOLD at segments[smb].member.warm.score\n"
        "  The only smallest way to warm for a member of SMB reaches the threshold of 70 exactly, and points fade from "
        "the first day: the tier is lost after 1 day, with the first point that fades.\n"
        "  To do: Let points fade only after some days (grace), hold the tier for some days, or lower the threshold.\n"
        "  - Invited 3 people (30) + Shared 2 files (20) + 4 log-ins in the first 14 days (20) = 70"
    )


@pytest.mark.parametrize(("grace", "hold", "days"), [(3, 0, 4), (0, 3, 4), (3, 3, 7)])
def test_grace_and_days_of_holding_keep_exactly_70_for_a_while(grace: int, hold: int, days: int) -> None:
    segment = {"decay": {"half_life_days": 14, "grace_days": grace}, "hold_days": hold}
    finding = only(members(PLAYBOOK, 70, segment=segment), "EXACT_THRESHOLD")
    assert finding.severity == "note"
    assert f"the tier is held for {days} days at most" in finding.message


def test_exactly_70_is_no_matter_where_no_points_fade_or_some_are_to_spare() -> None:
    segment = {"decay": {"half_life_days": 14, "grace_days": 0}, "hold_days": 0}
    assert found(members(PLAYBOOK, 70), "EXACT_THRESHOLD") == []
    assert found(members(PLAYBOOK, 69, segment=segment), "EXACT_THRESHOLD") == []


def test_context_hygiene_and_vanity_alone_block() -> None:
    definition = members(
        [
            *FRAMEWORK,
            {"key": "opens", "name": "Opened our e-mails", "points": 4, "signal": {"event": "Email Opened"}},
        ],
        6,
    )
    finding = only(definition, "VANITY")
    assert is_blocking([finding])
    assert str(finding) == (
        "block: VANITY at segments[smb].member.warm.score\n"
        "  A member of SMB can become warm without showing any value: 2 of the 32 smallest ways consist only of "
        "context, hygiene or vanity.\n"
        "  To do: Require at least one milestone of category high beside the score (a gate), raise the threshold, or "
        "lower these points.\n"
        "  - Opened our e-mails (4) + Is admin or PM (2) = 6\n"
        "  - Opened our e-mails (4) + Company of 100 (2) = 6"
    )


def test_signing_up_logging_in_or_traits_alone_block() -> None:
    signup = {"key": "signup", "name": "Signed up", "points": 6, "signal": {"event": "Signed Up"}}
    finding = only(members([*FRAMEWORK, signup], 8), "SIGNUP_ALONE")
    assert finding.message == "A member of SMB can become warm by signing up, logging in or who they are alone."
    assert finding.severity == "block"
    assert finding.evidence == ("Signed up (6) + Is admin or PM (2) = 8", "Signed up (6) + Company of 100 (2) = 8")
    assert found(members([*FRAMEWORK, signup], 8), "VANITY") == []


def test_a_threshold_of_0_lets_everybody_in() -> None:
    definition = members(FRAMEWORK, 0)
    assert smallest_sets(definition, "smb", "member", "warm") == [()]
    finding = only(definition, "SIGNUP_ALONE")
    assert (finding.message, finding.evidence) == (
        "A member of SMB can become warm without doing anything.",
        ("nothing at all = 0",),
    )


def test_active_users_and_fit_are_said_beside_the_sets() -> None:
    team = milestone("big", subject="account", when={"account_trait": "size", "at_least": 100}, points=12)
    gates = [{"active_users": 3, "days": 7}]
    definition = parse_definition(
        {
            "milestones": [*FRAMEWORK, team],
            "segments": [{"key": "smb", "account": {"hot": {"score": 12, "gates": gates}}}],
        }
    )
    assert ", given at least 3 active users in 7 days." in only(definition, "SIGNUP_ALONE").message


@pytest.mark.parametrize(
    "event",
    [
        "signed_up", "Sign Up", "signup", "User Signed Up", "Account Created", "login", "Logged In", "signed-in",
        "session_started", "pricing_viewed", "viewed_pricing", "Pricing Page Viewed", "email_opened", "EmailClicked",
        "Clicked E-mail", "docs_viewed", "viewed_docs", "$pageview", "Page Viewed", "page", "settings_viewed",
    ],
)  # fmt: skip
def test_vanity_is_known_by_its_name(event: str) -> None:
    value = milestone("value", category="high", points=5)
    shown = {"key": "shown", "points": 5, "category": "high", "signal": {"event": event}}
    assert {finding.code for finding in lint(members([value, shown], 5))} & {"VANITY", "SIGNUP_ALONE"}
    assert found(members([shown], 5), "NO_VALUE")


@pytest.mark.parametrize(
    "event", ["campaign_sent", "email_sent", "landing_page_published", "sign_up_form_built", "plan_approved", "signed"]
)
def test_names_that_only_resemble_vanity_are_none(event: str) -> None:
    shown = {"key": "deed", "points": 5, "category": "high", "signal": {"event": event}}
    assert not is_blocking(lint(members([shown], 5)))


def test_counting_the_people_of_an_account_is_no_vanity() -> None:
    signal = {"event": "login", "measure": "values", "property": "$user"}
    people = {"key": "people", "subject": "account", "category": "high", "signal": signal, "at_least": 3}
    segment = {"key": "smb", "account": {"hot": {"score": 5}}}
    assert not is_blocking(lint(parse_definition({"milestones": [people], "segments": [segment]})))


def test_the_gravest_findings_come_first_and_only_blocks_block() -> None:
    findings = lint(members(FRAMEWORK, 2))
    severities = [finding.severity for finding in findings]
    assert severities == sorted(severities, key=["block", "warn", "note"].index)
    assert is_blocking(findings)
    assert not is_blocking([finding for finding in findings if finding.severity != "block"])
    assert not is_blocking([])


def test_smallest_sets_of_no_entry_are_none_and_of_no_segment_an_error() -> None:
    definition = members(FRAMEWORK, 8)
    assert smallest_sets(definition, "smb", "member", "hot") == []
    assert smallest_sets(definition, "smb", "account", "warm") == []
    with pytest.raises(KeyError, match="other"):
        smallest_sets(definition, "other", "member", "warm")


def test_a_smaller_capacity_than_a_milestone_needs_blocks() -> None:
    long = milestone("long", category="high", window={"days": 300})
    definition = members([long], 5)
    assert found(definition, "WINDOW_OVER_CAPACITY") == []
    [finding] = [each for each in lint(definition, capacity=CAPACITY._replace(days=90)) if each.severity == "block"]
    assert finding.code == "WINDOW_OVER_CAPACITY"
    assert finding.message == ("long can never be counted rightly: it looks back 300 days, and the latest 90 are kept.")


@pytest.mark.parametrize(
    ("milestone_parts", "capacity"),
    [
        ({"signal": {"event": "x", "measure": "values", "property": "p"}, "at_least": 20}, {"values": 10}),
        ({"signal": {"event": "x", "measure": "days"}, "at_least": 20, "window": {"ever": True}}, {"days": 10}),
        ({"signal": {"event": "x"}, "at_least": 20, "window": {"since_signup_days": 7}}, {"occurrences": 10}),
    ],
)
def test_more_than_is_kept_blocks(milestone_parts: dict[str, Any], capacity: dict[str, int]) -> None:
    definition = members([milestone("much", category="high", **milestone_parts)], 5)
    findings = lint(definition, capacity=CAPACITY._replace(**capacity))
    assert [finding.code for finding in findings if finding.severity == "block"] == ["WINDOW_OVER_CAPACITY"]
    assert not is_blocking(lint(definition))


def test_more_active_users_than_are_kept_or_counts_in_an_audience_block() -> None:
    nudge = {
        "key": "note",
        "placement": "top",
        "audience": {"all": [{"count": {"event": "x"}, "window": {"days": 60}, "at_least": 2}]},
        "content": {"title": "Hello", "cta": {"label": "Go", "url": "/"}},
    }
    segment = {"key": "all", "account": {"hot": {"score": 5, "gates": [{"active_users": 50}]}}}
    definition = parse_definition(
        {"milestones": [{**FRAMEWORK[0], "subject": "account"}], "segments": [segment], "nudges": [nudge]}
    )
    findings = lint(definition, capacity=CAPACITY._replace(members=20, days=30))
    assert [finding.where for finding in findings if finding.code == "WINDOW_OVER_CAPACITY"] == [
        "nudges[note].audience",
        "segments[all].account.hot.gates[0].active_users",
    ]
