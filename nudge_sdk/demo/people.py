"""Everybody who uses the e-mail tool: 90 days of about 120 people in 40 accounts, the same for the same seed."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any, NamedTuple

from nudge_sdk.client import NudgeClient
from nudge_sdk.demo.cast import CAST, Person
from nudge_sdk.demo.clock import DemoClock
from nudge_sdk.demo.product import Workspace
from nudge_sdk.rules.times import DAY

DAYS = 90
OTHERS = 29
"""Accounts beside those of the cast."""

_FIRST = "Amara Ben Chloe Diego Elif Farah Goran Helen Ivan Jade Kofi Luca Maren Nadia Otto Priya Quinn Rosa Sven Tara"
_LAST = "Adler Bauer Costa Diaz Evans Fischer Garcia Hansen Ito Jansen Klein Lopez Meyer Nowak Olsen Patel Rossi Stone"
_TRADES = "Coffee Outdoor Fitness Optics Music Tea Interiors Vets Garden Toys Tiles Design Wine Sailing Pottery"
_ROLES = ("admin", "marketer", "marketer", "designer", "pm", "founder")
_CAMPAIGNS = ("Monthly news", "Sale weekend", "Product update", "Invitation", "Holiday hours")
_NEAR = 15
"""Sign-ups within the latest days are the cast's: the others' are older, so that the demo begins the same each day."""


class Saying(NamedTuple):
    """One thing the e-mail tool tells the SDK.

    Attributes:
        at: When, in microseconds.
        kind: track, group, identify or convert.
        user: Who; empty for an account alone.
        name: The event.
        data: Properties or traits.
    """

    at: int
    kind: str
    account: str
    user: str
    name: str
    data: dict[str, Any]


def workspace_of(person: Person, now: int) -> Workspace:
    """Return the account of one of the cast, as their acts left it."""
    workspace = Workspace(person.account_id, person.account, person.employees, team=[person.name])
    for days_ago, event, properties in person.acts:
        workspace.apply(event, properties, now - round(days_ago * DAY))
    if person.paid_days_ago is not None:
        workspace.plan = "growth"
    return workspace


def history(now: int, *, seed: int = 7) -> list[Saying]:
    """Return everything that happened until now, oldest first."""
    random = Random(seed)
    sayings = [saying for person in CAST for saying in _of_person(person, now)]
    sayings += [saying for number in range(OTHERS) for saying in _of_account(number, now, random)]
    return sorted(sayings)


def tell(client: NudgeClient, clock: DemoClock, sayings: list[Saying]) -> None:
    """Tell the SDK what happened as it happened, with the clock at each moment, and judge everybody as of now."""
    for saying in sayings:
        clock.stand(saying.at)
        if saying.kind == "track":
            client.track(saying.user, saying.name, saying.data, account=saying.account)
        elif saying.kind == "group":
            client.group(saying.account, saying.data, user=saying.user)
        elif saying.kind == "identify":
            client.identify(saying.user, saying.data, account=saying.account)
        else:
            client.flush()
            client.convert(saying.account, value=49)
    client.flush()
    clock.run()
    client.sweep()


def _of_person(person: Person, now: int) -> Iterator[Saying]:
    workspace, user, account = workspace_of(person, now), person.key, person.account_id
    begin = now - round((max(days_ago for days_ago, _, _ in person.acts) + 0.01) * DAY)
    yield Saying(begin, "group", account, user, "", {**workspace.traits(), "plan": "free"})
    yield Saying(begin, "identify", account, user, "", {"name": person.name, "role": person.role})
    for days_ago, event, properties in person.acts:
        at = now - round(days_ago * DAY)
        yield Saying(at, "track", account, user, event, {**properties, "role": person.role})
        if event == "teammate_invited":
            yield from _colleague(workspace, str(properties["name"]), at, days_ago)
    if person.paid_days_ago is not None:
        at = now - round(person.paid_days_ago * DAY)
        yield Saying(at, "convert", account, "", "paid", {})
        yield Saying(at + 1, "group", account, user, "", workspace.traits())


def _colleague(workspace: Workspace, name: str, at: int, days_ago: float) -> Iterator[Saying]:
    user = f"{workspace.key}.{name.split()[0].lower()}"
    joined = at + round(min(days_ago, 1) * DAY / 3)
    yield Saying(joined, "group", workspace.key, user, "", {})
    yield Saying(joined, "identify", workspace.key, user, "", {"name": name, "role": "designer"})
    yield Saying(joined + 1, "track", workspace.key, user, "session_started", {})


def _of_account(number: int, now: int, random: Random) -> Iterator[Saying]:
    account = f"account-{number + 1}"
    owner = random.choice(_LAST.split())
    traits = {"name": f"{owner} {random.choice(_TRADES.split())}", "employees": random.choice([3, 8, 20, 45, 90, 140])}
    begins = random.uniform(_NEAR, DAYS)
    keenness = random.random()
    for place in range(random.randint(1, 5)):
        user = f"{account}.{place + 1}"
        name = f"{random.choice(_FIRST.split())} {owner if place == 0 else random.choice(_LAST.split())}"
        joined = max(1.0, begins - place * random.uniform(0.5, 4))
        at = now - round(joined * DAY)
        yield Saying(at, "group", account, user, "", {**traits, "plan": "free"} if place == 0 else {})
        yield Saying(at, "identify", account, user, "", {"name": name, "role": random.choice(_ROLES)})
        yield from _of_member(account, user, joined, keenness, now, random)
    if keenness > 0.8:
        yield Saying(now - round(begins / 2 * DAY), "convert", account, "", "paid", {})


def _of_member(account: str, user: str, joined: float, keenness: float, now: int, random: Random) -> Iterator[Saying]:
    days = sorted((random.uniform(0.2, joined) for _ in range(round(3 + keenness * joined / 4))), reverse=True)
    for days_ago in days:
        yield Saying(now - round(days_ago * DAY), "track", account, user, "session_started", {})
        if random.random() < keenness * 0.6:
            event, data = _some_act(random)
            yield Saying(now - round((days_ago - 0.1) * DAY), "track", account, user, event, data)


def _some_act(random: Random) -> tuple[str, dict[str, Any]]:
    acts: list[tuple[str, dict[str, Any]]] = [
        ("domain_connected", {"domain": "example.com"}),
        ("contacts_imported", {"count": random.randint(20, 300)}),
        ("campaign_sent", {"name": random.choice(_CAMPAIGNS)}),
        ("campaign_sent", {"name": random.choice(_CAMPAIGNS)}),
        ("teammate_invited", {"name": random.choice(_FIRST.split())}),
        ("workflow_started", {"name": "Welcome series"}),
        ("integration_connected", {"name": "Web shop", "kind": "core"}),
    ]
    return random.choice(acts)
