from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.properties.histories import CASES

settings.register_profile(
    "properties",
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    # Making a failing example small can take minutes, so it is left to the long runs.
    phases=(Phase.explicit, Phase.generate),
)
_usual = settings.get_profile("properties")
settings.register_profile("mutants", _usual, max_examples=60)
settings.register_profile("thorough", _usual, max_examples=3000, derandomize=False, phases=tuple(Phase))
settings.load_profile("properties")


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile(config.getoption("--hypothesis-profile", None) or "properties")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave coverage out of these tests: it makes them four times as long, and other tests go the same ways."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.no_cover)
            item.add_marker(pytest.mark.timeout(600))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if CASES:
        terminalreporter.section("cases that the property tests met")
        for case, count in sorted(CASES.items()):
            terminalreporter.line(f"{count:8d}  {case}")
