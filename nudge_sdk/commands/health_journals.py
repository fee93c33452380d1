"""Whether all is well with a folder of journals: who drains it, what waits in it, whether it can be written."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from nudge_sdk.commands.health import MOST_SKEW, Check, span
from nudge_sdk.runtime.drainer import LOCK_NAME
from nudge_sdk.runtime.journal_files import MIB, adopt, journals, read_lines
from nudge_sdk.runtime.recorder import present
from nudge_sdk.store.protocol import Store

LEAST_SPACE = 100 * MIB
"""With less on the disk, events will soon be refused."""

_MOST_LAG = 64 * MIB
_OF_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


class _Waiting(NamedTuple):
    """What one journal holds that is not in the store."""

    size: int = 0
    lines: int = 0
    is_orphan: bool = False
    is_readable: bool = True


def examine_journals(store: Store, folder: Path) -> Iterator[Check]:
    """Look at a folder of journals and at every file in it.

    Raises:
        StoreError: The store does not answer.
    """
    if not folder.exists():
        yield Check("journals", True, f"none yet in {folder}", {"journals": 0, "bytes": 0, "lines": 0})
        return
    try:
        found = journals(folder)
    except OSError as error:
        yield Check("folder", False, f"{folder} cannot be read: {error.strerror}; look as the user the host runs as")
        return
    waiting = {path: _waiting(store, path) for path in found}
    is_drained = _is_drained(folder)
    yield _examine_lag(folder, list(waiting.values()), is_drained)
    yield from _examine_files(waiting, is_drained)
    yield from _examine_times(found)
    yield _examine_folder(folder)
    yield _examine_space(folder)


def _examine_lag(folder: Path, waiting: list[_Waiting], is_drained: bool) -> Check:
    size, lines = sum(each.size for each in waiting), sum(each.lines for each in waiting)
    told = f"{len(waiting)} in {folder}, {lines} lines ({size} bytes) not in the store yet"
    if size and not is_drained:
        told += '; nobody drains them: run nudge worker, or a client with drain="thread"'
    elif size >= _MOST_LAG:
        told += "; they are drained too slowly, or not at all: look into the log of the process that drains"
    numbers = {"journals": len(waiting), "bytes": size, "lines": lines}
    return Check("journals", not size or (is_drained and size < _MOST_LAG), told, numbers)


def _examine_files(waiting: dict[Path, _Waiting], is_drained: bool) -> Iterator[Check]:
    orphans = [path.name for path, each in waiting.items() if each.is_orphan and each.size]
    if orphans:
        told = f"{len(orphans)} with lines whose process is gone: {', '.join(orphans)}; nudge worker takes them over"
        yield Check("orphans", is_drained, told, {"journals": len(orphans)})
    unreadable = [path.name for path, each in waiting.items() if not each.is_readable]
    if unreadable:
        told = (
            f"{len(unreadable)} may not be read: {', '.join(unreadable)}; look, and drain, as the user who wrote them"
        )
        yield Check("unreadable journals", False, told, {"journals": len(unreadable)})
    shared = [path.name for path in waiting if _mode(path) & _OF_OTHERS]
    if shared:
        told = f"{len(shared)} may be read by others: {', '.join(shared)}; they say what people did: chmod 600"
        yield Check("shared journals", False, told, {"journals": len(shared)})


def _examine_times(found: list[Path]) -> Iterator[Check]:
    now = present()
    ahead = [begun - now for path in found if (begun := _begun(path)) - now > MOST_SKEW]
    if ahead:
        told = f"{len(ahead)} were begun up to {span(max(ahead))} from now: this machine's clock was set back; "
        yield Check("times of journals", False, told + "have it set by a time server", {"journals": len(ahead)})


def _examine_folder(folder: Path) -> Check:
    mode = _mode(folder)
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return Check("folder", False, f"{folder} cannot be written by user id {os.geteuid()}; is that the host's?")
    if mode & _WRITABLE_BY_OTHERS:
        return Check("folder", False, f"others may write to {folder}, and so remove journals; run: chmod 700 {folder}")
    return Check("folder", True, f"{folder} can be written by its owner only")


def _examine_space(folder: Path) -> Check:
    found = os.statvfs(folder)
    free = found.f_bavail * found.f_frsize
    told = f"{free // MIB} MiB left for journals"
    # A file system that makes its inodes as needed says that it has none at all.
    has_names = found.f_favail > 0 or not found.f_files
    if free < LEAST_SPACE:
        told += "; when it is full, events are refused: free some"
    elif not has_names:
        told += ", but no file more can be made: remove some"
    return Check("disk", free >= LEAST_SPACE and has_names, told, {"free_bytes": free})


def _waiting(store: Store, path: Path) -> _Waiting:
    offset = store.read_position(path.name) or 0
    end, lines = offset, 0
    try:
        while (piece := read_lines(path, end)).end > end:
            end, lines = piece.end, lines + len(piece.lines)
        adopted = adopt(path)
    except FileNotFoundError:
        return _Waiting()
    except OSError:
        return _Waiting(is_readable=False)
    if adopted is not None:
        adopted.close()
    return _Waiting(end - offset, lines, adopted is not None)


def _is_drained(folder: Path) -> bool:
    """Whether some process drains the folder at this moment."""
    try:
        fd = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _begun(path: Path) -> int:
    """Return when a journal was begun or last written, by this machine's clock; in microseconds."""
    named = path.name.partition("-")[0]
    try:
        written = path.stat().st_mtime_ns
    except OSError:
        written = 0
    return max(int(named) if named.isdecimal() else 0, written) // 1000


def _mode(path: Path) -> int:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return 0
