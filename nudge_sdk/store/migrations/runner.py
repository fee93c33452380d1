"""Run the migrations on an open connection."""

from __future__ import annotations

import threading
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

# Alembic keeps the running environment in a module-wide variable.
_ONE_AT_A_TIME = threading.Lock()


def configuration() -> Config:
    """Return Alembic's settings for the revisions packaged here; no ``alembic.ini`` is needed."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config


def knows_revision(revision: str) -> bool:
    """Return whether a revision found in a database is one of this release's."""
    known = {script.revision for script in ScriptDirectory.from_config(configuration()).walk_revisions()}
    return revision in known


def upgrade(connection: Connection) -> None:
    """Bring the schema to the newest revision.

    Args:
        connection: Inside a transaction that keeps every other migrating process out; it is not committed here.
    """
    config = configuration()
    config.attributes["connection"] = connection
    with _ONE_AT_A_TIME:
        command.upgrade(config, "head")
