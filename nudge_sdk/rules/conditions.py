"""Conditions: who, when, where, as data.

A condition is either a group (``all``, ``any``, ``not``) or one subject with one operator. The subject says where the
value comes from, the operator what must hold. A missing value, or one of a type the operator cannot use, answers
False (``exists: false`` answers True for a missing one); a ``not`` around it turns that round.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from math import isfinite
from operator import attrgetter
from typing import Any, Literal, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from nudge_sdk.errors import Problem, RecordError
from nudge_sdk.rules.times import DAY, FOREVER, MINUTE, to_micros

Scalar = str | int | float | bool


class Window(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """When an event must have happened to count; exactly one field is set.

    Attributes:
        days: The trailing window of that many UTC days, today included.
        since_signup_days: Less than that many days after sign-up, to the microsecond.
        since_signup_hours: The same in hours.
        ever: At any time.
    """

    days: int | None = None
    since_signup_days: float | None = None
    since_signup_hours: float | None = None
    ever: bool = False


class Signal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is counted.

    Attributes:
        event: Name of the event, or several names counted together.
        where: Condition on the event's properties.
        measure: ``count`` of events, distinct ``days``, longest ``streak`` of consecutive days in the window, distinct
            ``values`` of a property, ``sum`` of a property.
        property: The property of ``values`` and ``sum``; ``$user`` counts distinct members.
    """

    event: str | tuple[str, ...]
    where: Condition | None = None
    measure: Literal["count", "days", "streak", "values", "sum"] = "count"
    property: str = ""


class Hours(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename={"from_": "from"}):
    """A time of day in the member's own time zone (trait ``timezone``, else UTC).

    Attributes:
        from_: First minute, such as "09:00".
        to: Minute after the last, such as "17:30"; earlier than ``from`` means over midnight.
        weekdays: Days of the week, 1 = Monday to 7 = Sunday; all if empty.
    """

    from_: str = "00:00"
    to: str = "24:00"
    weekdays: tuple[int, ...] = ()


class Condition(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename={"not_": "not", "in_": "in", "is_": "is"}
):
    """A group of conditions, or one subject with one operator.

    Groups: ``all``, ``any``, ``not``.

    Subjects (exactly one):
        trait: A trait of the member, such as ``role``.
        account_trait: A trait of the account, such as ``plan``.
        property: A property of the event (only in a signal's ``where``).
        context: A value the host gave to ``decide``.
        tier: The tier of the ``member`` or the ``account``.
        segment: True writes: the key of the account's segment.
        locale: True writes: the locale the host gave; ``in``/``equals`` match ``de`` for ``de-AT``.
        milestone: Whether that milestone is reached; operator ``is`` (True if not said), or ``within_days`` since it
            was reached.
        account_milestone: The same for a milestone of the account.
        count: A signal of the member, measured in ``window``; operators ``at_least`` and the like.
        exposure: What the member did with the nudge of that key, or with any (``*``), or with those of a tag
            (``tag:<tag>``): ``did`` says what, ``within_days`` when.
        hours: A time of day.
        can_purchase: True writes: whether the person may buy.

    Operators (exactly one, where the subject takes any):
        equals, not_equals, in, not_in, contains, exists, is,
        greater, at_least, less, at_most (numbers, or ISO 8601 instants as text with ``before`` and ``after``),
        before, after (ISO 8601 instants), within_days (the last so many days, to the microsecond).
    """

    all: tuple[Condition, ...] | None = None
    any: tuple[Condition, ...] | None = None
    not_: Condition | None = None

    trait: str | None = None
    account_trait: str | None = None
    property: str | None = None
    context: str | None = None
    tier: Literal["member", "account"] | None = None
    segment: bool = False
    locale: bool = False
    milestone: str | None = None
    account_milestone: str | None = None
    count: Signal | None = None
    window: Window | None = None
    exposure: str | None = None
    did: Literal["seen", "clicked", "dismissed", "snoozed", "completed", "never"] | None = None
    hours: Hours | None = None
    can_purchase: bool = False

    equals: Scalar | None = None
    not_equals: Scalar | None = None
    in_: tuple[Scalar, ...] | None = None
    not_in: tuple[Scalar, ...] | None = None
    contains: Scalar | None = None
    exists: bool | None = None
    is_: bool | None = None
    greater: float | None = None
    at_least: float | None = None
    less: float | None = None
    at_most: float | None = None
    before: str | None = None
    after: str | None = None
    within_days: float | None = None


