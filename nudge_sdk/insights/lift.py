"""Lift: what nudges change, told by those from whom chance withheld them.

Whoever reaches the point at which a nudge would be shown is written down, whether it is then offered or withheld. Both
are counted from that first instant on, in the arm they were in at it, whatever came later. Two queries read who was
exposed and who met the goal; the rest is arithmetic.

- The overall holdout compares all who reached a first nudge that aims at a goal. Whom a nudge's own holdout withheld
  it from belongs to the treated: other nudges were offered to them.
- A nudge with a holdout of its own compares those offered it with those from whom that holdout withheld it.
- A nudge without one is compared by the overall holdout, and only among those who met no other such nudge before:
  what one arm was shown earlier would have changed who gets as far.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from nudge_sdk.insights.experiments import USUAL_BASELINE, USUAL_EFFECT, Design, Units, report_of
from nudge_sdk.insights.exposed import OFFERED, WITHHELD_OVERALL, Exposed, GoalsMet
from nudge_sdk.insights.holdouts import Drawing, goal_unit, overall_drawing, own_drawing
from nudge_sdk.insights.lift_reports import CONTROL, TREATED, WINDOW_DAYS, LiftReport
from nudge_sdk.insights.statistics.power import Plan, plan_experiment
from nudge_sdk.rules.definition import Definition, Nudge, Subject
from nudge_sdk.rules.times import DAY

if TYPE_CHECKING:
    from nudge_sdk.insights.tables import Tables

_LAST = 2**31 - 1


def lift_of_nudges(
    tables: Tables,
    definition: Definition,
    now: int,
    *,
    earlier: Sequence[Definition] = (),
    window_days: int = WINDOW_DAYS,
    plan: Plan | None = None,
) -> tuple[LiftReport, ...]:
    """Return a report for the overall holdout, one for each goal that nudges aim at, then one for each nudge.

    Args:
        tables: As ``opened_tables`` gives them.
        definition: The one in force.
        now: The instant, in microseconds; units whose window is not over by then are not yet observed.
        earlier: Those published before, oldest first: a unit first exposed under another holdout is left out.
        window_days: How long after its first exposure a unit may meet the goal.
        plan: The size fixed beforehand; its share is taken from the definition. Without one, that which finds five
            points on ten in a hundred.
    """
    asked = _Asked(tables, (*earlier, definition), now, window_days, plan)
    goals = dict.fromkeys(each.goal for each in definition.nudges if each.goal)
    return (*(_overall(asked, goal) for goal in goals), *(_of_nudge(asked, nudge) for nudge in definition.nudges))


class _Asked:
    """What was asked for, and what was read for it."""

    def __init__(
        self, tables: Tables, definitions: Sequence[Definition], now: int, window_days: int, plan: Plan | None
    ) -> None:
        self.definitions, self.definition = definitions, definitions[-1]
        self.now, self.window_days, self.plan = now, window_days, plan
        self.exposed = Exposed(tables)
        self._tables = tables
        self._met: dict[tuple[str, Subject], GoalsMet] = {}

    def goals_met(self, goal: str, of: Subject) -> GoalsMet:
        """Return when a goal was met; read once."""
        if (goal, of) not in self._met:
            self._met[goal, of] = self.exposed.goals_met(self._tables, goal, of)
        return self._met[goal, of]

    def plan_with(self, share: float) -> Plan:
        """Return the plan for a control of this share."""
        if self.plan is None:
            return plan_experiment(USUAL_BASELINE, USUAL_EFFECT, share)
        plan = self.plan
        return plan_experiment(
            plan.baseline,
            plan.effect,
            share,
            power=plan.power,
            alpha=plan.alpha,
            design_effect=plan.design_effect,
        )


class _Measured(NamedTuple):
    """What is compared in one report.

    Attributes:
        nudge: Key of the nudge; empty for the overall holdout.
        drawing: How it was drawn; None where nothing was.
        goal: What has to be met, and by whom.
    """

    nudge: str
    drawing: Drawing | None
    goal: str
    unit: Subject

    @property
    def drawn(self) -> Subject:
        """What was drawn."""
        return self.drawing.unit if self.drawing else self.unit

    @property
    def grain(self) -> Subject:
        """What a row stands for: a member, unless all that counts are accounts."""
        return "account" if self.unit == self.drawn == "account" else "member"


def _overall(asked: _Asked, goal: str) -> LiftReport:
    name = next((each.name for each in asked.definition.goals if each.key == goal), "") or goal
    measured = _Measured("", overall_drawing(asked.definitions), goal, goal_unit(asked.definition, goal))
    return _report(asked, measured, Design(kind="overall", key=goal, name=name, goal=goal, unit=measured.unit))


def _of_nudge(asked: _Asked, nudge: Nudge) -> LiftReport:
    first = asked.definition.goals[0].key if asked.definition.goals else ""
    goal = nudge.goal or first
    own, overall = own_drawing(asked.definitions, nudge.key), overall_drawing(asked.definitions)
    candidates = [each for each in (own, overall if nudge.goal else None) if each is not None]
    drawing = min(candidates, key=lambda each: each.last is not None, default=None)
    measured = _Measured(nudge.key, drawing, goal, goal_unit(asked.definition, goal))
    name = nudge.name or nudge.key
    return _report(asked, measured, Design(kind="nudge", key=nudge.key, name=name, goal=goal, unit=measured.unit))


def _report(asked: _Asked, measured: _Measured, design: Design) -> LiftReport:
    units = _units(asked, measured)
    design = msgspec.structs.replace(design, window_days=asked.window_days, is_randomised=False)
    if measured.drawing is not None:
        share = measured.drawing.share
        design = msgspec.structs.replace(
            design,
            is_randomised=True,
            holdout="overall" if measured.drawing.is_overall else "own",
            ended_with=measured.drawing.last,
            shares={CONTROL: share, TREATED: 1 - share},
            plan=asked.plan_with(share),
        )
    return report_of(design, units, asked.now)


def _units(asked: _Asked, measured: _Measured) -> Units:
    """Return those who count, in the unit that counts."""
    import numpy as np

    exposed = asked.exposed
    found = _entries(exposed, measured)
    kept = found.where(~found.is_left_out)
    everybody = np.arange(len(kept.at))
    firsts = np.unique(kept.account, return_index=True)[1]
    drawn = kept.is_treated[firsts if measured.drawn == "account" else everybody]
    counted = kept.where(firsts if measured.unit == "account" else everybody)
    is_by_account = "account" in (measured.unit, measured.drawn)
    several, among = _several(kept) if is_by_account else (int(kept.is_in_both.sum()), len(kept.at))
    met = asked.goals_met(measured.goal, measured.unit)
    numbers = counted.account if measured.unit == "account" else counted.number
    return Units(
        is_treated=counted.is_treated,
        has_won=met.is_within(numbers, counted.at, asked.window_days * DAY),
        first_at=counted.at,
        cluster=None if measured.unit == "account" else np.unique(counted.account, return_inverse=True)[1],
        drawn={CONTROL: int(np.count_nonzero(~drawn)), TREATED: int(np.count_nonzero(drawn))},
        several=several,
        exposed=among,
        left_out=len(found.at) - len(kept.at),
    )


class _Entries(NamedTuple):
    """Arrays of one entry an account, or a member, by the first exposure that is compared.

    Attributes:
        number: Of the account or member.
        is_in_both: Whether it was in the other arm too, at any time.
        is_left_out: Whether an earlier exposure of another kind forbids comparing it.
    """

    number: Any
    account: Any
    at: Any
    is_treated: Any
    is_in_both: Any
    is_left_out: Any

    def where(self, chosen: Any) -> _Entries:
        """Return some of them."""
        return _Entries(*(column[chosen] for column in self))


def _entries(exposed: Exposed, measured: _Measured) -> _Entries:
    import numpy as np

    numbers = exposed.numbers(measured.grain)
    before, mine = _population(exposed, measured), _mine(exposed, measured)
    is_withheld = _is_withheld(exposed, measured)
    known, first = _firsts(numbers, before)
    number, own = _firsts(numbers, mine)
    sides = [np.isin(number, numbers[mine & side]) for side in (is_withheld, ~is_withheld)]
    at = exposed.at[own]
    order = np.argsort(at, kind="stable")
    entries = _Entries(
        number=number,
        account=exposed.account[own],
        at=at,
        is_treated=~is_withheld[own],
        is_in_both=sides[0] & sides[1],
        is_left_out=exposed.at[first[np.searchsorted(known, number)]] < at,
    )
    return entries.where(order)


def _firsts(numbers: Any, chosen: Any) -> tuple[Any, Any]:
    """Return the numbers among the chosen exposures, and where the first exposure of each stands."""
    import numpy as np

    places = np.flatnonzero(chosen)
    found, first = np.unique(numbers[places], return_index=True)
    return found, places[first]


def _population(exposed: Exposed, measured: _Measured) -> Any:
    """Return which exposures make somebody somebody who was exposed before."""
    is_own = exposed.nudge == measured.nudge
    if measured.drawing is None:
        return is_own if measured.nudge else exposed.is_aimed
    if measured.drawing.is_overall:
        return exposed.is_aimed
    return is_own & (exposed.side != WITHHELD_OVERALL)


def _mine(exposed: Exposed, measured: _Measured) -> Any:
    """Return which exposures are compared."""
    mine = _population(exposed, measured)
    if measured.nudge:
        mine = mine & (exposed.nudge == measured.nudge)
    if measured.drawing is None:
        return mine & (exposed.side == OFFERED)
    last = _LAST if measured.drawing.last is None else measured.drawing.last
    return mine & (exposed.definition >= measured.drawing.first) & (exposed.definition <= last)


def _is_withheld(exposed: Exposed, measured: _Measured) -> Any:
    if measured.drawing is not None and measured.drawing.is_overall:
        return exposed.side == WITHHELD_OVERALL
    return exposed.side != OFFERED


def _several(entries: _Entries) -> tuple[int, int]:
    """Return how many accounts were seen in both arms, and how many there are."""
    import numpy as np

    accounts, places = np.unique(entries.account, return_inverse=True)
    sides = (entries.is_treated | entries.is_in_both, ~entries.is_treated | entries.is_in_both)
    seen = [np.bincount(places[side], minlength=len(accounts)) > 0 for side in sides]
    return int(np.count_nonzero(seen[0] & seen[1])), len(accounts)
