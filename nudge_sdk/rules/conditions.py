"""Conditions, turned into functions that answer them; everything about conditions is imported from here."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import lru_cache
from typing import Any, TypeVar

from nudge_sdk.rules.condition_changes import compile_next_change
from nudge_sdk.rules.condition_checks import check_condition
from nudge_sdk.rules.condition_terms import (
    ACCOUNT_WHEN_SUBJECTS,
    AUDIENCE_SUBJECTS,
    GROUPS,
    SOURCES,
    WHEN_SUBJECTS,
    WHERE_SUBJECTS,
    Condition,
    Counting,
    Facts,
    Hours,
    Keys,
    Measure,
    NextChange,
    Predicate,
    Scalar,
    Signal,
    Window,
    members_of,
    operand_of,
    shape_of,
)
from nudge_sdk.rules.condition_tests import compile_moment, compile_test, nested_reader, reader
from nudge_sdk.rules.condition_times import compile_clock, compile_exposed, local_minute, never, span_of, zone_name
from nudge_sdk.rules.times import MINUTE

__all__ = [
    "ACCOUNT_WHEN_SUBJECTS",
    "AUDIENCE_SUBJECTS",
    "WHEN_SUBJECTS",
    "WHERE_SUBJECTS",
    "Condition",
    "Counting",
    "Facts",
    "Hours",
    "Keys",
    "Measure",
    "NextChange",
    "Predicate",
    "Scalar",
    "Signal",
    "Window",
    "check_condition",
    "compile_condition",
    "compile_next_change",
    "compile_where",
]

_T = TypeVar("_T")


def compile_condition(condition: Condition | None, count: Counting | None = None) -> Predicate:
    """Turn a condition into a function that answers it.

    A condition that is malformed (see :func:`check_condition`) answers False.

    Args:
        condition: The condition; None always holds.
        count: Compiles a signal and its window into a function that measures it; without one, counts answer False.

    Returns:
        A function from facts to the answer. It keeps no state and may be shared between threads.
    """
    if condition is None:
        return _always
    return _compile(condition, lambda leaf, kind, operator: _compile_leaf(leaf, kind, operator, count))


def compile_where(condition: Condition | None) -> Callable[[dict[str, Any]], bool]:
    """Turn the condition of a signal's ``where`` into a function of the event's properties.

    Args:
        condition: A condition over properties; None always holds.

    Returns:
        A function from properties to the answer; every other subject answers False.
    """
    if condition is None:
        return _always
    return _compile(condition, _compile_property)


def _compile(condition: Condition, leaf: Callable[[Condition, str, str], Callable[[_T], bool]]) -> Callable[[_T], bool]:
    kind, operator = shape_of(condition)
    if not kind:
        return never
    if kind not in GROUPS:
        return leaf(condition, kind, operator)
    parts = [_compile(member, leaf) for member in members_of(condition)]
    if kind == "not":
        part = parts[0]
        return lambda facts: not part(facts)
    return _every(parts) if kind == "all" else _some(parts)


def _every(parts: list[Callable[[_T], bool]]) -> Callable[[_T], bool]:
    match parts:
        case []:
            return _always
        case [only]:
            return only
        case [first, second]:
            return lambda facts: first(facts) and second(facts)
        case [first, second, third]:
            return lambda facts: first(facts) and second(facts) and third(facts)
    return _every([_every(parts[:3]), _every(parts[3:])])


def _some(parts: list[Callable[[_T], bool]]) -> Callable[[_T], bool]:
    match parts:
        case []:
            return never
        case [only]:
            return only
        case [first, second]:
            return lambda facts: first(facts) or second(facts)
        case [first, second, third]:
            return lambda facts: first(facts) or second(facts) or third(facts)
    return _some([_some(parts[:3]), _some(parts[3:])])


def _always(_: object) -> bool:
    return True


def _compile_leaf(condition: Condition, kind: str, operator: str, count: Counting | None) -> Predicate:
    if kind == "exposure":
        return _exposure(condition)
    if kind == "hours" and condition.hours is not None:
        return _hours(condition.hours)
    if kind == "can_purchase":
        return lambda facts: facts.can_purchase
    if kind == "count" and condition.count is not None:
        return _counted(condition, operator, count)
    if operator == "within_days" and condition.within_days is not None:
        return _within(compile_moment(condition, kind), span_of(condition.within_days))
    if kind in ("milestone", "account_milestone"):
        return _milestone(condition, kind)
    operand = operand_of(condition, operator) if operator else None
    if kind == "locale":
        return _locale(operator, operand)
    if kind in SOURCES:
        return _value(kind, operand_of(condition, kind), operator, operand)
    test = compile_test(operator, operand)
    if kind == "segment":
        return lambda facts: test(facts.segment or None)
    return (lambda facts: test(facts.tier)) if condition.tier == "member" else (lambda facts: test(facts.account_tier))


def _compile_property(condition: Condition, kind: str, operator: str) -> Callable[[dict[str, Any]], bool]:
    key = condition.property
    if kind != "property" or key is None or not operator:
        return never
    operand = operand_of(condition, operator)
    test = compile_test(operator, operand)
    if "." in key:
        read = nested_reader(key)
        return lambda properties: test(read(properties))
    if operator == "equals" and isinstance(operand, str):
        return lambda properties: bool(properties.get(key) == operand)
    return lambda properties: test(properties.get(key))


def _value(kind: str, key: str, operator: str, operand: Any) -> Predicate:
    test = compile_test(operator, operand)
    if "." in key or kind in ("property", "context"):
        read = reader(kind, key)
        return lambda facts: test(read(facts))
    fused = _fused(kind == "trait", key, operator, operand)
    if fused is not None:
        return fused
    if kind == "trait":
        return lambda facts: test(facts.traits.get(key))
    return lambda facts: test(facts.account_traits.get(key))


def _fused(is_member: bool, key: str, operator: str, operand: Any) -> Predicate | None:
    # The commonest tests, once more without their inner call: it is nearly half of what they cost.
    if operator == "equals" and isinstance(operand, bool):
        if is_member:
            return lambda facts: facts.traits.get(key) is operand
        return lambda facts: facts.account_traits.get(key) is operand
    if operator == "equals" and isinstance(operand, str):
        if is_member:
            return lambda facts: facts.traits.get(key) == operand
        return lambda facts: facts.account_traits.get(key) == operand
    if operator == "in" and all(isinstance(member, str) for member in operand):
        members = frozenset(operand)
        if is_member:
            return lambda facts: isinstance(value := facts.traits.get(key), str) and value in members
        return lambda facts: isinstance(value := facts.account_traits.get(key), str) and value in members
    return None


def _within(moment: Callable[[Facts], int | None], span: int) -> Predicate:
    def holds(facts: Facts) -> bool:
        at = moment(facts)
        return at is not None and 0 <= facts.now - at < span

    return holds


def _milestone(condition: Condition, kind: str) -> Predicate:
    key, wanted = operand_of(condition, kind), condition.is_ is not False
    if kind == "milestone":
        return (lambda facts: key in facts.reached) if wanted else (lambda facts: key not in facts.reached)
    return (lambda facts: key in facts.account_reached) if wanted else (lambda facts: key not in facts.account_reached)


def _counted(condition: Condition, operator: str, count: Counting | None) -> Predicate:
    if condition.count is None or count is None or not operator:
        return never
    test, measure = compile_test(operator, operand_of(condition, operator)), count(condition.count, condition.window)
    return lambda facts: test(measure(facts))


def _exposure(condition: Condition) -> Predicate:
    key, did = condition.exposure, condition.did
    if key is None or did is None:
        return never
    if condition.within_days is None and key != "*" and not key.startswith("tag:"):
        exactly = (key, "seen" if did == "never" else did)
        if did == "never":
            return lambda facts: exactly not in facts.exposures
        return lambda facts: exactly in facts.exposures
    happened = _happened(compile_exposed(key, did), condition.within_days)
    return (lambda facts: not happened(facts)) if did == "never" else happened


def _happened(moments: Callable[[Facts], Collection[int]], days: float | None) -> Predicate:
    if days is None:
        return lambda facts: bool(moments(facts))
    span = span_of(days)
    return lambda facts: any(0 <= facts.now - at < span for at in moments(facts))


def _locale(operator: str, operand: Any) -> Predicate:
    ranges = operand if isinstance(operand, tuple) else (operand,)
    starts = tuple("" if text == "*" else _subtags(text) for text in ranges if isinstance(text, str))
    if operator in ("equals", "in"):
        return lambda facts: bool(facts.locale) and _subtags(facts.locale).startswith(starts)
    if operator in ("not_equals", "not_in"):
        return lambda facts: bool(facts.locale) and not _subtags(facts.locale).startswith(starts)
    return never


@lru_cache(maxsize=1024)
def _subtags(tag: str) -> str:
    return tag.replace("_", "-").lower() + "-"


def _hours(hours: Hours) -> Predicate:
    holds = compile_clock(hours)
    return lambda facts: holds(local_minute(zone_name(facts), facts.now // MINUTE))
