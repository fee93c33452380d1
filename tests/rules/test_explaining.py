from __future__ import annotations

import itertools
import locale
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nudge_sdk.rules.compiled import Rules
from nudge_sdk.rules.conditions import Condition, Signal, Window
from nudge_sdk.rules.counting import apply_to_account, apply_to_member
from nudge_sdk.rules.definition import (
    Category,
    Decay,
    Definition,
    Entry,
    Gate,
    Group,
    Milestone,
    Segment,
    Thresholds,
    Usage,
)
from nudge_sdk.rules.explaining import ReasonLine, StandingReport, explain_standing
from nudge_sdk.rules.records import Kind, Record
from nudge_sdk.rules.standing import UNJUDGED, Episode, Judged, Standing, judge
from nudge_sdk.rules.state import State
from nudge_sdk.rules.tallies import Capacity
from nudge_sdk.rules.times import DAY, to_iso, to_micros

NOON = to_micros("2026-03-05T12:00:00Z")


class World:
    """One member of one account, of whom things are told."""

    def __init__(self, *milestones: Milestone, capacity: Capacity | None = None, **parts: Any) -> None:
        member = parts.pop("member", Thresholds())
        account = parts.pop("account", Thresholds())
        segment = Segment(key="smb", name="Small", member=member, account=account, **parts.pop("segment", {}))
        definition = Definition(milestones=milestones, segments=(segment,), number=7, **parts)
        self.rules = Rules(definition, capacity=capacity or Capacity())
        self.states = {"": State(), "u1": State()}
        self.ids = itertools.count()

    def tell(self, kind: Kind, name: str = "", days_ago: float = 0, user: str = "u1", **data: Any) -> None:
        at = NOON - round(days_ago * DAY)
        record = Record(kind, "a1", user, str(next(self.ids)), at, at, name, data)
        apply_to_account(self.states[""], record, self.rules.plan, user)
        apply_to_member(self.states.setdefault(user, State()), record, self.rules.plan, user)

    def happened(self, name: str, *days_ago: float, **data: Any) -> None:
        for each in days_ago:
            self.tell("track", name, each, **data)

    def judged(self, user: str = "u1") -> Judged:
        return Judged(user, self.states[user], self.states[""])

    def standing(self, user: str = "u1", at: int = NOON) -> Standing:
        return judge(self.rules, self.judged(user), at, UNJUDGED, "event")

    def report(self, user: str = "u1", at: int = NOON, standing: Standing | None = None) -> StandingReport:
        return explain_standing(
            self.rules, self.judged(user), standing or self.standing(user, at), at, account_id="a1", user_id=user
        )

    def line(self, key: str, at: int = NOON, user: str = "u1") -> ReasonLine:
        return next(line for line in self.report(user, at).reasons if line.key == key)


def counting(key: str, event: str, *, window: Window | None = None, **rest: Any) -> Milestone:
    measure = {name: rest.pop(name) for name in ("measure", "property") if name in rest}
    return Milestone(key=key, signal=Signal(event=event, **measure), window=window, **rest)


CAMPAIGN = counting("campaign", "sent", name="Sent a campaign", category="high", is_aha=True)
TEAM = counting("team", "invited", name="Invited 3 teammates", at_least=3, window=Window(ever=True))
EVER = Window(ever=True)


def test_a_reached_milestone_says_how_often_how_lately_and_how_many_points() -> None:
    world = World(CAMPAIGN)
    world.happened("sent", 3, 4, 13)
    line = world.line("campaign")
    assert line.text == "Sent a campaign: 3 in the last 14 days (1 needed), last on 2 Mar 2026: 5 points"
    assert (line.is_reached, line.points, line.measured, line.needed) == (True, 5, 3, 1)
    assert line.last_at == "2026-03-02T12:00:00Z"


def test_a_milestone_on_its_way_says_how_far_it_is() -> None:
    world = World(TEAM)
    world.happened("invited", 3, 40)
    line = world.line("team")
    assert line.text == "Invited 3 teammates: 2 of 3 so far, last on 2 Mar 2026: 0 points yet"
    assert (line.is_reached, line.points) == (False, 0)


def test_nothing_done_yet_is_said_without_a_date() -> None:
    line = World(TEAM).line("team")
    assert line.text == "Invited 3 teammates: 0 of 3 so far: 0 points yet"
    assert line.last_at is None


