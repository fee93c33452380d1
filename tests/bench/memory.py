"""How much memory a member takes that ``decide`` left in memory."""

from __future__ import annotations

import gc
import gzip
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import msgspec

from nudge_sdk import Definition
from nudge_sdk.documents import read_definition
from nudge_sdk.importing import Columns, ImportRun, Rejects, RowMaker, read_csv
from nudge_sdk.rules.records import PERSONAL
from nudge_sdk.rules.tallies import CAPACITY
from nudge_sdk.rules.times import DAY, SECOND
from tests.bench.decide import prepare
from tests.bench.harness import Figure, Limit, Scale
from tests.bench.product import EVENTS, PLACEMENT, START, Steps, client, definition, person
from tests.bench.stored import fill, record

CASES = Path(__file__).parents[1] / "cases" / "ecom.yaml"
HISTORY = Path(__file__).parents[3] / "shared" / "data" / "ecom.csv.gz"
MEMBERS = 1000
EVERYBODY = 1_000_000
FULL_MEMBERS = 5
KIB = 1024


def measure(folder: Path, scale: Scale) -> Iterator[Figure]:
    """Yield the memory of one member: a usual one, and one whose state is at capacity."""
    folder.mkdir()
    usual = "median member of a shop's history" if HISTORY.exists() else "member with 8 events"
    at = _shop(folder / "usual") if HISTORY.exists() else _product(folder / "usual")
    yield _figure("memory", f"one cached profile, 10 milestones, 20 nudges, {usual}", folder / "usual", at, True)
    _at_capacity(folder / "full")
    yield _figure("memory_full", "the same, state at capacity", folder / "full", START, False)


def _figure(name: str, what: str, folder: Path, at: int, is_limited: bool) -> Figure:
    keys, sizes = _middle(folder)
    with client(folder, Steps(at)) as ours:
        # Whose account is the personal one is asked about without.
        asked = [(user, None if account.startswith(PERSONAL) else account) for account, user in keys]
        ours.decide(PLACEMENT, user=asked[0][0], account=asked[0][1])
        rest = asked[1:]
        gc.collect()
        tracemalloc.start()
        for user, account in rest:
            ours.decide(PLACEMENT, user=user, account=account)
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0] / len(rest)
        tracemalloc.stop()
    details = {"members": len(rest), "bytes": round(taken), "bytes_of_the_packed_states": round(sizes)}
    limit = Limit("at most", 1) if is_limited else None
    told = f"{taken:,.0f} bytes; its packed rows {sizes:,.0f}"
    return Figure(name, what, [taken / KIB], "a member", limit, details, "KiB", told)


def _middle(folder: Path) -> tuple[list[tuple[str, str]], float]:
    """Return the members around the median of what is packed of them, and the bytes that are, with their account's."""
    with client(folder) as ours:
        rows = {row.key: row for row in ours.store.subjects(limit=EVERYBODY)}
    members = sorted((row for row in rows.values() if row.user_id), key=lambda row: len(row.state))
    first = max(0, (len(members) - MEMBERS - 1) // 2)
    chosen = members[first : first + MEMBERS + 1]
    both = [row for member in chosen for row in (member, rows[member.account_id, ""])]
    return [row.key for row in chosen], sum(len(row.state) + len(row.standing) for row in both) / len(chosen)


def _shop(folder: Path) -> int:
    """Import the history of a shop; return the instant at which it ends."""
    folder.mkdir()
    rules: Definition = msgspec.structs.replace(
        read_definition(CASES), nudges=definition().nudges, goals=definition().goals
    )
    clock = Steps()
    with client(folder, clock) as ours, gzip.open(HISTORY) as stream, Rejects(folder / "rejected") as rejects:
        ours.publish(rules)
        maker = RowMaker(clock, timezone="UTC")
        run = ImportRun(ours.intake, rejects, import_id="shop")
        run.run(read_csv(stream, maker, Columns()))  # type: ignore[arg-type]
        maker.close()
        last = max(row.last_day or 0 for row in ours.store.subjects(limit=EVERYBODY))
    return last * DAY + DAY - SECOND


def _product(folder: Path) -> int:
    prepare(folder)
    return START


def _at_capacity(folder: Path) -> None:
    """Let members do everything on so many days that nothing more can be kept of it."""
    folder.mkdir()
    with client(folder, Steps(START - CAPACITY.days * DAY)) as ours:
        ours.publish(definition())
    people = [person(index * 10) for index in range(FULL_MEMBERS + 1)]
    first = START - CAPACITY.days * DAY
    fill(
        folder / "nudge.db",
        (
            [
                record(each, name, first + day * DAY + index * SECOND, number)
                for number, each in enumerate(people)
                for index, name in enumerate(EVENTS)
            ]
            for day in range(CAPACITY.days)
        ),
    )
