"""Promises 1 and 2 while the database is away."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.torture.away import torture
from tests.torture.troubles import database

pytestmark = [pytest.mark.no_cover, pytest.mark.slow]

SECONDS = {"postgresql": float(os.environ.get("NUDGE_AWAY", "20")), "sqlite": 10.0}
"""How long PostgreSQL is stopped, and SQLite's file locked."""


@pytest.mark.timeout(SECONDS["postgresql"] + 180)
@pytest.mark.parametrize("kind", SECONDS)
def test_requests_answer_while_the_database_is_away_and_everything_arrives_when_it_is_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    with database(kind, tmp_path) as tortured:
        outcome = torture(tmp_path, tortured.address, tortured.away, SECONDS[kind])
    with capsys.disabled():
        print(f"\n{kind} away for {SECONDS[kind]:g} s\n{outcome}")
    assert outcome.wrong == []
