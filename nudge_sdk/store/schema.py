"""The tables, one model each: the same on SQLite and PostgreSQL, all named ``nudge_…``.

The SDK itself writes with plain SQL and never imports this module; migrations, the admin and insights do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from sqlalchemy import BigInteger, Index, Integer, LargeBinary, MetaData, SmallInteger, Text, text
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column

from nudge_sdk.rules.times import FOREVER

VERSION_TABLE = "nudge_alembic_version"
TABLE_PREFIX = "nudge_"

# Keys are locked and paged in the order Python sorts them, so PostgreSQL must not use the database's language.
KEY_TEXT = Text().with_variant(Text(collation="C"), "postgresql")
COUNTER = BigInteger().with_variant(Integer(), "sqlite")

KeyText = Annotated[str, mapped_column(KEY_TEXT, primary_key=True)]
KeyInstant = Annotated[int, mapped_column(BigInteger, primary_key=True, autoincrement=False)]
KeyBytes = Annotated[bytes, mapped_column(LargeBinary, primary_key=True)]
RisingId = Annotated[int, mapped_column(COUNTER, primary_key=True, autoincrement=True)]
Plain = Annotated[str, mapped_column(Text)]
Instant = Annotated[int, mapped_column(BigInteger)]
Number = Annotated[int, mapped_column(Integer)]
Blob = Annotated[bytes, mapped_column(LargeBinary)]
Small = Annotated[int, mapped_column(SmallInteger)]

_NAMES = {"ix": "ix_%(table_name)s_%(column_0_N_name)s", "pk": "pk_%(table_name)s"}
_CLUSTERED = {"sqlite_with_rowid": False}
_PARTITIONED = {**_CLUSTERED, "postgresql_partition_by": "RANGE (day)"}
_NUMBERED = {"sqlite_autoincrement": True}
_DUE = f"next_change < {FOREVER} AND import_id = ''"
_OF_GOALS = "kind IN (6, 7)"


def include_name(name: str | None, type_: str, parent_names: Mapping[str, Any]) -> bool:
    """Tell a host's Alembic to leave the tables of nudge-sdk alone.

    Pass it to ``context.configure(include_name=include_name)`` in the host's ``env.py``; without it, autogenerate
    proposes to drop them.
    """
    return not (type_ == "table" and (name or "").startswith(TABLE_PREFIX))


class Base(DeclarativeBase):
    """Declarative base of every table of nudge-sdk."""

    metadata = MetaData(naming_convention=_NAMES)


class _Subject:
    """What a member's row and an account's row have in common; see ``store.protocol.SubjectRow``.

    ``signals`` is NULL while there is no state and ``definition`` while nothing was judged, so that an index finds
    what is behind without passing those. Large values stand last: reading a small one never follows overflow pages.
    """

    signals: Mapped[Number | None]
    definition: Mapped[Number | None]
    segment: Mapped[Plain]
    tier: Mapped[Plain]
    score: Mapped[Instant]
    fit: Mapped[Instant]
    active_users: Mapped[Number]
    episode_at: Mapped[Instant | None]
    episode_ended_at: Mapped[Instant | None]
    next_change: Mapped[Instant]
    evaluated_at: Mapped[Instant]
    first_day: Mapped[Number | None]
    last_day: Mapped[Number | None]
    import_id: Mapped[Plain]
    ledger_version: Mapped[Number]
    ledger: Mapped[Blob]
    standing: Mapped[Blob]
    state: Mapped[Blob]

    @declared_attr.directive
    @classmethod
    def __table_args__(cls) -> tuple[Index, ...]:
        table = cls.__tablename__  # type: ignore[attr-defined]
        return (
            _partial(f"ix_{table}_due", "next_change", where=_DUE),
            _partial(f"ix_{table}_tier", "tier", "segment", where="tier <> 'none'"),
            _partial(f"ix_{table}_definition", "definition", where="import_id = ''"),
            Index(f"ix_{table}_signals", "signals"),
            _partial(f"ix_{table}_import", "import_id", where="import_id <> ''"),
        )


def _partial(name: str, *columns: str, where: str) -> Index:
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


class Member(_Subject, Base):
    """A user within one account."""

    __tablename__ = "nudge_members"
    account_id: Mapped[KeyText]
    user_id: Mapped[KeyText]


class Account(_Subject, Base):
    """A tenant."""

    __tablename__ = "nudge_accounts"
    account_id: Mapped[KeyText]


class Event(Base):
    """A record as sent, clustered by the UTC day it counts on, so that new ones arrive at one edge of the table.

    ``delay`` is ``received_at - at``; ``kind`` and ``id`` are packed as in ``store.rows``.
    """

    __tablename__ = "nudge_events"
    __table_args__ = (_partial("ix_nudge_events_goals", "account_id", "user_id", where=_OF_GOALS), _PARTITIONED)
    day: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    account_id: Mapped[KeyText]
    user_id: Mapped[KeyText]
    at: Mapped[KeyInstant]
    id: Mapped[KeyBytes]
    kind: Mapped[Small]
    history: Mapped[Small]
    delay: Mapped[Instant]
    name: Mapped[Plain]
    data: Mapped[Blob | None]
    release: Mapped[Plain | None]


class Clamped(Base):
    """Identities of records that count on another day than they were sent for."""

    __tablename__ = "nudge_clamped"
    __table_args__ = _CLUSTERED
    at: Mapped[KeyInstant]
    account_id: Mapped[KeyText]
    user_id: Mapped[KeyText]
    id: Mapped[KeyBytes]


class TransitionLine(Base):
    """One line of the transition log."""

    __tablename__ = "nudge_transitions"
    __table_args__ = (Index(None, "at"),)
    account_id: Mapped[KeyText]
    user_id: Mapped[KeyText]
    at: Mapped[KeyInstant]
    observed_at: Mapped[Instant]
    cause: Mapped[KeyText]
    from_tier: Mapped[Plain]
    tier: Mapped[KeyText]
    score: Mapped[Instant]
    definition: Mapped[Number]
    is_correction: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    details: Mapped[Blob]


class MilestoneReached(Base):
    """The first time a subject reached a milestone."""

    __tablename__ = "nudge_reached"
    __table_args__ = _CLUSTERED
    account_id: Mapped[KeyText]
    user_id: Mapped[KeyText]
    milestone: Mapped[KeyText]
    at: Mapped[Instant]
    definition: Mapped[Number]


class Episode(Base):
    """What was done with one qualification of a member."""

    __tablename__ = "nudge_episodes"
    __table_args__ = (Index(None, "started_at"),)
    account_id: Mapped[KeyText]
    user_id: Mapped[KeyText]
    started_at: Mapped[KeyInstant]
    goal: Mapped[Plain]
    tier: Mapped[Plain]
    definition: Mapped[Number]
    cause: Mapped[Plain]
    ended_at: Mapped[Instant | None]
    end_reason: Mapped[Plain]


class ExposureLine(Base):
    """What was done with a nudge."""

    __tablename__ = "nudge_exposures"
    __table_args__ = (Index(None, "nudge", "at"),)
    account_id: Mapped[KeyText]
    user_id: Mapped[KeyText]
    id: Mapped[KeyText]
    kind: Mapped[KeyText]
    nudge: Mapped[Plain]
    variant: Mapped[Plain]
    placement: Mapped[Plain]
    at: Mapped[Instant]
    definition: Mapped[Number]
    goal: Mapped[Plain]
    holdout: Mapped[Plain]
    details: Mapped[Blob]


class AliasLine(Base):
    """Where a member's records count instead."""

    __tablename__ = "nudge_aliases"
    __table_args__ = (Index(None, "to_account_id", "to_user_id"),)
    account_id: Mapped[KeyText]
    user_id: Mapped[KeyText]
    to_account_id: Mapped[Plain]
    to_user_id: Mapped[Plain]
    at: Mapped[Instant]
    id: Mapped[Plain]


