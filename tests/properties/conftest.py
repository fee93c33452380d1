from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.properties.histories import CASES

_COMMON = {"deadline": None, "derandomize": True, "database": None, "suppress_health_check": list(HealthCheck)}
# Making a failing example small can take minutes, so it is left to the long runs.
_FOUND_AS_IS = {"phases": (Phase.explicit, Phase.generate)}
settings.register_profile("properties", max_examples=50, **_FOUND_AS_IS, **_COMMON)
settings.register_profile("thorough", max_examples=3000, **{**_COMMON, "derandomize": False, "print_blob": True})
settings.register_profile("mutants", max_examples=80, **_FOUND_AS_IS, **_COMMON)
settings.load_profile("properties")


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile(config.getoption("--hypothesis-profile", None) or "properties")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if CASES:
        terminalreporter.section("cases that the property tests met")
        for case, count in sorted(CASES.items()):
            terminalreporter.line(f"{count:8d}  {case}")