@pytest.mark.parametrize(
    ("measure", "at_least", "window", "told"),
    [
        ({"measure": "days"}, 2, Window(days=1), "1 of 2 days today"),
        ({"measure": "days"}, 3, Window(days=7), "3 days in the last 7 days (3 needed)"),
        ({"measure": "streak"}, 2, None, "3 days in a row in the last 14 days (2 needed)"),
        ({"measure": "values", "property": "file"}, 5, EVER, "2 of 5 different so far"),
        ({"measure": "values", "property": "file"}, 1, EVER, "2 different so far (1 needed)"),
        ({"measure": "sum", "property": "eur"}, 10, EVER, "7.5 of 10 in total so far"),
        ({}, 1, Window(since_signup_hours=24), "1 in the first 24 hours (1 needed)"),
        ({}, 1, Window(since_signup_hours=36), "2 in the first 36 hours (1 needed)"),
        ({}, 9, Window(since_signup_days=1), "1 of 9 in the first day"),
        ({}, 9, Window(since_signup_days=1.5), "2 of 9 in the first 1.5 days"),
    ],
)
def test_every_measure_has_its_words(
    measure: dict[str, str], at_least: float, window: Window | None, told: str
) -> None:
    world = World(counting("it", "done", at_least=at_least, window=window, **measure))
    for days_ago, file in ((2, "a"), (1, "b"), (0, "a")):
        world.happened("done", days_ago, file=file, eur=2.5)
    assert world.line("it").text.startswith(f"it: {told}, last on 5 Mar 2026: ")


def test_people_are_counted_as_people() -> None:
    world = World(counting("all", "done", measure="values", property="$user", subject="account", window=EVER))
    world.tell("track", "done", 1, user="u2")
    world.happened("done", 0)
    assert world.line("all", user="").text.startswith("all: 2 people so far (1 needed)")


def test_fading_points_and_their_half_life_are_told() -> None:
    world = World(msgspec.structs.replace(CAMPAIGN, window=EVER, decay=Decay(half_life_days=14, grace_days=0)))
    world.happened("sent", 14)
    line = world.line("campaign")
    assert line.points == 2.5
    assert line.text.endswith(": 2.5 points, fades by half every 14 days")


def test_what_a_group_cap_took_is_told_of_the_smallest_contributions() -> None:
    parts = [
        counting(key, key, points=points, group="use", window=EVER) for key, points in (("a", 5), ("b", 3), ("c", 2))
    ]
    world = World(*parts, groups=(Group(key="use", name="Usage", cap=6),))
    for name in "abc":
        world.happened(name, 0)
    found = {line.key: (line.points, line.capped) for line in world.report().reasons}
    assert found == {"a": (5, 0), "b": (1, 2), "c": (0, 2), "hand_raise": (0, 0)}
    assert world.line("b").text.endswith(": 1 point (2 more would pass the limit of Usage)")
    assert world.report().score == 6


def test_a_milestone_without_points_is_reached_or_not() -> None:
    world = World(counting("domain", "connected", points=0))
    assert world.line("domain").text == "domain: 0 of 1 in the last 14 days: not reached yet"
    world.happened("connected", 0)
    assert world.line("domain").text.endswith(": reached")


def test_negative_points_are_told_as_such() -> None:
    world = World(counting("left", "exported", points=-2))
    assert world.line("left").text.endswith(": 0 points")
    world.happened("exported", 0)
    assert world.line("left").text.endswith(": -2 points")


@pytest.mark.parametrize(
    ("traits", "told"),
    [
        ({"used": 450, "limit": 500}, "Contacts: 450 of 500 used (90 %), 95 % needed: 0 points yet"),
        ({"used": 499.5, "limit": 500}, "Contacts: 499.5 of 500 used (99 %), 95 % needed: 3 points"),
        ({"used": 1, "limit": 0}, "Contacts: 1 of 0 used, 95 % needed: 0 points yet"),
        ({"used": 1}, "Contacts: not known: 0 points yet"),
    ],
)
def test_a_usage_limit_is_told_in_numbers(traits: dict[str, Any], told: str) -> None:
    world = World(Milestone(key="full", name="Contacts", usage=Usage(value="used", limit="limit", share=0.95)))
    world.tell("group", **traits)
    assert world.line("full").text == told


