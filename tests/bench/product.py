"""The product that is measured: its members, what they do, and the rules a product manager made for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from nudge_sdk import Definition, NudgeClient, Options
from nudge_sdk.rules.conditions import Condition, Signal, Window
from nudge_sdk.rules.definition import (
    Button,
    Content,
    Entry,
    Gate,
    Goal,
    Holdout,
    Milestone,
    Nudge,
    Segment,
    Settings,
    Thresholds,
    Trigger,
)
from nudge_sdk.rules.times import DAY, SECOND

PLACEMENT = "dashboard"
NUDGES = 20
START = 20_500 * DAY
"""A midnight of 2026, in microseconds: the day on which measured decisions and events lie."""

PLANS = ("free", "pro", "team", "enterprise")
PAYING = ("pro", "team", "enterprise")
EVENTS = (
    "campaign_sent", "report_exported", "teammate_invited", "contact_added", "integration_connected", "comment_added",
    "project_created", "file_uploaded", "page_viewed", "settings_opened",
)  # fmt: skip


class Person(NamedTuple):
    """A member, as the host knows it."""

    user: str
    account: str
    traits: dict[str, Any]


class Asked(NamedTuple):
    """One question: who, what the host says of the request, and where."""

    user: str
    account: str
    context: dict[str, Any]
    placement: str = PLACEMENT


class Done(NamedTuple):
    """One event."""

    user: str
    account: str
    event: str
    properties: dict[str, Any]


def person(index: int) -> Person:
    """Return one of any number of members; ten are in one account."""
    traits = {"country": "DE", "plan": PLANS[index % 4], "age_days": 3 + index * 7 % 40, "name": f"Ada {index}"}
    return Person(f"user-{index:06d}", f"acct-{index // 10:05d}", traits)


PEOPLE = tuple(person(index) for index in range(1000))
CONTEXTS = tuple({"page": f"/projects/{index}/edit", "seats_left": index % 9} for index in range(997))
# 1,000 members, 997 contexts: each member meets each context once before a question comes again.
QUESTIONS = tuple(
    Asked(PEOPLE[index % 1000].user, PEOPLE[index % 1000].account, CONTEXTS[index % 997]) for index in range(30_000)
)
# Who does something next is drawn: no member is met twice as seldom, or as often, as chance has it.
DONE = tuple(
    Done(person.user, person.account, EVENTS[index % 10], {"plan": "pro", "n": index})
    for index, person in enumerate(Random(3).choices(PEOPLE, k=30_000))
)


def plans_of(index: int, among: int = NUDGES) -> tuple[str, ...]:
    """Return the plans a nudge is for; only the last one of a placement is for plans that exist."""
    return PAYING if index % among == among - 1 else (f"legacy{index}", f"partner{index}")


def placement_of(number: int) -> str:
    """Return the name of a placement."""
    return f"{PLACEMENT}{number or ''}"


def definition(
    *, shows: bool = False, nudges: int = NUDGES, placements: int = 1, also: tuple[Milestone, ...] = ()
) -> Definition:
    """Return the rules.

    Args:
        shows: Whether the last nudge may be shown, as often as it is asked for; else its trigger never comes.
        nudges: How many there are.
        placements: Over how many placements.
        also: Further milestones.
    """
    among = nudges // placements
    return Definition(
        name="Bench",
        milestones=(*_milestones(), *also),
        segments=(_segment(),),
        goals=(Goal(key="paid", name="Paid plan"),),
        nudges=tuple(_nudge(index, among, shows=shows) for index in range(nudges)),
        holdout=Holdout(share=0 if shows else 0.1),
        settings=Settings(caps=(), gap_minutes=0, display_minutes=1) if shows else Settings(),
    )


def client(folder: Path, clock: Callable[[], int] | None = None, *, store: str = "", **options: Any) -> NudgeClient:
    """Return a client that raises its errors; its journals are in a folder, and unless said, so is an SQLite file."""
    options = {"max_staleness": 3600.0, "refresh_seconds": 3600.0} | options
    return NudgeClient(
        store or f"sqlite:///{folder / 'nudge.db'}",
        journal=folder / "journals",
        drain=options.pop("drain", "external"),
        clock=clock,
        options=Options(on_error="raise", **options),
    )


class Steps:
    """A clock that moves on by so many microseconds each time it is read."""

    def __init__(self, at: int = START + 3600 * SECOND, step: int = 0) -> None:
        self.at = at
        self.step = step

    def __call__(self) -> int:
        self.at += self.step
        return self.at


def _milestones() -> tuple[Milestone, ...]:
    def of(key: str, event: str, at_least: float = 1, **rest: Any) -> Milestone:
        signal = Signal(event=event, measure=rest.pop("measure", "count"), property=rest.pop("property", ""))
        name = key.replace("_", " ").capitalize()
        return Milestone(key=key, name=name, done=name, signal=signal, at_least=at_least, **rest)

    return (
        of("first_campaign", "campaign_sent", category="high"),
        of("five_campaigns", "campaign_sent", 5, window=Window(days=14)),
        of("report_days", "report_exported", 3, measure="days", window=Window(days=7)),
        of("inviter", "teammate_invited", 2, category="high"),
        of("contacts", "contact_added", 10, window=Window(days=30)),
        of("connected", "integration_connected", window=Window(ever=True)),
        of("talker", "comment_added", 3, category="context"),
        of("early_project", "project_created", window=Window(since_signup_days=7), category="context"),
        of("team", "comment_added", 3, subject="account", measure="values", property="$user", window=Window(days=7)),
        of("account_campaigns", "campaign_sent", 20, subject="account", category="high"),
    )


def _segment() -> Segment:
    return Segment(
        key="everybody",
        name="Everybody",
        member=Thresholds(
            warm=Entry(score=8),
            hot=Entry(score=16, gates=(Gate(milestones=("first_campaign", "inviter"), at_least=1),)),
        ),
        account=Thresholds(warm=Entry(score=5), hot=Entry(score=8, gates=(Gate(active_users=3, days=7),))),
    )


def _nudge(index: int, among: int, *, shows: bool) -> Nudge:
    is_last = index % among == among - 1
    return Nudge(
        key=f"nudge{index}",
        name=f"Nudge {index}",
        placement=placement_of(index // among),
        needs_episode=False,
        audience=Condition(
            all=(
                Condition(trait="country", equals="DE"),
                Condition(trait="plan", in_=plans_of(index, among)),
                Condition(trait="age_days", at_least=7),
            )
        ),
        trigger=Trigger(page=("/checkout*",)) if is_last and not shows else None,
        lifetime=1_000_000 if shows else 3,
        content=Content(
            type="card",
            title="Well done, {{ user_name | there }}",
            body="You use **all** that this plan has.",
            cta=Button(label="See plans", url="/plans"),
        ),
    )
