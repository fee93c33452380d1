"""Conditions that nobody can fulfil.

A condition is written out as alternatives of single tests. In each alternative, the tests of one thing (a trait, the
tier, a count …) are tried on values that between them stand for all values it can have; where none passes them all,
the alternative is empty. What cannot be tried so (dates within days, texts that contain something) counts as possible.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import pairwise, product
from math import ceil, floor
from typing import Any, NamedTuple

import msgspec

from nudge_sdk.errors import RecordError
from nudge_sdk.rules.conditions import Condition, Facts, Signal, Window, compile_condition
from nudge_sdk.rules.times import DAY, to_iso, to_micros

MOST_ALTERNATIVES = 256
"""A condition with more alternatives counts as possible."""

_NOW = 20_000 * DAY
_COUNTED = "counted"
_OTHER = "\0something else"
_A_DATE = len("2026-03-01")

Test = tuple[Condition, bool]
"""A condition, and whether it has to hold or not to hold."""


class Domains(NamedTuple):
    """What there is to be: segments (an empty text for none), tiers of members and tiers of accounts."""

    segments: tuple[str, ...] = ()
    member_tiers: tuple[str, ...] = ("none", "warm", "hot")
    account_tiers: tuple[str, ...] = ("none", "warm", "hot")


ALL = Domains()
ALWAYS = Condition(all=())
"""A condition that holds for everybody."""


def is_impossible(tests: Iterable[Test], domains: Domains = ALL) -> bool:
    """Return whether nobody can ever fulfil all of some tests; False where that is not certain."""
    alternatives: list[tuple[Test, ...]] = [()]
    for condition, wanted in tests:
        alternatives = _joined([alternatives, _alternatives(condition, wanted)])
        if len(alternatives) > MOST_ALTERNATIVES:
            return False
    return all(_is_empty(each, domains) for each in alternatives)


def _alternatives(condition: Condition, wanted: bool) -> list[tuple[Test, ...]]:
    if condition.not_ is not None:
        return _alternatives(condition.not_, not wanted)
    group = condition.all if condition.all is not None else condition.any
    if group is None:
        return [((condition, wanted),)]
    parts = [_alternatives(each, wanted) for each in group]
    is_all = (condition.all is not None) == wanted
    return _joined(parts) if is_all else [each for part in parts for each in part]


def _joined(parts: Sequence[list[tuple[Test, ...]]]) -> list[tuple[Test, ...]]:
    joined: list[tuple[Test, ...]] = [()]
    for part in parts:
        joined = [(*one, *other) for one, other in product(joined, part)]
        if len(joined) > MOST_ALTERNATIVES:
            break
    return joined


def _is_empty(tests: tuple[Test, ...], domains: Domains) -> bool:
    by_thing: dict[Hashable, list[Test]] = {}
    for condition, wanted in map(_plainly, tests):
        by_thing.setdefault(_thing(condition), []).append((condition, wanted))
    return any(_contradict(thing, each, domains) for thing, each in by_thing.items())


def _plainly(test: Test) -> Test:
    condition, wanted = test
    if condition.did == "never":
        return msgspec.structs.replace(condition, did="seen"), not wanted
    return test


def _thing(condition: Condition) -> Hashable:
    """Return what a single test is about; tests about the same thing are tried together."""
    for kind in ("trait", "account_trait", "context", "tier", "milestone", "account_milestone"):
        if getattr(condition, kind) is not None:
            return kind, getattr(condition, kind)
    if condition.count is not None:
        return "count", condition.count, condition.window
    if condition.segment or condition.locale:
        return "segment" if condition.segment else "locale"
    return condition


def _contradict(thing: Hashable, tests: list[Test], domains: Domains) -> bool:
    if any((condition, not wanted) in tests for condition, wanted in tests):
        return True
    candidates = _candidates(thing, [condition for condition, _ in tests], domains)
    if candidates is None:
        return False
    holds = [(compile_condition(condition, _count), wanted) for condition, wanted in tests]
    return not any(all(test(facts) is wanted for test, wanted in holds) for facts in candidates)


def _count(signal: Signal, window: Window | None) -> Callable[[Facts], float]:
    return lambda facts: facts.context[_COUNTED]


def _candidates(thing: Hashable, conditions: list[Condition], domains: Domains) -> list[Facts] | None:
    """Return facts that stand for all there can be of one thing, or None where that is not known."""
    match thing:
        case ("tier", "member"):
            return [_facts(tier=tier) for tier in domains.member_tiers]
        case ("tier", "account"):
            return [_facts(account_tier=tier) for tier in domains.account_tiers]
        case "segment":
            return [_facts(segment=segment) for segment in domains.segments]
        case "locale":
            tags = [str(operand) for operand in _operands(conditions)]
            return [_facts(locale=tag) for tag in (*tags, "zz", "")]
        case ("milestone" | "account_milestone" as kind, key):
            name = "reached" if kind == "milestone" else "account_reached"
            days = [day for each in conditions if (day := each.within_days) is not None]
            ages = [0, *(round(day * DAY) + shift for day in days for shift in (-1, 0))]
            return [_facts(**{name: {}}), *(_facts(**{name: {key: _NOW - age}}) for age in ages)]
        case ("trait" | "account_trait" | "context" as kind, key):
            name = {"trait": "traits", "account_trait": "account_traits"}.get(kind, kind)
            values = _values(conditions)
            return None if values is None else [_facts(**{name: {key: value}}) for value in values]
        case ("count", Signal() as signal, _):
            numbers = _numbers(_operands(conditions))
            if signal.measure != "sum":
                numbers = [whole for number in numbers for whole in (floor(number), ceil(number)) if whole >= 0]
            return [_facts(context={_COUNTED: number}) for number in (0, *numbers)]
    return None


def _facts(**values: Any) -> Facts:
    facts = Facts(_NOW)
    for name, value in values.items():
        setattr(facts, name, value)
    return facts


def _operands(conditions: Iterable[Condition]) -> list[Any]:
    found: list[Any] = []
    for each in conditions:
        single = (each.equals, each.not_equals, each.greater, each.at_least, each.less, each.at_most)
        found += [operand for operand in single if operand is not None]
        found += [*(each.in_ or ()), *(each.not_in or ())]
    return found


def _values(conditions: list[Condition]) -> list[Any] | None:
    if any(each.contains is not None or each.within_days is not None for each in conditions):
        return None
    operands = _operands(conditions)
    try:
        instants = _instants(conditions)
    except (RecordError, ValueError, OverflowError):
        return None
    return [None, True, False, 0, _OTHER, *operands, *_numbers(operands), *instants]


def _numbers(operands: Iterable[object]) -> list[float]:
    """Return the numbers among the operands, one between each two of them, and one on either side."""
    numbers = sorted({float(each) for each in operands if isinstance(each, int | float)})
    if not numbers:
        return []
    between = [(low + high) / 2 for low, high in pairwise(numbers)]
    return [numbers[0] - 1, *numbers, *between, numbers[-1] + 1]


def _instants(conditions: list[Condition]) -> list[str]:
    bounds = [bound for each in conditions for bound in (each.before, each.after) if bound]
    at = [to_micros(f"{bound}T00:00:00Z" if len(bound) == _A_DATE else bound) for bound in bounds]
    return [to_iso(instant + shift) for instant in at for shift in (-1, 0, 1)]
