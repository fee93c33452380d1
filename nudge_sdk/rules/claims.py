"""Claims: the host's own banner asks for the attention that nudges share.

A claim meets the overall caps and the minimum gap just as a nudge would, and spends them; what is said of nudges alone,
such as the kill switch, opt-outs and hide rules, does not concern it.
"""

from __future__ import annotations

import copy

from msgspec.structs import replace

from nudge_sdk.rules.candidates import Candidate, Placements
from nudge_sdk.rules.conditions import Facts
from nudge_sdk.rules.definition import Nudge
from nudge_sdk.rules.ledger import Display, Ledger, Offer
from nudge_sdk.rules.selection import Person, select

_WITHOUT_END = 2**31


def claim_key(placement: str) -> str:
    """Return what a claim on a placement is called in ledgers."""
    return f"@{placement}"


def shown_at(ledger: Ledger, placement: str, now: int, longest: int) -> Display | Offer | None:
    """Return what stands at a placement now, or None: a nudge on display, or the claim that is granted already.

    Args:
        ledger: The member's.
        placement: The slot.
        now: The present instant in microseconds.
        longest: For how many microseconds anything stays.
    """
    for display in ledger.displays:
        if display.placement == placement and not display.is_withheld and display.at <= now < display.at + longest:
            return display
    for offer in reversed(ledger.recent):
        if offer.nudge == claim_key(placement) and offer.at <= now < offer.at + longest:
            return offer
    return None


def is_affordable(placements: Placements, placement: str, person: Person, facts: Facts) -> bool:
    """Whether the caps and the minimum gap leave room for a claim."""
    alone = copy.copy(placements)
    alone.is_paused, alone.hide = False, None
    nudge = Nudge(key=claim_key(placement), placement=placement, lifetime=_WITHOUT_END)
    alone.by_placement = {placement: (Candidate(nudge, placements.rules),)}
    willing = replace(
        person, opted_out=frozenset(), has_left=False, ledger=replace(person.ledger, quiet_until=0, displays=())
    )
    return select(alone, placement, willing, facts).candidate is not None


__all__ = ["claim_key", "is_affordable", "shown_at"]
