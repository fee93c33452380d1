"""Upkeep: what goes on behind the requests of a client, and how it ends."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from nudge_sdk.errors import StoreBusyError
from nudge_sdk.rules.definition import Definition
from nudge_sdk.runtime.drainer import Drainer, DrainThread
from nudge_sdk.runtime.intake import Intake
from nudge_sdk.runtime.journal import Journal
from nudge_sdk.runtime.profiles import Profiles

log = logging.getLogger("nudge_sdk")

SWEEP_WAIT = 10.0
"""Seconds that a sweep outside the drain thread waits for others that write."""


class Upkeep:
    """Drains, sweeps and closes for one client.

    Args:
        intake: The way into the store.
        profiles: What the process knows of members.
        journal: The journal, if the client has one.
        drainer: Drains its folder.
        thread: The thread that does so, if this process has one.
    """

    def __init__(
        self,
        intake: Intake,
        profiles: Profiles,
        *,
        journal: Journal | None,
        drainer: Drainer | None,
        thread: DrainThread | None,
    ) -> None:
        self.intake = intake
        self.profiles = profiles
        self.journal = journal
        self.drainer = drainer
        self.thread = thread

    def flush(self, until: float) -> bool:
        """Bring all that is tracked into the store; whether it was done by then.

        Args:
            until: When to give up, in seconds of ``time.monotonic()``.
        """
        if self.drainer is None:
            return self._take_inbox(until)
        try:
            return self.drainer.flush(until)
        finally:
            self._let_others_drain()

    def _take_inbox(self, until: float) -> bool:
        self.intake.ready()
        while rows := self.intake.take_inbox(wait=max(0.0, until - time.monotonic())):
            for row in rows:
                self.profiles.forget(row.account_id)
        return True

    def sweep(self) -> int:
        """Judge those whose time has come; how many there were."""
        if self.drainer is not None and self.drainer.folder.is_dir():
            try:
                return self.drainer.sweep()
            finally:
                self._let_others_drain()
        total = 0
        while rows := self.intake.sweep(wait=SWEEP_WAIT):
            total += len(rows)
            for row in rows:
                self.profiles.forget(row.account_id)
        return total

    def close(self, deadline: float) -> None:
        """Drain what can be drained, and let go of everything.

        Args:
            deadline: Most seconds to take.
        """
        until = time.monotonic() + deadline
        has_stopped = self.thread is None or self.thread.stop(deadline)
        if self.journal is not None:
            self.journal.close()
        # A thread that is still in the middle of a batch lets go by itself when that is over.
        if has_stopped:
            if self.thread is not None and self.drainer is not None:
                _quietly(lambda: self.flush(until))
            if self.drainer is not None:
                self.drainer.close()
            _quietly(self.intake.store.close)

    def _let_others_drain(self) -> None:
        if self.drainer is not None and self.thread is None:
            self.drainer.close()


def prepare(intake: Intake, wait: float, *, migrate: bool, first: Definition | None) -> None:
    """Make a store ready before it is first used: its schema, and a first definition where the host gave one.

    Args:
        intake: The way into the store.
        wait: Most seconds to wait for others.
        migrate: Whether to bring the schema to this release's version.
        first: What to publish where nothing was published yet.

    Raises:
        StoreError: The store did not answer.
    """
    store = intake.store
    if migrate and not store.schema_is_current():
        if intake.is_prepared_by_parent:
            raise StoreBusyError("the process this one was forked from is making the tables; try again")
        # Migrating waits a minute for others, and a request may be waiting here.
        with store.transaction(wait=wait):
            pass
        store.migrate()
    if first is not None and store.read_definition_state() == (0, 0):
        from nudge_sdk.runtime.publishing import make_live, publish

        publish(intake, first, by="host", note="The definition the host came with", wait=wait, is_first=True)
        make_live(intake)


def _quietly(work: Callable[[], object]) -> None:
    try:
        work()
    except Exception as error:
        facts = {"nudge_event": "close_incomplete", "nudge_cause": type(error).__name__}
        log.warning("closing: %s; the journal keeps what is not in the store yet", error, extra=facts)
