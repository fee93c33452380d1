from __future__ import annotations

import copy
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nudge_sdk.errors import DefinitionError, Problem
from nudge_sdk.rules.authoring import encode_definition, fingerprint, load_definition, parse_definition
from nudge_sdk.rules.conditions import Signal
from nudge_sdk.rules.definition import Content, Definition, Milestone, Nudge, Segment, Settings

GONE = object()

DOCUMENT: dict[str, Any] = {
    "name": "E-mail tool",
    "groups": [{"key": "visits", "cap": 3}],
    "milestones": [
        {
            "key": "campaign",
            "category": "high",
            "signal": {"event": "campaign_sent", "where": {"property": "size", "at_least": 1}},
            "window": {"days": 14},
            "at_least": 2,
            "done": "sent a campaign",
            "decay": {"half_life_days": 14},
        },
        {"key": "team", "subject": "account", "signal": {"event": "login", "measure": "values", "property": "$user"}},
        {"key": "role", "when": {"trait": "role", "in": ["admin", "pm"]}, "axis": "fit", "points": 2.5},
        {"key": "storage", "usage": {"value": "used", "limit": "quota", "share": 0.8}, "group": "visits"},
    ],
    "segments": [
        {
            "key": "smb",
            "when": {"account_trait": "size", "less": 100},
            "member": {"warm": {"score": 8, "gates": [{"milestones": ["campaign", "storage"]}]}},
            "account": {"hot": {"score": 12, "gates": [{"active_users": 3}, {"milestones": ["team"]}]}},
        },
        {"key": "rest"},
    ],
    "goals": [{"key": "paid"}],
    "nudges": [
        {
            "key": "upgrade",
            "placement": "dashboard",
            "goal": "paid",
            "audience": {"all": [{"tier": "member", "equals": "warm"}, {"milestone": "campaign"}]},
            "trigger": {"milestone": "campaign"},
            "tags": ["sales"],
            "caps": [{"count": 1, "days": 7}],
            "schedule": {"starts_at": "2026-01-01T00:00:00Z", "ends_at": "2026-02-01T00:00:00Z"},
            "content": {
                "title": {"en": "You {{ done | did it }}", "no": "Bra"},
                "body": "That makes {{ count.campaign }}, **{{ user_name | friend }}**.",
                "cta": {"label": "Upgrade", "url": "/upgrade?plan={{ trait.plan | pro }}"},
            },
        },
        {
            "key": "guide",
            "placement": "dashboard",
            "goal": "paid",
            "mode": "help",
            "variants": [
                {
                    "key": "a",
                    "content": {"type": "help", "title": "Help", "steps": [{"title": "One", "milestone": "campaign"}]},
                },
                {"key": "b", "content": {"type": "help", "title": "See", "video": {"url": "https://x.test/v.mp4"}}},
            ],
        },
    ],
    "settings": {"tag_caps": [{"tag": "sales", "count": 1, "days": 1}]},
}

M, S, N = "milestones.0", "segments.0", "nudges.0"
"""The entities that the table breaks: campaign, smb, upgrade."""

