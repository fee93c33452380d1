"""Rows and short ways to write and read them, for the tests of the stores."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from nudge_sdk.rules.records import Record
from nudge_sdk.rules.times import DAY, HOUR
from nudge_sdk.store.protocol import (
    DefinitionRow,
    EpisodeRow,
    Exposure,
    Key,
    Store,
    SubjectRow,
    Transition,
)

NOON = 20_500 * DAY + 12 * HOUR
MEMBER: Key = ("acme", "ann")
ACCOUNT: Key = ("acme", "")
UUID = "0198c5e2-7d44-7abc-8def-0123456789ab"
WAIT = 5.0


def record(message_id: str = "m1", *, at: int = NOON, received_at: int | None = None, **fields: Any) -> Record:
    """Return a record of Ann's, received when it happened unless said otherwise."""
    fields = {"kind": "track", "account_id": "acme", "user_id": "ann", "name": "campaign_sent", **fields}
    return Record(id=message_id, at=at, received_at=at if received_at is None else received_at, **fields)


def insert(store: Store, *records: Record) -> list[bool]:
    with store.transaction(wait=WAIT) as transaction:
        return transaction.insert_records(records)


def put(store: Store, *rows: SubjectRow) -> None:
    with store.transaction(wait=WAIT) as transaction:
        transaction.put_subjects(rows)


def records_of(store: Store, keys: list[Key], first_day: int = 0, last_day: int = 40_000) -> list[Record]:
    with store.transaction(wait=WAIT) as transaction:
        return list(transaction.records_of(keys, first_day=first_day, last_day=last_day))


def due(store: Store, now: int, *, definition: int = 0, limit: int = 100) -> list[Key]:
    with store.transaction(wait=WAIT) as transaction:
        return transaction.due(now, definition=definition, limit=limit)


def outdated(store: Store, signals: int, limit: int = 100) -> list[Key]:
    with store.transaction(wait=WAIT) as transaction:
        return transaction.outdated(signals, limit=limit)


def subject(account_id: str = "acme", user_id: str = "ann", **fields: Any) -> SubjectRow:
    return SubjectRow(account_id=account_id, user_id=user_id, **fields)


FULL_ROW = subject(
    state=b"\x00state\xff",
    standing=b"standing",
    signals=3,
    definition=7,
    segment="smb",
    tier="hot",
    score=-12_500,
    fit=2**40,
    active_users=3,
    episode_at=NOON,
    episode_ended_at=NOON + 1,
    next_change=NOON + DAY,
    evaluated_at=NOON,
    first_day=-3,
    last_day=20_500,
    import_id="i1",
)
TRANSITION = Transition("acme", "ann", NOON, NOON + 5, "m1", "none", "hot", 12_000, 7, details=b"why")
EPISODE = EpisodeRow("acme", "ann", NOON, "paid", "hot", 7, "m1")
EXPOSURE = Exposure("acme", "ann", "d1", "offered", "upgrade", "a", "banner", NOON, 7, "paid", "", b"receipt")
DEFINITION = DefinitionRow(1, b"{}", "f1", NOON, "pm", "first", 1)


class Failed(Exception):
    pass


@dataclass
class Told:
    """The answers of several threads or processes that were asked the same."""

    answers: list[list[bool]] = field(default_factory=list)

    def exactly_one_each(self) -> bool:
        return all(sum(column) == 1 for column in zip(*self.answers, strict=True))


def in_threads(*targets: Any) -> None:
    threads = [threading.Thread(target=target) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