def test_a_usage_limit_measures_against_its_share() -> None:
    world = World(Milestone(key="full", name="Contacts", usage=Usage(value="used", limit="limit")))
    world.tell("group", used=450, limit=500)
    assert world.line("full").text == "Contacts: 450 of 500 used (90 %): 0 points yet"
    assert (world.line("full").measured, world.line("full").needed) == (450, 500)


def test_a_trait_milestone_names_the_traits_it_looks_at() -> None:
    when = Condition(
        any=(Condition(trait="role", in_=("admin",)), Condition(account_trait="size", at_least=100)),
    )
    world = World(Milestone(key="who", name="Buyer", when=when, points=2))
    assert world.line("who").text == "Buyer: role is not known and size is not known: 0 points yet"
    world.tell("identify", role="admin")
    world.tell("group", size=12)
    assert world.line("who").text == "Buyer: role is admin and size is 12: 2 points"


def test_fit_is_told_apart_and_is_no_part_of_the_score() -> None:
    world = World(
        CAMPAIGN, Milestone(key="icp", axis="fit", points=4, when=Condition(account_trait="size", at_least=9))
    )
    world.tell("group", size=12)
    report = world.report()
    assert (report.score, report.fit) == (0, 4)
    assert world.line("icp").text.endswith(": 4 points of fit")


def test_reached_milestones_come_first_the_strongest_first() -> None:
    world = World(TEAM, counting("weak", "w", points=1), CAMPAIGN, counting("big", "b", points=9))
    world.happened("w", 0)
    world.happened("sent", 0)
    assert [line.key for line in world.report().reasons] == ["campaign", "weak", "big", "team", "hand_raise"]


@pytest.mark.parametrize(
    ("measure", "window", "is_bound"),
    [
        ({"measure": "values", "property": "n"}, EVER, True),
        ({"measure": "values", "property": "n"}, Window(days=3), False),
        ({"measure": "values", "property": "n"}, Window(days=30), True),
        ({}, EVER, False),
        ({}, Window(days=4), False),
        ({}, Window(days=5), True),
        ({"measure": "days"}, EVER, True),
        ({}, Window(since_signup_days=30), True),
        ({}, Window(since_signup_days=2), False),
    ],
)
def test_a_measure_that_the_capacity_cut_says_at_least(measure: Any, window: Window, is_bound: bool) -> None:
    world = World(counting("it", "done", window=window, **measure), capacity=Capacity(days=4, occurrences=4, values=4))
    for day in range(8):
        world.happened("done", day, n=day)
    line = world.line("it")
    assert line.is_lower_bound == is_bound
    assert ("at least" in line.text) == is_bound


def test_at_capacity_with_nothing_let_go_the_measure_is_exact() -> None:
    for window in (EVER, Window(days=400), Window(since_signup_days=400)):
        world = World(counting("it", "done", window=window), capacity=Capacity(days=4, occurrences=4))
        world.happened("done", 0, 1, 2, 3)
        assert not world.line("it").is_lower_bound


WARM = Thresholds(
    warm=Entry(score=5),
    hot=Entry(score=8, gates=(Gate(milestones=("campaign", "team"), at_least=2), Gate(fit=3))),
)


def test_a_tier_says_what_is_missing() -> None:
    world = World(CAMPAIGN, TEAM, member=WARM)
    world.happened("sent", 0)
    warm, hot = world.report().tiers
    assert (warm.tier, warm.is_entered, warm.missing, warm.held_until) == ("warm", True, 0, None)
    assert warm.text == "Warm: 5 of 5 points"
    assert (hot.is_entered, hot.threshold, hot.missing) == (False, 8, 3)
    assert [(gate.kind, gate.needed, gate.actual, gate.is_met) for gate in hot.gates] == [
        ("milestones", 2, 1, False),
        ("fit", 3, 0, False),
    ]
    assert hot.text == (
        "Hot: 5 of 8 points; needs 2 of: Sent a campaign or Invited 3 teammates (1 reached); "
        "needs 3 points of fit (has 0)"
    )


