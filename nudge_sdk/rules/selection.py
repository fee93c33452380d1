"""Selection: which nudge, if any, at a placement at an instant, and why not the others.

The order is fixed: kill switch, opt-out, hide rules, what is on display stays, the nudge's own caps, tag and overall
caps with the minimum gap, audience and trigger; then lane, priority, tier match, newest published, key; the winner last
meets the holdouts. The first check that fails is the candidate's reason.
"""

from __future__ import annotations

from collections.abc import Container
from enum import StrEnum

import msgspec

from nudge_sdk.rules.bucketing import bucket, choose_variant, is_held_out
from nudge_sdk.rules.candidates import Candidate, Limit, Placements
from nudge_sdk.rules.conditions import Facts, Predicate
from nudge_sdk.rules.definition import Definition, Nudge, Subject
from nudge_sdk.rules.ledger import NO_ANSWER, Answer, Display, Ledger
from nudge_sdk.rules.standing import Standing
from nudge_sdk.rules.state import State


class Reason(StrEnum):
    """Why a nudge was not shown; the first check that failed."""

    PAUSED = "PAUSED"
    OPTED_OUT = "OPTED_OUT"
    HIDDEN = "HIDDEN"
    DISMISSED = "DISMISSED"
    SNOOZED = "SNOOZED"
    CAPPED = "CAPPED"
    THROTTLED = "THROTTLED"
    GOAL_MET = "GOAL_MET"
    NOT_SCHEDULED = "NOT_SCHEDULED"
    NOT_TARGETED = "NOT_TARGETED"
    NOT_TRIGGERED = "NOT_TRIGGERED"
    OUTRANKED = "OUTRANKED"
    HELD_OUT = "HELD_OUT"
    UNCONFIRMED = "UNCONFIRMED"


class Person(msgspec.Struct, frozen=True):
    """Whom a nudge is chosen for, with all that the choice looks at.

    Attributes:
        phase: Of the member's episode: prompt, help, rest or empty.
        met_goals: Goals that are met.
        opted_out: Categories the member said no to; an empty text is everything.
        has_left: Whether the member left the account.
    """

    account_id: str
    user_id: str
    standing: Standing
    ledger: Ledger
    account_ledger: Ledger
    phase: str
    met_goals: frozenset[str]
    opted_out: frozenset[str]
    has_left: bool = False


class Chosen(msgspec.Struct, frozen=True):
    """What a selection came to.

    Attributes:
        candidate: The winner, or None.
        variant: Its variant; empty where it has none.
        is_on_display: Whether it was on display before, so that nothing is spent.
        held_out: The holdout that withholds it (``overall`` or ``nudge``), or an empty text.
        display: The display that stays, or None.
        reasons: Every candidate that is not shown, with why.
    """

    candidate: Candidate | None
    variant: str
    is_on_display: bool
    held_out: str
    display: Display | None
    reasons: dict[str, Reason]


class Shortlist(msgspec.Struct, frozen=True):
    """The candidates of a placement, sorted apart by what neither time nor the request can change of a person.

    Attributes:
        kept: Those that have to be looked at each time, with the audience to ask.
        ready: Those of which only the overall caps, what of the audience is left to ask, and the trigger are open.
        out: All others, with why.
        throttled: The same while overall caps leave no room.
    """

    kept: tuple[tuple[Candidate, Predicate | None], ...]
    ready: tuple[tuple[Candidate, Predicate | None], ...]
    out: dict[str, Reason]
    throttled: dict[str, Reason]


_NO_REQUESTS: frozenset[str] = frozenset()


def select(
    placements: Placements,
    placement: str,
    person: Person,
    facts: Facts,
    *,
    requested: frozenset[str] = _NO_REQUESTS,
    among: Shortlist | None = None,
) -> Chosen:
    """Choose the nudge for a placement.

    Args:
        placements: All candidates of the definition in force.
        placement: The slot the host asked about.
        person: For whom.
        facts: What conditions may look at; its ``now`` is the instant of the decision.
        requested: Keys of manual nudges the host asked for.
        among: The shortlist of this person at this placement; without one all candidates are looked at.
    """
    candidates = placements.by_placement.get(placement, ())
    now, ledger = facts.now, person.ledger
    if among is None:
        among = Shortlist(tuple((each, each.audience) for each in candidates), (), {}, {})
    stopped = _stopped(placements, person, now) or (
        Reason.HIDDEN if placements.hide is not None and placements.hide(facts) else None
    )
    if stopped is not None:
        return _nothing({candidate.key: stopped for candidate in candidates})
    is_throttled = _is_throttled(placements, person, now)
    reasons = dict(among.throttled if is_throttled else among.out)
    eligible: list[Candidate] = []
    for candidate, audience in among.ready:
        if is_throttled and not candidate.is_critical:
            reasons[candidate.key] = Reason.THROTTLED
        elif audience is not None and not audience(facts):
            reasons[candidate.key] = Reason.NOT_TARGETED
        elif candidate.trigger is not None and not candidate.trigger(person.standing, facts, requested):
            reasons[candidate.key] = Reason.NOT_TRIGGERED
        else:
            eligible.append(candidate)
    shown = _on_display(ledger, placement, now, placements.display) if ledger.displays else None
    for candidate, audience in among.kept:
        key = candidate.key
        answer = ledger.answers.get(key, NO_ANSWER)
        reason = _own_reason(candidate, person, facts, answer)
        if reason is None and shown is not None and shown.nudge == key and _may_stay(candidate, person):
            return _stays(candidate, shown, _own_reasons(candidates, person, facts))
        if reason is None:
            reason = _spent_reason(candidate, placements, person, (now, answer, is_throttled))
        if reason is None:
            reason = _untargeted(candidate, audience, person, facts, requested)
        if reason is None:
            eligible.append(candidate)
        else:
            reasons[key] = reason
    return _decide(placements, person, eligible, reasons) if eligible else _nothing(reasons)


