"""Who reached the point at which a nudge is offered or withheld, and who met a goal: read once for all reports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from nudge_sdk.insights.lift_reports import CONTROL, TREATED
from nudge_sdk.rules.definition import Subject

if TYPE_CHECKING:
    from nudge_sdk.insights.tables import Tables

OFFERED, WITHHELD_OVERALL, WITHHELD_OWN = 0, 1, 2
_OVERALL = "overall"


class Exposed:
    """Exposures as arrays, by time; at one instant, offers first.

    Args:
        tables: Where they are.

    Attributes:
        at: Instants, in microseconds.
        account, member: Numbers that stand for accounts and for members.
        nudge: The nudges' keys.
        is_aimed: Whether the nudge aimed at a goal.
        side: Offered, withheld by the overall holdout, or by the nudge's own.
        definition: Numbers of the publications that decided.
    """

    def __init__(self, tables: Tables) -> None:
        import numpy as np

        rows = tables.rows(_first_of_each(tables))
        columns: Sequence[Sequence[Any]] = list(zip(*rows, strict=True)) or [()] * 8
        accounts, users, nudges, goals, kinds, holdouts, definitions, instants = columns
        at = np.array(instants, dtype=np.int64)
        side = np.array([_side(*pair) for pair in zip(kinds, holdouts, strict=True)], dtype=np.int8)
        order = np.lexsort((side, at))
        self._accounts: dict[Any, int] = {}
        self._members: dict[Any, int] = {}
        self.at, self.side = at[order], side[order]
        self.account = _numbers(accounts, self._accounts)[order]
        self.member = _numbers(list(zip(accounts, users, strict=True)), self._members)[order]
        self.nudge = np.array(nudges, dtype=object)[order]
        self.is_aimed = np.array([bool(goal) for goal in goals], dtype=bool)[order]
        self.definition = np.array(definitions, dtype=np.int64)[order]

    def numbers(self, of: Subject) -> Any:
        """Return of each exposure the number of its account or member."""
        return self.account if of == "account" else self.member

    def goals_met(self, tables: Tables, goal: str, of: Subject) -> GoalsMet:
        """Return when accounts or members met a goal, of those who were exposed."""
        import numpy as np

        goals = tables.goals
        met = goals.filter(goals.kind == "convert", goals.goal == goal)
        known = self._accounts if of == "account" else self._members
        found = sorted(
            (known[name], at)
            for account, user, at in tables.rows(met.select("account_id", "user_id", "at"))
            if (name := account if of == "account" else (account, user)) in known
        )
        return GoalsMet(
            np.array([number for number, _ in found], dtype=np.int64), np.array([at for _, at in found], dtype=np.int64)
        )


class GoalsMet(NamedTuple):
    """Arrays of one entry a conversion, by number, then time.

    Attributes:
        number: Of the account or member.
        at: When, in microseconds.
    """

    number: Any
    at: Any

    def is_within(self, numbers: Any, starts: Any, length: int) -> Any:
        """Return of each whether it met the goal from its start on, and less than ``length`` microseconds later."""
        import numpy as np

        first = np.searchsorted(self.number, numbers, side="left")
        end = np.searchsorted(self.number, numbers, side="right")
        found = np.zeros(len(numbers), dtype=bool)
        for step in range(int((end - first).max(initial=0))):
            which = np.flatnonzero(first + step < end)
            passed = self.at[first[which] + step] - starts[which]
            found[which] |= (passed >= 0) & (passed < length)
        return found


def _first_of_each(tables: Tables) -> Any:
    """Return the query of the first exposure of each member to each nudge, by side and publication."""
    exposures = tables.exposures
    decided = exposures.filter(exposures.kind.isin([CONTROL, TREATED]))
    columns = ["account_id", "user_id", "nudge", "goal", "kind", "holdout", "definition"]
    return decided.group_by(columns).agg(at=decided.at.min()).select(*columns, "at")


def _side(kind: str, holdout: str) -> int:
    if kind == TREATED:
        return OFFERED
    return WITHHELD_OVERALL if holdout == _OVERALL else WITHHELD_OWN


def _numbers(names: Sequence[Any], known: dict[Any, int]) -> Any:
    """Return a number for each name, learning those that are new."""
    import numpy as np

    return np.array([known.setdefault(name, len(known)) for name in names], dtype=np.int64)
