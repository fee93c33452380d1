from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nudge_sdk.rules.authoring import parse_definition
from nudge_sdk.rules.conditions import Condition, Facts, compile_condition
from nudge_sdk.rules.definition import Definition, Entry, Gate, Milestone, Segment, Thresholds
from nudge_sdk.rules.lint import Finding, lint
from nudge_sdk.rules.lint_conditions import Domains, is_impossible

DEED: dict[str, Any] = {
    "key": "deed",
    "name": "Sent a campaign",
    "category": "high",
    "signal": {"event": "campaign_sent"},
    "at_least": 2,
    "done": "sent a campaign",
}
CTA = {"label": "Upgrade", "url": "/upgrade"}
PROMPT: dict[str, Any] = {
    "key": "upgrade",
    "name": "Upgrade prompt",
    "placement": "top",
    "goal": "paid",
    "content": {"title": "You {{ done | did it }}", "cta": CTA},
}
HELP: dict[str, Any] = {
    "key": "guide",
    "placement": "top",
    "goal": "paid",
    "mode": "help",
    "content": {"type": "help", "title": "Finish it", "steps": [{"title": "Send it"}]},
}
SEGMENT: dict[str, Any] = {"key": "all", "name": "All", "member": {"warm": {"score": 5}}}


def document(**parts: Any) -> Definition:
    whole = {"milestones": [DEED], "segments": [SEGMENT], "nudges": [PROMPT, HELP]}
    return parse_definition({**whole, **parts})


def prompt(**parts: Any) -> Definition:
    return document(nudges=[{**PROMPT, **parts}, HELP])


def found(definition: Definition, code: str) -> list[Finding]:
    return [finding for finding in lint(definition) if finding.code == code]


def only(definition: Definition, code: str) -> Finding:
    [finding] = found(definition, code)
    return finding


def test_a_sound_definition_has_no_findings() -> None:
    assert lint(document()) == []
    assert lint(Definition()) == []


def test_without_any_milestone_of_value_it_blocks() -> None:
    finding = only(document(milestones=[{**DEED, "category": "medium"}]), "NO_VALUE")
    assert finding.severity == "block"
    assert found(document(milestones=[{**DEED, "category": "medium", "is_aha": True}]), "NO_VALUE") == []


def test_vanity_of_category_high_is_no_value_and_is_named() -> None:
    signup = {"key": "signup", "name": "Joined", "category": "high", "signal": {"event": "signed_up"}}
    assert "“Joined” is marked so, but is vanity (sign-up)." in only(document(milestones=[signup]), "NO_VALUE").message


def test_more_than_eight_milestones_with_points_are_too_many() -> None:
    many = [{**DEED, "key": f"deed{number}", "signal": {"event": f"deed{number}"}} for number in range(9)]
    assert only(document(milestones=many), "TOO_MANY").message.startswith("9 milestones give points to members.")
    assert found(document(milestones=many[:8]), "TOO_MANY") == []
    assert found(document(milestones=[*many[:8], {**many[8], "points": 0}]), "TOO_MANY") == []


def test_two_milestones_that_count_the_same_thing_are_found() -> None:
    twin = {**DEED, "key": "twin", "name": "Campaigner"}
    finding = only(document(milestones=[DEED, twin]), "DUPLICATE_SIGNAL")
    assert (finding.severity, finding.where) == ("warn", "milestones[twin]")
    assert finding.message == (
        "Sent a campaign and Campaigner count the same thing over the same time, so one action counts twice."
    )
    ladder = document(milestones=[DEED, {**twin, "at_least": 10}])
    assert only(ladder, "DUPLICATE_SIGNAL").severity == "note"
    assert found(document(milestones=[DEED, {**twin, "window": {"days": 7}}]), "DUPLICATE_SIGNAL") == []
    explicit = document(milestones=[DEED, {**twin, "window": {"days": 14}}])
    assert only(explicit, "DUPLICATE_SIGNAL").severity == "warn"
    days = document(milestones=[DEED, {**twin, "signal": {"event": "campaign_sent", "measure": "days"}}])
    assert found(days, "DUPLICATE_SIGNAL") == []


