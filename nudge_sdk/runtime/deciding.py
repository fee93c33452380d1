"""Deciding: choose, present, and confirm with the store before anything is shown."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec

from nudge_sdk.errors import CopyError, StoreError
from nudge_sdk.rules.ledger import Display, Ledger, Offer, pack_ledger, with_offer
from nudge_sdk.rules.presenting import Payload, content_of, present
from nudge_sdk.rules.selection import Chosen, Reason, select, without_candidates
from nudge_sdk.rules.shortlists import shortlist
from nudge_sdk.runtime.catalog import Catalog
from nudge_sdk.runtime.failures import Failures
from nudge_sdk.runtime.intake import Intake
from nudge_sdk.runtime.profiles import Profiles
from nudge_sdk.runtime.views import View
from nudge_sdk.store.protocol import Exposure, Key
from nudge_sdk.store.tombstones import refuse_forgotten

_ATTEMPTS = 3


class Question(msgspec.Struct, frozen=True):
    """What the host asks.

    Attributes:
        placement: The slot.
        key: (account, user) as the host says it.
        context: What conditions and copy may use of this request.
        locale: BCP 47 tag.
        can_purchase: Whether the person may buy.
        requested: Keys of manual nudges the host asks for.
    """

    placement: str
    key: Key
    context: dict[str, Any] = {}
    locale: str = ""
    can_purchase: bool = True
    requested: frozenset[str] = frozenset()


def further(asked: dict[str, Any]) -> dict[str, Any]:
    """Return the further arguments of ``explain`` as fields of a question.

    Raises:
        TypeError: One that is not known.
    """
    unknown = set(asked) - {"context", "locale", "can_purchase", "request"}
    if unknown:
        raise TypeError(f"explain() got unexpected arguments: {', '.join(sorted(unknown))}")
    answer = {name: value for name, value in asked.items() if name != "request"}
    return {**answer, "requested": frozenset(asked.get("request", ()))}


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of ``decide``; true where there is a nudge to show.

    Attributes:
        placement: The slot asked about.
        nudge: What to show, or None.
        reasons: Every candidate that is not shown, with the code of the first check that failed.
        id: Names this offer in reports; empty where nothing is offered.
        user, account: For whom.
        at: The instant, in microseconds.
        definition: Number of the definition that decided.
        problem: Why nothing could be decided, or empty.
    """

    placement: str
    nudge: Payload | None = None
    reasons: dict[str, Reason] = {}
    id: str = ""
    user: str = ""
    account: str = ""
    at: int = 0
    definition: int = 0
    problem: str = ""

    def __bool__(self) -> bool:
        return self.nudge is not None


