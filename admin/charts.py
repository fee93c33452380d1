"""Charts: what ``static/charts.js`` draws. Each stands above its table, which says the same without JavaScript."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

Colour = Literal["main", "second", "third", "fourth", "good", "bad", "quiet"]
"""A role; which colour it has in light and dark, ``static/admin.css`` says."""

Kind = Literal["columns", "bars", "dots", "lines", "scatter"]
"""``columns`` stand, ``bars`` lie, ``dots`` are one row each with a whisker, ``lines`` and ``scatter`` have numbers
across."""

Unit = Literal["number", "percent", "points", "ratio"]
"""How a value is written: 1,234; 12.3 % of a share of 1; +1.2 percentage points of a difference of shares; 1.23."""

PALETTE: tuple[Colour, ...] = ("main", "second", "third", "fourth")
"""Of series that stand side by side, in their order."""

_SMALL, _MEDIUM, _LARGE = 3, 6, 12
_encode = msgspec.json.Encoder().encode


class Series(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Values that belong together.

    Attributes:
        values: One a label, or one an ``x``; None where there is none.
        low, high: Ends of each value's interval.
        xs: Where each value stands across, in lines and scatters.
        texts: What stands beside each value.
        colours: Of each value, where they differ.
        is_stepped: Whether a line keeps its value until the next one.
        is_dashed: Whether a line is dashed.
    """

    name: str
    values: tuple[float | None, ...]
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()
    xs: tuple[float, ...] = ()
    texts: tuple[str, ...] = ()
    colour: Colour = "main"
    colours: tuple[Colour, ...] = ()
    is_stepped: bool = False
    is_dashed: bool = False


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened at a place across: a line with words.

    Attributes:
        x: A number across; in columns the place of the label, from 0, with fractions between labels.
    """

    x: float
    text: str
    colour: Colour = "quiet"


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """A value to compare with: a line along with words."""

    value: float
    text: str
    colour: Colour = "quiet"


class Zone(msgspec.Struct, frozen=True, kw_only=True):
    """A range of values with a meaning of its own."""

    low: float
    high: float
    text: str
    colour: Colour = "quiet"


class Chart(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A chart.

    Attributes:
        says: What it shows, in one sentence: what somebody hears who does not see it.
        labels: Of columns, bars and dots.
        unit: Of the values; ``x_unit`` of the numbers across.
        title, x_title: Of the axes.
        least, most: Ends of the axis of values, where they are fixed.
        pale_from: The place of the first label that is not whole yet; it and the rest are pale.
        has_diagonal: Whether a line shows where both axes are equal.
    """

    kind: Kind
    says: str
    series: tuple[Series, ...]
    labels: tuple[str, ...] = ()
    unit: Unit = "number"
    x_unit: Unit = "number"
    title: str = ""
    x_title: str = ""
    marks: tuple[Mark, ...] = ()
    levels: tuple[Level, ...] = ()
    zones: tuple[Zone, ...] = ()
    least: float | None = None
    most: float | None = None
    pale_from: int | None = None
    has_diagonal: bool = False

    @property
    def size(self) -> str:
        """How high it is: ``small``, ``medium``, ``large`` or ``huge``, by its rows."""
        if self.kind not in ("bars", "dots"):
            return "large"
        rows = len(self.labels) * (len(self.series) if self.kind == "bars" else max(1, len(self.series) * 0.7))
        limits = {"small": _SMALL, "medium": _MEDIUM, "large": _LARGE}
        return next((name for name, most in limits.items() if rows <= most), "huge")

    @property
    def json(self) -> str:
        """What the script reads; to be escaped like any text."""
        return _encode(self).decode()


def colours_of(number: int) -> tuple[Colour, ...]:
    """Return a colour for each of some series, the first ones again where there are more."""
    return tuple(PALETTE[place % len(PALETTE)] for place in range(number))


def percent(share: float | None) -> str:
    """Return a share of 1 in percent, with a digit after the point where it is small."""
    if share is None:
        return "–"
    digits = 1 if abs(share) < 0.0995 and share not in (0, 1) else 0
    return f"{share * 100:.{digits}f} %"


def percent_range(low: float | None, high: float | None) -> str:
    """Return an interval of shares in percent; one from nothing to everything says nothing."""
    if low is None or high is None or (low <= 0 and high >= 1):
        return "–"
    digits = 1 if high < 0.0995 else 0
    return f"{low * 100:.{digits}f} to {high * 100:.{digits}f} %"


def signed_points(difference: float | None) -> str:
    """Return a difference of shares in percentage points, with its sign."""
    return "–" if difference is None else f"{_signed(difference)} points"


def signed_range(low: float | None, high: float | None) -> str:
    """Return an interval of a difference of shares in percentage points."""
    return "–" if low is None or high is None else f"{_signed(low)} to {_signed(high)}"


def joined(names: Sequence[str]) -> str:
    """Return names as a sentence has them."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _signed(difference: float) -> str:
    written = f"{difference * 100:+.1f}"
    return "0.0" if not float(written) else written.replace("-", "−")


__all__ = [
    "PALETTE",
    "Chart",
    "Colour",
    "Level",
    "Mark",
    "Series",
    "Unit",
    "Zone",
    "colours_of",
    "joined",
    "percent",
    "percent_range",
    "signed_points",
    "signed_range",
]