def test_a_milestone_without_points_that_nothing_uses_is_found() -> None:
    idle = {"key": "idle", "points": 0, "signal": {"event": "idled"}}
    milestones = [DEED, idle]
    assert only(document(milestones=milestones), "UNUSED_MILESTONE").where == "milestones[idle].points"
    gated = {**SEGMENT, "member": {"warm": {"score": 5, "gates": [{"milestones": ["idle"]}]}}}
    step = {**HELP, "content": {**HELP["content"], "steps": [{"title": "Send it", "milestone": "idle"}]}}
    counting = {**PROMPT["content"], "body": "{{ done | Done }}: {{ count.idle }}"}
    for used in (
        document(milestones=milestones, segments=[gated]),
        document(milestones=milestones, nudges=[PROMPT, step]),
        document(milestones=milestones, nudges=[{**PROMPT, "content": counting}, HELP]),
        document(milestones=milestones, nudges=[{**PROMPT, "trigger": {"milestone": "idle"}}, HELP]),
        document(milestones=milestones, nudges=[{**PROMPT, "audience": {"not": {"milestone": "idle"}}}, HELP]),
        document(milestones=milestones, settings={"hide": {"all": [{"milestone": "idle"}]}}),
        document(milestones=[DEED, {**idle, "is_aha": True}]),
    ):
        assert found(used, "UNUSED_MILESTONE") == []


@pytest.mark.parametrize("named", [("of_account",), ("missing",), ("deed", "missing")])
def test_a_gate_that_cannot_open_makes_a_tier_unreachable(named: tuple[str, ...]) -> None:
    sound = document()
    other = Milestone(key="of_account", name="Account milestone", subject="account", signal=sound.milestones[0].signal)
    entry = Entry(score=5, gates=(Gate(milestones=named, at_least=len(named)),))
    definition = Definition(
        milestones=(*sound.milestones, other),
        segments=(Segment(key="all", member=Thresholds(warm=entry)),),
    )
    finding = only(definition, "UNREACHABLE")
    assert (finding.severity, finding.where) == ("block", "segments[all].member.warm.gates[0]")


def test_asking_for_more_milestones_or_fit_than_there_are_is_unreachable() -> None:
    entry = Entry(score=5, gates=(Gate(milestones=("deed",), at_least=2),))
    definition = Definition(
        milestones=document().milestones, segments=(Segment(key="all", member=Thresholds(warm=entry)),)
    )
    assert only(definition, "UNREACHABLE").message == (
        "A member of all can never become warm: "
        "it requires 2 of Sent a campaign, and only 1 of these can be reached by a member of all."
    )
    fit = {**SEGMENT, "member": {"warm": {"score": 5, "gates": [{"fit": 4}]}}}
    role = {"key": "role", "axis": "fit", "points": 3, "when": {"trait": "role", "equals": "pm"}}
    finding = only(document(milestones=[DEED, role], segments=[fit]), "UNREACHABLE")
    assert "it requires a fit of 4, and the highest possible fit is 3" in finding.message


def test_hot_that_asks_for_no_more_than_warm_leaves_nobody_warm() -> None:
    tiers = {"warm": {"score": 5}, "hot": {"score": 5}}
    assert only(document(segments=[{**SEGMENT, "member": tiers}]), "WARM_SKIPPED").severity == "warn"
    gated = {**tiers, "hot": {"score": 5, "gates": [{"fit": 1}]}}
    role = {"key": "role", "axis": "fit", "points": 3, "when": {"trait": "role", "equals": "pm"}}
    definition = document(milestones=[DEED, role], segments=[{**SEGMENT, "member": gated}])
    assert found(definition, "WARM_SKIPPED") == []


@pytest.mark.parametrize(
    ("warm", "hot", "is_skipped"),
    [
        ({"active_users": 3, "days": 7}, {"active_users": 3, "days": 7}, True),
        ({"active_users": 5, "days": 7}, {"active_users": 3, "days": 14}, True),
        ({"active_users": 3, "days": 7}, {"active_users": 5, "days": 7}, False),
        ({"active_users": 3, "days": 7}, {"active_users": 3, "days": 1}, False),
        ({"fit": 1}, {"active_users": 3}, False),
        ({"fit": 2}, {"fit": 1}, True),
    ],
)
def test_hot_is_no_harder_where_its_side_conditions_are_met_with_those_of_warm(
    warm: dict[str, Any], hot: dict[str, Any], is_skipped: bool
) -> None:
    milestones = [
        {**DEED, "subject": "account"},
        {"key": "big", "subject": "account", "axis": "fit", "when": {"account_trait": "size", "at_least": 100}},
    ]
    tiers = {"warm": {"score": 5, "gates": [warm]}, "hot": {"score": 5, "gates": [hot]}}
    definition = document(milestones=milestones, segments=[{"key": "all", "account": tiers}], nudges=[])
    assert bool(found(definition, "WARM_SKIPPED")) is is_skipped


