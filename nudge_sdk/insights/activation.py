"""Activation: which milestones it is, and when somebody first reached one, by what is counted of them.

The log of milestones reached says when the system concluded it: for imported history, or a milestone defined later,
that is after the fact. What is counted says when it was done.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from nudge_sdk.rules.definition import Definition, Milestone
from nudge_sdk.rules.signals import DEFAULT_WINDOW, signal_id, since_signup_length, target
from nudge_sdk.rules.state import State
from nudge_sdk.rules.tallies import Tally
from nudge_sdk.rules.times import DAY


class Activation(msgspec.Struct, frozen=True):
    """What counts as activation.

    Attributes:
        member: Milestones of members, any of which is it.
        account: Milestones of accounts; they activate the account, and its members where no milestone of members does.
        basis: ``aha`` where the definition says so; ``value`` where it does not, and every milestone of the highest
            category that counts events stands in; ``none`` where there is none of those.
    """

    member: tuple[Milestone, ...]
    account: tuple[Milestone, ...]
    basis: Literal["aha", "value", "none"]

    @property
    def keys(self) -> list[str]:
        """Keys of all the milestones, sorted."""
        return sorted({each.key for each in (*self.member, *self.account)})


def activation_of(definition: Definition) -> Activation:
    """Return what a definition counts as activation."""
    chosen = [each for each in definition.milestones if each.is_aha]
    basis: Literal["aha", "value", "none"] = "aha"
    if not chosen:
        chosen = [each for each in definition.milestones if each.signal and each.category == "high"]
        basis = "value" if chosen else "none"
    member = tuple(each for each in chosen if each.subject == "member")
    return Activation(member, tuple(each for each in chosen if each.subject == "account"), basis)


def first_activated(
    milestones: Iterable[Milestone], state: State, signup: int, logged: Iterable[tuple[str, int]]
) -> int | None:
    """Return when one of these milestones was first reached, in microseconds, or None.

    Args:
        milestones: Which.
        state: What is counted.
        signup: The instant of sign-up.
        logged: (milestone, instant) as concluded.
    """
    wanted = {each.key: each for each in milestones}
    found = [at for key, at in logged if key in wanted]
    counted = (_first_reached(each, state, signup) for each in wanted.values())
    return min([*found, *(at for at in counted if at is not None)], default=None)


def _first_reached(milestone: Milestone, state: State, signup: int) -> int | None:
    """Return when a milestone of counts or days was first reached; None for others, or beyond what is kept."""
    signal = milestone.signal
    tally = state.tallies.get(signal_id(signal)) if signal else None
    if signal is None or tally is None:
        return None
    needed = target(signal, milestone.at_least)
    if signal.measure == "count" or (needed == 1 and signal.measure in ("days", "values", "streak")):
        return _first_time(list(tally.early), needed, milestone, signup)
    return _first_time(_first_of_days(tally), needed, milestone, signup) if signal.measure == "days" else None


def _first_of_days(tally: Tally) -> list[int]:
    first: dict[int, int] = {}
    for at in tally.early:
        first.setdefault(at // DAY, at)
    return list(first.values())


def _first_time(times: Sequence[int], needed: int, milestone: Milestone, signup: int) -> int | None:
    """Return the first instant at which so many of these times lie in the milestone's window."""
    window = milestone.window or DEFAULT_WINDOW
    if needed < 1:
        return None
    if window.days is None and not window.ever:
        end = signup + since_signup_length(window)
        within = [at for at in times if signup <= at < end]
        return within[needed - 1] if len(within) >= needed else None
    for first, last in zip(times, times[needed - 1 :], strict=False):
        if window.days is None or last // DAY - first // DAY < window.days:
            return last
    return None
