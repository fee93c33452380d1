"""Run all tests: two halves side by side, then those that measure or kill, alone. ``python -m tests.run``

A machine with two cores is done in little more than half the time. What is timed in the last part is timed undisturbed;
the soak, which waits most of its two minutes, runs beside the halves.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent

PAGES = ("admin", "browser")
"""Folders whose tests open pages; they take about as long as all others together."""

SOAK = "test_soak.py"

ALONE = ("fleet", "torture")
"""Folders whose tests run with nothing else beside them."""


def parts() -> dict[str, list[str]]:
    """Return what each part runs, every test file in exactly one of them."""
    found: dict[str, list[str]] = {"pages": [], "others": [], "soak": [], "alone": []}
    for path in sorted(HERE.rglob("test_*.py")):
        folder = path.relative_to(HERE).parts[0]
        name = "pages" if folder in PAGES else "alone" if folder in ALONE else "others"
        found["soak" if path.name == SOAK else name].append(str(path.relative_to(ROOT)))
    return found


def main() -> int:
    """Run everything; return 0 if all passed."""
    given = parts()
    with tempfile.TemporaryDirectory() as folder:
        print("== the tests of pages and the soak run beside the others; what they say comes after them", flush=True)
        beside = {name: _quiet(given[name], folder, name) for name in ("pages", "soak")}
        results = [_pytest(given["others"], folder, "others").wait()]
        for name, running in beside.items():
            results.append(running.wait())
            print(f"== {name}", flush=True)
            print(Path(folder, f"{name}.txt").read_text(encoding="utf-8", errors="replace"), flush=True)
        print("== the tests that run alone", flush=True)
        results.append(_pytest(given["alone"], folder, "alone").wait())
        _report(folder)
    print("== all passed" if not any(results) else "== NOT ALL PASSED", flush=True)
    return int(any(results))


def _quiet(paths: list[str], folder: str, name: str) -> subprocess.Popen[bytes]:
    with Path(folder, f"{name}.txt").open("wb") as out:
        return _pytest(paths, folder, name, stdout=out, stderr=subprocess.STDOUT)


def _pytest(paths: list[str], folder: str, name: str, **streams: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "pytest", *paths, "--cov", "--cov-report=", "-o", f"cache_dir={folder}/{name}"]
    environment = {**os.environ, "COVERAGE_FILE": f"{folder}/.coverage.{name}"}
    return subprocess.Popen(command, cwd=ROOT, env=environment, **streams)  # type: ignore[call-overload,no-any-return]


def _report(folder: str) -> None:
    coverage = [sys.executable, "-m", "coverage"]
    subprocess.run([*coverage, "combine", "-q", folder], cwd=ROOT, check=False)
    subprocess.run([*coverage, "report"], cwd=ROOT, check=False)


if __name__ == "__main__":
    sys.exit(main())
