"""What the reports are measured with: an archive like those of ``nudge archive``, and plain SQL that asks the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from nudge_sdk.insights.accuracy import Asked, accuracy
from nudge_sdk.insights.archive_checking import verify
from nudge_sdk.insights.funnel import event_funnel
from nudge_sdk.insights.signals import signals
from nudge_sdk.insights.tables import opened_tables
from nudge_sdk.rules.times import DAY
from tests.bench import plain_sql
from tests.bench.archived import write_archive
from tests.bench.insights import SCORED, STEPS, WITHIN


@pytest.fixture(scope="module")
def archived(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    root = tmp_path_factory.mktemp("bench") / "archive"
    return root, write_archive(root, events=20_000, members=1000)


def run(queries: list[str]) -> list[list[tuple[Any, ...]]]:
    with duckdb.connect() as connection:
        return [connection.execute(query).fetchall() for query in queries]


def test_the_archive_is_one_that_checks(archived: tuple[Path, int]) -> None:
    found = verify(archived[0])
    assert (found.problems, found.events) == ((), 20_000)


def test_the_funnel_in_plain_sql_says_the_same(archived: tuple[Path, int]) -> None:
    root, at = archived
    (row,) = run(plain_sql.funnel(root, STEPS, WITHIN * DAY, at))[0]
    with opened_tables(archive=root) as tables:
        total = event_funnel(tables, STEPS, within_days=WITHIN, at=at).total
    assert [step.count for step in total.steps] == list(row[:3])
    assert (total.waiting, total.outside_count) == (row[3] - row[0], row[5] - row[4])
    assert 0 < row[2] < row[0]


def test_accuracy_in_plain_sql_says_the_same(archived: tuple[Path, int]) -> None:
    root, at = archived
    (counts,), days, goals, positives, negatives, _, unscored = run(plain_sql.accuracy(root, SCORED, at))
    with opened_tables(archive=root) as tables:
        report = accuracy(tables, Asked(unit="member", at=at, scored=SCORED, has_events=True))
    names = ("true_positives", "late", "false_positives", "waiting", "false_negatives", "already_won", "true_negatives")
    assert [getattr(report, name) for name in names] == list(counts[:7])
    assert (report.precision.of, report.precision.count) == counts[7:9]
    assert (report.others.of, report.others.count) == counts[9:]
    assert report.time_to_conversion.watched == sum(count for _, _, count in days)
    assert report.goals[0].rate.count == sum(count for _, _, is_after, is_in, count in goals if is_after and is_in)
    assert (len(report.missed_positives), len(report.missed_negatives)) == (len(positives), len(negatives))
    found = {each.name: (each.missed.count, each.others.count) for each in report.unscored}
    # Of two that are as common, one or the other is the last.
    least = min(missed for _, missed, _ in unscored)
    assert {name: (missed, others) for name, missed, others in unscored if missed > least}.items() <= found.items()


def test_signals_in_plain_sql_say_the_same(archived: tuple[Path, int]) -> None:
    root, at = archived
    asked, cells = run(plain_sql.signals(root, at))
    with opened_tables(archive=root) as tables:
        report = signals(tables, now=at)
    assert report.members == sum(count for _, count in asked)
    assert report.converted == sum(count for paid, count in asked if paid)
    did: dict[tuple[str, int, int], int] = {}
    for name, days, times, _, count in cells:
        for at_least in range(1, times + 1):
            did[name, at_least, days] = did.get((name, at_least, days), 0) + count
    found = {(event.name, cell.at_least, cell.days): cell for event in report.events for cell in event.cells}
    assert found
    assert {key: _of(cell) for key, cell in found.items()} == {key: did.get(key, 0) for key in found}


def _of(cell: Any) -> int:
    count: int = cell.association.precision.of
    return count
