"""The drainer: every journal of a folder into the store, and the sweep.

One process drains at a time, all journals of the folder: several processes committing to one SQLite file stall each
other for up to a second. Who drains is settled by a file lock, so a drainer that is killed is replaced at once.
"""

from __future__ import annotations

import fcntl
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

from nudge_sdk.errors import NudgeError, StoreBusyError
from nudge_sdk.runtime.durability import settle
from nudge_sdk.runtime.intake import Intake, Position
from nudge_sdk.runtime.journal_files import LockedFile, adopt, journals, read_lines, sweep
from nudge_sdk.runtime.metrics import BATCHES, LAG, LINES, Metrics, cause_of, count_store_error, tell_definition
from nudge_sdk.store.protocol import Store, SubjectRow

log = logging.getLogger("nudge_sdk")

BATCH_BYTES = 128 * 1024
"""How much of a journal goes into one transaction: short ones keep decisions that have to confirm from waiting."""

CATCH_UP_BYTES = 1024 * 1024
"""The same for a journal that is far behind: in fewer, longer transactions each member is written less often."""

FAR_BEHIND_BYTES = 512 * 1024
"""How much is left of a journal that is far behind."""

WAIT = 1.0
"""Seconds that one batch waits for others that write; a step that fails is tried again, and stopping waits for one."""

SWEEP_SECONDS = 1.0
LOCK_NAME = "drain.lock"

SWEEP = "sweep"
"""The lease on judging those whose time has come."""

LEASE_SECONDS = 10.0

OnDrained = Callable[[list[SubjectRow], Position | None], None]