BROKEN: list[tuple[str, Any, str, str]] = [
    # shape
    (f"{M}.window.days", "14", "milestones[campaign].window.days", '"14" is a text. Write a whole number, such as 14.'),
    (f"{M}.window.days", 1.5, "milestones[campaign].window.days", "1.5 is a number. Write a whole number, such as 2."),
    (f"{M}.window.days", None, "milestones[campaign].window", "has none of days"),
    (f"{M}.widow", {"days": 3}, "milestones[campaign].widow", "is not a known field. Did you mean window?"),
    (f"{M}.zzzz", 1, "milestones[campaign].zzzz", "Known fields: key, name, subject"),
    (f"{M}.points", "many", "milestones[campaign].points", '"many" is a text. Write a number, such as 3.'),
    (f"{M}.points", float("nan"), "milestones[campaign].points", "not a number to calculate with"),
    (f"{M}.points", 10**400, "milestones[campaign].points", "not a number to calculate with"),
    (f"{M}.at_least", True, "milestones[campaign].at_least", "true is true or false. Write a number"),
    (f"{M}.category", "hgh", "milestones[campaign].category", "Write one of context, high, hygiene, medium."),
    (f"{M}.is_aha", "yes", "milestones[campaign].is_aha", "Write true or false."),
    (f"{M}.notes", None, "milestones[campaign].notes", "is empty. Write a text."),
    (f"{M}.name", "a\0b", "milestones[campaign].name", "NUL"),
    (f"{M}.name", "a\ud800b", "milestones[campaign].name", "half a character"),
    (f"{M}.signal", ["login"], "milestones[campaign].signal", "is a list. Write a group of fields."),
    (f"{M}.signal.event", GONE, "milestones[campaign].signal.event", "is missing"),
    (f"{M}.done", {"en": "did", 1: "x"}, "milestones[campaign].done.1", "1 is not a text"),
    ("milestones", {"campaign": {}}, "milestones", "is a group of fields. Write a list."),
    ("groups", [{"key": "visits", "cap": 3}, 5], "groups[1]", "5 is a number. Write a group of fields."),
    (f"{N}.placement", GONE, "nudges[upgrade].placement", "is missing"),
    (f"{N}.tags", "sales", "nudges[upgrade].tags", '"sales" is a text. Write a list.'),
    (f"{N}.priority", 10**30, "nudges[upgrade].priority", "too large"),
    ("segments.1.key", GONE, "segments[1].key", "is missing"),
    ("segments.1.key", 7, "segments[1].key", "7 is a number"),
    ("format", 2, "format", "2 is not known to this release"),
    ("mileston", [], "mileston", "Did you mean milestones?"),
    # keys and references
    ("segments.1.key", "Rest of all", "segments[Rest of all].key", "such as rest_of_all"),
    ("segments.1.key", "x" * 65, f"segments[{'x' * 65}].key", "is not a key"),
    ("segments.1.key", "smb", "segments[smb].key", "is used 2 times"),
    ("nudges.1.variants.1.key", "a", "nudges[guide].variants[a].key", "is used 2 times"),
    ("milestones.3.group", "visit", "milestones[storage].group", "Did you mean visits?"),
    (f"{S}.member.warm.gates.0.milestones.0", "campain",
     "segments[smb].member.warm.gates[0].milestones[0]", "Did you mean campaign?"),
    (f"{S}.member.warm.gates.0.milestones.0", "team",
     "segments[smb].member.warm.gates[0].milestones[0]", "no milestone of the member"),
    (f"{S}.member.warm.gates.0.milestones.0", "storage",
     "segments[smb].member.warm.gates[0].milestones", "more than once"),
    (f"{N}.goal", "payed", "nudges[upgrade].goal", "Did you mean paid?"),
    (f"{N}.trigger.milestone", "qqq", "nudges[upgrade].trigger.milestone", "There are: campaign, role, storage, team."),
    (f"{N}.trigger", {"usage": "campaign"}, "nudges[upgrade].trigger.usage", "no milestone of a usage limit"),
    (f"{N}.audience.all.1.milestone", "qqq", "nudges[upgrade].audience.all[1].milestone", "there is no milestone"),
    (f"{N}.hide", {"exposure": "nothing", "did": "seen"}, "nudges[upgrade].hide.exposure", "there is no nudge"),
    ("nudges.1.variants.0.content.steps.0.milestone", "qqq",
     "nudges[guide].variants[a].content.steps[0].milestone", "there is no milestone"),
    ("settings.tag_caps.0.tag", "sale", "settings.tag_caps[0].tag", "Did you mean sales?"),
    # exactly one of
    (f"{M}.when", {"trait": "role", "exists": True}, "milestones[campaign]", "has signal and when. Write exactly one"),
    ("milestones.2.when", GONE, "milestones[role]", "has none of signal, when, usage"),
    (f"{M}.window.ever", True, "milestones[campaign].window", "has days and ever"),
    (f"{S}.member.warm.gates.0.fit", 3, "segments[smb].member.warm.gates[0]", "has milestones and fit"),
    (f"{S}.member.warm.gates.0", {}, "segments[smb].member.warm.gates[0]", "has none of milestones, active_users, fit"),
    (f"{N}.trigger.manual", True, "nudges[upgrade].trigger", "has milestone and manual"),
    (f"{N}.trigger", {}, "nudges[upgrade].trigger", "has none of milestone, usage, tier, page, manual"),
    (f"{N}.caps.0.hours", 3, "nudges[upgrade].caps[0]", "has days and hours"),
    (f"{N}.content", GONE, "nudges[upgrade]", "has none of content, variants"),
    ("nudges.1.content", {"title": "x", "steps": [{"title": "y"}]}, "nudges[guide]", "has content and variants"),
    (f"{N}.content.cta.action", "open", "nudges[upgrade].content.cta", "has url and action"),
    (f"{N}.audience.all.0.trait", "plan", "nudges[upgrade].audience.all[0]", "stand side by side"),
    # ranges
    (f"{M}.points", 1.0005, "milestones[campaign].points", "more than three decimals. Write 1"),
    (f"{M}.points", 2e6, "milestones[campaign].points", "out of range"),
    (f"{M}.at_least", 0, "milestones[campaign].at_least", "0 is out of range. Write at least 1."),
    (f"{M}.at_least", 1.5, "milestones[campaign].at_least", "1.5 is not a whole number. Write 2."),
    (f"{M}.window.days", 0, "milestones[campaign].window.days", "Write at least 1 and at most 400."),
    (f"{M}.window.days", 401, "milestones[campaign].window.days", "401 is out of range"),
    (f"{M}.window", {"since_signup_days": 0}, "milestones[campaign].window.since_signup_days", "more than 0"),
    (f"{M}.decay.half_life_days", 0, "milestones[campaign].decay.half_life_days", "Write more than 0"),
    (f"{M}.decay.grace_days", -1, "milestones[campaign].decay.grace_days", "Write at least 0."),
    ("milestones.3.usage.share", 1.1, "milestones[storage].usage.share", "Write more than 0 and at most 1."),
    ("milestones.3.usage.limit", "", "milestones[storage].usage.limit", "Write the name of a trait."),
    ("groups.0.cap", 0, "groups[visits].cap", "Write more than 0."),
    (f"{S}.help_after_days", 28, "segments[smb].help_after_days", "Write at most 27, or a longer episode."),
    (f"{S}.hold_days", -1, "segments[smb].hold_days", "out of range"),
    (f"{S}.capacity_per_week", 0, "segments[smb].capacity_per_week", "out of range"),
    (f"{S}.member.warm.score", 7.12345, "segments[smb].member.warm.score", "three decimals"),
    (f"{S}.member.warm.gates.0.at_least", 3, "segments[smb].member.warm.gates[0].at_least", "at most 2"),
    (f"{S}.account.hot.gates.0.active_users", 129, "segments[smb].account.hot.gates[0].active_users", "at most 128"),
    (f"{S}.member.warm.gates.0", {"active_users": 2},
     "segments[smb].member.warm.gates[0].active_users", "Move the gate to the thresholds of the account."),
    (f"{N}.holdout", 1.5, "nudges[upgrade].holdout", "at most 1"),
    (f"{N}.priority", 5000, "nudges[upgrade].priority", "at most 1000"),
    (f"{N}.lifetime", 0, "nudges[upgrade].lifetime", "at least 1"),
    (f"{N}.caps.0.count", 0, "nudges[upgrade].caps[0].count", "at least 1"),
    (f"{N}.trigger.seconds", 0, "nudges[upgrade].trigger.seconds", "at least 1"),
    (f"{N}.trigger", {"tier": "none"}, "nudges[upgrade].trigger.tier", "Write warm or hot."),
    ("nudges.1.variants.0.weight", 0, "nudges[guide].variants[a].weight", "more than 0"),
    ("holdout", {"share": -0.1}, "holdout.share", "Write at least 0 and at most 1."),
    ("settings.display_minutes", 0, "settings.display_minutes", "more than 0"),
    # what a measure and its window can tell
    (f"{M}.signal.measure", "sum", "milestones[campaign].signal.property", "is missing for the measure sum"),
    (f"{M}.signal.property", "size", "milestones[campaign].signal.property", "not used by the measure count"),
    (f"{M}.signal", {"event": "x", "measure": "values", "property": "$user"},
     "milestones[campaign].signal.property", "$user counts the members of an account"),
    ("milestones.1.at_least", 129, "milestones[team].at_least", "128 distinct values are kept. Write at most 128."),
    ("milestones.2.at_least", 2, "milestones[role].at_least", "belongs to a signal"),
    (f"{N}.hide", {"count": {"event": "x"}, "window": {"since_signup_hours": 5}, "at_least": 200},
     "nudges[upgrade].hide.at_least", "the earliest 128 since sign-up are kept"),
    (f"{M}.signal.event", "", "milestones[campaign].signal.event", "is empty"),
    (f"{M}.signal.event", ["a", "a"], "milestones[campaign].signal.event", 'names the event "a" more than once'),
    (f"{M}.signal.where", {"trait": "a", "equals": "x"}, "milestones[campaign].signal.where.trait", "cannot be used"),
    (f"{S}.when", {"trait": "plan", "equals": "x"}, "segments[smb].when.trait", "cannot be used here"),
    (f"{M}.axis", "fit", "milestones[campaign].decay", "fit never does"),
    ("milestones.2.decay", {"half_life_days": 3}, "milestones[role].decay", "belongs to a signal"),
    # schedules and copy
    (f"{N}.schedule.starts_at", "soon", "nudges[upgrade].schedule.starts_at", "'soon' is not a time"),
    (f"{N}.schedule.starts_at", "2026-01-01T00:00:00", "nudges[upgrade].schedule.starts_at", "no time zone"),
    (f"{N}.schedule.ends_at", "2025-12-31T00:00:00Z", "nudges[upgrade].schedule.ends_at", "is not after starts_at"),
    ("nudges.1.goal", GONE, "nudges[guide].goal", "is missing"),
    (f"{N}.content.type", "crad", "nudges[upgrade].content.type", "Did you mean card?"),
    (f"{N}.content.cta", GONE, "nudges[upgrade].content.cta", "is missing. Add the one thing to do next"),
    (f"{N}.content.chat", {"label": "Talk", "action": "chat"}, "nudges[upgrade].content.chat", "second call to action"),
    ("nudges.1.variants.0.content.steps", [], "nudges[guide].variants[a].content", "Add steps, a video or a chat."),
    (f"{N}.content.title", "x" * 81, "nudges[upgrade].content.title", "At most 80 fit"),
    (f"{N}.content.body", "x" * 601, "nudges[upgrade].content.body", "At most 600 fit"),
    (f"{N}.content.cta.label", "x" * 31, "nudges[upgrade].content.cta.label", "At most 30 fit"),
    (f"{N}.content.cta.label", "", "nudges[upgrade].content.cta.label", "is empty"),
    (f"{N}.content.title.no", "  ", "nudges[upgrade].content.title.no", "is empty"),
    (f"{N}.content.title.en", GONE, "nudges[upgrade].content.title", "no text for en, the default locale"),
    (f"{N}.content.title", {}, "nudges[upgrade].content.title", "no text for en"),
    (f"{N}.content.title.norsk bokmal", "Bra", "nudges[upgrade].content.title.norsk bokmal", "is not a locale"),
    (f"{N}.content.title", "You {{ done }}", "nudges[upgrade].content.title", "needs a fallback"),
    (f"{N}.content.title", "Hi {{ password | x }}", "nudges[upgrade].content.title", "not a known name"),
    (f"{N}.content.title", "{{ count.role | 2 }}", "nudges[upgrade].content.title", "not a known name"),
    (f"{N}.content.title", "{{ usage.storage.left }}", "nudges[upgrade].content.title", "needs a fallback"),
    (f"{M}.done", "did {{ done | it }}", "milestones[campaign].done", "not a known name"),
    (f"{N}.content.cta.url", "javascript:alert(1)", "nudges[upgrade].content.cta.url", "only http, https".capitalize()),
    (f"{N}.content.cta.url", "/x?y={{ trait.plan }}", "nudges[upgrade].content.cta.url", "needs a fallback"),
    (f"{N}.content.body", "[x](javascript:alert(1))", "nudges[upgrade].content.body", "javascript"),
    ("nudges.1.variants.1.content.video.url", "", "nudges[guide].variants[b].content.video.url", "is empty"),
    ("settings.default_locale", "e", "settings.default_locale", "is not a locale"),
]  # fmt: skip


