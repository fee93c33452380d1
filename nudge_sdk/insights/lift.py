"""Lift: what nudges change, told by those from whom chance withheld them.

Whoever reaches the point at which a nudge would be shown is written down, whether it is then offered or withheld. Both
are counted from that first instant on, in the arm they were in at it, whatever came later. One query gives one row a
unit; the rest is arithmetic.

- The overall holdout compares all who reached a first nudge that aims at a goal. Whom a nudge's own holdout withheld
  it from belongs to the treated: other nudges were offered to them.
- A nudge with a holdout of its own compares those offered it with those from whom that holdout withheld it.
- A nudge without one is compared by the overall holdout, and only among those who met no other such nudge before:
  what one arm was shown earlier would have changed who gets as far.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from nudge_sdk.insights.experiments import USUAL_BASELINE, USUAL_EFFECT, Design, Units, report_of
from nudge_sdk.insights.holdouts import Drawing, goal_unit, overall_drawing, own_drawing
from nudge_sdk.insights.lift_reports import CONTROL, TREATED, WINDOW_DAYS, LiftReport
from nudge_sdk.insights.statistics.power import Plan, plan_experiment
from nudge_sdk.rules.definition import Definition, Nudge, Subject
from nudge_sdk.rules.times import DAY

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from nudge_sdk.insights.tables import Tables

_OVERALL = "overall"
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


class _Asked(msgspec.Struct, frozen=True):
    """What was asked for."""

    tables: Any
    definitions: tuple[Definition, ...]
    now: int
    window_days: int
    plan: Plan | None

    @property
    def definition(self) -> Definition:
        return self.definitions[-1]

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


class _Measured(msgspec.Struct, frozen=True):
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
    rows = asked.tables.rows(_rows(asked.tables, measured, asked.window_days))
    units = _units(rows, measured)
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


def _rows(tables: Tables, measured: _Measured, window_days: int) -> ir.Table:
    """Return one row a unit: account, instant, whether treated, whether in both arms, whether left out, whether won."""
    import ibis

    keys = ["account_id"] if measured.grain == "account" else ["account_id", "user_id"]
    exposures = tables.exposures
    aimed = exposures.filter(exposures.kind.isin([CONTROL, TREATED]), _population(exposures, measured))
    is_mine, is_withheld = _is_mine(aimed, measured), _is_withheld(aimed, measured)
    units = aimed.group_by(keys).agg(
        first_at=aimed.at.min(),
        own_at=aimed.at.min(where=is_mine),
        control_at=aimed.at.min(where=is_mine & is_withheld),
        treated_at=aimed.at.min(where=is_mine & ~is_withheld),
    )
    units = units.filter(units.own_at.notnull())
    met = tables.goals.filter(ibis._.kind == "convert", ibis._.goal == measured.goal)
    by = ["account_id"] if measured.unit == "account" else keys
    met = met.select(**{f"met_{key}": met[key] for key in by}, met_at=met.at)
    joined = units.left_join(met, [units[key] == met[f"met_{key}"] for key in by])
    is_in_time = (joined.met_at >= joined.own_at) & (joined.met_at < joined.own_at + window_days * DAY)
    is_treated = joined.treated_at.notnull() & (joined.control_at.isnull() | (joined.treated_at <= joined.control_at))
    shaped = joined.select(
        account_id=joined.account_id,
        user_id=joined.account_id if measured.grain == "account" else joined.user_id,
        at=joined.own_at,
        is_treated=is_treated,
        is_in_both=joined.treated_at.notnull() & joined.control_at.notnull(),
        is_left_out=joined.first_at < joined.own_at,
        is_in_time=ibis.ifelse(is_in_time, 1, 0),
    )
    by_unit = ["account_id", "user_id", "at", "is_treated", "is_in_both", "is_left_out"]
    grouped = shaped.group_by(by_unit).agg(won=shaped.is_in_time.max())
    return grouped.select("account_id", "at", "is_treated", "is_in_both", "is_left_out", "won")


def _population(exposures: ir.Table, measured: _Measured) -> Any:
    """Return which exposures make somebody somebody who was exposed before."""
    if measured.drawing is None:
        return exposures.nudge == measured.nudge if measured.nudge else exposures.goal != ""
    if measured.drawing.is_overall:
        return exposures.goal != ""
    return (exposures.nudge == measured.nudge) & (exposures.holdout != _OVERALL)


def _is_mine(exposures: ir.Table, measured: _Measured) -> Any:
    """Return which exposures are compared."""
    import ibis

    mine = exposures.nudge == measured.nudge if measured.nudge else ibis.literal(True)
    if measured.drawing is None:
        return mine & (exposures.kind == TREATED)
    last = _LAST if measured.drawing.last is None else measured.drawing.last
    return mine & exposures.definition.between(measured.drawing.first, last)


def _is_withheld(exposures: ir.Table, measured: _Measured) -> Any:
    is_withheld = exposures.kind == CONTROL
    if measured.drawing is None or not measured.drawing.is_overall:
        return is_withheld
    return is_withheld & (exposures.holdout == _OVERALL)


def _units(rows: Iterable[tuple[Any, ...]], measured: _Measured) -> Units:
    """Return arrays of those who count, in the unit that counts."""
    import numpy as np

    found = sorted(rows, key=lambda row: (row[1], row[0]))
    kept = [row for row in found if not row[4]]
    accounts, at, is_treated, is_in_both, won = ([row[index] for row in kept] for index in (0, 1, 2, 3, 5))
    codes = _codes(accounts)
    treated, both = np.array(is_treated, dtype=bool), np.array(is_in_both, dtype=bool)
    firsts = np.unique(codes, return_index=True)[1]
    everybody = np.arange(len(kept))
    counted = firsts if measured.unit == "account" else everybody
    drawn = treated[firsts if measured.drawn == "account" else everybody]
    is_by_account = "account" in (measured.unit, measured.drawn)
    several, exposed = _several(codes, treated, both) if is_by_account else (int(both.sum()), len(kept))
    return Units(
        is_treated=treated[counted],
        has_won=np.array(won, dtype=bool)[counted],
        first_at=np.array(at, dtype=np.int64)[counted],
        cluster=None if measured.unit == "account" else codes,
        drawn={CONTROL: int(np.count_nonzero(~drawn)), TREATED: int(np.count_nonzero(drawn))},
        several=several,
        exposed=exposed,
        left_out=len(found) - len(kept),
    )


def _codes(accounts: Sequence[str]) -> Any:
    """Return a number for each account."""
    import numpy as np

    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(account, len(numbers)) for account in accounts], dtype=np.int64)


def _several(codes: Any, is_treated: Any, is_in_both: Any) -> tuple[int, int]:
    """Return how many accounts were seen in both arms, and how many there are."""
    import numpy as np

    length = int(codes.max()) + 1 if len(codes) else 0
    sides = [np.bincount(codes[of], minlength=length) > 0 for of in (is_treated | is_in_both, ~is_treated | is_in_both)]
    return int(np.count_nonzero(sides[0] & sides[1])), length
