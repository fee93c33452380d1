"""How long ``decide`` takes, beside GrowthBook with as many rules and a loop over them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from nudge_sdk import Decision, NudgeClient, Options
from nudge_sdk.rules.records import PERSONAL
from nudge_sdk.rules.times import DAY, MINUTE
from nudge_sdk.store import open_store
from tests.bench.harness import (
    Figure,
    Limit,
    Scale,
    by_turns,
    each_call,
    endless,
    in_words,
    microseconds,
    p50_p99,
    ratios,
    seconds_a_call,
)
from tests.bench.peers import growthbook, is_targeted, plain_loop
from tests.bench.product import (
    DONE,
    NUDGES,
    PEOPLE,
    PLACEMENT,
    QUESTIONS,
    START,
    Asked,
    Steps,
    client,
    definition,
    placement_of,
)
from tests.bench.watching import WatchedStore

NOTHING = "`decide`, 20 nudges, 10 milestones, warm profile, nothing to show"
MANY_NUDGES, PLACEMENTS = 200, 20
# Each member is asked about each placement once before a question comes again.
SPREAD_QUESTIONS = tuple(
    asked._replace(placement=placement_of((index + index // len(PEOPLE)) % PLACEMENTS))
    for index, asked in enumerate(QUESTIONS[: PLACEMENTS * len(PEOPLE)])
)


def measure(folder: Path, scale: Scale) -> Iterator[Figure]:
    """Yield what is measured of ``decide``."""
    yield from _nothing_to_show(folder, scale)
    yield _something_to_show(folder / "shown", scale)


def _nothing_to_show(folder: Path, scale: Scale) -> Iterator[Figure]:
    prepare(folder / "few")
    prepare(folder / "many", nudges=MANY_NUDGES, placements=PLACEMENTS)
    clock = Steps(step=20_000)
    ours, store = _watched(folder / "few", clock)
    many, _ = _watched(folder / "many", clock)
    with ours, many, client(folder / "few", clock, max_staleness=2.0, refresh_seconds=2.0) as default:
        reasons = Counter(reason for asked in QUESTIONS[:1000] for reason in _expect_nothing(ask(ours)(asked)))
        for asked in SPREAD_QUESTIONS:
            _expect_nothing(ask(many)(asked), MANY_NUDGES // PLACEMENTS)
        questions, spread = endless(QUESTIONS), endless(SPREAD_QUESTIONS)
        store.calls.clear()

        def hot(call: Callable[[Asked], object], among: Iterator[Asked], calls: int) -> Callable[[], float]:
            return lambda: seconds_a_call(call, list(islice(among, calls)))

        found = by_turns(
            {
                "decide": hot(ask(ours), questions, scale.calls),
                "many": hot(ask(many), spread, scale.calls),
                "loop": hot(plain_loop(), questions, scale.calls),
                "growthbook": hot(growthbook(), questions, scale.calls // 4),
                "default": hot(ask(default), questions, scale.calls),
            },
            scale.turns,
        )
        calls = dict(store.calls)
        paced = [
            p50_p99(each_call(ask(ours), list(islice(questions, scale.paced)), a_second=1000)) for _ in range(scale.few)
        ]
        details = {
            "decide_us": microseconds(found["decide"]),
            "growthbook_us": microseconds(found["growthbook"]),
            "plain_loop_us": microseconds(found["loop"]),
            "with_profiles_read_again_every_2_s_us": microseconds(found["default"]),
            "not_in_memory_us": microseconds(_cold(ours, scale)),
            "just_after_own_event_us": microseconds(_after_event(ours, scale)),
            "store_calls": calls,
            "decisions_counted": scale.turns * scale.calls,
            "members": len(PEOPLE),
            "reasons_of_1000_decisions": {str(reason): number for reason, number in sorted(reasons.items())},
        }
    is_quiet = not calls
    yield Figure(
        "decide",
        NOTHING,
        ratios(found["decide"], found["growthbook"]),
        "of GrowthBook's time, its instance reused, 20 rules",
        Limit("at most", 1 / 15),
        details,
        "1/n",
        f"{in_words(found['decide'])} beside {in_words(found['growthbook'])}",
        holds=is_quiet,
    )
    yield Figure(
        "decide_loop",
        "the same",
        ratios(found["decide"], found["loop"]),
        "the time of a plain Python loop over 20 rules",
        Limit("at most", 5),
        {},
        told=f"{in_words(found['decide'])} beside {in_words(found['loop'])}",
        holds=is_quiet,
    )
    yield Figure(
        "decide_p99",
        "the same, 1,000 paced calls a second: the 99th percentile",
        [each["p99_us"] / each["p50_us"] for each in paced],
        "the median of these calls",
        Limit("at most", 6),
        {"calls_a_turn": scale.paced},
        told=" beside ".join(f"{median(each[name] for each in paced):.3g} µs" for name in ("p99_us", "p50_us")),
    )
    yield Figure(
        "decide_200",
        f"the same with {MANY_NUDGES} nudges over {PLACEMENTS} placements",
        ratios(found["many"], found["decide"]),
        "as long as with 20 over one",
        Limit("at most", 1.5),
        {"decide_us": microseconds(found["many"])},
        told=f"{in_words(found['many'])} beside {in_words(found['decide'])}",
    )


def _something_to_show(folder: Path, scale: Scale) -> Figure:
    prepare(folder, shows=True)
    clock = Steps(step=1)
    eligible = [asked for asked in QUESTIONS[:1000] if is_targeted(asked)]
    ours, store = _watched(folder, clock)
    with ours:
        first: list[float] = []

        def offer() -> float:
            clock.at += 2 * MINUTE
            return median(_outside(ours, store, eligible, first))

        again: list[float] = []
        offer()
        first.clear()
        store.calls.clear()
        found = by_turns(
            {
                "offer": offer,
                "on display": lambda: median(_outside(ours, store, eligible, again)),
                "growthbook": lambda: seconds_a_call(growthbook(), eligible),
            },
            scale.few,
        )
    details = {
        "first_offer_outside_the_store_us": microseconds(found["offer"]),
        "on_display_outside_the_store_us": microseconds(found["on display"]),
        "growthbook_us": microseconds(found["growthbook"]),
        "first_offer_with_confirmation": p50_p99(first),
        "on_display_with_confirmation": p50_p99(again),
        "store_calls": dict(store.calls),
        "offers": len(first),
    }
    told = (
        f"on display {in_words(found['on display'])}, with its confirmation {in_words(again)}; "
        f"a first offer {in_words(found['offer'])}, with its confirmation {in_words(first)}"
    )
    return Figure(
        "decide_shown",
        "`decide` with a nudge on display, without the store's confirmation",
        ratios(found["on display"], found["growthbook"]),
        "GrowthBook's time",
        None,
        details,
        told=told,
    )


def _outside(ours: NudgeClient, store: WatchedStore, eligible: list[Asked], whole: list[float]) -> list[float]:
    """Ask for nudges; return what each took without the store, in seconds, and note what it took as a whole."""
    outside = []
    for asked in eligible:
        before = store.seconds
        whole += each_call(lambda asked: _expect_nudge(ask(ours)(asked)), [asked])
        outside.append(whole[-1] - (store.seconds - before))
    return outside


def _watched(folder: Path, clock: Steps) -> tuple[NudgeClient, WatchedStore]:
    store: Any = WatchedStore(open_store(f"sqlite:///{folder / 'nudge.db'}"))
    options = Options(on_error="raise", max_staleness=3600.0, refresh_seconds=3600.0)
    ours = NudgeClient(store, journal=folder / "journals", drain="external", clock=clock, options=options)
    return ours, store


def prepare(folder: Path, *, store: str = "", **rules: Any) -> None:
    """Make a store in which every member has done something over the last days, and some were offered something.

    Args:
        folder: Where its journals are, and its file if ``store`` names no other one.
        store: Its address.
        rules: What ``definition`` takes.
    """
    folder.mkdir(parents=True)
    clock = Steps(START - 5 * DAY)
    with client(folder, clock, store=store) as setup:
        setup.publish(definition(**rules))
        for person in PEOPLE:
            setup.identify(person.user, person.traits, account=person.account)
        for index, done in enumerate(DONE[: 8 * len(PEOPLE)]):
            clock.at = START - 5 * DAY + index * (5 * DAY // (8 * len(PEOPLE)))
            setup.track(done.user, done.event, done.properties, account=done.account)
        assert setup.flush(600)
        clock.at = START - 2 * DAY
        for asked in QUESTIONS[:1000:3]:
            setup.decide(PLACEMENT, user=asked.user, account=asked.account, context={"page": "/checkout"})
        clock.at = START
        setup.sweep()


def ask(ours: NudgeClient) -> Callable[[Asked], Decision]:
    """Return a question put to the SDK."""
    decide = ours.decide
    return lambda asked: decide(asked.placement, user=asked.user, account=asked.account, context=asked.context)


def _expect_nothing(decision: Decision, candidates: int = NUDGES) -> list[Any]:
    assert not decision, decision
    assert len(decision.reasons) == candidates, decision
    assert not decision.account.startswith(PERSONAL)
    return list(decision.reasons.values())


def _expect_nudge(decision: Decision) -> None:
    assert decision, decision.reasons


def _cold(ours: NudgeClient, scale: Scale) -> list[float]:
    some = QUESTIONS[: min(1000, scale.calls)]
    forget(ours, some)
    return each_call(ask(ours), some)


def forget(ours: NudgeClient, questions: tuple[Asked, ...]) -> None:
    """Leave nothing in memory of those who are asked about."""
    for asked in questions:
        ours.profiles.forget(asked.account)
    ours.profiles.moved()


def _after_event(ours: NudgeClient, scale: Scale) -> list[float]:
    found = []
    for asked, done in zip(QUESTIONS[: min(1000, scale.calls)], DONE, strict=False):
        ours.track(asked.user, done.event, done.properties, account=asked.account)
        found += each_call(ask(ours), [asked])
    return found
