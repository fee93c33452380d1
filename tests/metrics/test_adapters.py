"""The adapters, against the real libraries."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client import CollectorRegistry, generate_latest

from nudge_sdk import NudgeClient
from nudge_sdk.metrics.opentelemetry import OpenTelemetryMetrics, conventional
from nudge_sdk.metrics.prometheus import PrometheusMetrics
from nudge_sdk.runtime.metrics import MEASURES
from tests.runtime.examples import ROOT, nudge, open_client, product


def used(tmp_path: Path, metrics: Any) -> NudgeClient:
    client = open_client(
        tmp_path / "nudges.db", on_error="log", metrics=metrics, definition=product(nudge("hello")), store_wait=5
    )
    for _ in range(3):
        assert client.track("ada", "step")
    assert client.decide("page", user="ada")
    assert not client.track("", "step")
    assert client.flush()
    client.close()
    return client


def test_prometheus_is_given_everything(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    used(tmp_path, PrometheusMetrics(registry))
    text = generate_latest(registry).decode()
    for line in (
        'nudge_events_tracked_total{kind="track"} 3.0',
        'nudge_events_refused_total{cause="RecordError",kind="track"} 1.0',
        'nudge_decisions_total{answer="nudge"} 1.0',
        'nudge_offers_total{confirmed="yes"} 1.0',
        "nudge_track_seconds_count 3.0",
        "nudge_decide_seconds_count 1.0",
        "nudge_drain_lines_total 3.0",
        "nudge_definition_number 1.0",
    ):
        assert f"\n{line}\n" in text
    families = {family.name for family in registry.collect()}
    assert families == {name.removesuffix("_total") for name in MEASURES}


def test_opentelemetry_is_given_everything(tmp_path: Path) -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    used(tmp_path, OpenTelemetryMetrics(provider))
    data = reader.get_metrics_data()
    assert data is not None
    found = {
        metric.name: metric
        for each in data.resource_metrics
        for scope in each.scope_metrics
        for metric in scope.metrics
    }
    points: dict[str, list[Any]] = {name: list(metric.data.data_points) for name, metric in found.items()}
    (tracked,) = points["nudge.events.tracked"]
    assert (tracked.value, dict(tracked.attributes)) == (3, {"kind": "track"})
    (timed,) = points["nudge.track.duration"]
    assert (timed.count, found["nudge.track.duration"].unit) == (3, "s")
    assert timed.explicit_bounds[0] < 0.001, "buckets are for seconds, not for milliseconds"
    assert points["nudge.definition.number"][0].value == 1
    provider.shutdown()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nudge_events_tracked_total", ("nudge.events.tracked", "1")),
        ("nudge_track_seconds", ("nudge.track.duration", "s")),
        ("nudge_drain_lag_bytes", ("nudge.drain.lag", "By")),
        ("nudge_definition_age_seconds", ("nudge.definition.age", "s")),
        ("nudge_definition_number", ("nudge.definition.number", "1")),
    ],
)
def test_names_and_units_become_those_of_opentelemetry(name: str, expected: tuple[str, str]) -> None:
    assert conventional(MEASURES[name]) == expected


SEVERAL = """
import os, sys
from nudge_sdk.metrics.prometheus import PrometheusMetrics
from tests.runtime.examples import open_client, product
client = open_client(sys.argv[1], metrics=PrometheusMetrics(), definition=product(), store_wait=5)
children = []
for number in range(3):
    child = os.fork()
    if child == 0:
        for _ in range(10):
            client.track("ada", "step")
        os._exit(0)
    children.append(child)
assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
from prometheus_client import CollectorRegistry, generate_latest, multiprocess
registry = CollectorRegistry()
multiprocess.MultiProcessCollector(registry)
print(generate_latest(registry).decode())
"""


def test_counts_of_forked_workers_add_up(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "shared")}
    command = [sys.executable, "-c", SEVERAL, str(tmp_path / "nudges.db")]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert 'nudge_events_tracked_total{kind="track"} 30.0' in done.stdout
