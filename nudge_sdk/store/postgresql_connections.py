"""Connections to one PostgreSQL database: a few a process, opened when needed, every wait bounded.

No thread runs but while a connection is being opened: opening cannot be interrupted, and a request must not wait for it
longer than it may. What is slow to open goes to the idle ones when it is ready.
"""

from __future__ import annotations

import os
import select
import threading
import time
import weakref
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict

from nudge_sdk.errors import SetupError, StoreBusyError, StoreError
from nudge_sdk.store.postgresql_statements import spoken

READ_WAIT = 0.25
"""Seconds that a read waits for the server."""

SILENCE = 30.0
"""Seconds after which a statement of a background job is given up."""

OF_A_REQUEST = 1.0
"""A transaction that may wait less than this many seconds belongs to a request: all of it ends within that time."""

MOST = 8
"""Connections a process has at most."""

_CONNECT_SECONDS = 10
_RETRY_SECONDS = 1.0
_PAGE = 2000
_TICK = 0.1
_LOCK_SHARE = 0.8

T = TypeVar("T")
Steps = Generator[psycopg.waiting.Wait, psycopg.waiting.Ready | int, T]
"""What the driver does: it says what it waits for, and is told what is ready."""


class Bounded(psycopg.Connection[tuple[Any, ...]]):
    """A connection that gives up waiting at ``deadline`` (of ``time.monotonic()``), and is of no use then.

    Attributes:
        stages: The staging tables that it has.
        unasked: Tells whether the server said something.
    """

    deadline: float = float("inf")
    stages: set[str]
    unasked: select.poll

    def wait(self, gen: Steps[T], interval: float = _TICK, timeout: float | None = None) -> T:
        """Run what the driver does step by step, until it is done or the deadline passes."""
        left = self.deadline - time.monotonic()
        try:
            return super().wait(_until(gen, self.deadline), min(interval, max(left, 0.001)))
        except errors.ConnectionTimeout:
            self.close()
            raise


def _until(steps: Steps[T], deadline: float) -> Steps[T]:
    try:
        wanted = next(steps)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() >= deadline:
                raise errors.ConnectionTimeout("no answer within the time it may take")
            wanted = steps.send(ready)
    except StopIteration as end:
        answer: T = end.value
        return answer


