"""What came of nudges: reads of the exposures, in sets."""

from __future__ import annotations

from collections.abc import Collection

import msgspec
from sqlalchemy import func, select

from nudge_sdk.store.schema import ExposureLine

from .database import db


class Outcome(msgspec.Struct, frozen=True):
    """How often each thing happened to a nudge."""

    offered: int = 0
    withheld: int = 0
    shown: int = 0
    clicked: int = 0
    dismissed: int = 0
    snoozed: int = 0
    completed: int = 0


def outcomes(nudges: Collection[str], *, since: int) -> dict[str, Outcome]:
    """Return what came of some nudges since an instant; those to which nothing happened are not there."""
    line = ExposureLine
    query = (
        select(line.nudge, line.kind, func.count())
        .where(line.nudge.in_(nudges), line.at >= since)
        .group_by(line.nudge, line.kind)
    )
    found: dict[str, dict[str, int]] = {}
    for nudge, kind, count in db.session.execute(query):
        if kind in Outcome.__struct_fields__:
            found.setdefault(nudge, {})[kind] = count
    return {nudge: Outcome(**counts) for nudge, counts in found.items()}
