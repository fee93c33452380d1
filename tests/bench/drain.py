"""How fast journals are drained and scored into SQLite, beside bare ``sqlite3`` writing the same rows.

The bare one does, an event, one insert and two writes of a packed row (the member's and the account's), a thousand
events a transaction, into a copy of the same file with the same settings.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from itertools import islice
from operator import itemgetter
from pathlib import Path
from random import Random
from statistics import mean
from typing import Any

from nudge_sdk.rules.counting import apply_to_account, apply_to_member
from nudge_sdk.rules.records import Record
from nudge_sdk.rules.signals import Plan
from nudge_sdk.rules.state import State, pack
from nudge_sdk.rules.times import DAY, day_of
from nudge_sdk.runtime.drainer import Drainer
from nudge_sdk.runtime.intake import Intake, Position, decode_record
from nudge_sdk.runtime.journal_files import read_lines
from nudge_sdk.store import open_store
from nudge_sdk.store.protocol import Key, SubjectRow
from nudge_sdk.store.rows import EventRow, pack_record
from nudge_sdk.store.sqlite_connections import connect, prepare_for_writing
from nudge_sdk.store.statements import INSERT_EVENT
from tests.bench.harness import Figure, Limit, Scale, by_turns, endless, ratios, significant
from tests.bench.product import DONE, EVENTS, PEOPLE, START, Done, Steps, client, definition

LIMIT = Limit("at least", 0.3)
BATCH = 1000
DAYS = 90
PUT_MEMBER = "UPDATE nudge_members SET standing = ?, state = ? WHERE account_id = ? AND user_id = ?"
PUT_ACCOUNT = "UPDATE nudge_accounts SET standing = ?, state = ? WHERE account_id = ?"


def measure(folder: Path, scale: Scale) -> Iterator[Figure]:
    """Yield how fast draining is, into an empty store and into one with a history."""
    for stored in (0, scale.history):
        yield _measure(folder / str(stored), stored, scale)


def _measure(folder: Path, stored: int, scale: Scale) -> Figure:
    folder.mkdir(parents=True)
    clock = Steps(step=10_000)
    with client(folder, clock) as ours:
        ours.publish(definition())
    _fill(folder / "nudge.db", stored)
    with client(folder, clock) as ours:
        for person in PEOPLE:
            ours.identify(person.user, person.traits, account=person.account)
            ours.track(person.user, EVENTS[0], account=person.account)
        assert ours.flush(600)
    shutil.copyfile(folder / "nudge.db", folder / "bare.db")
    with client(folder, clock) as ours:
        return _race(_Race(folder, ours, clock), stored, scale)


def _race(race: _Race, stored: int, scale: Scale) -> Figure:
    events = endless(DONE)

    def drain() -> float:
        race.track(list(islice(events, scale.drained)))
        return race.drain()

    race.track(list(islice(events, BATCH)))
    race.drain()
    race.batches.clear()
    found = {"drain": [0.0], "bare": [0.0]}
    for _ in range(scale.drains):
        # The bare one needs the rows that were drained, so it always comes second.
        for name, seconds in by_turns({"drain": drain, "bare": race.bare}, 1).items():
            found[name] += seconds
    race.close()
    a_second = {name: [scale.drained / each for each in seconds[1:]] for name, seconds in found.items()}
    lines, members, accounts = (mean(each) for each in zip(*race.batches, strict=True))
    details = {
        "drained_a_second": significant(mean(a_second["drain"])),
        "bare_a_second": significant(mean(a_second["bare"])),
        "stored_events_before": stored,
        "members": len(PEOPLE),
        "accounts": len({person.account for person in PEOPLE}),
        "events_a_batch": significant(lines),
        "members_a_batch": significant(members),
        "accounts_a_batch": significant(accounts),
        "bytes_of_a_member_and_an_account": race.sizes,
    }
    name = f"drain_at_{stored:_}_events"
    return Figure(
        name, ratios(a_second["drain"], a_second["bare"]), "of bare sqlite3's events a second", LIMIT, details
    )


class _Race:
    """One store that is drained into and one that bare ``sqlite3`` writes to, fed the same events."""

    def __init__(self, folder: Path, ours: Any, clock: Steps) -> None:
        self.ours = ours
        self.store = open_store(f"sqlite:///{folder / 'nudge.db'}")
        self.batches: list[tuple[int, int, int]] = []
        self.sizes: list[float] = []
        self._drainer = Drainer(Intake(self.store, clock), folder / "journals", self._note)
        self._bare = connect(str(folder / "bare.db"))
        prepare_for_writing(self._bare, time.monotonic() + 10)
        self._records: list[Record] = []
        self._drained = 0

    def track(self, events: list[Done]) -> None:
        """Write events to the journal, and remember them as the journal has them."""
        start = self.ours.recorder.journal.position
        for done in events:
            self.ours.track(done.user, done.event, done.properties, account=done.account)
        name, end = self.ours.recorder.journal.position
        offset = start[1] if start else 0
        lines = read_lines(self._drainer.folder / name, offset, end - offset).lines
        self._records = [decode_record(line) for line in lines]
        assert len(self._records) == len(events)

    def drain(self) -> float:
        """Return the seconds of draining all that was tracked."""
        began = time.perf_counter()
        taken = self._drainer.drain()
        took = time.perf_counter() - began
        assert taken == len(self._records), taken
        return took

    def bare(self) -> float:
        """Return the seconds of writing the same rows without the SDK."""
        batches = [self._rows(self._records[at : at + BATCH]) for at in range(0, len(self._records), BATCH)]
        began = time.perf_counter()
        for events, members, accounts in batches:
            self._bare.execute("BEGIN IMMEDIATE")
            self._bare.executemany(INSERT_EVENT, events)
            self._bare.executemany(PUT_MEMBER, members)
            self._bare.executemany(PUT_ACCOUNT, accounts)
            self._bare.execute("COMMIT")
        return time.perf_counter() - began

    def close(self) -> None:
        """Let go of the files."""
        self._drainer.close()
        self._bare.close()
        self.store.close()

    def _rows(self, records: list[Record]) -> tuple[list[EventRow], list[Any], list[Any]]:
        keys = sorted({key for each in records for key in ((each.account_id, each.user_id), (each.account_id, ""))})
        rows = self.store.read_subjects(keys)
        members = [rows[each.account_id, each.user_id] for each in records]
        accounts = [rows[each.account_id, ""] for each in records]
        self.sizes = [mean(len(row.state) + len(row.standing) for row in found) for found in (members, accounts)]
        return (
            [pack_record(each) for each in records],
            [(row.standing, _changed(row), row.account_id, row.user_id) for row in members],
            [(row.standing, _changed(row), row.account_id) for row in accounts],
        )

    def _note(self, rows: list[SubjectRow], position: Position | None) -> None:
        drained, self._drained = self._drained, self._drainer.drained
        members = sum(1 for row in rows if row.user_id)
        self.batches.append((self._drained - drained, members, len(rows) - members))


def _changed(row: SubjectRow) -> bytes:
    # SQLite does not write a page whose bytes stay the same.
    return os.urandom(16) + row.state[16:]


def _fill(path: Path, events: int) -> None:
    """Store events of the last days as if they had been drained: their rows, and what is counted of them."""
    if not events:
        return
    plan = Plan(signal for signal in (each.signal for each in definition().milestones) if signal)
    states: dict[Key, State] = {}
    random = Random(7)
    with sqlite3.connect(path) as connection:
        for day in range(DAYS):
            records = _day(random, day, events // DAYS)
            for record in records:
                _count(states, record, plan)
            connection.executemany(INSERT_EVENT, sorted(map(pack_record, records), key=itemgetter(0, 1, 2, 3, 4)))
    connection.close()
    store = open_store(f"sqlite:///{path}")
    with store.transaction(wait=10) as transaction:
        rows = transaction.lock_subjects(states)
        for key, row in rows.items():
            row.state, row.signals = pack(states[key]), 1
            row.first_day, row.last_day = day_of(START) - DAYS, day_of(START) - 1
        transaction.put_subjects(rows.values())
    store.close()


def _day(random: Random, day: int, events: int) -> list[Record]:
    start = START - (DAYS - day) * DAY
    times = sorted(random.randrange(DAY) for _ in range(events))
    people = random.choices(PEOPLE, k=events)
    names = random.choices(EVENTS, k=events)
    return [
        Record(
            "track", person.account, person.user, f"{day:08x}-0000-7000-8000-{index:012x}",
            start + at, start + at, name, {"plan": "pro", "n": index},
        )
        for index, (at, person, name) in enumerate(zip(times, people, names, strict=True))
    ]  # fmt: skip


def _count(states: dict[Key, State], record: Record, plan: Plan) -> None:
    for key, apply in (
        ((record.account_id, ""), apply_to_account),
        ((record.account_id, record.user_id), apply_to_member),
    ):
        state = states.get(key)
        if state is None:
            state = states[key] = State()
        apply(state, record, plan, record.user_id)