def changed(*changes: tuple[str, Any]) -> dict[str, Any]:
    document = copy.deepcopy(DOCUMENT)
    for path, value in changes:
        *parents, last = (int(part) if part.isdigit() else part for part in path.split("."))
        place: Any = document
        for part in parents:
            place = place[part]
        if value is GONE:
            del place[last]
        else:
            place[last] = value
    return document


def problems_of(raw: object) -> list[tuple[str, str]]:
    with pytest.raises(DefinitionError) as caught:
        parse_definition(raw)
    return [(problem.where, f"{problem.what}. {problem.fix}") for problem in caught.value.problems]


def tried(raw: object) -> tuple[Definition | None, list[Problem]]:
    try:
        return parse_definition(raw), []
    except DefinitionError as error:
        return None, error.problems


def test_a_right_document_becomes_what_msgspec_makes_of_it() -> None:
    assert parse_definition(DOCUMENT) == msgspec.convert(DOCUMENT, Definition)


def test_an_empty_document_is_right() -> None:
    assert parse_definition({}) == Definition()


@pytest.mark.parametrize(
    ("path", "value", "where", "fragment"), BROKEN, ids=[f"{i}-{row[0]}" for i, row in enumerate(BROKEN)]
)
def test_each_mistake_is_told_once_with_its_place_and_what_would_be_right(
    path: str, value: Any, where: str, fragment: str
) -> None:
    found = problems_of(changed((path, value)))
    if path == "milestones":
        found = [each for each in found if each[0] == "milestones"]
    if path == "settings.default_locale":
        found = [each for each in found if not each[0].endswith("title")]
    assert [place for place, _ in found] == [where]
    assert fragment in found[0][1]


