"""Rolling up: one journey after the other, out of a stretch of rows and what the logs say of them."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from math import floor
from typing import Any

import msgspec

from nudge_sdk.insights.activation import Activation, first_activated
from nudge_sdk.rules.measuring import signup_of
from nudge_sdk.rules.state import State, unpack
from nudge_sdk.store.journey_rows import Facts, Journey, earlier
from nudge_sdk.store.protocol import Key, SubjectRow

SOURCE_TRAITS = ("source", "utm_source", "acquisition_source", "acquisition_channel")
"""Traits that say where somebody came from; the first one there is, of the member, else of the account."""

LARGEST_VALUE = 10**12
"""What is said to be worth more is not believed."""

_LONGEST_TRAIT = 200
_FORM = 1
"""Rises with each change in how journeys are made, so that all are made anew."""

_encode = msgspec.msgpack.Encoder().encode
_traits = msgspec.json.Encoder(order="sorted").encode

Won = tuple[int, int | None]
"""(instant, value in millionths)."""


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What journeys are made by.

    Attributes:
        definition: Number of the definition.
        activation: What activation is.
        goal: Key of the goal that is won; empty for none.
        is_goal_of_account: Whether the account meets it.
        kept_before: Instants of the goal before this are kept as they were found once, for the events they came from
            may have been dropped; None where none were.
    """

    definition: int
    activation: Activation
    goal: str
    is_goal_of_account: bool
    kept_before: int | None = None

    @property
    def mark(self) -> bytes:
        """What of this makes a difference to a journey."""
        return _encode((_FORM, self.activation, self.goal, self.is_goal_of_account))


class Rolling:
    """Makes journeys of rows in the order of their keys; an account's is done when its last member's is.

    Args:
        terms: What they are made by.
    """

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self._mark = terms.mark
        self._account: _Account | None = None
        self._facts = Facts({}, {}, {})
        self._stored: dict[Key, Journey] = {}
        self._won: dict[Key, list[Won]] = {}

    def learn(self, facts: Facts, stored: dict[Key, Journey], won: dict[Key, list[Won]]) -> None:
        """Take in what is known of the rows that come next."""
        self._facts, self._stored, self._won = facts, stored, won

    def take(self, rows: Iterable[SubjectRow]) -> list[Journey]:
        """Return the journeys that changed; given no rows at all, the one of the account in hand."""
        found: list[Journey | None] = []
        is_end = True
        for row in rows:
            is_end = False
            if self._account is None or self._account.row.account_id != row.account_id:
                found.append(self._finish())
                self._account = self._begin(row)
            if row.user_id:
                found.append(self._member(row, self._account))
        if is_end:
            found.append(self._finish())
            self._account = None
        return [each for each in found if each is not None]

    def _begin(self, row: SubjectRow) -> _Account:
        own = row if not row.user_id else SubjectRow(account_id=row.account_id, user_id="")
        return _Account(own, self.terms, self._facts, self._stored.get(own.key), self._won.get(own.key, []))

    def _finish(self) -> Journey | None:
        account = self._account
        if account is None or not account.is_stored:
            return None
        return account.journey(self._mark)

    def _member(self, row: SubjectRow, account: _Account) -> Journey | None:
        key, old = row.key, self._stored.get(row.key)
        tiers, nudges = self._facts.tiers.get(key, (None, None)), self._facts.nudges.get(key, (None, None))
        reached, won = self._facts.reached.get(key, []), self._won.get(key, [])
        mark = _hash(self._mark, row, (tiers[0], nudges, sorted(reached), sorted(won, key=str), account.for_members))
        if old is not None and old.mark == mark:
            account.note(old)
            return None
        state = unpack(row.state)
        traits = state.plain_traits()
        signup = signup_of(traits, state)
        milestones = self.terms.activation.member
        earned = account.won if self.terms.is_goal_of_account else _won(state, self.terms, won, old)
        journey = Journey(
            account_id=row.account_id,
            user_id=row.user_id,
            segment=row.segment,
            source=_source(traits) or account.source,
            signed_up_at=signup or None,
            activated_at=(first_activated(milestones, state, signup, reached) if milestones else account.own_activated),
            qualified_at=tiers[0],
            hot_at=account.hot_at,
            won_at=earned[0] if earned else None,
            value=earned[1] if earned else None,
            offered_at=nudges[0],
            withheld_at=nudges[1],
            last_at=state.last,
            events=state.events,
            traits=_plain(traits),
            mark=mark,
        )
        account.note(journey)
        return journey


