"""The drainer: every journal of a folder into the store, and the sweep.

One process drains at a time, all journals of the folder: several processes committing to one SQLite file stall each
other for up to a second. Who drains is settled by a file lock, so a drainer that is killed is replaced at once.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from nudge_sdk.errors import NudgeError, StoreBusyError
from nudge_sdk.runtime.intake import Intake, Position
from nudge_sdk.runtime.journal_files import LockedFile, adopt, journals, read_lines, sweep
from nudge_sdk.store.protocol import Store, SubjectRow

log = logging.getLogger("nudge_sdk")

BATCH_BYTES = 128 * 1024
"""How much of a journal goes into one transaction: short ones keep decisions that have to confirm from waiting."""

WAIT = 5.0
SWEEP_SECONDS = 1.0
LOCK_NAME = "drain.lock"

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
        self._on_drained = on_drained
        self._offsets: dict[str, int] = {}
        self._lock: LockedFile | None = None
        self._next_sweep = 0.0
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
        with self._busy:
            if not self._is_mine():
                return 0
            return sum(self._drain_one(path, until) for path in journals(self.folder))

    def sweep(self) -> int:
        """Judge those whose time has come; how many there were."""
        total = 0
        with self._busy:
            while self._is_mine() and (rows := self.intake.sweep(wait=WAIT)):
                self._tell(rows, None)
                total += len(rows)
        return total

    def step(self) -> int:
        """Drain and, when it is time, sweep; how many lines were taken."""
        taken = self.drain()
        if time.monotonic() >= self._next_sweep:
            self._next_sweep = time.monotonic() + SWEEP_SECONDS
            self.sweep()
        return taken

    def after_fork(self) -> None:
        """Forget the parent's lock on its own work."""
        self._busy = threading.RLock()
        self._lock = None

    def close(self) -> None:
        """Let another process drain."""
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()

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
            self._offsets[name] = self.store.read_position(name) or 0
        return self._offsets[name]

    def _drain_one(self, path: Path, until: float | None) -> int:
        taken = 0
        while until is None or time.monotonic() < until:
            offset = self._offset(path.name)
            found = read_lines(path, offset, BATCH_BYTES)
            if found.end == offset:
                self._retire(path, offset)
                break
            self._take(path.name, found.lines, found.end)
            taken += len(found.lines)
        return taken

    def _take(self, name: str, lines: list[bytes], end: int) -> None:
        position = Position(name, end)
        rows = self.intake.take_lines(lines, position, wait=WAIT)
        self._offsets[name] = end
        self.drained += len(lines)
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
                log.warning("the last line of %s was never finished, nor acknowledged; it is skipped", path.name)
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

    def wake(self) -> None:
        """Drain soon."""
        self._wake.set()

    def stop(self, deadline: float) -> None:
        """Stop after the batch in hand, waiting at most ``deadline`` seconds."""
        thread = self._thread
        if thread is None or self._pid != os.getpid():
            return
        self._stop.set()
        self._wake.set()
        thread.join(deadline)
        self._thread = None

    def _run(self) -> None:
        stop, wake = self._stop, self._wake
        pause = self.seconds
        while not stop.is_set():
            wake.wait(pause)
            wake.clear()
            if not stop.is_set():
                pause = self._step()

    def _step(self) -> float:
        try:
            self.drainer.step()
        except (NudgeError, OSError) as error:
            return self._failed(error)
        except Exception as error:
            log.exception("draining failed in an unforeseen way; it is tried again")
            return self._failed(error)
        self.failures = 0
        return self.seconds

    def _failed(self, error: Exception) -> float:
        self.failures += 1
        if self.failures == 1 or self.failures % 100 == 0:
            kind = "is busy" if isinstance(error, StoreBusyError) else "cannot be written"
            log.warning("the store %s; nothing is lost, draining goes on later: %s", kind, error)
        return min(5.0, self.seconds * float(2 ** min(self.failures, 6)))

    def after_fork(self) -> None:
        """Forget the parent's thread, events and locks."""
        self.drainer.after_fork()
        self._thread = None
        self._pid = 0
        self._starting = threading.Lock()
        self.failures = 0


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
