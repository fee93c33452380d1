"""The admin's connection to the client's database."""

from __future__ import annotations

from typing import Any

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.pool import NullPool

from nudge_sdk.store.schema import Base

db = SQLAlchemy(model_class=Base)

# One connection a request: nothing is left open for a fork to inherit.
ENGINE_OPTIONS: dict[str, Any] = {"poolclass": NullPool, "connect_args": {"timeout": 5.0}}
"""How the admin connects; it waits up to five seconds for others that write."""
