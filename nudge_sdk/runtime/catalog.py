"""The published definitions, made ready: which is in force when, and what has to be counted now."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from nudge_sdk.rules.bases import counted_from
from nudge_sdk.rules.candidates import Placements
from nudge_sdk.rules.compiled import Rules, signals_of
from nudge_sdk.rules.conditions import Signal
from nudge_sdk.rules.definition import Definition
from nudge_sdk.rules.signals import Plan, signal_id
from nudge_sdk.rules.stepping import Timeline
from nudge_sdk.rules.tallies import CAPACITY, Capacity
from nudge_sdk.store.protocol import DefinitionRow

KEPT = 10
"""How many of the latest definitions are kept ready, for members that were not judged since."""


_learning = threading.Lock()


def learn_to_read() -> None:
    """Let msgspec look at what a definition is made of, in one thread.

    Two threads that are the first to convert to one struct crash the process (seen with msgspec 0.22).
    """
    with _learning:
        msgspec.json.Decoder(Definition)


class Catalog:
    """What is published, as of one reading of the store.

    Attributes:
        number: Number of the newest live definition; 0 for none.
        signals: Number of the signal set that must be counted.
        plan: That signal set.
        timeline: The definitions in force, by time.
        rules: The newest of them.
        placements: Its nudges, ready to be chosen from.
        counted_from: Signal to the UTC day it is counted from, where older events were dropped uncounted.
        warnings: What of the newest could not be read and was left out.
        unreadable: Definitions this release cannot read, number to reason; the last good one stays in force.
    """

    def __init__(
        self,
        rows: Sequence[DefinitionRow],
        capacity: Capacity = CAPACITY,
        horizons: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self.rows = tuple(rows)
        self.unreadable: dict[int, str] = {}
        loaded = self._loaded(capacity)
        live = [row for row in rows if row.live_at is not None]
        self.number = live[-1].number if live else 0
        self.signals = rows[-1].signals if rows else 0
        self.plan = Plan(_counted(rows, {number: each.rules.definition for number, each in loaded.items()}), capacity)
        self.counted_from = counted_from(horizons, self.plan)
        for each in loaded.values():
            each.rules.counted_from = self.counted_from
        ready = [loaded[row.number].rules for row in live if row.number in loaded]
        self.timeline = Timeline(ready or [Rules(Definition(), capacity=capacity)])
        self.rules = self.timeline.newest
        newest = loaded.get(self.rules.number)
        self.warnings = newest.warnings if newest else []
        self.placements = newest.placements if newest else Placements(self.rules)

    def _loaded(self, capacity: Capacity) -> dict[int, _Loaded]:
        """Return the latest definitions that can be read, by number."""
        loaded: dict[int, _Loaded] = {}
        for row in reversed(self.rows):
            if len(loaded) == KEPT:
                break
            try:
                loaded[row.number] = _load(row, capacity)
            except Exception as error:
                self.unreadable[row.number] = str(error) or type(error).__name__
        return loaded


def needed_signals(rows: Sequence[DefinitionRow], definition: Definition) -> int:
    """Return the number of the signal set a new definition needs: the newest if that counts all of it already."""
    if not rows:
        return 1
    counted = set(Catalog(rows).plan.signals)
    wanted = {signal_id(signal) for signal in signals_of(definition)}
    return rows[-1].signals if wanted <= counted else rows[-1].signals + 1


class _Loaded(NamedTuple):
    rules: Rules
    placements: Placements
    warnings: list[str]


def _load(row: DefinitionRow, capacity: Capacity) -> _Loaded:
    # Imported here for the sake of hosts' start-up: reading definitions takes the largest part of this package.
    from nudge_sdk.rules.authoring import load_definition

    definition, warnings = load_definition(row.document)
    numbered = msgspec.structs.replace(definition, number=row.number)
    rules = Rules(numbered, live_at=row.live_at or 0, signals=row.signals, capacity=capacity)
    return _Loaded(rules, Placements(rules), warnings)


def _counted(rows: Sequence[DefinitionRow], definitions: dict[int, Definition]) -> list[Signal]:
    """Return the newest signal set: of the definition that introduced it and of the one in force until then."""
    if not rows:
        return []
    newest = rows[-1].signals
    first = next(index for index, row in enumerate(rows) if row.signals == newest)
    chosen = [*rows[max(0, first - 1) : first + 1], rows[-1]]
    return [signal for row in chosen if row.number in definitions for signal in signals_of(definitions[row.number])]
