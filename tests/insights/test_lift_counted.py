"""Who counts in which arm, against a plain loop over random exposures that knows nothing of arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nudge_sdk.insights.lift import lift_of_nudges
from nudge_sdk.insights.lift_reports import LiftReport
from nudge_sdk.rules.definition import Definition, Goal, Holdout, Nudge
from nudge_sdk.rules.times import DAY
from tests.insights.given_tables import given_tables

Row = dict[str, Any]
NOW = 60 * DAY
NUDGES = (Nudge(key="own", placement="p", goal="paid", holdout=0.4), Nudge(key="plain", placement="p", goal="paid"))

people = st.tuples(st.sampled_from(["a1", "a2", "a3"]), st.sampled_from(["u1", "u2"]))
days = st.sampled_from([0, 1, 2, 29, 30, 31, 32, 59])
"""Few, so that the ends of windows are met."""

sides = st.sampled_from([("offered", ""), ("withheld", "overall"), ("withheld", "nudge")])


def exposure(who: tuple[str, str], side: tuple[str, str], nudge: str, day: int, definition: int) -> Row:
    names = {"account_id": who[0], "user_id": who[1], "kind": side[0], "holdout": side[1], "nudge": nudge}
    return {**names, "goal": "paid", "at": day * DAY, "definition": definition, "id": f"{who}{side}{nudge}{day}"}


def met(who: tuple[str, str], day: int, kind: str) -> Row:
    return {"account_id": who[0], "user_id": who[1], "goal": "paid", "at": day * DAY, "kind": kind}


exposures = st.lists(
    st.builds(exposure, people, sides, st.sampled_from(["own", "plain"]), days, st.integers(1, 3)),
    max_size=30,
    # Two at one instant on both sides are told apart by nothing but a convention.
    unique_by=lambda row: (row["account_id"], row["at"]),
)
goals = st.lists(st.builds(met, people, days, st.sampled_from(["convert", "convert", "churn"])), max_size=8)


def definitions(buyer: Literal["account", "member"], drawn: Literal["account", "member"]) -> list[Definition]:
    """The share of the overall holdout rose with the second publication; the third changed nothing in it."""
    return [
        Definition(
            number=number,
            nudges=NUDGES,
            goals=(Goal(key="paid", unit=buyer),),
            holdout=Holdout(share=share, unit=drawn),
        )
        for number, share in ((1, 0.1), (2, 0.3), (3, 0.3))
    ]


def expected(rows: list[Row], met_rows: list[Row], which: str, by: Callable[[Row], Any]) -> dict[str, tuple[int, ...]]:
    """Of each arm: all, observed, those of them who met the goal; and how many are left out."""
    counts = {"offered": [0, 0, 0], "withheld": [0, 0, 0]}
    left_out = 0
    for unit in {by(row) for row in rows}:
        own = sorted((row for row in rows if by(row) == unit), key=lambda row: row["at"])
        if which == "own":
            own = [row for row in own if row["nudge"] == "own" and row["holdout"] != "overall"]
            mine = own
        else:
            mine = [row for row in own if row["definition"] >= 2 and (which == "overall" or row["nudge"] == "plain")]
        if not mine:
            continue
        if mine[0] is not own[0]:
            left_out += 1
            continue
        first = mine[0]
        is_withheld = first["kind"] == "withheld" and (which == "own" or first["holdout"] == "overall")
        arm = counts["withheld" if is_withheld else "offered"]
        arm[0] += 1
        if first["at"] + 30 * DAY <= NOW:
            arm[1] += 1
            arm[2] += any(
                row["kind"] == "convert" and by(row) == unit and first["at"] <= row["at"] < first["at"] + 30 * DAY
                for row in met_rows
            )
    return {**{name: tuple(count) for name, count in counts.items()}, "left out": (left_out,)}


def found_in(report: LiftReport) -> dict[str, tuple[int, ...]]:
    arms = {each.name: (each.units, each.seen.of, each.seen.count) for each in (report.treated, report.control)}
    return {**arms, "left out": (report.left_out,)}


@settings(max_examples=60, deadline=None)
@given(rows=exposures, met_rows=goals, buyer=st.sampled_from(["account", "member"]))
def test_arms_are_those_of_a_plain_loop(
    rows: list[Row], met_rows: list[Row], buyer: Literal["account", "member"]
) -> None:
    def by(row: Row) -> Any:
        return row["account_id"] if buyer == "account" else (row["account_id"], row["user_id"])

    *earlier, live = definitions(buyer, buyer)
    overall, own, plain = lift_of_nudges(given_tables(exposures=rows, goals=met_rows), live, NOW, earlier=earlier)
    for which, report in (("overall", overall), ("own", own), ("plain", plain)):
        assert found_in(report) == expected(rows, met_rows, which, by), which
        assert report.unit == buyer
        assert report.control.share == (0.4 if which == "own" else 0.3)
    assert sum(arm.units for arm in overall.ratio.arms) == overall.control.units + overall.treated.units


@pytest.mark.parametrize("buyer", ["account", "member"])
@pytest.mark.parametrize("drawn", ["account", "member"])
def test_the_same_on_duckdb_and_whatever_is_drawn(
    buyer: Literal["account", "member"], drawn: Literal["account", "member"]
) -> None:
    who = [(f"a{number // 3}", f"u{number % 3}") for number in range(60)]
    rows = [
        exposure(each, ("withheld", "overall") if number % 4 == 0 else ("offered", ""), "plain", number % 40, 2)
        for number, each in enumerate(who)
    ]
    met_rows = [met(each, 20 + number % 30, "convert") for number, each in enumerate(who) if number % 5 == 0]
    *earlier, live = definitions(buyer, drawn)
    first, second = (
        lift_of_nudges(given_tables(on=on, exposures=rows, goals=met_rows), live, NOW, earlier=earlier)
        for on in ("sqlite", "duckdb")
    )
    assert first == second
    overall = first[0]
    units = {"account": 20, "member": 60}
    assert overall.control.units + overall.treated.units == units[buyer]
    assert sum(each.units for each in overall.ratio.arms) == units[drawn]
    assert overall.exposures.units == (60 if buyer == drawn == "member" else 20)
