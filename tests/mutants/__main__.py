"""Break the package in named ways and show that the property tests notice each: python -m tests.mutants.

Each mutant is a replacement of text that must match exactly once, in a copy of the package. Exits with 1 if one
survives, or no longer matches.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 300
"""Longest run of the tests against one mutant."""


class Mutant(NamedTuple):
    """One way to break the package.

    Attributes:
        name: What is wrong.
        path: The file, below the package's folder.
        before, after: The text and what stands in its place.
        tests: The tests that are run against it, as for pytest's ``-k``.
    """

    name: str
    path: str
    before: str
    after: str
    tests: str


MUTANTS = (
    Mutant(
        "no hold days",
        "rules/standing.py",
        "earliest = today - by.hold_days",
        "earliest = today",
        "in_order",
    ),
    Mutant(
        "window off by one day",
        "rules/signals.py",
        "        low = today - length\n        while start",
        "        low = today - length - 1\n        while start",
        "in_order",
    ),
    Mutant(
        "no stepping",
        "rules/stepping.py",
        "        if boundary > to:\n",
        "        if boundary > 0:\n",
        "in_order",
    ),
    Mutant(
        "one judgement a batch",
        "runtime/fold.py",
        "                and is_quiet(",
        "                or is_quiet(",
        "one_batch or in_order",
    ),
    Mutant(
        "a turned milestone taken for a quiet one",
        "rules/measuring.py",
        "                if total >= milestone.least and milestone.probe(",
        "                if total > milestone.least and milestone.probe(",
        "one_batch or in_order",
    ),
    Mutant(
        "sums taken for what only rises",
        "rules/measuring.py",
        '        if counted.kind == "sums" or (',
        "        if (",
        "one_batch or in_order",
    ),
    Mutant(
        "new distinct values overlooked",
        "rules/state.py",
        "            self.renewed.add(signal_id)\n",
        "            pass\n",
        "one_batch or in_order",
    ),
    Mutant(
        "an event waits for its judgement in vain",
        "runtime/fold.py",
        "        self._settle()\n        self._take_reports",
        "        self._take_reports",
        "one_batch or in_order",
    ),
    Mutant(
        "distinct values one too many kept",
        "rules/tallies.py",
        "    if len(kept) > most:\n        del kept[min(",
        "    if len(kept) > most + 1:\n        del kept[min(",
        "any_order or merging",
    ),
    Mutant(
        "distinct values one too few kept",
        "rules/tallies.py",
        "    if len(kept) > most:\n        del kept[max(",
        "    if len(kept) >= most:\n        del kept[max(",
        "any_order or merging",
    ),
    Mutant(
        "float sums",
        "rules/amounts.py",
        "    return int((exact * AMOUNT_SCALE).to_integral_value(ROUND_HALF_EVEN))",
        "    return float(value) * AMOUNT_SCALE",
        "exact or dimes or any_order",
    ),
    Mutant(
        "duplicates counted twice",
        "runtime/fold.py",
        "strict=True) if new]",
        "strict=True) if new or True]",
        "any_order or identity",
    ),
    Mutant(
        "late event moves the episode",
        "rules/standing.py",
        "            return msgspec.structs.replace(episode, ended_at=at, end_reason=reason) if reason else episode\n",
        "            episode = msgspec.structs.replace(episode, started_at=at) if cause[:1] == 'm' else episode\n"
        "            return msgspec.structs.replace(episode, ended_at=at, end_reason=reason) if reason else episode\n",
        "late",
    ),
    Mutant(
        "rest ignored",
        "rules/standing.py",
        "    return last + 1 + segment.rest_days",
        "    return last + 1",
        "in_order",
    ),
    Mutant(
        "decay without grace",
        "rules/compiled.py",
        "last_counted_day(state, self.signal_id, at) - self.grace",
        "last_counted_day(state, self.signal_id, at)",
        "in_order",
    ),
    Mutant(
        "clamp missing",
        "rules/records.py",
        "        return self.received_at if self.at > self.received_at + CLOCK_TOLERANCE else self.at",
        "        return self.at",
        "any_order or in_order",
    ),
    Mutant(
        "events not applied to the account",
        "rules/counting.py",
        "day_of(event.at), plan.capacity)\n    apply_event(state, event, plan)\n",
        "day_of(event.at), plan.capacity)\n",
        "in_order",
    ),
    Mutant(
        "late event judged in its own past",
        "runtime/fold.py",
        "instant = at if at > before.at else before.at",
        "instant = at",
        "any_order or late",
    ),
    Mutant(
        "corrected rows not marked",
        "runtime/conclusions.py",
        "is_late = change.at < before.at",
        "is_late = False",
        "late",
    ),
    Mutant(
        "next_change forgets the hold",
        "rules/standing.py",
        "    if not is_entered or found.is_fading:\n",
        "    if found.is_fading:\n",
        "next_change or in_order",
    ),
    Mutant(
        "next_change forgets the end of the rest",
        "rules/standing.py",
        "    days = [_rest_over(episode, segment)]\n",
        "    days: list[int] = []\n",
        "next_change or in_order",
    ),
    Mutant(
        "history concludes at once",
        "runtime/fold.py",
        "            if record.history:\n                self._hold(work, import_id)\n            else:\n",
        "            if True:\n",
        "import",
    ),
    Mutant(
        "new signals not counted",
        "runtime/fold.py",
        "        return row.signals < self.catalog.signals\n",
        "        return False\n",
        "publication",
    ),
    Mutant(
        "the latest group moves a member, not the first",
        "rules/identity.py",
        "known.order <= move.order",
        "known.order >= move.order",
        "any_order or moves",
    ),
    Mutant(
        "records after a move count for the old member",
        "runtime/fold.py",
        "account_id, user_id = self.aliases.resolve(key) if self.aliases.moves else key",
        "account_id, user_id = key",
        "any_order or moves",
    ),
    Mutant(
        "whoever left stays active",
        "rules/measuring.py",
        "if day > low and not account.has_left(user_id))",
        "if day > low)",
        "left or in_order",
    ),
    Mutant(
        "merge forgets sums",
        "rules/tallies.py",
        "        self.total_sum += other.total_sum\n",
        "",
        "merging or any_order",
    ),
)


def main() -> int:
    """Run all mutants, print a table, and return the exit code."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        sound = copy_of_the_package(Path(folder) / "sound")
        if run(sound, "in_order or merging"):
            print("the tests fail against the sound package; nothing can be said of mutants")
            return 1
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            caught = list(pool.map(lambda each: catch(each[1], Path(folder) / str(each[0])), enumerate(MUTANTS)))
    width = max(len(mutant.name) for mutant in MUTANTS)
    print(f"{'mutant':{width}} | caught by")
    print(f"{'-' * width}-|-{'-' * 40}")
    for mutant, test in zip(MUTANTS, caught, strict=True):
        print(f"{mutant.name:{width}} | {test or 'NOTHING: it survives'}")
    print(f"{sum(map(bool, caught))} of {len(MUTANTS)} mutants caught")
    return 0 if all(caught) else 1