class Facts:
    """All that a condition may look at, gathered once a decision.

    Attributes:
        now: The instant, in microseconds.
        traits: Traits of the member, name to value.
        account_traits: Traits of the account.
        properties: Properties of the event, inside a signal's ``where``.
        context: What the host gave to ``decide``.
        locale: BCP 47 tag the host gave, or an empty text.
        tier: Tier of the member.
        account_tier: Tier of the account.
        segment: Key of the account's segment.
        reached: Milestones of the member that are reached, key to the instant they were.
        account_reached: Milestones of the account that are reached.
        exposures: What the member did with nudges: ``(nudge key, "seen" | "clicked" | …)`` to the last instant.
        tags: Nudge key to its tags.
        can_purchase: Whether the person may buy.
        state: The member's state, for counts (opaque here).
        signup_at: When the member signed up, or None.
    """

    __slots__ = (
        "account_reached", "account_tier", "account_traits", "can_purchase", "context", "exposures", "locale", "now",
        "properties", "reached", "segment", "signup_at", "state", "tags", "tier", "traits",
    )  # fmt: skip

    def __init__(self, now: int) -> None:
        self.now = now
        self.traits: dict[str, Any] = {}
        self.account_traits: dict[str, Any] = {}
        self.properties: dict[str, Any] = {}
        self.context: dict[str, Any] = {}
        self.locale = ""
        self.tier = "none"
        self.account_tier = "none"
        self.segment = ""
        self.reached: dict[str, int] = {}
        self.account_reached: dict[str, int] = {}
        self.exposures: dict[tuple[str, str], int] = {}
        self.tags: dict[str, tuple[str, ...]] = {}
        self.can_purchase = True
        self.state: Any = None
        self.signup_at: int | None = None


Predicate = Callable[[Facts], bool]
NextChange = Callable[[Facts], int]
Measure = Callable[[Facts], float]
Counting = Callable[[Signal, Window | None], Measure]


class Keys(NamedTuple):
    """What a condition may refer to, as plain collections of keys.

    Attributes:
        milestones: Milestones of members.
        account_milestones: Milestones of accounts.
        segments: Segments.
        nudges: Nudges.
        tags: Tags of nudges.
    """

    milestones: Collection[str] = ()
    account_milestones: Collection[str] = ()
    segments: Collection[str] = ()
    nudges: Collection[str] = ()
    tags: Collection[str] = ()


_NO_KEYS = Keys()
_ORDER = ("greater", "at_least", "less", "at_most")
_CHOICE = ("equals", "not_equals", "in", "not_in")
_PLAIN = (*_CHOICE, "contains", "exists", *_ORDER, "before", "after")
_GROUPS = ("all", "any", "not")
_OPERATORS: dict[str, tuple[str, ...]] = {
    "trait": (*_PLAIN, "within_days"),
    "account_trait": (*_PLAIN, "within_days"),
    "property": _PLAIN,
    "context": (*_PLAIN, "within_days"),
    "tier": ("equals", "not_equals", "in"),
    "segment": _CHOICE,
    "locale": _CHOICE,
    "milestone": ("is", "within_days"),
    "account_milestone": ("is", "within_days"),
    "count": ("equals", *_ORDER),
    "exposure": ("within_days",),
    "hours": (),
    "can_purchase": (),
}
_NEEDS_NO_OPERATOR = frozenset({"milestone", "account_milestone", "exposure", "hours", "can_purchase"})
_ALL_OPERATORS = (*_PLAIN, "is", "within_days")
_MODIFIERS = {"window": "count", "did": "exposure"}
_SOURCES = {"trait": "traits", "account_trait": "account_traits", "property": "properties", "context": "context"}
_ATTRIBUTES = dict(zip(Condition.__struct_encode_fields__, Condition.__struct_fields__, strict=True))

