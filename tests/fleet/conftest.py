from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """Make a store of a kind, ``sqlite`` or ``postgresql``; gives its address."""

    def make(kind: str) -> str:
        if kind == "sqlite":
            return f"sqlite:///{tmp_path / 'nudges.db'}"
        address: str = request.getfixturevalue("new_postgresql")()
        return address

    return make
