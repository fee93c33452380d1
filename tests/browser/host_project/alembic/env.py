"""The host's own migrations."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from alembic import context
from sqlalchemy import create_engine

from nudge_sdk.store.schema import include_name

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from models import Base

with create_engine(f"sqlite:///{os.environ['NUDGE_DATABASE']}").connect() as connection:
    options = {"include_name": include_name} if os.environ.get("WITH_INCLUDE_NAME", "yes") == "yes" else {}
    context.configure(connection=connection, target_metadata=Base.metadata, **options)
    with context.begin_transaction():
        context.run_migrations()