WHERE_SUBJECTS: frozenset[str] = frozenset({"property"})
"""Subjects that a signal's ``where`` may use: the event says it all."""
WHEN_SUBJECTS: frozenset[str] = frozenset({"trait", "account_trait", "hours"})
"""Subjects that the ``when`` of a member's milestone may use: a standing knows traits and the time."""
ACCOUNT_WHEN_SUBJECTS: frozenset[str] = frozenset({"account_trait"})
"""Subjects that the ``when`` of a segment or of an account's milestone may use."""
AUDIENCE_SUBJECTS: frozenset[str] = frozenset(_OPERATORS) - WHERE_SUBJECTS
"""Subjects that audiences and hide rules may use."""

_Test = Callable[[object], bool]
_T = TypeVar("_T")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00")
_MINUTES_A_DAY = 1440
_LONGEST_TIME = 40
_LONGEST_ZONE = 64
_NUMBER = (int, float)
_SCALAR = (str, int, float)


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
    kind, operator = _shape(condition)
    if not kind:
        return _never
    if kind not in _GROUPS:
        return leaf(condition, kind, operator)
    parts = [_compile(member, leaf) for member in _members(condition)]
    if kind == "not":
        part = parts[0]
        return lambda facts: not part(facts)
    return _every(parts) if kind == "all" else _some(parts)


def _kinds(condition: Condition) -> list[str]:
    given = ((name, getattr(condition, _ATTRIBUTES[name])) for name in (*_GROUPS, *_OPERATORS))
    return [name for name, value in given if value is not None and value is not False]


def _shape(condition: Condition) -> tuple[str, str]:
    kinds, operators = _kinds(condition), _given_operators(condition)
    if len(kinds) != 1 or len(operators) > 1 or not set(operators) <= set(_OPERATORS.get(kinds[0], ())):
        return "", ""
    return kinds[0], operators[0] if operators else ""


def _given_operators(condition: Condition) -> list[str]:
    return [name for name in _ALL_OPERATORS if _operand(condition, name) is not None]


def _operand(condition: Condition, name: str) -> Any:
    return getattr(condition, _ATTRIBUTES[name])


def _members(condition: Condition) -> tuple[Condition, ...]:
    if condition.not_ is not None:
        return (condition.not_,)
    return (condition.all if condition.all is not None else condition.any) or ()


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
            return _never
        case [only]:
            return only
        case [first, second]:
            return lambda facts: first(facts) or second(facts)
        case [first, second, third]:
            return lambda facts: first(facts) or second(facts) or third(facts)
    return _some([_some(parts[:3]), _some(parts[3:])])


def _always(_: object) -> bool:
    return True


def _never(_: object) -> bool:
    return False


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
        return _within(_moment(condition, kind), _span(condition.within_days))
    if kind in ("milestone", "account_milestone"):
        return _milestone(condition, kind)
    operand = _operand(condition, operator) if operator else None
    if kind == "locale":
        return _locale(operator, operand)
    if kind in _SOURCES:
        return _value(kind, _operand(condition, kind), operator, operand)
    test = _test(operator, operand)
    if kind == "segment":
        return lambda facts: test(facts.segment or None)
    return (lambda facts: test(facts.tier)) if condition.tier == "member" else (lambda facts: test(facts.account_tier))


def _compile_property(condition: Condition, kind: str, operator: str) -> Callable[[dict[str, Any]], bool]:
    key = condition.property
    if kind != "property" or key is None or not operator:
        return _never
    operand = _operand(condition, operator)
    test = _test(operator, operand)
    if "." in key:
        read = _nested(key)
        return lambda properties: test(read(properties))
    if operator == "equals" and isinstance(operand, str):
        return lambda properties: bool(properties.get(key) == operand)
    return lambda properties: test(properties.get(key))


def _value(kind: str, key: str, operator: str, operand: Any) -> Predicate:
    test = _test(operator, operand)
    if "." in key or kind in ("property", "context"):
        read = _reading(kind, key)
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


def _reading(kind: str, key: str) -> Callable[[Facts], object]:
    source = attrgetter(_SOURCES[kind])
    if "." not in key:
        return lambda facts: source(facts).get(key)
    read = _nested(key)
    return lambda facts: read(source(facts))


def _nested(key: str) -> Callable[[dict[str, Any]], object]:
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


def _test(operator: str, operand: Any) -> _Test:
    factory = _TESTS.get(operator)
    return _never if factory is None else factory(operand)


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
    bound = _instant(text)
    if bound is None:
        return _never
    return lambda value: (at := _instant(value)) is not None and at < bound