def test_ten_mistakes_are_all_told_at_once() -> None:
    rows = [
        (f"{M}.window.days", "14"),
        (f"{M}.points", 1.00001),
        ("milestones.1.at_leest", 3),
        ("milestones.3.group", "nowhere"),
        (f"{S}.help_after_days", 99),
        (f"{S}.member.warm.gates.0.milestones.0", "campain"),
        (f"{N}.placement", GONE),
        (f"{N}.content.title", "x" * 100),
        (f"{N}.content.cta.url", "ftp://x.test"),
        ("nudges.1.variants.0.weight", -1),
    ]
    assert sorted(place for place, _ in problems_of(changed(*rows))) == sorted(
        [
            "milestones[campaign].window.days",
            "milestones[campaign].points",
            "milestones[team].at_leest",
            "milestones[storage].group",
            "segments[smb].help_after_days",
            "segments[smb].member.warm.gates[0].milestones[0]",
            "nudges[upgrade].placement",
            "nudges[upgrade].content.title",
            "nudges[upgrade].content.cta.url",
            "nudges[guide].variants[a].weight",
        ]
    )


def test_an_unreadable_field_brings_no_further_problems_about_itself() -> None:
    assert problems_of(changed((f"{M}.signal", 5))) == [
        ("milestones[campaign].signal", "5 is a number. Write a group of fields.")
    ]


