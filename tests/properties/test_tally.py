"""Every case must have occurred, or the properties above passed without having looked."""

from __future__ import annotations

import pytest

from tests.properties.histories import CASES

LEAST = {
    "batches": 300,
    "batches taken by process 3": 50,
    "batches without a sweep": 50,
    "boundaries stepped": 300,
    "circles of moves": 1,
    "clamped times": 30,
    "corrected rows": 5,
    "duplicates": 300,
    "episode by event": 100,
    "episode by import": 3,
    "episode by publication": 5,
    "episode by time": 30,
    "episode ended by goal": 5,
    "episode ended by left": 5,
    "episode ended by opt_out": 3,
    "episodes": 200,
    "exact sums of floats and decimals": 50,
    "faded score": 3,
    "imports of history": 50,
    "late arrivals": 50,
    "merges": 100,
    "midnights stepped": 1000,
    "moments after next_change": 100,
    "moments before next_change": 500,
    "moves in any order": 50,
    "moves in order": 50,
    "negative score": 5,
    "negative sums": 5,
    "publications with new signals": 50,
    "records after the move, as before it": 10,
    "records through journal and store": 50,
    "reorderings": 300,
    "runs over a file": 3,
    "second episodes": 20,
    "second groups": 5,
    "standings compared": 500,
    "states with days at capacity": 10,
    "states with members at capacity": 5,
    "states with occurrences at capacity": 50,
    "states with traits at capacity": 10,
    "states with values at capacity": 5,
    "sums that floats get wrong": 5,
    "sweeps between batches": 50,
    "tier held without its entry": 5,
    "tier none to hot (account)": 20,
    "tier none to hot (member)": 20,
    "tier none to warm (account)": 20,
    "tier none to warm (member)": 20,
    "tier warm to hot (member)": 20,
    "tier warm to none (member)": 20,
    "transition by event": 200,
    "transition by import": 5,
    "transition by publication": 5,
    "transition by time": 100,
}
"""Case to the least number of times it must occur; about a third of what the usual run meets."""


def test_every_case_occurred_often_enough(request: pytest.FixtureRequest) -> None:
    folder = request.path.parent
    run = {item.originalname for item in request.session.items if item.path.parent == folder}  # type: ignore[attr-defined]
    written = [line for path in folder.glob("test_*.py") for line in path.read_text().splitlines()]
    if not run.issuperset(line[4 : line.index("(")] for line in written if line.startswith("def test_")):
        pytest.skip("only a part of the properties is run, so that some cases cannot occur")
    assert {case: (CASES[case], least) for case, least in LEAST.items() if CASES[case] < least} == {}
