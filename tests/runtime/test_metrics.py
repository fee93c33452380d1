"""What is measured: everything that matters, nothing about anybody, and nothing at all unless asked for."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from nudge_sdk import NudgeClient, Options, SetupError
from nudge_sdk.runtime import drainer as drainer_module
from nudge_sdk.runtime.deciding import Decider
from nudge_sdk.runtime.metrics import MEASURES, NONE
from nudge_sdk.runtime.recorder import Recorder
from tests.runtime.examples import FREE, locked, nudge, open_client, product, wait_until

ALLOWED = {
    "kind": {
        "track", "identify", "group", "left", "alias", "convert", "churn", "exposure", "record", "silence", "opted_out",
    },
    "answer": {"nudge", "nothing", "withheld", "unconfirmed", "failed"},
    "confirmed": {"yes", "no"},
}  # fmt: skip


class Kept:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, ...]] = Counter()
        self.timings: dict[str, list[float]] = {}
        self.gauges: dict[str, float] = {}
        self.labels: dict[str, set[str]] = {}

    def count(self, name: str, amount: float = 1, labels: Mapping[str, str] = NONE) -> None:
        self._check(name, "count", labels)
        self.counts[(name, *labels.values())] += amount  # type: ignore[assignment]

    def timing(self, name: str, seconds: float, labels: Mapping[str, str] = NONE) -> None:
        self._check(name, "timing", labels)
        self.timings.setdefault(name, []).append(seconds)

    def gauge(self, name: str, value: float, labels: Mapping[str, str] = NONE) -> None:
        self._check(name, "gauge", labels)
        self.gauges[name] = value

    def _check(self, name: str, kind: str, labels: Mapping[str, str]) -> None:
        measure = MEASURES[name]
        assert (measure.kind, measure.labels) == (kind, tuple(labels))
        for label, value in labels.items():
            self.labels.setdefault(label, set()).add(value)


def measured(tmp_path: Path, metrics: Any, *nudges: dict[str, Any], **changes: Any) -> NudgeClient:
    settings = changes.pop("settings", FREE)
    definition = product(*nudges, settings=settings, **changes.pop("product", {}))
    changes = {"on_error": "log", "store_wait": 5, "refresh_seconds": 0, **changes}
    return open_client(tmp_path / "nudges.db", definition=definition, metrics=metrics, **changes)


def test_names_keep_to_the_conventions() -> None:
    for name, measure in MEASURES.items():
        assert re.fullmatch(r"nudge(_[a-z]+)+", name)
        assert name.endswith("_total") == (measure.kind == "count")
        assert name.endswith("_seconds") or measure.kind != "timing"
        assert measure.text
        assert len(measure.labels) <= 2


def test_by_default_the_recorder_and_the_decider_are_the_plain_ones(tmp_path: Path) -> None:
    with open_client(tmp_path / "nudges.db") as client:
        assert type(client.recorder) is Recorder
        assert type(client.decider) is Decider
        assert client.intake.metrics is None


def test_what_is_tracked_and_refused_is_counted_and_timed(tmp_path: Path) -> None:
    kept = Kept()
    with measured(tmp_path, kept) as client:
        for number in range(5):
            assert client.track("ada", "step", {"n": number})
        assert client.identify("ada", {"plan": "free"})
        assert client.identify("ada", {"plan": "free"}), "said again, it writes nothing"
        assert client.convert(user="ada")
        assert not client.track("ada", "")
        assert not client.record("hello", "shown", user="")
        assert kept.counts["nudge_events_tracked_total", "track"] == 5
        assert kept.counts["nudge_events_tracked_total", "identify"] == 1
        assert kept.counts["nudge_events_tracked_total", "convert"] == 1
        assert kept.counts["nudge_events_refused_total", "track", "RecordError"] == 1
        assert kept.counts["nudge_events_refused_total", "record", "RecordError"] == 1
        assert len(kept.timings["nudge_track_seconds"]) == 6
        assert all(0 < seconds < 5 for seconds in kept.timings["nudge_track_seconds"])
        assert client.counters == {"track: RecordError": 1, "record: RecordError": 1}


@pytest.mark.parametrize("drain", ["external", "inline"])
def test_each_event_is_counted_once_whichever_way_it_goes(tmp_path: Path, drain: str) -> None:
    kept = Kept()
    with measured(tmp_path, kept, drain=drain) as client:
        client.track("ada", "step")
        client.convert(user="ada")
    assert [kept.counts["nudge_events_tracked_total", kind] for kind in ("track", "convert")] == [1, 1]


def test_answers_are_counted_by_what_they_were(tmp_path: Path) -> None:
    kept = Kept()
    with measured(tmp_path, kept, nudge("hello")) as client:
        assert client.decide("page", user="ada")
        assert not client.decide("elsewhere", user="ada")
        with locked(tmp_path / "nudges.db"):
            client.decider.wait = 0.05
            assert not client.decide("page", user="bob")
        client.decide("page", user="")
    found = {answer: kept.counts["nudge_decisions_total", answer] for answer in ALLOWED["answer"]}
    assert found == {"nudge": 1, "nothing": 1, "withheld": 0, "unconfirmed": 1, "failed": 1}
    assert kept.counts["nudge_offers_total", "yes"] == 1
    assert kept.counts["nudge_offers_total", "no"] == 1
    assert kept.counts["nudge_store_errors_total", "busy"] >= 1
    assert len(kept.timings["nudge_decide_seconds"]) == 3
    assert kept.gauges["nudge_definition_number"] == 1
    assert 0 <= kept.gauges["nudge_definition_age_seconds"] < 60


def test_who_is_held_out_is_counted_as_withheld(tmp_path: Path) -> None:
    kept = Kept()
    with measured(tmp_path, kept, nudge("hello", goal="paid"), product={"holdout": {"share": 1}}) as client:
        assert not client.decide("page", user="ada")
    assert kept.counts["nudge_decisions_total", "withheld"] == 1
    assert kept.counts["nudge_offers_total", "yes"] == 1


def test_draining_and_sweeping_are_counted_and_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drainer_module, "SWEEP_SECONDS", 0.01)
    kept = Kept()
    with measured(tmp_path, kept, drain="thread", drain_seconds=0.005) as client:
        for number in range(20):
            client.track(f"user-{number}", "step")
        assert client.recorder.journal is not None
        assert client.recorder.journal.path is not None
        with client.recorder.journal.path.open("ab") as file:
            file.write(b"\x1eno json\n")
        assert client.flush()
        assert wait_until(lambda: kept.gauges.get("nudge_drain_lag_bytes") == 0)
        assert wait_until(lambda: kept.timings.get("nudge_sweep_seconds"))
    assert kept.counts["nudge_drain_lines_total",] == 21
    assert 1 <= kept.counts["nudge_drain_batches_total",] <= 21
    assert len(kept.timings["nudge_fold_seconds"]) >= 1
    assert kept.counts["nudge_lines_set_aside_total",] == 1


def test_those_judged_by_time_alone_are_counted(tmp_path: Path) -> None:
    kept = Kept()
    with measured(tmp_path, kept) as client:
        for _ in range(2):
            client.track("ada", "campaign_sent")
        assert client.flush()
        client.publish(product(nudge("another")))
        assert client.sweep() == 2
    assert kept.counts["nudge_sweep_judged_total",] == 2


def test_a_store_that_is_away_is_counted_by_cause(tmp_path: Path) -> None:
    kept = Kept()
    options = Options(drain_seconds=0.005, metrics=kept)
    client = NudgeClient(f"sqlite:///{tmp_path}/no/nudges.db", journal=tmp_path / "journals", options=options)
    client.track("ada", "step")
    assert wait_until(lambda: sum(kept.counts[key] for key in kept.counts if key[0] == "nudge_store_errors_total") > 1)
    client.close(0.5)


def test_no_user_and_no_account_is_ever_a_label(tmp_path: Path) -> None:
    kept = Kept()
    with measured(tmp_path, kept, nudge("hello")) as client:
        for number in range(30):
            user, account = f"user-{number}", f"account-{number}"
            client.group(account, {"name": account}, user=user)
            client.track(user, f"event-{number}", account=account)
            decision = client.decide("page", user=user, account=account)
            client.record(decision, "dismissed")
            client.track(user, "x" * (300 + number), account=account)
            client.silence(user, account=account, until=number)
        assert client.flush()
    for label, allowed in ALLOWED.items():
        assert kept.labels[label] <= allowed
    assert sum(len(values) for values in kept.labels.values()) < 20


class Broken:
    """Fails at everything."""

    def count(self, name: str, amount: float = 1, labels: Mapping[str, str] = NONE) -> None:
        raise ZeroDivisionError(name)

    def timing(self, name: str, seconds: float, labels: Mapping[str, str] = NONE) -> None:
        raise ZeroDivisionError(name)

    def gauge(self, name: str, value: float, labels: Mapping[str, str] = NONE) -> None:
        raise ZeroDivisionError(name)


def test_metrics_that_fail_hurt_nobody_and_are_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with measured(tmp_path, Broken(), nudge("hello")) as client:
        for _ in range(5):
            assert client.track("ada", "step")
        assert client.decide("page", user="ada")
        assert client.flush()
        assert client.counters["metrics: ZeroDivisionError"] > 5
        assert set(client.counters) == {"metrics: ZeroDivisionError"}
    assert caplog.text.count("metrics failed") == 1


def test_metrics_that_are_none_are_refused_at_once() -> None:
    with pytest.raises(SetupError, match="metrics"):
        Options(metrics=object())  # type: ignore[arg-type]
