"""A small installation: one store, some processes, a clock to move."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from nudge_sdk.rules.definition import Definition
from nudge_sdk.rules.records import Record
from nudge_sdk.rules.replay import Course, replay
from nudge_sdk.rules.standing import Judged, Standing, decode_standing
from nudge_sdk.rules.state import canonical, unpack
from nudge_sdk.rules.tallies import CAPACITY, Capacity
from nudge_sdk.rules.times import DAY
from nudge_sdk.runtime.intake import Intake
from nudge_sdk.runtime.publishing import make_live, publish
from nudge_sdk.store.memory import MemoryStore
from nudge_sdk.store.protocol import EpisodeRow, Key, Store, SubjectRow, Transition
from tests.properties.histories import START

TINY = Capacity(days=5, occurrences=3, values=3, members=3, traits=3)
WAIT = 5.0
MOST_SWEEPS = 50


class Verdict(NamedTuple):
    """What is stored of a subject and must not depend on the order of arrival."""

    state: dict[str, Any]
    segment: str
    score: int
    fit: int
    entry: str
    tier: str


class Installation:
    """One store and the processes that write to it."""

    def __init__(
        self,
        definition: Definition,
        *,
        store: Store | None = None,
        capacity: Capacity = CAPACITY,
        processes: int = 1,
    ) -> None:
        self.now = START - DAY
        self.store = store or MemoryStore()
        self.intakes = [Intake(self.store, lambda: self.now, capacity) for _ in range(processes)]
        self.published: list[tuple[int, Definition]] = []
        self.publish(definition)

    def publish(self, definition: Definition, *, live_after: int = 0) -> int:
        """Publish a definition; return the instant from which it holds."""
        publish(self.intakes[0], definition, by="test", note="")
        self.now += live_after
        make_live(self.intakes[0])
        live_at = self.intakes[0].catalog.rows[-1].live_at
        assert live_at is not None
        self.published.append((live_at, definition))
        return live_at

    def take(self, batch: Sequence[Record], *, process: int = 0, import_id: str = "") -> None:
        """Let a process take a batch in."""
        self.now = max([self.now, *(record.received_at for record in batch)])
        self.intakes[process % len(self.intakes)].take(batch, wait=WAIT, import_id=import_id)

    def sweep(self, now: int) -> None:
        """Move the clock on and sweep until nobody is due."""
        self.now = max(now, self.now)
        for _ in range(MOST_SWEEPS):
            if not self.intakes[0].sweep(wait=WAIT):
                return
        raise AssertionError("the sweep finds the same rows due for ever")

    def rows(self) -> dict[Key, SubjectRow]:
        """Return the rows of everybody of whom anything is known."""
        rows = self.store.subjects(limit=10_000)
        empty = canonical(unpack(b""))
        return {row.key: row for row in rows if canonical(unpack(row.state)) != empty}

    def standings(self) -> dict[Key, Standing]:
        """Return everybody's standing."""
        return {key: decode_standing(row.standing) for key, row in self.rows().items() if row.standing}

    def judged(self, key: Key) -> Judged:
        """Return a subject ready to be judged, as it is stored."""
        rows = {row.key: row for row in self.store.subjects(limit=10_000)}
        return Judged(key[1], unpack(rows[key].state), unpack(rows[key[0], ""].state), key[0])

    def verdicts(self) -> dict[Key, Verdict]:
        """Return what must not depend on the order of arrival."""
        found = {}
        for key, row in self.rows().items():
            standing = decode_standing(row.standing)
            columns = (row.segment, row.score, row.fit, row.tier, row.next_change)
            assert columns == (standing.segment, standing.score, standing.fit, standing.tier, standing.next_change)
            found[key] = Verdict(
                canonical(unpack(row.state)),
                standing.segment,
                standing.score,
                standing.fit,
                standing.entry,
                standing.tier,
            )
        return found

    def transitions(self) -> dict[Key, list[Transition]]:
        """Return the transition log."""
        return {key: log for key in self._all_keys() if (log := self.store.transitions(*key))}

    def episodes(self) -> dict[Key, list[EpisodeRow]]:
        """Return every episode."""
        return {key: rows for key in self._all_keys() if (rows := self.store.episodes(*key))}

    def replayed(self, until: int) -> dict[Key, Course]:
        """Return what replay says of the stored records."""
        return replay(self.intakes[0].refresh().timeline, list(self.store.records()), until=until)

    def _all_keys(self) -> set[Key]:
        keys = {row.key for row in self.store.subjects(limit=10_000)}
        for record in self.store.records():
            keys |= {(record.account_id, record.user_id), (record.account_id, "")}
        return keys
