"""What was counted of events that were dropped, and which those are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

KEY_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "nudge_bases",
        sa.Column("account_id", KEY_TEXT, nullable=False),
        sa.Column("user_id", KEY_TEXT, nullable=False),
        sa.Column("member", sa.LargeBinary(), nullable=False),
        sa.Column("account", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "user_id", name="pk_nudge_bases"),
    )
    op.create_table(
        "nudge_horizons",
        sa.Column("signal", KEY_TEXT, nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("signal", name="pk_nudge_horizons"),
    )