def test_active_users_are_a_gate_of_accounts() -> None:
    hot = Thresholds(hot=Entry(score=0, gates=(Gate(active_users=3, days=7),)))
    world = World(CAMPAIGN, account=hot)
    for user in ("u1", "u2"):
        world.tell("track", "x", 1, user=user)
    (line,) = world.report("").tiers
    assert line.text == "Hot: 0 of 0 points; needs 3 active users in the last 7 days (has 2)"
    assert world.report("").active_users == 2
    world.tell("track", "x", 1, user="u3")
    (line,) = world.report("").tiers
    assert line.is_entered
    assert line.gates[0].is_met
    assert world.report("u1").active_users is None


def test_a_tier_that_is_only_held_says_until_when() -> None:
    world = World(msgspec.structs.replace(CAMPAIGN, window=Window(days=2)), member=Thresholds(warm=Entry(score=5)))
    world.happened("sent", 3)
    report = world.report()
    (line,) = report.tiers
    assert (report.tier, report.entry, line.is_entered, line.held_until) == ("warm", "none", False, "2026-03-06")
    assert line.text == "Warm: held until 6 Mar 2026, now 0 of 5 points"
    last = to_micros("2026-03-06T23:59:59.999999Z")
    assert world.standing(at=last).tier == "warm"
    assert world.standing(at=last + 1).tier == "none"
    assert world.report(at=last + 1).tiers[0].held_until is None


def test_the_episode_tells_its_day_and_phase() -> None:
    world = World(CAMPAIGN, member=WARM)
    world.happened("sent", 0)
    start = world.standing()
    report = world.report(at=NOON + 8 * DAY, standing=start)
    assert (report.phase, report.episode and report.episode.day) == ("help", 8)
    assert report.episode is not None
    assert (report.episode.started_at, report.episode.goal) == ("2026-03-05T12:00:00Z", "paid")
    assert report.episode.last_day == "2026-04-01"
    ended = Episode(NOON, "paid", "warm", 7, "x", NOON + DAY, "goal")
    resting = world.report(at=NOON + 2 * DAY, standing=msgspec.structs.replace(start, episode=ended))
    assert resting.phase == "rest"
    assert resting.episode is not None
    assert (resting.episode.ended_at, resting.episode.end_reason) == ("2026-03-06T12:00:00Z", "goal")


def test_explaining_starts_no_episode() -> None:
    world = World(CAMPAIGN, member=WARM)
    world.happened("sent", 0)
    report = world.report(standing=UNJUDGED)
    assert (report.tier, report.episode, report.phase) == ("warm", None, "")


def test_the_outlook_is_what_judging_then_finds() -> None:
    world = World(msgspec.structs.replace(CAMPAIGN, window=Window(days=14)), TEAM, member=WARM)
    world.happened("sent", 9)
    world.happened("invited", 1, 1, 1)
    found = [(line.days, line.score, line.tier) for line in world.report().outlook]
    assert found == [(0, 8, "warm"), (7, 3, "warm"), (30, 3, "none")]
    assert world.report().outlook[1].at == to_iso(NOON + 7 * DAY)


def test_sub_scores_follow_their_formulas() -> None:
    world = World(CAMPAIGN, TEAM, counting("cheap", "login", category="hygiene"))
    world.happened("sent", 2, 3, 4, 5)
    world.happened("login", 2, 9, 14, 20)
    found = world.report().sub_scores
    assert found.depth == 75
    assert found.breadth == 50
    assert found.recency == 90.6
    assert found.frequency == 35.7


def test_sub_scores_of_nobody_are_nought() -> None:
    found = World(CAMPAIGN, TEAM).report().sub_scores
    assert (found.depth, found.breadth, found.recency, found.frequency) == (0, 0, 0, 0)


def test_without_activation_educate_with_it_assist_after_the_goal_neither() -> None:
    world = World(CAMPAIGN, TEAM)
    world.happened("invited", 0, 0, 0)
    assert world.report().label == "educate"
    world.happened("sent", 0)
    assert world.report().label == "assist"
    world.tell("convert", "paid")
    assert world.report().label == ""


def test_without_an_aha_any_value_milestone_is_activation() -> None:
    world = World(TEAM, counting("cheap", "login", category="hygiene"))
    world.happened("login", 0)
    assert world.report().label == "educate"
    world.happened("invited", 0, 0, 0)
    assert world.report().label == "assist"


