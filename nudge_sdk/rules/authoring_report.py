"""Problems being gathered while a definition is checked, and the checks that many fields share."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

from nudge_sdk.errors import Problem
from nudge_sdk.rules.authoring_shapes import label, quote, suggest

KEY = re.compile(r"[a-z][a-z0-9_]{0,63}")
MOST_POINTS = 1_000_000


class Report:
    """The problems found so far; what stands where something could not be read is kept quiet."""

    def __init__(self, problems: Iterable[Problem], unread: Collection[str]) -> None:
        self.problems = list(problems)
        self._unread = unread

    def add(self, where: str, what: str, fix: str, *, about: Sequence[str] = ()) -> None:
        """Note a problem.

        Args:
            where: Its place.
            what: What is wrong.
            fix: What would be right.
            about: The places it speaks of, if they are others than its own.
        """
        if not any(_touch(place, unread) for place in about or [where] for unread in self._unread):
            self.problems.append(Problem(where or "document", what, fix))

    def number(
        self, where: str, value: float | None, *, least: float | None = None, above: float | None = None,
        most: float | None = None,
    ) -> None:  # fmt: skip
        """Check the range of a number."""
        if value is None or not (
            (least is not None and value < least)
            or (above is not None and value <= above)
            or (most is not None and value > most)
        ):
            return
        lower = f"more than {above:g}" if above is not None else "" if least is None else f"at least {least:g}"
        upper = "" if most is None else f"at most {most:g}"
        self.add(where, f"{value:g} is out of range", f"Write {' and '.join(filter(None, (lower, upper)))}.")

    def points(self, where: str, value: float | None) -> None:
        """Check that points are exact in thousandths."""
        self.number(where, value, least=-MOST_POINTS, most=MOST_POINTS)
        if value is not None and not has_places(value, 3):
            self.add(where, f"{value} has more than three decimals", f"Write {round(value, 3):g}.")

    def one_of(self, where: str, given: dict[str, bool]) -> None:
        """Check that exactly one of some fields is there."""
        there = [name for name, is_there in given.items() if is_there]
        if len(there) == 1:
            return
        names = ", ".join(given)
        what = f"has {' and '.join(there)}" if there else f"has none of {names}"
        self.add(where, what, f"Write exactly one of {names}.", about=[f"{where}.{name}" for name in there or given])

    def known(
        self, where: str, name: str, names: Collection[str], kind: str, *, defined_in: Sequence[str] = ()
    ) -> None:
        """Check that something that is named exists; ``defined_in`` are the places where it could have been."""
        if name in names:
            return
        near = suggest(name, list(names))
        fix = f"Did you mean {near}?" if near else _existing(names, kind)
        self.add(where, f"there is no {kind} {quote(name)}", fix, about=[where, *defined_in])

    def unique(self, where: str, names: Sequence[str], kind: str) -> None:
        """Check that nothing is named twice."""
        for name in repeated(names):
            self.add(where, f"names the {kind} {quote(name)} more than once", "Name it once.")

    def key(self, where: str, value: str) -> None:
        """Check how a key is written."""
        if not KEY.fullmatch(value):
            fix = f"Write small letters, digits and _, at most 64, a letter first, such as {_as_key(value)}."
            self.add(where, f"{quote(value)} is not a key", fix)

    def keyed(self, where: str, items: Sequence[Any]) -> Iterator[tuple[str, Any]]:
        """Check the keys of a list of entities and go through it, with the place of each."""
        yield from self._keyed(where, items)
        for key in repeated([item.key for item in items if item.key]):
            count = sum(item.key == key for item in items)
            self.add(f"{where}[{key}].key", f"is used {count} times", "Give each its own key.")

    def _keyed(self, where: str, items: Sequence[Any]) -> Iterator[tuple[str, Any]]:
        for index, item in enumerate(items):
            place = f"{where}[{label(item, index)}]"
            self.key(f"{place}.key", item.key)
            yield place, item

    def each(self, where: str, items: Iterable[Any], check: Callable[[str, Any], None]) -> None:
        """Check every item of a list that is numbered."""
        for index, item in enumerate(items):
            check(f"{where}[{index}]", item)


def has_places(value: float, places: int) -> bool:
    """Return whether a number is exact with so many decimals, as it was written."""
    exponent = Decimal(str(value)).normalize().as_tuple().exponent
    return isinstance(exponent, int) and -exponent <= places


def repeated(names: Iterable[str]) -> list[str]:
    """Return the names that occur more than once."""
    return [name for name, count in Counter(names).items() if count > 1]


def _touch(one: str, other: str) -> bool:
    return _is_within(one, other) or _is_within(other, one)


def _is_within(inner: str, outer: str) -> bool:
    return not outer or inner == outer or (inner.startswith(outer) and inner[len(outer)] in ".[")


def _existing(names: Collection[str], kind: str) -> str:
    if not names:
        return f"Define the {kind} first."
    shown = sorted(names)[:8]
    return f"There are: {', '.join(shown)}{' and more' if len(names) > len(shown) else ''}."


def _as_key(value: str) -> str:
    written = re.sub(r"[^a-z0-9]+", "_", value.lower()).strip("_")[:64]
    return written if KEY.fullmatch(written) else "first_campaign"
