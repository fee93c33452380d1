"""Journeys rolled up for reports, where moved members count, and an index of what met goals."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

KEY_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
GOALS = sa.text("kind IN (6, 7)")


def upgrade() -> None:
    """Create the tables and the index."""
    op.create_table(
        "nudge_journeys",
        sa.Column("account_id", KEY_TEXT, nullable=False),
        sa.Column("user_id", KEY_TEXT, nullable=False),
        sa.Column("segment", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("signed_up_at", sa.BigInteger(), nullable=True),
        sa.Column("activated_at", sa.BigInteger(), nullable=True),
        sa.Column("qualified_at", sa.BigInteger(), nullable=True),
        sa.Column("hot_at", sa.BigInteger(), nullable=True),
        sa.Column("won_at", sa.BigInteger(), nullable=True),
        sa.Column("value", sa.BigInteger(), nullable=True),
        sa.Column("offered_at", sa.BigInteger(), nullable=True),
        sa.Column("withheld_at", sa.BigInteger(), nullable=True),
        sa.Column("last_at", sa.BigInteger(), nullable=True),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.Column("traits", sa.Text(), nullable=False),
        sa.Column("mark", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "user_id", name="pk_nudge_journeys"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "nudge_moved",
        sa.Column("account_id", KEY_TEXT, nullable=False),
        sa.Column("user_id", KEY_TEXT, nullable=False),
        sa.Column("to_account_id", sa.Text(), nullable=False),
        sa.Column("to_user_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "user_id", name="pk_nudge_moved"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_nudge_moved_to_account_id_to_user_id", "nudge_moved", ["to_account_id", "to_user_id"])
    op.create_table(
        "nudge_replayed",
        sa.Column("account_id", KEY_TEXT, nullable=False),
        sa.Column("user_id", KEY_TEXT, nullable=False),
        sa.Column("qualified_at", sa.BigInteger(), nullable=True),
        sa.Column("hot_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("account_id", "user_id", name="pk_nudge_replayed"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "nudge_rollups",
        sa.Column("name", KEY_TEXT, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("details", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_nudge_rollups"),
    )
    op.create_index(
        "ix_nudge_events_goals",
        "nudge_events",
        ["account_id", "user_id"],
        sqlite_where=GOALS,
        postgresql_where=GOALS,
    )
