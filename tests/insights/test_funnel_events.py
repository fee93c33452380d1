"""Funnels of events, beside a plain reading of them, and on the shop's history."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from nudge_sdk.cli import main
from nudge_sdk.errors import SetupError
from nudge_sdk.insights.funnel import event_funnel, funnel_words
from nudge_sdk.insights.tables import opened_tables
from nudge_sdk.rules.times import DAY, HOUR
from tests.insights.given_tables import given_tables

NOW = 20_000 * DAY
STEPS = ("a", "b", "c")

happenings = st.lists(
    st.tuples(
        st.sampled_from(["acme", "beta"]),
        st.sampled_from(["ann", "bob", ""]),
        st.sampled_from(["a", "b", "c", "d"]),
        st.integers(0, 72),
        st.sampled_from(["s1", "s2", None]),
    ),
    max_size=60,
)


def events(happened: list[tuple[str, str, str, int, str | None]]) -> list[dict[str, Any]]:
    return [
        {"account_id": account, "user_id": user, "name": name, "at": NOW - 90 * HOUR + hours * HOUR,
         "properties": f'{{"session_id":"{session}"}}' if session else None}
        for account, user, name, hours, session in happened
    ]  # fmt: skip


def read_plainly(rows: list[dict[str, Any]], unit: str, window: int | None) -> tuple[list[int], int, int]:
    """Return the counts, how many wait, and how many did the last step otherwise."""
    by_unit: dict[Any, list[tuple[int, str]]] = defaultdict(list)
    for row in rows:
        session = (row["properties"] or "").partition(':"')[2].rstrip('"}') or None
        if (unit != "account" and not row["user_id"]) or (unit == "session" and session is None):
            continue
        key: tuple[Any, ...] = (row["account_id"], *([row["user_id"]] if unit != "account" else []))
        by_unit[(*key, *([session] if unit == "session" else []))].append((row["at"], row["name"]))
    counts, waiting, otherwise = [0] * len(STEPS), 0, 0
    for done in by_unit.values():
        reached, first, before = 0, 0, -(2**62)
        for step in STEPS:
            later = [at for at, name in done if name == step and at >= before]
            if not later or (reached and window is not None and min(later) > first + window):
                break
            before = min(later)
            first = first if reached else before
            reached += 1
        otherwise += reached < len(STEPS) and any(name == STEPS[-1] for _, name in done)
        if reached and window is not None and first + window > NOW:
            waiting += 1
            continue
        for number in range(reached):
            counts[number] += 1
    return counts, waiting, otherwise


@given(happenings, st.sampled_from(["member", "account", "session"]), st.sampled_from([None, 0.5, 1.0]))
@settings(deadline=None, max_examples=60)
def test_each_step_is_the_earliest_at_or_after_the_one_before(
    happened: list[tuple[str, str, str, int, str | None]], unit: Any, within: float | None
) -> None:
    rows = events(happened)
    found = event_funnel(given_tables(events=rows), STEPS, unit=unit, within_days=within, at=NOW).total
    told = ([step.count for step in found.steps], found.waiting, found.outside_count)
    assert told == read_plainly(rows, unit, None if within is None else round(within * DAY))


def test_what_happened_at_the_same_instant_is_in_order_and_nothing_later_is_looked_at() -> None:
    rows = events([("acme", "ann", "a", 5, None), ("acme", "ann", "b", 5, None), ("acme", "ann", "c", 60, None)])
    tables = given_tables(events=rows)
    assert [step.count for step in event_funnel(tables, STEPS, at=NOW).total.steps] == [1, 1, 1]
    assert [step.count for step in event_funnel(tables, STEPS, at=NOW - 40 * HOUR).total.steps] == [1, 1, 0]


@pytest.mark.parametrize("steps", [(), ("a",), ("a", "b", "a")])
def test_a_funnel_needs_steps_that_differ(steps: tuple[str, ...]) -> None:
    with pytest.raises(SetupError):
        event_funnel(given_tables(), steps, at=NOW)


@pytest.mark.parametrize("unit", ["member", "account", "session"])
def test_the_words_say_what_is_counted(unit: Any) -> None:
    text = "\n".join(funnel_words(event_funnel(given_tables(), STEPS, unit=unit, within_days=2, at=NOW)))
    assert f"by {unit}" in text
    assert f"{unit.capitalize()}s are counted" in text
    assert "within 2 days of the first time of the first step" in text
    assert "at the same instant is in order" in text


SHOP = ("product_view", "add_to_cart", "cart", "shipping_details", "payment_details", "purchase")
BY_SESSION = [2868, 944, 477, 194, 72, 15]
BY_USER = [598, 517, 429, 329, 222, 114]


def by_pandas(path: Path, unit: str) -> list[int]:
    """Count with pandas: of each unit the earliest of a step at or after the one before, ties in."""
    import pandas as pd

    shop = pd.read_csv(path)
    shop["at"] = pd.to_datetime(shop["timestamp"])
    before: Any = None
    counts = []
    for step in SHOP:
        done = shop[shop["event"] == step]
        if before is not None:
            done = done.join(before.rename("before"), on=unit, how="inner")
            done = done[done["at"] >= done["before"]]
        before = done.groupby(unit)["at"].min()
        counts.append(len(before))
    return counts


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> tuple[str, Path]:
    """The shop's history, imported as people do it, and an archive of it."""
    folder = tmp_path_factory.mktemp("shop")
    url = f"sqlite:///{folder}/n.db"
    for words in (
        ("import", str(shared_data / "ecom.csv.gz"), "--timezone", "UTC", "--store", url),
        ("archive", str(folder / "archive"), "--store", url),
    ):
        done = CliRunner().invoke(main, words)
        assert done.exit_code == 0, done.output
    return url, folder / "archive"


