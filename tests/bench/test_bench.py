"""The bench's own arithmetic: a missed reach is never hidden, and the bare ones write all that they should."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import msgspec
import psycopg
import pytest

from tests.bench import history, importing
from tests.bench.bare import BATCH, Bare, BarePostgresql, BareSqlite, batches_of, once, renamed
from tests.bench.drain import introduce
from tests.bench.harness import FULL, Figure, Limit, Scale, by_turns, in_words, p50_p99, significant
from tests.bench.peers import is_targeted, plain_loop
from tests.bench.product import DONE, EVENTS, PEOPLE, QUESTIONS, START, Done, Steps, client, definition
from tests.bench.stored import days_of, record
from tests.bench.table import shown, table
from tests.bench.track import together

TINY = Scale(turns=1, calls=40, drained=100, drains=1, histories=(0,), paced=10, imported=2000, requests=10, growth=2)
MACHINE = {"machine": {"cores": 2, "versions": {"Python": "3.11.7", "SQLite": "3.40.1"}, "quick": False}}
HELD = Figure("a", "`this`", [0.05, 0.04, 0.06], "of that", Limit("at most", 1 / 15), {}, "1/n", "1 µs beside 20 µs")
MISSED = Figure("b", "drain", [0.5, 0.3], "of the rate", Limit("at least", 0.6), {}, "%")
TOLD = Figure("c", "shown", [2.0], "times", None, {})


def page(*figures: Figure, quick: bool = False) -> str:
    machine = {"machine": {**MACHINE["machine"], "quick": quick}}
    return table([msgspec.json.encode(machine).decode(), *(figure.line() for figure in figures)])


def test_a_figure_that_holds_is_shown_with_its_reach_and_its_spread() -> None:
    assert "| `this` | ≤ 1/15 of that | 1/20 (1/25 to 1/16.7) | 1 µs beside 20 µs | yes |" in page(HELD)


def test_a_figure_that_misses_its_reach_is_shown_as_missed() -> None:
    shown_page = page(HELD, MISSED, TOLD)
    assert "| drain | ≥ 60 % of the rate | 40 % (30 % to 50 %) |  | **missed** |" in shown_page
    assert "1 of 2 figures hold." in shown_page


def test_a_figure_without_a_reach_is_told_only() -> None:
    assert "| shown | told only: times | 2× |  | – |" in page(TOLD)


def test_what_stands_in_the_way_is_told_of_what_is_missed_only() -> None:
    missed = HELD._replace(name="decide", limit=Limit("at most", 1 / 100))
    assert "## What stands in the way\n\n- **`this`**: A decision says" in page(missed, MISSED)
    assert "What stands in the way" not in page(HELD, TOLD)


def test_something_besides_the_median_can_make_a_figure_miss() -> None:
    assert "**missed**" in page(HELD._replace(holds=False))


def test_the_page_names_the_machine_and_says_so_where_the_run_was_quick() -> None:
    assert "The machine: 2 cores, Python 3.11.7, SQLite 3.40.1.\n" in page(HELD)
    assert "quick run" not in page(HELD)
    assert "quick run" in page(HELD, quick=True)


def test_the_page_says_so_where_its_rows_are_of_several_runs() -> None:
    machine = msgspec.json.encode(MACHINE).decode()
    assert "The rows are of 2 runs, one after the other." in table([machine, HELD.line(), machine, MISSED.line()])
    assert "runs" not in page(HELD)


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        (1 / 15, "1/n", "1/15"),
        (2.5, "1/n", "2.5×"),
        (10.372, "%", "1,037 %"),
        (38.04, "ms", "38.04 ms"),
        (0.9, "×", "0.9×"),
    ],
)
def test_values_are_written_for_people(value: float, form: str, text: str) -> None:
    assert shown(value, form) == text


def test_each_turn_runs_every_case_and_begins_with_another() -> None:
    order: list[str] = []

    def case(name: str) -> float:
        order.append(name)
        return len(order)

    found = by_turns({"a": lambda: case("a"), "b": lambda: case("b")}, 2)
    assert order == ["a", "b", "b", "a"]
    assert found == {"a": [1, 4], "b": [2, 3]}


def test_percentiles_and_digits() -> None:
    assert p50_p99([each / 1e6 for each in range(101)]) == {"p50_us": 50.0, "p99_us": 99.0}
    assert significant(123456.0) == 123500.0
    assert in_words([2e-6]) == "2 µs"
    assert in_words([2e-3]) == "2 ms"
    assert in_words([2.5]) == "2.5 s"


def test_longer_histories_come_on_top_of_the_usual_ones() -> None:
    longer = FULL.with_events(10_000_000)
    assert longer.histories == (0, 1_000_000, 10_000_000)
    assert longer.imported == 10_000_000
    assert FULL.with_events(0) == FULL


def test_threads_share_the_calls_among_them() -> None:
    seen: list[Done] = []
    assert together(seen.append, DONE[:100], 8) > 0
    assert sorted(done.properties["n"] for done in seen) == list(range(100))


def test_the_plain_loop_finds_the_rule_that_takes_somebody_in() -> None:
    ask = plain_loop()
    found = [(is_targeted(asked), ask(asked)) for asked in QUESTIONS[: len(PEOPLE)]]
    assert not any(is_on for is_in, is_on in found if not is_in)
    on = sum(bool(is_on) for _, is_on in found) / sum(is_in for is_in, _ in found)
    assert 0.4 < on < 0.6


def test_a_history_has_exactly_the_events_asked_for() -> None:
    assert sum(map(len, days_of(1234))) == 1234


def prepared(folder: Path, store: str = "") -> None:
    folder.mkdir(exist_ok=True)
    with client(folder, Steps(), store=store) as ours:
        ours.publish(definition())
    introduce(folder, Steps(), store=store, people=PEOPLE[:20])


def write_all(folder: Path, store: str, bare: Bare) -> None:
    # On the day of what is there already: PostgreSQL has a partition for that.
    records = [record(PEOPLE[index % 20], EVENTS[0], START + index, index) for index in range(BATCH + 100)]
    with client(folder, store=store) as ours:
        batches = batches_of(ours.store, records)
    assert [len(batch.events) for batch in batches] == [BATCH, 100]
    assert [len(batch.members) for batch in once(batches)] == [20, 20]
    assert [len(batch.accounts) for batch in once(batches)] == [2, 2]
    assert bare.write(once(batches)) > 0
    assert bare.write(renamed(once(batches), b"+")) > 0
    bare.close()


EVENTS_AND_STATES = "SELECT count(*), (SELECT count(*) FROM nudge_members WHERE length(state) > 0) FROM nudge_events"
WRITTEN = (2 * (BATCH + 100) + 40, 20)


def test_bare_sqlite_writes_every_row(tmp_path: Path) -> None:
    prepared(tmp_path)
    write_all(tmp_path, "", BareSqlite(tmp_path / "nudge.db"))
    connection = sqlite3.connect(tmp_path / "nudge.db")
    assert connection.execute(EVENTS_AND_STATES).fetchone() == WRITTEN
    connection.close()


def test_bare_postgresql_writes_every_row(tmp_path: Path, new_postgresql: Callable[[], str]) -> None:
    url = new_postgresql()
    prepared(tmp_path, url)
    write_all(tmp_path, url, BarePostgresql(url))
    with psycopg.connect(url) as connection:
        assert connection.execute(EVENTS_AND_STATES).fetchone() == WRITTEN


def test_an_import_is_measured_whole(tmp_path: Path) -> None:
    figures = {figure.name: figure for figure in importing.measure(tmp_path / "importing", TINY)}
    assert list(figures) == ["import_history", "import_history_sorted", "recount", "bytes_an_event", "import_memory"]
    assert len(figures["import_history"].values) == len(figures["import_history_sorted"].values) == 2
    assert figures["import_memory"].ok


def test_a_longer_history_is_that_much_longer(tmp_path: Path) -> None:
    figures = list(history.measure(tmp_path / "history", TINY))
    assert [figure.what.rpartition("with ")[2] for figure in figures] == ["1,600 events of one member"] * 5
    assert all(figure.unit == "the time with 800" for figure in figures)