class _Account:
    """An account whose members are being looked at."""

    def __init__(self, row: SubjectRow, terms: Terms, facts: Facts, old: Journey | None, won: list[Won]) -> None:
        self.row = row
        self.is_stored = bool(row.state or row.standing or row.evaluated_at or row.first_day is not None or old)
        self._terms, self._old = terms, old
        self.state = unpack(row.state)
        self.traits = self.state.plain_traits()
        self.signup = signup_of(self.traits, self.state)
        self.source = _source(self.traits)
        self.hot_at = facts.tiers.get(row.key, (None, None))[1]
        reached = facts.reached.get(row.key, [])
        self.own_activated = first_activated(terms.activation.account, self.state, self.signup, reached)
        self.won = _won(self.state, terms, won, old)
        self._activated: int | None = self.own_activated
        self._qualified: int | None = None
        self._offered: int | None = None
        self._withheld: int | None = None

    @property
    def for_members(self) -> tuple[Any, ...]:
        """What a member's journey takes from its account."""
        return (self.source, self.hot_at, self.won, self.own_activated)

    def note(self, member: Journey) -> None:
        """Take in how far a member came."""
        self._activated = earlier(self._activated, member.activated_at)
        self._qualified = earlier(self._qualified, member.qualified_at)
        self._offered = earlier(self._offered, member.offered_at)
        self._withheld = earlier(self._withheld, member.withheld_at)
        if not self._terms.is_goal_of_account and member.won_at is not None:
            self.won = min(filter(None, (self.won, (member.won_at, member.value))), key=lambda each: each[0])

    def journey(self, terms: bytes) -> Journey | None:
        """Return the account's journey, or None if it is as it was."""
        first = (self._activated, self._qualified, self._offered, self._withheld)
        mark = _hash(terms, self.row, (first, self.for_members))
        if self._old is not None and self._old.mark == mark:
            return None
        return Journey(
            account_id=self.row.account_id,
            user_id="",
            segment=self.row.segment,
            source=self.source,
            signed_up_at=self.signup or None,
            activated_at=self._activated,
            qualified_at=self._qualified,
            hot_at=self.hot_at,
            won_at=self.won[0] if self.won else None,
            value=self.won[1] if self.won else None,
            offered_at=self._offered,
            withheld_at=self._withheld,
            last_at=self.state.last,
            events=self.state.events,
            traits=_plain(self.traits),
            mark=mark,
        )


def _won(state: State, terms: Terms, found: list[Won], old: Journey | None) -> Won | None:
    """Return when the goal was first met, and what that was worth: by the events, or by what is left of them."""
    known = list(found)
    if state.is_met(terms.goal):
        at, _, (_, value) = state.goals[terms.goal]
        known += [(at, worth(value))] if not known or at < min(each[0] for each in known) else []
    if old is not None and old.won_at is not None and terms.kept_before is not None and old.won_at < terms.kept_before:
        known.append((old.won_at, old.value))
    # Of several at one instant the one worth most, whatever their order.
    return min(known, key=lambda each: (each[0], -(each[1] or 0)), default=None)


def worth(given: Any) -> int | None:
    """Return what a conversion was worth in millionths, rounded as the queries of the reports do; None if unsaid."""
    if isinstance(given, bool) or not isinstance(given, int | float) or abs(given) > LARGEST_VALUE:
        return None
    return floor(float(given) * 1_000_000 + 0.5)


def _hash(terms: bytes, row: SubjectRow, facts: tuple[Any, ...]) -> bytes:
    hashed = blake2b(terms, digest_size=12)
    hashed.update(row.state)
    hashed.update(_encode((row.segment, facts)))
    return hashed.digest()


def _source(traits: dict[str, Any]) -> str:
    found = (traits.get(name) for name in SOURCE_TRAITS)
    return next((each for each in found if isinstance(each, str) and 0 < len(each) <= _LONGEST_TRAIT), "")


def _plain(traits: dict[str, Any]) -> str:
    return _traits({name: value for name, value in traits.items() if _is_plain(value)}).decode()


def _is_plain(value: Any) -> bool:
    return isinstance(value, bool | int | float) or (isinstance(value, str) and len(value) <= _LONGEST_TRAIT)
