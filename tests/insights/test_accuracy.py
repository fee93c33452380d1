"""Accuracy, beside a plain reading of the journeys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from nudge_sdk import NudgeClient
from nudge_sdk.cli import main
from nudge_sdk.errors import SetupError
from nudge_sdk.insights.accuracy import Asked, accuracy, accuracy_rows, accuracy_words, band_of, scored_events
from nudge_sdk.insights.accuracy_reports import AccuracyReport, Band
from nudge_sdk.insights.benchmarks import (
    DEFAULTS,
    LOOSE,
    WELL,
    Benchmark,
    read_benchmarks,
    save_benchmarks,
    stored_benchmarks,
)
from nudge_sdk.insights.statistics.intervals import rate
from nudge_sdk.insights.statistics.survival import kaplan_meier
from nudge_sdk.rules.conditions import Signal
from nudge_sdk.rules.definition import Definition, Milestone
from nudge_sdk.rules.times import DAY, HOUR
from nudge_sdk.testing import Clock, memory_client
from tests.insights.given_tables import given_tables

NOW = 20_000 * DAY + 11 * HOUR
START = NOW - 100 * DAY

instants = st.one_of(st.none(), st.integers(0, 100 * 4).map(lambda quarters: START + quarters * 6 * HOUR))
people = st.lists(
    st.fixed_dictionaries({"signed_up_at": instants, "qualified_at": instants, "hot_at": instants, "won_at": instants}),
    max_size=30,
)


def members(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"account_id": "acme", "user_id": f"user-{number}", "events": 3, **row} for number, row in enumerate(rows)]


def judged(rows: list[dict[str, Any]], **asked: Any) -> AccuracyReport:
    return accuracy(given_tables(journeys=members(rows)), Asked(unit="member", at=NOW, **asked))


def plainly(rows: list[dict[str, Any]], flag: str, within: float | None) -> dict[str, int]:
    """Count one person at a time."""
    window = None if within is None else round(within * DAY)
    found = dict.fromkeys(
        ("tp", "fp", "fn", "tn", "waiting", "already", "late", "of", "hits", "others", "other_hits"), 0
    )
    for row in rows:
        flagged, won, since = row["qualified_at" if flag == "pql" else "hot_at"], row["won_at"], row["signed_up_at"]
        is_before = flagged is not None and won is not None and flagged < won
        is_over = flagged is not None and (window is None or flagged + window <= NOW)
        is_hit = is_before and (window is None or won <= flagged + window)
        found["tp"] += is_before
        found["late"] += is_before and not is_hit
        found["fn"] += won is not None and not is_before
        found["already"] += won is not None and flagged is not None and not is_before
        found["fp"] += won is None and is_over
        found["waiting"] += won is None and flagged is not None and not is_over
        found["tn"] += won is None and flagged is None
        is_in_time = flagged is not None and (won is None or is_before)
        found["of"] += is_in_time and is_over
        found["hits"] += is_hit and is_over
        is_other = not is_in_time and since is not None and (window is None or since + window <= NOW)
        found["others"] += is_other
        found["other_hits"] += is_other and won is not None and (window is None or won <= since + window)
    return found


@given(people, st.sampled_from(["pql", "pqa"]), st.sampled_from([None, 10.0, 30.0]))
@settings(deadline=None, max_examples=40)
def test_the_counts_are_those_of_a_plain_reading(rows: list[dict[str, Any]], flag: Any, within: float | None) -> None:
    report = judged(rows, flag=flag, within_days=within, has_lists=False)
    expected = plainly(rows, flag, within)
    assert {
        "tp": report.true_positives, "fp": report.false_positives, "fn": report.false_negatives,
        "tn": report.true_negatives, "waiting": report.waiting, "already": report.already_won, "late": report.late,
        "of": report.precision.of, "hits": report.precision.count,
        "others": report.others.of, "other_hits": report.others.count,
    } == expected  # fmt: skip
    assert report.recall == rate(expected["tp"], expected["tp"] + expected["fn"])
    whole = ("true_positives", "false_positives", "false_negatives", "true_negatives", "waiting")
    assert sum(getattr(report, name) for name in whole) == len(rows)
    in_time = [row for row in rows if _is_in_time(row, flag)]
    assert report.time_to_conversion == kaplan_meier(*_watched(in_time, flag))


def _is_in_time(row: dict[str, Any], flag: str) -> bool:
    flagged = row["qualified_at" if flag == "pql" else "hot_at"]
    return flagged is not None and (row["won_at"] is None or flagged < row["won_at"])


def _watched(rows: list[dict[str, Any]], flag: str) -> tuple[list[int], list[bool]]:
    name = "qualified_at" if flag == "pql" else "hot_at"
    ends = [NOW if row["won_at"] is None else row["won_at"] for row in rows]
    days = [(end - row[name]) // DAY for end, row in zip(ends, rows, strict=True)]
    return days, [row["won_at"] is not None for row in rows]


def test_qualifying_by_the_very_conversion_is_not_qualifying_before() -> None:
    report = judged([{"qualified_at": START, "won_at": START, "signed_up_at": START}])
    assert (report.true_positives, report.false_negatives, report.already_won, report.precision.of) == (0, 1, 1, 0)


def test_what_is_later_than_the_moment_has_not_happened() -> None:
    report = judged([{"qualified_at": NOW + 1, "won_at": NOW + 2, "signed_up_at": START}])
    assert (report.true_negatives, report.precision.of, report.others.of) == (1, 0, 1)


def test_by_default_accounts_are_judged_where_the_goal_is_theirs() -> None:
    rows = [
        {"account_id": "acme", "user_id": "", "qualified_at": START, "won_at": START + DAY},
        {"account_id": "acme", "user_id": "ann", "won_at": START + DAY},
        {"account_id": "acme", "user_id": "bob", "won_at": START + DAY},
    ]
    tables = given_tables(journeys=rows)
    report = accuracy(tables, Asked(at=NOW))
    assert (report.unit, report.true_positives, report.false_negatives) == ("account", 1, 0)
    tables.details = {"goal_unit": "member"}
    report = accuracy(tables, Asked(at=NOW))
    assert (report.unit, report.true_positives, report.false_negatives) == ("member", 0, 2)


@pytest.mark.parametrize(
    ("count", "of", "band"),
    [
        (20, 40, Band.WELL), (7, 30, Band.UNDECIDED), (30, 100, Band.WELL), (0, 40, Band.LOOSE),
        (0, 10, Band.UNDECIDED), (150, 1000, Band.BETWEEN), (15, 100, Band.UNDECIDED), (0, 0, Band.UNDECIDED),
    ],
)  # fmt: skip
def test_a_band_is_said_only_where_the_whole_interval_lies_in_it(count: int, of: int, band: Band) -> None:
    assert band_of(rate(count, of), DEFAULTS) is band


def test_an_observed_thirty_percent_is_well_calibrated_from_about_65_on() -> None:
    assert band_of(rate(18, 60), DEFAULTS) is Band.UNDECIDED
    assert band_of(rate(21, 70), DEFAULTS) is Band.WELL


def test_edited_benchmarks_move_the_bands() -> None:
    edited = (
        Benchmark(key=WELL, name="w", kind="share", low=0.5),
        Benchmark(key=LOOSE, name="l", kind="share", high=0.4),
    )
    assert band_of(rate(30, 100), edited) is Band.LOOSE
    assert band_of(rate(450, 1000), edited) is Band.BETWEEN
    assert band_of(rate(30, 100), ()) is Band.UNDECIDED


@pytest.mark.parametrize(("pql", "others", "alarm"), [(40, 2, False), (2, 40, True), (10, 8, None)])
def test_pqls_that_are_no_better_than_others_raise_the_alarm(pql: int, others: int, alarm: bool | None) -> None:
    flagged = {"signed_up_at": START, "qualified_at": START}
    rows: list[dict[str, Any]] = [{**flagged, "won_at": START + DAY if number < pql else None} for number in range(50)]
    rows += [{"signed_up_at": START, "won_at": START + DAY if number < others else None} for number in range(50)]
    report = judged(rows)
    assert report.is_alarming is alarm
    assert ("ALARM" in "\n".join(accuracy_words(report))) is (alarm is True)
    assert report.times_others == pytest.approx(pql / others)


def test_false_positives_and_negatives_are_named_the_latest_first() -> None:
    rows = [{"qualified_at": START + number * DAY, "signed_up_at": START} for number in range(60)]
    rows += [{"won_at": START + number * DAY, "signed_up_at": START} for number in range(60)]
    report = judged(rows, within_days=None)
    assert [each.user_id for each in report.missed_positives] == [f"user-{59 - number}" for number in range(50)]
    assert [each.user_id for each in report.missed_negatives] == [f"user-{119 - number}" for number in range(50)]


def event(user: str, name: str, at: int) -> dict[str, Any]:
    return {"account_id": "acme", "user_id": user, "name": name, "at": at}


def test_what_false_negatives_did_that_no_milestone_counts_is_listed() -> None:
    rows = [
        {"signed_up_at": START, "won_at": START + 10 * DAY},
        {"signed_up_at": START, "won_at": START + 10 * DAY},
        {"signed_up_at": START},
        {"signed_up_at": START, "qualified_at": START},
        {"signed_up_at": START, "qualified_at": START, "won_at": START + DAY},
    ]
    happened = [
        event("user-0", "exported", START), event("user-0", "exported", START + DAY), event("user-0", "sent", START),
        event("user-1", "exported", START), event("user-1", "invoiced", START + 10 * DAY),
        event("user-2", "exported", START), event("user-3", "browsed", START), event("user-4", "exported", START),
    ]  # fmt: skip
    tables = given_tables(journeys=members(rows), events=happened)
    report = accuracy(tables, Asked(unit="member", at=NOW, scored=frozenset({"sent"}), has_events=True))
    assert [(each.name, each.missed, each.others) for each in report.unscored] == [("exported", rate(2, 2), rate(1, 2))]
    did = {each.user_id: [(event.name, event.count) for event in each.unscored] for each in report.missed_negatives}
    assert did == {"user-0": [("exported", 2)], "user-1": [("exported", 1)]}
    assert [(each.user_id, each.unscored[0].name) for each in report.missed_positives] == [("user-3", "browsed")]
    words = "\n".join(accuracy_words(report))
    assert "exported: 100.0 % (34.2 to 100.0) of the false negatives" in words
    assert "an association, no cause" in words


def test_every_goal_of_which_something_is_stored_has_its_share() -> None:
    rows = [{"signed_up_at": START, "qualified_at": START} for _ in range(4)]
    met = [("user-0", "meeting", 2), ("user-1", "meeting", 4), ("user-2", "meeting", -1), ("user-3", "meeting", 40)]
    goals = [
        {"account_id": "acme", "user_id": user, "goal": goal, "at": START + days * DAY, "kind": "convert"}
        for user, goal, days in [*met, ("user-0", "meeting", 5), ("user-1", "paid", 1)]
    ]
    goals.append({"account_id": "acme", "user_id": "user-1", "goal": "paid", "at": START, "kind": "churn"})
    tables = given_tables(journeys=members(rows), goals=goals)
    tables.details = {"goal_unit": "member"}
    report = accuracy(tables, Asked(unit="member", at=NOW))
    assert [(each.goal, each.rate, each.median_days) for each in report.goals] == [
        ("meeting", rate(2, 3), 2.0),
        ("paid", rate(1, 4), 1.0),
    ]


def test_best_customers_stand_for_conversion() -> None:
    rows = [
        {"account_id": "acme", "user_id": "", "qualified_at": START},
        {"account_id": "acme", "user_id": "ann", "qualified_at": START},
        {"account_id": "beta", "user_id": "", "signed_up_at": START},
        {"account_id": "beta", "user_id": "bob", "signed_up_at": START},
        {"account_id": "gamma", "user_id": "", "qualified_at": START, "won_at": START + DAY, "signed_up_at": START},
    ]
    tables = given_tables(journeys=[{"events": 3, **row} for row in rows])
    asked = Asked(unit="account", at=NOW, best_customers=["acme", "bob", "zoe"])
    report = accuracy(tables, asked)
    assert (report.true_positives, report.false_negatives, report.false_positives) == (1, 1, 1)
    assert (report.precision, report.recall) == (rate(1, 2), rate(1, 2))
    assert report.unknown_ids == ("zoe",)
    assert report.time_to_conversion.watched == 0
    words = "\n".join(accuracy_words(report))
    assert "PQLs that are best customers" in words
    assert "nobody's: zoe" in words
    by_member = accuracy(tables, msgspec.structs.replace(asked, unit="member"))
    assert (by_member.true_positives, by_member.false_negatives) == (1, 1)


@pytest.mark.parametrize("asked", [{"best_customers": []}, {"best_customers": ["x"] * 0}, {"within_days": -1}])
def test_what_cannot_be_judged_says_so(asked: dict[str, Any]) -> None:
    with pytest.raises(SetupError):
        judged([], **asked)


def test_of_nobody_nothing_is_said() -> None:
    report = judged([])
    assert (report.precision.share, report.is_alarming, report.times_others, report.goals) == (None, None, None, ())
    assert "not enough data" in "\n".join(accuracy_words(report))


def test_the_table_has_a_line_for_each_figure() -> None:
    rows = {row.figure: row for row in accuracy_rows(judged([{"qualified_at": START, "won_at": START + DAY}]))}
    assert (rows["precision"].count, rows["precision"].of, rows["true_positives"].count) == (1, 1, 1)
    assert rows["recall"].share == 1.0


def test_scored_events_are_those_of_signals() -> None:
    milestones = (Milestone(key="a", signal=Signal(event=("x", "y"))), Milestone(key="b"))
    assert scored_events(Definition(milestones=milestones)) == {"x", "y"}


def test_the_defaults_name_their_sources_and_disagree_openly() -> None:
    assert all(each.source for each in DEFAULTS)
    times = [each for each in DEFAULTS if each.name == "PQL against MQL"]
    assert {(each.low, each.high) for each in times} == {(10, 30), (3, 5)}


def test_benchmarks_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "b.yaml"
    path.write_text("- {key: pql_to_paid, name: Ours, kind: share, low: 0.3, source: last year}\n")
    assert read_benchmarks(path) == (
        Benchmark(key="pql_to_paid", name="Ours", kind="share", low=0.3, source="last year"),
    )
    path.write_text('{"benchmarks": [{"key": "k", "name": "n", "kind": "times", "low": 2, "high": 5}]}')
    assert read_benchmarks(path)[0].high == 5


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[", "cannot be read as YAML"),
        ("- 3", "write a list of key"),
        ("- {key: a, name: n, kind: often, low: 1}", "kind"),
        ("- {key: a, name: n, kind: share, low: 20}", "of a share 0 to 1"),
        ("- {key: a, name: n, kind: share, low: 0.3, high: 0.2}", "low not above high"),
        ("- {key: a, name: n, kind: share}", "say low, high or both"),
        ("- {key: a, name: n, kind: share, low: 0.1}\n- {key: a, name: m, kind: share, low: 0.1}", "a key of its own"),
        ("- {key: a, name: n, kind: share, low: 0.1, colour: red}", "colour"),
    ],
)
def test_a_file_of_benchmarks_that_is_wrong_says_where(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "b.yaml"
    path.write_text(text)
    with pytest.raises(SetupError, match=told):
        read_benchmarks(path)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path, new_postgresql: Callable[[], str]) -> str:
    return f"sqlite:///{tmp_path}/n.db" if request.param == "sqlite" else new_postgresql()


@pytest.fixture
def client(url: str) -> Iterator[NudgeClient]:
    with memory_client(clock=Clock(), store=url) as client:
        client.track("ann", "sent", account="acme")
        client.track("bob", "opened", account="beta")
        yield client


def test_benchmarks_are_kept_in_the_store_until_none_are_said(client: NudgeClient) -> None:
    assert stored_benchmarks(client.store) == DEFAULTS
    edited = (Benchmark(key=WELL, name="Ours", kind="share", low=0.25, source="our own year"),)
    save_benchmarks(client.store, edited, client.now())
    assert stored_benchmarks(client.store) == edited
    with pytest.raises(SetupError):
        save_benchmarks(client.store, (Benchmark(key="", name="x", kind="share", low=0.1),), client.now())
    save_benchmarks(client.store, (), client.now())
    assert stored_benchmarks(client.store) == DEFAULTS


def test_the_command_prints_words_json_and_a_table(client: NudgeClient, url: str, tmp_path: Path) -> None:
    run = CliRunner().invoke
    words = run(main, ["accuracy", "--store", url])
    assert "PQLs that convert within 30 days (precision): 0 of 0" in words.output
    as_json = msgspec.json.decode(run(main, ["accuracy", "--store", url, "--json", "--within", "ever"]).output)
    assert (as_json["unit"], as_json["within_days"], as_json["true_negatives"]) == ("account", None, 2)
    assert "\nprecision,0,0,,0.0,1.0\n" in run(main, ["accuracy", "--store", url, "--csv"]).output
    best = tmp_path / "best.txt"
    best.write_text("acme\n\n\x00bad\nnobody\n")
    listed = run(main, ["accuracy", "--store", url, "--best-customers", str(best), "--json"])
    assert f"Warning: line 3 of {best} is no id" in listed.stderr
    assert msgspec.json.decode(listed.stdout)["unknown_ids"] == ["nobody"]
    best.write_text("\n")
    assert "names nobody" in run(main, ["accuracy", "--store", url, "--best-customers", str(best)]).output
    edited = tmp_path / "b.yaml"
    edited.write_text("- {key: x, name: House rule, kind: times, low: 2}\n")
    assert (
        "House rule: more than 2 times" in run(main, ["accuracy", "--store", url, "--benchmarks", str(edited)]).output
    )


@pytest.mark.parametrize("words", [["--within", "0d"], ["--within", "soon"], ["--unit", "session"], ["--flag", "mql"]])
def test_the_command_refuses_what_makes_no_sense(client: NudgeClient, url: str, words: list[str]) -> None:
    assert CliRunner().invoke(main, ["accuracy", "--store", url, *words]).exit_code == 2


def test_the_commands_say_what_is_missing() -> None:
    for command in ("funnel", "accuracy"):
        done = CliRunner().invoke(main, [command], env={"NUDGE_STORE": ""})
        assert done.exit_code == 2
        assert "say what to read: --store URL, or --archive FOLDER" in done.output
