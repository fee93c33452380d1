"""Work for reports that takes long, in a process of its own beside a worker: replaying imports, and making reports.

The worker's own loop does no more than look now and then whether there is something to do, and whether it is done.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
import uuid

from nudge_sdk.errors import NudgeError, SetupError
from nudge_sdk.insights.journeys import refreshed_at
from nudge_sdk.insights.needs import check_statistics
from nudge_sdk.insights.preparing import due_questions
from nudge_sdk.insights.replaying import needs_replay
from nudge_sdk.runtime.intake import Intake
from nudge_sdk.store.sql_store import SqlStore

log = logging.getLogger("nudge_sdk")

LOOK_SECONDS = 60.0
"""Between two looks at whether there is something to do."""

REST = 20
"""What was done is followed by a pause of at least so many times what it took, and one that failed by an hour."""

FAILED_REST = 3600.0
LEASE = "reports"
_LEASE_SECONDS = 60.0
_ENDING_SECONDS = 5.0


class Beside:
    """Replays imported history and makes the reports that pages ask first, in a child process.

    Nothing is started before the first ``step`` that finds something to do; of all workers of a store one does it.

    Args:
        intake: The way into the store.
        url: The store's, for the child.
    """

    def __init__(self, intake: Intake, url: str) -> None:
        self.intake = intake
        self.url = url
        self._child: subprocess.Popen[bytes] | None = None
        self._holder = ""
        self._began = self._renew_at = self._next = 0.0
        self._has_packages: bool | None = None

    def step(self) -> None:
        """Begin what there is to do, or see whether it is done; what fails is tried again after a pause."""
        if self._child is None and time.monotonic() < self._next:
            return
        try:
            if self._child is None:
                self._begin()
            else:
                self._watch(self._child)
        except (NudgeError, OSError) as error:
            self._next = time.monotonic() + LOOK_SECONDS
            self._tell(type(error).__name__, str(error))

    def finish(self) -> None:
        """Do what there is to do, and wait for it."""
        self.step()
        while self._child is not None:
            time.sleep(0.02)
            self.step()

    def close(self) -> None:
        """End a child that is still at it: what it wrote so far is in order, and another one goes on."""
        child, self._child = self._child, None
        if child is None:
            return
        child.terminate()
        try:
            child.wait(_ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        self._let_others()

    def _begin(self) -> None:
        self._next = time.monotonic() + LOOK_SECONDS
        wanted = self._wanted()
        if wanted is None or not self._has_lease():
            return
        # Of its own session, so that Ctrl-C reaches the worker only; the URL may hold a password, and is not shown.
        self._child = subprocess.Popen(
            [sys.executable, "-m", "nudge_sdk.cli", "refresh", *wanted],
            env={**os.environ, "NUDGE_STORE": self.url},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._began = time.monotonic()

    def _wanted(self) -> list[str] | None:
        """Return the options of ``nudge refresh`` that do what there is to do; None where that is nothing."""
        store = self.intake.store
        if not isinstance(store, SqlStore) or refreshed_at(store) is None:
            return None
        catalog = self.intake.current()
        has_due = bool(due_questions(store, catalog, self.intake.clock())) and self._can_report()
        if not has_due and not needs_replay(store, catalog.rules):
            return None
        return ["--reports"] if has_due else []

    def _can_report(self) -> bool:
        if self._has_packages is None:
            try:
                check_statistics("ibis", "sklearn", "firthmodels")
                self._has_packages = True
            except SetupError as error:
                self._has_packages = False
                log.info("no reports are made beforehand: %s", error, extra={"nudge_event": "reports_not_prepared"})
        return self._has_packages

    def _watch(self, child: subprocess.Popen[bytes]) -> None:
        status = child.poll()
        if status is None:
            self._has_lease()
            return
        self._child = None
        self._let_others()
        seconds = time.monotonic() - self._began
        self._next = time.monotonic() + max(LOOK_SECONDS, REST * seconds, FAILED_REST if status else 0.0)
        if status:
            self._tell(f"status {status}", "the process that makes them failed")
        else:
            facts = {"nudge_event": "reports_prepared", "nudge_seconds": round(seconds, 3)}
            log.info("reports are made and imports replayed, in %.1f seconds", seconds, extra=facts)

    def _has_lease(self) -> bool:
        if self._holder and time.monotonic() < self._renew_at:
            return True
        holder = self._holder or uuid.uuid4().hex
        self._renew_at = time.monotonic() + _LEASE_SECONDS / 2
        now, store = self.intake.clock(), self.intake.store
        self._holder = holder if store.acquire_lease(LEASE, holder, now=now, seconds=_LEASE_SECONDS) else ""
        return bool(self._holder)

    def _let_others(self) -> None:
        holder, self._holder = self._holder, ""
        try:
            self.intake.store.release_lease(LEASE, holder)
        except NudgeError as error:
            log.debug("the lease on reports ends by itself: %s", error, extra={"nudge_event": "lease_left"})

    def _tell(self, cause: str, words: str) -> None:
        facts = {"nudge_event": "reports_failed", "nudge_cause": cause}
        log.warning("reports are not made beforehand, it is tried again: %s", words, extra=facts)
