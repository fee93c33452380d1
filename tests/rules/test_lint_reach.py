from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from nudge_sdk.rules.compiled import Rules, SubjectRules
from nudge_sdk.rules.conditions import Signal, Window
from nudge_sdk.rules.definition import (
    Decay,
    Definition,
    Entry,
    Gate,
    Group,
    Milestone,
    Segment,
    Thresholds,
)
from nudge_sdk.rules.lint import lint, smallest_sets
from nudge_sdk.rules.lint_reach import Reach
from nudge_sdk.rules.records import Record
from nudge_sdk.rules.standing import UNJUDGED, Judged, judge
from nudge_sdk.rules.state import State
from nudge_sdk.rules.times import DAY

SCORES = {"high": 5.0, "medium": 3.0, "context": 2.0, "hygiene": 1.0}


def score_of(definition: Definition, keys: frozenset[str]) -> float:
    total = 0.0
    caps = {group.key: group.cap for group in definition.groups}
    sums: dict[str, float] = {}
    for each in definition.milestones:
        if each.key in keys and each.axis == "score":
            points = SCORES[each.category] if each.points is None else each.points
            sums[each.group] = sums.get(each.group, 0) + points
    for group, points in sums.items():
        total += min(points, caps[group]) if group in caps else points
    return total


def by_brute_force(definition: Definition, entry: Entry) -> set[frozenset[str]]:
    """Try every set of the members' milestones, knowing nothing of the solver."""
    keys = [each.key for each in definition.milestones if each.subject == "member"]
    gates = [gate for gate in entry.gates if gate.milestones]
    reaching = [
        chosen
        for size in range(len(keys) + 1)
        for chosen in map(frozenset, combinations(keys, size))
        if score_of(definition, chosen) >= entry.score
        and all(len(chosen & set(gate.milestones)) >= gate.at_least for gate in gates)
    ]
    return {chosen for chosen in reaching if not any(other < chosen for other in reaching)}


@st.composite
def definitions(draw: st.DrawFn) -> Definition:
    count = draw(st.integers(0, 7))
    milestones = tuple(
        Milestone(
            key=f"m{number}",
            subject=draw(st.sampled_from(["member", "member", "member", "account"])),
            category=draw(st.sampled_from(["high", "medium", "context", "hygiene"])),
            points=draw(st.sampled_from([None, None, None, 0, 0.5, 4, -1, -3])),
            axis=draw(st.sampled_from(["score", "score", "score", "fit"])),
            group=draw(st.sampled_from(["", "one", "two"])),
            signal=Signal(event=f"e{number}"),
        )
        for number in range(count)
    )
    own = [each.key for each in milestones if each.subject == "member"]
    gates = []
    for _ in range(draw(st.integers(0, 2)) if own else 0):
        named = draw(st.lists(st.sampled_from(own), min_size=1, unique=True))
        gates.append(Gate(milestones=tuple(named), at_least=draw(st.integers(1, len(named)))))
    entry = Entry(score=draw(st.sampled_from([-1, 0, 1, 2, 3, 4.5, 5, 7, 8, 10, 12])), gates=tuple(gates))
    return Definition(
        milestones=milestones,
        groups=(Group(key="one", cap=draw(st.sampled_from([1, 3, 5]))), Group(key="two", cap=6)),
        segments=(Segment(key="all", member=Thresholds(warm=entry)),),
    )


@settings(max_examples=400, deadline=None)
@given(definitions())
def test_the_solver_finds_what_brute_force_finds(definition: Definition) -> None:
    entry = definition.segments[0].member.warm
    assert entry is not None
    found = smallest_sets(definition, "all", "member", "warm")
    event(f"{min(len(found), 5)} smallest sets")
    assert len(set(map(frozenset, found))) == len(found)
    assert set(map(frozenset, found)) == by_brute_force(definition, entry)
    assert [len(each) for each in found] == sorted(len(each) for each in found)


def test_a_milestone_that_adds_nothing_under_a_cap_is_in_no_smallest_set() -> None:
    milestones = tuple(
        Milestone(key=key, points=points, group=group, signal=Signal(event=key))
        for key, points, group in [("first", 5, "one"), ("second", 4, "one"), ("third", 2, "")]
    )
    definition = Definition(
        milestones=milestones,
        groups=(Group(key="one", cap=3),),
        segments=(Segment(key="all", member=Thresholds(warm=Entry(score=5))),),
    )
    assert smallest_sets(definition, "all", "member", "warm") == [("first", "third"), ("second", "third")]


