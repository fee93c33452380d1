"""Publishing: a definition becomes the next number, and live once everything it counts is counted."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from nudge_sdk.rules.authoring import encode_definition, fingerprint, parse_definition, to_plain
from nudge_sdk.rules.definition import Definition, Nudge
from nudge_sdk.runtime.catalog import Catalog, needed_signals
from nudge_sdk.runtime.intake import Intake, definition_state
from nudge_sdk.store.protocol import DefinitionRow

WAIT = 10.0

Progress = Callable[[int, int], None]
"""Told (subjects counted, subjects to count) while a new signal is counted from history."""


def publish(
    intake: Intake,
    definition: Definition,
    *,
    by: str,
    note: str,
    back_to: int = 0,
    wait: float = WAIT,
    is_first: bool = False,
) -> DefinitionRow:
    """Store a definition under the next number; it is live at once unless it counts something new.

    Args:
        intake: The way into the store.
        definition: What to publish.
        by: Who publishes.
        note: Why.
        back_to: Of a roll-back: number of the definition that is put in force again.
        wait: Most seconds to wait for others that write.
        is_first: Only where nothing was published yet; the newest is returned otherwise.

    Raises:
        DefinitionError: The definition has problems.
        StoreError: The store refused.
    """
    checked = msgspec.structs.replace(parse_definition(to_plain(definition)), back_to=back_to)
    catalog = intake.refresh()
    if is_first and catalog.rows:
        return catalog.rows[-1]
    number = catalog.rows[-1].number + 1 if catalog.rows else 1
    signals = needed_signals(catalog.rows, checked)
    now = intake.clock()
    numbered = _numbered(checked, catalog, number)
    row = DefinitionRow(number, encode_definition(numbered), fingerprint(numbered), now, by, note, signals)
    with intake.store.transaction(wait=wait) as transaction:
        if transaction.definition_state(is_changing=True) != definition_state(catalog):
            row = msgspec.structs.replace(row, number=0)
        else:
            is_counted = not transaction.outdated(signals, limit=1)
            row = msgspec.structs.replace(row, live_at=now if is_counted else None)
            transaction.put_definition(row)
    intake.refresh()
    if row.number:
        return row
    return publish(intake, definition, by=by, note=note, back_to=back_to, wait=wait, is_first=is_first)


def make_live(intake: Intake, progress: Progress | None = None) -> int:
    """Count what the newest definition counts anew from stored records, then put it in force; its number."""
    catalog = intake.refresh()
    if not catalog.rows or catalog.rows[-1].live_at is not None:
        return catalog.number
    total = intake.store.count_outdated(catalog.signals)
    while intake.count_new_signals(wait=WAIT):
        if progress is not None:
            progress(total - intake.store.count_outdated(catalog.signals), total)
    row = msgspec.structs.replace(catalog.rows[-1], live_at=intake.clock())
    with intake.store.transaction(wait=WAIT) as transaction:
        transaction.put_definition(row)
    return intake.refresh().number


def _numbered(definition: Definition, catalog: Catalog, number: int) -> Definition:
    """Give the definition its number, and each nudge the number that brought its present form."""
    before = {nudge.key: nudge for nudge in catalog.rules.definition.nudges} if catalog.rows else {}
    nudges = tuple(_since(nudge, before.get(nudge.key), number) for nudge in definition.nudges)
    return msgspec.structs.replace(definition, number=number, nudges=nudges)


def _since(nudge: Nudge, before: Nudge | None, number: int) -> Nudge:
    plain = msgspec.structs.replace(nudge, published_in=0)
    if before is not None and msgspec.structs.replace(before, published_in=0) == plain:
        return before
    return msgspec.structs.replace(nudge, published_in=number)