class Connections:
    """All connections of one store to one database; none is opened before it is needed.

    Args:
        url: ``postgresql://…``, as libpq takes it.

    Raises:
        SetupError: libpq cannot read it.
    """

    def __init__(self, url: str) -> None:
        user = url.partition("://")[2].partition("?")[0].rpartition("@")[0]
        if "@" in user or "/" in user:
            # libpq would take a part of the password for a host or a database, and name it in messages.
            raise SetupError("the address of the PostgreSQL database cannot be read: write @ as %40 and / as %2F in it")
        try:
            parts = conninfo_to_dict(url)
        except errors.ProgrammingError as error:
            # What is quoted behind it may be a part of the password.
            why = str(error).partition('"')[0].strip(" :\n")
            raise SetupError(f"the address of the PostgreSQL database cannot be read: {why}") from None
        self._url = url
        self.name = f"PostgreSQL database {parts.get('dbname') or '(default)'} on {parts.get('host') or 'this machine'}"
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._free = threading.Semaphore(MOST)
        self._lock = threading.Lock()
        self._idle: list[Bounded] = []
        self._all: weakref.WeakSet[Bounded] = weakref.WeakSet()
        self._local = threading.local()
        self._refused_until = 0.0
        self._silent_until = 0.0
        self._refusal = ""

    @contextmanager
    def writing(self, wait: float) -> Iterator[Bounded]:
        """Give a connection inside a transaction that commits when the block ends well.

        Args:
            wait: Seconds to wait for others: for a connection, and for each lock.

        Raises:
            StoreBusyError: Others held something for longer, or the server did not answer.
            StoreError: The server refused.
        """
        self.after_fork()
        if getattr(self._local, "is_writing", False):
            raise StoreError("This thread is inside a transaction already; end it before beginning another.")
        with self.translating(), self._borrowed(time.monotonic() + wait) as connection:
            self._local.is_writing = True
            try:
                self._begin(connection, wait)
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                self._roll_back(connection)
                raise
            finally:
                self._local.is_writing = False

    def _begin(self, connection: Bounded, wait: float) -> None:
        connection.deadline = time.monotonic() + (wait if wait < OF_A_REQUEST else max(wait, SILENCE))
        # The server gives up first: a connection whose own deadline passes is of no use any more.
        patience = max(1, round(wait * _LOCK_SHARE * 1000))
        connection.execute(f"BEGIN; SET LOCAL lock_timeout = {patience}", prepare=False)

    def _roll_back(self, connection: Bounded) -> None:
        connection.stages.clear()
        with suppress(psycopg.Error):
            if not connection.closed:
                connection.deadline = time.monotonic() + READ_WAIT
                connection.execute("ROLLBACK")
                return
        connection.close()

    def read(self, statement: str, parameters: Sequence[Any] = (), wait: float | None = None) -> list[Any]:
        """Return the rows of a query, after at most ``wait`` seconds, or ``READ_WAIT``.

        While the server is silent, one read a second waits for it and all others that are of requests are refused.
        """
        self.after_fork()
        query, values = spoken(statement, parameters)
        wait = READ_WAIT if wait is None else wait
        now = time.monotonic()
        if wait < OF_A_REQUEST and now < self._silent_until:
            raise StoreBusyError(f"the {self.name} has just not answered in time; try again.")
        try:
            with self.translating(), self._borrowed(now + wait) as connection:
                connection.deadline = now + wait
                return connection.execute(query, values, binary=True).fetchall()
        except StoreBusyError as error:
            if isinstance(error.__cause__, errors.ConnectionTimeout):
                self._silent_until = time.monotonic() + _RETRY_SECONDS
            raise

    def stream(self, statement: str, parameters: Sequence[Any] = ()) -> Iterator[Any]:
        """Yield the rows of a query page by page, as of one moment, on a connection of its own."""
        query, values = spoken(statement, parameters)
        with self.translating():
            connection = self._opened(time.monotonic() + SILENCE)
        try:
            with self.translating():
                connection.execute("BEGIN READ ONLY")
                with connection.cursor(name="nudge", binary=True) as cursor:
                    cursor.execute(query, values)
                    while page := cursor.fetchmany(_PAGE):
                        yield from page
        finally:
            connection.close()

    def open(self, wait: float) -> Bounded:
        """Open a connection that is the caller's alone."""
        with self.translating():
            return self._opened(time.monotonic() + wait)

    def close(self) -> None:
        """Close every idle connection; the next use opens new ones."""
        self.after_fork()
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def after_fork(self) -> None:
        """Let go, in the child, of what was inherited, without a word to the server: it is still the parent's."""
        if self._pid == os.getpid():
            return
        for connection in list(self._all):
            _abandon(connection)
        self._reset()

    @contextmanager
    def translating(self) -> Iterator[None]:
        """Turn what the driver raises into errors of this package."""
        try:
            yield
        except psycopg.Error as error:
            raise self._translated(error) from error

    def _translated(self, error: psycopg.Error) -> StoreError:
        text = str(error).strip().split("\n")[0]
        if isinstance(error, errors.LockNotAvailable):
            return StoreBusyError(f"others hold what is needed in the {self.name} ({text}); try again.")
        if isinstance(error, psycopg.OperationalError):
            return StoreBusyError(f"the {self.name} did not answer ({text}); try again.")
        if isinstance(error, errors.UndefinedTable):
            return StoreError(f"the {self.name} has no tables of nudge-sdk yet ({text}); call migrate() first.")
        return StoreError(f"the {self.name} refused: {text}")

    @contextmanager
    def _borrowed(self, deadline: float) -> Iterator[Bounded]:
        free = self._free
        if not free.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise StoreBusyError(f"all {MOST} connections to the {self.name} are in use; try again.")
        try:
            connection = self._idle_one() or self._opened(deadline)
            try:
                yield connection
            finally:
                self._give_back(connection)
        finally:
            free.release()

    def _idle_one(self) -> Bounded | None:
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            # An idle session to which the server says something is one that it has ended.
            if not connection.unasked.poll(0):
                return connection
            connection.close()

    def _give_back(self, connection: Bounded) -> None:
        if connection.closed or connection.pgconn.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            connection.close()
            return
        with self._lock:
            self._idle.append(connection)

    def _opened(self, deadline: float) -> Bounded:
        """Open a connection, waiting for it no longer than until the deadline."""
        if time.monotonic() < self._refused_until:
            raise StoreBusyError(self._refusal)
        opening = _Opening(self._url)
        connection = opening.wait(deadline)
        if connection is not None:
            self._all.add(connection)
            return connection
        error = opening.error or errors.ConnectionTimeout("connecting takes long")
        refusal = self._translated(error)
        # Not asked again for a moment: a request must not pay for each attempt of an absent server.
        self._refusal, self._refused_until = str(refusal), time.monotonic() + _RETRY_SECONDS
        raise refusal from error


class _Opening:
    """A connection being opened in a thread, whatever time that takes."""

    def __init__(self, url: str) -> None:
        self.error: psycopg.Error | None = None
        self._connection: Bounded | None = None
        self._is_done = threading.Event()
        self._is_given_up = False
        self._lock = threading.Lock()
        self._url = url
        threading.Thread(target=self._open, name="nudge-connecting", daemon=True).start()

    def wait(self, deadline: float) -> Bounded | None:
        self._is_done.wait(max(0.0, deadline - time.monotonic()))
        with self._lock:
            self._is_given_up = self._connection is None
            return self._connection

    def _open(self) -> None:
        try:
            connection = Bounded.connect(
                self._url, autocommit=True, connect_timeout=_CONNECT_SECONDS, application_name="nudge-sdk"
            )
        except psycopg.Error as error:
            self.error = error
        else:
            connection.stages = set()
            connection.unasked = select.poll()
            connection.unasked.register(connection.fileno(), select.POLLIN | select.POLLHUP)
            with self._lock:
                if self._is_given_up:
                    connection.close()
                else:
                    self._connection = connection
        self._is_done.set()


def _abandon(connection: Bounded) -> None:
    """Close a parent's connection without ending its session: what is said goes nowhere."""
    with suppress(psycopg.Error, OSError):
        nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            os.dup2(nowhere, connection.fileno(), inheritable=False)
        finally:
            os.close(nowhere)
        connection.close()
