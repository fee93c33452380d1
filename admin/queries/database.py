"""The admin's connection to the client's database."""

from __future__ import annotations

from typing import Any

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.pool import NullPool

from nudge_sdk.store.schema import Base

db = SQLAlchemy(model_class=Base)

WAIT = 5
"""Seconds that the admin waits for others that write."""


def engine_options(url: str) -> dict[str, Any]:
    """Return how the admin connects: one connection a request, so that nothing is left open for a fork to inherit.

    Args:
        url: The database as SQLAlchemy names it.
    """
    if url.startswith("sqlite:"):
        return {"poolclass": NullPool, "connect_args": {"timeout": float(WAIT)}}
    waits = f"-c lock_timeout={WAIT * 1000} -c statement_timeout={WAIT * 2000}"
    return {"poolclass": NullPool, "connect_args": {"connect_timeout": WAIT, "options": waits}}
