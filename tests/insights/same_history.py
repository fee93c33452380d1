"""One rich history in two stores and the archives of both: what every engine must read alike."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import msgspec

from nudge_sdk.insights.archive import archive
from nudge_sdk.insights.journeys import refresh
from nudge_sdk.insights.tables import SCHEMAS, Tables
from nudge_sdk.rules.definition import Definition
from nudge_sdk.rules.records import Record
from nudge_sdk.rules.times import DAY
from nudge_sdk.store import open_store
from nudge_sdk.store.protocol import Exposure
from tests.properties import histories
from tests.properties.running import Installation
from tests.properties.test_fold import MOVING

STEPS, TOWNS = 40, 12
SEED = 5
AT = histories.START + 400 * DAY


def definition() -> Definition:
    """Return a definition under which all tiers occur, with aha moments."""
    chosen = histories.definition_of(Random(1).choice)
    milestones = tuple(
        msgspec.structs.replace(each, is_aha=each.signal is not None and each.subject == "member")
        for each in chosen.milestones
    )
    return msgspec.structs.replace(chosen, milestones=milestones)


def live(url: str) -> None:
    """Let the history happen in a store, and roll it up."""
    store = open_store(url)
    place = Installation(definition(), store=store)
    random = Random(SEED)
    records = sorted(
        (record for town in range(TOWNS) for record in _town(town, random)),
        key=lambda record: (record.received_at, record.id),
    )
    for batch in histories.batches(records, [100, 150, 260, 370]):
        place.take(batch)
        place.sweep(place.now + DAY)
    with store.transaction(wait=5) as transaction:
        transaction.add_exposures([_exposure(number, random) for number in range(60)])
    assert refresh(store, place.intakes[0].refresh().rules, AT)
    store.close()


def _town(number: int, random: Random) -> list[Record]:
    """Return the records of a few people who meet nobody of another town."""
    kinds = (*MOVING, "paid", "paid", "extra")
    steps = [
        (random.choice(histories.LONG_GAPS), random.choice(kinds), random.randrange(5), random.randrange(9))
        for _ in range(STEPS)
    ]
    start = histories.START + random.randrange(40) * DAY
    return [_in_town(record, number) for record in histories.to_records(steps, start=start)]


def _in_town(record: Record, number: int) -> Record:
    names = {"user_id": record.user_id, "account_id": record.account_id}
    if record.kind == "alias":
        names["name"] = record.name
    renamed = {key: f"{name}{number}" if name else "" for key, name in names.items()}
    return msgspec.structs.replace(record, id=f"{number}-{record.id}", **renamed)


def _exposure(number: int, random: Random) -> Exposure:
    account, user = random.choice([*histories.PEOPLE, ("personal:anon", "anon")])
    kind = random.choice(["offered", "withheld", "shown", "dismissed"])
    at = histories.START + random.randrange(60) * DAY
    town = random.randrange(TOWNS)
    account, user = f"{account}{town}", f"{user}{town}"
    return Exposure(account, user, f"e{number}", kind, "hello", "a", "top", at, 1, "paid", "own")


def write_archive(url: str, folder: Path) -> None:
    """Archive a store as of a moment that is the same everywhere."""
    store = open_store(url)
    archive(store, folder, AT)
    store.close()


def whole(tables: Tables) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows of all tables, sorted."""
    return {name: sorted(tables.rows(tables.table(name)), key=repr) for name in SCHEMAS}
