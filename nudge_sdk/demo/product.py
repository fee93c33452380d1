"""What the e-mail tool itself knows: its own data, apart from anything the SDK keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, NamedTuple
from zlib import crc32

FREE_CONTACTS = 500
FREE_SEATS = 10
SEATS = {"free": FREE_SEATS, "growth": 5}
"""Seats of each plan; paying accounts buy more."""

_FIRST = "Aiko Bruno Clara Dario Elena Femi Greta Hugo Imani Jonah Kaya Lars Mila Nuri Olga Pablo"
_LAST = "Abel Berger Conti Doyle Engel Ferrari Gomez Hale Ivanov Jensen Kaur Lind Moreau Novo Okoro Park"


class Contact(NamedTuple):
    """Somebody on a list: made up, and the same each time."""

    name: str
    email: str


@dataclass(frozen=True)
class Campaign:
    """One campaign that was sent."""

    name: str
    sent_at: int
    recipients: int

    @property
    def opened_percent(self) -> int:
        """How many in a hundred opened it: made up, and the same for the same campaign."""
        return 31 + len(self.name) % 17 if self.recipients else 0


@dataclass
class Workspace:
    """An account of the e-mail tool.

    Attributes:
        key: Its id.
        employees: How many people work there.
        seats: Seats bought beyond the plan's.
        done_forms: Keys of forms that were taken, so that a reload does not send anything twice.
    """

    key: str
    name: str
    employees: int
    plan: str = "free"
    seats: int = 0
    contacts: int = 0
    domain: str = ""
    team: list[str] = field(default_factory=list)
    campaigns: list[Campaign] = field(default_factory=list)
    automations: list[str] = field(default_factory=list)
    integrations: list[str] = field(default_factory=list)
    done_forms: set[str] = field(default_factory=set)
    _lock: Lock = field(default_factory=Lock, repr=False, compare=False)

    @property
    def contacts_limit(self) -> int | None:
        """How many contacts the plan has room for; None for any number."""
        return FREE_CONTACTS if self.plan == "free" else None

    @property
    def contacts_left(self) -> int | None:
        """How many contacts still fit; None for any number."""
        return None if self.contacts_limit is None else max(0, self.contacts_limit - self.contacts)

    @property
    def seats_limit(self) -> int:
        """How many people may work here."""
        return SEATS[self.plan] + self.seats

    @property
    def is_full(self) -> bool:
        """Whether every seat is taken."""
        return len(self.team) >= self.seats_limit

    def traits(self) -> dict[str, Any]:
        """Return what the SDK is told of the account: live numbers, so that nudges speak of real ones."""
        return {
            "name": self.name,
            "employees": self.employees,
            "plan": self.plan,
            "contacts_used": self.contacts,
            "contacts_limit": self.contacts_limit,
            "seats_used": len(self.team),
            "seats_limit": self.seats_limit,
        }

    def latest_contacts(self, most: int = 8) -> list[Contact]:
        """Return the contacts that came last."""
        return [self._contact(place) for place in range(self.contacts, max(0, self.contacts - most), -1)]

    def take_form(self, key: str) -> bool:
        """Say whether a form comes for the first time; one without a key always does."""
        with self._lock:
            is_first = key not in self.done_forms
            if key:
                self.done_forms.add(key)
        return is_first

    def apply(self, event: str, properties: Mapping[str, Any], at: int) -> None:
        """Change what an event changes."""
        with self._lock:
            self._apply(event, properties, at)

    def _contact(self, place: int) -> Contact:
        number = crc32(f"{self.key} {place}".encode())
        first, last = _FIRST.split()[number % 16], _LAST.split()[number // 16 % 16]
        return Contact(f"{first} {last}", f"{first}.{last}@example.com".lower())

    def _apply(self, event: str, properties: Mapping[str, Any], at: int) -> None:
        if event == "domain_connected":
            self.domain = str(properties["domain"])
        elif event == "contacts_imported":
            self.contacts += int(properties["count"])
        elif event == "campaign_sent":
            self.campaigns.append(Campaign(str(properties["name"]), at, self.contacts))
        elif event == "workflow_started":
            self.automations.append(str(properties["name"]))
        elif event == "teammate_invited":
            self.team.append(str(properties["name"]))
        elif event == "integration_connected":
            self.integrations.append(str(properties["name"]))