def test_why_now_is_the_latest_strong_thing_done() -> None:
    world = World(CAMPAIGN, TEAM, counting("cheap", "login", category="hygiene"))
    world.happened("login", 0)
    assert world.report().why_now == "Nothing that shows value was done lately."
    world.happened("invited", 3, 4, 5)
    world.happened("sent", 0.125, 5)
    assert world.report().why_now == "Sent a campaign: 3 hours ago, 2 in the last 14 days."
    world.happened("hand_raised", 0.01)
    assert world.report().why_now == "Asked to be contacted: 14 minutes ago, 1 in the last 30 days."


def test_the_report_names_its_subject_and_segment_and_is_json() -> None:
    world = World(CAMPAIGN, member=WARM)
    world.happened("sent", 0)
    report = world.report()
    assert (report.account_id, report.user_id, report.definition) == ("a1", "u1", 7)
    assert (report.segment, report.segment_name, report.at) == ("smb", "Small", "2026-03-05T12:00:00Z")
    assert report.next_change is not None
    assert report.next_change > report.at
    assert msgspec.json.decode(msgspec.json.encode(report), type=StandingReport) == report
    assert World(TEAM).report().next_change is None


def test_looking_ahead_and_back_leaves_the_subject_in_the_present() -> None:
    new = Condition(account_trait="joined", within_days=5)
    world = World(
        msgspec.structs.replace(CAMPAIGN, window=Window(days=2)),
        member=Thresholds(warm=Entry(score=5)),
        segment={"when": new},
    )
    world.tell("group", joined=to_iso(NOON - DAY))
    world.happened("sent", 3)
    judged = world.judged()
    report = explain_standing(world.rules, judged, UNJUDGED, NOON)
    assert (report.tier, report.segment, report.segment_name) == ("warm", "smb", "Small")
    assert judged.facts.now == NOON


CATEGORIES: Sequence[Category] = ("high", "medium", "context", "hygiene")


@settings(max_examples=150, deadline=None)
@given(
    events=st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 30)), max_size=25),
    cap=st.integers(1, 8),
    score=st.integers(1, 9),
    later=st.integers(0, 12),
)
def test_reasons_add_up_to_the_score_and_tiers_agree_with_judging(
    events: list[tuple[str, int]], cap: int, score: int, later: int
) -> None:
    parts = [
        counting(key, key, category=CATEGORIES[index], group="use" if key in "abc" else "", at_least=index or 1)
        for index, key in enumerate("abcd")
    ]
    bad = counting("bad", "b", points=-1.5, group="use", window=Window(days=3))
    entry = Thresholds(warm=Entry(score=score), hot=Entry(score=score + 1, gates=(Gate(milestones=("a",)),)))
    decay = {"decay": Decay(half_life_days=5, grace_days=1)}
    world = World(*parts, bad, groups=(Group(key="use", cap=cap),), member=entry, segment=decay)
    for name, days_ago in events:
        world.happened(name, days_ago)
    at = NOON + later * DAY
    standing, report = world.standing(at=at), world.report(at=at)
    assert sum(round(1000 * line.points) for line in report.reasons) == standing.score == round(1000 * report.score)
    assert {line.key for line in report.reasons if line.is_reached} == set(standing.reached)
    assert report.entry == standing.entry == next((t.tier for t in report.tiers[::-1] if t.is_entered), "none")
    for line in report.tiers:
        assert line.is_entered == (line.missing == 0 and all(gate.is_met for gate in line.gates))
    held = next((t.tier for t in report.tiers[::-1] if t.is_entered or t.held_until), "none")
    assert report.tier == standing.tier == held
    assert all(0 <= part <= 100 for part in msgspec.structs.astuple(report.sub_scores))


def test_words_for_dates_do_not_follow_the_locale_of_the_process() -> None:
    world = World(CAMPAIGN)
    world.happened("sent", 0)
    before = locale.setlocale(locale.LC_TIME)
    try:
        for name in ("de_DE.UTF-8", "fr_FR.UTF-8", "C"):
            try:
                locale.setlocale(locale.LC_TIME, name)
            except locale.Error:
                continue
            assert "last on 5 Mar 2026" in world.line("campaign").text
    finally:
        locale.setlocale(locale.LC_TIME, before)
