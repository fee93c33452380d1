"""Connections to one SQLite file: one that writes, and one a thread that reads.

SQLite keeps what this process has locked in its own memory. A child forked while a connection is open inherits that
memory and takes no lock of its own; when the parent closes, it deletes the log the child goes on writing to, and what
the child committed is lost. So every connection is closed before a fork, and opened again when it is next needed.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from nudge_sdk.errors import StoreBusyError, StoreError

READ_WAIT = 0.25
"""Seconds a read waits in the rare moments at which SQLite lets nobody read (recovery, closing of the log)."""

OF_A_REQUEST = 1.0
"""A transaction that may wait less than this many seconds belongs to a request."""

_IN_VAIN = 0.25
_RETRY_SECONDS = 1.0
_FORK_WAIT = 5.0
_PAGE = 500
_BUSY_CODES = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_open_files: weakref.WeakSet[Connections] = weakref.WeakSet()
_hooks: list[bool] = []
_inherited: list[sqlite3.Connection] = []


class _Guarded:
    """A connection with the lock that is held while it is used."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.lock = threading.Lock()
        self.is_closed = False
        self._pid = os.getpid()

    def close(self) -> None:
        self.is_closed = True
        if self._pid == os.getpid():
            self.connection.close()
        else:
            _inherited.append(self.connection)

    __del__ = close


class Connections:
    """All connections of one store to one file; none is opened before it is needed.

    Args:
        path: The file; the first transaction makes it, but not its folder.
    """

    _writer: _Guarded | None
    _readers: weakref.WeakSet[_Guarded]
    _held: list[threading.Lock]
    _busy_since: float
    _wait_again_at: float

    def __init__(self, path: str) -> None:
        self.path = path
        self._has_inherited = False
        self._reset()

    @contextmanager
    def writing(self, wait: float) -> Iterator[sqlite3.Connection]:
        """Give the writing connection inside a transaction that holds SQLite's write lock from the start.

        Args:
            wait: Seconds to wait for others, of this process or another.

        Raises:
            StoreBusyError: Others held it for longer.
            StoreError: SQLite refused.
        """
        self._notice_fork()
        wait = self._patience(wait)
        deadline = time.monotonic() + wait
        lock = self._take_write_lock(wait)
        pid = self._pid
        try:
            connection = self._begin(deadline)
            self._busy_since = 0.0
            try:
                yield connection
                _refuse_in_child(pid)
                connection.execute("COMMIT")
            except BaseException:
                if os.getpid() == pid:
                    _roll_back(connection)
                raise
        except sqlite3.Error as error:
            if is_busy(error):
                self._note_busy()
            raise translated(error, self.path) from error
        finally:
            self._writing_thread = 0
            lock.release()

    def _patience(self, wait: float) -> float:
        """Return how long to wait: while the file stays locked, one request a second waits, the others only try."""
        now = time.monotonic()
        if wait >= OF_A_REQUEST or not self._busy_since or now < self._busy_since + _IN_VAIN:
            return wait
        if now < self._wait_again_at:
            return 0.0
        self._wait_again_at = now + _RETRY_SECONDS
        return wait

    def _note_busy(self) -> None:
        self._busy_since = self._busy_since or time.monotonic()

    @contextmanager
    def maintaining(self, wait: float) -> Iterator[sqlite3.Connection]:
        """Give the writing connection outside any transaction, with nobody else of this process writing.

        Raises:
            StoreBusyError: Others of this process wrote for longer than ``wait`` seconds.
            StoreError: SQLite refused.
        """
        self._notice_fork()
        deadline = time.monotonic() + wait
        lock = self._take_write_lock(wait)
        try:
            yield self._open_writer(deadline)
        except sqlite3.Error as error:
            raise translated(error, self.path) from error
        finally:
            self._writing_thread = 0
            lock.release()

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Return the rows of a query on this thread's reading connection."""
        try:
            while True:
                guarded = self._reader()
                with guarded.lock:
                    if not guarded.is_closed:
                        return guarded.connection.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise translated(error, self.path) from error

    def stream(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[Any]:
        """Yield the rows of a query page by page, as of one moment, on a connection of its own."""
        guarded = self._open_reader()
        try:
            with guarded.lock:
                cursor = guarded.connection.execute(sql, parameters)
            while True:
                with guarded.lock:
                    page = cursor.fetchmany(_PAGE)
                if not page:
                    return
                yield from page
        except sqlite3.Error as error:
            raise translated(error, self.path) from error
        finally:
            guarded.close()

    def close(self) -> None:
        """Close every connection; the next use opens new ones."""
        self._notice_fork()
        self.before_fork()
        self.after_fork_in_parent()

    def before_fork(self) -> None:
        """Close every connection and let nobody open one until the fork is done.

        A transaction of the forking thread itself, or one that outlasts the bound, is left open.
        """
        deadline = time.monotonic() + _FORK_WAIT
        if self._writing_thread != threading.get_ident() and _acquire(self._write_lock, deadline):
            self._held.append(self._write_lock)
            if self._writer is not None:
                self._writer.close()
                self._writer = None
        if _acquire(self._open_lock, deadline):
            self._held.append(self._open_lock)
        for guarded in list(self._readers):
            if _acquire(guarded.lock, deadline):
                guarded.close()
                guarded.lock.release()

    def after_fork_in_parent(self) -> None:
        """Let everybody go on."""
        held, self._held = self._held, []
        for lock in held:
            lock.release()

    def after_fork(self) -> None:
        """Forget, in the child, what was inherited, without closing it."""
        if self._pid == os.getpid():
            return
        inherited = [guarded for guarded in (self._writer, *self._readers) if guarded and not guarded.is_closed]
        self._has_inherited = self._has_inherited or bool(inherited)
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._write_lock = threading.Lock()
        self._open_lock = threading.Lock()
        self._writing_thread = 0
        self._writer = None
        self._busy_since = 0.0
        self._wait_again_at = 0.0
        self._busy_timeout = -1
        self._readers = weakref.WeakSet()
        self._local = threading.local()
        self._held = []

    def _notice_fork(self) -> None:
        if self._pid != os.getpid():
            self.after_fork()

    def _take_write_lock(self, wait: float) -> threading.Lock:
        if self._writing_thread == threading.get_ident():
            raise StoreError("This thread is inside a transaction already; end it before beginning another.")
        lock = self._write_lock
        if not lock.acquire(timeout=wait):
            self._note_busy()
            raise StoreBusyError(f"Another thread wrote to {self.path} for more than {wait:g} s; try again.")
        self._writing_thread = threading.get_ident()
        return lock

    def _begin(self, deadline: float) -> sqlite3.Connection:
        connection = self._open_writer(deadline)
        connection.execute("BEGIN IMMEDIATE")
        return connection

    def _open_writer(self, deadline: float) -> sqlite3.Connection:
        if self._writer is None:
            opened = self._open()
            prepare_for_writing(opened.connection, deadline)
            self._writer, self._busy_timeout = opened, -1
        connection = self._writer.connection
        timeout = max(0, round((deadline - time.monotonic()) * 1000))
        if timeout != self._busy_timeout:
            connection.execute(f"PRAGMA busy_timeout={timeout}").close()
            self._busy_timeout = timeout
        return connection

    def _reader(self) -> _Guarded:
        self._notice_fork()
        guarded: _Guarded | None = getattr(self._local, "guarded", None)
        if guarded is None or guarded.is_closed:
            guarded = self._local.guarded = self._open_reader()
        return guarded

    def _open_reader(self) -> _Guarded:
        self._notice_fork()
        with self._open_lock:
            guarded = self._open()
            self._readers.add(guarded)
        guarded.connection.execute("PRAGMA query_only=1").close()
        return guarded

    def _open(self) -> _Guarded:
        if self._has_inherited:
            raise StoreError(
                f"This process was forked while {self.path} was in use, and using it here could lose data. "
                "Make the client after the fork, or let no transaction run while forking."
            )
        _watch_forks()
        _open_files.add(self)
        try:
            return _Guarded(connect(self.path))
        except sqlite3.Error as error:
            raise translated(error, self.path) from error


def connect(path: str) -> sqlite3.Connection:
    """Open a connection on which transactions are begun by hand."""
    return sqlite3.connect(
        path, timeout=READ_WAIT, isolation_level=None, check_same_thread=False, cached_statements=256
    )


def prepare_for_writing(connection: sqlite3.Connection, deadline: float) -> None:
    """Let readers and the writer go side by side, and make commits cheap.

    NORMAL survives the death of the process; a checkpoint every 64 MB of log measured 1.5 times faster than every 4.
    SQLite answers "locked" at once, whatever its timeout, when several connections switch at the same moment.

    Args:
        connection: A new connection.
        deadline: When to give up, in seconds of the monotonic clock.
    """
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
            break
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.005)
    for setting in ("synchronous=NORMAL", "wal_autocheckpoint=16000", "cache_size=-65536"):
        connection.execute(f"PRAGMA {setting}").close()


