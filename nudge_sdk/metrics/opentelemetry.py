"""Metrics for OpenTelemetry: ``pip install 'nudge-sdk[opentelemetry]'``.

::

    from nudge_sdk.metrics.opentelemetry import OpenTelemetryMetrics

    nudges = NudgeClient("sqlite:////var/lib/shop/nudges.db", options=Options(metrics=OpenTelemetryMetrics()))

Names follow its conventions: ``nudge_events_tracked_total`` is ``nudge.events.tracked``, ``nudge_track_seconds`` is
``nudge.track.duration`` in seconds. Under a server that forks, such as gunicorn with ``--preload``, make the host's
meter provider in each worker, for its exporting thread does not outlive a fork; give each worker a resource of its own
(``service.instance.id``), and their counts add up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from opentelemetry import metrics as api

from nudge_sdk.runtime.metrics import MEASURES, NONE, SECONDS, Measure

_Levels = dict[tuple[tuple[str, str], ...], float]
_UNITS = {"_seconds": "s", "_bytes": "By", "_total": "1"}


class OpenTelemetryMetrics:
    """Passes what is measured to instruments of OpenTelemetry.

    Args:
        provider: Whose meter to use; by default the global one.
    """

    def __init__(self, provider: api.MeterProvider | None = None) -> None:
        self._levels: dict[str, _Levels] = {name: {} for name, measure in MEASURES.items() if measure.kind == "gauge"}
        meter = (provider or api.get_meter_provider()).get_meter("nudge_sdk")
        self._instruments = {name: self._instrument(meter, measure) for name, measure in MEASURES.items()}

    def count(self, name: str, amount: float = 1, labels: Mapping[str, str] = NONE) -> None:
        """Add to a counter."""
        self._instruments[name].add(amount, labels)

    def timing(self, name: str, seconds: float, labels: Mapping[str, str] = NONE) -> None:
        """Take how long something lasted, in seconds."""
        self._instruments[name].record(seconds, labels)

    def gauge(self, name: str, value: float, labels: Mapping[str, str] = NONE) -> None:
        """Take how much there is of something now."""
        self._levels[name][tuple(labels.items())] = value

    def _instrument(self, meter: api.Meter, measure: Measure) -> Any:
        name, unit = conventional(measure)
        if measure.kind == "count":
            return meter.create_counter(name, unit=unit, description=measure.text)
        if measure.kind == "timing":
            return _histogram(meter, name, unit=unit, description=measure.text)
        read = [_reading(self._levels[measure.name])]
        return meter.create_observable_gauge(name, read, unit=unit, description=measure.text)


def _histogram(meter: api.Meter, name: str, **about: Any) -> api.Histogram:
    try:
        return meter.create_histogram(name, explicit_bucket_boundaries_advisory=SECONDS, **about)
    except TypeError:
        # Releases before 1.29 take no advice on buckets; a view of the host's can set them.
        return meter.create_histogram(name, **about)


def conventional(measure: Measure) -> tuple[str, str]:
    """Return name and unit of a measure by the conventions of OpenTelemetry."""
    for ending, unit in _UNITS.items():
        if measure.name.endswith(ending):
            name = measure.name.removesuffix(ending).replace("_", ".")
            return f"{name}.duration" if measure.kind == "timing" else name, unit
    return measure.name.replace("_", "."), "1"


def _reading(levels: _Levels) -> Callable[[api.CallbackOptions], Iterable[api.Observation]]:
    return lambda _: [api.Observation(value, dict(labels)) for labels, value in list(levels.items())]
