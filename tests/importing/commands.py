"""Running the command line in processes of its own, as people do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
AT = "2024-05-15T00:00:00Z"


def start(*words: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "nudge_sdk.cli", *map(str, words)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    return out


def nudge(*words: object) -> str:
    return finish(start(*words))


def url(folder: Path, name: str) -> str:
    return f"sqlite:///{folder / name}.db"


def published(store: str, definition: Path) -> str:
    nudge("publish", definition, "--store", store)
    return store


def stored_hash(store: str, at: str = AT) -> str:
    return nudge("export", "--states", "--at", at, "--sha256", "--store", store).strip()


def replayed_hash(store: str, at: str = AT) -> str:
    return nudge("replay", "--all", "--at", at, "--sha256", "--store", store).strip()