def test_a_requirement_that_takes_away_too_many_points_is_unreachable() -> None:
    refund = {"key": "refund", "points": -3, "signal": {"event": "refunded"}}
    gated = {**SEGMENT, "member": {"warm": {"score": 5, "gates": [{"milestones": ["refund"]}]}}}
    finding = only(document(milestones=[DEED, refund], segments=[gated]), "UNREACHABLE")
    assert "take away so many points" in finding.message


def test_a_tier_lost_before_help_begins_is_noted() -> None:
    short = [{**DEED, "window": {"days": 2}}]
    finding = only(document(milestones=short), "GONE_BEFORE_HELP")
    assert finding.severity == "note"
    assert "keeps the tier for only 5 days, and help begins on day 7" in finding.message
    assert found(document(milestones=[{**DEED, "window": {"days": 4}}]), "GONE_BEFORE_HELP") == []


def test_one_action_done_once_is_noted() -> None:
    once = {**DEED, "at_least": 1}
    assert only(document(milestones=[once]), "ONE_AND_DONE").evidence == ("Sent a campaign (5) = 5",)


def test_segments_after_one_for_everybody_are_shadowed() -> None:
    late = {"key": "late", "name": "Late", "when": {"account_trait": "size", "at_least": 100}}
    finding = only(document(segments=[SEGMENT, late]), "SHADOWED_SEGMENT")
    assert finding.message == (
        "No account can ever be in Late: All, before it, takes everybody, and the first that fits is used."
    )
    assert finding.where == "segments[late].when"


def test_a_segment_that_those_before_it_take_whole_is_shadowed() -> None:
    big = {"key": "big", "when": {"account_trait": "size", "at_least": 100}}
    huge = {"key": "huge", "when": {"account_trait": "size", "greater": 1000}}
    assert only(document(segments=[big, huge, SEGMENT]), "SHADOWED_SEGMENT").where == "segments[huge].when"
    assert found(document(segments=[huge, big, SEGMENT]), "SHADOWED_SEGMENT") == []


def test_a_segment_that_contradicts_itself_is_empty() -> None:
    tests = [{"account_trait": "plan", "equals": plan} for plan in ("free", "trial")]
    definition = document(segments=[{"key": "both", "when": {"all": tests}}, SEGMENT])
    assert only(definition, "EMPTY_AUDIENCE").where == "segments[both].when"


def test_segments_without_thresholds_are_noted_or_if_all_are_warned_of() -> None:
    staff = {"key": "staff", "when": {"account_trait": "is_staff", "equals": True}}
    assert only(document(segments=[staff, SEGMENT]), "SEGMENTS_WITHOUT_THRESHOLDS").severity == "note"
    assert only(document(segments=[staff]), "SEGMENTS_WITHOUT_THRESHOLDS").severity == "warn"
    finding = only(document(segments=[]), "SEGMENTS_WITHOUT_THRESHOLDS")
    assert finding.message == "Nobody ever becomes warm or hot: there is no segment."


def test_two_segments_with_the_same_thresholds_are_noted() -> None:
    big = {**SEGMENT, "key": "big", "when": {"account_trait": "size", "at_least": 100}}
    assert only(document(segments=[big, SEGMENT]), "SAME_THRESHOLDS").where == "segments[all]"


@pytest.mark.parametrize(
    "audience",
    [
        {"all": [{"trait": "role", "equals": "admin"}, {"trait": "role", "equals": "pm"}]},
        {"all": [{"trait": "role", "in": ["a", "b"]}, {"trait": "role", "not_in": ["a", "b", "c"]}]},
        {"all": [{"trait": "age", "at_least": 5}, {"not": {"trait": "age", "greater": 4}}]},
        {"all": [{"account_trait": "plan", "exists": False}, {"account_trait": "plan", "equals": "free"}]},
        {"all": [{"milestone": "deed"}, {"not": {"milestone": "deed"}}]},
        {"all": [{"milestone": "deed", "is": False}, {"milestone": "deed", "within_days": 3}]},
        {"all": [{"tier": "member", "equals": "warm"}, {"not": {"tier": "member", "in": ["none", "warm"]}}]},
        {"tier": "member", "equals": "hot"},
        {"tier": "account", "equals": "warm"},
        {"all": [{"segment": True, "equals": "all"}, {"segment": True, "not_equals": "all"}]},
        {"all": [{"locale": True, "equals": "de"}, {"locale": True, "equals": "fr"}]},
        {"all": [{"can_purchase": True}, {"not": {"can_purchase": True}}]},
        {"all": [{"trait": "on", "before": "2026-01-01"}, {"trait": "on", "after": "2026-01-02"}]},
        {"all": [{"exposure": "guide", "did": "never"}, {"exposure": "guide", "did": "seen"}]},
        {"all": [{"count": {"event": "x"}, "at_least": 3}, {"count": {"event": "x"}, "less": 3}]},
        {"any": [
            {"all": [{"trait": "a", "equals": 1}, {"trait": "a", "equals": 2}]},
            {"all": [{"trait": "b", "less": 1}, {"trait": "b", "greater": 1}]},
        ]},
    ],
)  # fmt: skip
def test_an_audience_that_nobody_can_be_in_is_found(audience: dict[str, Any]) -> None:
    finding = only(prompt(audience=audience), "EMPTY_AUDIENCE")
    assert finding.where == "nudges[upgrade].audience"
    assert finding.message.startswith("Nobody can ever get Upgrade prompt: its audience contradicts itself")


