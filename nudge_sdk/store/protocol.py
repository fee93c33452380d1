"""What a store can do, and the rows that go in and out.

The rules know nothing of stores and the stores nothing of rules: states, standings and ledgers are opaque bytes here,
with the columns beside them that lists, counts and the sweep need.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

import msgspec

from nudge_sdk.rules.bases import Base
from nudge_sdk.rules.records import Record
from nudge_sdk.rules.times import FOREVER

Key = tuple[str, str]
"""(account_id, user_id); an empty user_id is the account itself."""


class SubjectRow(msgspec.Struct, kw_only=True):
    """The row of one member, or of one account (``user_id`` empty).

    Attributes:
        state: Packed state; empty for a new row.
        standing: Packed standing, as of ``evaluated_at``.
        signals: Number of the signal set that the state counts.
        definition: Number of the definition the standing was judged by.
        segment, tier, score, fit: Of the standing; score and fit in thousandths of a point.
        active_users: Active members (accounts only).
        episode_at: Start of the latest episode, or None.
        episode_ended_at: When it ended early, or None.
        next_change: The next instant at which the standing can change without an event.
        evaluated_at: The instant the standing was judged at.
        first_day, last_day: First and last UTC day that any stored record of it counts on, or None.
        import_id: The running import of history that touched it last; empty if none.
        ledger: Packed ledger: what was offered and answered.
        ledger_version: Rises with each change of the ledger.
    """

    account_id: str
    user_id: str
    state: bytes = b""
    standing: bytes = b""
    signals: int = 0
    definition: int = 0
    segment: str = ""
    tier: str = "none"
    score: int = 0
    fit: int = 0
    active_users: int = 0
    episode_at: int | None = None
    episode_ended_at: int | None = None
    next_change: int = FOREVER
    evaluated_at: int = 0
    first_day: int | None = None
    last_day: int | None = None
    import_id: str = ""
    ledger: bytes = b""
    ledger_version: int = 0

    @property
    def key(self) -> Key:
        """(account_id, user_id)."""
        return (self.account_id, self.user_id)


class ProfileRows(NamedTuple):
    """What the store holds of a member, as of one moment.

    Attributes:
        rows: The member's and its account's, where there are any.
        positions: Journal to how far it is drained, of those that are known.
        is_moved: Whether the member's records count for another.
    """

    rows: dict[Key, SubjectRow]
    positions: dict[str, int]
    is_moved: bool


class Transition(msgspec.Struct, frozen=True, array_like=True):
    """One line of the transition log; unique by (account_id, user_id, at, cause, tier, is_correction).

    Attributes:
        at: The causing event or boundary.
        observed_at: When the system concluded it.
        cause: Message id of the event, or ``time``, ``publication``, ``import``.
        is_correction: Whether a late event brought it.
        details: Packed reasons.
    """

    account_id: str
    user_id: str
    at: int
    observed_at: int
    cause: str
    from_tier: str
    tier: str
    score: int
    definition: int
    is_correction: bool = False
    details: bytes = b""


class Reached(msgspec.Struct, frozen=True, array_like=True):
    """A milestone reached for the first time; unique by (account_id, user_id, milestone)."""

    account_id: str
    user_id: str
    milestone: str
    at: int
    definition: int


class EpisodeRow(msgspec.Struct, frozen=True, array_like=True):
    """An episode; unique by (account_id, user_id, started_at). Writing it again updates its end."""

    account_id: str
    user_id: str
    started_at: int
    goal: str
    tier: str
    definition: int
    cause: str
    ended_at: int | None = None
    end_reason: str = ""


class Exposure(msgspec.Struct, frozen=True, array_like=True):
    """What was done with a nudge; unique by (account_id, user_id, id, kind).

    Attributes:
        kind: offered, withheld, shown, clicked, dismissed, snoozed, completed.
        id: Id of the decision that offered it (or of the message that reported it).
        details: Packed receipt.
    """

    account_id: str
    user_id: str
    id: str
    kind: str
    nudge: str
    variant: str
    placement: str
    at: int
    definition: int
    goal: str = ""
    holdout: str = ""
    details: bytes = b""


class Alias(msgspec.Struct, frozen=True, array_like=True):
    """Where a member's records count instead; unique by (account_id, user_id)."""

    account_id: str
    user_id: str
    to_account_id: str
    to_user_id: str
    at: int
    id: str


class DefinitionRow(msgspec.Struct, frozen=True, array_like=True):
    """A published definition. ``signals`` is the number of the signal set it needs; live once that is counted."""

    number: int
    document: bytes
    fingerprint: str
    published_at: int
    published_by: str
    note: str
    signals: int
    live_at: int | None = None


class Quarantined(msgspec.Struct, frozen=True, array_like=True):
    """A line that could not be taken in, with the reason."""

    journal: str
    offset: int
    line: bytes
    reason: str
    at: int


