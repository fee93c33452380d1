from __future__ import annotations

from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("shared") and not SHARED_DATA.is_dir():
        pytest.skip("the data folder ../shared/data is not beside this checkout")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The outside data; a test that asks for it carries the marker ``shared``."""
    return SHARED_DATA
