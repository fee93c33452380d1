"""A shortlist never changes a choice: with it and without it the same nudge, for the same reasons."""

from __future__ import annotations

import random
from collections import Counter

import msgspec

from nudge_sdk.rules.candidates import Placements, is_fixed
from nudge_sdk.rules.compiled import Rules
from nudge_sdk.rules.conditions import Condition, Facts
from nudge_sdk.rules.definition import (
    Cap,
    Content,
    Definition,
    Nudge,
    Schedule,
    Settings,
    TagCap,
    Trigger,
)
from nudge_sdk.rules.ledger import Display, Ledger, Offer, exposures_of, with_offer, with_report
from nudge_sdk.rules.selection import Person, Reason, select
from nudge_sdk.rules.shortlists import shortlist
from nudge_sdk.rules.standing import UNJUDGED, Episode
from nudge_sdk.rules.times import DAY, HOUR

NOW = 20_500 * DAY
"""A day in February 2026."""


def _condition(draw: random.Random) -> Condition:
    simple = [
        Condition(trait="a", equals=draw.choice("xy")),
        Condition(account_trait="b", in_=("x", "y")),
        Condition(context="c", equals="x"),
        Condition(trait="t", within_days=3),
        Condition(can_purchase=True),
        Condition(exposure=f"n{draw.randrange(8)}", did="seen"),
        Condition(milestone="m"),
        Condition(tier="member", in_=("warm",)),
        Condition(locale=True, equals="de"),
    ]
    kind = draw.random()
    if kind < 0.3:
        return draw.choice(simple)
    if kind < 0.7:
        return Condition(all=tuple(draw.sample(simple, 3)))
    return Condition(any=tuple(draw.sample(simple, 2))) if kind < 0.85 else Condition(not_=draw.choice(simple))


def _nudge(draw: random.Random, number: int) -> Nudge:
    def maybe(share: float) -> bool:
        return draw.random() < share

    return Nudge(
        key=f"n{number}",
        placement="p",
        needs_episode=maybe(0.3),
        goal=draw.choice(["", "paid"]),
        mode=draw.choice(["prompt", "help"]),
        audience=_condition(draw) if maybe(0.8) else None,
        hide=_condition(draw) if maybe(0.15) else None,
        lane="critical" if maybe(0.3) else "normal",
        priority=draw.randrange(3),
        tags=tuple(draw.sample(["k", "l"], draw.randrange(3))),
        lifetime=draw.choice([0, 1, 3]),
        caps=(Cap(count=draw.randrange(3), days=2, per=draw.choice(["member", "account"])),) if maybe(0.3) else (),
        trigger=Trigger(page=("/a*",)) if maybe(0.3) else None,
        schedule=Schedule(starts_at="2026-02-18T00:00:00Z") if maybe(0.15) else None,
        is_paused=maybe(0.1),
        holdout=0.3,
        content=Content(title="t", type=draw.choice(["card", "unheard_of"])),
    )


def _ledger(draw: random.Random) -> Ledger:
    ledger = Ledger()
    for _ in range(draw.randrange(3)):
        key, at = f"n{draw.randrange(8)}", NOW - draw.choice([1, HOUR, DAY, 3 * DAY, 9 * DAY])
        display = Display("p", key, "", "d", at, draw.random() < 0.3) if draw.random() < 0.5 else None
        ledger = with_offer(ledger, Offer(at, key), display)
        if draw.random() < 0.4:
            kind = draw.choice(["dismissed", "snoozed", "completed", "shown"])
            ledger = with_report(ledger, key, kind, at, until=NOW + HOUR)
    return ledger


def _facts(draw: random.Random, ledger: Ledger) -> Facts:
    return Facts(
        NOW,
        traits={"a": draw.choice("xy"), "t": f"2026-02-1{draw.randrange(2, 6)}T00:00:00Z"},
        account_traits={"b": draw.choice("xz")},
        tier=draw.choice(["none", "warm"]),
        reached={"m": NOW - 5} if draw.random() < 0.5 else {},
        exposures=exposures_of(ledger),
    )


def _person(draw: random.Random, facts: Facts, ledger: Ledger) -> Person:
    episode = Episode(NOW - DAY, "paid", "warm", 1, "x") if draw.random() < 0.5 else None
    standing = msgspec.structs.replace(UNJUDGED, episode=episode)
    phase = draw.choice(["prompt", "help", "rest", ""]) if episode else ""
    met = frozenset(["paid"]) if draw.random() < 0.2 else frozenset[str]()
    opted_out = frozenset(draw.choice([[], ["k"], [""]])) if draw.random() < 0.3 else frozenset[str]()
    return Person("acct", f"u{draw.randrange(99)}", standing, ledger, _ledger(draw), phase, met, opted_out)


def test_with_and_without_a_shortlist_the_choice_and_its_reasons_are_the_same() -> None:
    draw = random.Random(5)
    seen: Counter[str] = Counter()
    for _ in range(400):
        tag_caps = (TagCap(count=1, days=3, tag="k"),) if draw.random() < 0.4 else ()
        nudges = tuple(_nudge(draw, number) for number in range(8))
        placements = Placements(Rules(Definition(nudges=nudges, settings=Settings(tag_caps=tag_caps))))
        for _ in range(3):
            ledger = _ledger(draw)
            facts = _facts(draw, ledger)
            person = _person(draw, facts, ledger)
            among = shortlist(placements, "p", person, facts.asked(NOW, {"c": "x"}, "de", can_purchase=True))
            for _ in range(3):
                context = {"c": draw.choice("xy"), "page": draw.choice(["/a1", "/b"])}
                at = NOW + draw.choice([0, HOUR, DAY, 4 * DAY])
                asked = facts.asked(at, context, draw.choice(["de", "en"]), can_purchase=draw.random() < 0.5)
                plain = select(placements, "p", person, asked)
                assert select(placements, "p", person, asked, among=among) == plain
                seen.update(plain.reasons.values())
                seen["shown" if plain.candidate else "nothing"] += 1
    assert set(seen) >= set(Reason) - {Reason.UNCONFIRMED} | {"shown", "nothing"}


def test_only_what_is_known_of_a_person_between_two_events_is_fixed() -> None:
    assert is_fixed(
        Condition(all=(Condition(trait="a", equals="x"), Condition(not_=Condition(tier="member", equals="hot"))))
    )
    for live in (
        Condition(context="c", equals="x"),
        Condition(trait="t", within_days=3),
        Condition(milestone="m", within_days=1),
        Condition(locale=True, equals="de"),
        Condition(can_purchase=True),
        Condition(any=(Condition(trait="a", equals="x"), Condition(context="c", equals="x"))),
    ):
        assert not is_fixed(live)
