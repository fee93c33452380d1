from __future__ import annotations

from pathlib import Path

import pytest

from tests.properties.histories import CASES


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give them time: a run of one is a history with its replay."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(600))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if CASES:
        terminalreporter.section("cases that the property tests met")
        for case, count in sorted(CASES.items()):
            terminalreporter.line(f"{count:8d}  {case}")
