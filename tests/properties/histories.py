"""Generated definitions and histories: what a product may be told, in small alphabets so that cases meet often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from random import Random
from typing import Any, NamedTuple

import msgspec
from hypothesis import Phase, settings
from hypothesis import strategies as st

from nudge_sdk.rules.conditions import Condition, Signal, Window
from nudge_sdk.rules.definition import (
    Decay,
    Definition,
    Entry,
    Gate,
    Goal,
    Group,
    Milestone,
    Segment,
    Thresholds,
    Usage,
)
from nudge_sdk.rules.records import Kind, Record
from nudge_sdk.rules.times import DAY, HOUR, MINUTE, SECOND, to_iso

START = 20_000 * DAY + 9 * HOUR
"""A Friday morning: where histories begin."""

CASES: Counter[str] = Counter()
"""How often each case occurred in this run."""

TO_MIDNIGHT = -1
BEFORE_MIDNIGHT = -2
GAPS = (0, 0, 1, MINUTE, HOUR, 5 * HOUR, BEFORE_MIDNIGHT, TO_MIDNIGHT, DAY - 1, DAY, DAY, 2 * DAY, 3 * DAY, 6 * DAY)
LONG_GAPS = (*GAPS, 13 * DAY, 20 * DAY)

PEOPLE = (("acme", "ann"), ("acme", "bob"), ("acme", "cyd"), ("beta", "ann"), ("personal:dan", "dan"))
VALUES = ("x", "y", "z", 1, 1.5, True, "x")
AMOUNTS = (0.1, 0.2, 0.7, 1, -0.3, 2.675, 0.0000005, 10**12, "many")

Step = tuple[int, str, int, int]
"""(gap before it, what happens, who, which of the variations)."""

Said = tuple[Kind, tuple[str, str], str, dict[str, Any]]
"""(kind, (account, user), name, data)."""

TRACKS = ("a", "a", "a", "a", "b", "b", "c", "c", "c", "d", "e", "hand_raised")
TOLD = ("role", "size", "usage", "trial", "left", "joined", "paid", "unpaid", "extra", "out", "in", "signed_up")
MOVES = ("settle", "settle_elsewhere", "name", "rename", "anonymous", "anonymous", "unsettled", "unsettled")


def window_of(choice: int) -> Window:
    """Return one of the windows that milestones are given."""
    return (
        Window(days=1), Window(days=2), Window(days=4), Window(days=9), Window(ever=True),
        Window(since_signup_hours=30), Window(since_signup_days=3),
    )[choice]  # fmt: skip


def milestone_menu() -> list[Milestone]:
    """Return one milestone of each kind, without points and windows."""
    paid = Condition(property="kind", equals="x")
    soon = Condition(account_trait="trial_ends", within_days=1.5)
    return [
        Milestone(key="some", signal=Signal(event="a"), at_least=2),
        Milestone(key="days", signal=Signal(event="a", measure="days"), at_least=2),
        Milestone(key="streak", signal=Signal(event=("a", "b"), measure="streak"), at_least=2),
        Milestone(key="values", signal=Signal(event="b", measure="values", property="v"), at_least=2),
        Milestone(key="sum", signal=Signal(event="c", measure="sum", property="amount"), at_least=0.3, group="g"),
        Milestone(key="where", signal=Signal(event="c", where=paid), group="g"),
        Milestone(key="bad", signal=Signal(event="d"), points=-3),
        Milestone(key="admin", when=Condition(trait="role", equals="admin"), axis="fit"),
        Milestone(key="trial", when=soon),
        Milestone(key="limit", usage=Usage(value="used", limit="most", share=0.8)),
        Milestone(key="busy", subject="account", signal=Signal(event=("a", "b")), at_least=3),
        Milestone(
            key="people", subject="account", signal=Signal(event="a", measure="values", property="$user"), at_least=2
        ),
        Milestone(
            key="volume", subject="account", signal=Signal(event="c", measure="sum", property="amount"), at_least=1.1
        ),
        Milestone(key="account_trial", subject="account", when=soon),
    ]


Choose = Callable[[Sequence[Any]], Any]
"""Chooses one of several."""


class Drawn(NamedTuple):
    """One example.

    Attributes:
        definition, other: Two definitions.
        steps, later, last: Three histories, the first the longest.
        cuts: Where to cut a history into batches.
        sweeps: Between which batches to sweep: 0 for not.
        seed: For everything else.
    """

    definition: Definition
    other: Definition
    steps: list[Step]
    later: list[Step]
    last: list[Step]
    cuts: list[int]
    sweeps: list[int]
    seed: int

    def random(self) -> Random:
        """Return a source of randomness that is this example's own."""
        return Random(self.seed)


