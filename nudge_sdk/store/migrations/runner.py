"""Run the migrations on an open connection."""

from __future__ import annotations

import threading
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from nudge_sdk.errors import StoreError

# Alembic keeps the running environment in a module-wide variable.
_ONE_AT_A_TIME = threading.Lock()


def configuration() -> Config:
    """Return Alembic's settings for the revisions packaged here; no ``alembic.ini`` is needed."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config


def upgrade_from(revision: str | None, connection: Connection, where: str) -> None:
    """Bring the schema to the newest revision.

    Args:
        revision: The one it has, None for none.
        connection: Inside a transaction that keeps every other migrating process out; it is not committed here.
        where: The database, for messages.

    Raises:
        StoreError: A newer release made the schema.
    """
    if revision is not None and revision not in _known_revisions():
        raise StoreError(f"{where} has schema {revision} of a newer nudge-sdk; install that one.")
    config = configuration()
    config.attributes["connection"] = connection
    with _ONE_AT_A_TIME:
        command.upgrade(config, "head")


def _known_revisions() -> set[str]:
    return {script.revision for script in ScriptDirectory.from_config(configuration()).walk_revisions()}
