"""A publication reaches every worker of every host, those of an older release among them (SEMANTICS 25)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nudge_sdk import Definition, NudgeClient
from nudge_sdk.store.protocol import DefinitionRow
from tests.fleet.servers import Browser, Host, serving
from tests.runtime.examples import FREE, nudge, product, wait_until

pytestmark = [pytest.mark.no_cover, pytest.mark.slow]

REFRESH = 1.0
LATE = 0.5
"""Seconds that a busy machine may add."""


class Fleet:
    """Two hosts of two workers each, and a connection to every worker."""

    def __init__(self, client: NudgeClient, hosts: list[Host]) -> None:
        self.client = client
        self.hosts = hosts
        self.browsers = [browser for host in hosts for browser in host.browsers()]

    def decided(self, what: str) -> list[Any]:
        """Return what a new person's decision says on every worker."""
        self.asked = getattr(self, "asked", 0) + 1
        return [browser.get("/decide", user=f"user-{self.asked}{at}")[what] for at, browser in enumerate(self.browsers)]

    def seen_after(self, number: int) -> list[float]:
        """Return after how many seconds each worker decided by a definition."""
        began = time.monotonic()
        found: dict[Browser, float] = {}
        while len(found) < len(self.browsers) and time.monotonic() < began + 5 * REFRESH:
            for browser in self.browsers:
                if browser not in found and browser.get("/decide", user="user-0")["definition"] == number:
                    found[browser] = time.monotonic() - began
            time.sleep(0.01)
        assert len(found) == len(self.browsers), f"only {len(found)} of {len(self.browsers)} workers saw it"
        return sorted(found.values())

    def publish_raw(self, definition: Definition, **changes: Any) -> int:
        """Publish a document as a newer release might have written it."""
        store = self.client.store
        number = len(store.definitions()) + 1
        document = msgspec.json.encode({**msgspec.to_builtins(definition), "number": number, **changes})
        signals = store.definitions()[-1].signals
        row = DefinitionRow(
            number, document, f"raw-{number}", self.client.now(), "newer", "", signals, self.client.now()
        )
        with store.transaction(wait=5) as transaction:
            transaction.put_definition(row)
        return number


@pytest.fixture
def fleet(tmp_path: Path, new_postgresql: Callable[[], str]) -> Iterator[Fleet]:
    address = new_postgresql()
    hosts = [
        Host(tmp_path / name, address, kind="threads", workers=2, NUDGE_REFRESH=str(REFRESH))
        for name in ("first", "second")
    ]
    with NudgeClient(address, journal=tmp_path / "journals", drain="external") as client:
        client.publish(product(nudge("n1"), settings=FREE))
        with serving(*hosts):
            fleet = Fleet(client, hosts)
            yield fleet
            for browser in fleet.browsers:
                browser.close()


def test_every_worker_of_both_hosts_decides_by_a_publication_within_the_refresh_interval(fleet: Fleet) -> None:
    for number in range(2, 6):
        published = fleet.client.publish(product(nudge(f"n{number}"), settings=FREE))
        took = fleet.seen_after(published)
        assert took[-1] <= REFRESH + LATE, took
        assert fleet.decided("nudge") == [f"n{number}"] * 4


def test_workers_of_an_older_release_go_on_with_what_they_can_read(fleet: Fleet) -> None:
    known = product(nudge("n1"), settings=FREE)
    new_format = {**nudge("hologram", priority=9), "content": {"type": "hologram", "title": "Look", "depth": 3}}
    plain = [*msgspec.to_builtins(known)["nudges"], new_format]
    number = fleet.publish_raw(known, nudges=plain, weather={"sun": True})
    fleet.seen_after(number)
    assert fleet.decided("nudge") == ["n1"] * 4
    assert [set(reasons) for reasons in fleet.decided("reasons")] == [{"hologram"}] * 4


def test_workers_of_an_older_release_keep_the_last_definition_they_can_read_and_say_so(fleet: Fleet) -> None:
    known = product(nudge("n2"), settings=FREE)
    unreadable = fleet.publish_raw(known, format=99)
    assert wait_until(
        lambda: (
            all(host.log.read_text().count(f"definition {unreadable} cannot be read") == 2 for host in fleet.hosts)
            or fleet.decided("nudge") is None
        ),
        REFRESH + 2,
    )
    assert fleet.decided("nudge") == ["n1"] * 4
    assert fleet.decided("definition") == [1] * 4
    fleet.seen_after(fleet.publish_raw(known))
    assert fleet.decided("nudge") == ["n2"] * 4
