"""The schema's history, one Alembic revision a change; run by ``Store.migrate``."""

from __future__ import annotations

HEAD_REVISION = "0005"
"""The revision this release works with, known without loading Alembic."""
