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
from typing import Literal, Self, TypeVar, cast

from nudge_sdk.errors import ImportFileError

FileFormat = Literal["csv", "jsonl"]

T = TypeVar("T")

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
        # No second buffer over GzipFile: where a file is cut off, it would lose what it holds.
        self.stream = cast("io.BufferedReader", gzip.GzipFile(fileobj=self._file)) if packed else self._file

    @property
    def position(self) -> int:
        """How many bytes of the file on disk are read; 0 where that cannot be known."""
        return 0 if self.size is None else min(self.size, self._file.tell())

    def sniff(self) -> FileFormat:
        """Tell by the first character what the content is.

        Raises:
            ImportFileError: It is neither CSV nor JSONL.
        """
        with self._reading():
            head = self.stream.peek(BUFFER_BYTES)
        if head.startswith(_UTF16):
            raise ImportFileError(f"{self.name} is UTF-16; save it as UTF-8")
        head = head.removeprefix(_BOM).lstrip()
        if not head:
            raise ImportFileError(f"{self.name} is empty")
        if head.startswith(b"["):
            raise ImportFileError(f"{self.name} is one JSON list; write one object a line (JSONL)")
        return "jsonl" if head.startswith(b"{") else "csv"

    def watch(self, rows: Iterator[T]) -> Iterator[T]:
        """Yield what is read from the stream; what goes wrong while reading becomes one clear error.

        Raises:
            ImportFileError: The file is damaged, or cannot be read on.
        """
        with self._reading():
            yield from rows

    @contextmanager
    def _reading(self) -> Iterator[None]:
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
        if self.stream is not self._file:
            self.stream.close()
        if self.path == STDIN:
            # Standard input is not ours to close.
            self._file.detach()
        else:
            self._file.close()


def _opened(path: str) -> io.BufferedReader:
    raw = sys.stdin.buffer if path == STDIN else io.FileIO(path)
    return io.BufferedReader(cast("io.RawIOBase", raw), BUFFER_BYTES)