class Definition(Base):
    """A published definition."""

    __tablename__ = "nudge_definitions"
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    fingerprint: Mapped[Plain]
    published_at: Mapped[Instant]
    published_by: Mapped[Plain]
    note: Mapped[Plain]
    signals: Mapped[Number]
    live_at: Mapped[Instant | None]
    document: Mapped[Blob]


class Quarantine(Base):
    """A line that could not be taken in."""

    __tablename__ = "nudge_quarantine"
    __table_args__ = (Index(None, "journal", "position"), _NUMBERED)
    id: Mapped[RisingId]
    journal: Mapped[Plain]
    position: Mapped[Instant]
    line: Mapped[Blob]
    reason: Mapped[Plain]
    at: Mapped[Instant]


class Journal(Base):
    """How far a journal has been drained."""

    __tablename__ = "nudge_journals"
    journal: Mapped[KeyText]
    position: Mapped[Instant]


class Lease(Base):
    """Who does a job that one process does at a time, and until when (an instant) unless renewed."""

    __tablename__ = "nudge_leases"
    name: Mapped[KeyText]
    holder: Mapped[Plain]
    until: Mapped[Instant]


class Inbox(Base):
    """Lines written in the host's own transaction, not yet taken in."""

    __tablename__ = "nudge_inbox"
    __table_args__ = _NUMBERED
    id: Mapped[RisingId]
    account_id: Mapped[Plain]
    line: Mapped[Blob]


