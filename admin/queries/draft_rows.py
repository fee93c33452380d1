"""Drafts, and the history of what was changed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, CursorResult, Delete, Update, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from nudge_sdk.errors import NudgeError
from nudge_sdk.store.schema import Audit, Draft

from .database import db

_encode = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.decode


class Conflict(NudgeError):
    """Somebody else saved the same entity in between; nothing was overwritten."""


class StoredDraft(msgspec.Struct, frozen=True):
    """A draft.

    Attributes:
        document: The entity as plain data; None where it is to be taken away.
        revision: Rises with each save.
        updated_at: Instant of the last save.
    """

    kind: str
    key: str
    document: Any
    revision: int
    updated_at: int
    updated_by: str


class AuditLine(msgspec.Struct, frozen=True):
    """One line of the history of what was changed.

    Attributes:
        before, after: Plain data, or None.
    """

    at: int
    actor: str
    action: str
    entity: str
    before: Any
    after: Any


def drafts() -> tuple[StoredDraft, ...]:
    """Return all drafts, the oldest key first."""
    rows = db.session.execute(select(Draft).order_by(Draft.kind, Draft.key)).scalars()
    return tuple(
        StoredDraft(row.kind, row.key, _decode(row.document), row.revision, row.updated_at, row.updated_by)
        for row in rows
    )


def save_draft(draft: StoredDraft, *, before: Any) -> None:
    """Save a draft under its next revision, and write down who did.

    Args:
        draft: The draft with the revision it was made from; 0 where there was none.
        before: What stood there, for the history.

    Raises:
        Conflict: Somebody else saved in between.
    """
    _save(draft, before)
    db.session.commit()


def add_drafts(drafts: Iterable[StoredDraft]) -> None:
    """Save drafts of entities that have none, all of them or, where one has, none.

    Raises:
        Conflict: One of them has a draft.
    """
    for draft in drafts:
        _save(draft, None)
    db.session.commit()


def drop_draft(draft: StoredDraft, *, by: str, at: int, action: str = "discarded") -> None:
    """Throw one draft away, if it is still the one that was seen.

    Raises:
        Conflict: Somebody else saved in between.
    """
    if not _drop(draft):
        db.session.rollback()
        raise Conflict(f"{_entity(draft)} was saved by somebody else in between")
    _note(AuditLine(at, by, action, _entity(draft), draft.document, None))
    db.session.commit()


def drop_published(published: tuple[StoredDraft, ...], *, number: int, by: str, at: int, note: str) -> None:
    """Take away the drafts that a publication froze; what was saved since stays a draft."""
    for draft in published:
        _drop(draft)
    _note(AuditLine(at, by, "published", f"definition {number}", None, {"note": note}))
    db.session.commit()


def note(line: AuditLine) -> None:
    """Write one line of the history."""
    _note(line)
    db.session.commit()


def history(entity: str = "", *, limit: int = 100, before_id: int | None = None) -> list[tuple[int, AuditLine]]:
    """Return what was changed, the latest first, with ids to page by.

    Args:
        entity: Only of this one, such as ``nudge after_campaign``.
        limit: How many lines.
        before_id: Only earlier ones than this.
    """
    query = select(Audit).order_by(Audit.id.desc()).limit(limit)
    if entity:
        query = query.where(Audit.entity == entity)
    if before_id is not None:
        query = query.where(Audit.id < before_id)
    return [
        (row.id, AuditLine(row.at, row.actor, row.action, row.entity, _plain(row.before), _plain(row.after)))
        for row in db.session.execute(query).scalars()
    ]


def _save(draft: StoredDraft, before: Any) -> None:
    line = AuditLine(draft.updated_at, draft.updated_by, "saved", _entity(draft), before, draft.document)
    # A revision never comes twice: it is the number of the line in the history, which is only added to.
    values = {
        "document": _encode(draft.document),
        "revision": _note(line),
        "updated_at": draft.updated_at,
        "updated_by": draft.updated_by,
    }
    if not (_replace(draft, values) if draft.revision else _insert(draft, values)):
        db.session.rollback()
        raise Conflict(f"{_entity(draft)} was saved by somebody else in between")


def _insert(draft: StoredDraft, values: dict[str, Any]) -> bool:
    try:
        db.session.execute(insert(Draft).values(kind=draft.kind, key=draft.key, **values))
    except IntegrityError:
        return False
    return True


def _replace(draft: StoredDraft, values: dict[str, Any]) -> bool:
    return _changed(update(Draft).where(_is_seen(draft)).values(values)) == 1


def _drop(draft: StoredDraft) -> bool:
    return _changed(delete(Draft).where(_is_seen(draft))) == 1


def _is_seen(draft: StoredDraft) -> ColumnElement[bool]:
    return (Draft.kind == draft.kind) & (Draft.key == draft.key) & (Draft.revision == draft.revision)


def _changed(statement: Update | Delete) -> int:
    found = db.session.execute(statement)
    return found.rowcount if isinstance(found, CursorResult) else 0


def _note(line: AuditLine) -> int:
    before, after = _packed(line.before), _packed(line.after)
    row = {"at": line.at, "actor": line.actor, "action": line.action, "entity": line.entity}
    statement = insert(Audit).values(**row, before=before, after=after).returning(Audit.id)
    return db.session.execute(statement).scalar_one()


def _entity(draft: StoredDraft) -> str:
    return f"{draft.kind} {draft.key}".strip()


def _packed(value: Any) -> bytes | None:
    return None if value is None else _encode(value)


def _plain(packed: bytes | None) -> Any:
    return None if packed is None else _decode(packed)
