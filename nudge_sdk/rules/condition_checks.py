"""Everything that can be wrong in a condition, and what would be right."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from math import isfinite
from typing import Any

from nudge_sdk.errors import Problem
from nudge_sdk.rules.condition_terms import (
    CHOICE,
    GROUPS,
    MODIFIERS,
    NEEDS_NO_OPERATOR,
    NO_KEYS,
    OPERATORS,
    SOURCES,
    WHERE_SUBJECTS,
    Condition,
    Hours,
    Keys,
    kinds_of,
    members_of,
    operand_of,
    operators_of,
)
from nudge_sdk.rules.condition_times import instant_of, minutes_of

_NUMBER = (int, float)


def check_condition(
    condition: Condition | None, where: str, *, subjects: Collection[str], keys: Keys = NO_KEYS
) -> list[Problem]:
    """Find everything that is wrong in a condition.

    Args:
        condition: The condition; None is right.
        where: Its place, such as ``nudges[welcome].audience``.
        subjects: The subjects that may be used in this place, such as ``AUDIENCE_SUBJECTS``.
        keys: What it may refer to.

    Returns:
        The problems, each with its exact place and with what would be right.
    """
    if condition is None:
        return []
    kinds = kinds_of(condition)
    if len(kinds) != 1:
        return [_not_one_subject(kinds, where)]
    kind = kinds[0]
    stray = [
        Problem(f"{where}.{name}", f"{name} belongs to {owner}, not to {kind}", f"Remove {name}.")
        for name, owner in MODIFIERS.items()
        if getattr(condition, name) is not None and kind != owner
    ]
    if kind in GROUPS:
        return [*stray, *_check_group(condition, kind, where, subjects=subjects, keys=keys)]
    if kind not in subjects:
        fix = f"Use {_listed(name for name in OPERATORS if name in subjects)}."
        return [*stray, Problem(f"{where}.{kind}", f"{kind} cannot be used here", fix)]
    return [
        *stray,
        *_check_subject(condition, kind, where, keys),
        *_check_operator(condition, kind, where),
        *_check_references(condition, kind, where, keys),
    ]


def _not_one_subject(kinds: list[str], where: str) -> Problem:
    if kinds:
        return Problem(
            where, f"{_listed(kinds, 'and')} stand side by side", "Put each into its own item of all or any."
        )
    return Problem(where, "nothing is tested", f"Give {_listed((*GROUPS, *OPERATORS))}.")


def _check_group(
    condition: Condition, kind: str, where: str, *, subjects: Collection[str], keys: Keys
) -> list[Problem]:
    problems = [
        Problem(f"{where}.{name}", f"{name} stands beside the group {kind}", f"Move it into an item of {kind}.")
        for name in operators_of(condition)
    ]
    if not members_of(condition):
        problems.append(Problem(f"{where}.{kind}", "the group is empty", "Give at least one condition."))
    for number, member in enumerate(members_of(condition)):
        place = f"{where}.not" if kind == "not" else f"{where}.{kind}[{number}]"
        problems += check_condition(member, place, subjects=subjects, keys=keys)
    return problems


def _check_subject(condition: Condition, kind: str, where: str, keys: Keys) -> list[Problem]:
    if kind == "hours" and condition.hours is not None:
        return _check_hours(condition.hours, f"{where}.hours")
    if kind == "count" and condition.count is not None:
        return check_condition(condition.count.where, f"{where}.count.where", subjects=WHERE_SUBJECTS, keys=keys)
    if kind == "exposure" and condition.did is None:
        whats = "seen, clicked, dismissed, snoozed, completed or never"
        return [Problem(f"{where}.did", "it is not said what was done with the nudge", f"Give did: {whats}.")]
    if kind in SOURCES and not operand_of(condition, kind).strip():
        return [Problem(f"{where}.{kind}", "the name is empty", f"Name the {kind}, such as plan.")]
    return []


def _check_hours(hours: Hours, where: str) -> list[Problem]:
    problems = [
        Problem(f"{where}.{name}", f"{text!r} is not a time of day", 'Give hours and minutes, such as "09:00".')
        for name, text in (("from", hours.from_), ("to", hours.to))
        if minutes_of(text) is None or (name == "from" and text == "24:00")
    ]
    if not problems and hours.from_ == hours.to:
        problems.append(Problem(where, "from and to are the same", 'For the whole day give from "00:00" to "24:00".'))
    if not set(hours.weekdays) <= set(range(1, 8)):
        problems.append(Problem(f"{where}.weekdays", "not every number is a weekday", "Give 1 (Monday) to 7 (Sunday)."))
    return problems


def _check_operator(condition: Condition, kind: str, where: str) -> list[Problem]:
    fitting, given = OPERATORS[kind], operators_of(condition)
    fix = f"Use {_listed(fitting)}." if fitting else "Remove it; for the opposite put the condition into not."
    unfit = [Problem(f"{where}.{name}", f"{kind} does not take {name}", fix) for name in given if name not in fitting]
    if unfit:
        return unfit
    if len(given) > 1:
        return [Problem(where, f"{_listed(given, 'and')} stand side by side", "Put each into its own item of all.")]
    if not given and kind not in NEEDS_NO_OPERATOR:
        return [Problem(where, f"{kind} is named, but not what must hold of it", fix)]
    return [problem for name in given for problem in _check_operand(condition, kind, name, f"{where}.{name}")]


def _check_operand(condition: Condition, kind: str, operator: str, where: str) -> list[Problem]:
    operand = operand_of(condition, operator)
    values = operand if isinstance(operand, tuple) else (operand,)
    if not values:
        return [Problem(where, "the list is empty", "Give at least one value.")]
    if any(isinstance(value, float) and not isfinite(value) for value in values):
        return [Problem(where, "it is not a finite number", "Give an ordinary number.")]
    if operator in ("before", "after") and instant_of(operand) is None:
        fix = "Give ISO 8601 with an offset, such as 2026-03-01T09:30:00Z, or a date such as 2026-03-01."
        return [Problem(where, f"{operand!r} is not an instant", fix)]
    if operator == "within_days" and operand <= 0:
        return [Problem(where, "no time lies within that", "Give a number of days greater than 0.")]
    if operator == "contains" and operand == "":
        return [Problem(where, "every text contains the empty text", "Give a text; to ask for any value use exists.")]
    if kind == "count" and (isinstance(operand, bool) or not isinstance(operand, _NUMBER)):
        return [Problem(where, f"{operand!r} is not a number", "Give the number to compare the count with.")]
    if kind in ("locale", "segment", "tier") and not all(isinstance(value, str) and value for value in values):
        return [Problem(where, f"a {kind} is a text", f"Give the {kind} as a text.")]
    return []


def _check_references(condition: Condition, kind: str, where: str, keys: Keys) -> list[Problem]:
    if kind == "exposure" and condition.exposure not in (None, "*"):
        key = condition.exposure or ""
        if key.startswith("tag:"):
            return _unknown("tag", (key.removeprefix("tag:"),), keys.tags, f"{where}.exposure")
        return _unknown("nudge", (key,), keys.nudges, f"{where}.exposure")
    if kind == "milestone":
        return _unknown("milestone of members", (condition.milestone,), keys.milestones, f"{where}.milestone")
    if kind == "account_milestone":
        known = keys.account_milestones
        return _unknown(
            "milestone of accounts", _texts(condition.account_milestone), known, f"{where}.account_milestone"
        )
    if kind not in ("tier", "segment"):
        return []
    known = keys.segments if kind == "segment" else ("none", "warm", "hot")
    return [
        problem
        for operator in operators_of(condition)
        if operator in CHOICE
        for problem in _unknown(kind, _texts(operand_of(condition, operator)), known, f"{where}.{operator}")
    ]


def _texts(operand: Any) -> list[str]:
    values = operand if isinstance(operand, tuple) else (operand,)
    return [value for value in values if isinstance(value, str) and value]


def _unknown(what: str, given: Iterable[str | None], known: Collection[str], where: str) -> list[Problem]:
    fix = f"Use {_listed(sorted(known))}." if known else f"There is no {what} yet: add one, or remove this condition."
    return [Problem(where, f"there is no {what} {key!r}", fix) for key in given if key not in known]


def _listed(names: Iterable[str], word: str = "or") -> str:
    *most, last = names
    return f"{', '.join(most)} {word} {last}" if most else last
