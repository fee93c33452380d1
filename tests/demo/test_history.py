"""The demo's half a year of made-up accounts: the same each time, marked as made up, behind the cast, quickly made."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from nudge_sdk.demo.accounts import PREFIX, RECENT, RELEASES, WEEKS, made_up, release_at
from nudge_sdk.demo.cast import CAST
from nudge_sdk.demo.check import log_in, shown
from nudge_sdk.demo.clock import DemoClock
from nudge_sdk.demo.history import HOLDOUT, NOTE, STILL_HELD_OUT, STILL_TESTED
from nudge_sdk.demo.server import create_app
from nudge_sdk.rules.bucketing import bucket, is_held_out
from nudge_sdk.rules.times import DAY
from tests.admin.made_up import NOW, made_up_database


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    path = tmp_path_factory.mktemp("history") / "nudges.db"
    path.write_bytes(made_up_database())
    with closing(sqlite3.connect(path)) as connection:
        yield connection


def test_the_same_seed_makes_the_same_accounts_and_another_one_others() -> None:
    one, other = made_up(NOW, HOLDOUT), made_up(NOW, HOLDOUT)
    assert one == other
    assert one != made_up(NOW, HOLDOUT, seed=12)
    assert made_up(NOW, HOLDOUT)[1][0].received_at == one[1][0].at


def test_some_hundred_accounts_sign_up_within_half_a_year_and_nothing_lies_ahead() -> None:
    accounts, records = made_up(NOW, HOLDOUT)
    assert 600 <= len(accounts) <= 900
    assert all(NOW - (WEEKS * 7 + 2) * DAY <= each.signed_up_at <= NOW for each in accounts)
    assert records == sorted(records, key=lambda each: (each.at, each.id))
    assert records[-1].at <= NOW
    assert all(each.account.startswith(PREFIX) for each in accounts)
    assert all(each.account_id.startswith(PREFIX) for each in records)
    assert len({(each.account_id, each.user_id, each.id, each.at) for each in records}) == len(records)


def test_more_pay_who_were_shown_something_and_who_sorted_their_audience() -> None:
    accounts = [each for seed in range(20) for each in made_up(NOW, HOLDOUT, seed=seed)[0]]

    def paid(*, is_held_out: bool | None = None, is_keen: bool | None = None, depth: str = "team") -> float:
        found = [
            each.paid_at is not None
            for each in accounts
            if each.depth == depth and is_held_out in (None, each.is_held_out) and is_keen in (None, each.is_keen)
        ]
        return sum(found) / len(found)

    assert paid(is_held_out=False) - paid(is_held_out=True) == pytest.approx(0.34, abs=0.06)
    assert paid(is_keen=True) - paid(is_keen=False) == pytest.approx(0.22, abs=0.06)
    assert paid(depth="looked", is_held_out=False) == pytest.approx(paid(depth="looked", is_held_out=True), abs=0.02)


def test_every_name_says_that_it_is_made_up() -> None:
    names = [each.data["name"] for each in made_up(NOW, HOLDOUT)[1] if each.kind == "group" and "name" in each.data]
    assert names
    assert all(name.endswith("(made up)") for name in names)


@pytest.mark.parametrize(("days", "release"), [(200, "4.0"), (182, "4.0"), (112, "4.1"), (63, "5.0"), (0, "5.1")])
def test_events_carry_the_release_of_their_day(days: int, release: str) -> None:
    assert release_at(NOW - days * DAY, NOW) == release
    assert {name for _, name in RELEASES} == {each.release for each in made_up(NOW, HOLDOUT)[1]}


def test_what_was_withheld_is_what_the_holdouts_draw(rows: sqlite3.Connection) -> None:
    found = rows.execute("SELECT account_id, nudge, kind, holdout, at FROM nudge_exposures").fetchall()
    kinds = Counter(kind for _, _, kind, _, _ in found)
    assert kinds["offered"] > 100
    assert kinds["withheld"] > 40
    for account, nudge, kind, holdout, at in found:
        overall = is_held_out(bucket(HOLDOUT.salt, HOLDOUT.unit, account), HOLDOUT.share)
        own = nudge == STILL_TESTED and is_held_out(bucket(f"holdout:{nudge}", "account", account), STILL_HELD_OUT)
        expected = "overall" if overall and at < NOW - RECENT * DAY else "nudge" if own else ""
        assert holdout == expected
        assert (kind == "withheld") == bool(expected)


def test_people_qualified_when_it_happened_and_three_definitions_were_published(rows: sqlite3.Connection) -> None:
    late = rows.execute("SELECT count(*) FROM nudge_transitions WHERE is_correction = 1").fetchone()[0]
    assert late == 0
    weeks = rows.execute("SELECT count(DISTINCT started_at / 604800000000) FROM nudge_episodes").fetchone()[0]
    assert weeks >= WEEKS - 1
    notes = [note for (note,) in rows.execute("SELECT note FROM nudge_definitions ORDER BY number")]
    assert len(notes) == 3
    assert notes[0].startswith("Made-up history")
    assert notes[-1] == NOTE


def test_with_history_the_cast_stands_first_and_sees_the_same(tmp_path: Path) -> None:
    app = create_app(tmp_path / "demo", DemoClock(lambda: NOW), has_history=True)
    try:
        for person in CAST:
            assert shown(log_in(app, person.key).get(person.page).text) == person.shows
        people = app.test_client().get("/nudges/people/").text
        listed = people[people.index("<tbody") :]
        assert listed.index("Hiro Tanaka") < listed.index("Wanda Silva") < listed.index(PREFIX)
        hot = app.test_client().get("/nudges/").text
        assert hot.index("Tanaka Studio") < hot.index("(made up)")
    finally:
        app.extensions["demo"].client.close()
