"""The people one can log in as, each in another state, and what they did to get there."""

from __future__ import annotations

from typing import Any, NamedTuple

Act = tuple[float, str, dict[str, Any]]
"""How many days ago, which event, with which properties."""


class Person(NamedTuple):
    """Somebody to log in as.

    Attributes:
        state: Their state in a word or two.
        expect: What to expect, in one line.
        page: Where to look first.
        shows: Key of the nudge that stands there; empty for none.
        plan: Plan of their account.
        paid_days_ago: When their account began to pay.
        account_key: Id of their account, where it is not made of its name.
    """

    key: str
    name: str
    role: str
    account: str
    employees: int
    state: str
    expect: str
    page: str
    shows: str
    acts: tuple[Act, ...]
    locale: str = "en"
    can_purchase: bool = True
    paid_days_ago: float | None = None
    account_key: str = ""

    @property
    def account_id(self) -> str:
        """Id of their account."""
        return self.account_key or self.account.lower().replace(" ", "-")


def _sessions(*days_ago: float) -> tuple[Act, ...]:
    return tuple((days, "session_started", {}) for days in days_ago)


def _set_up(days_ago: float, domain: str, contacts: int = 240) -> tuple[Act, ...]:
    return (
        (days_ago, "domain_connected", {"domain": domain}),
        (days_ago - 0.02, "contacts_imported", {"count": contacts}),
    )


def _invites(days_ago: float, *names: str) -> tuple[Act, ...]:
    return tuple((days_ago - 0.01 * place, "teammate_invited", {"name": name}) for place, name in enumerate(names))


def _campaign(days_ago: float, name: str) -> Act:
    return (days_ago, "campaign_sent", {"name": name})


def _automation(days_ago: float, name: str) -> Act:
    return (days_ago, "workflow_started", {"name": name})


CAST: tuple[Person, ...] = (
    Person(
        "nia", "Nia Okafor", "marketer", "Okafor Ceramics", 4,
        "New", "Signed up an hour ago. Nothing is shown, on any page: it would be too early.",
        "/dashboard", "",
        _sessions(0.04),
    ),
    Person(
        "ada", "Ada Brook", "admin", "Brook Bakery", 12,
        "One step away", "Send a campaign: the very answer says what she just did, and offers one next step.",
        "/campaigns/new", "",
        (*_sessions(4.1, 2.1, 0.1), *_set_up(4, "brookbakery.example")),
    ),
    Person(
        "alex", "Alex Kim", "marketer", "Kim Cycles", 9,
        "Activated", "Sent a campaign, which is not enough. Start an automation: now is the moment, in the corner.",
        "/automations/new", "",
        (*_sessions(6.1, 3.1, 1.1), *_set_up(6, "kimcycles.example"), _campaign(3, "Winter service")),
    ),
    Person(
        "wanda", "Wanda Silva", "marketer", "Silva Travel", 35,
        "Warm", "A banner on the dashboard. “Not now”, and it is gone: on every page, in every browser.",
        "/dashboard", "dashboard_ready",
        (*_sessions(5.1, 3.1, 2.2), *_set_up(5, "silvatravel.example", 410), _campaign(3, "Autumn weekends"),
         *_invites(2.1, "Rui Costa", "Ines Prado", "Leo Martin")),
    ),
    Person(
        "jonas", "Jonas Weber", "marketer", "Weber Gartenbau", 22,
        "Warm, German", "The same banner in his language, marked as German for screen readers.",
        "/dashboard", "dashboard_ready",
        (*_sessions(5.2, 3.2, 2.3), *_set_up(5.1, "webergarten.example", 180), _campaign(3.1, "Herbstpflanzung"),
         *_invites(2.2, "Lea Vogt", "Tim Brandt", "Mia Roth")),
        locale="de-AT",
    ),
    Person(
        "mo", "Mo Haddad", "marketer", "Haddad Events", 18,
        "Warm, may not buy", "He cannot buy, so the banner offers to write to the admin instead.",
        "/dashboard", "dashboard_ready",
        (*_sessions(4.3, 3.3, 1.3), *_set_up(4.2, "haddadevents.example", 320), _campaign(3.2, "Open house"),
         *_invites(1.9, "Sara Aziz", "Omar Nasr", "Lina Said")),
        can_purchase=False,
    ),
    Person(
        "hiro", "Hiro Tanaka", "admin", "Tanaka Studio", 64,
        "Hot", "Far over the threshold, with an active team: a banner for him, and an account for sales to call.",
        "/dashboard", "dashboard_ready",
        (*_sessions(5.4, 4.4, 1.4, 0.4), *_set_up(5.3, "tanaka.example", 450), _campaign(4.3, "Studio opening"),
         *_invites(4.2, "Yui Mori", "Ken Abe", "Aoi Sato"), _automation(3.3, "Welcome series"),
         (3.2, "integration_connected", {"name": "Web shop", "kind": "core"}), _campaign(1.2, "New collection")),
    ),
    Person(
        "lena", "Lena Novak", "marketer", "Novak Yoga", 3,
        "At the limit", "Her free list is full. Import one more: the answer says so, with her real numbers.",
        "/contacts/import", "",
        (*_sessions(8.1, 1.1), *_set_up(8, "novakyoga.example", 380), (1, "contacts_imported", {"count": 120})),
    ),
    Person(
        "hana", "Hana Levi", "marketer", "Levi Books", 15,
        "In help", "Ready nine days ago, not upgraded. A guide to finish what she began, with a video and a person.",
        "/dashboard", "help_automation",
        (*_sessions(11.1, 10.1, 9.1, 2.1), *_set_up(11, "levibooks.example", 260), _campaign(9.4, "New this month"),
         *_invites(9.1, "Noa Peretz", "Dan Shapiro", "Tal Cohen")),
    ),
    Person(
        "carla", "Carla Mendes", "admin", "Mendes Dental", 28,
        "Converted", "Upgraded five days ago. Nothing is shown: the goal is met.",
        "/dashboard", "",
        (*_sessions(12.1, 9.2, 6.1, 1.1), *_set_up(12, "mendesdental.example", 470), _campaign(9.3, "Check-up time"),
         *_invites(8.2, "Paulo Reis", "Ana Lima", "Rita Nunes"), _automation(6.2, "Appointment reminder")),
        paid_days_ago=5,
    ),
    Person(
        "emil", "Emil Larsen", "admin", "Larsen Boats", 41,
        "Paying, no seat left", "Has paid for weeks. The team page offers one more seat, now that all are taken.",
        "/team", "seats_limit",
        (*_sessions(62.1, 58.1, 20.1, 3.1), *_set_up(62, "larsenboats.example", 460), _campaign(60, "Spring launch"),
         *_invites(59, "Freja Holm", "Nils Berg", "Maja Lund", "Oskar Dahl"), _automation(55, "After-sales")),
        paid_days_ago=50,
    ),
)  # fmt: skip


def newcomer(number: int, name: str, company: str) -> Person:
    """Return somebody who signs up in the demo, and has done nothing yet."""
    return Person(
        f"new-{number}", name, "marketer", company, 8,
        "Just signed up", "Send a campaign and invite three teammates, or start an automation. Then wait a week.",
        "/dashboard", "",
        (),
        account_key=f"new-account-{number}",
    )  # fmt: skip
