"""The ledger: what a member, or an account as a whole, was offered and what came of it.

It is kept on the server, one a member and one an account, and spends the caps. A ledger is a frozen value; every
function returns a new one.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from nudge_sdk.rules.definition import Cap
from nudge_sdk.rules.times import DAY, HOUR

Kind = Literal["offered", "withheld", "shown", "clicked", "dismissed", "snoozed", "completed", "claimed", "quiet"]

RECENT = 128
"""How many of the latest offers a ledger remembers one by one."""


class Offer(msgspec.Struct, frozen=True, array_like=True):
    """One nudge offered or withheld.

    Attributes:
        at: The instant.
        nudge: Key of the nudge; of a claim by the host, its placement with a leading ``@``.
        is_critical: Whether it passed the overall caps.
        is_help: Whether it was help.
    """

    at: int
    nudge: str
    is_critical: bool = False
    is_help: bool = False


class Display(msgspec.Struct, frozen=True, array_like=True):
    """A nudge on display: it stays until it is closed, its goal is met, or its time is over.

    Attributes:
        is_withheld: Whether this is the place of a nudge that was withheld: nothing is shown in it.
    """

    placement: str
    nudge: str
    variant: str
    decision_id: str
    at: int
    is_withheld: bool = False
    holdout: str = ""


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """What came of one nudge, with the last instant of each (0 for never)."""

    offers: int = 0
    offered_at: int = 0
    seen_at: int = 0
    clicked_at: int = 0
    dismissed_at: int = 0
    snoozed_until: int = 0
    completed_at: int = 0


class Ledger(msgspec.Struct, frozen=True, array_like=True):
    """What was offered and answered.

    Attributes:
        answers: Nudge key to what came of it.
        recent: The latest offers, oldest first.
        displays: What is on display, one a placement.
        quiet_until: No nudge before this instant (after an error of the host).
        variants: Nudge key to the variant it was first given, so that edits never move anybody.
    """

    answers: dict[str, Answer] = {}
    recent: tuple[Offer, ...] = ()
    displays: tuple[Display, ...] = ()
    quiet_until: int = 0
    variants: dict[str, str] = {}


EMPTY = Ledger()
NO_ANSWER = Answer()

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Ledger).decode
_replace = msgspec.structs.replace


def pack_ledger(ledger: Ledger) -> bytes:
    """Return a ledger as bytes."""
    return _encode(ledger)


def unpack_ledger(packed: bytes) -> Ledger:
    """Return a packed ledger; empty bytes are the ledger of nobody."""
    return _decode(packed) if packed else EMPTY


def with_offer(ledger: Ledger, offer: Offer, display: Display | None) -> Ledger:
    """Write an offer (or a withholding) down; both spend the same caps."""
    old = ledger.answers.get(offer.nudge, NO_ANSWER)
    answers = {**ledger.answers, offer.nudge: _replace(old, offers=old.offers + 1, offered_at=offer.at)}
    displays, variants = ledger.displays, ledger.variants
    if display is not None:
        displays = (*(each for each in displays if each.placement != display.placement), display)
        variants = {**variants, display.nudge: variants.get(display.nudge, display.variant)}
    recent = (*ledger.recent, offer)[-RECENT:]
    return _replace(ledger, answers=answers, recent=recent, displays=displays, variants=variants)


def with_report(ledger: Ledger, nudge: str, kind: str, at: int, *, until: int = 0) -> Ledger:
    """Write down what a person did with a nudge; closing it takes it off display.

    Args:
        ledger: The ledger before.
        nudge: Key of the nudge.
        kind: shown, clicked, dismissed, snoozed or completed; quiet is of no nudge, but of all.
        at: When, in microseconds.
        until: Of snoozed and quiet: until when.
    """
    if kind == "quiet":
        return _replace(ledger, quiet_until=max(ledger.quiet_until, until))
    old = ledger.answers.get(nudge, NO_ANSWER)
    if kind == "shown":
        new = _replace(old, seen_at=max(old.seen_at, at))
    elif kind == "clicked":
        new = _replace(old, clicked_at=max(old.clicked_at, at))
    elif kind == "dismissed":
        new = _replace(old, dismissed_at=max(old.dismissed_at, at))
    elif kind == "snoozed":
        new = _replace(old, snoozed_until=max(old.snoozed_until, until))
    elif kind == "completed":
        new = _replace(old, completed_at=max(old.completed_at, at))
    else:
        return ledger
    displays = ledger.displays
    if kind in ("dismissed", "snoozed", "completed"):
        displays = tuple(each for each in displays if each.nudge != nudge)
    return _replace(ledger, answers={**ledger.answers, nudge: new}, displays=displays)


def merged(mine: Ledger, other: Ledger) -> Ledger:
    """Return the ledger of two members who turned out to be one: caps and answers of both count."""
    answers = dict(mine.answers)
    for key, theirs in other.answers.items():
        old = answers.get(key, NO_ANSWER)
        answers[key] = Answer(
            old.offers + theirs.offers,
            max(old.offered_at, theirs.offered_at),
            max(old.seen_at, theirs.seen_at),
            max(old.clicked_at, theirs.clicked_at),
            max(old.dismissed_at, theirs.dismissed_at),
            max(old.snoozed_until, theirs.snoozed_until),
            max(old.completed_at, theirs.completed_at),
        )
    recent = tuple(sorted((*mine.recent, *other.recent), key=lambda offer: (offer.at, offer.nudge)))[-RECENT:]
    taken = {each.placement for each in mine.displays}
    displays = (*mine.displays, *(each for each in other.displays if each.placement not in taken))
    quiet = max(mine.quiet_until, other.quiet_until)
    return Ledger(answers, recent, displays, quiet, {**other.variants, **mine.variants})


def period(cap: Cap) -> int:
    """Return the rolling period of a cap in microseconds; 0 for ever."""
    return round((cap.days or 0) * DAY) + round((cap.hours or 0) * HOUR)


def exposures_of(ledger: Ledger) -> dict[tuple[str, str], int]:
    """Return what conditions may ask of the past: (nudge, "seen" | "clicked" | …) to the last instant."""
    found: dict[tuple[str, str], int] = {}
    for key, answer in ledger.answers.items():
        for what, at in (
            ("seen", answer.seen_at or answer.offered_at),
            ("clicked", answer.clicked_at),
            ("dismissed", answer.dismissed_at),
            ("snoozed", answer.snoozed_until),
            ("completed", answer.completed_at),
        ):
            if at:
                found[key, what] = at
    return found
