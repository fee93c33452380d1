"""Features of a store: what was reached before the observation, and nothing after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from nudge_sdk import NudgeClient
from nudge_sdk.cli import main
from nudge_sdk.insights.features import Asked, features_of, observe, points_of
from nudge_sdk.insights.journeys import refresh
from nudge_sdk.insights.milestone_signals import milestone_signals
from nudge_sdk.insights.observations import Observations
from nudge_sdk.insights.tables import opened_tables
from nudge_sdk.rules.authoring import parse_definition
from nudge_sdk.rules.definition import Definition
from nudge_sdk.rules.times import DAY, HOUR, to_iso, to_micros
from nudge_sdk.store.protocol import Exposure
from nudge_sdk.testing import START, Clock, memory_client

BEGIN = to_micros(START)
MIDNIGHT = BEGIN // DAY * DAY
NOW = MIDNIGHT + 60 * DAY


def product(*milestones: dict[str, Any], **changes: Any) -> Definition:
    segment = {"key": "all", "member": {"warm": {"score": 5}}}
    return parse_definition({"name": "product", "milestones": list(milestones), "segments": [segment], **changes})


def milestone(key: str, at_least: float = 1, days: int | None = 14, **signal: Any) -> dict[str, Any]:
    window = {"ever": True} if days is None else {"days": days}
    return {"key": key, "signal": {"event": key, **signal}, "at_least": at_least, "points": 5, "window": window}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(tmp_path: Path, clock: Clock) -> Iterator[NudgeClient]:
    made = memory_client(store=f"sqlite:///{tmp_path}/nudge.db", clock=clock)
    made.store.migrate()
    yield made
    made.close()


@pytest.fixture
def observed(client: NudgeClient, clock: Clock, tmp_path: Path) -> Callable[..., Observations]:
    """Let things happen, in any order, and observe everybody."""

    def run(definition: Definition, *happened: tuple[str, str, int], **asked: Any) -> Observations:
        client.publish(definition)
        for user, name, at in sorted(happened, key=lambda each: each[2]):
            clock.set(datetime.fromtimestamp(at / 10**6, UTC))
            if name == "paid":
                client.convert(f"account-{user}", user=user)
            else:
                client.track(user, name, {"file": name + str(at)}, account=f"account-{user}")
        return look(client, tmp_path, **asked)

    return run


def look(client: NudgeClient, folder: Path, **asked: Any) -> Observations:
    rules = client.decider.catalog().rules
    refresh(client.store, rules, NOW)
    with opened_tables(store=f"sqlite:///{folder}/nudge.db") as tables:
        return observe(client.store, tables, rules, Asked(**{"now": NOW, **asked}))


def test_only_what_was_reached_within_the_first_days_counts(observed: Callable[..., Observations]) -> None:
    last, after = MIDNIGHT + 14 * DAY - 1, MIDNIGHT + 14 * DAY
    found = observed(
        product(milestone("sent")),
        *(("ada", "signed_up", BEGIN), ("ada", "sent", last)),
        *(("bob", "signed_up", BEGIN), ("bob", "sent", after)),
        *(("cyd", "signed_up", BEGIN), ("cyd", "paid", after + 20 * DAY)),
    )
    assert found.values[:, 0].tolist() == [1, 0, 0]
    assert found.paid.tolist() == [False, False, True]
    assert found.observed_at is not None
    assert found.observed_at.tolist() == [after] * 3
    assert found.known_at["sent"][0] < after
    assert np.isnan(found.known_at["sent"][1:]).all()


@pytest.mark.parametrize(
    ("paid_at", "expected"),
    [
        (MIDNIGHT + 14 * DAY - 1, ("paid before the observation", 1)),
        (MIDNIGHT + 14 * DAY, True),
        (MIDNIGHT + 44 * DAY - 1, True),
        (MIDNIGHT + 44 * DAY, False),
    ],
)
def test_paying_counts_from_the_observation_for_so_many_days(
    observed: Callable[..., Observations], paid_at: int, expected: Any
) -> None:
    found = observed(product(milestone("sent")), ("ada", "sent", BEGIN), ("ada", "paid", paid_at))
    if isinstance(expected, bool):
        assert found.paid.tolist() == [expected]
    else:
        assert found.left_out == (expected,)


def test_those_whose_time_is_not_over_are_left_out(observed: Callable[..., Observations]) -> None:
    given = (("ada", "sent", BEGIN), ("bob", "sent", MIDNIGHT + 16 * DAY), ("cyd", "sent", MIDNIGHT + 17 * DAY))
    found = observed(product(milestone("sent")), *given)
    assert len(found.paid) == 2
    assert found.left_out == (("their 30 days to pay are not over", 1),)


@pytest.mark.parametrize(
    ("signal", "times", "expected"),
    [
        ({"at_least": 3}, [0, 1, 20], 0),
        ({"at_least": 3}, [0, 1, 13], 1),
        ({"at_least": 2, "days": 3}, [0, 5, 9], 0),
        ({"at_least": 2, "days": 3}, [0, 5, 7], 1),
        ({"at_least": 2, "measure": "days"}, [0, 0.1, 15], 0),
        ({"at_least": 2, "measure": "days"}, [0, 1, 15], 1),
        ({"at_least": 3, "measure": "streak"}, [1, 2, 13, 14, 15], 0),
        ({"at_least": 3, "measure": "streak"}, [1, 2, 3], 1),
        ({"at_least": 2, "measure": "values", "property": "file"}, [0, 20], 0),
        ({"at_least": 2, "measure": "values", "property": "file"}, [0, 5], 1),
        ({"at_least": 2, "measure": "values", "property": "file", "days": 3}, [0, 5], 0),
        ({"at_least": 2, "measure": "values", "property": "file", "days": None}, [0, 5, 20], 1),
        ({"at_least": 2, "measure": "values", "property": "file", "days": None}, [0, 20, 25], 0),
    ],
)
def test_each_measure_looks_at_nothing_later(
    observed: Callable[..., Observations], signal: dict[str, Any], times: list[float], expected: int
) -> None:
    happened = [("ada", "sent", BEGIN + round(day * DAY)) for day in times]
    assert observed(product(milestone("sent", **signal)), *happened).values.tolist() == [[expected]]


@pytest.mark.parametrize(
    ("unit", "offered_to", "at", "expected"),
    [
        ("member", "ada", MIDNIGHT + 43 * DAY, [True, False]),
        ("member", "ada", MIDNIGHT + 44 * DAY, [False, False]),
        ("member", "bob", MIDNIGHT + 2 * DAY, [False, True]),
        ("account", "bob", MIDNIGHT + 2 * DAY, [True, True]),
    ],
)
def test_a_nudge_counts_until_the_outcome_is_known_and_for_the_whole_account_where_that_buys(
    client: NudgeClient, tmp_path: Path, unit: str, offered_to: str, at: int, expected: list[bool]
) -> None:
    client.publish(product(milestone("sent"), goals=[{"key": "paid", "unit": unit}]))
    for user in ("ada", "bob"):
        client.track(user, "sent", account="acme")
    offered = Exposure("acme", offered_to, "e1", "offered", "upgrade", "", "top", at, 1, "paid")
    with client.store.transaction(wait=5) as transaction:
        transaction.add_exposures([offered])
    found = look(client, tmp_path)
    assert found.nudged is not None
    assert found.nudged.tolist() == expected
    assert found.clusters is not None
    assert found.clusters.tolist() == [0, 0]


def test_a_milestone_that_is_defined_later_is_observed_when_it_was_done(
    client: NudgeClient, observed: Callable[..., Observations], tmp_path: Path
) -> None:
    observed(product(milestone("other")), ("ada", "signed_up", BEGIN), ("ada", "sent", BEGIN + DAY))
    client.publish(product(milestone("other"), milestone("sent")))
    assert look(client, tmp_path).values.tolist() == [[0, 1]]


def test_imported_history_is_observed_when_it_happened(client: NudgeClient, tmp_path: Path) -> None:
    client.publish(product(milestone("sent")))
    file = tmp_path / "history.csv"
    rows = (("ada", "sent", 0), ("bob", "signed_up", 0), ("bob", "sent", 20))
    lines = [f"{user},{name},{to_iso(BEGIN + day * DAY)}" for user, name, day in rows]
    file.write_text("\n".join(["user_id,event,timestamp", *lines]) + "\n")
    run = CliRunner().invoke(main, ["import", str(file), "--store", f"sqlite:///{tmp_path}/nudge.db", "--quiet"])
    assert run.exit_code == 0, run.output
    assert look(client, tmp_path).values.tolist() == [[1], [0]]


def test_only_milestones_of_the_score_that_count_events_are_features(client: NudgeClient) -> None:
    client.publish(
        product(
            milestone("sent"),
            {"key": "is_admin", "when": {"trait": "role", "equals": "admin"}},
            {**milestone("large"), "axis": "fit"},
            {**milestone("invited"), "subject": "account", "points": 3},
        )
    )
    rules = client.decider.catalog().rules
    assert [each.key for each in features_of(rules)] == ["sent"]
    assert [each.key for each in features_of(rules, "account")] == ["invited"]
    assert points_of(rules)["sent"] == 5000
    assert points_of(rules)["invited"] == 3000


def test_accounts_are_observed_by_their_own_milestones(observed: Callable[..., Observations]) -> None:
    account = {**milestone("sent", 2), "subject": "account"}
    given = (("ada", "sent", BEGIN), ("ada", "sent", BEGIN + HOUR), ("bob", "sent", BEGIN))
    found = observed(product(milestone("sent2"), account), *given, unit="account")
    assert found.values[:, 0].tolist() == [1, 0]


def test_of_many_a_sample_is_observed_the_same_one_each_time(
    client: NudgeClient, observed: Callable[..., Observations], tmp_path: Path
) -> None:
    given = [(f"user-{number:02}", "sent", BEGIN + number * DAY) for number in range(16)]
    whole = observed(product(milestone("sent")), *given)
    first, again = (look(client, tmp_path, most=7) for _ in range(2))
    assert len(whole.paid) == 16
    assert len(first.paid) == 7
    assert first.left_out == (("more than the 7 that are observed", 9),)
    assert first.signed_up_at is not None
    assert again.signed_up_at is not None
    assert first.signed_up_at.tolist() == again.signed_up_at.tolist()


def test_milestones_that_do_not_predict_could_be_retired() -> None:
    random = np.random.default_rng(5)
    values = (random.random((3000, 4)) < (0.3, 0.4, 0.999, 0.001)).astype(float)
    paid = random.random(3000) < 0.1 + 0.3 * values[:, 0]
    given = Observations(names=("invited", "viewed", "signed_up", "spoke"), values=values, paid=paid)
    found = milestone_signals(given, {"invited": 5000}, {"invited": "Invited somebody"})
    assert found[0].key == "invited"
    advice = {each.key: each.advice for each in found}
    assert advice == {"invited": "keep", "viewed": "retire", "signed_up": "retire", "spoke": "wait"}
    assert (found[0].name, found[0].points) == ("Invited somebody", 5000)
    few = milestone_signals(given.only(np.arange(3000) < 40), {}, {})
    assert {each.advice for each in few if each.key == "viewed"} == {"wait"}
