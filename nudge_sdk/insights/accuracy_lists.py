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


def listed(
    tables: Tables, everybody: ir.Table, kind: Literal["false_positive", "false_negative"]
) -> tuple[Missed, ...]:
    """Return the latest of a kind: by when they qualified, or by when they converted.

    Args:
        tables: What to read.
        everybody: Judged journeys.
        kind: Which.
    """
    import ibis

    latest = ibis._.flagged_at if kind == "false_positive" else ibis._.positive_at
    chosen = everybody.filter(everybody[f"is_{kind}"])
    first = chosen.order_by(latest.desc(), "account_id", "user_id").limit(MOST_LISTED)
    return tuple(Missed(**dict(zip(_COLUMNS, row, strict=True))) for row in tables.rows(first.select(*_COLUMNS)))
