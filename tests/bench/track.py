"""How long ``track`` takes, beside one write of the same bytes and beside PostHog's capture."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

from nudge_sdk import NudgeClient
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
from tests.bench.peers import encode_and_write, posthog
from tests.bench.product import DONE, Done, client, definition

MANY = 8


def measure(folder: Path, scale: Scale) -> Iterator[Figure]:
    """Yield what is measured of ``track``."""
    folder.mkdir()
    file = os.open(folder / "plain", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with client(folder) as ours:
        ours.publish(definition())
        ours.track(DONE[0].user, DONE[0].event, account=DONE[0].account)
        calls = {"track": track(ours), "write": encode_and_write(file), "posthog": posthog()}
        for threads in (1, MANY):
            yield from _figures(ours, calls, threads, _details(folder, ours, scale) if threads == 1 else {}, scale)
    os.close(file)


def _figures(
    ours: NudgeClient, calls: dict[str, Callable[[Done], object]], threads: int, details: dict, scale: Scale
) -> Iterator[Figure]:
    events = endless(DONE)

    def timed(name: str) -> float:
        # Outside the measured time: what is pending must not grow from turn to turn.
        assert ours.flush(600)
        some = list(islice(events, scale.calls // (4 if name == "posthog" else 1)))
        return seconds_a_call(calls[name], some) if threads == 1 else together(calls[name], some, threads)

    found = by_turns({name: partial(timed, name) for name in calls}, scale.turns)
    times = {f"{name}_us": microseconds(seconds) for name, seconds in found.items()}
    by = "one thread" if threads == 1 else f"{threads} threads"
    yield Figure(
        f"track_{threads}",
        f"`track`, durable to `kill -9`, {by}",
        ratios(found["track"], found["write"]),
        "the time of `msgspec` and `os.write`",
        Limit("at most", 4),
        {**times, **details},
        told=f"{in_words(found['track'])} beside {in_words(found['write'])}",
    )
    yield Figure(
        f"track_{threads}_posthog",
        f"`track`, {by}",
        ratios(found["track"], found["posthog"]),
        "of PostHog's `capture`, which only queues in memory",
        Limit("at most", 1 / 15),
        times,
        "1/n",
        f"{in_words(found['track'])} beside {in_words(found['posthog'])}",
    )


def together(call: Callable[[Done], object], items: Sequence[Done], threads: int) -> float:
    """Return the seconds of one call where several threads call at once: the whole time by the number of calls."""
    ready = threading.Barrier(threads)
    spans = []

    def run(mine: Sequence[Done]) -> None:
        ready.wait()
        began = time.perf_counter()
        for each in mine:
            call(each)
        spans.append((began, time.perf_counter()))

    running = [threading.Thread(target=run, args=(items[number::threads],)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert len(spans) == threads
    return (max(end for _, end in spans) - min(began for began, _ in spans)) / len(items)


def _details(folder: Path, ours: NudgeClient, scale: Scale) -> dict:
    """Time single calls in a row, and at a thousand a second: with the thread that drains, and without it."""
    single = each_call(track(ours), DONE[: scale.calls])
    file = os.open(folder / "plain", os.O_WRONLY | os.O_APPEND)
    paced = {"write": p50_p99(each_call(encode_and_write(file), DONE[: scale.paced], a_second=1000))}
    os.close(file)
    for drain in ("thread", "external"):
        with client(folder, drain=drain) as other:
            paced[f"track_drained_by_{drain}"] = p50_p99(each_call(track(other), DONE[: scale.paced], a_second=1000))
    return {"single_calls": p50_p99(single), "paced_1000_a_second": paced}


def track(ours: NudgeClient) -> Callable[[Done], object]:
    """Return the tracking of one event by the SDK."""
    call = ours.track
    return lambda done: call(done.user, done.event, done.properties, account=done.account)
