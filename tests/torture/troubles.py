"""What goes wrong under a host: its database, its disk."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from tests import postgresql
from tests.runtime.examples import locked

DISK = 8 * 1024 * 1024
_BLOCK = bytes(64 * 1024)


class Database(NamedTuple):
    """A store to torture.

    Attributes:
        address: Where it is.
        hosts: How many hosts, each with a journal folder of its own, work on it.
        away: Inside this context it is stopped, or locked.
    """

    address: str
    hosts: int
    away: Callable[[], AbstractContextManager[None]]


@contextmanager
def database(kind: str, folder: Path) -> Iterator[Database]:
    """Give a database of a kind, ``sqlite`` or ``postgresql``, for as long as the block."""
    if kind == "sqlite":
        path = folder / "nudges.db"
        yield Database(f"sqlite:///{path}", 1, lambda: locked(path))
        return
    with postgresql.running() as server:

        @contextmanager
        def stopped() -> Iterator[None]:
            server.stop("immediate")
            yield
            server.start()

        yield Database(server.new_database(), 2, stopped)


@contextmanager
def small_disk(folder: Path) -> Iterator[str]:
    """Put a small disk of its own under a folder; gives why it could not, or an empty text."""
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=700", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        yield f"the disk was never full, for none of its own could be mounted: {done.stderr.strip()}"
        return
    try:
        yield ""
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def full(folder: Path) -> Iterator[None]:
    """Let a disk have no room left."""
    ballast = folder / "ballast"
    fd = os.open(ballast, os.O_WRONLY | os.O_CREAT)
    try:
        with suppress(OSError):
            while True:
                os.write(fd, _BLOCK)
        assert not _has_room(fd)
        yield
    finally:
        os.close(fd)
        ballast.unlink()


def _has_room(fd: int) -> bool:
    try:
        return os.write(fd, _BLOCK) == len(_BLOCK)
    except OSError as error:
        return error.errno != errno.ENOSPC
