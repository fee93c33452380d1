"""Claiming: the host's own banner takes a person's attention, confirmed with the store as a nudge is."""

from __future__ import annotations

from nudge_sdk.errors import StoreError
from nudge_sdk.rules.claims import claim_key, is_affordable, shown_at
from nudge_sdk.rules.ledger import Ledger, Offer, pack_ledger, with_offer
from nudge_sdk.rules.records import Record, personal_account
from nudge_sdk.runtime.checking import check_name
from nudge_sdk.runtime.deciding import Decider, Question
from nudge_sdk.runtime.recorder import Recorder
from nudge_sdk.runtime.views import View
from nudge_sdk.store.protocol import Exposure, Key
from nudge_sdk.store.tombstones import refuse_forgotten

_ATTEMPTS = 3


def claim(decider: Decider, recorder: Recorder, question: Question) -> bool:
    """Take a person's attention for the host's own banner, if there is any left.

    A claim that is granted stays granted for as long as a nudge stays on display, and is spent once.

    Returns:
        Whether the banner may be shown. Where the store does not confirm, it may, as if there were no nudges; the claim
        goes by the journal.

    Raises:
        RecordError: Not the name of a placement.
        StoreError: The member is not in memory and the store did not answer.
    """
    catalog = decider.catalog()
    placements, placement = catalog.placements, check_name(question.placement, "placement")
    for _ in range(_ATTEMPTS):
        now = decider.intake.clock()
        view = decider.profiles.view(question.key, now, catalog)
        stands = shown_at(view.person.ledger, placement, now, placements.display)
        if stands is not None:
            return isinstance(stands, Offer)
        facts = view.member.facts.asked(now, {}, "", can_purchase=True)
        if not is_affordable(placements, placement, view.person, facts):
            return False
        try:
            if _spend(decider, view, placement, now):
                return True
        except StoreError as error:
            decider.failures.note("claim", error)
            break
        decider.profiles.forget(view.person.account_id)
    recorder.write(_later(recorder, view, placement))
    return True


def _later(recorder: Recorder, view: View, placement: str) -> Record:
    person = view.person
    account = None if person.account_id == personal_account(person.user_id) else person.account_id
    details = {"kind": "claimed", "placement": placement}
    return recorder.make("exposure", person.user_id, claim_key(placement), details, account=account)


def _spend(decider: Decider, view: View, placement: str, now: int) -> bool:
    """Write the claim down; whether nothing else was spent meanwhile."""
    person = view.person
    member, account = (person.account_id, person.user_id), (person.account_id, "")
    offer = Offer(now, claim_key(placement))
    with decider.intake.store.transaction(wait=decider.wait) as transaction:
        rows = transaction.lock_subjects([member, account])
        if refuse_forgotten(transaction, rows):
            return False
        if (rows[member].ledger_version, rows[account].ledger_version) != view.versions:
            return False
        changed: list[tuple[Key, Ledger]] = [(member, person.ledger)]
        if view.catalog.placements.has_account_caps:
            changed.append((account, person.account_ledger))
        for key, ledger in changed:
            rows[key].ledger = pack_ledger(with_offer(ledger, offer, None))
            transaction.put_ledger(rows[key], expected_version=rows[key].ledger_version)
            rows[key].ledger_version += 1
        number = view.catalog.rules.number
        claimed = (person.account_id, person.user_id, decider.new_id(now), "claimed", offer.nudge, "", placement)
        transaction.add_exposures([Exposure(*claimed, now, number)])
        positions = decider.profiles.positions(transaction.position)
    decider.profiles.put(rows, positions)
    return True