def drawn(what: Sequence[str], *, imported: Sequence[str] = (), gaps: Sequence[int] = GAPS) -> st.SearchStrategy[Drawn]:
    """Draw rich examples out of a seed; in runs that make failing examples smaller, small ones piece by piece too.

    Args:
        what: What may happen.
        imported: What may happen in ``later``, if that is something else.
        gaps: The times between.
    """
    seeded = st.integers(0, 2**64).map(lambda seed: _seeded(seed, what, imported or what, gaps))
    small = _small(what, imported or what, gaps)
    return st.deferred(lambda: st.one_of(small, seeded) if Phase.shrink in settings().phases else seeded)


@st.composite
def _small(draw: st.DrawFn, what: Sequence[str], imported: Sequence[str], gaps: Sequence[int]) -> Drawn:
    def choose(options: Sequence[Any]) -> Any:
        return draw(st.sampled_from(options))

    def steps(kinds: Sequence[str]) -> list[Step]:
        one = st.tuples(st.sampled_from(gaps), st.sampled_from(kinds), st.integers(0, 4), st.integers(0, 8))
        return draw(st.lists(one, min_size=1, max_size=8))

    cuts = draw(st.lists(st.integers(0, 60), max_size=3))
    definition, other = definition_of(choose), definition_of(choose)
    sweeps = draw(st.lists(st.integers(0, 2), min_size=1, max_size=3))
    return Drawn(definition, other, steps(what), steps(imported), steps(what), cuts, sweeps, draw(st.integers(0, 99)))


