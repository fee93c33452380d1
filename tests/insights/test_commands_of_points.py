"""The commands ``nudge signals`` and ``nudge calibrate``."""

from __future__ import annotations

import csv
import io
import json
import sys
from datetime import UTC, timedelta
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from scipy.special import expit

from nudge_sdk.cli import main
from nudge_sdk.rules.authoring import parse_definition
from nudge_sdk.testing import START, Clock, memory_client

AT = "2026-08-01T00:00:00Z"


def nudge(*words: object) -> Result:
    return CliRunner().invoke(main, [*map(str, words)])


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Half of 240 accounts invite somebody on their second day; those pay three times as often a month later."""
    url = f"sqlite:///{tmp_path_factory.mktemp('store')}/nudge.db"
    clock = Clock()
    client = memory_client(store=url, clock=clock)
    client.store.migrate()
    ever = {"points": 4, "window": {"ever": True}}
    milestones = [{"key": key, "signal": {"event": key}, **ever} for key in ("invited", "exported")]
    segment = {"key": "all", "member": {"warm": {"score": 4}, "hot": {"score": 6}}}
    client.publish(parse_definition({"name": "product", "milestones": milestones, "segments": [segment]}))
    random, happened = np.random.default_rng(3), []
    for number in range(240):
        start = START + timedelta(hours=7 * number)
        has_invited = number % 2 == 0
        happened.append((start, number, "signed_up"))
        if has_invited:
            happened.append((start + timedelta(days=1), number, "invited"))
        if random.random() < 0.5:
            happened.append((start + timedelta(days=2), number, "exported"))
        if random.random() < (0.6 if has_invited else 0.2):
            happened.append((start + timedelta(days=20), number, "paid"))
    for moment, number, name in sorted(happened):
        clock.set(moment.astimezone(UTC))
        if name == "paid":
            client.convert(f"a{number}")
        else:
            client.track(f"u{number}", name, account=f"a{number}")
    client.close()
    return url


def test_signals_are_printed_with_the_milestones(store: str) -> None:
    done = nudge("signals", "--store", store, "--at", AT)
    assert done.exit_code == 0, done.output
    assert "1. invited, at least once in the first 2 days" in done.stdout
    assert "They carry no information" in done.stdout
    assert "keep: invited (4 points)" in done.stdout
    assert "retire: exported (4 points)" in done.stdout or "wait: exported (4 points)" in done.stdout
    assert "association" in done.stdout


def test_signals_come_as_json_and_as_a_table_of_cells(store: str) -> None:
    report = json.loads(nudge("signals", "--store", store, "--at", AT, "--json").stdout)
    assert report["top"] == ["invited"]
    assert (report["members"], len(report["milestones"])) == (240, 2)
    rows = list(csv.DictReader(io.StringIO(nudge("signals", "--store", store, "--at", AT, "--csv").stdout)))
    assert [row["name"] for row in rows] == [each["name"] for each in report["events"]]
    assert float(rows[0]["precision_share"]) == report["events"][0]["best"]["association"]["precision"]["share"]
    grid = nudge("signals", "--store", store, "--at", AT, "--fast", "--csv", "--grid").stdout
    assert len(list(csv.DictReader(io.StringIO(grid)))) == 150 * len(rows)


def test_without_its_milestones_it_is_faster_and_says_the_same(store: str) -> None:
    whole, fast = (
        json.loads(nudge("signals", "--store", store, "--at", AT, "--json", *more).stdout) for more in ([], ["--fast"])
    )
    assert fast["milestones"] == []
    assert fast["events"] == whole["events"]


def test_points_are_proposed_from_a_store_with_who_would_move(store: str) -> None:
    done = nudge("calibrate", "--store", store, "--at", AT)
    assert done.exit_code == 0, done.output
    assert "240 rows" in done.stdout
    assert "today 4" in done.stdout
    assert "would become hot" in done.stdout
    assert "Calibrate the points (quarterly): due since 2026-06-02." in done.stdout
    report = json.loads(nudge("calibrate", "--store", store, "--at", AT, "--json").stdout)
    points = {each["name"]: each["points"] for each in report["calibration"]["features"]}
    assert points["invited"] > 5000 > points["exported"]
    assert sum(points.values()) == 8000
    assert {each["cut"] for each in report["drift"]["rows"]} == {"quarter"}
    assert report["movement"]["judged"] > 0
    table = nudge("calibrate", "--store", store, "--at", AT, "--as-csv").stdout
    assert [row["name"] for row in csv.DictReader(io.StringIO(table))] == ["invited", "exported"]


@pytest.fixture
def trial(tmp_path: Path) -> Path:
    random = np.random.default_rng(1)
    lines = ["invited,exports,paid,day14,invoiced,invoiced_at"]
    for number in range(600):
        invited, exports = random.random() < 0.4, random.integers(0, 4)
        paid = random.random() < expit(-2 + 1.5 * invited + 0.4 * exports)
        lines.append(f"{int(invited)},{exports},{int(paid)},{number},{int(paid)},{number + 5 if paid else ''}")
    lines[3:3] = ["1,2", "1,many,1,2,0,", "1,2,perhaps,2,0,"]
    file = tmp_path / "trial.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


def test_a_table_is_calibrated_and_its_bad_lines_are_named(trial: Path) -> None:
    done = nudge("calibrate", "--csv", trial, "--label", "paid", "--features", "invited, exports", "--time", "day14")
    assert done.exit_code == 0, done.output
    assert "600 rows" in done.stdout
    assert "Made of the 450 older sign-ups, tested on the 150 newer ones" in done.stdout
    assert "line 4 has 2 cells where the first line has 6; it is set aside" in done.stderr
    assert "line 5 has 'many' for exports" in done.stderr
    assert "line 6 has 'perhaps' for paid" in done.stderr


def test_a_leak_in_a_table_is_flagged_and_left_out(trial: Path) -> None:
    words = [
        "calibrate",
        "--csv",
        trial,
        "--label",
        "paid",
        "--features",
        "invited,exports,invoiced",
        "--time",
        "day14",
    ]
    told = nudge(*words, "--known-at", "invoiced=invoiced_at", "--penalty", "none", "--json")
    assert told.exit_code == 0, told.output
    features = {each["name"]: each for each in json.loads(told.stdout)["calibration"]["features"]}
    assert features["invoiced"]["verdict"] == "leaky"
    assert features["invoiced"]["coefficient"] is None
    assert features["invited"]["coefficient"]["value"] == pytest.approx(1.5, abs=0.5)
    untold = nudge(*words, "--json")
    features = {each["name"]: each for each in json.loads(untold.stdout)["calibration"]["features"]}
    assert features["invoiced"]["verdict"] == "suspect"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "--archive FOLDER, or --csv FILE"),
        (["--csv", "trial.csv"], "--label COL --features"),
        (["--csv", "x", "--label", "a", "--features", "b", "--known-at", "b=c"], "--time COL"),
        (["--csv", "x", "--label", "a", "--features", "b", "--strength", "2"], "--penalty ridge"),
        (["--csv", "x", "--label", "a", "--features", "b", "--time", "t", "--known-at", "b"], "FEATURE=COLUMN"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    words: list[str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NUDGE_STORE", raising=False)
    done = nudge("calibrate", *words)
    assert done.exit_code == 2
    assert expected in done.stderr


def test_a_missing_column_is_named(trial: Path) -> None:
    done = nudge("calibrate", "--csv", trial, "--label", "bought", "--features", "invited")
    assert done.exit_code == 2
    assert "no column for --label 'bought'" in done.stderr


def test_a_missing_package_is_named(trial: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "firthmodels", None)
    done = nudge("calibrate", "--csv", trial, "--label", "paid", "--features", "invited")
    assert done.exit_code == 2
    assert "pip install 'nudge-sdk[insights]'" in done.stderr
