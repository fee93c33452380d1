"""Shortlists: who of a placement's candidates may still be chosen for a person, whatever the time and the request are.

A shortlist is made once a person is judged and holds for as long as that judgement. What depends on time or on the
request is asked anew with each decision.
"""

from __future__ import annotations

from typing import Literal

from nudge_sdk.rules.candidates import Candidate, Placements
from nudge_sdk.rules.conditions import Facts, Predicate
from nudge_sdk.rules.selection import Person, Reason, Shortlist, fits_episode

_HOLDS: Literal[""] = ""
"""The verdict on a candidate whose audience holds as far as it is fixed; None is no verdict at all."""

_Verdict = Reason | Literal[""] | None

_MOST_KEPT = 4096
"""Shortlists that are kept of a definition; most people share one with many others."""


def shortlist(placements: Placements, placement: str, person: Person, facts: Facts) -> Shortlist:
    """Return the candidates that have to be looked at with each decision, and the others with why."""
    candidates = placements.by_placement.get(placement, ())
    offered = {offer.nudge for offer in person.account_ledger.recent}
    verdicts = tuple([_verdict(candidate, person, facts, offered) for candidate in candidates])
    known = placements.shortlists.get((placement, verdicts))
    if known is None:
        if len(placements.shortlists) >= _MOST_KEPT:
            placements.shortlists.clear()
        known = placements.shortlists[placement, verdicts] = _sorted_apart(candidates, verdicts)
    return known


def _sorted_apart(candidates: tuple[Candidate, ...], verdicts: tuple[_Verdict, ...]) -> Shortlist:
    kept: list[tuple[Candidate, Predicate | None]] = []
    ready: list[tuple[Candidate, Predicate | None]] = []
    out: dict[str, Reason] = {}
    throttled: dict[str, Reason] = {}
    for candidate, verdict in zip(candidates, verdicts, strict=True):
        if not verdict:
            is_ready = verdict is _HOLDS
            (ready if is_ready else kept).append((candidate, candidate.live if is_ready else candidate.audience))
            continue
        out[candidate.key] = verdict
        is_spent = verdict is Reason.NOT_TARGETED and not candidate.is_critical
        throttled[candidate.key] = Reason.THROTTLED if is_spent else verdict
    return Shortlist(tuple(kept), tuple(ready), out, throttled)


def _verdict(candidate: Candidate, person: Person, facts: Facts, offered: set[str]) -> _Verdict:
    # Most candidates are plain, and most people said no to nothing: little is left to ask.
    is_plain = candidate.is_plain and not person.opted_out
    if not is_plain:
        if candidate.nudge.is_paused:
            return Reason.PAUSED
        if not person.opted_out.isdisjoint(candidate.tags):
            return Reason.OPTED_OUT
        if candidate.hide is not None:
            return None
    if candidate.key in person.ledger.answers:
        return None
    if candidate.goal and candidate.goal in person.met_goals:
        return Reason.GOAL_MET
    if not is_plain and _may_be_spent(candidate, offered):
        return None
    if not candidate.is_offered or (candidate.goal and not fits_episode(candidate, person)):
        return Reason.NOT_TARGETED
    return _HOLDS if candidate.fixed is None or candidate.fixed(facts) else Reason.NOT_TARGETED


def _may_be_spent(candidate: Candidate, offered: set[str]) -> bool:
    """Whether a schedule or a cap may rule the candidate out before anything was offered to the person."""
    if candidate.tag_limits or candidate.is_scheduled or candidate.lifetime <= 0:
        return True
    return any(limit.most <= 0 or (limit.per_account and candidate.key in offered) for limit in candidate.limits)
