"""Accuracy as a page shows it."""

from __future__ import annotations

from math import ceil

from nudge_sdk.insights.accuracy_reports import AccuracyReport, Band, UnscoredEvent
from nudge_sdk.insights.benchmarks import LOOSE, WELL, Benchmark

from ..charts import Chart, Colour, Mark, Series, Zone, percent

FLAGS = {"pql": "PQLs", "pqa": "PQAs"}
BADGES = {Band.WELL: "good", Band.BETWEEN: "note", Band.LOOSE: "warn", Band.UNDECIDED: "none"}
_COLOURS: tuple[Colour, ...] = ("main", "quiet")
MOST_TELLING = 10
_MONTH = 30
_MONTHS = 90
"""Days that the curve shows at least, where somebody was watched so long."""


def answer_of(report: AccuracyReport) -> str:
    """Return in a sentence how well qualifying tells who pays."""
    flag, share = FLAGS[report.flag], report.precision.share
    if share is None:
        return f"No {flag} had time enough to pay yet."
    start = f"{percent(share)} of {flag} pay{_within(report)}; of the others {percent(report.others.share)}"
    if report.band == Band.UNDECIDED:
        return f"{start}. That is too few to judge by the benchmark."
    return f"{start}. By the benchmark that is {report.band.value}."


def shares_chart(report: AccuracyReport) -> Chart | None:
    """Return the share of PQLs that pay beside that of the others, on the bands of the benchmark."""
    rates = [each for each in (report.precision, report.others) if each.of]
    if not report.precision.of:
        return None
    flag = FLAGS[report.flag]
    most = min(1.0, ceil(max(0.3, *(each.high for each in rates)) * 10) / 10)
    return Chart(
        kind="dots",
        says=f"Two dots with intervals. {answer_of(report)}",
        labels=(f"{flag}: paid", "Others: paid")[: len(rates)],
        unit="percent",
        least=0,
        most=most,
        zones=_zones(report, most),
        series=(
            Series(
                name="Share that paid",
                values=tuple(each.share for each in rates),
                low=tuple(each.low for each in rates),
                high=tuple(each.high for each in rates),
                texts=tuple(f"{percent(each.share)} of {each.of:,}" for each in rates),
                colours=_COLOURS[: len(rates)],
            ),
        ),
    )


def curve_chart(report: AccuracyReport) -> Chart | None:
    """Return how soon they pay: the share by days since they qualified."""
    curve = report.time_to_conversion
    if not curve.points:
        return None
    flag = FLAGS[report.flag]
    points = curve.points
    end = max(points[-1].time, min(curve.longest, _MONTHS))
    median = () if curve.median is None else (Mark(x=curve.median, text=f"half by day {curve.median:.0f}"),)
    last = points[-1]
    return Chart(
        kind="lines",
        says=f"A rising line: by day {end:.0f} after they qualified, {percent(last.share)} of {flag} had paid.",
        unit="percent",
        x_title="Days since they qualified",
        least=0,
        marks=median,
        series=(
            Series(
                name=f"{flag} that have paid",
                xs=(0.0, *(each.time for each in points), end),
                values=(0.0, *(each.share for each in points), last.share),
                low=(0.0, *(each.low for each in points), last.low),
                high=(0.0, *(each.high for each in points), last.high),
                is_stepped=True,
            ),
        ),
    )


def telling(report: AccuracyReport) -> list[UnscoredEvent]:
    """Return the events without points that tell most: those that the missed did oftenest beside those who did not
    pay."""
    return sorted(report.unscored, key=lambda each: (each.others.share or 0) - (each.missed.share or 0))[:MOST_TELLING]


def soon_words(report: AccuracyReport) -> str:
    """Return by when how many had paid, in a sentence; empty where nobody has."""
    points = [each for each in report.time_to_conversion.points if each.time <= _MONTH]
    if not points:
        return ""
    return f"By day {_MONTH}, {percent(points[-1].share)} had paid. "


def benchmark_words(benchmark: Benchmark) -> str:
    """Return what a benchmark says: from and to."""
    ends = [end_words(each, benchmark.kind) for each in (benchmark.low, benchmark.high) if each is not None]
    unit = "%" if benchmark.kind == "share" else "times"
    if len(ends) == 2:
        return f"{ends[0]} to {ends[1]} {unit}"
    return f"{'at least' if benchmark.low is not None else 'at most'} {ends[0]} {unit}" if ends else "–"


def end_words(end: float | None, kind: str) -> str:
    """Return an end of a benchmark as it stands in a form: a share in percent."""
    return "" if end is None else f"{end * 100 if kind == 'share' else end:g}"


def read_end(text: str, kind: str) -> float | None:
    """Return what somebody typed as an end of a benchmark; None for nothing.

    Raises:
        ValueError: It is no number.
    """
    if not text:
        return None
    try:
        value = float(text.replace(",", ".").removesuffix("%"))
    except ValueError:
        raise ValueError(f"{text!r} is no number; write one such as 20.") from None
    return value / 100 if kind == "share" else value


def _zones(report: AccuracyReport, most: float) -> tuple[Zone, ...]:
    ends = {each.key: each for each in report.benchmarks}
    loose = ends[LOOSE].high if LOOSE in ends else None
    well = ends[WELL].low if WELL in ends else None
    zones = []
    if loose:
        zones.append(Zone(low=0, high=loose, text="too loose", colour="bad"))
    if well is not None and well < most:
        zones.append(Zone(low=well, high=most, text="well calibrated", colour="good"))
    return tuple(zones)


def _within(report: AccuracyReport) -> str:
    return "" if report.within_days is None else f" within {report.within_days:g} days"
