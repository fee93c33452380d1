"""What must survive a power cut, beside the journal: what a store was told last.

PostgreSQL answers a commit when it is on the disk. SQLite, as it is set here, may forget the last commits in a power
cut: it keeps them in its log and has the disk keep that from time to time. So the log is put to the disk before a
journal is removed, and, where the host asked for it, before an answer that went straight to the store.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from nudge_sdk.runtime.journal_files import sync_folder
from nudge_sdk.store.protocol import Store


def settle(store: Store) -> None:
    """Have the disk keep everything that was committed to a store.

    Raises:
        OSError: The disk did not.
    """
    path = getattr(store, "path", "")
    if not path:
        return
    # SQLite puts its log to the disk itself before it takes it away, so where there is none all is kept. It locks the
    # main file only, and that one must not be opened here: closing it would give up this process's locks.
    with suppress(FileNotFoundError):
        fd = os.open(f"{path}-wal", os.O_RDONLY)
        try:
            os.fdatasync(fd)
        finally:
            os.close(fd)
    # Where this process may not read the folder, SQLite cannot put its names to the disk either, and goes on.
    with suppress(PermissionError):
        sync_folder(Path(path).resolve().parent)
