from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict
from wtforms import Form

from nudge_sdk.admin.forms.condition_rows import SUBJECTS, Row, from_rows, same, to_rows
from nudge_sdk.admin.forms.conditions import MOST_ROWS, ConditionField, is_asked, known_names
from nudge_sdk.documents import read_definition
from nudge_sdk.errors import Problem
from nudge_sdk.playbooks import read_playbook
from nudge_sdk.rules.conditions import ACCOUNT_WHEN_SUBJECTS, AUDIENCE_SUBJECTS
from nudge_sdk.rules.definition import Definition

PLAN = {"account_trait": "plan", "equals": "free"}
SIZE = {"account_trait": "employees", "at_least": 100}
SIMPLE = [
    PLAN,
    {"all": [PLAN, SIZE]},
    {"any": [PLAN, SIZE]},
    {"all": [PLAN]},
    {"account_trait": "plan", "not_in": ["free", "a, b", "5", 5, 5.5, True, "true", "", ' "x" ', "a\nb"]},
    {"trait": "x", "equals": ""},
    {"trait": "x", "equals": True},
    {"trait": "x", "exists": False},
    {"trait": "at", "after": "2026-03-01"},
    {"trait": "at", "within_days": 2.5},
    {"milestone": "first_campaign"},
    {"milestone": "first_campaign", "is": True},
    {"milestone": "first_campaign", "is": False},
    {"account_milestone": "x", "within_days": 3},
    {"count": {"event": "campaign_sent"}, "at_least": 2},
    {"count": {"event": "campaign_sent", "measure": "count"}, "window": {"days": 3}, "less": 1},
    {"count": {"event": "campaign_sent"}, "window": {"ever": True}, "equals": 0},
    {"exposure": "*", "did": "seen", "within_days": 7},
    {"exposure": "tag:upgrade", "did": "never"},
    {"tier": "member", "equals": "hot"},
    {"tier": "account", "in": ["warm", "hot"]},
    {"segment": True, "equals": "smb"},
    {"locale": True, "in": ["de", "123"]},
    {"can_purchase": True},
    {"not": {"can_purchase": True}},
]
NOT_SIMPLE = [
    {"not": PLAN},
    {"any": [{"all": [PLAN, SIZE]}, PLAN]},
    {"hours": {"from": "09:00"}},
    {"count": {"event": "a", "where": {"property": "b", "equals": 1}}, "at_least": 1},
    {"count": {"event": ["a", "b"]}, "at_least": 1},
    {"count": {"event": "a"}, "window": {"since_signup_days": 3}, "at_least": 1},
    {"any": []},
    {"all": [PLAN], "any": [SIZE]},
    {"trait": "a", "equals": 1, "in": [2]},
    {"trait": "a", "equals": [1]},
    {"property": "a", "equals": 1},
    {"unknown": 1},
    "text",
    [PLAN],
]


class AudienceForm(Form):
    audience = ConditionField("Audience", subjects=AUDIENCE_SUBJECTS)


class AccountForm(Form):
    audience = ConditionField("Accounts", subjects=ACCOUNT_WHEN_SUBJECTS)


def field_of(plain: Any = None, sent: dict[str, str] | None = None, kind: type[Form] = AudienceForm) -> ConditionField:
    form = kind(MultiDict(sent) if sent is not None else None, data={"audience": plain})
    form.validate()
    found = form["audience"]
    assert isinstance(found, ConditionField)
    return found


def sent_by(field: ConditionField, **more: str) -> dict[str, str]:
    """What a browser sends of a field as it is shown."""
    sent = {"audience-mode": field.mode, "audience-match": field.match, **more}
    if field.mode == "yaml":
        return {**sent, "audience-yaml": field.text.replace("\n", "\r\n")}
    return {
        **sent,
        **{f"audience-{i}-{name}": row[j] for i, row in enumerate(field.rows) for j, name in enumerate(Row._fields)},
    }


