"""Measure how fast nudge-sdk is, beside its peers and the limits of the machine; one line of JSON a figure."""

from __future__ import annotations

import argparse
import importlib.util
import logging
import sys
import tempfile
from pathlib import Path

from tests.bench import decide, drain, imports, track
from tests.bench.harness import FULL, QUICK

PARTS = {"decide": decide.measure, "track": track.measure, "drain": drain.measure, "import": imports.measure}
PEERS = ("growthbook", "posthog")


def main() -> int:
    """Print the figures; 0 where all keep to their limits."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=PARTS, help="measure only this; may be given again")
    parser.add_argument("--quick", action="store_true", help="fewer repeats and less history; not for judging")
    chosen = parser.parse_args()
    missing = [name for name in PEERS if importlib.util.find_spec(name) is None]
    if missing:
        print(f"{', '.join(missing)} not found: run `pip install -e '.[bench]'`, or `make bench`", file=sys.stderr)
        return 2
    logging.disable(logging.CRITICAL)
    all_hold = True
    with tempfile.TemporaryDirectory(prefix="nudge-bench-") as folder:
        for name in chosen.only or PARTS:
            for figure in PARTS[name](Path(folder) / name, QUICK if chosen.quick else FULL):
                print(figure.line(), flush=True)
                all_hold = all_hold and figure.ok
    return 0 if all_hold else 1


if __name__ == "__main__":
    sys.exit(main())
