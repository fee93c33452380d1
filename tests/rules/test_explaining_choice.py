from __future__ import annotations

from typing import Any

import msgspec
import pytest

from nudge_sdk.rules.candidates import Placements
from nudge_sdk.rules.compiled import Rules
from nudge_sdk.rules.conditions import Condition, Facts, Signal
from nudge_sdk.rules.definition import (
    Cap,
    Content,
    Definition,
    Goal,
    Holdout,
    Milestone,
    Nudge,
    Schedule,
    Settings,
    TagCap,
    Trigger,
    Usage,
)
from nudge_sdk.rules.explaining import ChoiceLine, explain_choice
from nudge_sdk.rules.ledger import EMPTY, Answer, Display, Ledger, Offer, with_offer
from nudge_sdk.rules.selection import Person, Reason, select
from nudge_sdk.rules.standing import UNJUDGED, Episode
from nudge_sdk.rules.times import DAY, FOREVER, HOUR, MINUTE, to_micros

NOON = to_micros("2026-03-05T12:00:00Z")

PLAIN = Settings()
ROOMY = Settings(caps=(), gap_minutes=0)


def nudge(key: str = "up", **rest: Any) -> Nudge:
    return Nudge(key=key, placement="top", **{"name": key.capitalize(), "goal": "paid", **rest})


STANDING = msgspec.structs.replace(UNJUDGED, at=NOON, tier="warm", episode=Episode(NOON - DAY, "paid", "warm", 1, "x"))
OVER = Condition(account_trait="busy", equals=True)


def person(ledger: Ledger = EMPTY, **rest: Any) -> Person:
    plain = Person("a1", "u1", STANDING, ledger, EMPTY, "prompt", frozenset(), frozenset())
    return msgspec.structs.replace(plain, **rest)


def offered(*offers: tuple[float, str], **flags: bool) -> Ledger:
    ledger = EMPTY
    for hours_ago, key in offers:
        ledger = with_offer(ledger, Offer(NOON - round(hours_ago * HOUR), key, **flags), None)
    return ledger


def answered(key: str = "up", **answer: int) -> Ledger:
    return Ledger(answers={key: Answer(**answer)})


def choose(
    *nudges: Nudge, who: Person, overall: Settings = PLAIN, holdout: float = 0, unconfirmed: bool = False
) -> list[ChoiceLine]:
    milestones = (
        Milestone(key="campaign", name="Sent a campaign", signal=Signal(event="sent")),
        Milestone(key="full", name="Contacts full", usage=Usage(value="used", limit="limit")),
    )
    goals = (Goal(key="paid", name="Paid plan"), Goal(key="more", name="More seats"))
    definition = Definition(
        nudges=nudges, settings=overall, holdout=Holdout(share=holdout), milestones=milestones, goals=goals
    )
    placements = Placements(Rules(definition))
    facts = Facts(NOON)
    facts.account_traits = {"busy": True}
    chosen = select(placements, "top", who, facts)
    if unconfirmed:
        assert chosen.candidate is not None
        reasons = {**chosen.reasons, chosen.candidate.key: Reason.UNCONFIRMED}
        chosen = msgspec.structs.replace(chosen, candidate=None, reasons=reasons)
    return explain_choice(chosen, placements, "top", person=who, facts=facts)


DISPLAY = Display("top", "up", "", "d1", NOON - MINUTE)

