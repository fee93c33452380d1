"""How fast journals are drained and scored into SQLite, beside bare ``sqlite3`` writing the same rows.

The bare one inserts a thousand event rows a transaction, and writes the packed row of each of their members and
accounts once, into a copy of the same file with the same settings.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from statistics import mean, median
from typing import Any

from nudge_sdk.rules.records import Record
from nudge_sdk.runtime.drainer import Drainer
from nudge_sdk.runtime.intake import Intake, Position, decode_record
from nudge_sdk.runtime.journal_files import read_lines
from nudge_sdk.store import open_store
from nudge_sdk.store.protocol import SubjectRow
from tests.bench.bare import BATCH, Bare, BareSqlite, Batch, batches_of, once
from tests.bench.harness import Figure, Limit, Scale, a_second, by_turns, endless, ratios, significant
from tests.bench.product import DONE, EVENTS, PEOPLE, Done, Person, Steps, client, definition
from tests.bench.stored import days_of, fill

LIMIT = Limit("at least", 0.6)
LONG = 10_000_000
"""Stored events at which draining may be at most so much slower than at a tenth of them."""


def measure(folder: Path, scale: Scale) -> Iterator[Figure]:
    """Yield how fast draining is, into an empty store and into ones with a history."""
    races = {stored: _begin(folder / str(stored), stored) for stored in scale.histories}
    found = run(list(races.values()), scale)
    rates = {stored: race_rates(each, scale) for stored, each in zip(races, found, strict=True)}
    for stored, race in races.items():
        yield figure(f"drain_at_{stored:_}", f"SQLite, {stored:,} stored events", race, rates[stored])
    for longer, shorter in zip(scale.histories[:0:-1], scale.histories[-2::-1], strict=True):
        yield Figure(
            f"drain_{longer:_}_against_{shorter:_}",
            f"the rate at {longer:,} stored events",
            ratios(rates[longer]["drain"], rates[shorter]["drain"]),
            f"the rate at {shorter:,}",
            Limit("at least", 0.7) if longer >= LONG else None,
            {},
            told=f"{a_second(rates[longer]['drain'])} beside {a_second(rates[shorter]['drain'])}",
        )
    for race in races.values():
        race.close()


def run(races: Sequence[Race], scale: Scale) -> list[dict[str, list[float]]]:
    """Return the seconds of draining and of the bare ones, race by race; all races run in turns."""
    events = endless(DONE)
    for race in races:
        race.track(list(islice(events, BATCH)))
        race.drain()
        race.batches.clear()
    found: list[dict[str, list[float]]] = [{"drain": [], "bare": []} for _ in races]

    for _ in range(scale.drains):
        for race, seconds in zip(races, found, strict=True):
            race.track(list(islice(events, scale.drained)))
            # The bare one needs the rows that were drained, so it always comes second.
            for name, took in by_turns({"drain": race.drain, "bare": race.write_bare}, 1).items():
                seconds[name] += took
    return found


def race_rates(found: dict[str, list[float]], scale: Scale) -> dict[str, list[float]]:
    """Return events a second for seconds a turn."""
    return {name: [scale.drained / each for each in seconds] for name, seconds in found.items()}


def figure(name: str, where: str, race: Race, rates: dict[str, list[float]]) -> Figure:
    """Return what a race came to."""
    lines, members, accounts = (mean(each) for each in zip(*race.batches, strict=True))
    details = {
        "drained_a_second": significant(median(rates["drain"])),
        "bare_a_second": significant(median(rates["bare"])),
        "members": len(PEOPLE),
        "accounts": len({person.account for person in PEOPLE}),
        "events_a_batch": significant(lines),
        "members_a_batch": significant(members),
        "accounts_a_batch": significant(accounts),
        "bytes_of_a_member_and_an_account": race.sizes,
    }
    return Figure(
        name,
        f"drain with scoring, {where} (batches of {lines:,.0f} events, {members:,.0f} members, on average)",
        ratios(rates["drain"], rates["bare"]),
        f"of the rate of {race.rival}",
        LIMIT,
        details,
        "%",
        f"{a_second(rates['drain'])} beside {a_second(rates['bare'])}",
    )


def _begin(folder: Path, stored: int) -> Race:
    folder.mkdir(parents=True)
    path, clock = folder / "nudge.db", Steps(step=10_000)
    with client(folder, clock) as ours:
        ours.publish(definition())
    if stored:
        fill(path, days_of(stored))
    introduce(folder, clock)
    shutil.copyfile(path, folder / "bare.db")
    return Race(folder, client(folder, clock), f"sqlite:///{path}", BareSqlite(folder / "bare.db"))


def introduce(folder: Path, clock: Steps, *, store: str = "", people: Sequence[Person] = PEOPLE) -> None:
    """Let members be known, each with one event."""
    with client(folder, clock, store=store) as ours:
        for person in people:
            ours.identify(person.user, person.traits, account=person.account)
            ours.track(person.user, EVENTS[0], account=person.account)
        assert ours.flush(600)


class Race:
    """One store that is drained into and one that is written to without the SDK, fed the same events.

    Args:
        folder: Where the journals are.
        ours: Tracks into them.
        url: The address of the store that is drained into.
        bare: Writes to the other one.
        rival: What people call it.
    """

    def __init__(
        self, folder: Path, ours: Any, url: str, bare: Bare, *, rival: str = "bare `sqlite3` writing the same rows"
    ) -> None:
        self.ours = ours
        self.rival = rival
        self.store = open_store(url)
        self.batches: list[tuple[int, int, int]] = []
        self.sizes: list[float] = []
        self._drainer = Drainer(Intake(self.store, ours.now), folder / "journals", self._note)
        self._bare = bare
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

    def write_bare(self) -> float:
        """Return the seconds of writing the same rows without the SDK."""
        return self._bare.write(once(self._batches()))

    def close(self) -> None:
        """Let go of the files."""
        self._drainer.close()
        self._bare.close()
        self.store.close()
        self.ours.close()

    def _batches(self) -> list[Batch]:
        found = batches_of(self.store, self._records)
        last = found[-1]
        self.sizes = [
            round(mean(len(row.state) + len(row.standing) for row in rows)) for rows in (last.members, last.accounts)
        ]
        return found

    def _note(self, rows: list[SubjectRow], position: Position | None) -> None:
        drained, self._drained = self._drained, self._drainer.drained
        members = sum(1 for row in rows if row.user_id)
        self.batches.append((self._drained - drained, members, len(rows) - members))
