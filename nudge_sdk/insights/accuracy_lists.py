"""Whom the definition judged wrongly, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from nudge_sdk.insights.accuracy_reports import MOST_LISTED, Missed

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from nudge_sdk.insights.tables import Tables

_COLUMNS = (
    "account_id", "user_id", "segment", "signed_up_at", "qualified_at", "won_at", "last_at", "events",
)  # fmt: skip


def listed(tables: Tables, chosen: ir.Table, latest: Literal["flagged_at", "positive_at"]) -> tuple[Missed, ...]:
    """Return the latest of some judged journeys.

    Args:
        tables: What to read.
        chosen: Which.
        latest: By when they qualified, or by when they converted.
    """
    import ibis

    first = chosen.order_by(ibis.desc(latest), "account_id", "user_id").limit(MOST_LISTED)
    return tuple(Missed(**dict(zip(_COLUMNS, row, strict=True))) for row in tables.rows(first.select(*_COLUMNS)))
