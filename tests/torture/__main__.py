"""``python -m tests.torture --kills 200 --seed 7``: what the kills left behind; exit status 1 if anything is lost."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.torture.kill import Torture

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--kills", type=int, default=200)
parser.add_argument("--seed", type=int, default=7)
arguments = parser.parse_args()
with tempfile.TemporaryDirectory() as folder:
    outcome = Torture(Path(folder), arguments.seed).run(arguments.kills)
print(
    f"{outcome.trackers} trackers and {outcome.drainers} drainers killed; "
    f"{outcome.undrained} kills found undrained bytes; "
    f"{outcome.acknowledged} events acknowledged, {outcome.stored} stored, {len(outcome.lost)} lost, "
    f"{len(outcome.doubled)} doubled"
)
raise SystemExit(1 if outcome.lost or outcome.doubled else 0)
