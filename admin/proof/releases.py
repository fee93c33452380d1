"""Releases that were found in the events, kept between requests: every event is read once, later only new days."""

from __future__ import annotations

from threading import Lock

from nudge_sdk.insights.tables import Tables
from nudge_sdk.insights.trend import SEEN_DAYS, Marker, first_events, release_markers
from nudge_sdk.rules.times import day_of


class KeptReleases:
    """The first event of each release, as far back as anybody asked.

    Events that arrive days late do not move what was found.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._first: dict[str, int] = {}
        self._from: int | None = None
        self._until = 0

    def since(self, tables: Tables, since: int, now: int) -> tuple[Marker, ...]:
        """Return which releases appeared since an instant, as ``insights.trend.releases`` does."""
        day = day_of(since) - SEEN_DAYS
        with self._lock:
            if self._from is None or day < self._from:
                self._first, self._from = first_events(tables, day), day
            else:
                for name, at in first_events(tables, self._until).items():
                    self._first.setdefault(name, at)
            self._until = day_of(now) - 1
            return release_markers(self._first, since)
