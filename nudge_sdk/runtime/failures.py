"""Failures: counted, and said once a cause."""

from __future__ import annotations

import logging
import threading
from collections import Counter

from nudge_sdk.errors import NudgeError
from nudge_sdk.runtime.metrics import DECISIONS, FAILURES, REFUSED, Metrics, cause_of, count_store_error

log = logging.getLogger("nudge_sdk")

_SAYING = frozenset({"track", "identify", "group", "left", "alias", "convert", "churn", "record", "silence"})


class Failures:
    """What failed in this process.

    Attributes:
        counts: How often each cause occurred, such as ``track: JournalError``.
        metrics: Told of each, if anybody is.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.metrics: Metrics | None = None
        self.after_fork()

    def note(self, what: str, error: Exception) -> None:
        """Count a failure, and say it if it is the first of its cause."""
        cause = f"{what}: {type(error).__name__}"
        with self._lock:
            self.counts[cause] += 1
            is_first = self.counts[cause] == 1
        if self.metrics is not None:
            _measure(self.metrics, what.partition(" ")[0], error)
        if is_first:
            known = isinstance(error, NudgeError | OSError)
            facts = {"nudge_event": "call_failed", "nudge_call": what, "nudge_cause": cause_of(error)}
            log.error(
                "%s failed and answered neutrally (said once a cause): %s", what, error, exc_info=not known, extra=facts
            )

    def after_fork(self) -> None:
        """Forget a parent's lock."""
        self._lock = threading.Lock()


def _measure(metrics: Metrics, call: str, error: Exception) -> None:
    cause = cause_of(error)
    metrics.count(FAILURES, 1, {"call": call, "cause": cause})
    count_store_error(metrics, error)
    if call in _SAYING:
        metrics.count(REFUSED, 1, {"kind": call, "cause": cause})
    elif call == "decide":
        metrics.count(DECISIONS, 1, {"answer": "failed"})
