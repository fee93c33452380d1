"""The admin's own reads and writes, one module a subject; the SDK's own data is read through its store where it can be.

Everything a page lists is one query.
"""

from __future__ import annotations

from .database import db, engine_options
from .draft_rows import (
    AuditLine,
    Conflict,
    StoredDraft,
    add_drafts,
    drafts,
    drop_draft,
    drop_published,
    history,
    note,
    save_draft,
)
from .user_rows import User, note_log_in, put_user, user

__all__ = [
    "AuditLine",
    "Conflict",
    "StoredDraft",
    "User",
    "add_drafts",
    "db",
    "drafts",
    "drop_draft",
    "drop_published",
    "engine_options",
    "history",
    "note",
    "note_log_in",
    "put_user",
    "save_draft",
    "user",
]
