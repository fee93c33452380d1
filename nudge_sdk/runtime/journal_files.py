"""The files of a journal: how one is made, read, and taken over from a process that died.

Lines are framed as in RFC 7464 (JSON text sequences): a record separator, the text, a line feed. A write that the disk
cut short leaves a separator and no line feed, so whatever stands before the last separator of a line was never
acknowledged and the reader can skip exactly that. Nothing ever has to be truncated, however many threads write.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
import weakref
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

SUFFIX = ".journal"
UNFINISHED = ".opening"
SEPARATOR = b"\x1e"
MIB = 1024 * 1024
_ATTEMPTS = 20


class LockedFile:
    """An open file under ``flock``, given up when the last reference to it goes.

    A thread that is about to write holds a reference, so neither rotation nor closing can pull the descriptor from
    under it or let it write into a file that somebody else has taken over.

    Attributes:
        path: Where it is.
        fd: The descriptor, -1 once given up.
        pid: The process that opened it.
        end: Its size in bytes, kept by whoever writes.
        lock: Keeps ``end`` exact.
    """

    __slots__ = ("__weakref__", "_failure", "_sync_lock", "_synced", "end", "fd", "lock", "name", "path", "pid")

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self.name = path.name
        self.fd = fd
        self.pid = os.getpid()
        self.end = 0
        # Reentrant: a signal handler of the host may track while this very thread is writing.
        self.lock = threading.RLock()
        self._synced = 0
        self._failure: tuple[int, str] | None = None
        self._sync_lock = threading.RLock()
        _open_files.add(self)

    def sync(self, end: int) -> None:
        """Have the disk keep everything before ``end``, also through a power cut.

        Threads that ask while the disk is at work wait for each other, and the next of them asks for all.

        Raises:
            OSError: The disk did not keep it, or something before it.
        """
        with self._sync_lock:
            # After a failure the system takes the lost pages for clean: asked again, it would say all is well.
            if self._failure is not None:
                raise OSError(*self._failure)
            if self._synced >= end:
                return
            written = self.end
            try:
                os.fdatasync(self.fd)
            except OSError as error:
                if error.errno is not None:
                    self._failure = (error.errno, error.strerror or "")
                raise
            self._synced = written

    def release(self) -> None:
        """Give up the lock and the descriptor; in a forked child only the descriptor."""
        fd, self.fd = self.fd, -1
        if fd < 0:
            return
        # The lock belongs to the open file, which a forked child shares: unlocking there would unlock the parent's.
        # Unlocking here, in the owner, keeps a child that never noticed the fork from holding the file back.
        try:
            if self.pid == os.getpid():
                fcntl.flock(fd, fcntl.LOCK_UN)
        finally:
            os.close(fd)

    __del__ = release


class Lines(NamedTuple):
    """A piece of a journal.

    Attributes:
        lines: The complete lines, without their framing.
        end: The offset to read on from, in bytes.
        torn: How many places held something incomplete, never acknowledged, that was skipped.
    """

    lines: list[bytes]
    end: int
    torn: int


class Adopted:
    """A journal that nobody writes any more and that only this process may drain and remove."""

    def __init__(self, file: LockedFile) -> None:
        self._file = file
        self.path = file.path
        self.name = file.name
        self.size = os.fstat(file.fd).st_size

    def read(self, offset: int = 0, max_bytes: int = MIB) -> Lines:
        """Read on from an offset; all is read when ``end`` equals ``size``.

        A last line without an end is skipped and reported: its writer died, or was refused, before it was acknowledged.
        """
        return _read(self._file.fd, offset, max_bytes, is_final=True)

    def remove(self) -> None:
        """Unlink the file and close it.

        The caller deletes the position row afterwards, never before: a crash in between would otherwise leave a
        file that looks unread. Names are never used again, so a row that outlives its file is harmless.
        """
        self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Let another process adopt it."""
        self._file.release()

    def __enter__(self) -> Adopted:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def create(folder: Path, *, is_synced: bool = False) -> LockedFile:
    """Make a new, empty journal, locked from the first instant in which others can see it.

    Args:
        folder: Where; it is made if it is not there.
        is_synced: Whether its name must outlive a power cut.

    Raises:
        OSError: The folder cannot be made or written.
    """
    holders = [folder, *_missing_above(folder)] if is_synced else []
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for _ in range(_ATTEMPTS):
        try:
            file = _create(folder / _new_name())
        except (BlockingIOError, FileNotFoundError):
            # A sweep took the file for an abandoned one before the lock was there; it holds nothing yet.
            continue
        for holder in holders:
            sync_folder(holder)
        return file
    raise FileNotFoundError(f"{folder}: new files vanish as soon as they are made")


