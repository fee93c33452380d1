"""From one standing to the next: through every boundary at which time alone changes something."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from nudge_sdk.rules.compiled import Rules
from nudge_sdk.rules.standing import Judged, Standing, judge
from nudge_sdk.rules.times import FOREVER

BY_TIME = "time"
BY_PUBLICATION = "publication"
BY_IMPORT = "import"
BY_FORGETTING = "forgotten"


class Change(NamedTuple):
    """One step: the standing before and after, at which instant, and why."""

    before: Standing
    after: Standing
    at: int
    cause: str


class Timeline:
    """The definitions that were in force, each from its instant."""

    def __init__(self, rules: Sequence[Rules]) -> None:
        self.rules = tuple(sorted(rules, key=lambda each: (each.live_at, each.number)))
        self._starts = [each.live_at for each in self.rules]

    @property
    def newest(self) -> Rules:
        """The definition in force at the end."""
        return self.rules[-1]

    def at(self, instant: int) -> Rules:
        """Return the definition in force at an instant (the first one before any)."""
        if instant >= self._starts[-1]:
            return self.rules[-1]
        return self.rules[max(0, bisect_right(self._starts, instant) - 1)]

    def next_start(self, after: int) -> int:
        """Return when the next definition comes into force, or FOREVER."""
        if after >= self._starts[-1]:
            return FOREVER
        index = bisect_right(self._starts, after)
        return self._starts[index] if index < len(self._starts) else FOREVER

    def next_publication(self, standing: Standing) -> int:
        """Return when a standing is next judged by another definition, or FOREVER.

        That is its own instant where a definition came into force before it that it was not judged by: an event may
        count a few minutes in the future.
        """
        at = standing.at
        if not at:
            return FOREVER
        rules = self.at(at)
        return at if rules.live_at <= at and rules.number > standing.definition else self.next_start(at)

    def is_due(self, standing: Standing, to: int) -> bool:
        """Whether a standing has a boundary up to and including ``to``."""
        return bool(standing.at) and (standing.next_change <= to or self.next_publication(standing) <= to)


def advance(timeline: Timeline, subject: Judged, standing: Standing, to: int) -> list[Change]:
    """Step through every boundary from the standing's instant up to and including ``to``.

    Boundaries are instants at which the standing can change by time alone, and publications.
    """
    changes: list[Change] = []
    while True:
        publication = timeline.next_publication(standing)
        boundary = min(standing.next_change, publication)
        if boundary > to:
            return changes
        cause = BY_PUBLICATION if boundary == publication else BY_TIME
        after = judge(timeline.at(boundary), subject, boundary, standing, cause)
        changes.append(Change(standing, after, boundary, cause))
        standing = after
