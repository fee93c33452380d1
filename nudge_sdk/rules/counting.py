"""Applying records to the states of a member and of its account."""

from __future__ import annotations

from typing import NamedTuple

from nudge_sdk.rules.records import Record
from nudge_sdk.rules.signals import Plan
from nudge_sdk.rules.state import State, Taken, write
from nudge_sdk.rules.times import day_of

TRAIT_KINDS = frozenset({"identify", "group", "left", "alias", "convert", "churn", "opt_out", "opt_in"})
"""Kinds after which traits, goals or memberships differ, so that what depends on them is judged anew."""


def may_matter(state: State, record: Record, plan: Plan, user_id: str, *, is_account: bool) -> bool:
    """Whether a record can change anything a standing looks at."""
    if record.kind != "track":
        return True
    if record.name in plan.by_event or state.first is None or record.counted_at < state.first:
        return True
    return is_account and state.members.get(user_id, -1) < day_of(record.counted_at)


class Event(NamedTuple):
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
    at, is_clamped, taken = event
    state.note_event(at, is_clamped=is_clamped)
    for signal, found in taken:
        state.count(signal, at, found, plan.capacity)


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
    elif kind in ("opt_out", "opt_in"):
        write(state.opted_out, record.name, (record.counted_at, record.id, kind == "opt_out"), plan.capacity)


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


def _write_traits(state: State, record: Record, plan: Plan) -> None:
    for name, value in record.data.items():
        write(state.traits, name, (record.counted_at, record.id, value), plan.capacity)


def _write_goal(state: State, record: Record, plan: Plan) -> None:
    met = [record.kind == "convert", record.data.get("value")]
    write(state.goals, record.name, (record.counted_at, record.id, met), plan.capacity)