def catch(mutant: Mutant, folder: Path) -> str:
    """Return the name of the test that notices a mutant, or an empty text."""
    copy_of_the_package(folder)
    path = folder / "nudge_sdk" / mutant.path
    text = path.read_text()
    if text.count(mutant.before) != 1:
        raise SystemExit(f"{mutant.name}: its text stands {text.count(mutant.before)} times in {mutant.path}, not once")
    path.write_text(text.replace(mutant.before, mutant.after))
    found = run(folder, mutant.tests)
    shutil.rmtree(folder)
    return found


def copy_of_the_package(folder: Path) -> Path:
    """Copy the package and its property tests."""
    leave_out = shutil.ignore_patterns("__pycache__", "*.mp4", ".*_cache")
    shutil.copytree(ROOT / "nudge_sdk", folder / "nudge_sdk", ignore=leave_out)
    shutil.copytree(ROOT / "tests" / "properties", folder / "tests" / "properties", ignore=leave_out)
    for name in ("__init__.py", "conftest.py", "postgresql.py", "sqlite.py"):
        shutil.copy(ROOT / "tests" / name, folder / "tests")
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def run(folder: Path, tests: str) -> str:
    """Run tests against a copy; return the name of the first that fails, or an empty text."""
    options = ["-x", "-q", "-p", "no:cacheprovider", "--tb=line", "--hypothesis-profile=mutants", "-k", tests]
    command = [sys.executable, "-c", _PYTEST, "tests/properties", *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode not in (0, 1):
        raise SystemExit(f"the tests cannot run in {folder}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED ")]
    return failed[0].split("::")[1].split(" ")[0] if failed else ""


_PYTEST = """
import sys
from pathlib import Path
sys.path.insert(0, str(Path.cwd()))
import nudge_sdk
assert Path(nudge_sdk.__file__).is_relative_to(Path.cwd()), nudge_sdk.__file__
import pytest
sys.exit(pytest.main(sys.argv[1:]))
"""

if __name__ == "__main__":
    sys.exit(main())