@pytest.mark.shared
def test_the_shop_by_session_and_by_user_is_what_pandas_counts(shop: tuple[str, Path], shared_data: Path) -> None:
    expected = {"session": by_pandas(shared_data / "ecom.csv.gz", "session_id")}
    expected["member"] = by_pandas(shared_data / "ecom.csv.gz", "user_id")
    assert expected == {"session": BY_SESSION, "member": BY_USER}
    both: list[dict[str, Any]] = [{"store": shop[0]}, {"archive": shop[1]}]
    units: list[Any] = ["session", "member"]
    for opened in both:
        with opened_tables(**opened) as tables:
            found = {unit: event_funnel(tables, SHOP, unit=unit) for unit in units}
        assert {unit: [step.count for step in each.total.steps] for unit, each in found.items()} == expected


@pytest.mark.shared
@pytest.mark.parametrize(("unit", "counts"), [("session", BY_SESSION), ("member", BY_USER)])
def test_the_command_says_which_of_the_two_it_shows(shop: tuple[str, Path], unit: str, counts: list[int]) -> None:
    words = ["funnel", "--steps", ",".join(SHOP), "--unit", unit, "--store", shop[0]]
    done = CliRunner().invoke(main, words)
    lines = done.output.splitlines()
    assert lines[0] == f"Everybody (by {unit})"
    assert [int(line.split()[1].replace(",", "")) for line in lines[1:7]] == counts
    assert f"{unit.capitalize()}s are counted" in done.output


@pytest.mark.shared
def test_the_shop_in_postgresql_is_the_same(shared_data: Path, new_postgresql: Callable[[], str]) -> None:
    url = new_postgresql()
    CliRunner().invoke(main, ["import", str(shared_data / "ecom.csv.gz"), "--timezone", "UTC", "--store", url])
    with opened_tables(store=url) as tables:
        found = event_funnel(tables, SHOP, unit="session")
    assert [step.count for step in found.total.steps] == BY_SESSION
