"""Counting equal rows of a file of any length in flat memory."""

from __future__ import annotations

import mmap
import tempfile

_KEY, _ENTRY = 12, 16
_SMALLEST = 1 << 16


class Ordinals:
    """Gives each row its ordinal among the equal rows before it.

    An open-addressing hash table of 96-bit digests in a temporary file that has no name: a dictionary would take some
    hundred bytes of memory for each row of the file.
    """

    def __init__(self, entries: int = _SMALLEST) -> None:
        self._used = 0
        self._allocate(entries)

    def next(self, digest: bytes) -> int:
        """Return how many equal rows came before.

        Args:
            digest: At least 12 bytes that are the same for equal rows only.
        """
        key = digest[:_KEY]
        at, count = self._find(key)
        self._table[at : at + _ENTRY] = key + (count + 1).to_bytes(_ENTRY - _KEY, "big")
        if not count:
            self._used += 1
            if self._used * 2 > self._entries:
                self._grow()
        return count

    def close(self) -> None:
        """Give the space back."""
        self._table.close()

    def _allocate(self, entries: int) -> None:
        self._entries = entries
        with tempfile.TemporaryFile(prefix="nudge-import-") as file:
            file.truncate(entries * _ENTRY)
            self._table = mmap.mmap(file.fileno(), entries * _ENTRY)

    def _find(self, key: bytes) -> tuple[int, int]:
        """Return (where the entry is or belongs, its count)."""
        slot = int.from_bytes(key[:8], "big") % self._entries
        while True:
            at = slot * _ENTRY
            entry = self._table[at : at + _ENTRY]
            count = int.from_bytes(entry[_KEY:], "big")
            if not count or entry[:_KEY] == key:
                return at, count
            slot = (slot + 1) % self._entries

    def _grow(self) -> None:
        old = self._table
        self._allocate(self._entries * 4)
        for at in range(0, len(old), _ENTRY):
            entry = old[at : at + _ENTRY]
            if any(entry[_KEY:]):
                place, _ = self._find(entry[:_KEY])
                self._table[place : place + _ENTRY] = entry
        old.close()
