"""One member or account while it is being folded, and those that the last folds left warm."""

from __future__ import annotations

import threading

from nudge_sdk.rules.ledger import Ledger, unpack_ledger
from nudge_sdk.rules.standing import UNJUDGED, Judged, decode_standing
from nudge_sdk.rules.state import unpack
from nudge_sdk.rules.times import DAY
from nudge_sdk.store.protocol import Key, SubjectRow


class Work:
    """One subject while it is being folded."""

    __slots__ = ("is_changed", "is_ledger_changed", "is_moved", "judged", "ledger", "row", "standing", "state")

    def __init__(self, row: SubjectRow) -> None:
        self.state = unpack(row.state)
        self.standing = decode_standing(row.standing) if row.standing else UNJUDGED
        self.judged: Judged | None = None
        self.renew(row)

    def renew(self, row: SubjectRow) -> None:
        """Begin on a row that holds this very state and standing."""
        self.row = row
        self.ledger: Ledger = unpack_ledger(row.ledger)
        self.is_changed = self.is_ledger_changed = self.is_moved = False

    @property
    def is_blank(self) -> bool:
        """Whether nothing was ever said of this subject."""
        return not (self.is_changed or self.is_ledger_changed or self.row.state or self.row.ledger)

    def touch(self, at: int) -> None:
        """Widen the span of days that this subject's records lie on, by the instant of one."""
        self.is_changed = True
        row, day = self.row, at // DAY
        if row.first_day is None or day < row.first_day:
            row.first_day = day
        if row.last_day is None or day > row.last_day:
            row.last_day = day


class Warm:
    """Subjects as the last folds left them, so that a busy member is not unpacked again and again.

    One is taken only while the row still holds the very bytes it was written with.
    """

    def __init__(self, most: int = 2_000) -> None:
        self.most = most
        self._works: dict[Key, Work] = {}
        self._lock = threading.Lock()

    def take(self, row: SubjectRow) -> Work | None:
        """Return the work of a row, or None; it is the caller's alone."""
        with self._lock:
            work = self._works.pop(row.key, None)
        if work is None or work.row.state != row.state or work.row.standing != row.standing:
            return None
        work.renew(row)
        return work

    def keep(self, works: dict[Key, Work]) -> None:
        """Keep works whose rows are committed."""
        with self._lock:
            for key, work in works.items():
                if not work.is_moved and work.row.state:
                    self._works[key] = work
            while len(self._works) > self.most:
                del self._works[next(iter(self._works))]
