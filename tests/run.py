"""Run all tests: two halves side by side, then those that measure or kill, alone. ``python -m tests.run``

A machine with two cores is done in little more than half the time. What is measured in the last part is measured
undisturbed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent

PAGES = ("admin", "browser", "demo", "hosts")
"""Folders whose tests open pages; they take about as long as all others together."""

ALONE = ("fleet", "torture")
"""Folders whose tests run with nothing else beside them."""


def parts() -> dict[str, list[str]]:
    """Return what each part runs, every test file in exactly one of them."""
    found: dict[str, list[str]] = {"pages": [], "others": [], "alone": []}
    for path in sorted(HERE.iterdir()):
        is_test = path.is_dir() and any(path.rglob("test_*.py"))
        if is_test or (path.name.startswith("test_") and path.suffix == ".py"):
            name = "pages" if path.name in PAGES else "alone" if path.name in ALONE else "others"
            found[name].append(str(path.relative_to(ROOT)))
    return found


def main() -> int:
    """Run everything; return 0 if all passed."""
    given = parts()
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder) / "pages.txt"
        print("== the tests that open pages run beside the others; what they say comes after them", flush=True)
        with said.open("wb") as out:
            pages = _pytest(given["pages"], folder, "pages", stdout=out, stderr=subprocess.STDOUT)
            results = [_pytest(given["others"], folder, "others").wait(), pages.wait()]
        print("== the tests that open pages", flush=True)
        print(said.read_text(encoding="utf-8", errors="replace"), flush=True)
        print("== the tests that run alone", flush=True)
        results.append(_pytest(given["alone"], folder, "alone").wait())
        _report(folder)
    print("== all passed" if not any(results) else "== NOT ALL PASSED", flush=True)
    return int(any(results))


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
