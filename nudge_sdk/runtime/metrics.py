"""What is counted and timed, and the interface through which a host is told.

Nothing is measured unless ``Options(metrics=…)`` is given, and then by the process that does the work: the one that
drains tells of draining, each that decides of its decisions. Labels have few values; no user, account or text of the
host's is ever one. Ready adapters: ``nudge_sdk.metrics.prometheus`` and ``nudge_sdk.metrics.opentelemetry``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from nudge_sdk.errors import StoreBusyError, StoreError

if TYPE_CHECKING:
    from nudge_sdk.runtime.catalog import Catalog
    from nudge_sdk.runtime.deciding import Decider
    from nudge_sdk.runtime.failures import Failures
    from nudge_sdk.runtime.recorder import Recorder

NONE: Mapping[str, str] = {}


class Metrics(Protocol):
    """Takes what is measured; called from the host's requests and from the thread that drains, so it must be quick.

    What it raises is logged once and harms nobody.
    """

    def count(self, name: str, amount: float = 1, labels: Mapping[str, str] = NONE) -> None:
        """Add to a counter."""

    def timing(self, name: str, seconds: float, labels: Mapping[str, str] = NONE) -> None:
        """Take how long something lasted, in seconds."""

    def gauge(self, name: str, value: float, labels: Mapping[str, str] = NONE) -> None:
        """Take how much there is of something now."""


class Measure(NamedTuple):
    """One thing that is measured.

    Attributes:
        name: By the conventions of Prometheus.
        kind: Whether it is told by ``count``, ``timing`` or ``gauge``.
        text: What it is.
        labels: The labels it always has.
    """

    name: str
    kind: Literal["count", "timing", "gauge"]
    text: str
    labels: tuple[str, ...] = ()


TRACKED, REFUSED, TRACK = "nudge_events_tracked_total", "nudge_events_refused_total", "nudge_track_seconds"
DECISIONS, OFFERS, DECIDE = "nudge_decisions_total", "nudge_offers_total", "nudge_decide_seconds"
FAILURES, STORE_ERRORS = "nudge_failures_total", "nudge_store_errors_total"
BATCHES, LINES, LAG = "nudge_drain_batches_total", "nudge_drain_lines_total", "nudge_drain_lag_bytes"
SET_ASIDE, FOLD = "nudge_lines_set_aside_total", "nudge_fold_seconds"
JUDGED, SWEEP = "nudge_sweep_judged_total", "nudge_sweep_seconds"
NUMBER, AGE = "nudge_definition_number", "nudge_definition_age_seconds"

MEASURES = {
    measure.name: measure
    for measure in (
        Measure(TRACKED, "count", "What hosts said and was made safe: track, identify, group and so on", ("kind",)),
        Measure(REFUSED, "count", "What hosts said and was not made safe, by cause", ("kind", "cause")),
        Measure(TRACK, "timing", "Seconds that making one record safe took, in the request"),
        Measure(DECISIONS, "count", "Answers of decide: nudge, nothing, withheld, unconfirmed or failed", ("answer",)),
        Measure(OFFERS, "count", "Nudges chosen, by whether the store confirmed them: yes or no", ("confirmed",)),
        Measure(DECIDE, "timing", "Seconds that one decision took, in the request"),
        Measure(FAILURES, "count", "Calls that failed and were answered neutrally", ("call", "cause")),
        Measure(STORE_ERRORS, "count", "Times the store did not do what it was asked: busy or refused", ("cause",)),
        Measure(BATCHES, "count", "Batches of the journals brought into the store"),
        Measure(LINES, "count", "Lines of the journals brought into the store"),
        Measure(LAG, "gauge", "Bytes of the folder's journals that are not in the store yet"),
        Measure(SET_ASIDE, "count", "Lines that could not be taken in and were set aside"),
        Measure(FOLD, "timing", "Seconds that one batch took to be counted, judged and committed"),
        Measure(JUDGED, "count", "Members and accounts judged because of time alone"),
        Measure(SWEEP, "timing", "Seconds that one batch of such judging took"),
        Measure(NUMBER, "gauge", "Number of the definition that this process uses"),
        Measure(AGE, "gauge", "Seconds since that definition came into force"),
    )
}
"""Everything that is measured, by name."""


SECONDS = (
    0.000_005, 0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5,
    0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0,
)  # fmt: skip
"""Limits for counting timings in buckets: a call takes microseconds, a batch milliseconds, trouble seconds."""


class Guarded:
    """Passes on what is measured, and what fails in that to ``failed``.

    Args:
        metrics: The host's.
        failed: Told what it raised.
    """

    def __init__(self, metrics: Metrics, failed: Callable[[str, Exception], None]) -> None:
        self._metrics = metrics
        self._failed = failed
        self._failing = threading.local()

    def count(self, name: str, amount: float = 1, labels: Mapping[str, str] = NONE) -> None:
        """Add to a counter."""
        try:
            self._metrics.count(name, amount, labels)
        except Exception as error:
            self._note(error)

    def timing(self, name: str, seconds: float, labels: Mapping[str, str] = NONE) -> None:
        """Take how long something lasted, in seconds."""
        try:
            self._metrics.timing(name, seconds, labels)
        except Exception as error:
            self._note(error)

    def gauge(self, name: str, value: float, labels: Mapping[str, str] = NONE) -> None:
        """Take how much there is of something now."""
        try:
            self._metrics.gauge(name, value, labels)
        except Exception as error:
            self._note(error)

    def _note(self, error: Exception) -> None:
        # Failures are counted too, by this very object.
        if getattr(self._failing, "is_noting", False):
            return
        self._failing.is_noting = True
        try:
            self._failed("metrics", error)
        finally:
            self._failing.is_noting = False


def measured() -> tuple[type[Recorder], type[Decider]]:
    """Return the kinds of recorder and decider that measure what they do."""
    from nudge_sdk.runtime.measured import MeasuredDecider, MeasuredRecorder

    return MeasuredRecorder, MeasuredDecider


def measure(metrics: Metrics, failures: Failures, *parts: Any) -> None:
    """Have the parts of a client tell what they measure.

    Args:
        metrics: Whom to tell.
        failures: Told of what that raises; measured too.
        parts: The others; None is passed over.
    """
    guarded = Guarded(metrics, failures.note)
    for part in (failures, *parts):
        if part is not None:
            part.metrics = guarded


def cause_of(error: Exception) -> str:
    """Return the name of an error's class, which is one of few."""
    return type(error).__name__


def count_store_error(metrics: Metrics, error: Exception) -> None:
    """Count an error if the store raised it."""
    if isinstance(error, StoreError):
        metrics.count(STORE_ERRORS, 1, {"cause": "busy" if isinstance(error, StoreBusyError) else "refused"})


def tell_definition(metrics: Metrics, catalog: Catalog, now: int) -> None:
    """Tell which definition is used, and for how long it has been in force.

    Args:
        metrics: Whom to tell.
        catalog: What this process knows of the published definitions.
        now: In microseconds.
    """
    metrics.gauge(NUMBER, catalog.rules.number)
    if catalog.rules.number:
        metrics.gauge(AGE, max(0, now - catalog.rules.live_at) / 1_000_000)
