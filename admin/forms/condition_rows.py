"""Condition rows: conditions of a simple shape as rows of a form, and back.

Simple is one test, or all or any of several. Everything else is edited as a document; nothing is flattened.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from nudge_sdk.rules.condition_terms import OPERATORS as OPERATORS_OF
from nudge_sdk.rules.signals import DEFAULT_WINDOW

OPERATORS = {
    "equals": "is",
    "not_equals": "is not",
    "in": "is one of",
    "not_in": "is none of",
    "contains": "contains",
    "exists": "is known",
    "missing": "is not known",
    "greater": "is more than",
    "at_least": "is at least",
    "less": "is less than",
    "at_most": "is at most",
    "before": "is before",
    "after": "is after",
    "reached": "is reached",
    "not_reached": "is not reached",
    "within_days": "within the last … days",
    "seen": "was seen",
    "clicked": "was clicked",
    "dismissed": "was dismissed",
    "snoozed": "was snoozed",
    "completed": "was completed",
    "never": "was not seen",
    "yes": "yes",
    "no": "no",
}
"""What must hold, by the name it has in a form."""

NEED_NO_VALUE = frozenset({"exists", "missing", "reached", "not_reached", "yes", "no"})
DEEDS = ("seen", "clicked", "dismissed", "snoozed", "completed", "never")
_NUMBERS = frozenset({"greater", "at_least", "less", "at_most", "within_days"})
_LISTS = frozenset({"in", "not_in"})
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_CONSTANTS = {"true": True, "false": False}
_MOST_DIGITS = 30


class Subject(NamedTuple):
    """What a row can look at.

    Attributes:
        label: As people choose it.
        field: Its field in a condition.
        fixed: What stands in that field; None where a name is written.
        operators: What may hold of it.
    """

    label: str
    field: str
    fixed: Any
    operators: tuple[str, ...]


def _value_operators(field: str) -> tuple[str, ...]:
    return tuple(
        name for each in OPERATORS_OF[field] for name in (("exists", "missing") if each == "exists" else (each,))
    )


_MILESTONE = ("reached", "not_reached", "within_days")
SUBJECTS = {
    "account_trait": Subject("Account’s trait", "account_trait", None, _value_operators("account_trait")),
    "trait": Subject("Person’s trait", "trait", None, _value_operators("trait")),
    "property": Subject("Event’s property", "property", None, _value_operators("property")),
    "milestone": Subject("Person’s milestone", "milestone", None, _MILESTONE),
    "account_milestone": Subject("Account’s milestone", "account_milestone", None, _MILESTONE),
    "count": Subject("Person’s events", "count", None, OPERATORS_OF["count"]),
    "tier": Subject("Person’s tier", "tier", "member", OPERATORS_OF["tier"]),
    "account_tier": Subject("Account’s tier", "tier", "account", OPERATORS_OF["tier"]),
    "segment": Subject("Segment", "segment", True, OPERATORS_OF["segment"]),
    "locale": Subject("Language", "locale", True, OPERATORS_OF["locale"]),
    "exposure": Subject("Nudge", "exposure", None, DEEDS),
    "context": Subject("Value from the page", "context", None, _value_operators("context")),
    "can_purchase": Subject("May buy", "can_purchase", True, ("yes", "no")),
}
"""All of them, by the name they have in a form."""


class Row(NamedTuple):
    """One row as it stands in a form; ``days`` is the window of counted events, empty for any time."""

    subject: str = ""
    name: str = ""
    operator: str = "equals"
    value: str = ""
    days: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing was chosen or typed."""
        return not (self.subject or self.name.strip() or self.value.strip())


class RowProblem(NamedTuple):
    """What is wrong in a row: its place, the field, and what to do."""

    row: int
    field: str
    what: str


class _Wrong(ValueError):
    def __init__(self, field: str, what: str) -> None:
        super().__init__(what)
        self.field = field


def to_rows(plain: Any, subjects: frozenset[str]) -> tuple[str, list[Row]] | None:
    """Return a condition as ``all`` or ``any`` and its rows; None where that could not say all of it.

    Args:
        plain: The condition as plain data.
        subjects: Fields of a condition that may be used, such as ``AUDIENCE_SUBJECTS``.
    """
    if plain is None:
        return "all", []
    match, members = _members(plain)
    rows = [_row(each) for each in members]
    known = [row for row in rows if row is not None and SUBJECTS[row.subject].field in subjects]
    if len(known) != len(members) or not members:
        return None
    built, problems = from_rows(match, known)
    return (match, known) if not problems and same(built, plain) else None