def sync_folder(folder: Path) -> None:
    """Have the disk keep the names in a folder through a power cut.

    Raises:
        OSError: The disk did not.
    """
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def journals(folder: Path) -> list[Path]:
    """List the journals of a folder, oldest first; none if there is no such folder."""
    return _listed(folder, SUFFIX)


def total_bytes(folder: Path) -> int:
    """Return how many bytes the journals of a folder hold together."""
    return sum(_size(path) for path in journals(folder))


def read_lines(path: Path, offset: int = 0, max_bytes: int = MIB) -> Lines:
    """Read the complete lines of a journal that may still be written, from an offset on.

    Args:
        path: The journal.
        offset: Where to begin; 0, or the ``end`` of an earlier answer.
        max_bytes: Read about this much; more only where a single line is longer.

    Raises:
        FileNotFoundError: It was drained and removed.
    """
    fd = os.open(path, os.O_RDONLY)
    try:
        return _read(fd, offset, max_bytes, is_final=False)
    finally:
        os.close(fd)


def adopt(path: Path) -> Adopted | None:
    """Take over a journal whose owner is gone.

    Returns:
        None while its owner lives, another process has adopted it, or it has been removed.

    Raises:
        OSError: The file may not be opened.
    """
    try:
        file = LockedFile(path, os.open(path, os.O_RDWR | os.O_NOFOLLOW))
        fcntl.flock(file.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, FileNotFoundError):
        return None
    # Another process may have drained and unlinked it between our open and our lock.
    return Adopted(file) if os.fstat(file.fd).st_nlink else None


def sweep(folder: Path) -> int:
    """Remove what dead processes left without a single byte in it, and return how many files that were."""
    empty = [path for path in journals(folder) if _size(path) == 0]
    return sum(_remove_if_empty(path) for path in [*_listed(folder, UNFINISHED), *empty])


def _missing_above(folder: Path) -> list[Path]:
    """Return the folders in which a name is missing on the way to this one."""
    return [each.parent for each in (folder, *folder.parents) if not each.exists()]


def _new_name() -> str:
    return f"{time.time_ns():020d}-{os.getpid()}-{os.urandom(8).hex()}{SUFFIX}"


def _create(path: Path) -> LockedFile:
    unfinished = path.with_suffix(UNFINISHED)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL
    file = LockedFile(path, os.open(unfinished, flags, 0o600))
    # Locked before it gets the name under which others look for orphans: the other way round, one of them can adopt
    # and unlink it in between, and every line written would go into a file that no longer has a name.
    fcntl.flock(file.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    unfinished.rename(path)
    return file


def _listed(folder: Path, suffix: str) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == suffix)
    except FileNotFoundError:
        return []


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _remove_if_empty(path: Path) -> bool:
    try:
        adopted = adopt(path)
    except OSError:
        # A link, a folder, somebody else's file: whoever drains says that it cannot be read.
        return False
    if adopted is None:
        return False
    with adopted:
        if adopted.size == 0:
            adopted.remove()
        return adopted.size == 0


def _read(fd: int, offset: int, max_bytes: int, *, is_final: bool) -> Lines:
    wanted = max_bytes
    while True:
        data = os.pread(fd, wanted, offset)
        complete = data.rfind(b"\n") + 1
        if complete:
            return _unframe(data[: complete - 1].split(b"\n"), offset + complete)
        if len(data) < wanted:
            torn = len(data) if is_final else 0
            return Lines([], offset + torn, int(torn > 0))
        wanted *= 2


def _unframe(framed: list[bytes], end: int) -> Lines:
    lines, torn = [], 0
    for line in framed:
        start = line.rfind(SEPARATOR)
        if start >= 0:
            lines.append(line[start + 1 :])
        torn += start != 0
    return Lines(lines, end, torn)


_open_files: weakref.WeakSet[LockedFile] = weakref.WeakSet()


def _release_inherited() -> None:
    for file in list(_open_files):
        file.release()


os.register_at_fork(after_in_child=_release_inherited)
