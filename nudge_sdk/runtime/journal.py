"""The durable queue between ``track`` and the store: one append-only file that this process alone writes.

What was appended survives ``kill -9`` of this process, not a power cut: it is in the operating system's hands. With
``durability="power"`` it survives that too, for the price of waiting for the disk; threads that append at the same time
wait for it together. The folder must be on a local disk.

The limit of the folder drops nothing: what was accepted stays until it is drained, and what is new is refused. Each
process may fill the file it has begun, so the folder may go over its limit by one file a process.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from pathlib import Path
from typing import Literal, TypeGuard

from nudge_sdk.errors import JournalError, SetupError
from nudge_sdk.runtime.journal_files import MIB, LockedFile, create, total_bytes

Position = tuple[str, int]
"""A place in a journal: the file's name and an offset in bytes."""

Durability = Literal["process", "power"]

_RETRY_SECONDS = 1.0
_REMEDIES = {
    errno.ENOSPC: "Free some disk space",
    errno.EDQUOT: "Raise the disk quota of this user",
    errno.EFBIG: "Raise the file size limit (ulimit -f)",
    errno.EMFILE: "Raise the limit of open files (ulimit -n)",
}


class Journal:
    """An append-only journal in a folder that several processes may share.

    Nothing is touched until the first append; after a fork the child starts a file of its own.

    Args:
        folder: Where the files are; made with mode 0700 if it is not there.
        max_file_bytes: A file of this size is left to the drainer and a new one begun.
        max_total_bytes: No new file is begun while the folder holds this much.
        durability: What an appended line survives: the death of the ``process``, or a ``power`` cut.

    Attributes:
        is_synced: Whether each line is on the disk when ``append`` returns.

    Raises:
        SetupError: Limits that make no sense.
    """

    def __init__(
        self,
        folder: Path,
        *,
        max_file_bytes: int = 64 * MIB,
        max_total_bytes: int = 1024 * MIB,
        durability: Durability = "process",
    ) -> None:
        if not 0 < max_file_bytes <= max_total_bytes:
            raise SetupError(
                f"max_file_bytes={max_file_bytes} must be at least 1 and at most max_total_bytes={max_total_bytes}"
            )
        self.folder = folder
        self._max_file_bytes = max_file_bytes
        self._max_total_bytes = max_total_bytes
        self.is_synced = durability == "power"
        self._file: LockedFile | None = None
        # One a process: a lock that another thread held during the fork would stay locked in the child for ever.
        self._opening: dict[int, threading.RLock] = {}
        self._refused_until = 0.0
        self._refusal = ""

    def append(self, line: bytes) -> Position:
        """Write one line, safe from ``kill -9`` (or from a power cut, if so made) when this returns.

        Args:
            line: Encoded JSON; it must hold no raw control characters, and JSON never does.

        Returns:
            The file's name and the offset behind this very line.

        Raises:
            JournalError: The folder or file cannot be written, or is full. The line will not be read; only where it was
                written whole and the disk would not promise to keep it, it may be.
        """
        file = self._file
        # Asked on every write: an application server may fork in C, past Python's own fork hooks.
        if file is None or file.pid != os.getpid():
            file = self._opened()
        data = b"\x1e%b\n" % line
        failure: OSError | None = None
        # One write to an O_APPEND file never mixes with another: the lock is for the offset alone.
        with file.lock:
            try:
                written = os.write(file.fd, data)
            except BaseException as error:
                if not _is_refusal(error):
                    # A signal handler of the host raised: whether the line was written only the file knows.
                    file.end = os.lseek(file.fd, 0, os.SEEK_CUR)
                    raise
                written, failure = 0, error
            end = file.end = file.end + written
        if written != len(data):
            self._seal(file, unless_empty=True)
            del file  # the error's traceback would keep it, and so its lock, for as long as somebody keeps the error
            raise self._error(failure or OSError(errno.ENOSPC, "only a part of the line was written")) from failure
        if self.is_synced and (refusal := self._sync(file, end)) is not None:
            del file
            raise refusal
        if end >= self._max_file_bytes:
            self._seal(file)
        return file.name, end

    @property
    def path(self) -> Path | None:
        """The file that this process is writing, or None."""
        file = self._file
        return file.path if file is not None and file.pid == os.getpid() else None

    @property
    def position(self) -> Position | None:
        """The end of what this process has written to its present file, or None if there is none."""
        file = self._file
        return (file.name, file.end) if file is not None and file.pid == os.getpid() else None

    def close(self) -> None:
        """Leave the present file to be adopted, as soon as no thread is writing to it; a later append begins anew."""
        file = self._file
        if file is not None:
            self._seal(file)

    def _opened(self) -> LockedFile:
        pid = os.getpid()
        with self._opening.setdefault(pid, threading.RLock()):
            file = self._file
            if file is None or file.pid != pid:
                file = self._file = self._begin()
            return file

    def _begin(self) -> LockedFile:
        # A host that tracks thousands of times a second must not pay for a directory scan each time it is refused.
        if time.monotonic() < self._refused_until:
            raise JournalError(self._refusal)
        try:
            if total_bytes(self.folder) >= self._max_total_bytes:
                raise self._refused(self._full())
            return create(self.folder, is_synced=self.is_synced)
        except OSError as error:
            if not _is_refusal(error):
                raise
            raise self._refused(self._error(error)) from error

    def _refused(self, error: JournalError) -> JournalError:
        self._refusal, self._refused_until = str(error), time.monotonic() + _RETRY_SECONDS
        return error

    def _full(self) -> JournalError:
        return JournalError(
            f"the journals in {self.folder} have reached max_total_bytes={self._max_total_bytes}. "
            "Is the store reachable, and does a drainer run?"
        )

    def _seal(self, file: LockedFile, *, unless_empty: bool = False) -> None:
        # A file that could not be written goes to the drainer too, since removing it may free the disk; but an empty
        # one stays, or each refused append would leave another.
        if unless_empty and not file.end:
            return
        with self._opening.setdefault(os.getpid(), threading.RLock()):
            if self._file is file:
                self._file = None

    def _sync(self, file: LockedFile, end: int) -> JournalError | None:
        try:
            file.sync(end)
        except OSError as error:
            if not _is_refusal(error):
                raise
            self._seal(file)
            return self._error(error)
        return None

    def _error(self, error: OSError) -> JournalError:
        remedy = _REMEDIES.get(error.errno or 0, f"Make it writable for user id {os.geteuid()}")
        return JournalError(f"the journal in {self.folder} cannot be written: {error.strerror}. {remedy}.")


def _is_refusal(error: BaseException) -> TypeGuard[OSError]:
    # The TimeoutError that many a host raises in its signal handler is an OSError as well, but without a number.
    return isinstance(error, OSError) and error.errno is not None
