"""Holdouts over time: which publications drew alike, so that what they withheld may be compared as one experiment."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from nudge_sdk.rules.definition import Definition, Goal, Holdout, Nudge, Subject
from nudge_sdk.rules.selection import own_holdout_unit
from nudge_sdk.store.protocol import DefinitionRow


class Drawing(msgspec.Struct, frozen=True, kw_only=True):
    """How a holdout was drawn, and by which publications.

    Attributes:
        is_overall: Whether it is the overall holdout, or a nudge's own.
        share: Withheld, 0 to 1.
        unit: What was drawn.
        salt: Of the overall holdout.
        first: Number of the first definition of an unbroken row that drew so.
        last: Number of the last one; None while it is in force.
    """

    is_overall: bool
    share: float
    unit: Subject
    salt: str
    first: int
    last: int | None

    @property
    def is_random(self) -> bool:
        """Whether chance puts some units on each side."""
        return 0 < self.share < 1


class _NudgeDrawn(msgspec.Struct, frozen=True):
    key: str
    placement: str = ""
    name: str = ""
    goal: str = ""
    holdout: float = 0


class _Drawn(msgspec.Struct, frozen=True):
    """What of a stored definition says how holdouts are drawn; all else is passed over."""

    holdout: Holdout = Holdout()
    goals: tuple[Goal, ...] = Definition().goals
    nudges: tuple[_NudgeDrawn, ...] = ()


def published_holdouts(rows: Sequence[DefinitionRow]) -> tuple[Definition, ...]:
    """Return the definitions that ever were in force, oldest first, with what holdouts need of them and no more.

    Args:
        rows: As the store has them; one that cannot be read is left out.
    """
    decoder = msgspec.json.Decoder(_Drawn)
    found = []
    for row in rows:
        if row.live_at is None:
            continue
        try:
            drawn = decoder.decode(row.document)
        except msgspec.MsgspecError:
            continue
        nudges = tuple(Nudge(**msgspec.structs.asdict(each)) for each in drawn.nudges)
        found.append(Definition(number=row.number, holdout=drawn.holdout, goals=drawn.goals, nudges=nudges))
    return tuple(found)


def overall_drawing(definitions: Sequence[Definition]) -> Drawing | None:
    """Return the latest drawing of the overall holdout that was random.

    Args:
        definitions: Those published, oldest first; the last one is in force.
    """
    drawn = [(each.holdout.share, each.holdout.unit, each.holdout.salt) for each in definitions]
    return _latest(drawn, definitions, is_overall=True)


def own_drawing(definitions: Sequence[Definition], key: str) -> Drawing | None:
    """Return the latest drawing of a nudge's own holdout that was random.

    Args:
        definitions: Those published, oldest first; the last one is in force.
        key: Of the nudge.
    """
    drawn = [_own(each, key) for each in definitions]
    return _latest(drawn, definitions, is_overall=False)


def _own(definition: Definition, key: str) -> tuple[float, Subject, str]:
    nudge = next((each for each in definition.nudges if each.key == key), None)
    return (0.0, "member", "") if nudge is None else (nudge.holdout, own_holdout_unit(definition, nudge), "")


def goal_unit(definition: Definition, goal: str) -> Subject:
    """Return who meets a goal; a goal that is not in the definition is met by accounts."""
    return next((each.unit for each in definition.goals if each.key == goal), "account")


def _latest(
    drawn: list[tuple[float, Subject, str]], definitions: Sequence[Definition], *, is_overall: bool
) -> Drawing | None:
    for end in reversed(range(len(drawn))):
        share, unit, salt = drawn[end]
        if not 0 < share < 1:
            continue
        start = end
        while start and drawn[start - 1] == drawn[end]:
            start -= 1
        return Drawing(
            is_overall=is_overall,
            share=share,
            unit=unit,
            salt=salt,
            # Of the oldest known one, what was published before is not known; it counts as alike.
            first=definitions[start].number if start else 0,
            last=None if end == len(drawn) - 1 else definitions[end].number,
        )
    return None
