"""Wording: conditions, signals and milestones as a person would say them; English, whatever the locale."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from nudge_sdk.rules.condition_terms import SOURCES, members_of, operand_of, shape_of
from nudge_sdk.rules.conditions import Condition, Hours, Signal, Window
from nudge_sdk.rules.definition import Definition, Milestone
from nudge_sdk.rules.explaining_words import counted_words, number_words, window_words
from nudge_sdk.rules.lint_findings import capital, name_of
from nudge_sdk.rules.signals import USER

NOTHING = Definition()
EVERYBODY = "everybody"
_SNAKE = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_OWNERS = {
    "trait": ("the person’s ", "the person has "),
    "account_trait": ("the account’s ", "the account has "),
    "property": ("", ""),
    "context": ("", ""),
}
_AMOUNTS = {"greater": "more than", "at_least": "at least", "less": "less than", "at_most": "at most"}
_NEVER = (("less", 1), ("at_most", 0), ("equals", 0))


def condition_words(condition: Condition | None, definition: Definition = NOTHING) -> str:
    """Say a condition, as the rest of a sentence: ``the account has at least 100 employees``.

    Args:
        condition: The condition; None is everybody.
        definition: Where the names of milestones, segments and nudges are; without it their keys stand for them.
    """
    if condition is None:
        return EVERYBODY
    kind, operator = shape_of(condition)
    match kind:
        case "":
            return "a condition that cannot be read"
        case "not" if members_of(condition)[0].can_purchase:
            return "the person may not buy"
        case "not":
            return f"not ({condition_words(members_of(condition)[0], definition)})"
        case "all" | "any":
            return _group(kind, members_of(condition), definition)
    return _Leaf(condition, operator, definition).words(kind)


def signal_words(milestone: Milestone, definition: Definition = NOTHING) -> str:
    """Say what a milestone counts: ``Campaign sent at least 3 times in the last 14 days``.

    Args:
        milestone: The milestone.
        definition: Where the names of what it refers to are.
    """
    if milestone.usage is not None:
        usage = milestone.usage
        share = "" if usage.share == 1 else f"{number_words(round(100 * usage.share, 4))} % of "
        return capital(f"{label_words(usage.value)} reaches {share}{label_words(usage.limit)}")
    if milestone.signal is None:
        return capital(condition_words(milestone.when, definition)) if milestone.when else "Nothing yet"
    if not any((milestone.signal.event,) if isinstance(milestone.signal.event, str) else milestone.signal.event):
        return "Nothing yet"
    return capital(f"{measure_words(milestone.signal, milestone.at_least)} {when_words(milestone.window)}")


def measure_words(signal: Signal, at_least: float, word: str = "at least") -> str:
    """Say a signal and how much of it: ``campaign sent on at least 3 days``."""
    amount = f"{word} {number_words(at_least)}"
    match signal.measure:
        case "days" | "streak":
            in_a_row = " in a row" if signal.measure == "streak" else ""
            days = "day" if at_least == 1 else "days"
            much = f" on {amount} {days}{in_a_row}"
        case "values" if signal.property == USER:
            much = f" by {amount} different {'person' if at_least == 1 else 'people'}"
        case "values":
            label = label_words(signal.property)
            ending = "" if at_least == 1 or label.endswith(("s", "”")) else "s"
            much = f" with {amount} different {label}{ending}"
        case "sum":
            much = f" with {amount} {label_words(signal.property)} in total"
        case _:
            is_plain = at_least == 1 and word == "at least"
            much = "" if is_plain else f" {amount} {'time' if at_least == 1 else 'times'}"
    return f"{event_words(signal)}{much}"


def when_words(window: Window | None) -> str:
    """Return when something must have happened, said of what has not happened yet, too."""
    if window is not None and window.ever:
        return "at any time"
    is_early = window is not None and window.days is None
    return f"{window_words(window)}{' after sign-up' if is_early else ''}"


def event_words(signal: Signal) -> str:
    """Say the events of a signal, with the condition on their properties."""
    names = (signal.event,) if isinstance(signal.event, str) else signal.event
    where = f" ({condition_words(signal.where)})" if signal.where is not None else ""
    return f"{_either(label_words(name) for name in names)}{where}"


def label_words(name: str) -> str:
    """Return a name such as ``campaign_sent`` as words; one that is written otherwise stands in quotes."""
    return name.replace("_", " ") if _SNAKE.fullmatch(name) else f"“{name}”"


def _group(kind: str, members: tuple[Condition, ...], definition: Definition) -> str:
    parts = [
        f"({condition_words(each, definition)})" if len(members_of(each)) > 1 else condition_words(each, definition)
        for each in members
    ]
    if not parts:
        return "nobody" if kind == "any" else EVERYBODY
    *most, last = parts
    return f"{', '.join(most)} {'and' if kind == 'all' else 'or'} {last}" if most else last


class _Leaf:
    """One subject with one operator."""

    def __init__(self, condition: Condition, operator: str, definition: Definition) -> None:
        self.condition = condition
        self.operator = operator
        self.operand: Any = operand_of(condition, operator) if operator else None
        self.definition = definition

    def words(self, kind: str) -> str:
        if kind in SOURCES:
            return self._value(kind)
        say: dict[str, Callable[[], str]] = {
            "tier": self._tier,
            "segment": self._segment,
            "locale": lambda: self._compared("the language", str),
            "milestone": lambda: self._milestone(self.condition.milestone, "the person"),
            "account_milestone": lambda: self._milestone(self.condition.account_milestone, "the account"),
            "count": self._count,
            "exposure": self._exposure,
            "hours": lambda: _hours_words(self.condition.hours or Hours()),
            "can_purchase": lambda: "the person may buy",
        }
        return say[kind]()

    def _value(self, kind: str) -> str:
        name = operand_of(self.condition, kind)
        whose, has = _OWNERS[kind]
        label = label_words(name)
        if has and self.operator in _AMOUNTS and _is_plural(label) and _is_number(self.operand):
            return f"{has}{_AMOUNTS[self.operator]} {_said(self.operand)} {label}"
        return self._compared(f"{whose}{label}", _said)

    def _compared(self, what: str, say: Callable[[Any], str]) -> str:
        operand = self.operand
        match self.operator:
            case "equals":
                return f"{what} is {say(operand)}"
            case "not_equals":
                return f"{what} is not {say(operand)}"
            case "in":
                return f"{what} is {_either(map(say, operand))}"
            case "not_in":
                return f"{what} is not {_either(map(say, operand))}"
            case "contains":
                return f"{what} contains {say(operand)}"
            case "exists":
                return f"{what} is {'known' if operand else 'not known'}"
            case "before" | "after":
                return f"{what} is {self.operator} {operand}"
            case "within_days":
                return f"{what} lies within {_last_days(operand)}"
        return f"{what} is {_AMOUNTS[self.operator]} {say(operand)}"

    def _tier(self) -> str:
        who = "the person" if self.condition.tier == "member" else "the account"
        if (self.operator, self.operand) == ("not_equals", "none"):
            return f"{who} is warm or hot"
        return self._compared(who, lambda tier: "neither warm nor hot" if tier == "none" else str(tier))

    def _segment(self) -> str:
        names = {each.key: name_of(each) for each in self.definition.segments}
        return self._compared("the segment", lambda key: names.get(key, label_words(str(key))))

    def _milestone(self, key: str | None, who: str) -> str:
        what = self._named(key or "", self.definition.milestones)
        if self.operator == "within_days":
            return f"{who} reached {what} within {_last_days(self.operand)}"
        return f"{who} has {'not ' if self.operand is False else ''}reached {what}"

    def _count(self) -> str:
        signal, needed = self.condition.count, self.operand or 0
        if signal is None:
            return ""
        when = when_words(self.condition.window)
        if signal.measure == "count" and (self.operator, needed) in _NEVER:
            return f"{event_words(signal)} not once {when}"
        return f"{measure_words(signal, needed, {**_AMOUNTS, 'equals': 'exactly'}[self.operator])} {when}"

    def _exposure(self) -> str:
        key, did = self.condition.exposure or "", self.condition.did or ""
        what = self._named(key, self.definition.nudges)
        if key == "*":
            what = "any nudge"
        elif key.startswith("tag:"):
            what = f"any nudge tagged {label_words(key.removeprefix('tag:'))}"
        when = f" within {_last_days(self.operand)}" if self.operator else ""
        if did == "never":
            return f"the person has not seen {what}{when}"
        return f"the person has {did} {what}{when}"

    @staticmethod
    def _named(key: str, entities: Iterable[Any]) -> str:
        found = next((name_of(each) for each in entities if each.key == key), key)
        return f"“{found}”"


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return number_words(value)
    return f"“{value}”" if value in ("true", "false") else label_words(str(value))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_plural(label: str) -> bool:
    return label.endswith("s") and not label.endswith(("ss", "us", "is")) and " " not in label


def _last_days(days: float | None) -> str:
    return f"the last {counted_words(days or 0, 'day').removeprefix('1 ')}"


def _either(names: Iterable[str]) -> str:
    *most, last = [*names] or [""]
    return f"{', '.join(most)} or {last}" if most else last


def _hours_words(hours: Hours) -> str:
    days = f" on {_either(_WEEKDAYS[day - 1] for day in hours.weekdays if 1 <= day <= 7)}" if hours.weekdays else ""
    return f"it is between {hours.from_} and {hours.to}{days} where the person is"
