"""How long ``decide`` takes where the profile is not in memory, beside the driver reading one packed row."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg

from tests.bench.decide import ask, forget, prepare
from tests.bench.harness import (
    Figure,
    Limit,
    Scale,
    by_turns,
    each_call,
    in_words,
    microseconds,
    p50_p99,
    ratios,
    seconds_a_call,
)
from tests.bench.peers import durable_postgresql
from tests.bench.product import DONE, QUESTIONS, Asked, Steps, client
from tests.bench.watching import WatchedStore

READ = "SELECT state, standing, ledger FROM nudge_members WHERE account_id = {mark} AND user_id = {mark}"
LIMIT = Limit("at most", 4)


def measure(folder: Path, scale: Scale) -> Iterator[Figure]:
    """Yield what a decision about somebody unknown costs, on both databases."""
    url = f"sqlite:///{folder / 'nudge.db'}"
    prepare(folder)
    connection = sqlite3.connect(folder / "nudge.db", isolation_level=None)
    statement = READ.format(mark="?")
    yield _race("SQLite", folder, url, scale, lambda key: connection.execute(statement, key).fetchone())
    connection.close()
    with durable_postgresql() as server:
        url = server.new_database()
        prepare(folder / "postgresql", store=url)
        spoken = READ.format(mark="%s")
        with psycopg.connect(url, autocommit=True) as held:
            read = held.execute
            yield _race(
                "PostgreSQL",
                folder / "postgresql",
                url,
                scale,
                lambda key: read(spoken, key, prepare=True, binary=True).fetchone(),
            )


def _race(database: str, folder: Path, url: str, scale: Scale, read: Callable[[tuple[str, str]], Any]) -> Figure:
    asked = QUESTIONS[: min(1000, scale.calls)]
    keys = [(each.account, each.user) for each in asked]
    assert all(read(key)[0] for key in keys)
    with client(folder, Steps(step=20_000), store=url) as ours:
        # As in a host that tracks too: what is read has to be compared with this process's own journal.
        ours.track(DONE[0].user, DONE[0].event, account=DONE[0].account)
        assert ours.flush(60)
        calls = _calls(ours, asked)

        def cold() -> float:
            forget(ours, asked)
            return seconds_a_call(ask(ours), asked)

        found = by_turns({"decide": cold, "read": lambda: seconds_a_call(read, keys)}, scale.turns)
        forget(ours, asked)
        single = each_call(ask(ours), asked)
    return Figure(
        f"decide_cold_{database.lower()}",
        f"`decide`, cold profile, {database}",
        ratios(found["decide"], found["read"]),
        "the time of reading one packed row by the driver itself",
        LIMIT,
        {
            "decide_us": microseconds(found["decide"]),
            "read_us": microseconds(found["read"]),
            "single_calls": p50_p99(single),
            "store_calls_of_one": calls,
        },
        told=f"{in_words(found['decide'])} beside {in_words(found['read'])}",
    )


def _calls(ours: Any, asked: tuple[Asked, ...]) -> dict[str, int]:
    """Return what one decision asks of the store."""
    watched: Any = WatchedStore(ours.store)
    ask(ours)(asked[0])
    ours.profiles.store = watched
    forget(ours, asked[:1])
    ask(ours)(asked[0])
    ours.profiles.store = ours.store
    return dict(watched.calls)
