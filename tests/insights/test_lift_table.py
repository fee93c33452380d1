"""Any experiment given as a table, from the function and from the command line."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from nudge_sdk.cli import main
from nudge_sdk.errors import ImportFileError, SetupError
from nudge_sdk.insights.lift_reports import Verdict
from nudge_sdk.insights.lift_table import (
    Columns,
    ExperimentFile,
    ExperimentRow,
    TableDesign,
    lift_of_table,
    parse_ratio,
)
from nudge_sdk.insights.statistics.clusters import ClusterCounts, clustered_difference
from nudge_sdk.insights.statistics.comparisons import compare

NEWCOMBE = [ExperimentRow("control", number < 48) for number in range(80)]
NEWCOMBE += [ExperimentRow("treatment", number < 56) for number in range(70)]


def written(rows: list[ExperimentRow], path: Path) -> Path:
    lines = [f"{row.arm},{int(row.has_won)},{row.cluster}" for row in rows]
    path.write_text("\n".join(["group,paid,account", *lines]) + "\n", encoding="utf-8")
    return path


def run(*arguments: str | Path, **named: Any) -> Any:
    return CliRunner().invoke(main, ["lift", *map(str, arguments)], env={"NUDGE_STORE": ""}, **named)


def test_a_published_table_gets_its_published_interval() -> None:
    (found,) = lift_of_table(NEWCOMBE, TableDesign(planned=150, ratio=(80, 70)))
    assert found.verdict is Verdict.GAIN
    assert found.final == compare((48, 80), (56, 70))
    assert found.final is not None
    assert (found.final.low, found.final.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert (found.control.name, found.treated.name, found.key) == ("control", "treatment", "treatment")


def test_without_a_size_fixed_beforehand_there_is_no_verdict() -> None:
    (found,) = lift_of_table(NEWCOMBE, TableDesign())
    assert (found.verdict, found.final) == (Verdict.NOT_YET, None)
    (found,) = lift_of_table(NEWCOMBE, TableDesign(planned=151))
    assert found.verdict is Verdict.NOT_YET
    assert "150 of 151 rows" in found.reason


@settings(max_examples=30, deadline=None)
@given(
    rows=st.lists(
        st.builds(ExperimentRow, st.sampled_from("ab"), st.booleans(), st.sampled_from("xyzuv"), st.just("")),
        min_size=8,
        max_size=60,
    ).filter(lambda rows: {row.arm for row in rows} == {"a", "b"}),
    seed=st.randoms(use_true_random=False),
)
def test_rows_are_counted_as_a_plain_loop_counts_them_in_any_order(rows: list[ExperimentRow], seed: Any) -> None:
    (found,) = lift_of_table(rows, TableDesign(planned=len(rows)))
    arms = {arm: [row.has_won for row in rows if row.arm == arm] for arm in "ab"}
    assert found.final == compare(*((sum(won), len(won)) for won in arms.values()))
    columns = [
        [
            sum(1 for row in rows if row.arm == arm and row.cluster == name and (row.has_won or not needs))
            for name in "xyzuv"
        ]
        for arm in "ab"
        for needs in (True, False)
    ]
    assert found.final_clustered is not None
    expected = clustered_difference(ClusterCounts(*columns))
    assert found.final_clustered.error == pytest.approx(expected.error)
    shuffled = list(rows)
    seed.shuffle(shuffled)
    (again,) = lift_of_table(shuffled, TableDesign(planned=len(rows)))
    assert again.final == found.final


def test_several_arms_are_each_compared_with_the_control_and_all_right_together() -> None:
    rows = [
        ExperimentRow(arm, number < won)
        for arm, won in (("b", 20), ("control", 10), ("c", 11))
        for number in range(100)
    ]
    second, third = lift_of_table(rows, TableDesign(planned=200, ratio=(1, 1, 1)))
    assert (second.key, third.key) == ("b", "c")
    assert second.confidence == pytest.approx(0.975)
    assert second.final == compare((10, 100), (20, 100), confidence=second.confidence)
    assert second.ratio.freedom == 2
    assert "97.5 % interval" in second.reason


def test_of_a_unit_in_several_rows_the_first_tells_its_arm_and_one_success_is_enough() -> None:
    rows = [
        ExperimentRow("control", False, "", "ada"),
        ExperimentRow("control", True, "", "ada"),
        ExperimentRow("test", False, "", "ada"),
        ExperimentRow("test", False, "", "bob"),
    ]
    (found,) = lift_of_table(rows, TableDesign(planned=2))
    assert (found.control.seen.count, found.control.seen.of) == (1, 1)
    assert (found.treated.seen.count, found.treated.seen.of) == (0, 1)
    assert (found.exposures.several, found.exposures.units) == (1, 2)


def test_too_many_units_in_both_arms_forbid_a_verdict() -> None:
    rows = [ExperimentRow(arm, True, "", f"unit-{number}") for number in range(40) for arm in ("a", "b")]
    rows += [ExperimentRow("b", True, "", f"other-{number}") for number in range(40)]
    (found,) = lift_of_table(rows, TableDesign(planned=10))
    assert found.verdict is Verdict.INVALID
    assert "40 of 80 units" in found.reason


def test_where_every_cluster_is_in_one_arm_clusters_are_what_was_drawn() -> None:
    rows = [ExperimentRow("control", False, f"small-{number}") for number in range(40)]
    rows += [ExperimentRow("test", False, f"large-{number // 5}") for number in range(200)]
    (found,) = lift_of_table(rows, TableDesign(ratio=(1, 1)))
    assert {each.name: each.units for each in found.ratio.arms} == {"control": 40, "test": 40}
    mixed = [*rows, ExperimentRow("control", False, "large-0")]
    (found,) = lift_of_table(mixed, TableDesign(ratio=(1, 1)))
    assert {each.name: each.units for each in found.ratio.arms} == {"control": 41, "test": 200}


def test_an_arm_that_nobody_should_be_in_forbids_a_verdict() -> None:
    rows = [*NEWCOMBE, ExperimentRow("wrong", True)]
    (found, _) = lift_of_table(rows, TableDesign(planned=100, ratio=(80, 70, 0)))
    assert found.verdict is Verdict.INVALID
    assert "wrong" in found.reason


@pytest.mark.parametrize(
    ("rows", "design", "what"),
    [
        ([], {}, "2 to 20 arms, this has 0"),
        (NEWCOMBE[:10], {}, "this has 1: control"),
        (NEWCOMBE, {"control": "nobody"}, "there is no arm 'nobody'; the arms are control, treatment"),
        (NEWCOMBE, {"ratio": (1, 1, 1)}, "3 numbers for 2 arms: control, treatment, in this order"),
        ([ExperimentRow(arm, True) for arm in ("blue", "red")], {}, "--control blue"),
        ([ExperimentRow(f"{number}.50", True) for number in range(50)], {}, "this has 50"),
    ],
)
def test_tables_that_tell_nothing_are_refused(rows: list[ExperimentRow], design: dict[str, Any], what: str) -> None:
    with pytest.raises(SetupError, match=what):
        lift_of_table(rows, TableDesign(**design))


@pytest.mark.parametrize("text", ["50", "a:b", "0:0", "-1:2", "50:nan", "1:inf", ""])
def test_a_ratio_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SetupError, match="write 50:50"):
        parse_ratio(text)
    assert parse_ratio("20:80") == (20, 80)


def test_bad_lines_are_set_aside_with_number_and_reason_and_the_rest_goes_on() -> None:
    lines = ["\ufeffwho,group, paid,account", "a,control,1,x", "b,,1,x", "c,test,perhaps,x", "d,test", "e,test,no,"]
    lines += ["", "f,test,FALSE,y", ",test,1,z", ""]
    table = ExperimentFile(io.BytesIO("\n".join(lines).encode()), Columns("group", "paid", "account", "who"), "t.csv")
    assert list(table.rows()) == [ExperimentRow("control", True, "x", "a"), ExperimentRow("test", False, "y", "f")]
    assert table.set_aside.rows == 5
    reasons = dict(table.set_aside.first)
    assert reasons[3] == "says no arm"
    assert reasons[4] == "'perhaps' is no outcome; write 1 or 0, yes or no, true or false"
    assert reasons[5] == "has 2 cells where the first line has 4"
    assert (reasons[6], reasons[9]) == ("says no cluster", "says no unit")


def test_a_file_without_the_columns_is_refused() -> None:
    with pytest.raises(ImportFileError, match=r"--outcome 'paid', --cluster 'team'; its first line names: 'group'"):
        ExperimentFile(io.BytesIO(b"group\na\n"), Columns("group", "paid", "team"), "t.csv")


def test_the_command_judges_a_table(tmp_path: Path) -> None:
    path = written(NEWCOMBE, tmp_path / "t.csv")
    path.write_text(path.read_text(encoding="utf-8") + "control,maybe,\n", encoding="utf-8")
    found = run("--csv", path, "--arm", "group", "--outcome", "paid", "--planned", "150", "--ratio", "8:7")
    assert found.exit_code == 0, found.output
    assert "Gain: Of treatment 80.0 % met the goal, of control 60.0 %: 20.0 points more" in found.stdout
    assert "relative lift +33 %" in found.stdout
    assert "line 152 set aside" in found.stderr
    as_json = run("--csv", path, "--arm", "group", "--outcome", "paid", "--json")
    (report,) = json.loads(as_json.stdout)
    assert (report["verdict"], report["treated"]["seen"]["count"]) == ("not yet", 56)
    as_csv = run("--csv", "-", "--arm", "group", "--outcome", "paid", "--as-csv", input=path.read_bytes())
    header, row = as_csv.stdout.splitlines()
    assert dict(zip(header.split(","), row.split(","), strict=False))["treated_won"] == "56"


def test_the_command_calls_association_what_chance_did_not_choose(tmp_path: Path) -> None:
    path = written(NEWCOMBE, tmp_path / "t.csv")
    found = run("--csv", path, "--arm", "group", "--outcome", "paid", "--planned", "150", "--not-randomised")
    assert "Association: " in found.stdout
    assert "Gain" not in found.stdout


def test_the_command_takes_clusters(tmp_path: Path) -> None:
    rows = [row._replace(cluster=f"account-{number // 5}") for number, row in enumerate(NEWCOMBE)]
    path = written(rows, tmp_path / "t.csv")
    columns = ["--arm", "group", "--outcome", "paid", "--cluster", "account"]
    found = run("--csv", path, *columns, "--planned", "150")
    assert "No difference shown" in found.stdout
    assert "30 accounts: with that allowed for" in found.stdout


def test_the_command_says_how_large_an_experiment_has_to_be() -> None:
    found = run("--plan", "--baseline", "0.10", "--effect", "0.05", "--share", "0.2")
    assert "2,224 units (445 in the control, 1,779 treated)" in found.stdout
    found = run("--plan", "--baseline", "0.10", "--units", "1372", "--json")
    assert json.loads(found.stdout)["effect"] == pytest.approx(0.05, abs=1e-4)


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--plan"], "say --baseline, and either --effect or --units"),
        (["--plan", "--baseline", "0.1", "--units", "3"], "too few to find anything"),
        (["--plan", "--baseline", "10", "--effect", "5"], "write 10 % as 0.10"),
        ([], "Say what to report on"),
        (["--csv", "x.csv"], "--arm COL --outcome COL"),
        (["--csv", "x.csv", "--plan"], "Say one of --plan, --csv"),
        (["--csv", "nowhere.csv", "--arm", "a", "--outcome", "b"], "nowhere.csv cannot be read"),
        (["--store", "sqlite:///nowhere.db"], "is not there"),
        (["--archive", "nowhere"], "--definition FILE"),
        (["--store", "sqlite:///x.db", "--baseline", "0.1"], "--baseline and --effect together"),
    ],
)
def test_the_command_says_what_is_wrong_and_what_to_do(arguments: list[str], what: str) -> None:
    found = run(*arguments)
    assert found.exit_code == 2
    assert what in found.stderr


def test_a_table_of_nothing_readable_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("group,paid\na,perhaps\n", encoding="utf-8")
    found = run("--csv", path, "--arm", "group", "--outcome", "paid")
    assert found.exit_code == 2
    assert "nothing in" in found.stderr
    assert "line 2 set aside" in found.stderr
