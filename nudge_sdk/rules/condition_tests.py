"""What an operator asks of one value, and where the value is read."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from nudge_sdk.rules.condition_terms import SOURCES, Condition, Facts, Scalar, operand_of
from nudge_sdk.rules.condition_times import instant_of, never

_Test = Callable[[object], bool]
_NUMBER = (int, float)
_SCALAR = (str, int, float)


def reader(kind: str, key: str) -> Callable[[Facts], object]:
    source = attrgetter(SOURCES[kind])
    if "." not in key:
        return lambda facts: source(facts).get(key)
    read = nested_reader(key)
    return lambda facts: read(source(facts))


def nested_reader(key: str) -> Callable[[dict[str, Any]], object]:
    path = key.split(".")

    def read(values: dict[str, Any]) -> object:
        plain = values.get(key)
        if plain is not None:
            return plain
        value: Any = values
        for name in path:
            if not isinstance(value, dict):
                return None
            value = value.get(name)
        return value

    return read


def compile_test(operator: str, operand: Any) -> _Test:
    factory = _TESTS.get(operator)
    return never if factory is None else factory(operand)


def _equals(expected: Scalar) -> _Test:
    if isinstance(expected, bool):
        return lambda value: value is expected
    if isinstance(expected, str):
        return lambda value: value == expected
    return lambda value: value == expected and value.__class__ is not bool


def _not_equals(expected: Scalar) -> _Test:
    same = _equals(expected)
    return lambda value: isinstance(value, _SCALAR) and not same(value)


def _one_of(expected: tuple[Scalar, ...]) -> _Test:
    flags = frozenset(member for member in expected if isinstance(member, bool))
    others = frozenset(member for member in expected if not isinstance(member, bool))
    if not flags and all(isinstance(member, str) for member in others):
        return lambda value: isinstance(value, str) and value in others
    return lambda value: value in flags if isinstance(value, bool) else isinstance(value, _SCALAR) and value in others


def _none_of(expected: tuple[Scalar, ...]) -> _Test:
    is_one = _one_of(expected)
    return lambda value: isinstance(value, _SCALAR) and not is_one(value)


def _contains(part: Scalar) -> _Test:
    same = _equals(part)

    def contains(value: object) -> bool:
        if isinstance(value, str):
            return isinstance(part, str) and part in value
        return isinstance(value, list | tuple) and any(map(same, value))

    return contains


def _exists(wanted: bool) -> _Test:
    return (lambda value: value is not None) if wanted else (lambda value: value is None)


def _greater(bound: float) -> _Test:
    return lambda value: isinstance(value, _NUMBER) and value.__class__ is not bool and value > bound


def _at_least(bound: float) -> _Test:
    return lambda value: isinstance(value, _NUMBER) and value.__class__ is not bool and value >= bound


def _less(bound: float) -> _Test:
    return lambda value: isinstance(value, _NUMBER) and value.__class__ is not bool and value < bound


def _at_most(bound: float) -> _Test:
    return lambda value: isinstance(value, _NUMBER) and value.__class__ is not bool and value <= bound


def _before(text: str) -> _Test:
    bound = instant_of(text)
    if bound is None:
        return never
    return lambda value: (at := instant_of(value)) is not None and at < bound


def _after(text: str) -> _Test:
    bound = instant_of(text)
    if bound is None:
        return never
    return lambda value: (at := instant_of(value)) is not None and at > bound


_TESTS: dict[str, Callable[[Any], _Test]] = {
    "equals": _equals,
    "not_equals": _not_equals,
    "in": _one_of,
    "not_in": _none_of,
    "contains": _contains,
    "exists": _exists,
    "greater": _greater,
    "at_least": _at_least,
    "less": _less,
    "at_most": _at_most,
    "before": _before,
    "after": _after,
}


def compile_moment(condition: Condition, kind: str) -> Callable[[Facts], int | None]:
    key = operand_of(condition, kind)
    if kind == "milestone":
        return lambda facts: facts.reached.get(key)
    if kind == "account_milestone":
        return lambda facts: facts.account_reached.get(key)
    read = reader(kind, key)
    return lambda facts: instant_of(read(facts))
