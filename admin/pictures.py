"""Pictures: numbers as positions of SVG shapes. The words beside them say the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from nudge_sdk.rules.definition import Segment
from nudge_sdk.rules.explaining import StandingReport
from nudge_sdk.rules.times import DAY, day_of, to_micros

WIDTH = 1000
"""Width of every picture, in its own units; the page stretches it."""

HEIGHT = 120
_ROOM = 1.15


class Threshold(msgspec.Struct, frozen=True):
    """A tier's threshold in a score's picture."""

    tier: str
    x: float
    score: float


class ScorePicture(msgspec.Struct, frozen=True):
    """A score against its thresholds."""

    width: float
    thresholds: tuple[Threshold, ...]


class DayCell(msgspec.Struct, frozen=True):
    """A day of an episode: prompt, help, rest, or over (what an early end cut off)."""

    x: float
    width: float
    phase: str
    is_today: bool
    offers: int


class EpisodePicture(msgspec.Struct, frozen=True):
    """An episode and the rest after it, day by day; in words: ``first``, ``help``, ``last`` and ``free`` are instants.

    Attributes:
        length: Days of the episode.
        help: When help takes the place of prompts.
        last: Its last day.
        free: The first day after the rest.
    """

    cells: tuple[DayCell, ...]
    first: int
    length: int
    help: int
    last: int
    free: int


class Bar(msgspec.Struct, frozen=True):
    """A day in a chart."""

    at: int
    x: float
    y: float
    width: float
    height: float
    value: int


class Share(msgspec.Struct, frozen=True):
    """A part of a whole, side by side with the others."""

    name: str
    x: float
    width: float
    value: int


def score_picture(report: StandingReport) -> ScorePicture:
    """Return a score against the thresholds of its tiers."""
    highest = max([report.score, *(each.threshold for each in report.tiers)], default=0) * _ROOM or 1
    return ScorePicture(
        max(0, report.score) / highest * WIDTH,
        tuple(Threshold(each.tier, each.threshold / highest * WIDTH, each.threshold) for each in report.tiers),
    )


def episode_picture(report: StandingReport, segment: Segment, offers: Iterable[int]) -> EpisodePicture | None:
    """Return the latest episode day by day; None for somebody who never qualified.

    Args:
        report: The standing.
        segment: By whose days the episode goes.
        offers: Instants at which something was offered.
    """
    if report.episode is None:
        return None
    first, today = day_of(to_micros(report.episode.started_at)), day_of(to_micros(report.at))
    ended = report.episode.ended_at
    last = first + segment.episode_days - 1 if ended is None else day_of(to_micros(ended))
    length = max(last, first + segment.episode_days - 1) - first + 1
    total = max(length, last - first + 1 + segment.rest_days)
    offered = [day_of(at) - first for at in offers]
    width = WIDTH / total
    cells = tuple(
        DayCell(
            day * width,
            width * 0.86,
            _phase(day, last - first, segment),
            first + day == today,
            offered.count(day),
        )
        for day in range(total)
    )
    help_from = (first + segment.help_after_days) * DAY
    return EpisodePicture(cells, first * DAY, length, help_from, last * DAY, (last + 1 + segment.rest_days) * DAY)


def bars(values: Mapping[int, int], days: Sequence[int]) -> tuple[Bar, ...]:
    """Return a chart of numbers by UTC day."""
    highest, width = max([1, *values.values()]), WIDTH / max(1, len(days))
    return tuple(
        Bar(
            day * DAY,
            index * width,
            HEIGHT - HEIGHT * values.get(day, 0) / highest,
            width * 0.8,
            HEIGHT * values.get(day, 0) / highest,
            values.get(day, 0),
        )
        for index, day in enumerate(days)
    )


def shares(parts: Mapping[str, int]) -> tuple[Share, ...]:
    """Return parts of a whole, in their order."""
    whole, x, found = sum(parts.values()) or 1, 0.0, []
    for name, value in parts.items():
        width = value / whole * WIDTH
        found.append(Share(name, x, width, value))
        x += width
    return tuple(found)


def _phase(day: int, last: int, segment: Segment) -> str:
    if day > last:
        return "rest" if day <= last + segment.rest_days else "over"
    return "help" if day >= segment.help_after_days else "prompt"
