"""Every code block of the README runs."""

from __future__ import annotations

import gzip
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

import pytest

from nudge_sdk.documents import read_definition
from nudge_sdk.rules.lint import is_blocking, lint

ROOT = Path(__file__).parents[1]
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S)
KINDS = {"console", "python", "yaml", "text"}


DATABASE = "postgresql://shop@db.internal/shop"
"""The address that the README writes for a database of PostgreSQL."""


def _blocks(kind: str) -> list[str]:
    return [body for language, body in BLOCKS if language == kind]


def _commands() -> list[str]:
    return [line.removeprefix("$ ") for body in _blocks("console") for line in body.splitlines()]


def test_every_block_is_of_a_kind_that_is_run() -> None:
    assert {language for language, _ in BLOCKS} == KINDS
    assert all(line.startswith("$ ") for body in _blocks("console") for line in body.splitlines())


def test_the_python_blocks_run_one_after_the_other(tmp_path: Path, new_postgresql: Callable[[], str]) -> None:
    script = tmp_path / "readme.py"
    script.write_text("\n".join(_blocks("python")).replace(DATABASE, new_postgresql()))
    done = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "nudge_sdk" not in done.stderr


@pytest.mark.parametrize("body", _blocks("yaml"))
def test_the_definitions_are_valid_and_the_lint_lets_them_pass(body: str) -> None:
    assert not is_blocking(lint(read_definition(body)))


def test_the_two_commands_are_targets() -> None:
    made = [command for command in _commands() if command.startswith("make ")]
    assert made == ["make demo", "make test"]
    for command in made:
        assert subprocess.run([*command.split(), "--dry-run"], cwd=ROOT, capture_output=True).returncode == 0


def test_the_installed_name_is_the_projects() -> None:
    assert "pip install nudge-sdk" in _commands()
    assert 'name = "nudge-sdk"' in (ROOT / "pyproject.toml").read_text()


def _serves(line: list[str], folder: Path) -> None:
    """Start a server on a free port, ask it for a page, and end it."""
    with subprocess.Popen([*line, "--port", "0"], cwd=folder, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            found = re.search(r"http://\S+", server.stderr.readline())
            assert found is not None
            with urlopen(found[0], timeout=30) as page:
                assert "Log in" in page.read().decode()
        finally:
            server.terminate()


def test_the_commands_run_one_after_the_other(tmp_path: Path, new_postgresql: Callable[[], str]) -> None:
    database = new_postgresql()
    (tmp_path / "journals").mkdir()
    (tmp_path / "events.jsonl").write_text(
        '{"type": "track", "userId": "ada", "event": "campaign_sent", "timestamp": "2026-05-01T10:00:00Z",'
        ' "messageId": "m1", "context": {"groupId": "acme"}}\n'
    )
    with gzip.open(tmp_path / "events.csv.gz", "wt") as file:
        file.write("user_id,event,timestamp\nben,campaign_sent,2026-05-02 10:00:00\n")
    for command in _commands():
        if not command.startswith("nudge "):
            continue
        words, _, output = command.replace(DATABASE, database).partition(" > ")
        line = [sys.executable, "-m", "nudge_sdk.cli", *shlex.split(words)[1:]]
        if command.startswith("nudge admin "):
            _serves(line, tmp_path)
            continue
        answers = "a long password\n" * 2
        done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=60, input=answers)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        if output:
            (tmp_path / output).write_text(done.stdout)
