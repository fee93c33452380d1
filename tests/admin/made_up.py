"""A store with the demo's half a year of made-up accounts, made once for all tests of a run that ask for it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from nudge_sdk import NudgeClient, Options
from nudge_sdk.demo.clock import DemoClock
from nudge_sdk.demo.history import write_history
from nudge_sdk.demo.server import definition
from nudge_sdk.insights.journeys import refresh

NOW = 1_772_442_000_000_000
"""A Monday morning: 2026-03-02T09:00:00Z."""


@pytest.fixture(scope="session")
def made_up_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the history, and its journeys rolled up."""
    path = tmp_path_factory.mktemp("made-up") / "nudges.db"
    clock = DemoClock(lambda: NOW)
    with NudgeClient(f"sqlite:///{path}", drain="inline", clock=clock) as client:
        write_history(client, clock, NOW, definition())
        clock.run()
        client.sweep()
        refresh(client.store, client.intake.catalog.rules, NOW)
    return path


@pytest.fixture
def made_up_client(made_up_file: Path, tmp_path: Path) -> Iterator[NudgeClient]:
    """A client on a copy of that database."""
    path = tmp_path / "made-up.db"
    shutil.copy(made_up_file, path)
    options = Options(on_error="raise", refresh_seconds=0.0)
    with NudgeClient(f"sqlite:///{path}", drain="inline", clock=DemoClock(lambda: NOW), options=options) as client:
        yield client
