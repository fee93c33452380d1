"""The trend as a page shows it."""

from __future__ import annotations

import msgspec

from nudge_sdk.insights.trend import Change, Marker, Trend, Volume, Week, marker_words, signed
from nudge_sdk.rules.times import DAY

from ..charts import Chart, Mark, Series, joined
from ..pages import day

_WEEK = 7 * DAY
COMPARED = 4
"""Weeks at each end that the sentence compares."""

NAMES: dict[Volume, str] = {"pqls": "PQLs", "pqas": "PQAs"}


def answer_of(found: Trend) -> str:
    """Return in a sentence how many new PQLs there are a week, and whether it is more than it was."""
    over = [each for each in found.weeks if each.is_over]
    if not any(each.pqls or each.pqas for each in over):
        return "Nobody has qualified in these weeks."
    last = sum(each.pqls for each in over[-COMPARED:]) / COMPARED
    accounts = sum(each.pqas for each in over[-COMPARED:]) / COMPARED
    start = f"{a_week(last)} new PQLs and {a_week(accounts)} new PQAs a week over the last {COMPARED} weeks"
    if len(over) < 2 * COMPARED:
        return f"{start}."
    before = sum(each.pqls for each in over[-2 * COMPARED : -COMPARED]) / COMPARED
    return f"{start}; in the {COMPARED} weeks before, {a_week(before)} PQLs a week."


def chart_of(found: Trend) -> Chart:
    """Return new PQLs and PQAs by week, with what was published and released."""
    return Chart(
        kind="columns",
        says=f"Columns of new PQLs and new PQAs by week. {answer_of(found)}",
        labels=tuple(day(each.begins_at).rsplit(" ", 1)[0] for each in found.weeks),
        title="New a week",
        pale_from=sum(each.is_over for each in found.weeks),
        series=(
            Series(name="New PQLs (members)", values=tuple(float(each.pqls) for each in found.weeks)),
            Series(name="New PQAs (accounts)", values=tuple(float(each.pqas) for each in found.weeks), colour="second"),
        ),
        marks=_marks(found),
    )


def in_week(found: Trend, week: Week) -> str:
    """Return what was published and released in a week."""
    return joined([marker_words(each).capitalize() for each in found.markers if 0 <= each.at - week.begins_at < _WEEK])


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A marker, and from and to what PQLs and PQAs went around it, each with the change in words."""

    marker: Marker
    label: str
    effects: tuple[tuple[str, str], ...]
    others: tuple[str, ...]


def rows_of(found: Trend) -> list[Row]:
    """Return what changed at each marker, the latest first."""
    changes = {marker: [each for each in found.changes if each.marker == marker] for marker in found.markers}
    return [
        Row(
            marker=marker,
            label=marker_words(marker).capitalize(),
            effects=tuple((_from_to(each), _effect(each)) for each in of),
            others=of[0].others,
        )
        for marker, of in reversed(changes.items())
    ]


def a_week(number: float) -> str:
    """Return how many there are a week: whole from ten on."""
    return f"{number:,.0f}" if number >= 10 or number == int(number) else f"{number:,.1f}"


def _from_to(change: Change) -> str:
    before = a_week(change.before / change.weeks_before) if change.weeks_before else "–"
    return f"{before} → {a_week(change.after / change.weeks_after) if change.weeks_after else '–'} a week"


def _effect(change: Change) -> str:
    if change.ratio is None:
        return "too few to compare"
    ratio = change.ratio
    words = f"{signed(ratio.ratio)} ({signed(ratio.low)} to {signed(ratio.high)})"
    return words if not ratio.low <= 1 <= ratio.high else f"no change shown: {words}"


def _marks(found: Trend) -> tuple[Mark, ...]:
    first = found.weeks[0].begins_at
    return tuple(
        Mark(
            x=(each.at - first) / _WEEK - 0.5,
            text=f"{'Def.' if each.kind == 'publication' else 'v'} {each.name}".replace("v ", "v"),
            colour="fourth" if each.kind == "publication" else "third",
        )
        for each in found.markers
    )