def test_a_mistyped_name_is_not_also_told_as_missing() -> None:
    raw = changed((f"{N}.placement", GONE), (f"{N}.placmeent", "dashboard"), ("milestones.2.when", GONE))
    raw["milestones"][2]["whem"] = {"trait": "role", "exists": True}
    assert [where for where, _ in problems_of(raw)] == ["milestones[role].whem", "nudges[upgrade].placmeent"]


@pytest.mark.parametrize(
    ("measure", "window", "most"),
    [
        ("days", {"days": 7}, 7),
        ("streak", {"days": 30}, 30),
        ("days", {"ever": True}, 400),
        ("streak", {"since_signup_days": 7}, 8),
        ("days", {"since_signup_hours": 24}, 2),
        ("count", {"since_signup_days": 7}, 128),
        ("values", {"days": 14}, 128),
    ],
)
def test_a_milestone_that_needs_more_than_is_kept_is_refused(measure: str, window: Any, most: int) -> None:
    signal = {"event": "x", "measure": measure} | ({"property": "page"} if measure == "values" else {})
    parts = [(f"{M}.signal", signal), (f"{M}.window", window)]
    parse_definition(changed(*parts, (f"{M}.at_least", most)))
    [(where, told)] = problems_of(changed(*parts, (f"{M}.at_least", most + 1)))
    assert where == "milestones[campaign].at_least"
    assert f"Write at most {most}." in told


