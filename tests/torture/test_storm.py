"""Promises 1 to 4 in a storm: processes, drainers, database and disk fail at random."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.torture.storm import Outcome, Storm
from tests.torture.troubles import database

pytestmark = [pytest.mark.no_cover, pytest.mark.slow]

KINDS = ("sqlite", "postgresql")
SECONDS = float(os.environ.get("NUDGE_STORM", "45"))
SEED = int(os.environ.get("NUDGE_SEED", "7"))
HELD = 2.0
"""Seconds that the longest call may take on a busy machine, whatever fails under it."""


def rage(folder: Path, kind: str) -> Outcome:
    folder.mkdir()
    with database(kind, folder) as tortured:
        return Storm(folder, tortured, SEED).run(SECONDS)


@pytest.mark.timeout(SECONDS + 300)
def test_whatever_dies_all_that_was_promised_is_kept_once_and_nothing_else_is_concluded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ThreadPoolExecutor() as both:
        outcomes = dict(zip(KINDS, both.map(lambda kind: rage(tmp_path / kind, kind), KINDS), strict=True))
    for kind, outcome in outcomes.items():
        with capsys.disabled():
            print(f"\n{kind}, {SECONDS:g} s, seed {SEED}\n{outcome}")
        assert outcome.wrong[:20] == []
        assert outcome.held[0] < HELD
        assert outcome.undrained > outcome.kills["host"] // 4
        assert outcome.kills["worker"]
        assert outcome.aways
        assert outcome.promised["dismissed"]
