"""Association of two things that each happened or did not: tables of two by two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from nudge_sdk.insights.statistics.intervals import Rate

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class Association(msgspec.Struct, frozen=True, kw_only=True):
    """How doing something goes with converting.

    Attributes:
        precision: Of those who did it: who converted.
        recall: Of those who converted: who had done it.
        false_omission: Of those who did not do it: who converted all the same.
        fall_out: Of those who did not convert: who had done it all the same.
        phi: Correlation of the two, -1 to 1; None where everybody or nobody did one of them.
        p_value: Two-sided, of no association; 1 where phi has no value.
    """

    precision: Rate
    recall: Rate
    false_omission: Rate
    fall_out: Rate
    phi: float | None
    p_value: float


def associate(both: int, did: int, converted: int, of: int) -> Association:
    """Return the association of one table.

    Args:
        both: How many did it and converted.
        did: How many did it.
        converted: How many converted.
        of: How many there are.
    """
    raise NotImplementedError


def associations(both: ArrayLike, did: ArrayLike, converted: ArrayLike, of: ArrayLike) -> list[Association]:
    """Return the associations of many tables at once; see ``associate``."""
    raise NotImplementedError


def adjusted(p_values: ArrayLike) -> Any:
    """Return q-values: p-values corrected for how many there are, by Benjamini and Hochberg (1995)."""
    raise NotImplementedError
