"""The file in which rows that cannot be imported are set aside, to be mended and imported later."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import msgspec

from nudge_sdk.errors import ImportFileError
from nudge_sdk.importing.rows import Refused
from nudge_sdk.importing.sources import STDIN


class Rejects:
    """Rows set aside, one JSON object a line: ``line``, ``reason`` and ``text``. Made when the first one comes.

    Args:
        path: The file; one that is there already is written anew.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[bytes] | None = None

    def add(self, refused: Refused) -> None:
        """Set a row aside.

        Raises:
            ImportFileError: The file cannot be written.
        """
        # What was no UTF-8 came in as lone surrogates, which JSON cannot hold.
        text = refused.text.encode(errors="replace").decode()
        reason = refused.reason.encode(errors="replace").decode()
        try:
            if self._file is None:
                self._file = self.path.open("wb")
            self._file.write(msgspec.json.encode({"line": refused.line, "reason": reason, "text": text}) + b"\n")
        except OSError as error:
            raise ImportFileError(
                f"{self.path} cannot be written: {error.strerror or error}; say another file with --rejects"
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()


def rejects_path(source: str) -> Path:
    """Return where rows of a file are set aside: beside it, or in the present folder if that may not be written."""
    if source == STDIN:
        return Path("stdin.rejected.jsonl")
    path = Path(source)
    folder = path.parent if os.access(path.parent, os.W_OK) else Path()
    return folder / f"{path.name}.rejected.jsonl"
