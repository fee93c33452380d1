"""Peaks that the last requests replayed, so that a threshold that is typed is only compared with them."""

from __future__ import annotations

import threading
from collections import OrderedDict

from nudge_sdk.insights.peaks import climbs
from nudge_sdk.insights.whatif import PeakColumns, walk_key
from nudge_sdk.rules.compiled import Rules
from nudge_sdk.rules.times import MINUTE
from nudge_sdk.store.protocol import Store

MOST_MEMBERS = 5_000
"""How many members a page follows; of larger stores it tells a sample of whole accounts."""

_KEPT = 6
_FRESH_FOR = 15 * MINUTE


class KeptPeaks:
    """The peaks of a few definitions over one store."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, PeakColumns] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, store: Store, rules: Rules, now: int) -> PeakColumns:
        """Return the peaks by a definition; replayed where they are not known, or too old.

        Args:
            store: Read only.
            rules: The definition.
            now: The present instant, in microseconds.
        """
        key = walk_key(rules.definition)
        # One at a time: two editors who type the same need one replay.
        with self._lock:
            found = self._kept.get(key)
            if found is None or not 0 <= now - found.climbs.until < _FRESH_FOR:
                found = PeakColumns(climbs(store, rules, now, most=MOST_MEMBERS))
            self._kept[key] = found
            self._kept.move_to_end(key)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            return found
