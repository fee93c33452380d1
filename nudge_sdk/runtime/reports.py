"""Reports: what people did with nudges, as it comes by the journal."""

from __future__ import annotations

from nudge_sdk.rules.ledger import Ledger, Offer, with_offer, with_report
from nudge_sdk.rules.records import Record
from nudge_sdk.store.protocol import Exposure, Key


def exposure_of(record: Record, key: Key, definition: int) -> Exposure:
    """Return a report as a line of the store."""
    data = record.data
    return Exposure(
        *key, record.id, str(data.get("kind", "")), record.name,
        str(data.get("variant", "")), str(data.get("placement", "")), record.counted_at, definition,
    )  # fmt: skip


def reported(ledger: Ledger, record: Record) -> Ledger:
    """Return a ledger in which a report stands."""
    kind = str(record.data.get("kind", ""))
    if kind == "claimed":
        return with_offer(ledger, Offer(record.counted_at, record.name), None)
    until = record.data.get("until", 0)
    return with_report(ledger, record.name, kind, record.counted_at, until=until if isinstance(until, int) else 0)
