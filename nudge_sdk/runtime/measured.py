"""The recorder and the decider of a client that measures; the plain ones do not even ask whether to.

What a decision that failed was is counted with the failures. An event written in the host's own transaction is counted
when it is written, whether or not that transaction commits.
"""

from __future__ import annotations

import time
from typing import Any

from nudge_sdk.errors import StoreError
from nudge_sdk.rules.records import Record
from nudge_sdk.rules.selection import Reason
from nudge_sdk.runtime.deciding import Decider, Decision, Question
from nudge_sdk.runtime.metrics import (
    DECIDE,
    DECISIONS,
    OFFERS,
    TRACK,
    TRACKED,
    Metrics,
    count_store_error,
    tell_definition,
)
from nudge_sdk.runtime.recorder import Recorder

GAUGE_SECONDS = 1.0
"""Seconds between two tellings of what there is."""


class MeasuredRecorder(Recorder):
    """Counts and times what it makes safe."""

    metrics: Metrics

    def write(self, record: Record, *, is_ours: bool = True) -> None:
        began = time.perf_counter()
        super().write(record, is_ours=is_ours)
        self.metrics.timing(TRACK, time.perf_counter() - began)
        # Where there is no journal, committing has counted it.
        if self.journal is not None:
            self.metrics.count(TRACKED, 1, {"kind": record.kind})

    def commit(self, record: Record, *, wait: float) -> None:
        try:
            super().commit(record, wait=wait)
        except StoreError as error:
            # Without a journal the call fails, and its failure is counted.
            if self.journal is not None:
                count_store_error(self.metrics, error)
            raise
        self.metrics.count(TRACKED, 1, {"kind": record.kind})

    def hand_over(self, record: Record, connection: Any) -> None:
        super().hand_over(record, connection)
        self.metrics.count(TRACKED, 1, {"kind": record.kind})


class MeasuredDecider(Decider):
    """Counts and times its answers."""

    metrics: Metrics
    _tell_at = 0.0

    def decide(self, question: Question) -> Decision:
        began = time.perf_counter()
        decision = super().decide(question)
        self.metrics.timing(DECIDE, time.perf_counter() - began)
        answer = _answer(decision)
        self.metrics.count(DECISIONS, 1, {"answer": answer})
        if answer != "nothing":
            self.metrics.count(OFFERS, 1, {"confirmed": "no" if answer == "unconfirmed" else "yes"})
        self._tell()
        return decision

    def _tell(self) -> None:
        if time.monotonic() >= self._tell_at:
            self._tell_at = time.monotonic() + GAUGE_SECONDS
            tell_definition(self.metrics, self.intake.catalog, self.intake.clock())


def _answer(decision: Decision) -> str:
    if decision.nudge is not None:
        return "nudge"
    reasons = decision.reasons.values()
    if Reason.UNCONFIRMED in reasons:
        return "unconfirmed"
    return "withheld" if Reason.HELD_OUT in reasons else "nothing"