def test_points_that_a_required_milestone_takes_away_are_made_up_for() -> None:
    milestones = tuple(
        Milestone(key=key, points=points, signal=Signal(event=key)) for key, points in [("a", 5), ("b", 1), ("c", -1)]
    )
    entry = Entry(score=5, gates=(Gate(milestones=("c",)),))
    definition = Definition(milestones=milestones, segments=(Segment(key="all", member=Thresholds(warm=entry)),))
    assert smallest_sets(definition, "all", "member", "warm") == [("a", "b", "c")]


@settings(max_examples=100, deadline=None)
@given(definitions())
def test_a_tier_is_called_unreachable_exactly_when_no_set_reaches_it(definition: Definition) -> None:
    entry = definition.segments[0].member.warm
    assert entry is not None
    is_unreachable = any(finding.code == "UNREACHABLE" for finding in lint(definition))
    assert is_unreachable == (not by_brute_force(definition, entry))


def alike(count: int, score: float) -> Definition:
    milestones = tuple(
        Milestone(key=f"m{number}", points=1, signal=Signal(event=f"e{number}")) for number in range(count)
    )
    return Definition(milestones=milestones, segments=(Segment(key="all", member=Thresholds(warm=Entry(score=score))),))


def test_up_to_20_milestones_every_set_is_found_and_beyond_it_is_said_that_not_all_are() -> None:
    definition = alike(20, 3)
    assert len(smallest_sets(definition, "all", "member", "warm")) == 1140
    assert "NOT_ALL_WAYS" not in {finding.code for finding in lint(definition)}
    crowded = alike(24, 12)
    found = smallest_sets(crowded, "all", "member", "warm")
    assert 0 < len(found) < 2_704_156
    assert {len(each) for each in found} == {12}
    [note] = [finding for finding in lint(crowded) if finding.code == "NOT_ALL_WAYS"]
    assert note.severity == "note"


def tier_after(definition: Definition, days: int) -> str:
    """The tier of a member who did everything on day 100 and is judged at the end of a later day."""
    rules = Rules(definition)
    state = State()
    state.first = 100 * DAY
    for number, each in enumerate(definition.milestones):
        assert each.signal is not None
        assert isinstance(each.signal.event, str)
        spread = int(each.at_least) if each.signal.measure == "days" else 1
        for day in range(spread):
            at = (100 - spread + 1 + day) * DAY + number
            rules.plan.count(state, Record("track", "a", "u", f"{number}.{day}", at, at, each.signal.event), "u", at)
            state.first = min(state.first, at)
    at = (100 + days) * DAY + DAY - 1
    return judge(rules, Judged("u", state, State()), at, UNJUDGED, "time").tier


@pytest.mark.parametrize("hold", [0, 3])
@pytest.mark.parametrize("decay", [None, Decay(half_life_days=14, grace_days=0), Decay(half_life_days=7)])
@pytest.mark.parametrize("window", [None, Window(days=5), Window(ever=True)])
@pytest.mark.parametrize("score", [8, 6.5, 3])
def test_a_tier_is_held_for_as_many_days_as_the_standing_says(
    hold: int, decay: Decay | None, window: Window | None, score: float
) -> None:
    definition = Definition(
        milestones=(
            Milestone(key="deed", category="high", signal=Signal(event="deed"), window=Window(days=30), decay=decay),
            Milestone(key="days", signal=Signal(event="visit", measure="days"), at_least=3, window=window),
        ),
        segments=(Segment(key="all", member=Thresholds(warm=Entry(score=score)), decay=decay, hold_days=hold),),
    )
    by = SubjectRules(definition, definition.segments[0], "member")
    assert by.warm is not None
    held = Reach(by, by.warm).days_held(sum(each.bit for each in by.milestones if each.points))
    if held is None:
        assert tier_after(definition, 300) == "warm"
    else:
        assert (tier_after(definition, held - 1), tier_after(definition, held)) == ("warm", "none")