class Erasure(msgspec.Struct, frozen=True):
    """All that is stored of one person.

    Attributes:
        keys: (account, user) as sent and as counted.
        accounts: Personal accounts, which go as a whole.
        names: User ids; what was said to join somebody to one of them goes too.
    """

    keys: tuple[Key, ...]
    accounts: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


class FoldTransaction(Protocol):
    """What the fold needs of a transaction.

    Attributes:
        is_alone: Whether nobody else can write while it is open; otherwise only what it has locked stays as it is.
    """

    is_alone: bool

    def lock_subjects(self, keys: Iterable[Key]) -> dict[Key, SubjectRow]:
        """Insert rows that are missing, lock all in sorted order, return them."""

    def members_of(self, account_ids: Iterable[str]) -> list[Key]:
        """Return the keys of all members of these accounts that have a row."""

    def insert_records(self, records: Sequence[Record]) -> list[bool]:
        """Store records; for each, whether it was new (its identity not stored before, in this batch either)."""

    def put_subjects(self, rows: Iterable[SubjectRow]) -> None:
        """Write rows back: all columns but the ledger's."""

    def put_ledger(self, row: SubjectRow, *, expected_version: int) -> bool:
        """Write ledger and version (expected + 1) if the stored version is the expected one; whether it was."""

    def add_transitions(self, rows: Iterable[Transition]) -> None: ...
    def add_reached(self, rows: Iterable[Reached]) -> None: ...
    def put_episodes(self, rows: Iterable[EpisodeRow]) -> None: ...
    def add_exposures(self, rows: Iterable[Exposure]) -> list[bool]:
        """Append exposures that are new; whether each was."""

    def aliases(self, keys: Iterable[Key]) -> dict[Key, Alias]:
        """Return the aliases of those of the keys that have one."""

    def alias_sources(self, key: Key) -> list[Alias]:
        """Return the aliases that lead to this member."""

    def put_alias(self, alias: Alias) -> None: ...
    def delete_subject(self, key: Key) -> None:
        """Drop a row (its records stay; an alias leads elsewhere)."""

    def has_forgotten(self) -> bool:
        """Whether anybody was ever forgotten."""

    def forgotten(self, keys: Collection[Key]) -> set[Key]:
        """Return those of the members who were forgotten, in this account or everywhere."""

    def horizon(self) -> int | None:
        """Return the first UTC day of which events are taken, or None while every day is."""

    def bases_of(self, keys: Iterable[Key]) -> list[Base]:
        """Return what was counted of dropped records of exactly these (account, user) pairs as sent."""

    def bases_of_account(self, account_id: str) -> list[Base]:
        """Return what was counted of dropped records sent for this account, by user."""

    def records_of(self, keys: Sequence[Key], *, first_day: int, last_day: int) -> Iterator[Record]:
        """Yield the stored records of exactly these (account, user) pairs as sent, by counted time and id."""

    def records_of_account(self, account_id: str, *, first_day: int, last_day: int) -> Iterator[Record]:
        """Yield all stored records sent for this account, by counted time and id."""


class Transaction(FoldTransaction, Protocol):
    """One write transaction. It commits when its context ends well, and leaves nothing behind otherwise."""

    def add_quarantined(self, rows: Iterable[Quarantined]) -> None: ...
    def position(self, journal: str) -> int | None:
        """Return how far a journal has been drained, or None."""

    def put_position(self, journal: str, offset: int) -> None: ...
    def delete_position(self, journal: str) -> None: ...
    def due(self, now: int, *, definition: int, limit: int) -> list[Key]:
        """Return keys whose ``next_change`` <= now, or that were judged by an older definition; oldest change first.

        Rows held by an import are left out; rows never judged (``evaluated_at`` 0) are due by ``next_change`` alone.
        """

    def outdated(self, signals: int, *, limit: int) -> list[Key]:
        """Return keys with a state that counts an older signal set."""

    def definition_state(self, *, is_changing: bool = False) -> tuple[int, int]:
        """Return (number of the newest definition, number of the newest live one); 0 for none.

        Nobody publishes until this transaction ends. ``is_changing`` is said by who is going to.
        """

    def put_definition(self, row: DefinitionRow) -> None: ...
    def release_import(self, import_id: str, next_change: int) -> int:
        """Free the rows an import held and make them due; how many there were."""

    def take_inbox(self, limit: int) -> list[tuple[int, bytes]]:
        """Return and delete up to ``limit`` lines of the inbox, oldest first."""

    def horizons(self) -> dict[str, int]:
        """Return the UTC day that each signal is counted from; under an empty id the horizon. Empty without one."""

    def put_horizons(self, days: dict[str, int]) -> None:
        """Replace them all."""

    def put_bases(self, bases: Iterable[Base]) -> None:
        """Write what was counted of dropped records, in place of what was there."""

    def oldest_records(self, before: int, *, limit: int) -> list[Record]:
        """Return stored records that count before a UTC day, by day, account and user."""

    def delete_records(self, records: Iterable[Record]) -> None:
        """Delete stored records; of those whose time was ahead of the clock it stays known that they came."""

    def put_forgotten(self, keys: Iterable[Key], at: int) -> None:
        """Leave a tombstone for each member; for an empty account in every account."""

    def delete_forgotten(self, keys: Iterable[Key]) -> int:
        """Take tombstones away; how many there were."""

    def keys_of(self, user_ids: Collection[str]) -> list[Key]:
        """Return the keys, in any account, under which these users have a row, a conclusion or an alias."""

    def erase(self, erasure: Erasure) -> int:
        """Delete rows, records, conclusions and aliases; how many there were."""

    def erase_lines(self, is_theirs: Callable[[bytes, str], bool]) -> int:
        """Delete what holds (line, reason) from the quarantine and the inbox; how many there were."""

    def hide_causes(self, account_ids: Iterable[str], ids: Container[str], by: str) -> None:
        """Write ``by`` where one of these message ids is the cause of a transition or an episode."""


