"""What the client answers when it is asked for reasons."""

from __future__ import annotations

import msgspec

from nudge_sdk.rules.explaining import ChoiceLine, StandingReport, explain_choice, explain_standing
from nudge_sdk.runtime.deciding import Decider, Decision, Question
from nudge_sdk.runtime.views import View


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Why a person gets what they get at a placement.

    Attributes:
        decision: What ``decide`` would answer; nothing was spent.
        standing: The member's standing.
        account_standing: The account's standing.
        candidates: Every candidate, with its reason in a sentence.
    """

    decision: Decision
    standing: StandingReport
    account_standing: StandingReport
    candidates: tuple[ChoiceLine, ...]


def report_of(view: View, *, is_account: bool) -> StandingReport:
    """Return the standing of a member, or of its account, with every reason."""
    return explain_standing(
        view.catalog.rules,
        view.account if is_account else view.member,
        view.account_standing if is_account else view.person.standing,
        view.judged_at,
        account_id=view.person.account_id,
        user_id="" if is_account else view.person.user_id,
    )


def explain(decider: Decider, question: Question, now: int) -> Explanation:
    """Return what ``decide`` would answer at an instant, and why; nothing is spent."""
    catalog = decider.catalog()
    decision, view, chosen = decider.preview(question, now, catalog)
    facts = view.member.facts.asked(now, question.context, question.locale, can_purchase=question.can_purchase)
    lines = explain_choice(chosen, catalog.placements, question.placement, person=view.person, facts=facts)
    return Explanation(
        decision=decision,
        standing=report_of(view, is_account=False),
        account_standing=report_of(view, is_account=True),
        candidates=tuple(lines),
    )