def from_rows(match: str, rows: list[Row]) -> tuple[Any, list[RowProblem]]:
    """Return the condition that rows say, as plain data, and what is wrong; rows that are empty say nothing."""
    members, problems = [], []
    for index, row in enumerate(rows):
        if row.is_empty:
            continue
        try:
            members.append(_member(row))
        except _Wrong as wrong:
            problems.append(RowProblem(index, wrong.field, str(wrong)))
    if len(members) < 2:
        return (members[0] if members else None), problems
    return {match: members}, problems


def same(one: Any, other: Any) -> bool:
    """Whether two conditions, as plain data, say the same, though one leaves out what goes without saying."""
    return _typed(_normal(one)) == _typed(_normal(other))


def _typed(plain: Any) -> str:
    # As text, since Python takes 1, 1.0 and True for the same.
    return json.dumps(plain, sort_keys=True, default=str)


def _normal(plain: Any) -> Any:
    if not isinstance(plain, dict):
        return plain
    match, members = _members(plain)
    if len(members) == 1:
        return _normal_leaf(members[0])
    return {match: [_normal_leaf(each) for each in members]}


def _normal_leaf(plain: Any) -> Any:
    if not isinstance(plain, dict):
        return plain
    leaf = {name: value for name, value in plain.items() if (name, value) != ("is", True)}
    if "count" in leaf:
        leaf.setdefault("window", {"days": DEFAULT_WINDOW.days})
        if isinstance(leaf["count"], dict):
            leaf["count"] = {
                name: value for name, value in leaf["count"].items() if (name, value) != ("measure", "count")
            }
    return leaf


def _members(plain: Any) -> tuple[str, list[Any]]:
    for match in ("all", "any"):
        if isinstance(plain, dict) and set(plain) == {match} and isinstance(plain[match], list):
            return match, plain[match]
    return "all", [plain]


def _row(plain: Any) -> Row | None:
    if plain == {"not": {"can_purchase": True}}:
        return Row("can_purchase", operator="no")
    if not isinstance(plain, dict):
        return None
    for code, subject in SUBJECTS.items():
        if subject.field in plain and subject.fixed in (None, plain[subject.field]):
            rest = {name: value for name, value in plain.items() if name != subject.field}
            return _row_of(code, plain[subject.field], rest)
    return None


def _row_of(code: str, said: Any, rest: dict[str, Any]) -> Row | None:
    if code == "can_purchase":
        return Row(code, operator="yes")
    if code == "exposure":
        return Row(code, str(said), str(rest.get("did")), _written(rest.get("within_days")))
    if code in ("milestone", "account_milestone") and "within_days" not in rest:
        return Row(code, str(said), "not_reached" if rest.get("is") is False else "reached")
    if code == "count":
        return _counting_row(said, rest)
    operator = next(iter(rest), "")
    name = str(said) if SUBJECTS[code].fixed is None else ""
    if operator == "exists":
        return Row(code, name, "exists" if rest[operator] else "missing")
    return Row(code, name, operator, _written_all(rest.get(operator), is_text=SUBJECTS[code].fixed is not None))


def _counting_row(said: Any, rest: dict[str, Any]) -> Row | None:
    event = said.get("event") if isinstance(said, dict) else None
    window = rest.get("window", {"days": DEFAULT_WINDOW.days})
    operator = next((name for name in rest if name != "window"), "")
    days = _written(window.get("days")) if isinstance(window, dict) else ""
    return Row("count", event, operator, _written(rest.get(operator)), days) if isinstance(event, str) else None


def _member(row: Row) -> dict[str, Any]:
    subject = SUBJECTS.get(row.subject)
    if subject is None:
        raise _Wrong("subject", "Choose what is looked at.")
    if row.operator not in subject.operators:
        fitting = ", ".join(OPERATORS[name] for name in subject.operators)
        raise _Wrong("operator", f"This does not fit {subject.label.lower()}. Use: {fitting}.")
    name = row.name.strip()
    if subject.fixed is None and not name:
        raise _Wrong("name", "Write its name.")
    if row.subject == "can_purchase":
        return {"can_purchase": True} if row.operator == "yes" else {"not": {"can_purchase": True}}
    if row.subject == "exposure":
        return {"exposure": name, "did": row.operator, **_within(row)}
    if row.subject == "count":
        return {"count": {"event": name}, "window": _window(row), **_operand(row, is_text=False)}
    return {subject.field: name if subject.fixed is None else subject.fixed, **_operand(row, subject.fixed is not None)}