class Tombstone(Base):
    """That somebody was forgotten: a keyed hash of (account, user), see ``store.tombstones``."""

    __tablename__ = "nudge_forgotten"
    __table_args__ = _CLUSTERED
    digest: Mapped[KeyBytes]
    at: Mapped[Instant]


class Secret(Base):
    """What the database drew for itself and tells nobody."""

    __tablename__ = "nudge_secrets"
    name: Mapped[KeyText]
    value: Mapped[Blob]


class CountedBase(Base):
    """What was counted of events that were dropped; see ``rules.bases``."""

    __tablename__ = "nudge_bases"
    account_id: Mapped[KeyText]
    user_id: Mapped[KeyText]
    member: Mapped[Blob]
    account: Mapped[Blob]


class Horizon(Base):
    """From which UTC day on a signal is counted; without one, from which on events are stored."""

    __tablename__ = "nudge_horizons"
    signal: Mapped[KeyText]
    day: Mapped[Number]


class Journey(Base):
    """When one member (or account: empty user) came how far, rolled up for reports; see ``insights.journeys``.

    ``mark`` is a hash of what it was made from, so that what has not changed is not made again.
    """

    __tablename__ = "nudge_journeys"
    __table_args__ = _CLUSTERED
    account_id: Mapped[KeyText]
    user_id: Mapped[KeyText]
    segment: Mapped[Plain]
    source: Mapped[Plain]
    signed_up_at: Mapped[Instant | None]
    activated_at: Mapped[Instant | None]
    qualified_at: Mapped[Instant | None]
    hot_at: Mapped[Instant | None]
    won_at: Mapped[Instant | None]
    value: Mapped[Instant | None]
    offered_at: Mapped[Instant | None]
    withheld_at: Mapped[Instant | None]
    last_at: Mapped[Instant | None]
    events: Mapped[Instant]
    traits: Mapped[Plain]
    mark: Mapped[Blob]


class Replayed(Base):
    """When a member, or an account (empty user), of imported history would first have qualified and been hot."""

    __tablename__ = "nudge_replayed"
    __table_args__ = _CLUSTERED
    account_id: Mapped[KeyText]
    user_id: Mapped[KeyText]
    qualified_at: Mapped[Instant | None]
    hot_at: Mapped[Instant | None]


class Moved(Base):
    """The member that a moved member's records count for in the end, however many moves lead there."""

    __tablename__ = "nudge_moved"
    __table_args__ = (Index(None, "to_account_id", "to_user_id"), _CLUSTERED)
    account_id: Mapped[KeyText]
    user_id: Mapped[KeyText]
    to_account_id: Mapped[Plain]
    to_user_id: Mapped[Plain]


class Rollup(Base):
    """When something was rolled up, and how; ``details`` is JSON."""

    __tablename__ = "nudge_rollups"
    name: Mapped[KeyText]
    at: Mapped[Instant]
    details: Mapped[Blob]


class Draft(Base):
    """An entity as it is being edited; ``revision`` rises with each save."""

    __tablename__ = "nudge_drafts"
    kind: Mapped[KeyText]
    key: Mapped[KeyText]
    document: Mapped[Blob]
    revision: Mapped[Number]
    updated_at: Mapped[Instant]
    updated_by: Mapped[Plain]


class Audit(Base):
    """Who changed what in the admin."""

    __tablename__ = "nudge_audit"
    __table_args__ = (Index(None, "entity"), _NUMBERED)
    id: Mapped[RisingId]
    at: Mapped[Instant]
    actor: Mapped[Plain]
    action: Mapped[Plain]
    entity: Mapped[Plain]
    before: Mapped[Blob | None]
    after: Mapped[Blob | None]


class AdminUser(Base):
    """A user of the admin's own, for where no host says who somebody is."""

    __tablename__ = "nudge_admin_users"
    name: Mapped[KeyText]
    password: Mapped[Plain]
    role: Mapped[Plain]
    failures: Mapped[Number]
    last_failure_at: Mapped[Instant]