def without_candidates(placements: Placements, placement: str, person: Person, now: int, among: Shortlist) -> Chosen:
    """Return what ``select`` returns where the shortlist leaves nothing to look at, and nothing hides all nudges."""
    stopped = _stopped(placements, person, now)
    if stopped is not None:
        return _nothing({candidate.key: stopped for candidate in placements.by_placement.get(placement, ())})
    return _nothing(dict(among.throttled if _is_throttled(placements, person, now) else among.out))


def _spent_reason(
    candidate: Candidate, placements: Placements, person: Person, spent: tuple[int, Answer, bool]
) -> Reason | None:
    now, answer, is_throttled = spent
    if _capped(candidate, person, now, answer):
        return Reason.CAPPED
    if candidate.is_critical:
        return None
    if is_throttled or (candidate.tag_limits and _is_tag_throttled(candidate, placements, person, now)):
        return Reason.THROTTLED
    return None


def _nothing(reasons: dict[str, Reason]) -> Chosen:
    return Chosen(None, "", False, "", None, reasons)


def _stopped(placements: Placements, person: Person, now: int) -> Reason | None:
    if placements.is_paused:
        return Reason.PAUSED
    if "" in person.opted_out:
        return Reason.OPTED_OUT
    if person.has_left:
        return Reason.NOT_TARGETED
    return Reason.HIDDEN if person.ledger.quiet_until > now else None


def _own_reason(candidate: Candidate, person: Person, facts: Facts, answer: Answer) -> Reason | None:
    """Return why the nudge itself is out of the question, whatever was spent."""
    if candidate.nudge.is_paused:
        return Reason.PAUSED
    if person.opted_out and not person.opted_out.isdisjoint(candidate.tags):
        return Reason.OPTED_OUT
    if candidate.hide is not None and candidate.hide(facts):
        return Reason.HIDDEN
    now = facts.now
    if answer is not NO_ANSWER:
        if answer.dismissed_at and now < answer.dismissed_at + candidate.dismiss:
            return Reason.DISMISSED
        if now < answer.snoozed_until:
            return Reason.SNOOZED
        if answer.completed_at:
            return Reason.GOAL_MET
    if candidate.goal and candidate.goal in person.met_goals:
        return Reason.GOAL_MET
    if not candidate.starts_at <= now < candidate.ends_at:
        return Reason.NOT_SCHEDULED
    return None


def _on_display(ledger: Ledger, placement: str, now: int, longest: int) -> Display | None:
    for display in ledger.displays:
        if display.placement == placement and display.at <= now < display.at + longest:
            return display
    return None


def _may_stay(candidate: Candidate, person: Person) -> bool:
    """Whether what is on display may stay: not when the episode it belongs to is over."""
    return not candidate.needs_episode or person.phase in ("prompt", "help")


def _own_reasons(candidates: tuple[Candidate, ...], person: Person, facts: Facts) -> dict[str, Reason]:
    """Return why each would be out of the question, or that another one is on display."""
    answers = person.ledger.answers
    return {
        each.key: _own_reason(each, person, facts, answers.get(each.key, NO_ANSWER)) or Reason.OUTRANKED
        for each in candidates
    }


def _stays(candidate: Candidate, shown: Display, reasons: dict[str, Reason]) -> Chosen:
    if shown.is_withheld:
        reasons[candidate.key] = Reason.HELD_OUT
        return Chosen(None, shown.variant, True, shown.holdout, shown, reasons)
    del reasons[candidate.key]
    return Chosen(candidate, shown.variant, True, "", shown, reasons)


def _capped(candidate: Candidate, person: Person, now: int, answer: Answer) -> Reason | None:
    if answer.offers >= candidate.lifetime:
        return Reason.CAPPED
    for limit in candidate.limits:
        ledger = person.account_ledger if limit.per_account else person.ledger
        if _spent(ledger, limit, now, {candidate.key}) >= limit.most:
            return Reason.CAPPED
    return None


