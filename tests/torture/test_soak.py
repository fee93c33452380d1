"""A process of a host that goes on and on takes no more of the machine than in the beginning."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.torture.soak import Soak

pytestmark = [pytest.mark.no_cover, pytest.mark.slow]

SECONDS = float(os.environ.get("NUDGE_SOAK", "120"))


@pytest.mark.timeout(SECONDS + 180)
def test_memory_handles_and_threads_stay_as_they_are(
    tmp_path: Path, new_postgresql: Callable[[], str], capsys: pytest.CaptureFixture[str]
) -> None:
    stores = {"sqlite": f"sqlite:///{tmp_path / 'nudges.db'}", "postgresql": new_postgresql()}
    soaks = {kind: Soak(tmp_path / kind, store, SECONDS) for kind, store in stores.items()}
    for kind, soak in soaks.items():
        outcome = soak.outcome()
        with capsys.disabled():
            print(f"\n{kind}, {SECONDS:g} s\n{outcome}")
        assert outcome.wrong == []
        assert outcome.samples[-1]["calls"] > 5 * SECONDS
