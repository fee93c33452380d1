"""A report of accuracy as a table and as lines for people."""

from __future__ import annotations

from collections.abc import Iterator

from nudge_sdk.insights.accuracy_reports import AccuracyReport, AccuracyRow, Band, Missed
from nudge_sdk.insights.benchmarks import Benchmark
from nudge_sdk.insights.funnel_words import in_percent
from nudge_sdk.insights.statistics.intervals import CONFIDENCE, Rate

_MOST_SHOWN = 10
_COUNTS = (
    "true_positives", "false_positives", "false_negatives", "true_negatives", "waiting", "already_won", "late",
)  # fmt: skip
_FLAGS = {"pql": "PQLs", "pqa": "PQAs"}
_BANDS = {
    Band.WELL: "well calibrated: the whole interval lies above the benchmark",
    Band.LOOSE: "too loose: the whole interval lies below the benchmark",
    Band.BETWEEN: "neither too loose nor well calibrated: the whole interval lies between the benchmarks",
    Band.UNDECIDED: "not enough data: the interval does not lie within one band",
}


def accuracy_rows(report: AccuracyReport) -> list[AccuracyRow]:
    """Return a report as a table: a line for each figure."""
    rates = {"precision": report.precision, "recall": report.recall, "others": report.others}
    rates |= {f"goal {each.goal}": each.rate for each in report.goals}
    return [
        *(_row(name, each) for name, each in rates.items()),
        *(AccuracyRow(figure=name, count=getattr(report, name)) for name in _COUNTS),
    ]


def _row(name: str, rate: Rate) -> AccuracyRow:
    return AccuracyRow(figure=name, count=rate.count, of=rate.of, share=rate.share, low=rate.low, high=rate.high)


def accuracy_words(report: AccuracyReport) -> Iterator[str]:
    """Yield a report as lines for people."""
    flag = _FLAGS[report.flag]
    window = "" if report.within_days is None else f" within {report.within_days:g} days"
    what = "are best customers" if report.positive != "won" else f"convert{window}"
    yield f"{flag} that {what} (precision): {_of(report.precision)}"
    yield f"  {_BANDS[report.band]}"
    yield f"Converters that were {flag} before (recall): {_of(report.recall)}"
    yield f"Others that {what}: {_of(report.others)}"
    yield f"  {_against(report)}"
    yield from _speed(report)
    for each in report.goals:
        median = "" if each.median_days is None else f", half of them by day {each.median_days:g}"
        yield f"{flag} that met goal {each.goal}{window}: {_of(each.rate)}{median}"
    yield from _matrix(report)
    yield from _missed("False negatives, converted without qualifying before", report.missed_negatives)
    yield from _missed("False positives, qualified and not converted", report.missed_positives)
    yield from _unscored(report)
    yield "Benchmarks:"
    yield from (f"  {_benchmark(each)}" for each in report.benchmarks)
    if report.unknown_ids:
        yield f"Ids of the list that are nobody's: {', '.join(report.unknown_ids)}"
    yield from report.notes
    yield f"In brackets: Wilson intervals, {CONFIDENCE:.0%}."


def _of(rate: Rate) -> str:
    return f"{rate.count:,} of {rate.of:,}, {in_percent(rate).strip()}"


def _against(report: AccuracyReport) -> str:
    flag, against = _FLAGS[report.flag], report.against_others
    if against.difference is None:
        return "nothing to compare yet"
    points = f"{against.difference * 100:+.1f} points ({against.low * 100:+.1f} to {against.high * 100:+.1f})"
    times = "" if report.times_others is None else f", {report.times_others:.1f} times"
    if report.is_alarming:
        return f"ALARM: {flag} do not convert better than others: {points}{times}. The definition is wrong (R68)."
    said = f"{flag} against others: {points}{times}"
    return said if report.is_alarming is False else f"{said}; not enough data to say that they convert better"


def _speed(report: AccuracyReport) -> Iterator[str]:
    curve = report.time_to_conversion
    if not curve.watched:
        return
    by = {round(point.time): point for point in curve.points}
    marks = [
        max((day for day in by if day <= limit), default=None) for limit in (0, 7, 30, 90) if limit <= curve.longest
    ]
    shares = [f"{by[day].share:.1%} by day {day}" for day in dict.fromkeys(marks) if day is not None]
    half = "never reached by half" if curve.median is None else f"half by day {curve.median:g}"
    yield f"Time to conversion (Kaplan-Meier, {curve.watched:,} watched): {', '.join([*shares, half])}"


def _matrix(report: AccuracyReport) -> Iterator[str]:
    yield f"Qualified before and converted {report.true_positives:,}, of them {report.late:,} after the window"
    yield f"Qualified and not converted {report.false_positives:,}, not yet observed {report.waiting:,}"
    yield f"Converted, not qualified before {report.false_negatives:,}, of them {report.already_won:,} qualified later"
    yield f"Neither {report.true_negatives:,}"


def _missed(title: str, missed: tuple[Missed, ...]) -> Iterator[str]:
    if missed:
        yield f"{title} (the latest):"
    for each in missed[:_MOST_SHOWN]:
        who = f"{each.user_id} in {each.account_id}" if each.user_id else each.account_id
        did = ", ".join(f"{event.name} {event.count}" for event in each.unscored)
        yield f"  {who}: {each.events:,} events{f'; not scored: {did}' if did else ''}"


def _unscored(report: AccuracyReport) -> Iterator[str]:
    if report.unscored:
        yield "Events that no milestone counts, and who did them (an association, no cause):"
    for each in report.unscored:
        missed, others = in_percent(each.missed).strip(), in_percent(each.others).strip()
        yield f"  {each.name}: {missed} of the false negatives, {others} of those who have not converted"


def _benchmark(benchmark: Benchmark) -> str:
    def end(value: float) -> str:
        return f"{value:.0%}" if benchmark.kind == "share" else f"{value:g} times"

    if benchmark.low is not None and benchmark.high is not None:
        ends = f"{end(benchmark.low)} to {end(benchmark.high)}"
    elif benchmark.low is not None:
        ends = f"more than {end(benchmark.low)}"
    else:
        ends = f"less than {end(benchmark.high or 0)}"
    return f"{benchmark.name}: {ends}{f' ({benchmark.source})' if benchmark.source else ''}"
