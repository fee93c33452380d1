"""Signals as a page shows them: the best ones side by side, and the grid of one of them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from nudge_sdk.insights.signal_reports import Cell, EventSignal, SignalReport, Verdict

from ..charts import Chart, Series, joined, percent

MOST_DRAWN = 8
SHADES = 5
FEWEST = 10
"""Of fewer members than these a cell's share says little: it is not shaded."""

BADGES: dict[Verdict, tuple[str, str]] = {
    "predicts": ("good", "predicts"),
    "step": ("warn", "a step of buying?"),
    "unclear": ("none", "unclear"),
    "leaky": ("block", "leaky"),
    "no information": ("none", "no information"),
}
ADVICE = {"keep": ("good", "keep"), "retire": ("warn", "retire?"), "wait": ("none", "too few yet")}


class Shaded(msgspec.Struct, frozen=True, kw_only=True):
    """A cell of the grid.

    Attributes:
        shade: 1 (as everybody) to 5 (the highest of this event); 0 of too few to say.
        says: Everything about it, in words.
    """

    share: str
    shade: int
    is_best: bool
    says: str


def answer_of(report: SignalReport) -> str:
    """Return in a sentence which early actions go with paying."""
    who = {"member": "people", "account": "accounts"}[report.unit]
    if not report.members:
        return f"No {who} have signed up long enough ago to say who pays."
    if not report.top:
        return (
            f"No early action tells who pays: {report.converted:,} of {report.members:,} {who} paid, too few to see it."
        )
    best = [each for each in report.events if each.name in report.top and each.best is not None]
    first = best[0]
    assert first.best is not None
    did, others = first.best.association.precision.share, first.best.association.false_omission.share
    start = f"Of {who} that did {first.name} {_times(first.best)}, {percent(did)} paid; of the others {percent(others)}"
    rest = joined([each.name for each in best[1:]])
    return f"{start}.{f' Next: {rest}.' if rest else ''}"


def asked(signal: EventSignal) -> str:
    """Return an event with its best cell: how often, how soon."""
    return signal.name if signal.best is None else f"{signal.name}, {signal.best.at_least}× in {_days(signal.best)}"


def chart_of(report: SignalReport) -> Chart | None:
    """Return those who did the best actions beside those who did not."""
    shown = [
        each for each in report.events if each.best is not None and each.verdict in ("predicts", "step", "unclear")
    ]
    shown = shown[:MOST_DRAWN]
    if not shown:
        return None
    found = [each.best.association for each in shown if each.best is not None]
    return Chart(
        kind="dots",
        says=f"For each action two dots with intervals: who did it, and who did not. {answer_of(report)}",
        labels=tuple(asked(each) for each in shown),
        unit="percent",
        title=f"Paid within {report.within_days} days",
        least=0,
        series=(
            Series(
                name="Did it",
                values=tuple(each.precision.share for each in found),
                low=tuple(each.precision.low for each in found),
                high=tuple(each.precision.high for each in found),
            ),
            Series(
                name="Did not",
                values=tuple(each.false_omission.share for each in found),
                low=tuple(each.false_omission.low for each in found),
                high=tuple(each.false_omission.high for each in found),
                colour="quiet",
            ),
        ),
    )


def grid_of(signal: EventSignal, baseline: float) -> list[tuple[int, list[Shaded]]]:
    """Return the grid of an event: for each number of times that somebody did it a row, in it a cell for each of days.

    Args:
        signal: The event.
        baseline: The share of all that paid.
    """
    shares = [each.association.precision.share for each in signal.cells if each.association.precision.of >= FEWEST]
    highest = max([share for share in shares if share is not None], default=baseline)
    times = sorted({each.at_least for each in signal.cells if each.association.precision.of})
    cells = {(each.at_least, each.days): each for each in signal.cells}
    days = sorted({each.days for each in signal.cells})
    return [
        (
            number,
            [_shaded(cells[number, day], signal.best, baseline, highest) for day in days if (number, day) in cells],
        )
        for number in times
    ]


def chosen(events: Sequence[EventSignal], name: str) -> EventSignal | None:
    """Return the event whose grid is shown: the one asked for, else the best."""
    return next((each for each in events if each.name == name), events[0] if events else None)


def chance_words(q_value: float) -> str:
    """Return a q-value as people can read it."""
    return "q < 0.001" if q_value < 0.001 else f"q = {q_value:.2g}"


def _times(cell: Cell) -> str:
    times = "once" if cell.at_least == 1 else f"{cell.at_least} times"
    return f"at least {times} in their first {_days(cell)}"


def _days(cell: Cell) -> str:
    return f"{cell.days} {'day' if cell.days == 1 else 'days'}"


def _shaded(cell: Cell, best: Cell | None, baseline: float, highest: float) -> Shaded:
    rate = cell.association.precision
    says = f"{_times(cell)}: {rate.count:,} of {rate.of:,} paid"
    if rate.share is None or not rate.of:
        return Shaded(share="–", shade=0, is_best=False, says=says)
    room = highest - baseline
    shade = (
        0 if rate.of < FEWEST else 1 + round((SHADES - 1) * max(0.0, rate.share - baseline) / room) if room > 0 else 1
    )
    is_best = best is not None and (cell.at_least, cell.days) == (best.at_least, best.days)
    return Shaded(share=f"{rate.share * 100:.0f}", shade=min(shade, SHADES), is_best=is_best, says=says)