def _spent(ledger: Ledger, limit: Limit, now: int, keys: Container[str] | None) -> int:
    since = now - limit.period if limit.period else None
    found = 0
    for offer in ledger.recent:
        if since is None or offer.at > since:
            found += (not offer.is_critical) if keys is None else offer.nudge in keys
    return found


def _is_throttled(placements: Placements, person: Person, now: int) -> bool:
    """Whether the overall caps or the minimum gap leave no room."""
    recent = person.ledger.recent
    if not (recent or person.account_ledger.recent):
        return False
    if recent and recent[-1].at + placements.gap > now:
        return True
    for limit in placements.caps:
        ledger = person.account_ledger if limit.per_account else person.ledger
        if ledger.recent and _spent(ledger, limit, now, None) >= limit.most:
            return True
    return False


def _is_tag_throttled(candidate: Candidate, placements: Placements, person: Person, now: int) -> bool:
    for limit in candidate.tag_limits:
        tagged = {key for key, tags in placements.tags.items() if limit.tag in tags}
        ledger = person.account_ledger if limit.per_account else person.ledger
        if _spent(ledger, limit, now, tagged) >= limit.most:
            return True
    return False


def _untargeted(
    candidate: Candidate, audience: Predicate | None, person: Person, facts: Facts, requested: frozenset[str]
) -> Reason | None:
    if not candidate.is_offered or not fits_episode(candidate, person):
        return Reason.NOT_TARGETED
    if audience is not None and not audience(facts):
        return Reason.NOT_TARGETED
    if candidate.trigger is not None and not candidate.trigger(person.standing, facts, requested):
        return Reason.NOT_TRIGGERED
    return None


def fits_episode(candidate: Candidate, person: Person) -> bool:
    """Whether the member's episode is in a phase in which the nudge may be offered."""
    if not candidate.needs_episode:
        return not (candidate.goal and person.phase == "rest")
    episode = person.standing.episode
    if episode is None or episode.goal != candidate.goal:
        return False
    return person.phase == ("help" if candidate.is_help else "prompt")


def _decide(placements: Placements, person: Person, eligible: list[Candidate], reasons: dict[str, Reason]) -> Chosen:
    tier = person.standing.tier
    winner = min(
        eligible,
        key=lambda each: (*each.order, each.nudge.tier != tier, -each.nudge.published_in, each.key),
    )
    if winner.is_help and _help_is_spent(placements, person):
        rest = [each for each in eligible if not each.is_help]
        reasons.update({each.key: Reason.CAPPED for each in eligible if each.is_help})
        return _decide(placements, person, rest, reasons) if rest else _nothing(reasons)
    reasons.update({each.key: Reason.OUTRANKED for each in eligible if each is not winner})
    variant = _variant(winner, person)
    held_out = _held_out(placements, winner, person)
    if held_out:
        reasons[winner.key] = Reason.HELD_OUT
    return Chosen(winner, variant, False, held_out, None, reasons)


def _help_is_spent(placements: Placements, person: Person) -> bool:
    episode = person.standing.episode
    since = episode.started_at if episode else 0
    given = sum(1 for offer in person.ledger.recent if offer.is_help and offer.at >= since)
    return given >= placements.rules.definition.settings.help_per_episode


def _variant(winner: Candidate, person: Person) -> str:
    variants = winner.nudge.variants
    if not variants:
        return ""
    given = person.ledger.variants.get(winner.key)
    if given is not None and any(each.key == given for each in variants):
        return given
    weights = [each.weight for each in variants]
    return variants[choose_variant(winner.key, "member", _member_id(person), weights)].key


def _held_out(placements: Placements, winner: Candidate, person: Person) -> str:
    overall = placements.rules.definition.holdout
    unit_id = person.account_id if overall.unit == "account" else _member_id(person)
    if winner.goal and is_held_out(bucket(overall.salt, overall.unit, unit_id), overall.share):
        return "overall"
    share = winner.nudge.holdout
    if share:
        unit = own_holdout_unit(placements.rules.definition, winner.nudge)
        unit_id = person.account_id if unit == "account" else _member_id(person)
        if is_held_out(bucket(f"holdout:{winner.key}", unit, unit_id), share):
            return "nudge"
    return ""


def own_holdout_unit(definition: Definition, nudge: Nudge) -> Subject:
    """Return what a nudge's own holdout draws: accounts where the account is the buyer, so that colleagues stay on one
    side and each sale counts once; else members."""
    is_account = any(each.key == nudge.goal and each.unit == "account" for each in definition.goals)
    return "account" if is_account else "member"


def _member_id(person: Person) -> str:
    return f"{person.account_id.replace('/', '//')}/{person.user_id}"


def opted_out_categories(state: State) -> frozenset[str]:
    """Return the categories a member said no to; an empty text is everything."""
    if not state.opted_out:
        return frozenset()
    return frozenset(category for category, written in state.opted_out.items() if written[2])
