"""What is measured beside the SDK: the peers, and the least that the machine can do."""

from __future__ import annotations

import importlib
import os
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import msgspec

from nudge_sdk.rules.times import SECOND
from tests import postgresql
from tests.bench.product import NUDGES, PAYING, PEOPLE, START, Asked, Done, plans_of

ATTRIBUTES = {person.user: {"id": person.user, "company": person.account, **person.traits} for person in PEOPLE}


def growthbook() -> Callable[[Asked], object]:
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
        instance.set_attributes(ATTRIBUTES[asked.user])
        return instance.is_on("flag")

    return ask


def plain_loop() -> Callable[[Asked], object]:
    """Return the same question as a loop somebody wrote by hand: no caps, no reasons, no copy."""
    rules = [(frozenset(plans_of(index)), 7, 0.5) for index in range(NUDGES)]

    def ask(asked: Asked) -> bool:
        traits = ATTRIBUTES[asked.user]
        for plans, age, share in rules:
            if traits["country"] == "DE" and traits["plan"] in plans and traits["age_days"] >= age:
                return zlib.crc32(asked.user.encode()) / 2**32 < share
        return False

    return ask


def is_targeted(asked: Asked) -> bool:
    """Whether the audience of the last nudge takes this member in."""
    traits = ATTRIBUTES[asked.user]
    return traits["plan"] in PAYING and traits["age_days"] >= 7


def encode_and_write(file: int) -> Callable[[Done], object]:
    """Return the least that makes an event survive ``kill -9``."""
    encode = msgspec.json.Encoder().encode
    at = START // SECOND
    return lambda done: os.write(file, encode((*done, at)) + b"\n")


def posthog() -> Callable[[Done], object]:
    """Return PostHog's capture; nothing is sent, so only the building of the event is timed."""
    return captured(posthog_client("http://127.0.0.1:9", send=False))


def posthog_client(address: str, *, send: bool) -> Any:
    """Return PostHog's client."""
    module = importlib.import_module("posthog")
    return module.Posthog("phc_bench", host=address, send=send, max_queue_size=1_000_000)


def captured(client: Any) -> Callable[[Done], object]:
    """Return the capture of one event by PostHog's client."""
    capture = client.capture
    return lambda done: capture(
        done.event, distinct_id=done.user, properties=done.properties, groups={"company": done.account}
    )


def durable_postgresql() -> AbstractContextManager[postgresql.Server]:
    """Return a server that waits for the disk at each commit, as those of hosts do."""
    return postgresql.running(fsync="on")
