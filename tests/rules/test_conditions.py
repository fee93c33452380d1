"""Conditions: what they answer, until when, and what is wrong with them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nudge_sdk.rules.conditions import (
    ACCOUNT_WHEN_SUBJECTS,
    AUDIENCE_SUBJECTS,
    WHEN_SUBJECTS,
    WHERE_SUBJECTS,
    Condition,
    Facts,
    Keys,
    Signal,
    Window,
    check_condition,
    compile_condition,
    compile_next_change,
    compile_where,
)
from nudge_sdk.rules.times import DAY, FOREVER, MINUTE, to_iso, to_micros

CASES = json.loads((Path(__file__).parent.parent / "cases" / "conditions.json").read_text("utf-8"))
NOW = "2026-03-11T12:00:00Z"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
KEYS = Keys(
    milestones={"first_campaign"},
    account_milestones={"team"},
    segments={"smb", "enterprise"},
    nudges={"welcome"},
    tags={"upsell"},
)


def parse(document: dict[str, Any]) -> Condition:
    return msgspec.convert(document, Condition)


def instant(text: str) -> int:
    return to_micros(text if "T" in text else f"{text}T00:00:00Z")


def facts_of(document: dict[str, Any]) -> Facts:
    given = dict(document)
    facts = Facts(instant(given.pop("now", NOW)))
    facts.state = given.pop("count", 0)
    facts.exposures = {(nudge, did): instant(at) for nudge, did, at in given.pop("exposures", ())}
    facts.tags = {nudge: tuple(tags) for nudge, tags in given.pop("tags", {}).items()}
    if "signup_at" in given:
        facts.signup_at = instant(given.pop("signup_at"))
    for name in ("reached", "account_reached"):
        setattr(facts, name, {key: instant(at) for key, at in given.pop(name, {}).items()})
    for name, value in given.items():
        setattr(facts, name, value)
    return facts


def counted(signal: Signal, window: Window | None) -> Any:
    return lambda facts: facts.state


def answer(document: dict[str, Any], **given: Any) -> bool:
    return compile_condition(parse(document), counted)(facts_of(given))


@pytest.mark.parametrize(("condition", "given", "expected"), [pytest.param(*c[1:], id=c[0]) for c in CASES["holds"]])
def test_condition_answers_as_published(condition: dict[str, Any], given: dict[str, Any], expected: bool) -> None:
    assert compile_condition(parse(condition), counted)(facts_of(given)) is expected


@pytest.mark.parametrize(("condition", "given", "expected"), [pytest.param(*c[1:], id=c[0]) for c in CASES["where"]])
def test_where_answers_as_published(condition: dict[str, Any], given: dict[str, Any], expected: bool) -> None:
    assert compile_where(parse(condition))(given) is expected


@pytest.mark.parametrize(("condition", "given", "expected"), [pytest.param(*c[1:], id=c[0]) for c in CASES["changes"]])
def test_next_change_is_as_published(condition: dict[str, Any], given: dict[str, Any], expected: str | None) -> None:
    change = compile_next_change(parse(condition))(facts_of(given))
    assert (None if change == FOREVER else to_iso(change)) == expected


def test_no_condition_always_holds_never_changes_and_is_right() -> None:
    facts = facts_of({})
    assert compile_condition(None)(facts) is True
    assert compile_where(None)({}) is True
    assert compile_next_change(None)(facts) == FOREVER
    assert check_condition(None, "here", subjects=AUDIENCE_SUBJECTS) == []


def test_count_without_a_way_to_count_answers_false() -> None:
    condition = parse({"count": {"event": "Sent"}, "at_least": 0})
    assert compile_condition(condition)(facts_of({})) is False


def test_count_is_compiled_once_with_its_signal_and_window() -> None:
    asked: list[tuple[Signal, Window | None]] = []

    def count(signal: Signal, window: Window | None) -> Any:
        asked.append((signal, window))
        return lambda facts: 2

    holds = compile_condition(parse({"count": {"event": "Sent"}, "window": {"days": 7}, "greater": 1}), count)
    assert (holds(facts_of({})), holds(facts_of({}))) == (True, True)
    assert asked == [(Signal(event="Sent"), Window(days=7))]


def test_condition_reads_and_writes_the_words_of_the_document() -> None:
    document = {"not": {"any": [{"trait": "role", "in": ["a"]}, {"milestone": "m", "is": False}]}}
    assert json.loads(msgspec.json.encode(parse(document))) == document
    assert msgspec.to_builtins(parse({"hours": {"from": "09:00"}})) == {"hours": {"from": "09:00"}}


def test_overlong_times_and_zones_are_refused_without_being_remembered() -> None:
    assert answer({"trait": "at", "after": "2020-01-01"}, traits={"at": "2026-01-01" + " " * 50_000}) is False
    assert answer({"hours": {"to": "23:59"}}, traits={"timezone": "A" * 50_000}) is True


def test_endless_days_do_not_break_a_definition_that_is_read() -> None:
    for days in (float("inf"), float("nan"), 1e300, -1.0):
        condition = Condition(trait="at", within_days=days)
        facts = facts_of({"traits": {"at": "2026-03-01"}})
        assert compile_condition(condition)(facts) is (days > 0)
        assert facts.now < compile_next_change(condition)(facts) <= FOREVER


SPRING, AUTUMN = "2026-03-29T00:30:00Z", "2026-10-25T00:30:00Z"


def test_hours_follow_the_clocks_in_spring_and_autumn() -> None:
    berlin = {"timezone": "Europe/Berlin"}
    skipped = {"hours": {"from": "02:00", "to": "03:00"}}
    assert not any(answer(skipped, now=to_iso(to_micros(SPRING) + m * MINUTE), traits=berlin) for m in range(120))
    assert (
        sum(answer(skipped, now=to_iso(to_micros(AUTUMN) + m * MINUTE), traits=berlin) for m in range(-120, 120)) == 120
    )


def test_a_clock_that_changes_at_one_minute_past_midnight_is_followed() -> None:
    facts = facts_of({"now": "2008-03-09T03:30:00Z", "traits": {"timezone": "America/St_Johns"}})
    condition = parse({"hours": {"from": "01:00", "to": "02:00"}})
    assert compile_condition(condition)(facts) is False
    facts.now = compile_next_change(condition)(facts)
    assert compile_condition(condition)(facts) is True


def problems(document: dict[str, Any], subjects: Any = AUDIENCE_SUBJECTS) -> list[str]:
    return [p.where for p in check_condition(parse(document), "here", subjects=subjects, keys=KEYS)]


@pytest.mark.parametrize("document", CASES["right"], ids=json.dumps)
def test_right_condition_has_no_problem(document: dict[str, Any]) -> None:
    assert problems(document) == []


WRONG: list[tuple[dict[str, Any], str]] = [
    *CASES["wrong"],
    ({"trait": "a", "at_least": float("nan")}, "here.at_least"),
    ({"trait": "a", "in": [1.0, float("inf")]}, "here.in"),
]


@pytest.mark.parametrize(("document", "where"), WRONG, ids=[json.dumps(document) for document, _ in WRONG])
def test_wrong_condition_has_one_problem_at_its_place(document: dict[str, Any], where: str) -> None:
    assert problems(document) == [where]


@pytest.mark.parametrize("document", [document for document, _ in WRONG], ids=json.dumps)
def test_problem_says_what_would_be_right(document: dict[str, Any]) -> None:
    [problem] = check_condition(parse(document), "here", subjects=AUDIENCE_SUBJECTS, keys=KEYS)
    assert problem.what
    assert not problem.what.endswith(".")
    assert problem.fix.endswith(".")


def test_problem_names_its_place_and_what_exists() -> None:
    condition = parse({"all": [{"can_purchase": True}, {"segment": True, "equals": "mid"}]})
    [problem] = check_condition(condition, "nudges[welcome].audience", subjects=AUDIENCE_SUBJECTS, keys=KEYS)
    assert str(problem) == ("nudges[welcome].audience.all[1].equals: there is no segment 'mid'. Use enterprise or smb.")


def test_all_problems_are_found_at_once() -> None:
    document = {"all": [{"trait": "a"}, {"property": "b", "equals": 1}, {"exposure": "gone", "within_days": 0}]}
    assert problems(document) == [
        "here.all[0]",
        "here.all[1].property",
        "here.all[2].did",
        "here.all[2].within_days",
        "here.all[2].exposure",
    ]


def test_every_reference_is_unknown_where_nothing_exists() -> None:
    [problem] = check_condition(parse({"milestone": "m"}), "here", subjects=AUDIENCE_SUBJECTS)
    assert problem.fix == "There is no milestone of members yet: add one, or remove this condition."


WHEN: list[dict[str, Any]] = [{"trait": "n", "equals": 1}, {"account_trait": "n", "equals": 1}, {"hours": {}}]
NOT_WHEN: list[dict[str, Any]] = [
    {"property": "n", "equals": 1},
    {"count": {"event": "Sent"}, "less": 1},
    {"exposure": "*", "did": "seen"},
    {"tier": "member", "equals": "hot"},
    {"milestone": "first_campaign"},
]


def test_places_admit_only_what_they_know() -> None:
    assert problems({"property": "n", "equals": 1}, WHERE_SUBJECTS) == []
    assert problems({"property": "at", "within_days": 1}, WHERE_SUBJECTS) == ["here.within_days"]
    assert problems({"trait": "n", "equals": 1}, WHERE_SUBJECTS) == ["here.trait"]
    for known in WHEN:
        assert problems(known, WHEN_SUBJECTS) == []
    assert problems({"trait": "n", "equals": 1}, ACCOUNT_WHEN_SUBJECTS) == ["here.trait"]
    for unknown in NOT_WHEN:
        subject = next(iter(unknown))
        assert problems(unknown, WHEN_SUBJECTS) == [f"here.{subject}"]
        assert problems(unknown, ACCOUNT_WHEN_SUBJECTS) == [f"here.{subject}"]


ZONES = ["UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu", "America/New_York", "no"]
SCALARS = st.sampled_from(["", "a", "ab", "2026-03-01", "2026-03-09T12:00:00+05:45", 0, 1, 1.0, 2, 2.5, True, False])
VALUES = SCALARS | st.none() | st.lists(SCALARS, max_size=3) | st.dictionaries(st.sampled_from("ab"), SCALARS)
NAMES = st.sampled_from(["a", "b", "a.b"])
BOUNDS = st.sampled_from([0, 1, 1.5, 2])
SPANS = st.sampled_from([0.25, 1, 2.5, 9, 30])
TIMES = st.sampled_from(["2026-03-01", "2026-03-09T12:00:00+05:45", "2026-03-01T00:00:00Z", "never"])
CLOCKS = st.sampled_from(["00:00", "00:01", "01:30", "02:15", "09:00", "22:45"])
DIDS = ["seen", "clicked", "dismissed", "snoozed", "completed", "never"]
HOURS = st.fixed_dictionaries(
    {"from": CLOCKS, "to": CLOCKS | st.just("24:00"), "weekdays": st.lists(st.integers(1, 7), max_size=3)}
)
OPERATIONS = st.one_of(
    st.fixed_dictionaries({"equals": SCALARS}),
    st.fixed_dictionaries({"not_equals": SCALARS}),
    st.fixed_dictionaries({"in": st.lists(SCALARS, max_size=3)}),
    st.fixed_dictionaries({"not_in": st.lists(SCALARS, max_size=3)}),
    st.fixed_dictionaries({"contains": SCALARS}),
    st.fixed_dictionaries({"exists": st.booleans()}),
    st.sampled_from(["greater", "at_least", "less", "at_most"]).flatmap(lambda o: st.fixed_dictionaries({o: BOUNDS})),
    st.sampled_from(["before", "after"]).flatmap(lambda o: st.fixed_dictionaries({o: TIMES})),
)
WITHIN = st.fixed_dictionaries({"within_days": SPANS})
SUBJECTS = st.sampled_from(["trait", "account_trait", "context"]).flatmap(lambda s: st.fixed_dictionaries({s: NAMES}))
EXPOSURES = st.fixed_dictionaries(
    {"exposure": st.sampled_from(["n1", "n2", "*", "tag:t", "tag:u"]), "did": st.sampled_from(DIDS)}
)
MILESTONES = st.sampled_from(["milestone", "account_milestone"]).flatmap(
    lambda s: st.fixed_dictionaries({s: st.sampled_from(["m", "n"])})
)
TIMED = st.one_of(
    st.builds(dict.__or__, SUBJECTS | MILESTONES | EXPOSURES, WITHIN), st.fixed_dictionaries({"hours": HOURS})
)
LEAVES = st.one_of(
    st.builds(dict.__or__, SUBJECTS, OPERATIONS),
    EXPOSURES,
    st.builds(dict.__or__, MILESTONES, st.just({}) | st.fixed_dictionaries({"is": st.booleans()})),
    st.just({"can_purchase": True}),
    TIMED,
)


def grouped(leaves: Any) -> Any:
    def group(inner: Any) -> Any:
        lists = st.lists(inner, max_size=7)
        return st.one_of(
            st.fixed_dictionaries({"all": lists}),
            st.fixed_dictionaries({"any": lists}),
            st.fixed_dictionaries({"not": inner}),
        )

    return st.recursive(leaves, group, max_leaves=8)


CONDITIONS = grouped(LEAVES)
INSTANTS = st.integers(to_micros("2026-02-20T00:00:00Z"), to_micros("2026-04-05T00:00:00Z"))
NEAR_CLOCK_CHANGES = st.builds(
    lambda day, offset: to_micros(day) + offset,
    st.sampled_from(
        [
            "2026-03-08T05:00:00Z",
            "2026-03-29T00:00:00Z",
            "2026-04-04T15:00:00Z",
            "2008-03-09T03:31:00Z",
            "2006-10-29T02:31:00Z",
        ]
    ),
    st.integers(-DAY, DAY) | st.integers(-24 * 60, 24 * 60).map(lambda minutes: minutes * MINUTE),
)


@st.composite
def facts_at(draw: Any) -> Facts:
    facts = Facts(draw(INSTANTS | NEAR_CLOCK_CHANGES))
    values = st.dictionaries(NAMES, VALUES | INSTANTS.map(to_iso), max_size=3)
    facts.traits = draw(values) | draw(st.just({}) | st.sampled_from(ZONES).map(lambda zone: {"timezone": zone}))
    facts.account_traits, facts.context = draw(values), draw(values)
    facts.reached = draw(st.dictionaries(st.sampled_from(["m", "n"]), INSTANTS))
    facts.account_reached = draw(st.dictionaries(st.sampled_from(["m", "n"]), INSTANTS))
    keys = st.tuples(st.sampled_from(["n1", "n2"]), st.sampled_from(DIDS[:5]))
    facts.exposures = draw(st.dictionaries(keys, INSTANTS, max_size=4))
    facts.tags = {"n1": ("t",), "n2": ("t", "u")}
    facts.can_purchase = draw(st.booleans())
    return facts


def naive(document: dict[str, Any], facts: Facts) -> Any:
    """The slow and plain reading of a condition: the oracle."""
    if "all" in document:
        return all(naive(member, facts) for member in document["all"])
    if "any" in document:
        return any(naive(member, facts) for member in document["any"])
    if "not" in document:
        return not naive(document["not"], facts)
    if "can_purchase" in document:
        return facts.can_purchase
    if "hours" in document:
        return naive_hours(document["hours"], facts)
    if "exposure" in document:
        return naive_exposure(document, facts)
    for name, reached in (("milestone", facts.reached), ("account_milestone", facts.account_reached)):
        if name in document:
            at = reached.get(document[name])
            if "within_days" in document:
                return at is not None and is_recent(at, facts, document["within_days"])
            return (at is not None) == document.get("is", True)
    for name, values in (("trait", facts.traits), ("account_trait", facts.account_traits), ("context", facts.context)):
        if name in document:
            return naive_value(document, naive_read(values, document[name]), facts)
    raise AssertionError(document)


def naive_read(values: dict[str, Any], key: str) -> Any:
    if values.get(key) is not None or "." not in key:
        return values.get(key)
    first, rest = key.split(".", 1)
    return naive_read(values[first], rest) if isinstance(values.get(first), dict) else None


def is_recent(at: int, facts: Facts, days: float) -> bool:
    return at <= facts.now < at + days * DAY


def kind_of(value: Any) -> str:
    if isinstance(value, bool):
        return "flag"
    return "number" if isinstance(value, (int, float)) else "text" if isinstance(value, str) else "other"


def is_same(one: Any, other: Any) -> bool:
    return kind_of(one) == kind_of(other) != "other" and one == other


def naive_instant(value: Any) -> int | None:
    try:
        at = datetime.fromisoformat(value if "T" in value else value + "T00:00:00Z")
    except (TypeError, ValueError):
        return None
    return (at - EPOCH) // timedelta(microseconds=1) if at.tzinfo else None


def naive_value(document: dict[str, Any], value: Any, facts: Facts) -> Any:
    [(operator, operand)] = [(name, said) for name, said in document.items() if name not in _SUBJECT_NAMES]
    if operator == "exists":
        return (value is not None) == operand
    if operator in ("equals", "in"):
        return any(is_same(value, one) for one in (operand if operator == "in" else [operand]))
    if operator in ("not_equals", "not_in"):
        several = operand if operator == "not_in" else [operand]
        return kind_of(value) != "other" and not any(is_same(value, one) for one in several)
    if operator == "contains" and isinstance(value, str):
        return isinstance(operand, str) and operand in value
    if operator == "contains":
        return isinstance(value, list) and any(is_same(one, operand) for one in value)
    if operator in ("greater", "at_least", "less", "at_most"):
        return (
            kind_of(value) == "number"
            and {
                "greater": value > operand,
                "at_least": value >= operand,
                "less": value < operand,
                "at_most": value <= operand,
            }[operator]
        )
    at = naive_instant(value)
    if operator == "within_days":
        return at is not None and is_recent(at, facts, operand)
    bound = naive_instant(operand)
    return at is not None and bound is not None and (at < bound if operator == "before" else at > bound)


_SUBJECT_NAMES = {"trait", "account_trait", "context", "property"}


def naive_exposure(document: dict[str, Any], facts: Facts) -> bool:
    key, did = document["exposure"], document["did"]
    found = [
        at
        for (nudge, what), at in facts.exposures.items()
        if what == ("seen" if did == "never" else did)
        and (key in ("*", nudge) or key in [f"tag:{tag}" for tag in facts.tags[nudge]])
        and ("within_days" not in document or is_recent(at, facts, document["within_days"]))
    ]
    return not found if did == "never" else bool(found)


def naive_hours(hours: dict[str, Any], facts: Facts) -> bool:
    zone = facts.traits.get("timezone", "UTC")
    local = (EPOCH + timedelta(microseconds=facts.now)).astimezone(ZoneInfo("UTC" if zone == "no" else zone))
    clock, start, end = f"{local:%H:%M}", hours["from"], hours["to"]
    if start <= end:
        begun = local if start <= clock < end else None
    else:
        begun = local if clock >= start else local - timedelta(days=1) if clock < end else None
    return begun is not None and begun.isoweekday() in (hours["weekdays"] or range(1, 8))


@settings(max_examples=300, deadline=None)
@given(CONDITIONS, facts_at())
def test_compiled_condition_agrees_with_the_plain_reading(document: dict[str, Any], facts: Facts) -> None:
    assert compile_condition(parse(document))(facts) is naive(document, facts)


@settings(max_examples=300, deadline=None)
@given(st.builds(dict.__or__, NAMES.map(lambda name: {"property": name}), OPERATIONS), st.dictionaries(NAMES, VALUES))
def test_where_agrees_with_the_plain_reading(document: dict[str, Any], properties: dict[str, Any]) -> None:
    value = naive_read(properties, document["property"])
    facts = Facts(0)
    facts.properties = properties
    assert compile_where(parse(document))(properties) is naive_value(document, value, facts)
    assert compile_condition(parse(document))(facts) is naive_value(document, value, facts)


@settings(deadline=None)
@given(st.lists(CONDITIONS, max_size=6), facts_at())
def test_groups_obey_the_laws_of_logic(documents: list[dict[str, Any]], facts: Facts) -> None:
    answers = [compile_condition(parse(document))(facts) for document in documents]
    laws: dict[str, dict[str, Any]] = {
        "all": {"all": documents},
        "any": {"any": documents},
        "nested": {"all": [{"all": documents[:3]}, {"all": documents[3:]}]},
        "de_morgan": {"not": {"any": [{"not": document} for document in documents]}},
        "twice": {"not": {"not": {"any": documents}}},
    }
    holds = {name: compile_condition(parse(law))(facts) for name, law in laws.items()}
    assert holds["all"] is holds["nested"] is holds["de_morgan"] is all(answers)
    assert holds["any"] is holds["twice"] is any(answers)


@settings(deadline=None)
@given(CONDITIONS, facts_at())
def test_not_turns_every_answer_round(document: dict[str, Any], facts: Facts) -> None:
    assert compile_condition(parse({"not": document}))(facts) is not compile_condition(parse(document))(facts)


@settings(max_examples=250, deadline=None)
@given(grouped(TIMED), facts_at(), st.lists(st.floats(0, 1), min_size=8, max_size=8))
def test_nothing_changes_before_the_next_change(document: dict[str, Any], facts: Facts, fractions: list[float]) -> None:
    condition = parse(document)
    holds, now = compile_condition(condition), facts.now
    present, change = holds(facts), compile_next_change(condition)(facts)
    assert change > now
    until = min(change, now + 60 * DAY) - 1
    for at in (until, now // MINUTE * MINUTE + MINUTE, *(now + int((until - now) * part) for part in fractions)):
        if at <= until:
            facts.now = at
            assert holds(facts) is present


@settings(max_examples=300, deadline=None)
@given(st.fixed_dictionaries({"hours": HOURS}), st.sampled_from(ZONES), NEAR_CLOCK_CHANGES)
def test_stepping_from_change_to_change_meets_every_edge_of_the_hours(
    document: dict[str, Any], zone: str, now: int
) -> None:
    condition = parse(document)
    holds, next_change = compile_condition(condition), compile_next_change(condition)
    facts = facts_of({"traits": {"timezone": zone}})
    facts.now, end = now, now + DAY
    stepped = []
    while facts.now < end:
        present, since = holds(facts), facts.now
        until = min(next_change(facts), end)
        stepped += [present] * len(range(-(-since // MINUTE), -(-until // MINUTE)))
        facts.now = until
    plain = []
    for minute in range(-(-now // MINUTE), -(-end // MINUTE)):
        facts.now = minute * MINUTE
        plain.append(naive_hours(document["hours"], facts))
    assert stepped == plain