@pytest.mark.parametrize(
    "audience",
    [
        {"any": [{"trait": "role", "equals": "admin"}, {"trait": "role", "equals": "pm"}]},
        {"all": [{"trait": "role", "not_equals": "admin"}, {"trait": "role", "not_equals": "pm"}]},
        {"all": [{"trait": "role", "contains": "a"}, {"trait": "role", "contains": "b"}]},
        {"all": [{"trait": "age", "greater": 4}, {"trait": "age", "less": 5}]},
        {"all": [{"trait": "role", "equals": "pm"}, {"account_trait": "role", "equals": "admin"}]},
        {"all": [{"milestone": "deed", "within_days": 7}, {"not": {"milestone": "deed", "within_days": 3}}]},
        {"all": [{"tier": "member", "equals": "warm"}, {"tier": "account", "equals": "none"}]},
        {"segment": True, "equals": "all"},
        {"all": [{"locale": True, "equals": "de"}, {"locale": True, "not_equals": "de-AT"}]},
        {"all": [{"trait": "on", "after": "2026-01-01"}, {"trait": "on", "before": "2026-01-02"}]},
        {"all": [{"exposure": "guide", "did": "seen"}, {"not": {"exposure": "guide", "did": "clicked"}}]},
        {"all": [{"count": {"event": "x"}, "at_least": 3}, {"count": {"event": "x"}, "at_most": 3}]},
        {"all": [
            {"count": {"event": "x", "measure": "sum", "property": "p"}, "at_least": 2.5},
            {"count": {"event": "x", "measure": "sum", "property": "p"}, "at_most": 2.7},
        ]},
    ],
)  # fmt: skip
def test_an_audience_that_somebody_can_be_in_passes(audience: dict[str, Any]) -> None:
    assert found(prompt(audience=audience), "EMPTY_AUDIENCE") == []


@pytest.mark.parametrize(
    ("parts", "field"),
    [
        ({"audience": {"milestone": "deed", "is": False}, "trigger": {"milestone": "deed"}}, "trigger"),
        ({"audience": {"tier": "member", "equals": "none"}, "trigger": {"tier": "warm"}}, "trigger"),
        ({"audience": {"context": "page", "equals": "/a"}, "trigger": {"page": ["/b", "/c"]}}, "trigger"),
        ({"audience": {"trait": "x", "equals": 1}, "hide": {"trait": "x", "at_least": 0}}, "hide"),
        ({"trigger": {"page": ["/b"]}, "hide": {"context": "page", "in": ["/a", "/b"]}}, "hide"),
    ],
)
def test_a_trigger_or_hide_rule_that_shuts_the_audience_out_is_found(parts: dict[str, Any], field: str) -> None:
    assert only(prompt(**parts), "EMPTY_AUDIENCE").where == f"nudges[upgrade].{field}"


def test_the_hide_rule_of_the_settings_counts_too() -> None:
    hide = {"account_trait": "plan", "in": ["free", "trial"]}
    nudge = {**PROMPT, "audience": {"account_trait": "plan", "equals": "free"}}
    definition = document(nudges=[nudge, HELP], settings={"hide": hide})
    assert "the hide rule of the settings" in only(definition, "EMPTY_AUDIENCE").message


def test_a_paused_nudge_may_be_aimed_at_nobody() -> None:
    assert found(prompt(audience={"tier": "member", "equals": "hot"}, is_paused=True), "EMPTY_AUDIENCE") == []


@pytest.mark.parametrize(
    ("parts", "where"),
    [
        ({"segments": [{"key": "all", "account": {"hot": {"score": 1}}}]}, "nudges[upgrade].goal"),
        ({"nudges": [{**PROMPT, "holdout": 1}, HELP]}, "nudges[upgrade].holdout"),
        ({"holdout": {"share": 1}}, "nudges[upgrade].goal"),
        ({"settings": {"help_per_episode": 0}}, "nudges[guide].mode"),
    ],
)
def test_a_nudge_that_is_never_shown_is_found(parts: dict[str, Any], where: str) -> None:
    assert where in [finding.where for finding in found(document(**parts), "NUDGE_NEVER")]