@pytest.mark.parametrize("plain", SIMPLE, ids=str)
def test_a_simple_condition_is_shown_as_rows_and_comes_back_as_it_stood(plain: Any) -> None:
    shown = field_of(plain)
    assert shown.mode == "rows"
    back = field_of(plain, sent_by(shown))
    assert back.data == plain
    assert not back.errors
    anew = field_of(None, sent_by(shown))
    assert same(anew.data, plain)


@pytest.mark.parametrize("plain", NOT_SIMPLE, ids=str)
def test_what_rows_cannot_say_is_shown_as_a_document_and_comes_back_as_it_stood(plain: Any) -> None:
    shown = field_of(plain)
    assert shown.mode == "yaml"
    if isinstance(plain, dict):
        back = field_of(plain, sent_by(shown))
        assert back.data == plain
        assert not back.errors
        assert field_of(None, sent_by(shown)).data == plain


def test_nothing_is_no_condition() -> None:
    assert field_of(None, sent_by(field_of(None))).data is None
    empty = {"audience-mode": "rows", "audience-match": "all", "audience-0-subject": "", "audience-0-value": " "}
    assert field_of(PLAN, empty).data is None


def test_what_was_not_sent_stays_as_it_stood() -> None:
    assert field_of(PLAN, {"name": "x"}).data == PLAN


VALUES = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.integers(-(10**15), 10**15),
    st.booleans(),
    st.decimals(-1000, 1000, places=3).map(float).filter(lambda value: value != int(value)),
)


@given(st.lists(VALUES, min_size=1, max_size=4), st.sampled_from(["all", "any"]))
def test_any_value_survives_its_way_through_a_form(values: list[Any], match: str) -> None:
    plain = {match: [{"trait": "x", "in": values}, {"trait": "y", "equals": values[0]}]}
    shown = to_rows(plain, AUDIENCE_SUBJECTS)
    assert shown is not None
    # A text field of a browser takes out line ends and keeps all else.
    assert all("\n" not in row.value and "\r" not in row.value for row in shown[1])
    built, problems = from_rows(*shown)
    assert not problems
    assert same(built, plain)


@given(st.builds(Row, *[st.one_of(st.sampled_from([*SUBJECTS, "in", "equals", "days"]), st.text(max_size=9))] * 5))
def test_whatever_is_typed_is_read_or_answered_with_words(row: Row) -> None:
    built, problems = from_rows("all", [row])
    assert (built is None) == bool(problems or row.is_empty)
    assert all(problem.what.endswith(".") and problem.field in Row._fields for problem in problems)


@pytest.mark.parametrize(
    ("row", "field", "said"),
    [
        (Row("", "plan", "equals", "free"), "subject", "Choose what"),
        (Row("trait", "", "equals", "free"), "name", "Write its name"),
        (Row("trait", "a", "equals", ""), "value", "Write a value"),
        (Row("trait", "a", "at_least", "many"), "value", "Write a number"),
        (Row("trait", "a", "in", 'b, "c'), "value", "Close the quotes"),
        (Row("trait", "a", "in", '"b" c'), "value", "comma between"),
        (Row("trait", "a", "in", "b,,c"), "value", "between the commas"),
        (Row("tier", "", "at_least", "3"), "operator", "does not fit person’s tier"),
        (Row("count", "e", "at_least", "3", "x"), "days", "Write a number"),
        (Row("count", "e", "at_least", "3", "1.5"), "days", "whole number"),
    ],
)
def test_a_row_says_what_is_missing_at_its_own_field(row: Row, field: str, said: str) -> None:
    _, problems = from_rows("all", [Row(), row])
    assert [(each.row, each.field) for each in problems] == [(1, field)]
    assert said in problems[0].what


def test_a_row_can_be_added_and_taken_away_without_saving() -> None:
    sent = sent_by(field_of({"all": [PLAN, SIZE]}))
    added = field_of(None, {**sent, "do": "add:audience"})
    assert len(added.rows) == 3
    assert added.focus == 2
    removed = field_of(None, {**sent, "do": "remove:audience:0"})
    assert removed.data == SIZE
    other = field_of(None, {**sent, "do": "add:hide"})
    assert len(other.rows) == 2
    assert is_asked({**sent, "do": "look"})
    assert not is_asked(sent)


