"""Run all tests, two parts at a time, then those that measure or kill, alone. ``python -m tests.run``

A machine with two cores is done in little more than half the time. What is timed in the last part is timed undisturbed;
the soak, which waits most of its two minutes, runs beside the others.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent

PARTS = {
    "browser": ("browser",),
    "runtime": ("runtime", "properties", "rules"),
    "admin": ("admin",),
    "insights": ("insights",),
    "others": (),
    "store": ("importing", "store"),
}
"""The folders whose tests run in one process, those that take longest first; what stands nowhere is of the others."""

ALONE = ("fleet", "torture")
"""Folders whose tests run with nothing else beside them."""

SOAK = "test_soak.py"
AT_ONCE = 2


def parts() -> dict[str, list[str]]:
    """Return what each part runs, every test file in exactly one of them."""
    names = {folder: name for name, folders in {**PARTS, "alone": ALONE}.items() for folder in folders}
    found: dict[str, list[str]] = {name: [] for name in (*PARTS, "soak", "alone")}
    for path in sorted(HERE.rglob("test_*.py")):
        name = names.get(path.relative_to(HERE).parts[0], "others")
        found["soak" if path.name == SOAK else name].append(str(path.relative_to(ROOT)))
    return found


def main() -> int:
    """Run everything; return 0 if all passed."""
    given = parts()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(AT_ONCE + 1) as beside:
        soak = beside.submit(_quiet, folder, "soak", given["soak"])
        with ThreadPoolExecutor(AT_ONCE) as two:
            running = [two.submit(_quiet, folder, name, given[name]) for name in PARTS]
            results = [each.result() for each in running]
        results.append(soak.result())
        print("== the tests that run alone", flush=True)
        results.append(_pytest(folder, "alone", given["alone"]))
        _report(folder)
    print("== all passed" if not any(results) else "== NOT ALL PASSED", flush=True)
    return int(any(results))


def _quiet(folder: str, name: str, paths: list[str]) -> int:
    """Run a part, and print what it said once it is done."""
    print(f"== {name} begins; what it says comes when it is done", flush=True)
    out = Path(folder, f"{name}.txt")
    with out.open("wb") as stream:
        result = _pytest(folder, name, paths, stdout=stream, stderr=subprocess.STDOUT)
    print(f"== {name}\n{out.read_text(encoding='utf-8', errors='replace')}", flush=True)
    return result


def _pytest(folder: str, name: str, paths: list[str], **streams: object) -> int:
    command = [sys.executable, "-m", "pytest", *paths, "--cov", "--cov-report=", "-o", f"cache_dir={folder}/{name}"]
    environment = {**os.environ, "COVERAGE_FILE": f"{folder}/.coverage.{name}"}
    return subprocess.run(command, cwd=ROOT, env=environment, check=False, **streams).returncode  # type: ignore[call-overload,no-any-return]


def _report(folder: str) -> None:
    coverage = [sys.executable, "-m", "coverage"]
    subprocess.run([*coverage, "combine", "-q", folder], cwd=ROOT, check=False)
    subprocess.run([*coverage, "report"], cwd=ROOT, check=False)


if __name__ == "__main__":
    sys.exit(main())