def _seeded(seed: int, what: Sequence[str], imported: Sequence[str], gaps: Sequence[int]) -> Drawn:
    random = Random(seed)

    def steps(kinds: Sequence[str], most: int) -> list[Step]:
        chosen = [random.choice(kinds) for _ in range(random.randint(most // 2, most))]
        return [(random.choice(gaps), each, random.randrange(5), random.randrange(9)) for each in chosen]

    cuts = [random.randrange(60) for _ in range(random.randrange(12))]
    sweeps = [random.randrange(3) for _ in range(8)]
    definition, other = definition_of(random.choice), definition_of(random.choice)
    return Drawn(definition, other, steps(what, 40), steps(imported, 24), steps(what, 16), cuts, sweeps, seed)


def definition_of(choose: Choose) -> Definition:
    """Choose a definition."""
    given = _milestones(choose)
    goals = (Goal(key="paid"), Goal(key="extra", unit="member"))
    return Definition(
        milestones=given, segments=_segments(given, choose), goals=goals, groups=(Group(key="g", cap=choose((4, 6))),)
    )


def _milestones(choose: Choose) -> tuple[Milestone, ...]:
    """Choose a handful of milestones, with points, windows and decay."""
    menu = milestone_menu()
    chosen = {plain.key: plain for plain in (choose(menu) for _ in range(choose((3, 5, 7, 9))))}
    return tuple(_varied(plain, choose) for plain in chosen.values())


def _varied(plain: Milestone, choose: Choose) -> Milestone:
    changes: dict[str, Any] = {"done": "did it"}
    if plain.points is None:
        changes["points"] = choose((1, 2, 3, 5))
    if plain.signal is not None:
        changes["window"] = window_of(choose(range(1 if plain.signal.measure in ("days", "streak") else 0, 7)))
        if plain.axis == "score" and choose((False, True)):
            half_life, grace = choose(((1, 0), (2, 1), (5, 3)))
            changes["decay"] = Decay(half_life_days=half_life, grace_days=grace)
    return msgspec.structs.replace(plain, **changes)


def _segments(given: tuple[Milestone, ...], choose: Choose) -> tuple[Segment, ...]:
    """Choose a segment for big accounts and one for everybody."""
    keys = [each.key for each in given if each.subject == "member"]
    big = Condition(account_trait="size", equals="big")
    return (_segment("big", big, keys, choose), _segment("rest", None, keys, choose))


def _segment(key: str, when: Condition | None, keys: list[str], choose: Choose) -> Segment:
    warm = choose((1, 2, 3))
    hot = warm + choose((1, 2, 4))
    gates: list[Gate] = []
    if keys and choose((False, False, False, True)):
        gates.append(Gate(milestones=(choose(keys),)))
    if choose((False, False, False, False, True)):
        gates.append(Gate(fit=1))
    users = choose((None, None, 2, 3))
    account_gates = (Gate(active_users=users, days=choose((1, 2, 3, 4))),) if users else ()
    episode, rest, help_after = choose(((2, 1, 1), (3, 2, 1), (5, 4, 2), (28, 30, 7)))
    return Segment(
        key=key,
        when=when,
        member=Thresholds(warm=Entry(score=warm), hot=Entry(score=hot, gates=tuple(gates))),
        account=Thresholds(warm=Entry(score=warm), hot=Entry(score=hot, gates=account_gates)),
        hold_days=choose((0, 1, 2, 3)),
        episode_days=episode,
        rest_days=rest,
        help_after_days=help_after,
    )


def to_records(steps: Sequence[Step], *, start: int = START, prefix: str = "m") -> list[Record]:
    """Turn steps into records, each received at the instant it counts at."""
    at = start
    found = []
    for index, (gap, what, who, choice) in enumerate(steps):
        at = after_gap(at, gap)
        found.append(_record(f"{prefix}{index * 37 % 100:02d}.{index}", at, what, PEOPLE[who], choice))
    return sorted(found, key=lambda record: (record.received_at, record.id))


def after_gap(at: int, gap: int) -> int:
    """Return the instant a gap leads to."""
    midnight = (at // DAY + 1) * DAY
    if gap == TO_MIDNIGHT:
        return midnight
    return midnight - 1 if gap == BEFORE_MIDNIGHT else at + gap


def _record(id: str, at: int, what: str, person: tuple[str, str], choice: int) -> Record:
    sent = at + DAY if choice == 8 and what in TRACKS else at
    kind, key, name, data = _said(what, person, choice, at)
    return Record(kind, key[0], key[1], id, sent, at, name, data)


def _said(what: str, person: tuple[str, str], choice: int, at: int) -> Said:
    if what in TRACKS:
        kind = "x" if choice % 3 == 0 else "y"
        return "track", person, what, {"v": VALUES[choice % 7], "amount": AMOUNTS[choice], "kind": kind}
    if what in MOVES:
        return _moving(what, choice)
    return _told(what, person, choice, at)


def _told(what: str, person: tuple[str, str], choice: int, at: int) -> Said:
    account, user = person
    named = "acme" if account.startswith("personal:") else account
    team = (named, user if named == account else "ann")
    alone = (named, "")
    match what:
        case "role":
            return "identify", person, "", {"role": ("admin", "viewer", None)[choice % 3], "tz": choice}
        case "signed_up":
            return "identify", person, "", {"created_at": to_iso(at - (choice % 4) * DAY)}
        case "size":
            return "group", alone, "", {"size": ("big", "small", None)[choice % 3]}
        case "usage":
            return "group", team, "", {"used": choice, "most": 8}
        case "trial":
            return "group", alone, "", {"trial_ends": to_iso(at + (choice - 3) * 7 * HOUR + SECOND)}
        case "left":
            return "left", team, "", {}
        case "joined":
            return "group", team, "", {}
        case "paid":
            return "convert", (alone if choice % 2 else team), "paid", {"value": choice}
        case "unpaid":
            return "churn", alone, "paid", {}
        case "extra":
            return "convert", person, "extra", {}
        case "out":
            return "opt_out", person, "", {}
    return "opt_in", person, "", {}


def _moving(what: str, choice: int) -> Said:
    dan, anonymous = ("personal:dan", "dan"), ("personal:anon", "anon")
    acted = ("a", "b", "c")[choice % 3]
    properties = {"v": VALUES[choice % 7], "amount": AMOUNTS[choice]}
    match what:
        case "settle":
            return "group", ("acme", "dan"), "", {"used": choice}
        case "settle_elsewhere":
            return "group", ("beta", "dan"), "", {}
        case "name":
            if choice == 7:
                return "alias", dan, "anon", {}
            return "alias", anonymous, "dan" if choice % 4 else "eve", {}
        case "rename":
            who, name = (("bob", "ann"), ("bob", "cyd"), ("ann", "bob"), ("cyd", "bob"))[choice % 4]
            return "alias", ("acme", who), name, {}
        case "anonymous":
            return "track", anonymous, acted, properties
    return "track", dan, acted, properties


def batches(records: Sequence[Record], cuts: Sequence[int]) -> list[list[Record]]:
    """Cut records into batches at these places."""
    places = sorted({cut % (len(records) + 1) for cut in cuts} | {0, len(records)})
    return [list(records[start:end]) for start, end in pairwise(places)]