@pytest.mark.parametrize("window", [{"days": 14}, {"ever": True}])
def test_a_count_in_days_or_ever_has_no_bound(window: Any) -> None:
    parse_definition(changed((f"{M}.window", window), (f"{M}.at_least", 100_000)))


@pytest.mark.parametrize(
    ("at_least", "is_right"), [(99.5, True), (0.000001, True), (0, False), (0.0000001, False), (1e16, False)]
)
def test_a_sum_to_reach_is_positive_and_has_six_decimals(at_least: float, is_right: bool) -> None:
    raw = changed((f"{M}.signal", {"event": "x", "measure": "sum", "property": "amount"}), (f"{M}.at_least", at_least))
    if is_right:
        parse_definition(raw)
    else:
        assert [where for where, _ in problems_of(raw)] == ["milestones[campaign].at_least"]


@pytest.mark.parametrize("raw", [None, 5, "text", [], [{}]])
def test_what_is_not_a_group_of_fields_is_no_document(raw: object) -> None:
    [(where, told)] = problems_of(raw)
    assert where == "document"
    assert told.endswith("Write a group of fields.")


def test_endless_nesting_is_told_not_followed() -> None:
    circle: dict[str, Any] = {}
    circle["not"] = circle
    found = problems_of(changed((f"{N}.hide", circle)))
    assert any("nested too deeply" in told for _, told in found)


@pytest.mark.parametrize("raw", [object(), {1: 2}, {"milestones": [object()]}, {"name": b"x"}])
def test_what_no_document_holds_is_told(raw: object) -> None:
    assert problems_of(raw)


@pytest.mark.parametrize(
    ("where", "path", "struct"),
    [
        ("milestones[campaign]", M, Milestone),
        ("milestones[campaign].signal", f"{M}.signal", Signal),
        ("segments[smb]", S, Segment),
        ("nudges[upgrade]", N, Nudge),
        ("nudges[upgrade].content", f"{N}.content", Content),
        ("settings", "settings", Settings),
    ],
)
def test_no_field_of_a_struct_goes_unread(where: str, path: str, struct: type[msgspec.Struct]) -> None:
    for name in struct.__struct_encode_fields__:
        if name != "key":
            assert f"{where}.{name}" in [place for place, _ in problems_of(changed((f"{path}.{name}", object())))]


JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(
        {"key", "signal", "event", "where", "all", "not", "trait", "equals", "content", "title", "cta", "window",
         "days", "milestones", "gates", "member", "hot", "score", "hours", "from", "did", "exposure", "tags"}
    )), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@settings(deadline=None)
@given(
    st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("milestones", "segments", "nudges", "goals", "settings", "holdout"), JSON_LIKE)
    )
)
def test_any_document_is_either_right_or_refused_with_problems(raw: dict[str, Any]) -> None:
    definition, problems = tried(raw)
    assert (definition is None) == bool(problems)
    assert all(problem.where and problem.what and problem.fix for problem in problems)
    if definition is not None:
        assert msgspec.json.decode(encode_definition(definition), type=Definition) == definition


