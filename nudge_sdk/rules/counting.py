"""Applying records to the states of a member and of its account."""

from __future__ import annotations

from nudge_sdk.rules.records import Record
from nudge_sdk.rules.signals import Plan
from nudge_sdk.rules.state import State, write
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


def apply_to_member(state: State, record: Record, plan: Plan, user_id: str) -> None:
    """Apply a record of a member to its state; ``user_id`` is who it counts for."""
    kind = record.kind
    if kind == "track":
        at = record.counted_at
        state.note_event(at, is_clamped=at != record.at)
        plan.count(state, record, user_id, at)
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
        at = record.counted_at
        state.note_event(at, is_clamped=at != record.at)
        if user_id:
            state.note_member(user_id, day_of(at), plan.capacity)
        plan.count(state, record, user_id, at)
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