def test_a_goal_with_prompts_and_no_help_is_found() -> None:
    assert only(document(nudges=[PROMPT]), "NO_HELP").where == "goals[paid]"
    assert only(document(nudges=[PROMPT, {**HELP, "is_paused": True}]), "NO_HELP").where == "goals[paid]"


def test_a_prompt_at_a_milestone_takes_up_what_was_done() -> None:
    silent = {"title": "Upgrade now", "cta": CTA}
    any_milestone = prompt(trigger={"milestone": "*"}, content=silent)
    assert only(any_milestone, "PROMPT_WITHOUT_DONE").severity == "warn"
    assert only(prompt(trigger={"milestone": "deed"}, content=silent), "PROMPT_WITHOUT_DONE").severity == "note"
    assert found(prompt(trigger={"milestone": "*"}), "PROMPT_WITHOUT_DONE") == []
    named = {"title": {"en": "Well done", "de": "Gut: {{ milestone | das }}"}, "cta": CTA}
    assert found(prompt(trigger={"milestone": "*"}, content=named), "PROMPT_WITHOUT_DONE") == []


def test_a_milestone_that_copy_speaks_of_needs_its_words() -> None:
    dumb = {"key": "dumb", "name": "Imported contacts", "signal": {"event": "imported"}}
    finding = only(document(milestones=[DEED, dumb]), "MISSING_DONE")
    assert finding.where == "milestones[dumb].done"
    assert finding.message == (
        "Upgrade prompt says what the person has just done, but Imported contacts has no words for it."
    )
    triggered = {**PROMPT, "trigger": {"milestone": "deed"}}
    assert found(document(milestones=[DEED, dumb], nudges=[triggered, HELP]), "MISSING_DONE") == []


def test_without_any_holdout_nothing_can_be_proved() -> None:
    assert only(document(holdout={"share": 0}), "NO_HOLDOUT").severity == "note"
    own = document(holdout={"share": 0}, nudges=[{**PROMPT, "holdout": 0.2}, HELP])
    assert found(own, "NO_HOLDOUT") == []


VALUES = st.sampled_from([None, True, False, 0, 1, 2, 2.5, 3, "a", "b", "ab"])
LEAVES = st.one_of(
    st.builds(
        lambda trait, operator, value: Condition(**{"trait": trait, operator: value}),
        st.sampled_from(["x", "y"]),
        st.sampled_from(["equals", "not_equals"]),
        st.sampled_from([True, False, 1, 2, 2.5, "a", "b"]),
    ),
    st.builds(
        lambda trait, operator, value: Condition(**{"trait": trait, operator: value}),
        st.sampled_from(["x", "y"]),
        st.sampled_from(["greater", "at_least", "less", "at_most"]),
        st.sampled_from([0, 1, 2, 2.5, 3]),
    ),
    st.builds(
        lambda values: Condition(trait="x", in_=tuple(values)), st.lists(st.sampled_from([1, "a", "b"]), min_size=1)
    ),
    st.builds(lambda is_there: Condition(trait="x", exists=is_there), st.booleans()),
    st.builds(lambda part: Condition(trait="x", contains=part), st.sampled_from(["a", "b"])),
    st.builds(lambda tier: Condition(tier="member", equals=tier), st.sampled_from(["none", "warm", "hot"])),
)
CONDITIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda group: Condition(all=tuple(group)), st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda group: Condition(any=tuple(group)), st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda one: Condition(not_=one), inner),
    ),
    max_leaves=6,
)


@settings(max_examples=500, deadline=None)
@given(CONDITIONS, VALUES, VALUES, st.sampled_from(["none", "warm", "hot"]))
def test_what_somebody_fulfils_is_never_called_impossible(condition: Condition, x: Any, y: Any, tier: str) -> None:
    facts = Facts(0)
    facts.traits = {"x": x, "y": y}
    facts.tier = tier
    is_fulfilled = compile_condition(condition)(facts)
    assert not is_impossible([(condition, is_fulfilled)], Domains())


def test_a_condition_with_very_many_alternatives_counts_as_possible() -> None:
    any_of = tuple(Condition(trait=f"t{number}", equals=1) for number in range(40))
    tests = [(Condition(any=any_of), True), (Condition(any=any_of), True), (Condition(all=any_of), False)]
    assert not is_impossible(tests, Domains())
