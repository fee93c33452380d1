"""What the client answers when it is asked for reasons."""

from __future__ import annotations

import msgspec

from nudge_sdk.rules.explaining import ChoiceLine, StandingReport
from nudge_sdk.runtime.deciding import Decision


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Why a person gets what they get at a placement.

    Attributes:
        decision: What ``decide`` would answer; nothing was spent.
        standing: The member's standing.
        account_standing: The account's standing.
        candidates: Every candidate, with its reason in a sentence.
    """

    decision: Decision
    standing: StandingReport
    account_standing: StandingReport
    candidates: tuple[ChoiceLine, ...]