TOLD: list[tuple[Reason, str, Nudge, Person, Settings]] = [
    (Reason.PAUSED, "All prompts are paused.", nudge(), person(), Settings(is_paused=True)),
    (Reason.PAUSED, "This one is paused.", nudge(is_paused=True), person(), ROOMY),
    (Reason.OPTED_OUT, "Said no to all nudges.", nudge(), person(opted_out=frozenset({""})), ROOMY),
    (
        Reason.OPTED_OUT,
        "Said no to nudges about sales and tips.",
        nudge(tags=("tips", "sales", "x")),
        person(opted_out=frozenset({"tips", "sales", "y"})),
        ROOMY,
    ),
    (
        Reason.HIDDEN,
        "Quiet until 12:10 UTC on 5 Mar 2026 after an error.",
        nudge(),
        person(Ledger(quiet_until=NOON + 10 * MINUTE)),
        ROOMY,
    ),
    (Reason.HIDDEN, "A rule hides all nudges right now.", nudge(), person(), Settings(hide=OVER)),
    (Reason.HIDDEN, "Its own rule hides it right now.", nudge(hide=OVER), person(), ROOMY),
    (
        Reason.DISMISSED,
        "Dismissed on 3 Mar; silent until 2 Apr.",
        nudge(),
        person(answered(dismissed_at=NOON - 2 * DAY)),
        ROOMY,
    ),
    (
        Reason.DISMISSED,
        "Dismissed on 25 Dec 2025; silent until 4 Apr.",
        nudge(dismiss_days=100),
        person(answered(dismissed_at=NOON - 70 * DAY)),
        ROOMY,
    ),
    (
        Reason.SNOOZED,
        "Put off until 12:00 UTC on 6 Mar 2026.",
        nudge(),
        person(answered(snoozed_until=NOON + DAY)),
        ROOMY,
    ),
    (Reason.CAPPED, "Was offered 3 times, the most it may ever be.", nudge(), person(answered(offers=3)), ROOMY),
    (
        Reason.CAPPED,
        "Held back: 2 times a week is the limit for this one, the last one was 5 hours ago.",
        nudge(caps=(Cap(count=2, days=7),)),
        person(offered((30, "up"), (5, "up"), (1, "else"))),
        ROOMY,
    ),
    (
        Reason.CAPPED,
        "Help was offered as often as one episode allows.",
        nudge(mode="help"),
        person(offered((3, "a"), (2, "b"), is_help=True), phase="help"),
        ROOMY,
    ),
    (
        Reason.THROTTLED,
        "Held back: 1 prompt a day is the limit, the last one was 3 hours ago.",
        nudge(),
        person(offered((3, "else"))),
        Settings(),
    ),
    (
        Reason.THROTTLED,
        "Held back: 1 prompt a day is the limit, the last one was 4 hours ago.",
        nudge(),
        person(with_offer(offered((4, "else")), Offer(NOON - HOUR, "notice", is_critical=True), None)),
        Settings(),
    ),
    (
        Reason.THROTTLED,
        "Held back: at least 10 minutes between two prompts, the last one was 3 minutes ago.",
        nudge(),
        person(offered((0.05, "else"))),
        Settings(),
    ),
    (
        Reason.THROTTLED,
        "Held back: 2 prompts in 12 hours for the whole account is the limit, the last one was 1 hour ago.",
        nudge(),
        person(account_ledger=offered((11, "x"), (1, "y"))),
        Settings(caps=(Cap(count=2, hours=12, per="account"),)),
    ),
    (
        Reason.THROTTLED,
        "Held back: 1 prompt about tips in 3 days is the limit, the last one was 2 days ago.",
        nudge(tags=("tips",)),
        person(offered((49, "up"), (2, "else"))),
        Settings(caps=(), tag_caps=(TagCap(tag="tips", count=1, days=3),)),
    ),
    (Reason.GOAL_MET, "Completed on 4 Mar.", nudge(), person(answered(completed_at=NOON - DAY)), ROOMY),
    (Reason.GOAL_MET, "Its goal is met: Paid plan.", nudge(), person(met_goals=frozenset({"paid"})), ROOMY),
    (
        Reason.NOT_SCHEDULED,
        "Starts at 09:30 UTC on 1 Apr 2026.",
        nudge(schedule=Schedule(starts_at="2026-04-01T09:30:00Z")),
        person(),
        ROOMY,
    ),
    (
        Reason.NOT_SCHEDULED,
        "Ended at 00:00 UTC on 1 Mar 2026.",
        nudge(schedule=Schedule(ends_at="2026-03-01T01:00:00+01:00")),
        person(),
        ROOMY,
    ),
    (Reason.NOT_TARGETED, "Has left the account.", nudge(), person(has_left=True), ROOMY),
    (
        Reason.NOT_TARGETED,
        "This release cannot show its format.",
        nudge(content=Content(type="hologram")),
        person(),
        ROOMY,
    ),
    (
        Reason.NOT_TARGETED,
        "Not among the people it is for.",
        nudge(audience=Condition(trait="role", equals="admin")),
        person(),
        ROOMY,
    ),
    (
        Reason.NOT_TARGETED,
        "Has not qualified yet, or not again.",
        nudge(),
        person(standing=UNJUDGED, phase=""),
        ROOMY,
    ),
    (
        Reason.NOT_TARGETED,
        "Just now it is about another goal: Paid plan.",
        nudge(goal="more"),
        person(),
        ROOMY,
    ),
    (Reason.NOT_TARGETED, "Now it is time for help.", nudge(), person(phase="help"), ROOMY),
    (Reason.NOT_TARGETED, "Too early for help: this is the time of prompts.", nudge(mode="help"), person(), ROOMY),
    (
        Reason.NOT_TARGETED,
        "Resting: no upgrade prompts for a while after the last ones.",
        nudge(needs_episode=False),
        person(phase="rest"),
        ROOMY,
    ),
    (
        Reason.NOT_TRIGGERED,
        "Shown only when the page asks for it.",
        nudge(trigger=Trigger(manual=True)),
        person(),
        ROOMY,
    ),
    (
        Reason.NOT_TRIGGERED,
        "This page is none of those it is for.",
        nudge(trigger=Trigger(page=("/a*",))),
        person(),
        ROOMY,
    ),
    (
        Reason.NOT_TRIGGERED,
        "Not reached in the last 1.5 minutes: Sent a campaign.",
        nudge(trigger=Trigger(milestone="campaign", seconds=90)),
        person(),
        ROOMY,
    ),
    (
        Reason.NOT_TRIGGERED,
        "No milestone was reached in the last minute.",
        nudge(trigger=Trigger(milestone="*")),
        person(),
        ROOMY,
    ),
    (
        Reason.NOT_TRIGGERED,
        "Not so at this moment: Contacts full.",
        nudge(trigger=Trigger(usage="full")),
        person(),
        ROOMY,
    ),
    (
        Reason.NOT_TRIGGERED,
        "Did not become hot in the last minute.",
        nudge(trigger=Trigger(tier="hot")),
        person(),
        ROOMY,
    ),
    (
        Reason.HELD_OUT,
        "Held out: in the group that is not shown this one, to measure what it does.",
        nudge(holdout=1),
        person(),
        ROOMY,
    ),
]


