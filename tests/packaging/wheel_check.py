"""Build the wheel and try it outside the checkout, alone and beside a host with old pins.

Run by ``make wheel-check``. Stops at the first thing that is wrong.

The core tests run against the oldest dependencies, without those that depend on none: what only calculates with values
that others decoded, or is about files, threads and processes of this machine. They would say what they say in the
checkout.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = {"nudge_sdk": "nudge_sdk", "admin": "nudge_sdk/admin", "static": "nudge_sdk/static"}
HOST_PINS = {"Flask": "3.0.0", "Werkzeug": "3.0.1", "SQLAlchemy": "2.0.23"}
CORE_TESTS = ("rules", "store", "runtime", "test_s0_cases.py", "test_playbooks_judged.py")
INDEPENDENT = (
    *("rules/test_bucketing.py", "rules/test_conditions.py", "rules/test_lint_entities.py", "rules/test_lint_reach.py"),
    *("rules/test_shortlists.py", "runtime/test_decide_together.py", "runtime/test_exit.py", "runtime/test_fork.py"),
    *("runtime/test_journal_disk.py", "runtime/test_journal_kill.py", "runtime/test_journal_power.py"),
    *("runtime/test_life.py", "runtime/test_log_records.py", "runtime/test_poison.py", "runtime/test_profiles.py"),
    "runtime/test_publishing.py",
)
"""Which of the core tests no version of a dependency can change."""

TEST_TOOLS = (
    *("pytest", "hypothesis", "freezegun", "pytest-timeout"),
    *("psycopg[binary]==3.2.*", "Django", "prometheus-client", "opentelemetry-sdk"),
)

IS_ALONE = """
import importlib.util, pathlib, sys
import nudge_sdk
here = pathlib.Path(nudge_sdk.__file__)
assert here.is_relative_to(sys.prefix), f"{here} is not in {sys.prefix}"
for name in ("admin", "static", "tests"):
    assert importlib.util.find_spec(name) is None, f"the wheel installed a top-level {name}"
"""


class CheckFailed(Exception):
    """Something that a host would trip over."""


class Environment:
    """A fresh virtual environment; its commands run in an empty folder, not in the checkout."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "venv" / "bin"
        self.cwd = folder / "cwd"
        self.cwd.mkdir(parents=True)
        run(sys.executable, "-m", "venv", str(folder / "venv"), cwd=folder)

    def run(self, program: str, *arguments: str) -> str:
        return run(str(self.bin / program), *arguments, cwd=self.cwd)

    def install(self, *requirements: str) -> None:
        self.run("python", "-m", "pip", "install", "--quiet", *requirements)

    def versions(self) -> dict[str, str]:
        lines = self.run("python", "-m", "pip", "list", "--format=freeze").split()
        return dict(line.split("==", 1) for line in lines if "==" in line)


def run(*command: str, cwd: Path) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COV_", "COVERAGE"))}
    done = subprocess.run(command, cwd=cwd, env=clean, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        raise CheckFailed(f"{' '.join(command)}\nended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def say(text: str) -> None:
    print(f"-- {text}", flush=True)


def build(into: Path) -> Path:
    """Build the source archive, and the wheel from it, so that leftovers in the checkout cannot slip in."""
    run(sys.executable, "-m", "build", "--outdir", str(into), str(ROOT), cwd=into.parent)
    (wheel,) = into.glob("*.whl")
    return wheel


def check_contents(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if not name.split("/")[0].endswith(".dist-info")}
    expected = {
        f"{target}/{path.relative_to(ROOT / folder).as_posix()}"
        for folder, target in FOLDERS.items()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    if inside != expected:
        raise CheckFailed(f"missing: {sorted(expected - inside)}\nnot expected: {sorted(inside - expected)}")


def check_alone(wheel: Path, folder: Path) -> None:
    environment = Environment(folder)
    environment.install(str(wheel))
    environment.run("python", "-c", IS_ALONE)
    environment.run("nudge", "--help")
    environment.run("nudge", "playbooks", "list")
    environment.install(f"{wheel}[admin]")
    environment.run("nudge", "demo", "--check")
    environment.run("python", "-m", "pip", "check")


def check_beside_pins(wheel: Path, folder: Path) -> Environment:
    environment = Environment(folder)
    environment.install(*(f"{name}=={version}" for name, version in HOST_PINS.items()))
    before = environment.versions()
    environment.install(f"{wheel}[admin]")
    after = environment.versions()
    changed = {name: (version, after.get(name)) for name, version in before.items() if after.get(name) != version}
    if changed:
        raise CheckFailed(f"installing the wheel changed what the host had: {changed}")
    environment.run("python", "-m", "pip", "check")
    return environment


def oldest_dependencies() -> list[str]:
    """The lower bounds as pins: ``click>=8.1`` gives ``click==8.1.*``, except where the host's pin decides."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = {re.split("[>=]", requirement)[0]: requirement for requirement in project["dependencies"]}
    return [requirement.replace(">=", "==") + ".*" for name, requirement in named.items() if name not in HOST_PINS]


def run_core_tests(environment: Environment) -> str:
    """Run the core tests, from a copy, against the installed wheel with the oldest dependencies."""
    environment.install(*oldest_dependencies(), *TEST_TOOLS)
    kept = environment.versions()
    if any(kept[name] != version for name, version in HOST_PINS.items()):
        raise CheckFailed(f"the oldest dependencies do not go with {HOST_PINS}")
    shutil.copy(ROOT / "pyproject.toml", environment.cwd)
    shutil.copytree(ROOT / "tests", environment.cwd / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    folders = [f"tests/{name}" for name in CORE_TESTS if (ROOT / "tests" / name).exists()]
    if not folders:
        raise CheckFailed(f"none of {CORE_TESTS} is in tests/")
    without = [f"--ignore=tests/{name}" for name in INDEPENDENT]
    return environment.run("python", "-m", "pytest", "-q", "--color=no", *without, *folders).splitlines()[-1]


def check(folder: Path) -> None:
    say("building the source archive and the wheel")
    wheel = build(folder / "dist")
    check_contents(wheel)
    say(f"{wheel.name} holds every file of {', '.join(FOLDERS)} and nothing else")
    check_alone(wheel, folder / "alone")
    say("alone: imports, the command and the demo work, no top-level admin or static")
    beside = check_beside_pins(wheel, folder / "beside")
    say(f"beside {HOST_PINS}: none of the host's packages changed")
    if sys.version_info >= (3, 13):
        say("core tests left out: SQLAlchemy 2.0.23 itself cannot be imported on Python 3.13 and later")
    else:
        say(f"core tests with the oldest dependencies: {run_core_tests(beside)}")


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="nudge-wheel-") as folder:
        try:
            check(Path(folder))
        except CheckFailed as failure:
            print(f"wheel-check failed: {failure}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
