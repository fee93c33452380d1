"""Run all tests, two parts at a time, then those that measure time, alone. ``python -m tests.run``

A machine with two cores is done in little more than half the time. What is timed in the last part is timed undisturbed;
the soak, which waits most of its two minutes, runs beside the others.

``--cov`` tells the branch coverage at the end, which takes longer: its tracer doubles the time of whatever runs.
``--wheel`` tries the wheel as well, as one more part.
"""

from __future__ import annotations

import compileall
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
    "core": ("rules", "runtime", "properties"),
    "store": (
        "store",
        "importing",
        "fleet",
        "torture",
        "test_privacy.py",
        "test_privacy_secrets.py",
        "test_retention.py",
    ),
    "insights": ("insights",),
    "admin": ("admin",),
    "others": (),
}
"""The folders and files whose tests run in one process, those that take longest first; all others are of the last."""

SOAK = "torture/test_soak.py"
ALONE = ("fleet/test_publication.py", "fleet/test_sweep.py", "torture/test_away.py", "torture/test_storm.py")
"""Tests of how long something takes: nothing runs beside them."""

AT_ONCE = 2


def parts() -> dict[str, list[str]]:
    """Return what each part runs, every test file in exactly one of them."""
    names = {folder: name for name, folders in PARTS.items() for folder in folders}
    names |= {SOAK: "soak", **dict.fromkeys(ALONE, "alone")}
    found: dict[str, list[str]] = {name: [] for name in (*PARTS, "soak", "alone")}
    for path in sorted(HERE.rglob("test_*.py")):
        place = path.relative_to(HERE)
        name = names.get(place.as_posix()) or names.get(place.parts[0], "others")
        found[name].append(str(path.relative_to(ROOT)))
    return found


def commands(folder: str, *, is_covered: bool, has_wheel: bool) -> dict[str, list[str]]:
    """Return the arguments for Python that run each part; what pytest keeps goes into the folder."""
    measured = ["--cov", "--cov-report="] if is_covered else []
    found = {
        name: ["-m", "pytest", *paths, *measured, "-o", f"cache_dir={folder}/{name}"] for name, paths in parts().items()
    }
    return {**({"wheel": ["-m", "tests.packaging.wheel_check"]} if has_wheel else {}), **found}


def main(*options: str) -> int:
    """Run everything; return 0 if all passed."""
    # The tests start hundreds of processes, each of which would compile what it imports.
    for package in ("nudge_sdk", "admin", "tests"):
        compileall.compile_dir(ROOT / package, quiet=1)
    is_covered = "--cov" in options
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(AT_ONCE + 1) as beside:
        given = commands(folder, is_covered=is_covered, has_wheel="--wheel" in options)
        alone, soak = given.pop("alone"), beside.submit(_quiet, folder, "soak", given.pop("soak"))
        with ThreadPoolExecutor(AT_ONCE) as two:
            running = [two.submit(_quiet, folder, name, command) for name, command in given.items()]
            results = [each.result() for each in running]
        results.append(soak.result())
        print("== the tests that run alone", flush=True)
        results.append(_run(folder, "alone", alone))
        if is_covered:
            _report(folder)
    print("== all passed" if not any(results) else "== NOT ALL PASSED", flush=True)
    return int(any(results))


def _quiet(folder: str, name: str, command: list[str]) -> int:
    """Run a part, and print what it said once it is done."""
    print(f"== {name} begins; what it says comes when it is done", flush=True)
    out = Path(folder, f"{name}.txt")
    with out.open("wb") as stream:
        result = _run(folder, name, command, stdout=stream, stderr=subprocess.STDOUT)
    print(f"== {name}\n{out.read_text(encoding='utf-8', errors='replace')}", flush=True)
    return result


def _run(folder: str, name: str, command: list[str], **streams: object) -> int:
    environment = {**os.environ, "COVERAGE_FILE": f"{folder}/.coverage.{name}"}
    return subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, check=False, **streams).returncode  # type: ignore[call-overload,no-any-return]


def _report(folder: str) -> None:
    coverage = [sys.executable, "-m", "coverage"]
    subprocess.run([*coverage, "combine", "-q", folder], cwd=ROOT, check=False)
    subprocess.run([*coverage, "report"], cwd=ROOT, check=False)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