@pytest.mark.parametrize(("reason", "text", "it", "who", "overall"), TOLD, ids=[row[1][:40] for row in TOLD])
def test_every_reason_is_told_in_a_plain_sentence(
    reason: Reason, text: str, it: Nudge, who: Person, overall: Settings
) -> None:
    (line,) = choose(it, who=who, overall=overall)
    assert line == ChoiceLine(key="up", name="Up", is_shown=False, reason=reason.value, text=text)


def test_the_table_and_the_cases_below_cover_every_code() -> None:
    assert set(Reason) - {row[0] for row in TOLD} == {Reason.OUTRANKED, Reason.UNCONFIRMED}


def test_the_shown_one_says_so_and_the_outranked_one_names_it() -> None:
    low, high = choose(nudge("low"), nudge("high", priority=1), who=person())[::-1]
    assert (high.is_shown, high.reason, high.text) == (True, "", "Shown.")
    assert (low.is_shown, low.reason, low.text) == (False, "OUTRANKED", "Another one came first: High.")


def test_what_is_on_display_stays_and_the_others_wait() -> None:
    up, other = choose(nudge(), nudge("other"), who=person(Ledger(displays=(DISPLAY,))))
    assert (up.is_shown, up.text) == (True, "On display until it is closed.")
    assert (other.reason, other.text) == ("OUTRANKED", "Another one is on display: Up.")


def test_what_could_not_be_confirmed_is_not_shown() -> None:
    (line,) = choose(nudge(), who=person(), unconfirmed=True)
    assert (line.is_shown, line.reason) == (False, "UNCONFIRMED")
    assert line.text == "Not shown: it could not be confirmed in time."


def test_the_overall_holdout_is_told_apart() -> None:
    (line,) = choose(nudge(), who=person(), holdout=1)
    assert (line.is_shown, line.reason) == (False, "HELD_OUT")
    assert line.text == "Held out: in the group that is shown no prompts, to measure what they do."


def test_a_withheld_place_keeps_its_reason_while_it_lasts() -> None:
    withheld = msgspec.structs.replace(DISPLAY, is_withheld=True, holdout="overall")
    up, other = choose(nudge(), nudge("other"), who=person(Ledger(displays=(withheld,))))
    assert (up.is_shown, up.reason) == (False, "HELD_OUT")
    assert up.text == "Held out: in the group that is shown no prompts, to measure what they do."
    assert other.reason == "OUTRANKED"


def test_another_placement_has_no_lines() -> None:
    placements = Placements(Rules(Definition(nudges=(nudge(),))))
    facts = Facts(NOON)
    assert (
        explain_choice(select(placements, "side", person(), facts), placements, "side", person=person(), facts=facts)
        == []
    )


def test_an_instant_beyond_all_calendars_is_no_date() -> None:
    far = person(answered(snoozed_until=FOREVER))
    assert choose(nudge(), who=far)[0].text == "Put off for good."
    silent = person(answered(dismissed_at=NOON - DAY))
    assert choose(nudge(dismiss_days=9e9), who=silent)[0].text == "Dismissed on 4 Mar; silent for good."