@settings(deadline=None)
@given(st.data())
def test_one_random_change_anywhere_never_crashes_the_check(data: st.DataObject) -> None:
    raw = copy.deepcopy(DOCUMENT)
    place: Any = raw
    while True:
        names = list(place) if isinstance(place, dict) else list(range(len(place)))
        name = data.draw(st.sampled_from(names))
        if isinstance(place[name], dict | list) and place[name] and data.draw(st.booleans()):
            place = place[name]
            continue
        place[name] = data.draw(JSON_LIKE)
        break
    definition, problems = tried(raw)
    assert (definition is None) == bool(problems)


def test_a_loaded_document_may_hold_unknown_fields() -> None:
    raw = changed(("milestones.0.colour", "red"), ("nudges.0.content.sparkle", {"a": 1}), ("future", []))
    definition, warnings = load_definition(raw)
    assert definition == parse_definition(DOCUMENT)
    assert warnings == []


def test_a_nudge_that_cannot_be_read_is_left_out_with_a_warning() -> None:
    definition, [warning] = load_definition(changed((f"{N}.lane", "express")))
    assert [nudge.key for nudge in definition.nudges] == ["guide"]
    assert "nudges[upgrade].lane" in warning


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (f"{N}.audience.all.0.matches", "x"),
        (f"{N}.hide", {"planet": "mars"}),
        (f"{N}.trigger.event", "x"),
        (f"{N}.schedule.weekly", True),
        (f"{N}.caps.0.minutes", 3),
    ],
)
def test_who_may_see_a_nudge_is_never_guessed(path: str, value: Any) -> None:
    definition, warnings = load_definition(changed((path, value)))
    assert [nudge.key for nudge in definition.nudges] == ["guide"]
    assert len(warnings) == 1


def test_a_milestone_rule_that_is_not_known_refuses_the_whole_document() -> None:
    with pytest.raises(DefinitionError, match=r"milestones\[campaign\]\.signal\.sampled"):
        load_definition(changed((f"{M}.signal.sampled", 0.1)))


def test_content_of_an_unknown_type_is_kept() -> None:
    definition, warnings = load_definition(changed((f"{N}.content.type", "hologram")))
    assert warnings == []
    assert definition.nudges[0].content is not None
    assert definition.nudges[0].content.type == "hologram"


@pytest.mark.parametrize("raw", [b"{", b"\xff", b"[]", b"null", 5, {"milestones": 5}, {"nudges": {}}, {"format": 2}])
def test_anything_else_that_cannot_be_read_is_refused(raw: object) -> None:
    with pytest.raises(DefinitionError):
        load_definition(raw)


def test_encoded_bytes_load_again() -> None:
    definition = parse_definition(DOCUMENT)
    assert load_definition(encode_definition(definition)) == (definition, [])


def test_the_encoding_has_sorted_keys_and_no_defaults() -> None:
    raw = {
        "milestones": [
            {"window": {"days": 14}, "signal": {"event": "x"}, "at_least": 1, "category": "medium", "key": "a"}
        ]
    }
    encoded = encode_definition(parse_definition(raw))
    assert encoded == b'{"milestones":[{"key":"a","signal":{"event":"x"},"window":{"days":14}}]}'


def test_documents_that_mean_the_same_have_the_same_fingerprint() -> None:
    plain = parse_definition(DOCUMENT)
    respelled = changed((f"{M}.at_least", 2.0), (f"{N}.lifetime", 3), ("groups.0.cap", 3.0), ("number", 7))
    assert fingerprint(parse_definition(respelled)) == fingerprint(plain)
    assert len(fingerprint(plain)) == 64


@pytest.mark.parametrize(("path", "value"), [(f"{M}.at_least", 3), (f"{N}.content.cta.label", "Buy"), ("name", "x")])
def test_a_changed_document_has_another_fingerprint(path: str, value: Any) -> None:
    assert fingerprint(parse_definition(changed((path, value)))) != fingerprint(parse_definition(DOCUMENT))


def test_an_encoded_definition_is_a_right_document() -> None:
    definition = parse_definition(DOCUMENT)
    assert parse_definition(json.loads(encode_definition(definition))) == definition
