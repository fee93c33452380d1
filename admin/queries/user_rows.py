"""The admin's own users."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import update

from nudge_sdk.store.schema import AdminUser

from ..access import ROLES, Role
from .database import db


class User(msgspec.Struct, frozen=True):
    """A user of the admin's own.

    Attributes:
        password: Its argon2 hash.
        failures: Log-ins that failed since the last that did not.
    """

    name: str
    password: str
    role: Role
    failures: int
    last_failure_at: int


def user(name: str) -> User | None:
    """Return a user of the admin's own; None where there is none."""
    row = db.session.get(AdminUser, name)
    return User(row.name, row.password, _role(row.role), row.failures, row.last_failure_at) if row is not None else None


def put_user(user: User) -> None:
    """Make a user, or replace one."""
    db.session.merge(AdminUser(**msgspec.structs.asdict(user)))
    db.session.commit()


def note_log_in(name: str, *, failed_at: int | None) -> None:
    """Count a log-in that failed, at an instant; or forget those before one that did not."""
    if failed_at is None:
        values: dict[Any, Any] = {AdminUser.failures: 0}
    else:
        values = {AdminUser.failures: AdminUser.failures + 1, AdminUser.last_failure_at: failed_at}
    db.session.execute(update(AdminUser).where(AdminUser.name == name).values(values))
    db.session.commit()


def _role(text: str) -> Role:
    return next((role for role in ROLES if role == text), "viewer")
