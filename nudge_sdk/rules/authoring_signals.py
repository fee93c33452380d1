"""What signals, windows and the conditions that count have to fulfil when they are authored."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from math import ceil

from nudge_sdk.rules.amounts import to_amount
from nudge_sdk.rules.authoring_report import Report, has_places
from nudge_sdk.rules.conditions import WHERE_SUBJECTS, Condition, Keys, Signal, Window, check_condition
from nudge_sdk.rules.definition import Milestone, Subject
from nudge_sdk.rules.signals import DEFAULT_WINDOW, USER, since_signup_length
from nudge_sdk.rules.tallies import CAPACITY
from nudge_sdk.rules.times import DAY

MAX_EVENT_NAME = 255
MAX_SIGNUP_DAYS = 36_500
AMOUNT_PLACES = 6


class SignalChecks:
    """Checks what one definition counts."""

    def __init__(self, keys: Keys, report: Report) -> None:
        self._keys = keys
        self._report = report

    def condition(self, where: str, condition: Condition | None, subjects: Collection[str]) -> None:
        """Check a condition and everything it counts."""
        for problem in check_condition(condition, where, subjects=subjects, keys=self._keys):
            self._report.add(problem.where, problem.what, problem.fix)
        for place, counting in _counting(condition, where):
            self._count(place, counting)

    def milestone(self, where: str, milestone: Milestone, signal: Signal) -> None:
        """Check what a milestone counts, and that it can be reached."""
        self._signal(f"{where}.signal", signal, milestone.subject)
        self.condition(f"{where}.signal.where", signal.where, WHERE_SUBJECTS)
        if milestone.window is not None:
            self.window(f"{where}.window", milestone.window)
        self._amount(f"{where}.at_least", signal, milestone.at_least)
        self._capacity(f"{where}.at_least", signal, milestone.window, milestone.at_least)

    def window(self, where: str, window: Window) -> None:
        """Check a window."""
        given = {
            "days": window.days is not None,
            "since_signup_days": window.since_signup_days is not None,
            "since_signup_hours": window.since_signup_hours is not None,
            "ever": window.ever,
        }
        self._report.one_of(where, given)
        self._report.number(f"{where}.days", window.days, least=1, most=CAPACITY.days)
        for name, value, a_day in (("days", window.since_signup_days, 1), ("hours", window.since_signup_hours, 24)):
            self._report.number(f"{where}.since_signup_{name}", value, above=0, most=MAX_SIGNUP_DAYS * a_day)

    def _count(self, where: str, counting: Condition) -> None:
        signal = counting.count
        if signal is None:
            return
        self._signal(f"{where}.count", signal, "member")
        if counting.window is not None:
            self.window(f"{where}.window", counting.window)
        for name in ("equals", "greater", "at_least", "less", "at_most"):
            needed = getattr(counting, name)
            if isinstance(needed, int | float):
                self._capacity(f"{where}.{name}", signal, counting.window, needed)

    def _signal(self, where: str, signal: Signal, subject: Subject) -> None:
        names = (signal.event,) if isinstance(signal.event, str) else signal.event
        if not names or not all(names):
            self._report.add(f"{where}.event", "is empty", "Write the name of the event, as the host tracks it.")
        if any(len(name) > MAX_EVENT_NAME for name in names):
            self._report.add(f"{where}.event", "is too long", f"Write at most {MAX_EVENT_NAME} characters.")
        self._report.unique(f"{where}.event", names, "event")
        self._property(f"{where}.property", signal, subject)

    def _property(self, where: str, signal: Signal, subject: Subject) -> None:
        if signal.measure not in ("values", "sum"):
            if signal.property:
                self._report.add(where, f"is not used by the measure {signal.measure}", "Leave it out.")
        elif not signal.property:
            self._report.add(where, f"is missing for the measure {signal.measure}", "Write the name of a property.")
        elif signal.property == USER and (signal.measure != "values" or subject != "account"):
            fix = "Write a property, or use the measure values in a milestone of the account."
            self._report.add(where, f"{USER} counts the members of an account", fix)

    def _amount(self, where: str, signal: Signal, at_least: float) -> None:
        if signal.measure != "sum":
            if not float(at_least).is_integer():
                self._report.add(where, f"{at_least:g} is not a whole number", f"Write {ceil(at_least)}.")
            self._report.number(where, at_least, least=1)
        elif at_least <= 0 or to_amount(at_least) is None or not has_places(at_least, AMOUNT_PLACES):
            fix = f"Write a number above 0, of at most {AMOUNT_PLACES} decimals."
            self._report.add(where, f"{at_least:g} is not a sum that can be counted", fix)

    def _capacity(self, where: str, signal: Signal, window: Window | None, needed: float) -> None:
        most, reason = _most(signal, window or DEFAULT_WINDOW)
        if most is not None and needed > most:
            self._report.add(where, f"{needed:g} can never be counted: {reason}", f"Write at most {most}.")


def _most(signal: Signal, window: Window) -> tuple[int | None, str]:
    """Return the most that can be counted of a signal in a window, and why."""
    signup_days = ceil(since_signup_length(window) / DAY)
    if signal.measure in ("days", "streak"):
        if window.days is not None:
            return window.days, f"the window has {window.days} days"
        if window.ever:
            return CAPACITY.days, f"the latest {CAPACITY.days} days are kept"
        if signup_days < CAPACITY.occurrences:
            return signup_days + 1, f"the window touches {signup_days + 1} days"
    if signal.measure == "values":
        return CAPACITY.values, f"{CAPACITY.values} distinct values are kept"
    if signup_days and signal.measure != "sum":
        return CAPACITY.occurrences, f"the earliest {CAPACITY.occurrences} since sign-up are kept"
    return None, ""


def _counting(condition: Condition | None, where: str) -> Iterator[tuple[str, Condition]]:
    if condition is None:
        return
    if condition.count is not None:
        yield where, condition
    yield from _counting(condition.not_, f"{where}.not")
    for name, group in (("all", condition.all), ("any", condition.any)):
        for index, item in enumerate(group or ()):
            yield from _counting(item, f"{where}.{name}[{index}]")
