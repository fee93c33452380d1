"""Promises 2 and 3 under ``kill -9``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.torture.kill import Torture

KILLS = int(os.environ.get("NUDGE_KILLS", "60"))


@pytest.mark.timeout(600)
def test_every_acknowledged_event_counts_exactly_once_however_processes_die(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = Torture(tmp_path, seed=7).run(KILLS)
    with capsys.disabled():
        print(
            f"\n{outcome.trackers} trackers and {outcome.drainers} drainers killed; "
            f"{outcome.undrained} kills found undrained bytes"
        )
    assert outcome.lost == []
    assert outcome.doubled == []
    assert outcome.undrained > outcome.trackers // 2
    assert outcome.drainers > 0
