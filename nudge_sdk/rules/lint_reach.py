"""The smallest sets of milestones that reach a tier.

A set is smallest when it reaches the tier and no part of it does. The search takes milestones from the most points
down, stops where the tier is reached, and gives up a branch when even all that is left could not reach it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from nudge_sdk.rules.compiled import CompiledMilestone, EntryRule, GateRule, SubjectRules
from nudge_sdk.rules.signals import DEFAULT_WINDOW, target

EXACT_UP_TO = 20
"""With at most so many milestones that give points, every smallest set is found."""

MOST_STEPS = 50_000
"""How far the search goes with more milestones than that."""

LONGEST_DAYS = 1000
"""What is held for longer than that counts as held for ever."""

EVERYTHING = -1

_Sums = tuple[int, ...]


class Sets(NamedTuple):
    """Sets of milestones, as bits, fewest milestones first; whether these are all there are."""

    masks: list[int]
    is_complete: bool


class _Item(NamedTuple):
    bit: int
    points: int
    group: int


class Reach:
    """What it takes to enter one tier: score, caps of groups and gates on milestones.

    Gates that ask for fit or for active users are side conditions: they are taken as met.

    Attributes:
        milestones: Those that can matter, from the most points down.
        highest: The highest possible score, in thousandths.
        highest_fit: The highest possible fit, in thousandths.
    """

    def __init__(self, by: SubjectRules, rule: EntryRule) -> None:
        self._by = by
        self.rule = rule
        self._gates = tuple(gate for gate in rule.gates if gate.at_least)
        named = 0
        for gate in self._gates:
            named |= gate.mask
        mattering = [each for each in by.milestones if (each.points > 0 and not each.is_fit) or each.bit & named]
        self.milestones = tuple(sorted(mattering, key=lambda each: (-_score_points(each), each.bit)))
        self._groups = ("", *sorted({each.group for each in mattering if each.group in by.caps}))
        self._caps = tuple(by.caps.get(group) if group else None for group in self._groups)
        self._items = tuple(
            _Item(each.bit, _score_points(each), self._groups.index(each.group if each.group in by.caps else ""))
            for each in self.milestones
        )
        self._found: dict[tuple[_Item, ...], Sets] = {}
        self.highest = self.score(sum(item.bit for item in self._items if item.points > 0))
        self.highest_fit = sum(each.points for each in by.milestones if each.is_fit and each.points > 0)

    def score(self, mask: int) -> int:
        """Return the score of a set, in thousandths."""
        sums = [0] * len(self._groups)
        for item in self._items:
            if item.bit & mask:
                sums[item.group] += item.points
        return self._capped(sums)

    def opens(self, mask: int) -> bool:
        """Return whether a set reaches the tier."""
        return self.score(mask) >= self.rule.score and self._passes(mask)

    def members(self, mask: int) -> list[CompiledMilestone]:
        """Return the milestones of a set, from the most points down."""
        return [each for each in self.milestones if each.bit & mask]

    def smallest(self, allowed: int = EVERYTHING) -> Sets:
        """Return the smallest sets that reach the tier.

        Args:
            allowed: Only these milestones, as bits.
        """
        items = tuple(item for item in self._items if item.bit & allowed)
        if items not in self._found:
            self._found[items] = self._find(items)
        return self._found[items]

    def ways(self, allowed: int, most: int = 12) -> list[int]:
        """Return every set that reaches the tier, small or not; none if there are more than ``most`` milestones."""
        bits = [item.bit for item in self._items if item.bit & allowed and item.points > 0]
        if len(bits) > most:
            return []
        masks = (sum(bit for index, bit in enumerate(bits) if number >> index & 1) for number in range(1 << len(bits)))
        return self._in_order([mask for mask in masks if self.opens(mask)])

    def days_held(self, mask: int) -> int | None:
        """Return after how many days somebody who did a set once, and nothing more, loses the tier (None: never).

        Days on which the tier is held after its entry was last true are included.
        """
        members = [
            (item, each, _lapse(each))
            for item, each in zip(self._items, self.milestones, strict=True)
            if item.bit & mask
        ]
        if not any(each.half_life or lapse is not None for _, each, lapse in members):
            return None
        for day in range(1, LONGEST_DAYS):
            if not self._opens_after(members, day):
                return day + self._by.hold_days
        return None

    def _find(self, items: tuple[_Item, ...]) -> Sets:
        is_exact = sum(item.points > 0 for item in items) <= EXACT_UP_TO
        found: list[int] = []
        for step, mask in enumerate(self._search(items)):
            if mask is not None:
                found.append(mask)
            if not is_exact and step >= MOST_STEPS:
                return Sets(self._in_order(found), False)
        return Sets(self._in_order(found), True)

    def _opens_after(self, members: list[tuple[_Item, CompiledMilestone, int | None]], day: int) -> bool:
        mask = 0
        sums = [0] * len(self._groups)
        for item, milestone, lapse in members:
            if lapse is None or day < lapse:
                mask |= item.bit
                sums[item.group] += _faded(item.points, milestone, day)
        return self._capped(sums) >= self.rule.score and self._passes(mask)

    def _search(self, items: tuple[_Item, ...]) -> Iterator[int | None]:
        """Go through the sets a step at a time; yield each smallest set, and None for every other step."""
        rest = _rest(items, len(self._groups))
        has_negative = any(item.points < 0 for item in items)
        stack: list[tuple[int, int, _Sums]] = [(0, 0, (0,) * len(self._groups))]
        while stack:
            index, mask, sums = stack.pop()
            score = self._capped(sums)
            if score >= self.rule.score and self._passes(mask):
                yield mask if self._is_smallest(items, mask, sums, score) else None
                continue
            yield None
            if index == len(items) or not self._can_open(mask, sums, rest[index]):
                continue
            item = items[index]
            stack.append((index + 1, mask, sums))
            if has_negative or score < self.rule.score or self._is_wanted(item, mask):
                stack.append((index + 1, mask | item.bit, _with(sums, item)))

    def _can_open(self, mask: int, sums: _Sums, rest: tuple[int, _Sums]) -> bool:
        best = [own + more for own, more in zip(sums, rest[1], strict=True)]
        return self._capped(best) >= self.rule.score and self._passes(mask | rest[0])

    def _is_wanted(self, item: _Item, mask: int) -> bool:
        return any(gate.mask & item.bit and not _passed(gate, mask) for gate in self._gates)

    def _is_smallest(self, items: tuple[_Item, ...], mask: int, sums: _Sums, score: int) -> bool:
        # Without one milestone is enough to try: of those that may be left out, none makes the others needless.
        for item in items:
            if not item.bit & mask:
                continue
            cap, total = self._caps[item.group], sums[item.group]
            less = item.points if cap is None else min(total, cap) - min(total - item.points, cap)
            if score - less >= self.rule.score and self._passes(mask ^ item.bit):
                return False
        return True

    def _passes(self, mask: int) -> bool:
        return all(_passed(gate, mask) for gate in self._gates)

    def _capped(self, sums: _Sums | list[int]) -> int:
        if len(sums) == 1:
            return sums[0]
        return sum(total if cap is None or total < cap else cap for total, cap in zip(sums, self._caps, strict=True))

    def _in_order(self, masks: list[int]) -> list[int]:
        places = [item.bit for item in self._items]
        return sorted(masks, key=lambda mask: (mask.bit_count(), [i for i, bit in enumerate(places) if bit & mask]))


def _score_points(milestone: CompiledMilestone) -> int:
    return 0 if milestone.is_fit else milestone.points


def _with(sums: _Sums, item: _Item) -> _Sums:
    return (*sums[: item.group], sums[item.group] + item.points, *sums[item.group + 1 :])


def _passed(gate: GateRule, mask: int) -> bool:
    return (mask & gate.mask).bit_count() >= gate.at_least


def _rest(items: tuple[_Item, ...], groups: int) -> list[tuple[int, _Sums]]:
    """Return, for each place, the bits from there on and the points they could add to each group."""
    rest: list[tuple[int, _Sums]] = [(0, (0,) * groups)]
    for item in reversed(items):
        mask, sums = rest[0]
        rest.insert(0, (mask | item.bit, _with(sums, item) if item.points > 0 else sums))
    return rest


def _faded(points: int, milestone: CompiledMilestone, day: int) -> int:
    age = day - milestone.grace
    return round(points * 0.5 ** (age / milestone.half_life)) if milestone.half_life and age > 0 else points


def _lapse(milestone: CompiledMilestone) -> int | None:
    """Return the day after it was reached on which its window no longer holds enough (None: never)."""
    signal = milestone.milestone.signal
    length = (milestone.milestone.window or DEFAULT_WINDOW).days
    if signal is None or length is None:
        return None
    spread = target(signal, milestone.milestone.at_least) if signal.measure in ("days", "streak") else 1
    return max(1, length - spread + 1)
