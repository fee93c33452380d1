"""What each milestone of the definition tells about paying, and which could be retired (R33, R42)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from nudge_sdk.insights.observations import Observations
from nudge_sdk.insights.signal_reports import MilestoneSignal
from nudge_sdk.insights.signals import SURE, fewest
from nudge_sdk.insights.statistics.association import Association, adjusted, associations

WORTHWHILE = 1.5
"""A milestone is worth its place if those who reached it may well pay so many times as often as the others."""

Advice = Literal["keep", "retire", "wait"]


def milestone_signals(
    observations: Observations, points: Mapping[str, int], names: Mapping[str, str]
) -> tuple[MilestoneSignal, ...]:
    """Return how reaching each milestone goes with paying, the best first.

    Args:
        observations: Of milestones, see ``features``.
        points: Today's, in thousandths, by key.
        names: Of milestones, for people, by key.
    """
    reached, paid = observations.values > 0, observations.paid.astype(bool)
    found = associations((reached & paid[:, None]).sum(0), reached.sum(0), int(paid.sum()), len(paid))
    q_values = adjusted([each.p_value for each in found])
    signals = (
        _signal(key, each, float(q), (points.get(key, 0), names.get(key, "")))
        for key, each, q in zip(observations.names, found, q_values, strict=True)
    )
    return tuple(sorted(signals, key=lambda each: (-(each.association.phi or 0.0), each.key)))


def _signal(key: str, found: Association, q_value: float, known: tuple[int, str]) -> MilestoneSignal:
    advice, reason = _advice(found, q_value)
    return MilestoneSignal(
        key=key, name=known[1], points=known[0], association=found, q_value=q_value, advice=advice, reason=reason
    )


def _advice(found: Association, q_value: float) -> tuple[Advice, str]:
    did, others = found.precision, found.false_omission
    least = fewest(did.of + others.of)
    if did.of < least:
        return "wait", f"{did.of:,} of {did.of + others.of:,} reached it: too few to say anything"
    if others.of < least:
        return "retire", f"{did.of:,} of {did.of + others.of:,} reached it: it tells hardly anybody apart"
    if (found.phi or 0) > 0 and q_value <= SURE:
        return "keep", "those who reached it pay more often, beyond chance"
    if did.high < WORTHWHILE * (others.share or 0):
        return "retire", f"those who reached it pay less than {WORTHWHILE:g} times as often as the others"
    return "wait", "too few people to say whether those who reached it pay more often"
