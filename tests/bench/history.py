"""What ``track``, ``decide`` and draining cost when a member's history grows a thousand times.

Two stores hold one member each. The first has done two things on each of as many days as a state keeps, the second as
many times more on the same days: both states are at capacity, and equally large.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median

from nudge_sdk import NudgeClient
from nudge_sdk.rules.records import Record
from nudge_sdk.rules.tallies import CAPACITY
from nudge_sdk.rules.times import DAY
from tests.bench.decide import ask, forget
from tests.bench.harness import Figure, Limit, Scale, by_turns, each_call, in_words, ratios, seconds_a_call
from tests.bench.product import EVENTS, PEOPLE, QUESTIONS, START, Done, Steps, client, definition
from tests.bench.stored import fill, record
from tests.bench.track import track

PERSON = PEOPLE[0]
DAILY = (EVENTS[0], EVENTS[5])
LIMIT = Limit("at most", 1.2)
ASKED = tuple(asked._replace(user=PERSON.user, account=PERSON.account) for asked in QUESTIONS[:1000])
EVENT = Done(PERSON.user, PERSON.account, DAILY[0], {"plan": "pro", "n": 1})


def measure(folder: Path, scale: Scale) -> Iterator[Figure]:
    """Yield what each costs more with the longer history."""
    folder.mkdir()
    short = _Grown(folder / "short", 1)
    grown = _Grown(folder / "grown", scale.growth)
    calls = min(scale.calls, len(ASKED))
    some = max(20, calls // 20)
    cases: dict[str, tuple[str, Callable[[_Grown], float]]] = {
        "track": ("`track`", lambda each: each.track(calls)),
        "decide": ("`decide`", lambda each: each.decide(calls)),
        "decide_after_event": (
            "`decide` just after an event of the member",
            lambda each: each.decide_after_event(some),
        ),
        "decide_cold": ("`decide`, cold profile", lambda each: each.decide_cold(some)),
        "drain": ("drain with scoring, an event", lambda each: each.drain(calls)),
    }
    for name, (what, measured) in cases.items():
        found = by_turns({"grown": partial(measured, grown), "short": partial(measured, short)}, scale.turns)
        yield Figure(
            f"history_{name}",
            f"{what}, with {grown.events:,} events of one member",
            ratios(found["grown"], found["short"]),
            f"the time with {short.events:,}",
            LIMIT,
            {"days": CAPACITY.days},
            told=f"{in_words(found['grown'])} beside {in_words(found['short'])}",
        )
    for each in (short, grown):
        each.close()


class _Grown:
    """A store with one member whose state is at capacity.

    Args:
        folder: Where it is.
        times: How often the member did on each day what there is to do.
    """

    def __init__(self, folder: Path, times: int) -> None:
        folder.mkdir()
        self.events = CAPACITY.days * len(DAILY) * times
        clock = Steps(step=1000)
        with client(folder, clock) as ours:
            ours.publish(definition())
        fill(folder / "nudge.db", (_day(day, times) for day in range(CAPACITY.days)))
        with client(folder, clock) as ours:
            ours.identify(PERSON.user, PERSON.traits, account=PERSON.account)
            assert ours.flush(60)
        self.ours: NudgeClient = client(folder, clock)

    def track(self, calls: int) -> float:
        self._drain()
        return seconds_a_call(track(self.ours), [EVENT] * calls)

    def decide(self, calls: int) -> float:
        self._drain()
        asked = ASKED[:calls]
        ask(self.ours)(asked[0])
        return seconds_a_call(ask(self.ours), asked)

    def decide_after_event(self, calls: int) -> float:
        self._drain()
        ask(self.ours)(ASKED[0])
        found = []
        for asked in ASKED[:calls]:
            track(self.ours)(EVENT)
            found += each_call(ask(self.ours), [asked])
        return median(found)

    def decide_cold(self, calls: int) -> float:
        self._drain()
        found = []
        for asked in ASKED[:calls]:
            forget(self.ours, (asked,))
            found += each_call(ask(self.ours), [asked])
        return median(found)

    def drain(self, calls: int) -> float:
        self._drain()
        for _ in range(calls):
            track(self.ours)(EVENT)
        began = time.perf_counter()
        self._drain()
        return (time.perf_counter() - began) / calls

    def close(self) -> None:
        self.ours.close()

    def _drain(self) -> None:
        assert self.ours.flush(600)


def _day(day: int, times: int) -> list[Record]:
    start = START - (CAPACITY.days - day) * DAY
    step = DAY // (times * len(DAILY) + 1)
    names = DAILY * times
    return [record(PERSON, name, start + step * index, index) for index, name in enumerate(names)]
