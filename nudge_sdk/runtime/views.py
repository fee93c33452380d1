"""Views: a member judged, with all that a decision needs."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from nudge_sdk.rules.dormant import dormant, opened
from nudge_sdk.rules.ledger import Ledger, exposures_of, unpack_ledger
from nudge_sdk.rules.selection import Person, Shortlist, opted_out_categories
from nudge_sdk.rules.standing import UNJUDGED, Judged, Standing, decode_standing, met_goals, phase_of
from nudge_sdk.runtime.catalog import Catalog
from nudge_sdk.runtime.fold import Fold
from nudge_sdk.store.protocol import Key, SubjectRow

_replace = msgspec.structs.replace


class Seen(NamedTuple):
    """What a view looks at of a member or an account."""

    standing: Standing
    ledger: Ledger
    judged: Judged


class View(msgspec.Struct, frozen=True):
    """A member, judged: all that a decision needs, until ``valid_until``.

    Attributes:
        versions: Versions of the member's and the account's ledger.
        shortlists: Placement to the candidates that may still be chosen, filled as placements are asked about.
    """

    person: Person
    account_standing: Standing
    member: Judged
    account: Judged
    versions: tuple[int, int]
    judged_at: int
    valid_until: int
    catalog: Catalog
    shortlists: dict[str, Shortlist]


def with_ledgers(view: View, member: SubjectRow, account: SubjectRow) -> View:
    """Return a view with the ledgers of these rows."""
    versions = (member.ledger_version, account.ledger_version)
    if versions == view.versions:
        return view
    if versions[0] != view.versions[0]:
        ledger = unpack_ledger(member.ledger)
        judged = view.member.with_exposures(exposures_of(ledger))
        view = _replace(view, person=_replace(view.person, ledger=ledger), member=judged)
    if versions[1] != view.versions[1]:
        view = _replace(view, person=_replace(view.person, account_ledger=unpack_ledger(account.ledger)))
    return _replace(view, versions=versions, shortlists={})


def resting_view(rows: dict[Key, SubjectRow], key: Key, now: int, catalog: Catalog) -> View | None:
    """Return a member as its rows have it, without unpacking what was counted; None where time has changed more."""
    both = rows[key], rows[key[0], ""]
    standings = [decode_standing(row.standing) if row.standing else UNJUDGED for row in both]
    if any(catalog.timeline.is_due(standing, now) for standing in standings):
        return None
    states = [opened(row.state) for row in both]
    member, account = (
        Seen(standing, unpack_ledger(row.ledger), Judged(row.user_id, state, states[1], key[0]))
        for row, standing, state in zip(both, standings, states, strict=True)
    )
    view = _seen(key, (member, account), now, catalog, (both[0].ledger_version, both[1].ledger_version))
    resting = [dormant(row.state) for row in both]
    view.member.settle(*resting)
    view.account.settle(resting[1], resting[1])
    return view


def view_of(fold: Fold, key: Key, now: int, catalog: Catalog, versions: tuple[int, int]) -> View:
    """Return a member as a fold has it at an instant."""
    both = fold.works[key], fold.works[key[0], ""]
    member, account = (Seen(work.standing, work.ledger, fold.judged(work)) for work in both)
    return _seen(key, (member, account), now, catalog, versions)


def at_rest(view: View, rows: dict[Key, SubjectRow]) -> View:
    """Return a view that keeps no unpacked state: thousands are kept, and few are looked into again."""
    person = view.person
    member = dormant(rows[person.account_id, person.user_id].state)
    account = dormant(rows[person.account_id, ""].state)
    return _replace(view, member=view.member.at_rest(member, account), account=view.account.at_rest(account, account))


def grounds(view: View) -> tuple[object, ...]:
    """Return all that the view's shortlists rest on: what the choice and the fixed part of an audience look at."""
    person, facts = view.person, view.member.facts
    return (
        view.catalog,
        facts.traits,
        facts.account_traits,
        facts.segment,
        facts.tier,
        facts.account_tier,
        facts.reached,
        facts.account_reached,
        person.phase,
        person.standing.episode,
        person.met_goals,
        person.opted_out,
        person.ledger,
        person.account_ledger,
    )


def _seen(key: Key, both: tuple[Seen, Seen], now: int, catalog: Catalog, versions: tuple[int, int]) -> View:
    member, account = both
    facts = member.judged.facts
    segment = catalog.rules.segment_of(facts).segment
    person = Person(
        key[0],
        key[1],
        member.standing,
        member.ledger,
        account.ledger,
        phase_of(member.standing.episode, segment, now),
        met_goals(catalog.rules, member.judged),
        opted_out_categories(member.judged.state),
        account.judged.state.has_left(key[1]),
    )
    facts.tier, facts.account_tier, facts.segment = member.standing.tier, account.standing.tier, segment.key
    facts.reached, facts.account_reached = member.standing.reached, account.standing.reached
    facts.exposures, facts.tags = exposures_of(member.ledger), catalog.placements.tags
    changes = (member.standing.next_change, account.standing.next_change, catalog.timeline.next_start(now))
    return View(
        person, account.standing, member.judged, account.judged, versions, now, min(changes), catalog, {}
    )  # fmt: skip
