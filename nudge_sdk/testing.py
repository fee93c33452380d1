"""What hosts use in their own tests: a client on memory, a clock to move, and "given these events, expect this prompt".

Example:
    >>> from nudge_sdk.testing import NudgeTest
    >>> test = NudgeTest("definition.yaml")                                  # doctest: +SKIP
    >>> test.given("ada", "campaign_sent", account="acme")                   # doctest: +SKIP
    >>> test.expect_prompt("dashboard", user="ada", account="acme")          # doctest: +SKIP
    >>> test.clock.move(days=8)                                              # doctest: +SKIP
    >>> test.expect_help("dashboard", user="ada", account="acme")            # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from nudge_sdk.client import NudgeClient
from nudge_sdk.options import Options
from nudge_sdk.rules.definition import Definition
from nudge_sdk.runtime.deciding import Decision
from nudge_sdk.store.protocol import Store

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
"""A Monday morning: where test clocks begin."""


class Clock:
    """A clock that stands still until it is moved.

    Args:
        start: An aware datetime.
    """

    def __init__(self, start: datetime = START) -> None:
        self.moment = start

    def __call__(self) -> datetime:
        return self.moment

    def move(self, **span: float) -> datetime:
        """Move on by days, hours, minutes or seconds, as for ``timedelta``; return the new moment."""
        self.moment += timedelta(**span)
        return self.moment

    def set(self, moment: datetime) -> None:
        """Set the moment."""
        self.moment = moment


def memory_client(
    definition: Definition | str | Path | None = None, *, clock: Clock | None = None, store: str | Store = "memory://"
) -> NudgeClient:
    """Return a client that keeps everything in memory, writes at once and raises its errors."""
    options = Options(on_error="raise", max_staleness=0, refresh_seconds=0)
    return NudgeClient(store, drain="inline", definition=definition, clock=clock or Clock(), options=options)


class NudgeTest:
    """A definition under test.

    Args:
        definition: A definition, or the path or the text of one.
        start: When the test begins.
        store: Another store than memory.
    """

    def __init__(
        self, definition: Definition | str | Path, *, start: datetime = START, store: str | Store = "memory://"
    ) -> None:
        self.clock = Clock(start)
        self.client = memory_client(clock=self.clock, store=store)
        self.client.publish(definition, by="test")

    def given(
        self,
        user: str,
        event: str,
        properties: Mapping[str, Any] | None = None,
        *,
        account: str | None = None,
        times: int = 1,
    ) -> None:
        """Let a member do something, some times."""
        for _ in range(times):
            self.client.track(user, event, properties, account=account)

    def decide(self, placement: str, **asked: Any) -> Decision:
        """Decide, after judging everybody as of now."""
        self.client.sweep()
        return self.client.decide(placement, **asked)

    def expect_prompt(self, placement: str, nudge: str | None = None, **asked: Any) -> Decision:
        """Decide and insist on a prompt (of that key).

        Raises:
            AssertionError: There is none; the message holds the reason of every candidate.
        """
        return self._expect("prompt", placement, nudge, asked)

    def expect_help(self, placement: str, nudge: str | None = None, **asked: Any) -> Decision:
        """Decide and insist on help (of that key)."""
        return self._expect("help", placement, nudge, asked)

    def expect_nothing(self, placement: str, **asked: Any) -> Decision:
        """Decide and insist on nothing."""
        decision = self.decide(placement, **asked)
        if decision.nudge is not None:
            raise AssertionError(f"expected nothing at {placement}, got {decision.nudge.nudge}")
        return decision

    def _expect(self, mode: str, placement: str, nudge: str | None, asked: dict[str, Any]) -> Decision:
        decision = self.decide(placement, **asked)
        found = decision.nudge
        if found is None or found.mode != mode or (nudge is not None and found.nudge != nudge):
            got = f"{found.mode} {found.nudge}" if found else "nothing"
            reasons = ", ".join(f"{key}: {reason}" for key, reason in decision.reasons.items())
            raise AssertionError(f"expected {mode} {nudge or ''} at {placement}, got {got} ({reasons})")
        return decision
