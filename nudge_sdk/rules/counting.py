"""Applying records to the states of a member and of its account."""

from __future__ import annotations

import msgspec

from nudge_sdk.rules.records import PERSONAL, Record
from nudge_sdk.rules.signals import Plan
from nudge_sdk.rules.state import State, Taken, write
from nudge_sdk.rules.times import day_of

TRAIT_KINDS = frozenset({"identify", "group", "left", "alias", "convert", "churn", "opt_out", "opt_in"})
"""Kinds after which traits, goals or memberships differ, so that what depends on them is judged anew."""


OPTS = frozenset({"opt_out", "opt_in"})


def may_matter(state: State, record: Record, plan: Plan, user_id: str, *, is_account: bool) -> bool:
    """Whether a record can change anything a standing looks at."""
    if record.kind != "track":
        return not is_account or _is_of_person(record)
    if record.name in plan.by_event or state.first is None or record.counted_at < state.first:
        return True
    return is_account and state.members.get(user_id, -1) < day_of(record.counted_at)


class Event(msgspec.Struct, frozen=True):
    """A ``track`` record, read once for its member and its account.

    Attributes:
        at: The instant it counts at.
        is_clamped: Whether its own time was too far in the future.
        taken: The signals it counts for, each with what it takes from it.
    """

    at: int
    is_clamped: bool
    taken: list[tuple[str, Taken]]


def apply_event(state: State, event: Event, plan: Plan) -> None:
    """Apply an event to the state of its member."""
    at, capacity = event.at, plan.capacity
    state.note_event(at, is_clamped=event.is_clamped)
    for signal, taken in event.taken:
        state.count(signal, at, taken, capacity)


def apply_event_to_account(state: State, event: Event, plan: Plan, user_id: str) -> None:
    """Apply an event to the state of its account."""
    if user_id:
        state.note_member(user_id, day_of(event.at), plan.capacity)
    apply_event(state, event, plan)


def _read(record: Record, plan: Plan, user_id: str) -> Event:
    at = record.counted_at
    return Event(at, at != record.at, plan.taken(record, user_id))


def apply_to_member(state: State, record: Record, plan: Plan, user_id: str) -> None:
    """Apply a record of a member to its state; ``user_id`` is who it counts for."""
    kind = record.kind
    if kind == "track":
        apply_event(state, _read(record, plan, user_id), plan)
    elif kind == "identify":
        _write_traits(state, record, plan)
    elif kind in ("convert", "churn"):
        _write_goal(state, record, plan)
    elif kind in OPTS:
        _write_opt(state, record, plan)


def apply_to_account(state: State, record: Record, plan: Plan, user_id: str) -> None:
    """Apply a record of a member, or of the account alone, to the account's state."""
    kind = record.kind
    if kind == "track":
        apply_event_to_account(state, _read(record, plan, user_id), plan, user_id)
    elif kind in ("group", "left"):
        _write_traits(state, record, plan)
        if user_id:
            write(state.left, user_id, (record.counted_at, record.id, kind == "left"), plan.capacity)
    elif kind in ("convert", "churn"):
        _write_goal(state, record, plan)
    elif _is_of_person(record):
        _write_opt(state, record, plan)


def _is_of_person(record: Record) -> bool:
    """Whether a personal account follows what its person says of nudges."""
    return record.kind in OPTS and record.account_id.startswith(PERSONAL)


def _write_opt(state: State, record: Record, plan: Plan) -> None:
    write(state.opted_out, record.name, (record.counted_at, record.id, record.kind == "opt_out"), plan.capacity)


def _write_traits(state: State, record: Record, plan: Plan) -> None:
    for name, value in record.data.items():
        write(state.traits, name, (record.counted_at, record.id, value), plan.capacity)


def _write_goal(state: State, record: Record, plan: Plan) -> None:
    met = [record.kind == "convert", record.data.get("value")]
    write(state.goals, record.name, (record.counted_at, record.id, met), plan.capacity)
