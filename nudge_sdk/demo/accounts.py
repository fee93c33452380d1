"""Half a year of accounts, made up: who signed up, what they did first, and who paid. The same for the same seed.

What is planted, for the pages of proof to find: the further an account gets in its first days the likelier it pays; so
does one that sorts its audience into segments, which the definition gives no points; being shown a prompt helps; a
release with a better start brings more accounts to their first campaign. ``terms_accepted`` is done by everybody,
``theme_changed`` at random, and ``invoice_downloaded`` only by who has paid.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any, NamedTuple

from nudge_sdk.demo.clock import moment
from nudge_sdk.rules.bucketing import bucket, is_held_out
from nudge_sdk.rules.definition import Holdout
from nudge_sdk.rules.records import Kind, Record
from nudge_sdk.rules.times import DAY, HOUR, MINUTE

WEEKS = 26
PREFIX = "made-up-"
"""Of the ids of accounts, so that nobody takes them for anything else."""

FIRST_A_WEEK, LAST_A_WEEK = 20, 40
RECENT = 20
"""Days: who signed up since then keeps to few points, so that the people of the demo stand first in every list."""

RELEASES = ((WEEKS * 7, "4.0"), (112, "4.1"), (63, "5.0"), (21, "5.1"))
"""(days ago, release); 5.0 has the better start."""

DEPTHS = ("looked", "set up", "sent", "ready", "team")
"""How far an account gets: only sessions; domain and contacts; a campaign; three invitations too; the team works."""

_SHARES = {"before": (32, 22, 20, 6, 20), "since": (23, 17, 22, 8, 30)}
_PAYS = {"looked": 0.004, "set up": 0.02, "sent": 0.07, "ready": 0.03, "team": 0.06}
_KEEN, _SHOWN = 0.22, 0.34
"""What sorting the audience, and being shown a prompt, add to the chance to pay."""

_SOURCES = ("search", "search", "search", "referral", "referral", "ads", "ads", "partner")
_EMPLOYEES = (3, 5, 8, 12, 20, 35, 60, 90, 140)
_OWNERS = "Abbott Brandt Castro Duval Ekman Faber Grant Haas Iversen Joshi Kowal Lindt Marino Nagy Oberg Pires Roth"
_TRADES = "Bikes Books Cafe Ceramics Dental Events Farm Film Flowers Gym Hotels Law Music Optics Pets Studio Tours Yoga"
_ROLES = ("marketer", "designer", "marketer", "founder")


class MadeUp(NamedTuple):
    """An account of the history.

    Attributes:
        account: Its id.
        signed_up_at: When.
        depth: How far it gets.
        is_keen: Whether it sorts its audience.
        is_held_out: Whether the holdout keeps prompts from it.
        paid_at: When it pays, or None.
    """

    account: str
    signed_up_at: int
    depth: str
    is_keen: bool
    is_held_out: bool
    paid_at: int | None


def made_up(now: int, holdout: Holdout, *, seed: int = 11) -> tuple[list[MadeUp], list[Record]]:
    """Return the accounts, and everything they did until now, oldest first.

    Args:
        now: The instant.
        holdout: That was in force.
        seed: Of the draws.
    """
    random = Random(seed)
    accounts, records = [], []
    for number, at in enumerate(_sign_ups(now, random), 1):
        found = _account(f"{PREFIX}{number:04}", at, now, holdout, random)
        accounts.append(found)
        records += [each for each in _acts(found, now, random) if each.at <= now]
    return accounts, sorted(records, key=lambda each: (each.at, each.id))


def release_at(at: int, now: int) -> str:
    """Return the product's release at an instant."""
    return next(name for days, name in reversed(RELEASES) if at >= now - days * DAY or days == RELEASES[0][0])


def _sign_ups(now: int, random: Random) -> Iterator[int]:
    for week in range(WEEKS):
        number = round(FIRST_A_WEEK + (LAST_A_WEEK - FIRST_A_WEEK) * week / (WEEKS - 1) + random.uniform(-3, 3))
        begin = now - (WEEKS - week) * 7 * DAY
        yield from sorted(_working_hour(begin + random.randrange(7 * DAY), random) for _ in range(number))


def _working_hour(at: int, random: Random) -> int:
    """Move most of what falls on a weekend two days back."""
    # Drawn on every day, so that all other draws are the same whatever day it is today.
    is_moved = random.random() < 0.7
    return at - 2 * DAY if is_moved and moment(at).weekday() > 4 else at


def _account(account: str, at: int, now: int, holdout: Holdout, random: Random) -> MadeUp:
    is_since = at >= now - RELEASES[2][0] * DAY
    depth = random.choices(DEPTHS, _SHARES["since" if is_since else "before"])[0]
    is_keen = depth != "looked" and random.random() < 0.21
    held = is_held_out(bucket(holdout.salt, holdout.unit, account), holdout.share)
    chance = _PAYS[depth] + _KEEN * is_keen + _SHOWN * (depth in ("ready", "team") and not held)
    lag = random.lognormvariate(2.6 if depth == "team" else 2.4, 0.55)
    return MadeUp(account, at, depth, is_keen, held, _day_time(at, 1 + lag) if random.random() < chance else None)


def _day_time(at: int, days: float) -> int:
    return at + round(days * DAY)


