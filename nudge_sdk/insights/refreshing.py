"""Refreshing the journeys beside other work, a page at a time, so that the other work never waits for all of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator

from nudge_sdk.errors import NudgeError
from nudge_sdk.insights.journeys import FRESH, Refreshed, refreshed_at, steps
from nudge_sdk.rules.times import SECOND
from nudge_sdk.runtime.intake import Intake

log = logging.getLogger("nudge_sdk")

REST = 20
"""A refresh is followed by a pause of at least so many times what it took."""


class Refresher:
    """Refreshes the journeys whenever they are older than ``journeys.FRESH``.

    Args:
        intake: The way into the store whose journeys they are.
    """

    def __init__(self, intake: Intake) -> None:
        self.intake = intake
        self._steps: Generator[Refreshed, None, None] | None = None
        self._spent = 0.0
        self._next = 0.0

    def step(self) -> None:
        """Do a page, if it is time for one; what fails is tried again after a pause."""
        if self._steps is None and time.monotonic() < self._next:
            return
        began = time.monotonic()
        try:
            self._work()
        except NudgeError as error:
            self._rest()
            facts = {"nudge_event": "refresh_failed", "nudge_cause": type(error).__name__}
            log.warning("the journeys of the reports are not up to date, it is tried again: %s", error, extra=facts)
        finally:
            self._spent += time.monotonic() - began

    def finish(self) -> None:
        """Do all pages, if it is time."""
        self.step()
        while self._steps is not None:
            self.step()

    def close(self) -> None:
        """Let another process go on."""
        if self._steps is not None:
            self._steps.close()
        self._steps = None

    def _work(self) -> None:
        if self._steps is None:
            now = self.intake.clock()
            last = refreshed_at(self.intake.store)
            if last is not None and 0 <= now - last < FRESH:
                self._next = time.monotonic() + (FRESH - (now - last)) / SECOND
                return
            self._spent = 0.0
            self._steps = steps(self.intake.store, self.intake.current().rules, now)
        if next(self._steps, None) is None:
            self._rest()

    def _rest(self) -> None:
        self.close()
        self._next = time.monotonic() + max(FRESH / SECOND, REST * self._spent)
