from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nudge_sdk import NudgeClient, Options
from nudge_sdk.insights import replaying
from nudge_sdk.insights.journeys import refresh
from nudge_sdk.insights.replaying import needs_replay, replay_history
from nudge_sdk.rules.authoring import parse_definition
from nudge_sdk.rules.records import Record
from nudge_sdk.rules.times import DAY, SECOND
from nudge_sdk.store.journey_rows import Journey, journeys_of, note_import
from nudge_sdk.testing import Clock

START = 20_500 * DAY
IMPORTED = START + 90 * DAY


def definition(score: float = 5) -> Any:
    return parse_definition(
        {
            "name": "Product",
            "milestones": [
                {"key": "sent", "name": "Sent", "signal": {"event": "sent"}, "points": 5, "is_aha": True, "done": "x"},
                {"key": "many", "subject": "account", "signal": {"event": "sent"}, "at_least": 2, "points": 9},
            ],
            "segments": [
                {"key": "all", "member": {"warm": {"score": score}}, "account": {"hot": {"score": 9}}},
            ],
        }
    )


@pytest.fixture(params=["sqlite", "postgresql"])
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NudgeClient]:
    if request.param == "postgresql":
        make: Callable[[], str] = request.getfixturevalue("new_postgresql")
        url = make()
    else:
        url = f"sqlite:///{tmp_path}/nudges.db"
    clock = Clock(datetime.fromtimestamp(IMPORTED / SECOND, UTC))
    options = Options(on_error="raise", refresh_seconds=0)
    with NudgeClient(url, drain="inline", clock=clock, definition=definition(), options=options) as client:
        yield client


def event(user: str, day: int, account: str = "acme", name: str = "sent") -> Record:
    return Record("track", account, user, f"{user}{day}", START + day * DAY, IMPORTED, name, history=True)


def brought_in(client: NudgeClient, *records: Record) -> None:
    client.intake.take(list(records), wait=5, import_id="one")
    client.intake.finish_import("one", wait=5)
    while client.intake.sweep(wait=5):
        pass
    note_import(client.store, client.now())


def journey(client: NudgeClient, user: str, account: str = "acme") -> Journey:
    refresh(client.store, client.intake.catalog.rules, client.now())
    (found,) = journeys_of(client.store, [(account, user)])
    return found


def test_imported_people_qualify_when_it_happened_once_it_is_replayed(client: NudgeClient) -> None:
    brought_in(client, event("ann", 80), event("bob", 85), event("cyd", 1, account="other"))
    rules = client.intake.catalog.rules
    assert journey(client, "ann").qualified_at == IMPORTED
    assert needs_replay(client.store, rules)
    done = replay_history(client.store, rules, client.now())
    assert (done.accounts, done.members, done.qualified) == (2, 3, 3)
    assert not needs_replay(client.store, rules)
    assert journey(client, "ann").qualified_at == START + 80 * DAY
    # By the time of the import this had faded: no conclusion was ever written down of it.
    assert journey(client, "cyd", "other").qualified_at == START + DAY
    assert journey(client, "").hot_at == START + 85 * DAY
    assert journey(client, "").qualified_at == START + 80 * DAY


def test_who_was_not_imported_stays_as_it_was_concluded(client: NudgeClient) -> None:
    brought_in(client, event("ann", 80))
    client.track("dan", "sent", account="new", id="d")
    assert client.flush()
    replay_history(client.store, client.intake.catalog.rules, client.now())
    assert journey(client, "dan", "new").qualified_at == IMPORTED
    assert journey(client, "ann").qualified_at == START + 80 * DAY


def test_another_definition_is_replayed_anew(client: NudgeClient) -> None:
    brought_in(client, event("ann", 80))
    replay_history(client.store, client.intake.catalog.rules, client.now())
    client.publish(definition(score=99))
    rules = client.intake.catalog.rules
    assert needs_replay(client.store, rules)
    assert replay_history(client.store, rules, client.now()).qualified == 0


def test_other_copy_needs_no_other_replay(client: NudgeClient) -> None:
    brought_in(client, event("ann", 80))
    replay_history(client.store, client.intake.catalog.rules, client.now())
    client.publish(msgspec.structs.replace(definition(), notes="Only words"))
    assert client.intake.catalog.number == 2
    assert not needs_replay(client.store, client.intake.catalog.rules)


def test_parts_give_what_the_whole_gives(client: NudgeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    brought_in(client, *(event(f"u{number}", 80 + number % 7, account=f"a{number}") for number in range(40)))
    monkeypatch.setattr(replaying, "ACCOUNTS_AT_ONCE", 9)
    told: list[tuple[int, int]] = []
    rules = client.intake.catalog.rules
    done = replay_history(client.store, rules, client.now(), lambda done, of: told.append((done, of)))
    assert (done.accounts, done.members, done.qualified) == (40, 40, 40)
    assert told[-1] == (40, 40)
    assert len(told) == 5
    assert journey(client, "u8", "a8").qualified_at == START + 81 * DAY


def test_a_person_who_was_forgotten_is_not_brought_back(client: NudgeClient) -> None:
    brought_in(client, event("ann", 80), event("bob", 81))
    replay_history(client.store, client.intake.catalog.rules, client.now())
    client.forget("ann", account="acme")
    replay_history(client.store, client.intake.catalog.rules, client.now())
    refresh(client.store, client.intake.catalog.rules, client.now())
    assert journeys_of(client.store, [("acme", "ann")]) == []
