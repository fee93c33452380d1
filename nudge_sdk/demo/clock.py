"""The demo's clock: it runs, and can be moved on by days."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from nudge_sdk.rules.times import DAY, SECOND
from nudge_sdk.runtime.recorder import present


class DemoClock:
    """A clock that runs, some days ahead; while history is told it stands still where it is set.

    Args:
        real: The clock it runs by, in microseconds.
    """

    def __init__(self, real: Callable[[], int] = present) -> None:
        self.real = real
        self._fixed: int | None = None
        self.days_ahead = 0

    def __call__(self) -> int:
        return self.real() + self.days_ahead * DAY if self._fixed is None else self._fixed

    def move(self, days: int) -> None:
        """Move on by days."""
        self.days_ahead += days

    def stand(self, at: int) -> None:
        """Stand still at an instant, in microseconds."""
        self._fixed = at

    def run(self) -> None:
        """Run again, from today."""
        self._fixed = None
        self.days_ahead = 0


def moment(at: int) -> datetime:
    """Return an instant as a datetime in UTC."""
    return datetime.fromtimestamp(at // SECOND, UTC)
