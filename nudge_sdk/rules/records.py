"""What the host says, as one value: the line of a journal, the row of a store, the input of the rules."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from nudge_sdk.rules.times import MINUTE

Kind = Literal["track", "identify", "group", "left", "alias", "convert", "churn", "opt_out", "opt_in", "exposure"]

PERSONAL = "personal:"
"""Prefix of the account that a user without an account lives in."""

CLOCK_TOLERANCE = 5 * MINUTE
"""How far in the future a time may lie before it is counted at the time of arrival."""


class Record(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One thing the host said, exactly as it was sent.

    Its identity is (account_id, user_id, id, at): the same identity counts once.

    Attributes:
        kind: What was said. ``left`` is a ``group`` with ``left=True``; ``exposure`` is what a person did with a nudge.
        account_id: The account, or ``personal:<user>`` for a user without one.
        user_id: The user, or an empty text for what is said of an account alone.
        id: The message id.
        at: ``occurred_at`` as sent, an instant in microseconds.
        received_at: When this process was told, an instant in microseconds.
        name: Event name of ``track``; goal of ``convert`` and ``churn``; nudge of ``exposure`` and the opts; new user
            id of ``alias`` (whose own user_id is the anonymous one).
        data: Properties of ``track``, traits of ``identify`` and ``group``, details of the others.
        release: The host's release that said it.
        history: True when it came from an import of history.
    """

    kind: Kind
    account_id: str
    user_id: str
    id: str
    at: int
    received_at: int
    name: str = ""
    data: dict[str, Any] = {}
    release: str = ""
    history: bool = False

    @property
    def identity(self) -> tuple[str, str, str, int]:
        """What makes two records the same."""
        return (self.account_id, self.user_id, self.id, self.at)

    @property
    def counted_at(self) -> int:
        """The instant it counts at: a time too far in the future counts when it arrived."""
        return self.received_at if self.at > self.received_at + CLOCK_TOLERANCE else self.at

    @property
    def is_clamped(self) -> bool:
        """Whether its time was too far in the future."""
        return self.at > self.received_at + CLOCK_TOLERANCE


def personal_account(user_id: str) -> str:
    """Return the account that a user without one lives in."""
    return PERSONAL + user_id
