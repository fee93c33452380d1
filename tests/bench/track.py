"""How long ``track`` takes, beside one write of the same bytes and beside PostHog's capture."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import msgspec

from nudge_sdk import NudgeClient
from nudge_sdk.rules.times import SECOND
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
from tests.bench.product import DONE, START, Done, client, definition


def measure(folder: Path, scale: Scale) -> Iterator[Figure]:
    """Yield what is measured of ``track``."""
    folder.mkdir()
    file = os.open(folder / "plain", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    events = endless(DONE)
    with client(folder) as ours:
        ours.publish(definition())

        def tracked() -> float:
            # Outside the measured time: what is pending must not grow from turn to turn.
            assert ours.flush(600)
            return seconds_a_call(_track(ours), list(islice(events, scale.calls)))

        found = by_turns(
            {
                "track": tracked,
                "write": lambda: seconds_a_call(_encode_and_write(file), list(islice(events, scale.calls))),
                "posthog": lambda: seconds_a_call(_posthog(), list(islice(events, scale.calls // 4))),
            },
            scale.turns,
        )
        single = each_call(_track(ours), list(islice(events, scale.calls)))
    os.close(file)
    times = {f"{name}_us": microseconds(seconds) for name, seconds in found.items()}
    details = {**times, "single_calls": p50_p99(single), "paced_1000_a_second": _paced(folder, scale)}
    yield Figure(
        "track", ratios(found["track"], found["write"]), "times msgspec and os.write", Limit("at most", 6), details
    )
    yield Figure(
        "track_posthog",
        ratios(found["track"], found["posthog"]),
        "of posthog.capture, which only queues in memory",
        Limit("at most", 1 / 8),
        times,
    )


def _paced(folder: Path, scale: Scale) -> dict[str, dict[str, float]]:
    """Time calls at a thousand a second: with the thread that drains, without it, and the plain write."""
    file = os.open(folder / "plain", os.O_WRONLY | os.O_APPEND)
    found = {"write": p50_p99(each_call(_encode_and_write(file), DONE[: scale.paced], a_second=1000))}
    os.close(file)
    for drain in ("thread", "external"):
        with client(folder, drain=drain) as ours:
            found[f"track_drained_by_{drain}"] = p50_p99(each_call(_track(ours), DONE[: scale.paced], a_second=1000))
    return found


def _track(ours: NudgeClient) -> Callable[[Done], object]:
    track = ours.track
    return lambda done: track(done.user, done.event, done.properties, account=done.account)


def _encode_and_write(file: int) -> Callable[[Done], object]:
    encode = msgspec.json.Encoder().encode
    at = START // SECOND
    return lambda done: os.write(file, encode((*done, at)) + b"\n")


def _posthog() -> Callable[[Done], object]:
    """Return PostHog's capture; nothing is sent, so only the building of the event is timed."""
    posthog = importlib.import_module("posthog")
    capture = posthog.Posthog("phc_bench", host="http://127.0.0.1:9", send=False).capture
    return lambda done: capture(
        done.event, distinct_id=done.user, properties=done.properties, groups={"company": done.account}
    )
