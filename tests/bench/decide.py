"""How long ``decide`` takes, beside GrowthBook with as many rules."""

from __future__ import annotations

import importlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
    microseconds,
    p50_p99,
    ratios,
    seconds_a_call,
)
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
    plans_of,
)

EIGHTH = Limit("at most", 1 / 8)
UNIT = "of GrowthBook's reused instance with 20 rules"


class WatchedStore:
    """A store that counts its calls, by name, and the seconds spent in them.

    A transaction's seconds run from its beginning to its commit.
    """

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.calls: Counter[str] = Counter()
        self.seconds = 0.0

    @contextmanager
    def transaction(self, *, wait: float) -> Iterator[Any]:
        self.calls["transaction"] += 1
        started = time.perf_counter()
        try:
            with self.inner.transaction(wait=wait) as transaction:
                yield transaction
        finally:
            self.seconds += time.perf_counter() - started

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.inner, name)

        def call(*arguments: Any, **named: Any) -> Any:
            self.calls[name] += 1
            started = time.perf_counter()
            try:
                return found(*arguments, **named)
            finally:
                self.seconds += time.perf_counter() - started

        return call


def measure(folder: Path, scale: Scale) -> Iterator[Figure]:
    """Yield what is measured of ``decide``."""
    yield _nothing_to_show(folder / "nothing", scale)
    yield _something_to_show(folder / "shown", scale)


def _nothing_to_show(folder: Path, scale: Scale) -> Figure:
    _prepare(folder)
    clock = Steps(step=20_000)
    ours, store = _watched(folder, clock)
    with ours, client(folder, clock, max_staleness=2.0, refresh_seconds=2.0) as default:
        reasons = Counter(reason for asked in QUESTIONS[:1000] for reason in _expect_nothing(_ask(ours)(asked)))
        questions = endless(QUESTIONS)
        store.calls.clear()
        found = by_turns(
            {
                "decide": lambda: seconds_a_call(_ask(ours), list(islice(questions, scale.calls))),
                "growthbook": lambda: seconds_a_call(_growthbook(), list(islice(questions, scale.calls // 4))),
                "default": lambda: seconds_a_call(_ask(default), list(islice(questions, scale.calls))),
            },
            scale.turns,
        )
        calls = dict(store.calls)
        paced = each_call(_ask(ours), list(islice(questions, scale.paced)), a_second=1000)
        details = {
            "decide_us": microseconds(found["decide"]),
            "growthbook_us": microseconds(found["growthbook"]),
            "with_profiles_read_again_every_2_s_us": microseconds(found["default"]),
            "paced_1000_a_second": p50_p99(paced),
            "not_in_memory_us": microseconds(_cold(ours, scale)),
            "just_after_own_event_us": microseconds(_after_event(ours, scale)),
            "store_calls": calls,
            "decisions_counted": scale.turns * scale.calls,
            "members": len(PEOPLE),
            "reasons_of_1000_decisions": {str(reason): number for reason, number in sorted(reasons.items())},
        }
    return Figure("decide", ratios(found["decide"], found["growthbook"]), UNIT, EIGHTH, details, holds=not calls)


def _something_to_show(folder: Path, scale: Scale) -> Figure:
    _prepare(folder, shows=True)
    clock = Steps(step=1)
    eligible = [asked for asked in QUESTIONS[:1000] if _is_targeted(asked)]
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
                "growthbook": lambda: seconds_a_call(_growthbook(), eligible),
            },
            max(3, scale.turns // 3),
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
    unit = f"{UNIT}; on display, without the store's confirmation"
    return Figure("decide_shown", ratios(found["on display"], found["growthbook"]), unit, None, details)


def _outside(ours: NudgeClient, store: WatchedStore, eligible: list[Asked], whole: list[float]) -> list[float]:
    """Ask for nudges; return what each took without the store, in seconds, and note what it took as a whole."""
    outside = []
    for asked in eligible:
        before = store.seconds
        whole += each_call(lambda asked: _expect_nudge(_ask(ours)(asked)), [asked])
        outside.append(whole[-1] - (store.seconds - before))
    return outside


def _watched(folder: Path, clock: Steps) -> tuple[NudgeClient, WatchedStore]:
    store: Any = WatchedStore(open_store(f"sqlite:///{folder / 'nudge.db'}"))
    options = Options(on_error="raise", max_staleness=3600.0, refresh_seconds=3600.0)
    ours = NudgeClient(store, journal=folder / "journals", drain="external", clock=clock, options=options)
    return ours, store


def _prepare(folder: Path, *, shows: bool = False) -> None:
    """Make a store in which every member has done something over the last days, and some were offered something."""
    folder.mkdir(parents=True)
    clock = Steps(START - 5 * DAY)
    with client(folder, clock) as setup:
        setup.publish(definition(shows=shows))
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


def _ask(ours: NudgeClient) -> Callable[[Asked], Decision]:
    decide = ours.decide
    return lambda asked: decide(PLACEMENT, user=asked.user, account=asked.account, context=asked.context)


def _growthbook() -> Callable[[Asked], object]:
    """Return GrowthBook's question about one flag with as many rules, on an instance that is kept."""
    instance = importlib.import_module("growthbook").GrowthBook(
        attributes={},
        features={
            "flag": {
                "defaultValue": False,
                "rules": [
                    {
                        "condition": {"country": "DE", "plan": {"$in": plans_of(index)}, "age_days": {"$gte": 7}},
                        "force": True,
                        "coverage": 0.5,
                        "hashAttribute": "id",
                    }
                    for index in range(NUDGES)
                ],
            }
        },
    )

    def ask(asked: Asked) -> object:
        instance.set_attributes(_ATTRIBUTES[asked.user])
        return instance.is_on("flag")

    return ask


_ATTRIBUTES = {person.user: {"id": person.user, "company": person.account, **person.traits} for person in PEOPLE}


def _is_targeted(asked: Asked) -> bool:
    traits = _ATTRIBUTES[asked.user]
    return traits["plan"] in plans_of(NUDGES - 1) and traits["age_days"] >= 7


def _expect_nothing(decision: Decision) -> list[Any]:
    assert not decision, decision
    assert len(decision.reasons) == NUDGES, decision
    assert not decision.account.startswith(PERSONAL)
    return list(decision.reasons.values())


def _expect_nudge(decision: Decision) -> None:
    assert decision, decision.reasons


def _cold(ours: NudgeClient, scale: Scale) -> list[float]:
    some = QUESTIONS[: min(1000, scale.calls)]
    for asked in some:
        ours.profiles.forget(asked.account)
    ours.profiles.moved()
    return each_call(_ask(ours), some)


def _after_event(ours: NudgeClient, scale: Scale) -> list[float]:
    found = []
    for asked, done in zip(QUESTIONS[: min(1000, scale.calls)], DONE, strict=False):
        ours.track(asked.user, done.event, done.properties, account=asked.account)
        found += each_call(_ask(ours), [asked])
    return found
