"""How the tables came to be: Alembic migrations of everything that starts with ``nudge_``."""
