"""The first tables."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

KEY_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
COUNTER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables."""
    _subjects()
    _events()
    _conclusions()
    _runtime()
    _publishing()


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def _subjects() -> None:
    op.create_table(
        "nudge_members",
        sa.Column("account_id", KEY_TEXT, nullable=False),
        sa.Column("user_id", KEY_TEXT, nullable=False),
        sa.Column("signals", sa.Integer(), nullable=True),
        sa.Column("definition", sa.Integer(), nullable=True),
        sa.Column("segment", sa.Text(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("score", sa.BigInteger(), nullable=False),
        sa.Column("fit", sa.BigInteger(), nullable=False),
        sa.Column("active_users", sa.Integer(), nullable=False),
        sa.Column("episode_at", sa.BigInteger(), nullable=True),
        sa.Column("episode_ended_at", sa.BigInteger(), nullable=True),
        sa.Column("next_change", sa.BigInteger(), nullable=False),
        sa.Column("evaluated_at", sa.BigInteger(), nullable=False),
        sa.Column("first_day", sa.Integer(), nullable=True),
        sa.Column("last_day", sa.Integer(), nullable=True),
        sa.Column("import_id", sa.Text(), nullable=False),
        sa.Column("ledger_version", sa.Integer(), nullable=False),
        sa.Column("ledger", sa.LargeBinary(), nullable=False),
        sa.Column("standing", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "user_id", name="pk_nudge_members"),
    )
    op.create_index(
        "ix_nudge_members_due",
        "nudge_members",
        ["next_change"],
        **_where("next_change < 4611686018427387904 AND import_id = ''"),
    )
    op.create_index("ix_nudge_members_import", "nudge_members", ["import_id"], **_where("import_id <> ''"))
    op.create_index("ix_nudge_members_definition", "nudge_members", ["definition"], **_where("import_id = ''"))
    op.create_index("ix_nudge_members_signals", "nudge_members", ["signals"])
    op.create_index("ix_nudge_members_tier", "nudge_members", ["tier", "segment"], **_where("tier <> 'none'"))
    op.create_table(
        "nudge_accounts",
        sa.Column("account_id", KEY_TEXT, nullable=False),
        sa.Column("signals", sa.Integer(), nullable=True),
        sa.Column("definition", sa.Integer(), nullable=True),
        sa.Column("segment", sa.Text(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("score", sa.BigInteger(), nullable=False),
        sa.Column("fit", sa.BigInteger(), nullable=False),
        sa.Column("active_users", sa.Integer(), nullable=False),
        sa.Column("episode_at", sa.BigInteger(), nullable=True),
        sa.Column("episode_ended_at", sa.BigInteger(), nullable=True),
        sa.Column("next_change", sa.BigInteger(), nullable=False),
        sa.Column("evaluated_at", sa.BigInteger(), nullable=False),
        sa.Column("first_day", sa.Integer(), nullable=True),
        sa.Column("last_day", sa.Integer(), nullable=True),
        sa.Column("import_id", sa.Text(), nullable=False),
        sa.Column("ledger_version", sa.Integer(), nullable=False),
        sa.Column("ledger", sa.LargeBinary(), nullable=False),
        sa.Column("standing", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", name="pk_nudge_accounts"),
    )
    op.create_index(
        "ix_nudge_accounts_due",
        "nudge_accounts",
        ["next_change"],
        **_where("next_change < 4611686018427387904 AND import_id = ''"),
    )
    op.create_index("ix_nudge_accounts_import", "nudge_accounts", ["import_id"], **_where("import_id <> ''"))
    op.create_index("ix_nudge_accounts_definition", "nudge_accounts", ["definition"], **_where("import_id = ''"))
    op.create_index("ix_nudge_accounts_signals", "nudge_accounts", ["signals"])
    op.create_index("ix_nudge_accounts_tier", "nudge_accounts", ["tier", "segment"], **_where("tier <> 'none'"))
    op.create_table(
        "nudge_aliases",
        sa.Column("account_id", KEY_TEXT, nullable=False),
        sa.Column("user_id", KEY_TEXT, nullable=False),
        sa.Column("to_account_id", sa.Text(), nullable=False),
        sa.Column("to_user_id", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "user_id", name="pk_nudge_aliases"),
    )
    op.create_index("ix_nudge_aliases_to_account_id_to_user_id", "nudge_aliases", ["to_account_id", "to_user_id"])


def _events() -> None:
    op.create_table(
        "nudge_events",
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("account_id", KEY_TEXT, nullable=False),
        sa.Column("user_id", KEY_TEXT, nullable=False),
        sa.Column("at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("history", sa.SmallInteger(), nullable=False),
        sa.Column("delay", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=True),
        sa.Column("release", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("day", "account_id", "user_id", "at", "id", name="pk_nudge_events"),
        sqlite_with_rowid=False,
        postgresql_partition_by="RANGE (day)",
    )
    if op.get_bind().dialect.name == "postgresql":
        # A partition a month is made when its first event comes. What devices without a clock say goes to these two;
        # a default partition would have to be locked whole each time another is made.
        op.execute("CREATE TABLE nudge_events_before PARTITION OF nudge_events FOR VALUES FROM (MINVALUE) TO (10957)")
        op.execute("CREATE TABLE nudge_events_after PARTITION OF nudge_events FOR VALUES FROM (47482) TO (MAXVALUE)")
    op.create_table(
        "nudge_clamped",
        sa.Column("at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account_id", KEY_TEXT, nullable=False),
        sa.Column("user_id", KEY_TEXT, nullable=False),
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("at", "account_id", "user_id", "id", name="pk_nudge_clamped"),
        sqlite_with_rowid=False,
    )


def _conclusions() -> None:
    op.create_table(
        "nudge_transitions",
        sa.Column("account_id", KEY_TEXT, nullable=False),
        sa.Column("user_id", KEY_TEXT, nullable=False),
        sa.Column("at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("observed_at", sa.BigInteger(), nullable=False),
        sa.Column("cause", KEY_TEXT, nullable=False),
        sa.Column("from_tier", sa.Text(), nullable=False),
        sa.Column("tier", KEY_TEXT, nullable=False),
        sa.Column("score", sa.BigInteger(), nullable=False),
        sa.Column("definition", sa.Integer(), nullable=False),
        sa.Column("is_correction", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("details", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint(
            "account_id", "user_id", "at", "cause", "tier", "is_correction", name="pk_nudge_transitions"
        ),
    )
    op.create_index("ix_nudge_transitions_at", "nudge_transitions", ["at"])
    op.create_table(
        "nudge_reached",
        sa.Column("account_id", KEY_TEXT, nullable=False),
        sa.Column("user_id", KEY_TEXT, nullable=False),
        sa.Column("milestone", KEY_TEXT, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("definition", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "user_id", "milestone", name="pk_nudge_reached"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "nudge_episodes",
        sa.Column("account_id", KEY_TEXT, nullable=False),
        sa.Column("user_id", KEY_TEXT, nullable=False),
        sa.Column("started_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("goal", sa.Text(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("definition", sa.Integer(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("end_reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "user_id", "started_at", name="pk_nudge_episodes"),
    )
    op.create_index("ix_nudge_episodes_started_at", "nudge_episodes", ["started_at"])
    op.create_table(
        "nudge_exposures",
        sa.Column("account_id", KEY_TEXT, nullable=False),
        sa.Column("user_id", KEY_TEXT, nullable=False),
        sa.Column("id", KEY_TEXT, nullable=False),
        sa.Column("kind", KEY_TEXT, nullable=False),
        sa.Column("nudge", sa.Text(), nullable=False),
        sa.Column("variant", sa.Text(), nullable=False),
        sa.Column("placement", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("definition", sa.Integer(), nullable=False),
        sa.Column("goal", sa.Text(), nullable=False),
        sa.Column("holdout", sa.Text(), nullable=False),
        sa.Column("details", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "user_id", "id", "kind", name="pk_nudge_exposures"),
    )
    op.create_index("ix_nudge_exposures_nudge_at", "nudge_exposures", ["nudge", "at"])


def _runtime() -> None:
    op.create_table(
        "nudge_journals",
        sa.Column("journal", KEY_TEXT, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("journal", name="pk_nudge_journals"),
    )
    op.create_table(
        "nudge_quarantine",
        sa.Column("id", COUNTER, autoincrement=True, nullable=False),
        sa.Column("journal", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_nudge_quarantine"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_nudge_quarantine_journal_position", "nudge_quarantine", ["journal", "position"])
    op.create_table(
        "nudge_leases",
        sa.Column("name", KEY_TEXT, nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_nudge_leases"),
    )
    op.create_table(
        "nudge_inbox",
        sa.Column("id", COUNTER, autoincrement=True, nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("line", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_nudge_inbox"),
        sqlite_autoincrement=True,
    )


def _publishing() -> None:
    op.create_table(
        "nudge_definitions",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("published_at", sa.BigInteger(), nullable=False),
        sa.Column("published_by", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("signals", sa.Integer(), nullable=False),
        sa.Column("live_at", sa.BigInteger(), nullable=True),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_nudge_definitions"),
    )
    op.create_table(
        "nudge_drafts",
        sa.Column("kind", KEY_TEXT, nullable=False),
        sa.Column("key", KEY_TEXT, nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "key", name="pk_nudge_drafts"),
    )
    op.create_table(
        "nudge_audit",
        sa.Column("id", COUNTER, autoincrement=True, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("before", sa.LargeBinary(), nullable=True),
        sa.Column("after", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_nudge_audit"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_nudge_audit_entity", "nudge_audit", ["entity"])
