"""How fast journals are drained and scored into PostgreSQL, beside bare COPY and INSERT of the same rows.

The server waits for the disk at each commit. The bare one copies a thousand events and the packed rows of their members
and accounts, each once, into staging tables and inserts from there, ``ON CONFLICT``, in one transaction.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.bench.bare import BarePostgresql
from tests.bench.drain import Race, figure, introduce, race_rates, run
from tests.bench.harness import Figure, Scale
from tests.bench.peers import durable_postgresql
from tests.bench.product import Steps, client, definition
from tests.postgresql import name_of

RIVAL = "bare `COPY` and `INSERT … SELECT … ON CONFLICT` of the same rows"


def measure(folder: Path, scale: Scale) -> Iterator[Figure]:
    """Yield how fast draining is."""
    folder.mkdir()
    clock = Steps(step=10_000)
    with durable_postgresql() as server:
        url = server.new_database()
        with client(folder, clock, store=url) as ours:
            ours.publish(definition())
        introduce(folder, clock, store=url)
        bare = BarePostgresql(server.new_database(template=name_of(url)))
        race = Race(folder, client(folder, clock, store=url), url, bare, rival=RIVAL)
        rates = race_rates(run([race], scale)[0], scale)
        yield figure("drain_postgresql", "PostgreSQL", race, rates)
        race.close()
