"""Observations: who paid, and what was known of them before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Observations:
    """A table of one row a member, or of whatever was observed.

    Times are instants in microseconds, or any numbers that grow with time (days since the start of a course).

    Attributes:
        names: Of the features.
        values: Rows × features.
        paid: Whether each row paid within the days after its observation.
        observed_at: The instant before which each row's features must have been known; None where nobody said.
        signed_up_at: Orders the rows for the test on newer ones; None without it.
        known_at: Of some features: the instant at which each row's value was known; NaN where it needs none (as a
            count of nothing).
        nudged: Whether each was offered a nudge before its outcome was known; None where nobody said.
        is_test: Whether each belongs to the test; None to split by time.
        qualified: Whether each had qualified before its observation; None where nobody said.
        clusters: A number of what each belongs to, such as its account, whose members pay together; None where rows
            stand alone.
        release: The host's release at each observation; None where nobody said.
        left_out: Reason and number of those who are not in the table.
    """

    names: tuple[str, ...]
    values: NDArray[Any]
    paid: NDArray[Any]
    observed_at: NDArray[Any] | None = None
    signed_up_at: NDArray[Any] | None = None
    known_at: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    nudged: NDArray[Any] | None = None
    is_test: NDArray[Any] | None = None
    qualified: NDArray[Any] | None = None
    clusters: NDArray[Any] | None = None
    release: NDArray[Any] | None = None
    left_out: tuple[tuple[str, int], ...] = ()

    def only(self, is_in: NDArray[Any]) -> Observations:
        """Return some of the rows.

        Args:
            is_in: Of each row, whether it is one of them.
        """
        columns: dict[str, Any] = {name: getattr(self, name) for name in _COLUMNS}
        some: dict[str, Any] = {name: None if column is None else column[is_in] for name, column in columns.items()}
        some["known_at"] = {name: column[is_in] for name, column in self.known_at.items()}
        return replace(self, **some)

    def scores(self, points: Mapping[str, int]) -> NDArray[Any]:
        """Return what points come to in each row, in thousandths; a feature without points counts nothing."""
        import numpy as np

        scores: NDArray[Any] = self.values @ np.array([points.get(name, 0) for name in self.names], float)
        return scores


_COLUMNS = (
    "values",
    "paid",
    "observed_at",
    "signed_up_at",
    "nudged",
    "is_test",
    "qualified",
    "clusters",
    "release",
)
