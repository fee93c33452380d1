"""Sorting the rows of a history of any length in flat memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from nudge_sdk.errors import ImportFileError, StoreError
from nudge_sdk.importing.rows import Row
from nudge_sdk.runtime.intake import decode_record, encode_record
from nudge_sdk.store.sorted_file import SortedFile


class SortedRows:
    """Rows by account, user and time, in a temporary file.

    A history is mostly in order of time, and so comes back to each member again and again; sorted, it has all that is
    to be said of one together.

    Raises:
        ImportFileError: There is no room; from every method.
    """

    def __init__(self) -> None:
        with _explained():
            self._file = SortedFile()

    def add(self, rows: Sequence[Row]) -> None:
        """Put rows in."""
        with _explained():
            self._file.add(
                (record.account_id, record.user_id, record.at, line, encode_record(record)) for line, record in rows
            )

    def sort(self) -> Iterator[Row]:
        """Return the rows in order; when this returns they are sorted."""
        with _explained():
            found = self._file.sort()
        return self._rows(found)

    def _rows(self, found: Iterator[tuple[int, bytes]]) -> Iterator[Row]:
        with _explained("not all was imported"):
            for line, packed in found:
                yield Row(line, decode_record(packed))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._file.close()


@contextmanager
def _explained(outcome: str = "nothing was imported") -> Iterator[None]:
    try:
        yield
    except StoreError as error:
        raise ImportFileError(
            f"rows cannot be sorted, and {outcome}: {error}; let the variable TMPDIR name a folder with room for "
            "twice the unpacked history, and import it again"
        ) from None
