"""Charts: what the script is told, and how numbers are written beside them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nudge_sdk.admin.charts import Chart, Series, joined, percent, percent_range, signed_points, signed_range

STATIC = Path(__file__).resolve().parents[2] / "static"


def chart(kind: str = "bars", labels: int = 3, series: int = 1) -> Chart:
    names = tuple(f"label {place}" for place in range(labels))
    values = Series(name="Values", values=tuple(map(float, range(labels))))
    return Chart(kind=kind, says="Bars.", labels=names, series=(values,) * series)


def test_the_script_is_told_only_what_differs_from_what_is_usual() -> None:
    told = json.loads(chart().json)
    assert told == {
        "kind": "bars",
        "says": "Bars.",
        "labels": ["label 0", "label 1", "label 2"],
        "series": [{"name": "Values", "values": [0.0, 1.0, 2.0]}],
    }


@pytest.mark.parametrize(
    ("kind", "labels", "series", "size"),
    [("bars", 3, 1, "small"), ("bars", 5, 1, "medium"), ("bars", 5, 2, "large"), ("dots", 20, 1, "huge")],
)
def test_a_lying_chart_is_as_high_as_its_rows(kind: str, labels: int, series: int, size: str) -> None:
    assert chart(kind, labels, series).size == size
    assert chart("columns", labels, series).size == "large"


@pytest.mark.parametrize(
    ("share", "words"),
    [(None, "–"), (0.0, "0 %"), (1.0, "100 %"), (0.5, "50 %"), (0.0212, "2.1 %"), (0.0996, "10 %")],
)
def test_shares_are_written_in_percent(share: float | None, words: str) -> None:
    assert percent(share) == words


def test_intervals_and_differences_are_written_with_their_signs() -> None:
    assert percent_range(0.012, 0.031) == "1.2 to 3.1 %"
    assert percent_range(0.2, 0.415) == "20 to 42 %"
    assert signed_points(0.123) == "+12.3 points"
    assert signed_range(-0.05, 0.0001) == "−5.0 to 0.0"
    assert percent_range(0.0, 1.0) == "–"
    assert [percent_range(None, 1), signed_points(None), signed_range(None, None)] == ["–"] * 3


def test_names_are_joined_as_a_sentence_has_them() -> None:
    assert [joined(names) for names in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]


def test_the_library_is_kept_whole_with_its_licence_and_asks_nobody_for_anything() -> None:
    folder = STATIC / "vendor" / "chart.js-4.6.1"
    script = (folder / "chart.umd.min.js").read_text(encoding="utf-8")
    assert script.startswith("/*!\n * Chart.js v4.6.1")
    assert "MIT License" in (folder / "LICENSE").read_text(encoding="utf-8")
    for forbidden in ("new Function(", "eval(", "importScripts", "XMLHttpRequest", "fetch(", "cssText"):
        assert forbidden not in script


def test_every_colour_that_a_chart_can_name_is_there_in_light_and_dark() -> None:
    style = (STATIC / "charts.css").read_text(encoding="utf-8")
    light, _, dark = style.partition("prefers-color-scheme: dark")
    for name in ("main", "second", "third", "fourth", "good", "bad", "quiet"):
        for part in (light, dark):
            assert f"--chart-{name}: #" in part