class Store(Protocol):
    """Durable memory. Every call waits at most its bound, then raises StoreBusyError."""

    def transaction(self, *, wait: float) -> AbstractContextManager[Transaction]:
        """Begin a write transaction, waiting at most ``wait`` seconds for others.

        Others may be waited for when it begins, or at whatever is locked or written in it.
        """

    def read_subjects(self, keys: Sequence[Key]) -> dict[Key, SubjectRow]:
        """Read rows outside a transaction; never waits for writers."""

    def read_profile(self, key: Key, journals: Sequence[str]) -> ProfileRows:
        """Read a member, its account, and how far those of the journals that are known are drained: of one moment."""

    def read_ledger_versions(self, keys: Sequence[Key]) -> dict[Key, int]:
        """Read only the ledger versions (0 for a missing row)."""

    def read_alias(self, key: Key) -> Alias | None: ...
    def read_position(self, journal: str) -> int | None: ...
    def read_definition_state(self) -> tuple[int, int]:
        """Read (number of the newest definition, number of the newest live one); 0 for none."""

    def count_outdated(self, signals: int) -> int:
        """Read how many rows with a state count an older signal set."""

    def read_known(self, records: Sequence[Record]) -> list[bool]:
        """Read for each record whether its identity is stored."""

    def definitions(self) -> list[DefinitionRow]:
        """Return every published definition, oldest first."""

    def subjects(self, *, after: Key | None = None, limit: int = 1000, members: bool | None = None) -> list[SubjectRow]:
        """Page through all rows in key order; ``members`` True or False restricts to members or accounts."""

    def transitions(self, account_id: str, user_id: str) -> list[Transition]: ...
    def episodes(self, account_id: str, user_id: str) -> list[EpisodeRow]: ...
    def exposures(self, account_id: str, user_id: str) -> list[Exposure]: ...
    def reached(self, account_id: str, user_id: str) -> list[Reached]: ...
    def records(self) -> Iterator[Record]:
        """Yield every stored record by counted time and id."""

    def bases(self) -> Iterator[Base]:
        """Yield what was counted of dropped records, by account and user as sent."""

    def aliases(self) -> list[Alias]:
        """Return where everybody's records count who moved."""

    def read_horizons(self) -> dict[str, int]:
        """Read the UTC day that each signal is counted from; under an empty id the horizon. Empty without one."""

    def quarantined(self) -> list[Quarantined]: ...
    def has_inbox(self) -> bool:
        """Read whether the inbox holds any line."""

    def scrub(self, days: Collection[int] | None, *, wait: float) -> None:
        """Overwrite in the database's files what deleted and updated rows leave behind.

        Args:
            days: UTC days on which events were deleted; None where that is not known any more.
            wait: Most seconds to wait for others.

        Raises:
            StoreBusyError: Others kept it from being complete.
        """

    def release_room(self, before: int, *, wait: float) -> int:
        """Give back parts of the event table that lie before a UTC day, are empty, and are free; how many there were.

        Args:
            before: The day.
            wait: Most seconds to wait for others.
        """

    def acquire_lease(self, name: str, holder: str, *, now: int, seconds: float) -> bool:
        """Take or renew a lease; False while somebody else holds it.

        One that would last for more than twice ``seconds`` was taken by a clock that was wrong, and holds nobody up.
        """

    def release_lease(self, name: str, holder: str) -> None: ...
    def migrate(self) -> None:
        """Bring the schema to this release's version."""

    def schema_is_current(self) -> bool: ...
    def close(self) -> None: ...
    def after_fork(self) -> None:
        """Drop inherited connections without closing them."""
