"""A store with the demo's half a year of made-up accounts, made once for all tests of a run that ask for it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from nudge_sdk import NudgeClient, Options
from nudge_sdk.demo.clock import DemoClock
from nudge_sdk.demo.history import write_history
from nudge_sdk.demo.server import definition
from nudge_sdk.insights.journeys import refresh

NOW = 1_772_442_000_000_000
"""A Monday morning: 2026-03-02T09:00:00Z."""


@cache
def made_up_database() -> bytes:
    """Return an SQLite database with the history, and its journeys rolled up."""
    clock = DemoClock(lambda: NOW)
    with TemporaryDirectory(prefix="made-up-") as folder:
        path = Path(folder) / "nudges.db"
        with NudgeClient(f"sqlite:///{path}", drain="inline", clock=clock) as client:
            write_history(client, clock, NOW, definition())
            clock.run()
            client.sweep()
            refresh(client.store, client.intake.catalog.rules, NOW)
        return path.read_bytes()


def made_up_client_in(folder: Path) -> NudgeClient:
    """Return a client on a copy of that database."""
    path = folder / "made-up.db"
    path.write_bytes(made_up_database())
    options = Options(on_error="raise", refresh_seconds=0.0)
    return NudgeClient(f"sqlite:///{path}", drain="inline", clock=DemoClock(lambda: NOW), options=options)


@pytest.fixture
def made_up_client(tmp_path: Path) -> Iterator[NudgeClient]:
    """A client on a copy that a test may change."""
    with made_up_client_in(tmp_path) as client:
        yield client
