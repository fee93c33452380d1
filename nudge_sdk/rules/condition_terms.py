"""Conditions: who, when, where, as data.

A condition is either a group (``all``, ``any``, ``not``) or one subject with one operator. The subject says where the
value comes from, the operator what must hold. A missing value, or one of a type the operator cannot use, answers
False (``exists: false`` answers True for a missing one); a ``not`` around it turns that round.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Literal, NamedTuple

import msgspec

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


class Facts(msgspec.Struct):
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

    now: int
    traits: dict[str, Any] = {}
    account_traits: dict[str, Any] = {}
    properties: dict[str, Any] = {}
    context: dict[str, Any] = {}
    locale: str = ""
    tier: str = "none"
    account_tier: str = "none"
    segment: str = ""
    reached: dict[str, int] = {}
    account_reached: dict[str, int] = {}
    exposures: dict[tuple[str, str], int] = {}
    tags: dict[str, tuple[str, ...]] = {}
    can_purchase: bool = True
    state: Any = None
    signup_at: int | None = None

    def asked(self, now: int, context: dict[str, Any], locale: str, *, can_purchase: bool) -> Facts:
        """Return the same facts for one decision."""
        facts: Facts = self.__copy__()  # type: ignore[attr-defined]
        facts.now, facts.context, facts.locale, facts.can_purchase = now, context, locale, can_purchase
        return facts


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


NO_KEYS = Keys()
_ORDER = ("greater", "at_least", "less", "at_most")
CHOICE = ("equals", "not_equals", "in", "not_in")
_PLAIN = (*CHOICE, "contains", "exists", *_ORDER, "before", "after")
GROUPS = ("all", "any", "not")
OPERATORS: dict[str, tuple[str, ...]] = {
    "trait": (*_PLAIN, "within_days"),
    "account_trait": (*_PLAIN, "within_days"),
    "property": _PLAIN,
    "context": (*_PLAIN, "within_days"),
    "tier": ("equals", "not_equals", "in"),
    "segment": CHOICE,
    "locale": CHOICE,
    "milestone": ("is", "within_days"),
    "account_milestone": ("is", "within_days"),
    "count": ("equals", *_ORDER),
    "exposure": ("within_days",),
    "hours": (),
    "can_purchase": (),
}
NEEDS_NO_OPERATOR = frozenset({"milestone", "account_milestone", "exposure", "hours", "can_purchase"})
_ALL_OPERATORS = (*_PLAIN, "is", "within_days")
MODIFIERS = {"window": "count", "did": "exposure"}
SOURCES = {"trait": "traits", "account_trait": "account_traits", "property": "properties", "context": "context"}
_ATTRIBUTES = dict(zip(Condition.__struct_encode_fields__, Condition.__struct_fields__, strict=True))

WHERE_SUBJECTS: frozenset[str] = frozenset({"property"})
"""Subjects that a signal's ``where`` may use: the event says it all."""
WHEN_SUBJECTS: frozenset[str] = frozenset({"trait", "account_trait", "hours"})
"""Subjects that the ``when`` of a member's milestone may use: a standing knows traits and the time."""
ACCOUNT_WHEN_SUBJECTS: frozenset[str] = frozenset({"account_trait"})
"""Subjects that the ``when`` of a segment or of an account's milestone may use."""
AUDIENCE_SUBJECTS: frozenset[str] = frozenset(OPERATORS) - WHERE_SUBJECTS
"""Subjects that audiences and hide rules may use."""


def kinds_of(condition: Condition) -> list[str]:
    given = ((name, getattr(condition, _ATTRIBUTES[name])) for name in (*GROUPS, *OPERATORS))
    return [name for name, value in given if value is not None and value is not False]


def shape_of(condition: Condition) -> tuple[str, str]:
    kinds, operators = kinds_of(condition), operators_of(condition)
    if len(kinds) != 1 or len(operators) > 1 or not set(operators) <= set(OPERATORS.get(kinds[0], ())):
        return "", ""
    return kinds[0], operators[0] if operators else ""


def operators_of(condition: Condition) -> list[str]:
    return [name for name in _ALL_OPERATORS if operand_of(condition, name) is not None]


def operand_of(condition: Condition, name: str) -> Any:
    return getattr(condition, _ATTRIBUTES[name])


def members_of(condition: Condition) -> tuple[Condition, ...]:
    if condition.not_ is not None:
        return (condition.not_,)
    return (condition.all if condition.all is not None else condition.any) or ()
