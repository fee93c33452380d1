"""Disclosing: everything that is held about one person, as plain data."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from nudge_sdk.rules.identity import Key
from nudge_sdk.rules.records import Record
from nudge_sdk.rules.state import unpack
from nudge_sdk.rules.times import to_iso
from nudge_sdk.runtime.intake import Intake
from nudge_sdk.runtime.person import Person, find, records_of
from nudge_sdk.store.journey_rows import Journey, journeys_of
from nudge_sdk.store.protocol import Alias, Store, SubjectRow

WAIT = 10.0
"""Seconds to wait for others that write."""

_INSTANTS = frozenset({"at", "observed_at", "started_at", "ended_at"})
_OF_JOURNEYS = frozenset(name for name in Journey.__struct_fields__ if name.endswith("_at"))
_LOGS = {"transitions": "transitions", "episodes": "episodes", "milestones": "reached", "nudges": "exposures"}


def disclose(intake: Intake, standing: Callable[[Key], Any], *, user_id: str, account_id: str | None) -> dict[str, Any]:
    """Return everything that is held about a person, as JSON values; times are ISO 8601 in UTC.

    Args:
        intake: The way into the store.
        standing: Returns a member's standing with its reasons.
        user_id: The person.
        account_id: The only account meant, or None for every one.

    Raises:
        StoreError: The store refused or was busy.
    """
    store = intake.store
    with store.transaction(wait=WAIT) as transaction:
        person = find(transaction, user_id, account_id)
        records = records_of(transaction, person)
        aliases = [alias for key in sorted(person.keys) for alias in transaction.alias_sources(key)]
        aliases += transaction.aliases(person.keys).values()
    rows = store.read_subjects(sorted(person.keys))
    return {
        "user": user_id,
        "account": account_id,
        "at": to_iso(intake.clock()),
        "members": [_member(rows[key], standing(key)) for key in sorted(rows)],
        "events": [_event(record) for record in records],
        "aliases": _unique(map(_alias, aliases)),
        **{name: _log(store, attribute, person) for name, attribute in _LOGS.items()},
        "journeys": [_journey(row) for row in journeys_of(store, sorted(person.keys))],
        "set_aside": [
            {"line": row.line.decode(errors="replace"), "reason": row.reason, "at": to_iso(row.at)}
            for row in store.quarantined()
            if person.is_in_line(row.line, row.reason)
        ],
    }


def _member(row: SubjectRow, standing: Any) -> dict[str, Any]:
    state = unpack(row.state)
    return {
        "account": row.account_id,
        "user": row.user_id,
        "traits": state.plain_traits(),
        "goals": sorted(goal for goal in state.goals if state.is_met(goal)),
        "opted_out": sorted(tag for tag, written in state.opted_out.items() if written[2]),
        "standing": msgspec.to_builtins(standing),
    }


def _event(record: Record) -> dict[str, Any]:
    return {
        "kind": record.kind,
        "account": record.account_id,
        "user": record.user_id,
        "id": record.id,
        "at": to_iso(record.at),
        "received_at": to_iso(record.received_at),
        "name": record.name,
        "data": record.data,
        "release": record.release,
        "is_history": record.history,
    }


def _alias(alias: Alias) -> dict[str, Any]:
    return {
        "account": alias.account_id,
        "user": alias.user_id,
        "to_account": alias.to_account_id,
        "to_user": alias.to_user_id,
        "at": to_iso(alias.at),
    }


def _journey(journey: Journey) -> dict[str, Any]:
    line = {name: getattr(journey, name) for name in journey.__struct_fields__ if name not in ("mark", "traits")}
    for name in line.keys() & _OF_JOURNEYS:
        line[name] = None if line[name] is None else to_iso(line[name])
    return {"account": line.pop("account_id"), "user": line.pop("user_id"), **line}


def _unique(lines: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for line in lines:
        if line not in found:
            found.append(line)
    return found


def _log(store: Store, attribute: str, person: Person) -> list[dict[str, Any]]:
    return [_line(row) for key in sorted(person.keys) for row in getattr(store, attribute)(*key)]


def _line(row: msgspec.Struct) -> dict[str, Any]:
    """Return a row under the names that people know."""
    line = {name: getattr(row, name) for name in row.__struct_fields__ if name != "details"}
    for name in _INSTANTS & line.keys():
        line[name] = None if line[name] is None else to_iso(line[name])
    return {"account": line.pop("account_id"), "user": line.pop("user_id"), **line}
