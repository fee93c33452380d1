"""Histories: stores in which members have done things for a long time."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from random import Random

from nudge_sdk.rules.counting import apply_to_account, apply_to_member
from nudge_sdk.rules.records import Record
from nudge_sdk.rules.signals import Plan
from nudge_sdk.rules.state import State, pack
from nudge_sdk.rules.times import DAY
from nudge_sdk.store import open_store
from nudge_sdk.store.protocol import Key
from nudge_sdk.store.rows import pack_record
from nudge_sdk.store.statements import INSERT_EVENT
from tests.bench.product import EVENTS, PEOPLE, START, Person, definition

DAYS = 90


def fill(path: Path, days: Iterable[list[Record]]) -> None:
    """Store events, a list a day, as if they had been drained: their rows, and what is counted of them."""
    plan = Plan(signal for signal in (each.signal for each in definition().milestones) if signal)
    states: dict[Key, State] = {}
    held: list[int] = []
    with sqlite3.connect(path) as connection:
        for records in days:
            for record in records:
                _count(states, record, plan)
            rows = sorted(map(pack_record, records), key=itemgetter(0, 1, 2, 3, 4))
            held += [row[0] for row in (*rows[:1], *rows[-1:])]
            connection.executemany(INSERT_EVENT, rows)
    connection.close()
    store = open_store(f"sqlite:///{path}")
    with store.transaction(wait=10) as transaction:
        rows_of = transaction.lock_subjects(states)
        for key, row in rows_of.items():
            row.state, row.signals = pack(states[key]), 1
            row.first_day, row.last_day = min(held), max(held)
        transaction.put_subjects(rows_of.values())
    store.close()


def days_of(events: int, people: Sequence[Person] = PEOPLE) -> Iterator[list[Record]]:
    """Yield so many events of these members over the last days, drawn at random; always the same ones."""
    random = Random(7)
    for day in range(DAYS):
        start = START - (DAYS - day) * DAY
        first, after = (events * each // DAYS for each in (day, day + 1))
        times = sorted(random.randrange(DAY) for _ in range(after - first))
        chosen = random.choices(people, k=len(times))
        names = random.choices(EVENTS, k=len(times))
        yield [
            record(person, name, start + at, first + index)
            for index, (at, person, name) in enumerate(zip(times, chosen, names, strict=True))
        ]


def record(person: Person, name: str, at: int, number: int) -> Record:
    """Return one event of a history."""
    message_id = str(uuid.UUID(int=(at << 64) + number))
    return Record("track", person.account, person.user, message_id, at, at, name, {"plan": "pro", "n": number})


def _count(states: dict[Key, State], record: Record, plan: Plan) -> None:
    for key, apply in (
        ((record.account_id, ""), apply_to_account),
        ((record.account_id, record.user_id), apply_to_member),
    ):
        state = states.get(key)
        if state is None:
            state = states[key] = State()
        apply(state, record, plan, record.user_id)
