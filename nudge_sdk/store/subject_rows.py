"""How a member or an account stands in its table: plain tuples, the same in every database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec.structs import astuple

from nudge_sdk.store.protocol import Key, SubjectRow
from nudge_sdk.store.statements import ACCOUNTS, MEMBERS

Indexed = tuple[int | None, int | None, str, str, int, str]
"""The columns that indexes are made of: signals, definition, segment, tier, next_change, import_id."""


def subject_from(row: Sequence[Any]) -> SubjectRow:
    """Return a row of a subject query as a struct; spelt out, because every profile load pays for it."""
    return SubjectRow(
        account_id=row[0],
        user_id=row[1],
        state=row[2],
        standing=row[3],
        signals=row[4] or 0,
        definition=row[5] or 0,
        segment=row[6],
        tier=row[7],
        score=row[8],
        fit=row[9],
        active_users=row[10],
        episode_at=row[11],
        episode_ended_at=row[12],
        next_change=row[13],
        evaluated_at=row[14],
        first_day=row[15],
        last_day=row[16],
        import_id=row[17],
        ledger=row[18],
        ledger_version=row[19],
    )


def by_table(keys: Iterable[Key]) -> list[tuple[str, list[Key]]]:
    """Sort keys apart: those of members, and those of accounts, without repeats."""
    unique = sorted(set(keys))
    members, accounts = [key for key in unique if key[1]], [key for key in unique if not key[1]]
    return [(table, part) for table, part in ((MEMBERS, members), (ACCOUNTS, accounts)) if part]


def indexed(row: SubjectRow) -> Indexed:
    """Return what indexes are made of."""
    signals, definition = row.signals or _signals(row), row.definition or _definition(row)
    return (signals, definition, row.segment, row.tier, row.next_change, row.import_id)


def _signals(row: SubjectRow) -> int | None:
    return row.signals or (0 if row.state else None)


def _definition(row: SubjectRow) -> int | None:
    return row.definition or (0 if row.evaluated_at else None)


def values(row: SubjectRow, ledger: tuple[bytes, int] | None = None) -> tuple[Any, ...]:
    """Return a whole row, with another ledger if one is given."""
    account_id, user_id, state, standing, _, _, *rest = astuple(row)
    if ledger is not None:
        rest[-2:] = ledger
    key = (account_id, user_id) if user_id else (account_id,)
    return (*key, state, standing, _signals(row), _definition(row), *rest)


def plain_values(row: SubjectRow) -> tuple[Any, ...]:
    """Return the columns that are in no index, and the key."""
    plain = (
        row.state,
        row.standing,
        row.score,
        row.fit,
        row.active_users,
        row.episode_at,
        row.episode_ended_at,
        row.evaluated_at,
        row.first_day,
        row.last_day,
        row.account_id,
    )
    return (*plain, row.user_id) if row.user_id else plain
