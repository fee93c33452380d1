"""The published definitions, made ready: which is in force when, and what has to be counted now."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from nudge_sdk.rules.authoring import load_definition
from nudge_sdk.rules.candidates import Placements
from nudge_sdk.rules.compiled import Rules, signals_of
from nudge_sdk.rules.conditions import Signal
from nudge_sdk.rules.definition import Definition
from nudge_sdk.rules.signals import Plan, signal_id
from nudge_sdk.rules.state import CAPACITY, Capacity
from nudge_sdk.rules.stepping import Timeline
from nudge_sdk.store.protocol import DefinitionRow

KEPT = 10
"""How many of the latest definitions are kept ready, for members that were not judged since."""


class Catalog:
    """What is published, as of one reading of the store.

    Attributes:
        number: Number of the newest live definition; 0 for none.
        signals: Number of the signal set that must be counted.
        plan: That signal set.
        timeline: The definitions in force, by time.
        rules: The newest of them.
        placements: Its nudges, ready to be chosen from.
        warnings: What of the newest could not be read and was left out.
    """

    def __init__(self, rows: Sequence[DefinitionRow], capacity: Capacity = CAPACITY) -> None:
        self.rows = tuple(rows)
        live = [row for row in rows if row.live_at is not None]
        loaded = {row.number: load_definition(msgspec.json.decode(row.document)) for row in rows[-KEPT:]}
        self.warnings = loaded[live[-1].number][1] if live else []
        self.number = live[-1].number if live else 0
        self.signals = rows[-1].signals if rows else 0
        definitions = {number: definition for number, (definition, _) in loaded.items()}
        self.plan = Plan(_counted(rows, definitions), capacity)
        ready = [_ready(row, definitions[row.number], capacity) for row in live[-KEPT:] if row.number in definitions]
        self.timeline = Timeline(ready or [Rules(Definition(), capacity=capacity)])
        self.rules = self.timeline.newest
        self.placements = Placements(self.rules)


def needed_signals(rows: Sequence[DefinitionRow], definition: Definition) -> int:
    """Return the number of the signal set a new definition needs: the newest if that counts all of it already."""
    if not rows:
        return 1
    counted = set(Catalog(rows).plan.signals)
    wanted = {signal_id(signal) for signal in signals_of(definition)}
    return rows[-1].signals if wanted <= counted else rows[-1].signals + 1


def _ready(row: DefinitionRow, definition: Definition, capacity: Capacity) -> Rules:
    numbered = msgspec.structs.replace(definition, number=row.number)
    return Rules(numbered, live_at=row.live_at or 0, signals=row.signals, capacity=capacity)


def _counted(rows: Sequence[DefinitionRow], definitions: dict[int, Definition]) -> list[Signal]:
    """Return the newest signal set: of the definition that introduced it and of the one in force until then."""
    if not rows:
        return []
    newest = rows[-1].signals
    first = next(index for index, row in enumerate(rows) if row.signals == newest)
    chosen = [*rows[max(0, first - 1) : first + 1], rows[-1]]
    return [signal for row in chosen if row.number in definitions for signal in signals_of(definitions[row.number])]
