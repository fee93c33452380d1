"""The trend: weeks, markers, and what changed around them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pytest
from click.testing import CliRunner, Result

from nudge_sdk import NudgeClient, Options
from nudge_sdk.cli import main
from nudge_sdk.insights.tables import Tables
from nudge_sdk.insights.trend import Marker, Week, changes, publications, releases, trend, trend_words
from nudge_sdk.rules.times import DAY, to_micros
from nudge_sdk.testing import Clock, memory_client
from tests.admin.conftest import START, fill
from tests.insights.given_tables import given_tables

MONDAY = to_micros("2026-03-02T00:00:00Z")
NOW = MONDAY + 2 * DAY
WEEK = 7 * DAY

Engine = Literal["sqlite", "duckdb"]


def member(account: str, user: str, **instants: int) -> dict[str, Any]:
    return {"account_id": account, "user_id": user, "segment": "smb", "source": "ads", **instants}


def tables(on: Engine = "sqlite") -> Tables:
    journeys = [
        member("a", "", signed_up_at=MONDAY - 15 * DAY, qualified_at=MONDAY - 8 * DAY, hot_at=MONDAY - 1),
        member("a", "u", signed_up_at=MONDAY - 15 * DAY, qualified_at=MONDAY - 8 * DAY, won_at=MONDAY),
        member("a", "v", signed_up_at=MONDAY - 14 * DAY, qualified_at=MONDAY - 7 * DAY),
        {**member("b", "", signed_up_at=MONDAY, won_at=MONDAY + DAY), "segment": "big", "source": ""},
        {**member("b", "w", signed_up_at=MONDAY, qualified_at=NOW), "segment": "big", "source": ""},
        {**member("b", "x", signed_up_at=MONDAY - 400 * DAY), "segment": "big"},
    ]
    events = [
        {"account_id": "a", "user_id": "u", "name": "e", "at": at, "day": at // DAY, "release": release}
        for at, release in (
            (MONDAY - 16 * DAY, "1.0"),
            (MONDAY - 5 * DAY, "1.0"),
            (MONDAY - 4 * DAY, "1.1"),
            (MONDAY - 3 * DAY, "1.1"),
            (MONDAY, None),
            (MONDAY, ""),
        )
    ]
    return given_tables(on=on, journeys=journeys, events=events)


def counted(week: Week) -> tuple[int, int, int, int]:
    return (week.sign_ups, week.pqls, week.pqas, week.won)


@pytest.mark.parametrize("on", ["sqlite", "duckdb"])
def test_everybody_counts_once_in_the_week_of_the_first_time(on: Engine) -> None:
    found = trend(tables(on), now=NOW, weeks=4)
    assert [each.begins_at for each in found.weeks] == [MONDAY - 3 * WEEK + place * WEEK for place in range(4)]
    assert [each.is_over for each in found.weeks] == [True, True, True, False]
    assert [counted(each) for each in found.weeks] == [(1, 0, 0, 0), (1, 1, 0, 0), (0, 1, 1, 0), (1, 1, 0, 1)]


def test_weeks_begin_on_mondays_in_utc() -> None:
    first = trend(tables(), now=NOW, weeks=1).weeks[0].begins_at
    assert datetime.fromtimestamp(first / 1_000_000, UTC).strftime("%A %H:%M:%S") == "Monday 00:00:00"
    for at, begins in ((MONDAY, MONDAY), (MONDAY - 1, MONDAY - WEEK), (MONDAY + WEEK - 1, MONDAY)):
        assert trend(tables(), now=at, weeks=1).weeks[0].begins_at == begins


def test_a_segment_and_a_source_restrict_whom_it_counts() -> None:
    big = trend(tables(), now=NOW, weeks=2, segment="big")
    assert [counted(each) for each in big.weeks] == [(0, 0, 0, 0), (1, 1, 0, 1)]
    ads = trend(tables(), now=NOW, weeks=2, source="ads")
    assert [counted(each) for each in ads.weeks] == [(0, 1, 1, 0), (0, 0, 0, 0)]
    assert counted(trend(tables(), now=NOW, weeks=1, segment="nobody").weeks[0]) == (0, 0, 0, 0)


def test_a_release_is_marked_at_its_first_event_and_the_one_before_is_not() -> None:
    found = releases(tables(), since=MONDAY - 5 * DAY)
    assert [(each.name, each.at) for each in found] == [("1.1", MONDAY - 4 * DAY)]


def test_publications_are_marked_when_they_came_into_force() -> None:
    client = memory_client("segments: [{key: all}]")
    client.publish("segments: [{key: all, name: Everybody}]", note="a name")
    found = publications(client.store)
    assert [(each.name, each.note, each.kind) for each in found] == [
        ("1", "The definition the host came with", "publication"),
        ("2", "a name", "publication"),
    ]


def weeks_of(*pqls: int) -> list[Week]:
    begin = MONDAY - (len(pqls) - 1) * WEEK
    return [
        Week(begins_at=begin + place * WEEK, is_over=place < len(pqls) - 1, pqls=number, pqas=0)
        for place, number in enumerate(pqls)
    ]


def marker(at: int, name: str = "2") -> Marker:
    return Marker(at=at, kind="release", name=name)


def test_four_whole_weeks_on_each_side_are_compared_without_the_week_of_the_marker() -> None:
    weeks = weeks_of(100, 10, 10, 10, 10, 55, 20, 20, 20, 20, 100, 7)
    change = changes(weeks, [marker(weeks[5].begins_at + DAY)])[0]
    assert (change.before, change.weeks_before, change.after, change.weeks_after) == (40, 4, 80, 4)
    assert change.ratio is not None
    assert change.ratio.ratio == 2
    assert change.ratio.low > 1


def test_the_running_week_is_not_compared_and_too_few_give_no_ratio() -> None:
    weeks = weeks_of(10, 10, 5, 9)
    change = changes(weeks, [marker(weeks[2].begins_at)])[0]
    assert (change.after, change.weeks_after, change.ratio) == (0, 0, None)
    none_before = changes(weeks_of(0, 0, 3, 9, 9), [marker(weeks_of(0, 0, 3, 9, 9)[2].begins_at)])[0]
    assert (none_before.before, none_before.after, none_before.ratio) == (0, 9, None)


def test_what_happened_in_the_same_weeks_is_named() -> None:
    weeks = weeks_of(*[10] * 12)
    near, far = marker(weeks[7].begins_at, "3"), marker(weeks[11].begins_at, "4")
    found = changes(weeks, [marker(weeks[4].begins_at), near, far])
    assert found[0].others == ("release 3",)
    assert found[2].others == ("release 2", "release 4")


def test_markers_outside_the_weeks_are_left_out() -> None:
    found = trend(tables(), now=NOW, weeks=2, markers=[marker(MONDAY - 30 * DAY), marker(MONDAY, "5"), marker(NOW + 1)])
    assert [each.name for each in found.markers] == ["5"]


def test_the_words_name_weeks_markers_and_changes() -> None:
    found = trend(tables(), now=NOW, weeks=3, markers=[marker(MONDAY - WEEK)])
    lines = trend_words(found)
    assert lines[0].split() == ["week", "of", "sign-ups", "PQLs", "PQAs", "won"]
    assert "release 2" in lines[2]
    assert lines[3].endswith("not over yet")
    assert lines[4] == "Release 2: PQLs went from 1 to 0: too few weeks, or too few of them, to compare."


@pytest.fixture
def store(tmp_path: Path) -> str:
    """A store with one account that became hot on 2026-05-04, and one where little was done."""
    url = f"sqlite:///{tmp_path / 'nudges.db'}"
    options = Options(on_error="raise", release="7.1")
    with NudgeClient(url, drain="inline", clock=Clock(START), options=options) as client:
        fill(client)
    return url


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["trend", *words, "--weeks", "2", "--at", "2026-05-06T00:00:00Z"])


def test_the_command_prints_weeks_in_words_as_json_and_as_csv(store: str) -> None:
    words = run("--store", store)
    assert words.exit_code == 0, words.output
    assert "definition 1, release 7.1, not over yet" in words.output
    told = json.loads(run("--store", store, "--json").output)
    assert [(week["pqls"], week["pqas"]) for week in told["weeks"]] == [(0, 0), (1, 1)]
    assert [marker["name"] for marker in told["markers"]] == ["1", "7.1"]
    lines = run("--store", store, "--csv", "--segment", "enterprise").output.splitlines()
    assert lines[0] == "begins_at,is_over,sign_ups,pqls,pqas,won"
    assert lines[2].endswith(",0,0,0,0")


def test_the_command_reads_an_archive_as_well(store: str, tmp_path: Path) -> None:
    folder = str(tmp_path / "archive")
    assert CliRunner().invoke(main, ["archive", "--store", store, folder]).exit_code == 0
    told = json.loads(run("--archive", folder, "--json").output)
    assert [week["pqls"] for week in told["weeks"]] == [0, 1]
    assert [marker["kind"] for marker in told["markers"]] == ["release"]


def test_the_command_says_what_is_missing() -> None:
    assert "say what to read" in CliRunner().invoke(main, ["trend"], env={"NUDGE_STORE": ""}).output