def _after(text: str) -> _Test:
    bound = _instant(text)
    if bound is None:
        return _never
    return lambda value: (at := _instant(value)) is not None and at > bound


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


def _instant(value: object) -> int | None:
    return _parse_instant(value) if isinstance(value, str) and len(value) <= _LONGEST_TIME else None


@lru_cache(maxsize=4096)
def _parse_instant(text: str) -> int | None:
    try:
        return to_micros(text + "T00:00:00Z" if _DATE.fullmatch(text) else text)
    except RecordError:
        return None


def _span(days: float) -> int:
    return round(min(max(0.0, days * DAY), FOREVER))


def _within(moment: Callable[[Facts], int | None], span: int) -> Predicate:
    def holds(facts: Facts) -> bool:
        at = moment(facts)
        return at is not None and 0 <= facts.now - at < span

    return holds


def _moment(condition: Condition, kind: str) -> Callable[[Facts], int | None]:
    key = _operand(condition, kind)
    if kind == "milestone":
        return lambda facts: facts.reached.get(key)
    if kind == "account_milestone":
        return lambda facts: facts.account_reached.get(key)
    read = _reading(kind, key)
    return lambda facts: _instant(read(facts))


def _milestone(condition: Condition, kind: str) -> Predicate:
    key, wanted = _operand(condition, kind), condition.is_ is not False
    if kind == "milestone":
        return (lambda facts: key in facts.reached) if wanted else (lambda facts: key not in facts.reached)
    return (lambda facts: key in facts.account_reached) if wanted else (lambda facts: key not in facts.account_reached)


def _counted(condition: Condition, operator: str, count: Counting | None) -> Predicate:
    if condition.count is None or count is None or not operator:
        return _never
    test, measure = _test(operator, _operand(condition, operator)), count(condition.count, condition.window)
    return lambda facts: test(measure(facts))


def _exposure(condition: Condition) -> Predicate:
    key, did = condition.exposure, condition.did
    if key is None or did is None:
        return _never
    if condition.within_days is None and key != "*" and not key.startswith("tag:"):
        exactly = (key, "seen" if did == "never" else did)
        if did == "never":
            return lambda facts: exactly not in facts.exposures
        return lambda facts: exactly in facts.exposures
    happened = _happened(_exposed(key, did), condition.within_days)
    return (lambda facts: not happened(facts)) if did == "never" else happened


def _happened(moments: Callable[[Facts], Collection[int]], days: float | None) -> Predicate:
    if days is None:
        return lambda facts: bool(moments(facts))
    span = _span(days)
    return lambda facts: any(0 <= facts.now - at < span for at in moments(facts))


def _exposed(key: str, did: str | None) -> Callable[[Facts], Collection[int]]:
    wanted, tag = "seen" if did is None or did == "never" else did, key.removeprefix("tag:")
    if key == "*":
        return lambda facts: [at for (_, what), at in facts.exposures.items() if what == wanted]
    if key != tag:
        return lambda facts: [
            at for (nudge, what), at in facts.exposures.items() if what == wanted and tag in facts.tags.get(nudge, ())
        ]
    exactly = (key, wanted)
    return lambda facts: () if (at := facts.exposures.get(exactly)) is None else (at,)


def _locale(operator: str, operand: Any) -> Predicate:
    ranges = operand if isinstance(operand, tuple) else (operand,)
    starts = tuple("" if text == "*" else _subtags(text) for text in ranges if isinstance(text, str))
    if operator in ("equals", "in"):
        return lambda facts: bool(facts.locale) and _subtags(facts.locale).startswith(starts)
    if operator in ("not_equals", "not_in"):
        return lambda facts: bool(facts.locale) and not _subtags(facts.locale).startswith(starts)
    return _never


@lru_cache(maxsize=1024)
def _subtags(tag: str) -> str:
    return tag.replace("_", "-").lower() + "-"


