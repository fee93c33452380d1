"""Where an import reads from: a file or standard input, packed or not."""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Literal, Self, cast

from nudge_sdk.errors import ImportFileError

FileFormat = Literal["csv", "jsonl"]

STDIN = "-"
BUFFER_BYTES = 1024 * 1024
_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class Source:
    """A file of history, opened.

    Args:
        path: The file, or ``-`` for standard input. Gzip is known by its first bytes, not by the name.

    Attributes:
        name: What people call it.
        size: Its size on disk in bytes, or None where that cannot be known.
        stream: Its content, unpacked.

    Raises:
        ImportFileError: It cannot be opened, or is empty.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.name = "standard input" if path == STDIN else path
        try:
            self._file = _opened(path)
            self.size = None if path == STDIN else Path(path).stat().st_size
            packed = self._file.peek(2)[:2] == _GZIP
        except OSError as error:
            raise ImportFileError(f"{self.name} cannot be read: {error.strerror or error}") from None
        # GzipFile reads like any binary stream, which its type does not say.
        unpacked = cast("IO[bytes]", gzip.GzipFile(fileobj=self._file)) if packed else self._file
        self.stream = io.BufferedReader(cast("io.RawIOBase", unpacked), BUFFER_BYTES)

    @property
    def position(self) -> int:
        """How many bytes of the file on disk are read; 0 where that cannot be known."""
        return 0 if self.size is None else min(self.size, self._file.tell())

    def sniff(self) -> FileFormat:
        """Tell by the first character what the content is.

        Raises:
            ImportFileError: It is neither CSV nor JSONL.
        """
        with self.unpacking():
            head = self.stream.peek(BUFFER_BYTES)
        if head.startswith(_UTF16):
            raise ImportFileError(f"{self.name} is UTF-16; save it as UTF-8")
        head = head.removeprefix(_BOM).lstrip()
        if not head:
            raise ImportFileError(f"{self.name} is empty")
        if head.startswith(b"["):
            raise ImportFileError(f"{self.name} is one JSON list; write one object a line (JSONL)")
        return "jsonl" if head.startswith(b"{") else "csv"

    @contextmanager
    def unpacking(self) -> Iterator[None]:
        """Turn what goes wrong while reading into one clear error."""
        try:
            yield
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ImportFileError(
                f"{self.name} is packed with gzip but damaged or cut off ({error}); what came before that is imported"
            ) from None
        except OSError as error:
            raise ImportFileError(f"{self.name} cannot be read on: {error.strerror or error}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self.path != STDIN:
            self._file.close()


def _opened(path: str) -> io.BufferedReader:
    if path == STDIN:
        return cast("io.BufferedReader", sys.stdin.buffer)
    return open(path, "rb", buffering=BUFFER_BYTES)