def is_busy(error: sqlite3.Error) -> bool:
    """Return whether SQLite gave up waiting."""
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _BUSY_CODES


def translated(error: sqlite3.Error, path: str) -> StoreError:
    """Return what SQLite said as an error of this package."""
    if is_busy(error):
        return StoreBusyError(f"{path} is locked by another process ({error}); try again.")
    if "no such table" in str(error):
        return StoreError(f"{path} has no tables of nudge-sdk yet ({error}); call migrate() first.")
    return StoreError(f"{path}: {error}")


def _refuse_in_child(pid: int) -> None:
    if os.getpid() != pid:
        raise StoreError("This process was forked inside a transaction; only the parent may end it.")


def _roll_back(connection: sqlite3.Connection) -> None:
    # After a full disk or an I/O error SQLite has rolled back by itself.
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def _acquire(lock: threading.Lock, deadline: float) -> bool:
    return lock.acquire(timeout=max(0.0, deadline - time.monotonic()))


def _watch_forks() -> None:
    if _hooks or not hasattr(os, "register_at_fork"):
        return
    _hooks.append(True)
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork)


def _before_fork() -> None:
    for file in list(_open_files):
        file.before_fork()


def _after_fork_in_parent() -> None:
    for file in list(_open_files):
        file.after_fork_in_parent()


def _after_fork() -> None:
    for file in list(_open_files):
        file.after_fork()