def _operand(row: Row, is_text: bool) -> dict[str, Any]:
    match row.operator:
        case "exists" | "missing":
            return {"exists": row.operator == "exists"}
        case "reached" | "not_reached":
            return {} if row.operator == "reached" else {"is": False}
    if not row.value.strip():
        raise _Wrong("value", "Write a value.")
    if row.operator in _LISTS:
        return {row.operator: _read_all(row.value, is_text=is_text)}
    if row.operator in _NUMBERS or row.subject == "count":
        return {row.operator: _read_number(row.value)}
    if row.operator in ("before", "after"):
        return {row.operator: row.value.strip()}
    return {row.operator: _read(row.value, is_text=is_text)}


def _within(row: Row) -> dict[str, Any]:
    return {"within_days": _read_number(row.value)} if row.value.strip() else {}


def _window(row: Row) -> dict[str, Any]:
    if not row.days.strip():
        return {"ever": True}
    days = _read_number(row.days, "days")
    if not isinstance(days, int):
        raise _Wrong("days", "Write a whole number of days, or nothing for any time.")
    return {"days": days}


def _read_number(text: str, field: str = "value") -> int | float:
    found = _as_number(text.strip())
    if found is None:
        raise _Wrong(field, "Write a number, such as 3.")
    return found


def _as_number(text: str) -> int | float | None:
    if not _NUMBER.fullmatch(text) or len(text) > _MOST_DIGITS:
        return None
    return float(text) if "." in text else int(text)


def _read(text: str, *, is_text: bool = False) -> Any:
    value, rest = _first_value(text.strip(), is_text=is_text, ends="")
    if rest:
        raise _Wrong("value", "Nothing may follow the text in quotes.")
    return value


def _read_all(text: str, *, is_text: bool = False) -> list[Any]:
    values, rest = [], text.strip()
    while rest:
        value, rest = _first_value(rest, is_text=is_text, ends=",")
        if rest and not rest.startswith(","):
            raise _Wrong("value", "Write a comma between values.")
        values.append(value)
        rest = rest[1:].strip()
    return values


def read_texts(text: str) -> list[str]:
    """Return the texts that stand with commas between them; one in quotes may hold commas itself.

    Raises:
        ValueError: It cannot be read; the message says why.
    """
    return [str(value) for value in _read_all(text, is_text=True)]


def write_texts(texts: Iterable[str]) -> str:
    """Write texts with commas between them."""
    return ", ".join(_written(text, is_text=True, apart=",") for text in texts if text)


def _first_value(text: str, *, is_text: bool, ends: str) -> tuple[Any, str]:
    """Return the first value of a text and what follows it; a text in quotes may hold anything."""
    if text.startswith('"'):
        try:
            value, length = json.JSONDecoder().raw_decode(text)
        except ValueError:
            raise _Wrong("value", 'Close the quotes: "…".') from None
        return value, text[length:].strip()
    bare, _, _ = text.partition(ends) if ends else (text, "", "")
    if not bare.strip():
        raise _Wrong("value", "Write a value between the commas.")
    return _typed_value(bare.strip(), is_text=is_text), text[len(bare) :]


def _typed_value(text: str, *, is_text: bool) -> Any:
    if is_text:
        return text
    number = _as_number(text)
    return number if number is not None else _CONSTANTS.get(text, text)


def _written_all(value: Any, *, is_text: bool = False) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_written(each, is_text=is_text, apart=",") for each in value)
    return _written(value, is_text=is_text)


def _written(value: Any, *, is_text: bool = False, apart: str = "") -> str:
    if isinstance(value, str):
        is_plain = bool(value) and value == value.strip() and value.isprintable() and not value.startswith('"')
        is_plain = is_plain and (not apart or apart not in value) and _typed_value(value, is_text=is_text) == value
        return value if is_plain else json.dumps(value, ensure_ascii=True)
    return "" if value is None else json.dumps(value)
