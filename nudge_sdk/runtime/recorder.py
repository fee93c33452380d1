"""The recorder: what the host says, checked, encoded and made safe."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from nudge_sdk.errors import RecordError
from nudge_sdk.rules.identity import move_of
from nudge_sdk.rules.records import Kind, Record, personal_account
from nudge_sdk.rules.times import HOUR
from nudge_sdk.runtime.checking import (
    MessageIds,
    check_account,
    check_data,
    check_instant,
    check_name,
    check_size,
    member_key,
)
from nudge_sdk.runtime.drainer import DrainThread
from nudge_sdk.runtime.durability import settle
from nudge_sdk.runtime.intake import Intake, encode_record
from nudge_sdk.runtime.journal import Journal
from nudge_sdk.runtime.profiles import Pending, Profiles

log = logging.getLogger("nudge_sdk")

_REPEATS_KEPT = 20_000
_STEERING = frozenset({"convert", "churn", "alias"})


class Recorder:
    """Writes records to the journal, or straight to the store where there is none.

    Args:
        intake: The way into the store.
        profiles: Where records are seen before they are drained.
        journal: The journal; None writes to the store at once.
        thread: The thread that drains, if this process has one.
        clock: The present instant in microseconds.
        release: The host's release, put on every record.
    """

    def __init__(
        self,
        intake: Intake,
        profiles: Profiles,
        *,
        journal: Journal | None,
        thread: DrainThread | None,
        clock: Callable[[], int],
        release: str = "",
    ) -> None:
        self.intake = intake
        self.profiles = profiles
        self.journal = journal
        self.thread = thread
        self.clock = clock
        self.release = release
        self.ids = MessageIds()
        self.store_wait = 0.05
        self.is_settled = False
        self.repeat_within = HOUR
        self._said: OrderedDict[tuple[str, str, str], tuple[bytes, int]] = OrderedDict()

    def make(
        self,
        kind: Kind,
        user: str | None,
        name: str,
        data: Mapping[str, Any] | None,
        *,
        account: str | None,
        at: datetime | str | int | None = None,
        id: str | None = None,
        field: str = "properties",
    ) -> Record:
        """Return a checked record.

        Raises:
            RecordError: Something that some store cannot hold.
        """
        if user is not None or kind == "track":
            account_id, user_id = member_key(user, account)
        else:
            account_id, user_id = personal_account("") if account is None else check_account(account), ""
        now = self.clock()
        return Record(
            kind,
            account_id,
            user_id,
            self.ids.new(now) if id is None else check_name(id, "id"),
            now if at is None else check_instant(at, "at"),
            now,
            name,
            check_data(data, field),
            self.release,
        )

    def write(self, record: Record, *, is_ours: bool = True) -> None:
        """Make a record safe: when this returns, ``kill -9`` loses nothing.

        Args:
            record: The record.
            is_ours: Whether its message id was made here.

        Raises:
            RecordError: It is over 32 KB.
            JournalError: The journal cannot be written.
            StoreError: There is no journal, and the store refused.
        """
        line = check_size(encode_record(record))
        if self.journal is None:
            self.commit(record, wait=self.store_wait)
            return
        journal, offset = self.journal.append(line)
        self.profiles.note(Pending(journal, offset, record, is_ours))
        if self.thread is not None:
            self.thread.ensure()

    def hand_over(self, record: Record, connection: Any) -> None:
        """Write a record in the host's own transaction: it counts once that commits, and never if it rolls back.

        Raises:
            RecordError: It is over 32 KB.
            SetupError: No kind of connection that is known.
        """
        line = check_size(encode_record(record))
        from nudge_sdk.store.inbox import put_line

        put_line(connection, record.account_id, line)
        if self.journal is not None:
            # Who drains the folder drains the inbox too, even where no journal is ever written.
            self.journal.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.thread is not None:
            self.thread.ensure()

    def commit(self, record: Record, *, wait: float) -> None:
        """Write a record to the store at once.

        Raises:
            StoreError: The store refused or did not answer in time.
        """
        check_size(encode_record(record))
        rows = self.intake.take([record], wait=wait)
        if self.is_settled:
            settle(self.intake.store)
        move = move_of(record)
        if move is not None:
            self.profiles.moved(move.source)
        for account_id in {record.account_id, *(row.account_id for row in rows)}:
            self.profiles.forget(account_id)

    def commit_or_write(self, record: Record, *, wait: float, is_ours: bool = True) -> None:
        """Write a record to the store at once, or to the journal where the store does not take it in time."""
        try:
            self.commit(record, wait=wait)
        except RecordError:
            raise
        except Exception as error:
            if self.journal is None:
                raise
            facts = {"nudge_event": "store_late", "nudge_kind": record.kind, "nudge_cause": type(error).__name__}
            log.info("a %s goes by the journal, the store did not take it: %s", record.kind, error, extra=facts)
            self.write(record, is_ours=is_ours)

    def say(self, record: Record, *, is_ours: bool) -> None:
        """Write what the host says of somebody: at once where it steers what is shown, nothing if just said."""
        kind = record.kind
        are_traits = kind in ("identify", "group")
        if are_traits and self.is_repeat(record):
            return
        if kind in _STEERING or (kind == "group" and self._is_new_member(record)):
            self.commit_or_write(record, wait=self.store_wait, is_ours=is_ours)
        else:
            self.write(record, is_ours=is_ours)
        if are_traits:
            self.said(record)
        elif kind == "left":
            self._said.pop(("group", record.account_id, record.user_id), None)

    def _is_new_member(self, record: Record) -> bool:
        """Whether a user without an account so far gets one: counts, caps and answers move with this very record."""
        move = move_of(record)
        try:
            self.intake.ready(self.store_wait)
            return move is not None and self.profiles.resolve(move.source) == move.source
        except Exception as error:
            facts = {"nudge_event": "store_late", "nudge_kind": record.kind, "nudge_cause": type(error).__name__}
            log.info("a group goes by the journal, the store did not answer: %s", error, extra=facts)
            return False

    def is_repeat(self, record: Record) -> bool:
        """Whether the same traits were said of the same subject within the last hour."""
        before = self._said.get((record.kind, record.account_id, record.user_id))
        if before is None or not 0 <= record.at - before[1] < self.repeat_within:
            return False
        return before[0] == encode_record(record.data)

    def said(self, record: Record) -> None:
        """Remember what was said of a subject."""
        self._said[record.kind, record.account_id, record.user_id] = (encode_record(record.data), record.at)
        if len(self._said) > _REPEATS_KEPT:
            self._said.popitem(last=False)

    def forget(self, user_ids: set[str]) -> None:
        """Forget what was said of users."""
        for key in [key for key in list(self._said) if key[2] in user_ids]:
            self._said.pop(key, None)

    def after_fork(self) -> None:
        """Make ids that differ from the parent's, and leave its thread alone."""
        self.ids.reseed()
        if self.thread is not None:
            self.thread.after_fork()


def present() -> int:
    """Return the present instant in microseconds."""
    return time.time_ns() // 1000
