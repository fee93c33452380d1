"""When somebody first reached a milestone, told by what is counted in the end."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nudge_sdk.insights.activation import activation_of, first_activated
from nudge_sdk.rules.conditions import Signal, Window
from nudge_sdk.rules.definition import Definition, Milestone
from nudge_sdk.rules.records import Record
from nudge_sdk.rules.signals import Plan, compile_reader, signal_id
from nudge_sdk.rules.state import State
from nudge_sdk.rules.times import DAY, HOUR

START = 20_000 * DAY + 9 * HOUR
WINDOWS = (Window(days=1), Window(days=3), Window(ever=True), Window(since_signup_days=2), Window(since_signup_hours=5))

times = st.lists(st.integers(0, 12 * 24).map(lambda hours: START + hours * HOUR), max_size=20)


def counted(milestone: Milestone, sent: list[int]) -> State:
    assert milestone.signal is not None
    plan, state = Plan([milestone.signal]), State()
    for number, at in enumerate(sent):
        state.note_event(at)
        plan.count(state, Record("track", "acme", "ann", f"m{number}", at, at, "sent"), "ann", at)
    return state


@given(times, st.sampled_from(["count", "days"]), st.integers(1, 4), st.sampled_from(WINDOWS), st.integers(-30, 30))
@settings(deadline=None, max_examples=150)
def test_it_is_the_first_instant_at_which_there_was_enough(
    sent: list[int], measure: Literal["count", "days"], at_least: int, window: Window, signed_up: int
) -> None:
    signal = Signal(event="sent", measure=measure)
    milestone = Milestone(key="m", signal=signal, at_least=at_least, window=window)
    signup = START + signed_up * HOUR
    read = compile_reader(signal, window)

    def has_enough(at: int) -> bool:
        state = counted(milestone, [each for each in sent if each <= at])
        return read(state.tallies[signal_id(signal)], at, signup) >= at_least

    expected = next((at for at in sorted(sent) if has_enough(at)), None)
    assert first_activated([milestone], counted(milestone, sent), signup, []) == expected


def test_what_the_log_says_stands_in_for_what_is_not_known_exactly() -> None:
    summed = Milestone(key="summed", signal=Signal(event="sent", measure="sum", property="n"), at_least=3)
    state = counted(summed, [START])
    assert first_activated([summed], state, START, [("summed", START + DAY), ("other", START)]) == START + DAY
    assert first_activated([summed], state, START, []) is None


def test_the_earliest_of_several_milestones_and_of_log_and_counts_holds() -> None:
    one = Milestone(key="one", signal=Signal(event="sent"), window=Window(ever=True))
    two = Milestone(key="two", signal=Signal(event="sent"), at_least=2, window=Window(ever=True))
    state = counted(one, [START, START + HOUR])
    assert first_activated([one, two], state, START, [("two", START + HOUR), ("one", START + DAY)]) == START


@pytest.mark.parametrize(
    ("milestones", "keys", "basis"),
    [
        (
            [Milestone(key="a", signal=Signal(event="a"), is_aha=True), Milestone(key="b", category="high")],
            ["a"],
            "aha",
        ),
        (
            [Milestone(key="a", signal=Signal(event="a"), category="high"), Milestone(key="b", category="high")],
            ["a"],
            "value",
        ),
        ([Milestone(key="a", signal=Signal(event="a"))], [], "none"),
    ],
)
def test_activation_is_the_aha_moment_or_the_first_milestone_of_high_category(
    milestones: list[Milestone], keys: list[str], basis: str
) -> None:
    found = activation_of(Definition(milestones=tuple(milestones)))
    assert (found.keys, found.basis) == (keys, basis)
