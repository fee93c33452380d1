"""``python -m tests.torture --minutes 30``: torture for as long as wanted; exit status 1 if a promise was broken.

Without ``--kills``, ``--away`` or ``--soak``: a storm, in which processes, drainers, database and disk fail at random.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from tests.torture import away
from tests.torture.kill import Torture
from tests.torture.soak import Soak
from tests.torture.storm import Storm
from tests.torture.troubles import database

KINDS = ("sqlite", "postgresql")
SHOWN = 20

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--minutes", type=float, default=2, help="of storm, half of them on each store")
parser.add_argument("--kills", type=int, help="kill that many trackers and drainers on SQLite, as fast as can be")
parser.add_argument("--away", type=float, metavar="SECONDS", help="take the database away from paced calls, once")
parser.add_argument("--soak", type=float, metavar="MINUTES", help="go on for so long and look at memory and handles")
parser.add_argument("--store", choices=KINDS, action="append", help="one of the two alone")
parser.add_argument("--seed", type=int, default=7)
arguments = parser.parse_args()
kinds = tuple(arguments.store or KINDS)


def kills(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Kill as fast as can be."""
    outcome = Torture(folder, arguments.seed).run(arguments.kills)
    lost = [f"{id} is lost" for id in outcome.lost]
    yield (
        f"{outcome.trackers} trackers and {outcome.drainers} drainers killed; {outcome.undrained} kills found "
        f"undrained bytes; {outcome.acknowledged} events acknowledged, {outcome.stored} stored",
        [*lost, *outcome.doubled],
    )


def absences(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Take each database away."""
    for kind in kinds:
        (folder / kind).mkdir()
        with database(kind, folder / kind) as tortured:
            outcome = away.torture(folder / kind, tortured.address, tortured.away, arguments.away)
        yield f"{kind} away for {arguments.away:g} s\n{outcome}", outcome.wrong


def soaks(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Soak both stores side by side."""
    with ExitStack() as stack:
        soaked = {}
        for kind in kinds:
            (folder / kind).mkdir()
            address = stack.enter_context(database(kind, folder / kind)).address
            soaked[kind] = Soak(folder / kind, address, arguments.soak * 60)
        for kind, soak in soaked.items():
            found = soak.outcome()
            yield f"{kind}, {arguments.soak:g} minutes\n{found}", found.wrong


def storms(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Let it rage over each store."""
    for kind in kinds:
        (folder / kind).mkdir()
        with database(kind, folder / kind) as tortured:
            outcome = Storm(folder / kind, tortured, arguments.seed).run(arguments.minutes * 60 / len(kinds))
        yield f"{kind}, seed {arguments.seed}\n{outcome}", outcome.wrong


chosen = kills if arguments.kills else absences if arguments.away else soaks if arguments.soak else storms
is_well = True
with tempfile.TemporaryDirectory() as root:
    for text, wrong in chosen(Path(root)):
        print(text, flush=True)
        for each in wrong[:SHOWN]:
            print(f"  BROKEN: {each}"[:2000], flush=True)
        is_well = is_well and not wrong
raise SystemExit(not is_well)
