"""Erasing lines in journals: the bytes of somebody who was forgotten, in files that others may be writing.

A line is overwritten where it stands. What was drained is never read again, and what was not is dropped by its
tombstone when it is: to whoever reads it meanwhile, a place without a separator is one that was never acknowledged.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from nudge_sdk.rules.identity import Key, named_in
from nudge_sdk.rules.records import Record
from nudge_sdk.runtime.intake import decode_record
from nudge_sdk.runtime.journal_files import MIB, SEPARATOR

IsTheirs = Callable[[bytes, Record | None], bool]
"""Whether a line is theirs, given its bytes and, if it can be read, what it says."""

_Span = tuple[int, int]


def erase_lines(path: Path, is_theirs: IsTheirs) -> int:
    """Overwrite the lines of a journal that are somebody's; how many there were.

    Raises:
        OSError: The file cannot be read or written.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        return 0
    try:
        erased = 0
        for start, line in _framed(fd):
            for first, end in _spans(line, is_theirs):
                os.pwrite(fd, b" " * (end - first), start + first)
                erased += 1
        if erased:
            os.fsync(fd)
        return erased
    finally:
        os.close(fd)


def members_named_in(path: Path) -> set[Key]:
    """Return the members that the lines of a journal name.

    Raises:
        OSError: The file cannot be read.
    """
    found: set[Key] = set()
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        for _, line in _framed(fd):
            record = read(line.rpartition(SEPARATOR)[2])
            found |= named_in(record) if record else set()
    finally:
        os.close(fd)
    return found


def _framed(fd: int) -> Iterator[tuple[int, bytes]]:
    """Yield the offset and the bytes of each line, without its line feed; at last what has none yet."""
    start, rest, at = 0, b"", 0
    while piece := os.pread(fd, MIB, at):
        at += len(piece)
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield start, line
            start += len(line) + 1
    if rest:
        yield start, rest


def _spans(line: bytes, is_theirs: IsTheirs) -> list[_Span]:
    """Return what to overwrite: all of a line whose last part is theirs, else the parts before it that are."""
    *torn, last = line.split(SEPARATOR)
    if is_theirs(last, read(last)):
        return [(0, len(line))]
    found, start = [], 0
    for part in torn:
        if is_theirs(part, read(part)):
            found.append((start, start + len(part)))
        start += len(part) + 1
    return found


def read(line: bytes) -> Record | None:
    """Return what a line says, or None."""
    try:
        return decode_record(line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
