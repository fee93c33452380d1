"""A report of signals as lines for people, for the command line and the admin alike."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from nudge_sdk.insights.signal_reports import Cell, EventSignal, MilestoneSignal, SignalReport, Verdict
from nudge_sdk.insights.statistics.intervals import Rate

_UNITS = {"member": "members", "account": "accounts"}
_FROM = {"sign-up": "of signing up", "observation": "after the days they were observed for"}
_NOBODY = Rate(count=0, of=0, share=None, low=0.0, high=1.0)
_TITLES: dict[Verdict, str] = {
    "predicts": "They go with paying, beyond chance:",
    "step": "They do too, but nearly every buyer does them first, so they may be a part of buying; judge yourself:",
    "unclear": "Not proved to go with paying:",
    "leaky": "Known only with the purchase or after it, so worth nothing for telling who will pay:",
    "no information": "They carry no information, as nearly everybody did them, or nearly nobody:",
}


class SignalRow(msgspec.Struct, frozen=True, kw_only=True):
    """An event with its best cell, as a row of a table."""

    name: str
    verdict: Verdict
    at_least: int | None
    days: int | None
    members: int
    n: int | None
    precision: Rate
    recall: Rate
    false_omission: Rate
    fall_out: Rate
    phi: float | None
    p_value: float | None
    q_value: float | None
    reason: str


def signal_rows(report: SignalReport, *, has_cells: bool = False) -> list[SignalRow]:
    """Return each event with its best cell, or with all its cells, as rows of a table."""
    return [_row(each, cell) for each in report.events for cell in (each.cells if has_cells else (each.best,))]


def signal_words(report: SignalReport) -> list[str]:
    """Return a report as lines: who was asked, the best actions, the rest by what they are worth, the milestones."""
    return [*_asked(report), *_events(report), *_milestones(report)]


def cell_words(cell: Cell) -> str:
    """Return what a cell asks, such as ``at least 2 times in the first 3 days``."""
    times = "once" if cell.at_least == 1 else f"{cell.at_least} times"
    return f"at least {times} in the first {'day' if cell.days == 1 else f'{cell.days} days'}"


def _asked(report: SignalReport) -> Iterator[str]:
    many = _UNITS[report.unit]
    share = f" ({_percent(report.converted / report.members)})" if report.members else ""
    yield (
        f"Of {report.members:,} {many}, {report.converted:,}{share} paid within {report.within_days} days "
        f"{_FROM[report.counted_from]}. Left out: {report.unfinished:,} whose time to pay is not over, "
        f"{report.already_paid:,} who had paid before."
    )


def _events(report: SignalReport) -> Iterator[str]:
    for verdict, title in _TITLES.items():
        found = [each for each in report.events if each.verdict == verdict]
        if not found:
            continue
        yield title
        if verdict in ("predicts", "step"):
            yield from (_event(each, report) for each in found)
        elif verdict == "leaky":
            yield from (f"  {each.name}: {each.reason}" for each in found)
        else:
            yield f"  {', '.join(each.name for each in found)}"
    if not report.top:
        yield "No early action is proved to tell who pays."
    if report.more_names:
        yield f"{report.more_names:,} rarer events were not tried."
    if report.events:
        yield "This is association: it says who pays, not that making somebody do it would make them pay."


def _event(signal: EventSignal, report: SignalReport) -> str:
    best = signal.best
    if best is None:
        return f"  {signal.name}"
    found = best.association
    place = f"{report.top.index(signal.name) + 1}. " if signal.name in report.top else ""
    return (
        f"  {place}{signal.name}, {cell_words(best)}: {_of(found.precision)} of those who did paid, "
        f"{_of(found.false_omission)} of the others; {_of(found.recall)} of those who paid had done it; "
        f"phi {found.phi or 0:.2f}, q {_small(best.q_value)}"
    )


def _milestones(report: SignalReport) -> Iterator[str]:
    if report.milestones:
        yield "Milestones of the definition:"
    yield from (f"  {each.advice}: {_milestone(each)}" for each in report.milestones)


def _milestone(each: MilestoneSignal) -> str:
    phi = "" if each.association.phi is None else f"; phi {each.association.phi:.2f}, q {_small(each.q_value)}"
    return f"{each.name or each.key} ({each.points / 1000:g} points), {each.reason}{phi}"


def _row(signal: EventSignal, cell: Cell | None) -> SignalRow:
    found = cell.association if cell else None
    return SignalRow(
        name=signal.name,
        verdict=signal.verdict,
        at_least=cell.at_least if cell else None,
        days=cell.days if cell else None,
        members=signal.members,
        n=found.precision.of + found.false_omission.of if found else None,
        precision=found.precision if found else _NOBODY,
        recall=found.recall if found else _NOBODY,
        false_omission=found.false_omission if found else _NOBODY,
        fall_out=found.fall_out if found else _NOBODY,
        phi=found.phi if found else None,
        p_value=found.p_value if found else None,
        q_value=cell.q_value if cell else None,
        reason=signal.reason,
    )


def _of(rate: Rate) -> str:
    if rate.share is None:
        return "nobody"
    return f"{_percent(rate.share)} ({100 * rate.low:.1f} to {100 * rate.high:.1f})"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _small(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"
