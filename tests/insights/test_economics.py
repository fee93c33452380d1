"""Economics: who counts as what, how costs are divided, and how sure they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from nudge_sdk import NudgeClient, Options
from nudge_sdk.cli import main
from nudge_sdk.errors import RecordError
from nudge_sdk.insights.economics import (
    Cost,
    Counts,
    Economics,
    Origin,
    counts_of,
    economics,
    economics_of,
    economics_words,
    read_amount,
)
from nudge_sdk.testing import Clock
from tests.admin.conftest import START, fill
from tests.insights.given_tables import given_tables

UNIT = 1_000_000
SINCE, UNTIL = 1_000, 2_000

Engine = Literal["sqlite", "duckdb"]


def account(key: str, **instants: int) -> dict[str, Any]:
    return {"account_id": key, "user_id": "", "segment": "smb", "source": "", **instants}


JOURNEYS = [
    account("pql-won", signed_up_at=900, qualified_at=1_100, won_at=1_500, value=49 * UNIT),
    account("pql-at-once", signed_up_at=900, qualified_at=1_200, won_at=1_200, value=10 * UNIT),
    account("pql-open", signed_up_at=1_000, qualified_at=1_999),
    account("pql-before-won-in", signed_up_at=1, qualified_at=2, won_at=1_000),
    account("won-then-pql", signed_up_at=1_000, won_at=1_200, qualified_at=1_300),
    account("other-won", signed_up_at=1_001, won_at=1_999, value=5 * UNIT),
    account("other-open", signed_up_at=1_999),
    account("pql-too-late", signed_up_at=1_500, qualified_at=2_000, won_at=2_000),
    account("before", signed_up_at=900, won_at=999),
    {**account("elsewhere", signed_up_at=1_100, won_at=1_200), "segment": "big"},
    {**account("pql-won", qualified_at=1_100, won_at=1_500), "user_id": "ada"},
]


@pytest.mark.parametrize("on", ["sqlite", "duckdb"])
def test_accounts_count_by_what_came_first_and_members_not_at_all(on: Engine) -> None:
    counts = counts_of(given_tables(on=on, journeys=JOURNEYS), since=SINCE, until=UNTIL, segment="smb")
    assert counts["pql"] == Counts(leads=4, won=3, value=59 * UNIT, with_value=2)
    assert counts["other"] == Counts(leads=3, won=2, value=5 * UNIT, with_value=1)


def test_without_a_segment_everybody_counts_and_without_accounts_nobody() -> None:
    assert counts_of(given_tables(journeys=JOURNEYS), since=SINCE, until=UNTIL)["other"].won == 3
    empty = counts_of(given_tables(), since=SINCE, until=UNTIL)
    assert empty == {"pql": Counts(leads=0, won=0), "other": Counts(leads=0, won=0)}


def found(counts: dict[Origin, Counts], **costs: int) -> Economics:
    typed = [Cost(of=of, amount=amount * UNIT) for of, amount in costs.items()]  # type: ignore[arg-type]
    return economics_of(counts, typed, since=SINCE, until=UNTIL)


def test_costs_are_divided_by_leads_and_by_customers() -> None:
    counts: dict[Origin, Counts] = {
        "pql": Counts(leads=40, won=10, value=9_000 * UNIT, with_value=10),
        "other": Counts(leads=200, won=20),
    }
    result = found(counts, pql=1_000, other=8_000, shared=3_000)
    pql, other = result.channels
    assert (pql.cost, other.cost) == (2_000 * UNIT, 10_000 * UNIT)
    assert (pql.cost_per_lead, other.cost_per_lead) == (50 * UNIT, 50 * UNIT)
    assert (pql.cac, other.cac) == (200 * UNIT, 500 * UNIT)
    assert (pql.value_per_cost, other.value_per_cost) == (4.5, None)
    assert result.ratio is not None
    assert result.ratio.ratio == 2.5
    assert result.of("other") == other


def test_few_customers_do_not_tell_costs_apart_and_it_is_said() -> None:
    counts: dict[Origin, Counts] = {"pql": Counts(leads=4, won=1), "other": Counts(leads=9, won=1)}
    few = found(counts, pql=100, other=250)
    assert "too few were won to tell the two apart" in economics_words(few)[-1]
    many: dict[Origin, Counts] = {"pql": Counts(leads=400, won=100), "other": Counts(leads=900, won=100)}
    words = economics_words(found(many, pql=10_000, other=25_000))[-1]
    assert words == "A customer who came as a PQL cost 100, another one 250, 2.5 times as much (1.9 to 3.3 times)."


@pytest.mark.parametrize(
    ("pql", "other", "costs", "says"),
    [
        (3, 3, {}, "Type in what was spent"),
        (0, 3, {"pql": 1}, "No PQL-sourced customer was won"),
        (3, 0, {"pql": 1}, "No other customer was won"),
        (3, 3, {"pql": 1}, "Nothing was spent on one of the two"),
    ],
)
def test_what_cannot_be_compared_is_said(pql: int, other: int, costs: dict[str, int], says: str) -> None:
    result = found({"pql": Counts(leads=5, won=pql), "other": Counts(leads=5, won=other)}, **costs)
    assert says in economics_words(result)[-1]


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_everything_that_was_spent_is_somewhere(pql: int, other: int, one: int, two: int, shared: int) -> None:
    counts: dict[Origin, Counts] = {"pql": Counts(leads=60, won=pql), "other": Counts(leads=60, won=other)}
    costs = [Cost(of="pql", amount=one), Cost(of="other", amount=two), Cost(of="shared", amount=shared)]
    result = economics_of(counts, costs, since=SINCE, until=UNTIL)
    assert abs(sum(each.cost for each in result.channels) - (one + two + shared)) <= 1
    for each in result.channels:
        assert each.cac is None or (each.cac_low or 0) <= each.cac <= (each.cac_high or 0)


def test_the_whole_report_comes_from_tables() -> None:
    result = economics(given_tables(journeys=JOURNEYS), [Cost(of="pql", amount=6 * UNIT)], since=SINCE, until=UNTIL)
    assert result.of("pql").cac == 2 * UNIT
    assert result.of("other").cost == 0


@pytest.mark.parametrize(
    ("text", "millionths"),
    [("12000", 12_000 * UNIT), ("12,000.50", 12_000_500_000), (" 12 000 ", 12_000 * UNIT), ("0", 0), ("0.000001", 1)],
)
def test_amounts_are_read_as_people_write_them(text: str, millionths: int) -> None:
    assert read_amount(text) == millionths


@pytest.mark.parametrize("text", ["", "many", "-1", "1e99", "1.2.3", "nan", "٣", "9" * 14])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(RecordError, match="is no amount"):
        read_amount(text)


@pytest.fixture
def store(tmp_path: Path) -> str:
    """A store with a PQL that was won, and somebody who was won otherwise."""
    url = f"sqlite:///{tmp_path / 'nudges.db'}"
    clock = Clock(START)
    with NudgeClient(url, drain="inline", clock=clock, options=Options(on_error="raise")) as client:
        fill(client)
        clock.move(days=1)
        client.convert("acme", value=49)
        client.convert("bolt", value=9.5)
    return url


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["economics", "--at", "2026-05-06T00:00:00Z", *words])


def test_the_command_prints_in_words_as_json_and_as_csv(store: str) -> None:
    costs = ("--store", store, "--cost", "pql=1,200", "--cost", "shared=100.50")
    words = run(*costs)
    assert words.exit_code == 0, words.output
    assert "PQL-sourced: 1 accounts with a new PQL, 1 won; spent 1,250" in words.output
    told = json.loads(run(*costs, "--json").output)
    assert [(each["origin"], each["cost"]) for each in told["channels"]] == [
        ("pql", 1_250_250_000),
        ("other", 50_250_000),
    ]
    assert told["channels"][1]["counts"]["value"] == 9_500_000
    assert run(*costs, "--csv").output.startswith("origin,counts_leads,counts_won")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--cost", "free=1"), "is not OF=AMOUNT with OF one of pql, other, shared"),
        (("--cost", "pql"), "is no amount"),
        (("--cost", "pql=-3"), "is no amount"),
        (("--since", "2026-05-06T00:00:00Z"), "--since is not before --at"),
    ],
)
def test_the_command_says_what_cannot_be_read(store: str, words: tuple[str, ...], says: str) -> None:
    answer = run("--store", store, *words)
    assert answer.exit_code == 2
    assert says in " ".join(answer.output.split())
