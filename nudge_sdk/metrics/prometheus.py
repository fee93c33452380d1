"""Metrics for Prometheus: ``pip install 'nudge-sdk[prometheus]'``.

::

    from nudge_sdk.metrics.prometheus import PrometheusMetrics

    nudges = NudgeClient("sqlite:////var/lib/shop/nudges.db", options=Options(metrics=PrometheusMetrics()))

Under a server with several processes, such as gunicorn, each process counts for itself, and a scrape reaches one of
them. So set ``PROMETHEUS_MULTIPROC_DIR`` to an empty folder before any of them starts, serve
``prometheus_client.multiprocess.MultiProcessCollector``, and call ``prometheus_client.multiprocess.mark_process_dead``
from gunicorn's ``child_exit``. Then counters and timings are added up over all processes, the lag is the largest that a
living process sees, and the number of the definition is the lowest that one uses: who is behind is seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from nudge_sdk.runtime.metrics import MEASURES, NONE, NUMBER, SECONDS, Measure


class PrometheusMetrics:
    """Keeps what is measured in a registry of prometheus_client.

    Args:
        registry: Where; one object a registry and process.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._instruments = {name: _instrument(measure, registry) for name, measure in MEASURES.items()}
        self._labelled: dict[tuple[str, ...], Any] = {}

    def count(self, name: str, amount: float = 1, labels: Mapping[str, str] = NONE) -> None:
        """Add to a counter."""
        self._of(name, labels).inc(amount)

    def timing(self, name: str, seconds: float, labels: Mapping[str, str] = NONE) -> None:
        """Take how long something lasted, in seconds."""
        self._of(name, labels).observe(seconds)

    def gauge(self, name: str, value: float, labels: Mapping[str, str] = NONE) -> None:
        """Take how much there is of something now."""
        self._of(name, labels).set(value)

    def _of(self, name: str, labels: Mapping[str, str]) -> Any:
        key = (name, *labels.values())
        found = self._labelled.get(key)
        if found is None:
            instrument = self._instruments[name]
            found = self._labelled[key] = instrument.labels(**labels) if labels else instrument
        return found


def _instrument(measure: Measure, registry: CollectorRegistry) -> Counter | Gauge | Histogram:
    name, kind, text, labels = measure
    if kind == "count":
        return Counter(name, text, labels, registry=registry)
    if kind == "timing":
        return Histogram(name, text, labels, registry=registry, buckets=SECONDS)
    mode: Literal["livemin", "livemax"] = "livemin" if name == NUMBER else "livemax"
    return Gauge(name, text, labels, registry=registry, multiprocess_mode=mode)