class Drainer:
    """Drains the journals of one folder into one store.

    Args:
        intake: Where the records go.
        folder: The journals' folder.
        on_drained: Told the rows written and the position reached after each batch.
    """

    def __init__(self, intake: Intake, folder: Path, on_drained: OnDrained | None = None) -> None:
        self.intake = intake
        self.folder = folder
        self.drained = 0
        self.metrics: Metrics | None = None
        self._on_drained = on_drained
        self._offsets: dict[str, int] = {}
        self._lock: LockedFile | None = None
        self._next_sweep = 0.0
        self._holder = ""
        self._renew_at = 0.0
        self._unreadable: set[str] = set()
        self._busy = threading.RLock()

    @property
    def store(self) -> Store:
        """The store drained into."""
        return self.intake.store

    def drain(self, *, until: float | None = None) -> int:
        """Drain whatever the journals hold now, if no other process is at it; how many lines were taken.

        Args:
            until: Stop after the batch in hand once ``time.monotonic()`` passes this.
        """
        if not self._busy.acquire(timeout=-1 if until is None else max(0.0, until - time.monotonic())):
            return 0
        try:
            if not self._is_mine():
                return 0
            return self._drain_inbox(until) + sum(self._drain_readable(path, until) for path in journals(self.folder))
        finally:
            self._busy.release()

    def _drain_inbox(self, until: float | None) -> int:
        """Take in what hosts wrote in transactions of their own; how many subjects that changed."""
        changed = 0
        self.intake.ready(WAIT)
        while (until is None or time.monotonic() < until) and (rows := self.intake.take_inbox(wait=WAIT)):
            self._tell(rows, None)
            changed += len(rows)
        return changed

    def flush(self, until: float) -> bool:
        """Drain all that the journals hold now, or wait for whoever drains; whether it was done by then.

        Args:
            until: When to give up, in seconds of ``time.monotonic()``.
        """
        ends = {path: _size(path) for path in journals(self.folder) if os.access(path, os.R_OK)}
        while True:
            try:
                self.drain(until=until)
                ends = {path: end for path, end in ends.items() if path.exists() and self._stored(path.name) < end}
                is_done = not ends and not (self.folder.is_dir() and self.store.has_inbox())
            except StoreBusyError as error:
                is_done = False
                log.debug("the store is busy, it is tried again: %s", error, extra={"nudge_event": "store_busy"})
            if is_done or time.monotonic() >= until:
                return is_done
            time.sleep(0.005)

    def sweep(self) -> int:
        """Judge those whose time has come; how many there were."""
        total = 0
        with self._busy:
            while self._is_mine() and self._has_lease() and (rows := self.intake.sweep(wait=WAIT)):
                self._tell(rows, None)
                total += len(rows)
        return total

    def step(self) -> int:
        """Drain and, when it is time, sweep; how many lines were taken."""
        taken = self.drain()
        if time.monotonic() >= self._next_sweep:
            self._next_sweep = time.monotonic() + SWEEP_SECONDS
            self.sweep()
            if self.metrics is not None:
                self._measure(self.metrics)
        return taken

    def _measure(self, metrics: Metrics) -> None:
        if self._is_mine():
            metrics.gauge(LAG, self.lag())
        tell_definition(metrics, self.intake.catalog, self.intake.clock())

    def after_fork(self) -> None:
        """Forget the parent's locks."""
        self._busy = threading.RLock()
        self._lock = None
        self._holder = ""

    def close(self) -> None:
        """Let another process drain and sweep."""
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()
        holder, self._holder = self._holder, ""
        if holder:
            try:
                self.store.release_lease(SWEEP, holder)
            except NudgeError as error:
                log.debug("the lease on sweeping ends by itself: %s", error, extra={"nudge_event": "lease_left"})

    def _has_lease(self) -> bool:
        """Whether this process sweeps, of all that share the store; who dies is replaced when the lease is over."""
        if self._holder and time.monotonic() < self._renew_at:
            return True
        self.intake.ready(WAIT)
        holder = self._holder or f"{socket.gethostname()}-{os.getpid()}-{os.urandom(4).hex()}"
        self._renew_at = time.monotonic() + LEASE_SECONDS / 2
        has = self.store.acquire_lease(SWEEP, holder, now=self.intake.clock(), seconds=LEASE_SECONDS)
        self._holder = holder if has else ""
        return has

    def lag(self) -> int:
        """Return how many bytes of the folder's journals are not drained yet."""
        return sum(max(0, _size(path) - self._offset(path.name)) for path in journals(self.folder))

    def _is_mine(self) -> bool:
        if self._lock is not None and self._lock.pid == os.getpid() and self._lock.fd >= 0:
            return True
        if not self.folder.is_dir():
            return False
        lock = LockedFile(
            self.folder / LOCK_NAME, os.open(self.folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        )
        try:
            fcntl.flock(lock.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.release()
            return False
        self._lock = lock
        self._offsets.clear()
        sweep(self.folder)
        return True

    def _offset(self, name: str) -> int:
        if name not in self._offsets:
            self._offsets[name] = self._stored(name)
        return self._offsets[name]

    def _stored(self, name: str) -> int:
        self.intake.ready(WAIT)
        return self.store.read_position(name) or 0

    def _drain_readable(self, path: Path, until: float | None) -> int:
        """Drain a journal; one that cannot be read does not keep the others waiting."""
        try:
            return self._drain_one(path, until)
        except FileNotFoundError:
            return 0
        except OSError as error:
            if path.name not in self._unreadable:
                self._unreadable.add(path.name)
                facts = {"nudge_event": "journal_unreadable", "nudge_path": str(path)}
                log.error("%s cannot be read and waits (said once): %s", path, error, extra=facts)
            return 0

    def _drain_one(self, path: Path, until: float | None) -> int:
        taken = 0
        while until is None or time.monotonic() < until:
            offset = self._offset(path.name)
            is_behind = _size(path) - offset > FAR_BEHIND_BYTES
            found = read_lines(path, offset, CATCH_UP_BYTES if is_behind else BATCH_BYTES)
            if found.end == offset:
                self._retire(path, offset)
                break
            wait = WAIT if until is None else min(WAIT, max(0.0, until - time.monotonic()))
            self._take(path.name, found.lines, found.end, wait)
            taken += len(found.lines)
        return taken

    def _take(self, name: str, lines: list[bytes], end: int, wait: float = WAIT) -> None:
        position = Position(name, end)
        rows = self.intake.take_lines(lines, position, wait=wait)
        self._offsets[name] = end
        self.drained += len(lines)
        if self.metrics is not None:
            self.metrics.count(BATCHES)
            self.metrics.count(LINES, len(lines))
        self._tell(rows, position)

    def _tell(self, rows: list[SubjectRow], position: Position | None) -> None:
        if self._on_drained is not None:
            self._on_drained(rows, position)

    def _retire(self, path: Path, offset: int) -> None:
        """Remove a journal that is drained to its end and that nobody writes any more."""
        adopted = adopt(path)
        if adopted is None:
            return
        with adopted:
            rest = adopted.read(offset, BATCH_BYTES)
            if rest.lines:
                self._take(path.name, rest.lines, rest.end)
                return
            if rest.torn:
                facts = {"nudge_event": "line_unfinished", "nudge_journal": path.name}
                log.warning(
                    "the last line of %s was never finished, nor acknowledged; it is skipped", path.name, extra=facts
                )
            # Whoever wrote it may count on power cuts.
            settle(self.store)
            adopted.remove()
        with self.store.transaction(wait=WAIT) as transaction:
            transaction.delete_position(path.name)
        self._offsets.pop(path.name, None)


class DrainThread:
    """One daemon thread that drains; started by the first write after construction or a fork."""

    def __init__(self, drainer: Drainer, *, seconds: float) -> None:
        self.drainer = drainer
        self.seconds = seconds
        self.failures = 0
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._pid = 0
        self._starting = threading.Lock()

    def ensure(self) -> None:
        """Start the thread if this process has none."""
        if self._pid == os.getpid() and self._thread is not None:
            return
        with self._starting:
            if self._pid == os.getpid() and self._thread is not None:
                return
            self._wake, self._stop = threading.Event(), threading.Event()
            self._pid = os.getpid()
            self._thread = threading.Thread(target=self._run, name="nudge-drainer", daemon=True)
            self._thread.start()

    def stop(self, deadline: float) -> bool:
        """Stop after the batch in hand; whether it stopped within ``deadline`` seconds."""
        thread = self._thread
        if thread is None or self._pid != os.getpid():
            return True
        self._stop.set()
        self._wake.set()
        thread.join(deadline)
        self._thread = None
        return not thread.is_alive()

    def _run(self) -> None:
        stop, wake = self._stop, self._wake
        pause = self.seconds
        while not stop.is_set():
            wake.wait(pause)
            wake.clear()
            if not stop.is_set():
                pause = self._step()
        self.drainer.close()

    def _step(self) -> float:
        try:
            self.drainer.step()
        except (NudgeError, OSError) as error:
            return self._failed(error)
        except Exception as error:
            facts = {"nudge_event": "drain_crashed", "nudge_cause": cause_of(error)}
            log.exception("draining failed in an unforeseen way; it is tried again", extra=facts)
            return self._failed(error)
        self.failures = 0
        return self.seconds

    def _failed(self, error: Exception) -> float:
        self.failures += 1
        if self.drainer.metrics is not None:
            count_store_error(self.drainer.metrics, error)
        if self.failures == 1 or self.failures % 100 == 0:
            kind = "is busy" if isinstance(error, StoreBusyError) else "cannot be written"
            cause = cause_of(error)
            facts = {"nudge_event": "drain_failed", "nudge_cause": cause, "nudge_failures": self.failures}
            log.warning("the store %s; nothing is lost, draining goes on later: %s", kind, error, extra=facts)
        return min(5.0, self.seconds * float(2 ** min(self.failures, 6)))

    def after_fork(self) -> None:
        """Forget the parent's thread, events and locks."""
        self._thread = None
        self._pid = 0
        self._starting = threading.Lock()
        self.failures = 0


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