class Decider:
    """Answers ``decide``.

    Args:
        intake: Where definitions come from.
        profiles: Where members come from.
        new_id: Makes ids of decisions.
        refresh_seconds: How often to look for a new definition.
        wait: Most seconds to wait for the store's confirmation.
        failures: Told of what failed.
    """

    def __init__(
        self,
        intake: Intake,
        profiles: Profiles,
        new_id: Callable[[int], str],
        *,
        refresh_seconds: float,
        wait: float,
        failures: Failures,
    ) -> None:
        self.failures = failures
        self.intake = intake
        self.profiles = profiles
        self.new_id = new_id
        self.refresh_seconds = refresh_seconds
        self.wait = wait
        self._refresh_at = 0.0

    def catalog(self) -> Catalog:
        """Return the published definitions, at most ``refresh_seconds`` old; the last good ones if none can be read."""
        if time.monotonic() < self._refresh_at:
            return self.intake.catalog
        self._refresh_at = time.monotonic() + self.refresh_seconds
        try:
            return self.intake.current()
        except Exception as error:
            self.failures.note("refresh", error)
        return self.intake.catalog

    def forget_catalog(self) -> None:
        """Look for a new definition at the next decision."""
        self._refresh_at = 0.0

    def decide(self, question: Question) -> Decision:
        """Choose what to show, and confirm it.

        Raises:
            StoreError: The member is not in memory and the store did not answer.
        """
        catalog = self.catalog()
        now = self.intake.clock()
        for _ in range(_ATTEMPTS):
            view, chosen = self.choose(question, now, catalog)
            winner = chosen.candidate
            if winner is None:
                return _nothing(question, view, chosen, now)
            decision = self._present(question, view, chosen, now)
            if decision is None:
                chosen.reasons[winner.key] = Reason.NOT_TARGETED
                return _nothing(question, view, chosen, now)
            try:
                if self._confirm(view, chosen, decision):
                    return decision if not chosen.held_out else _nothing(question, view, chosen, now)
            except StoreError as error:
                self.failures.note("confirm", error)
                break
            self.profiles.forget(view.person.account_id)
        return _nothing(question, view, _unconfirmed(chosen), now)

    def choose(self, question: Question, now: int, catalog: Catalog, *, is_kept: bool = True) -> tuple[View, Chosen]:
        """Choose without confirming: nothing is spent."""
        view = self.profiles.view(question.key, now, catalog, is_kept=is_kept)
        among = view.shortlists.get(question.placement)
        placements = catalog.placements
        if among is not None and not (among.kept or among.ready) and placements.hide is None:
            return view, without_candidates(placements, question.placement, view.person, now, among)
        facts = view.member.facts.asked(now, question.context, question.locale, can_purchase=question.can_purchase)
        if among is None:
            among = shortlist(catalog.placements, question.placement, view.person, facts)
            view.shortlists[question.placement] = among
        chosen = select(
            catalog.placements, question.placement, view.person, facts, requested=question.requested, among=among
        )
        return view, chosen

    def preview(self, question: Question, now: int, catalog: Catalog) -> tuple[Decision, View, Chosen]:
        """Return what ``decide`` would answer if the store agreed; nothing is spent or kept."""
        view, chosen = self.choose(question, now, catalog, is_kept=False)
        decision = self._present(question, view, chosen, now) if chosen.candidate and not chosen.held_out else None
        return decision or _nothing(question, view, chosen, now), view, chosen

    def _present(self, question: Question, view: View, chosen: Chosen, now: int) -> Decision | None:
        candidate = chosen.candidate
        assert candidate is not None
        content = content_of(candidate.nudge, chosen.variant, can_purchase=question.can_purchase)
        facts = view.member.facts.asked(now, question.context, question.locale, can_purchase=question.can_purchase)
        standings = {"standing": view.person.standing, "account_standing": view.account_standing}
        try:
            payload = present(
                view.catalog.rules, candidate.nudge, content, view.member, view.account, facts=facts, **standings
            )
        except CopyError as error:
            self.failures.note(f"nudge {candidate.key}", error)
            return None
        shown = chosen.display
        return Decision(
            placement=question.placement,
            nudge=msgspec.structs.replace(payload, variant=chosen.variant),
            reasons=chosen.reasons,
            id=shown.decision_id if shown else self.new_id(now),
            user=view.person.user_id,
            account=view.person.account_id,
            at=now,
            definition=view.catalog.rules.number,
        )

    def _confirm(self, view: View, chosen: Chosen, decision: Decision) -> bool:
        """Whether the store agrees; a new offer or withholding is written down in the same moment."""
        person = view.person
        member, account = (person.account_id, person.user_id), (person.account_id, "")
        if chosen.is_on_display:
            found = self.intake.store.read_ledger_versions([member, account])
            return (found.get(member, 0), found.get(account, 0)) == view.versions
        candidate = chosen.candidate
        assert candidate is not None
        offer = Offer(decision.at, candidate.key, candidate.is_critical, candidate.is_help)
        display = Display(
            decision.placement, candidate.key, chosen.variant, decision.id, decision.at,
            bool(chosen.held_out), chosen.held_out,
        )  # fmt: skip
        with self.intake.store.transaction(wait=self.wait) as transaction:
            rows = transaction.lock_subjects([member, account])
            if refuse_forgotten(transaction, rows):
                return False
            if (rows[member].ledger_version, rows[account].ledger_version) != view.versions:
                return False
            changed: list[tuple[Key, Ledger]] = [(member, with_offer(person.ledger, offer, display))]
            if view.catalog.placements.has_account_caps:
                changed.append((account, with_offer(person.account_ledger, offer, None)))
            for key, ledger in changed:
                rows[key].ledger = pack_ledger(ledger)
                transaction.put_ledger(rows[key], expected_version=rows[key].ledger_version)
                rows[key].ledger_version += 1
            transaction.add_exposures([_exposure(view, chosen, decision)])
            positions = self.profiles.positions(transaction.position)
        self.profiles.put(rows, positions)
        return True


def _exposure(view: View, chosen: Chosen, decision: Decision) -> Exposure:
    candidate = chosen.candidate
    assert candidate is not None
    kind = "withheld" if chosen.held_out else "offered"
    details = b"critical" if candidate.is_critical else b""
    return Exposure(
        view.person.account_id, view.person.user_id, decision.id, kind, candidate.key, chosen.variant,
        decision.placement, decision.at, decision.definition, candidate.goal, chosen.held_out, details,
    )  # fmt: skip


def _unconfirmed(chosen: Chosen) -> Chosen:
    key = chosen.candidate.key if chosen.candidate else ""
    return msgspec.structs.replace(chosen, reasons={**chosen.reasons, key: Reason.UNCONFIRMED})


def _nothing(question: Question, view: View, chosen: Chosen, now: int) -> Decision:
    return Decision(
        placement=question.placement,
        reasons=chosen.reasons,
        user=view.person.user_id,
        account=view.person.account_id,
        at=now,
        definition=view.catalog.rules.number,
    )