def _hours(hours: Hours) -> Predicate:
    holds = _clock_test(hours)
    return lambda facts: holds(_local_minute(_zone_name(facts), facts.now // MINUTE))


def _clock_test(hours: Hours) -> Callable[[int], bool]:
    start, end = _minutes(hours.from_), _minutes(hours.to)
    if start is None or end is None or start == end:
        return _never
    days = frozenset(day - 1 for day in hours.weekdays or range(1, 8))
    if start < end:
        return lambda local: start <= local % _MINUTES_A_DAY < end and local // _MINUTES_A_DAY in days

    def over_midnight(local: int) -> bool:
        day, minute = divmod(local, _MINUTES_A_DAY)
        return day in days if minute >= start else minute < end and (day - 1) % 7 in days

    return over_midnight


def _minutes(text: str) -> int | None:
    if _CLOCK.fullmatch(text) is None:
        return None
    return int(text[:2]) * 60 + int(text[3:])


def _zone_name(facts: Facts) -> str:
    name = facts.traits.get("timezone")
    return name if isinstance(name, str) and len(name) <= _LONGEST_ZONE else "UTC"


@lru_cache(maxsize=1024)
def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return UTC


@lru_cache(maxsize=8192)
def _local_minute(zone: str, minute: int) -> int:
    """Return the minute of the local week (0 = Monday 00:00) at a minute since the epoch."""
    local = (_EPOCH + timedelta(minutes=minute)).astimezone(_zone(zone))
    return local.weekday() * _MINUTES_A_DAY + local.hour * 60 + local.minute


def compile_next_change(condition: Condition | None) -> NextChange:
    """Turn a condition into a function that tells until when its answer holds, if only time passes.

    Args:
        condition: The condition; None never changes.

    Returns:
        A function from facts to an instant strictly after ``facts.now``, or ``FOREVER``. The answer is the same at
        every instant before it; it may be the same afterwards too.
    """
    if condition is None:
        return _unchanging
    kind, operator = _shape(condition)
    if kind in _GROUPS:
        return _soonest([compile_next_change(member) for member in _members(condition)])
    if kind == "hours" and condition.hours is not None:
        return _next_edge(condition.hours)
    if kind == "count":
        return _next_count(condition.window)
    if operator == "within_days" and condition.within_days is not None:
        return _next_turn(_moments(condition, kind), _span(condition.within_days))
    return _unchanging


def _unchanging(_: Facts) -> int:
    return FOREVER


def _soonest(parts: list[NextChange]) -> NextChange:
    changing = [part for part in parts if part is not _unchanging]
    if len(changing) < 2:
        return changing[0] if changing else _unchanging
    return lambda facts: min(part(facts) for part in changing)


def _moments(condition: Condition, kind: str) -> Callable[[Facts], Collection[int]]:
    if kind == "exposure" and condition.exposure is not None:
        return _exposed(condition.exposure, condition.did)
    moment = _moment(condition, kind)
    return lambda facts: () if (at := moment(facts)) is None else (at,)


def _next_turn(moments: Callable[[Facts], Collection[int]], span: int) -> NextChange:
    def next_change(facts: Facts) -> int:
        turns = (turn for at in moments(facts) for turn in (at, at + span) if turn > facts.now)
        return min((FOREVER, *turns))

    return next_change


def _next_count(window: Window | None) -> NextChange:
    if window is None or window.days is not None:
        return lambda facts: (facts.now // DAY + 1) * DAY
    if window.since_signup_days is not None:
        span = _span(window.since_signup_days)
    elif window.since_signup_hours is not None:
        span = _span(window.since_signup_hours / 24)
    else:
        return _unchanging
    return _next_turn(lambda facts: () if facts.signup_at is None else (facts.signup_at,), span)


def _next_edge(hours: Hours) -> NextChange:
    start, end, holds = _minutes(hours.from_), _minutes(hours.to), _clock_test(hours)
    if start is None or end is None or start == end or (end - start == _MINUTES_A_DAY and not hours.weekdays):
        return _unchanging
    edges = {start % _MINUTES_A_DAY, end % _MINUTES_A_DAY}

    def next_change(facts: Facts) -> int:
        zone, minute = _zone_name(facts), facts.now // MINUTE
        local = _local_minute(zone, minute)
        ahead = min((edge - local - 1) % _MINUTES_A_DAY + 1 for edge in edges)
        if (_local_minute(zone, minute + ahead) - local - ahead) % (7 * _MINUTES_A_DAY):
            return _careful_step(zone, minute, holds)
        return (minute + ahead) * MINUTE

    return next_change


def _careful_step(zone: str, minute: int, holds: Callable[[int], bool]) -> int:
    """Go on to the next quarter of an hour at most, minute by minute: the clocks change before the next edge."""
    present, quarter = holds(_local_minute(zone, minute)), (minute // 15 + 1) * 15
    later = (at for at in range(minute + 1, quarter) if holds(_local_minute(zone, at)) is not present)
    return next(later, quarter) * MINUTE


def check_condition(
    condition: Condition | None, where: str, *, subjects: Collection[str], keys: Keys = _NO_KEYS
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
    kinds = _kinds(condition)
    if len(kinds) != 1:
        return [_not_one_subject(kinds, where)]
    kind = kinds[0]
    stray = [
        Problem(f"{where}.{name}", f"{name} belongs to {owner}, not to {kind}", f"Remove {name}.")
        for name, owner in _MODIFIERS.items()
        if getattr(condition, name) is not None and kind != owner
    ]
    if kind in _GROUPS:
        return [*stray, *_check_group(condition, kind, where, subjects=subjects, keys=keys)]
    if kind not in subjects:
        fix = f"Use {_listed(name for name in _OPERATORS if name in subjects)}."
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
    return Problem(where, "nothing is tested", f"Give {_listed((*_GROUPS, *_OPERATORS))}.")


def _check_group(
    condition: Condition, kind: str, where: str, *, subjects: Collection[str], keys: Keys
) -> list[Problem]:
    problems = [
        Problem(f"{where}.{name}", f"{name} stands beside the group {kind}", f"Move it into an item of {kind}.")
        for name in _given_operators(condition)
    ]
    if not _members(condition):
        problems.append(Problem(f"{where}.{kind}", "the group is empty", "Give at least one condition."))
    for number, member in enumerate(_members(condition)):
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
    if kind in _SOURCES and not _operand(condition, kind).strip():
        return [Problem(f"{where}.{kind}", "the name is empty", f"Name the {kind}, such as plan.")]
    return []


def _check_hours(hours: Hours, where: str) -> list[Problem]:
    problems = [
        Problem(f"{where}.{name}", f"{text!r} is not a time of day", 'Give hours and minutes, such as "09:00".')
        for name, text in (("from", hours.from_), ("to", hours.to))
        if _minutes(text) is None or (name == "from" and text == "24:00")
    ]
    if not problems and hours.from_ == hours.to:
        problems.append(Problem(where, "from and to are the same", 'For the whole day give from "00:00" to "24:00".'))
    if not set(hours.weekdays) <= set(range(1, 8)):
        problems.append(Problem(f"{where}.weekdays", "not every number is a weekday", "Give 1 (Monday) to 7 (Sunday)."))
    return problems


def _check_operator(condition: Condition, kind: str, where: str) -> list[Problem]:
    fitting, given = _OPERATORS[kind], _given_operators(condition)
    fix = f"Use {_listed(fitting)}." if fitting else "Remove it; for the opposite put the condition into not."
    unfit = [Problem(f"{where}.{name}", f"{kind} does not take {name}", fix) for name in given if name not in fitting]
    if unfit:
        return unfit
    if len(given) > 1:
        return [Problem(where, f"{_listed(given, 'and')} stand side by side", "Put each into its own item of all.")]
    if not given and kind not in _NEEDS_NO_OPERATOR:
        return [Problem(where, f"{kind} is named, but not what must hold of it", fix)]
    return [problem for name in given for problem in _check_operand(condition, kind, name, f"{where}.{name}")]


def _check_operand(condition: Condition, kind: str, operator: str, where: str) -> list[Problem]:
    operand = _operand(condition, operator)
    values = operand if isinstance(operand, tuple) else (operand,)
    if not values:
        return [Problem(where, "the list is empty", "Give at least one value.")]
    if any(isinstance(value, float) and not isfinite(value) for value in values):
        return [Problem(where, "it is not a finite number", "Give an ordinary number.")]
    if operator in ("before", "after") and _instant(operand) is None:
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
        for operator in _given_operators(condition)
        if operator in _CHOICE
        for problem in _unknown(kind, _texts(_operand(condition, operator)), known, f"{where}.{operator}")
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