class _Writer:
    """Writes records of one account, with ids that are the same each time."""

    def __init__(self, account: MadeUp, now: int) -> None:
        self._account, self._now, self._count = account.account, now, 0

    def __call__(self, kind: Kind, user: str, at: int, name: str = "", /, **data: Any) -> Record:
        self._count += 1
        said = f"{self._account}-{self._count}"
        release = release_at(at, self._now)
        return Record(kind, self._account, f"{self._account}.{user}" if user else "", said, at, at, name, data, release)


def _acts(account: MadeUp, now: int, random: Random) -> Iterator[Record]:
    write, at = _Writer(account, now), account.signed_up_at
    owner = random.choice(_OWNERS.split())
    is_recent = at > now - RECENT * DAY
    traits = {
        "name": f"{owner} {random.choice(_TRADES.split())} (made up)",
        "employees": random.choice(_EMPLOYEES[:-1] if is_recent else _EMPLOYEES),
        "source": random.choice(_SOURCES),
        "plan": "free",
    }
    yield write("group", "1", at, **traits)
    yield write("identify", "1", at, name=f"{random.choice('ABCDEFGHKLMNPRST')}. {owner}", role=random.choice(_ROLES))
    yield write("track", "1", at + MINUTE, "terms_accepted")
    yield from _sessions(account, write, "1", random)
    if account.depth != "looked":
        yield from _set_up(write, at, random)
    if account.depth in ("sent", "ready", "team"):
        yield from _campaigns(account, write, random, most=1 if is_recent else 4)
    if account.depth in ("ready", "team"):
        yield from _colleagues(account, write, random)
    if account.depth == "team" and not is_recent:
        yield from _deeper(write, at, random)
    if account.is_keen:
        yield from _sorted_audience(write, at, random)
    if random.random() < 0.3:
        yield write("track", "1", _day_time(at, random.uniform(0, 12)), "theme_changed")
    if account.paid_at is not None:
        yield from _paying(account, write, account.paid_at, traits, random)


def _sessions(account: MadeUp, write: _Writer, user: str, random: Random) -> Iterator[Record]:
    # Further apart than three a week, which would bring a point.
    stays = 3 if account.depth == "looked" else 24
    days = 0.0
    for _ in range(random.randint(1, 2) if account.depth == "looked" else random.randint(3, 6)):
        yield write("track", user, _day_time(account.signed_up_at, days) + 2 * MINUTE, "session_started")
        days += random.uniform(2.6, 2.6 + stays / 5)


def _set_up(write: _Writer, at: int, random: Random) -> Iterator[Record]:
    begun = _day_time(at, random.uniform(0, 1.5))
    if random.random() < 0.85:
        yield write("track", "1", begun, "domain_connected", domain="made-up.example", role="marketer")
    if random.random() < 0.9:
        later = begun + round(random.uniform(0.3, 40) * HOUR)
        yield write("track", "1", later, "contacts_imported", count=random.randint(20, 400), role="marketer")


def _campaigns(account: MadeUp, write: _Writer, random: Random, *, most: int) -> Iterator[Record]:
    first = random.uniform(0.6, 5)
    for number in range(random.randint(1, most)):
        at = _day_time(account.signed_up_at, first + number * random.uniform(2, 6))
        yield write("track", "1", at, "campaign_sent", name="Monthly news", role="marketer")


def _colleagues(account: MadeUp, write: _Writer, random: Random) -> Iterator[Record]:
    """Invite three within a few days; of a team that works, two or three come, and one starts an automation."""
    asked = _day_time(account.signed_up_at, random.uniform(1, 6))
    for number in range(random.randint(3, 5)):
        yield write("track", "1", asked + number * 11 * MINUTE, "teammate_invited")
    if account.depth != "team":
        return
    for number in range(2, random.choice((4, 4, 5))):
        joined = asked + round(random.uniform(2, 40) * HOUR)
        yield write("group", str(number), joined)
        yield write("identify", str(number), joined, name=f"Colleague {number}", role="designer")
        yield write("track", str(number), joined + MINUTE, "session_started")
        yield write("track", str(number), joined + MINUTE, "terms_accepted")
        if number == 2:
            yield write("track", "2", joined + HOUR, "workflow_started", name="Welcome series", role="designer")


def _deeper(write: _Writer, at: int, random: Random) -> Iterator[Record]:
    """Bring further points to some teams: a shop that is connected, an automation of one's own, an admin at work."""
    for chance, event, data in (
        (0.5, "integration_connected", {"name": "Web shop", "kind": "core"}),
        (0.35, "workflow_started", {"name": "Birthday greeting", "role": "marketer"}),
        (0.3, "contacts_imported", {"count": 80, "role": "admin"}),
    ):
        if random.random() < chance:
            yield write("track", "1", _day_time(at, random.uniform(1, 6)), event, **data)


def _sorted_audience(write: _Writer, at: int, random: Random) -> Iterator[Record]:
    begun = random.uniform(0.3, 3)
    for number in range(random.randint(3, 6)):
        yield write("track", "1", _day_time(at, begun + number * random.uniform(0.1, 1.1)), "audience_segmented")


def _paying(account: MadeUp, write: _Writer, at: int, traits: dict[str, Any], random: Random) -> Iterator[Record]:
    value = random.choice((49, 49, 49, 99, 99, 249))
    yield write("convert", "", at, "paid", value=value)
    yield write("group", "1", at + 1, **{**traits, "plan": "growth"})
    yield write("track", "1", at + 5 * MINUTE, "invoice_downloaded")
    if random.random() < 0.07:
        yield write("churn", "", _day_time(at, random.uniform(30, 80)), "paid")