def test_rows_become_a_document_and_a_simple_document_rows() -> None:
    sent = sent_by(field_of({"any": [PLAN, SIZE]}))
    text = field_of(None, {**sent, "do": "yaml:audience"})
    assert (text.mode, text.data) == ("yaml", {"any": [PLAN, SIZE]})
    back = field_of(None, {**sent_by(text), "do": "rows:audience"})
    assert (back.mode, back.match, len(back.rows)) == ("rows", "any", 2)


def test_a_document_that_says_more_than_rows_stays_a_document() -> None:
    shown = field_of({"not": PLAN})
    form = AudienceForm(MultiDict({**sent_by(shown), "do": "rows:audience"}), data={"audience": None})
    assert form.audience.mode == "yaml"
    assert "more than rows can" in form.audience.process_errors[0]


@pytest.mark.parametrize("text", ["{a: b", "a: &x 1", "- a", "just text", "{trait: a, equals: 1} x", "a: 1\na: 2"])
def test_a_document_that_cannot_be_read_stays_in_the_form_with_words(text: str) -> None:
    found = field_of(PLAN, {"audience-mode": "yaml", "audience-yaml": text})
    assert found.errors
    assert found.text == text
    assert found.words(Definition()) == ""


def test_one_line_of_yaml_in_braces_is_read() -> None:
    found = field_of(None, {"audience-mode": "yaml", "audience-yaml": "{account_trait: plan, equals: free}"})
    assert found.data == PLAN


def test_a_document_is_never_the_path_of_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret.yaml"
    secret.write_text("{account_trait: plan, equals: free}\n")
    found = field_of(None, {"audience-mode": "yaml", "audience-yaml": str(secret)})
    assert found.data is None
    assert "secret" not in str(found.errors).replace(str(secret), "")


def test_problems_of_the_definition_stand_at_their_rows() -> None:
    plain = {"all": [PLAN, {"milestone": "gone"}]}
    found = field_of(None, sent_by(field_of(plain)))
    where = "nudges[x].audience.all[1].milestone"
    problem = Problem(where, "there is no milestone of members 'gone'", "Use first_campaign.")
    taken = found.show_problems({"audience.all[1].milestone": [problem], "title": [problem]}, "audience")
    assert taken == [problem]
    assert list(found.row_errors) == [1]
    assert found.row_errors[1]["name"].startswith("There is no milestone")


def test_problems_of_a_document_stand_above_it() -> None:
    found = field_of(None, sent_by(field_of({"not": PLAN})))
    found.show_problems({"audience.not": [Problem("x", "is odd", "Mend it.")]}, "audience")
    assert found.errors[-1] == "Is odd. Mend it."


def test_with_one_subject_only_there_is_nothing_to_choose() -> None:
    sent = {
        "audience-mode": "rows",
        "audience-0-subject": "account_trait",
        "audience-0-name": "",
        "audience-0-value": "",
    }
    assert field_of(None, sent, AccountForm).data is None
    assert not field_of(None, sent, AccountForm).errors


def test_a_form_takes_a_bounded_number_of_rows() -> None:
    sent = {"audience-mode": "rows", **{f"audience-{index}-name": "x" for index in range(500)}}
    assert len(field_of(None, sent).rows) == MOST_ROWS


def test_the_condition_stands_in_words() -> None:
    assert field_of(SIZE).words(Definition()) == "the account has at least 100 employees."
    assert field_of(None).words(Definition()) == "Everybody."


def test_names_that_stand_in_the_definition_are_offered() -> None:
    names = known_names(read_definition(read_playbook("email_tool")))
    assert {"employees", "plan", "role", "kind", "campaign_sent", "first_campaign"} <= set(names)
