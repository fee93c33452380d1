"""Failures: counted, and said once a cause."""

from __future__ import annotations

import logging
import threading
from collections import Counter

from nudge_sdk.errors import NudgeError

log = logging.getLogger("nudge_sdk")


class Failures:
    """What failed in this process.

    Attributes:
        counts: How often each cause occurred, such as ``track: JournalError``.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.after_fork()

    def note(self, what: str, error: Exception) -> None:
        """Count a failure, and say it if it is the first of its cause."""
        cause = f"{what}: {type(error).__name__}"
        with self._lock:
            self.counts[cause] += 1
            is_first = self.counts[cause] == 1
        if is_first:
            known = isinstance(error, NudgeError | OSError)
            log.error("%s failed and answered neutrally (said once a cause): %s", what, error, exc_info=not known)

    def after_fork(self) -> None:
        """Forget a parent's lock."""
        self._lock = threading.Lock()
