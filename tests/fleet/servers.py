"""gunicorn as a test starts, kills and asks it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.runtime.examples import ROOT, wait_until

SETTINGS = {"sync": ["-k", "sync"], "threads": ["-k", "gthread", "--threads", "4", "--keep-alive", "75"]}
UNANSWERED = (OSError, http.client.HTTPException)
"""What a client gets whose server dies."""


class Host:
    """One gunicorn with preloading, on a free port, with a journal folder of its own.

    Args:
        folder: Where its journals and its log are.
        store: Address of the store.
        kind: ``sync`` or ``threads``.
        workers: How many.
        environment: Further settings of ``tests.fleet.host``.
    """

    def __init__(self, folder: Path, store: str, *, kind: str = "sync", workers: int = 4, **environment: str) -> None:
        folder.mkdir(exist_ok=True)
        self.journals = folder / "journals"
        self.log = folder / "log"
        self.workers = workers
        self._command = [sys.executable, "-m", "gunicorn", "--preload", "--no-control-socket", *SETTINGS[kind]]
        self._environment = {
            **os.environ, **environment, "NUDGE_STORE": store, "NUDGE_JOURNAL": str(self.journals),
            "PYTHONDONTWRITEBYTECODE": "1",
        }  # fmt: skip
        # The test holds the port, so that nobody else gets it between two lives of the server.
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._socket.getsockname()[1]
        self.master: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        listening = self._socket.fileno()
        command = [*self._command, "-w", str(self.workers), "-b", f"fd://{listening}", "tests.fleet.host:app"]
        with self.log.open("ab") as log:
            self.master = subprocess.Popen(
                command, cwd=ROOT, env=self._environment, stdout=log, stderr=log, pass_fds=[listening]
            )
        assert wait_until(self._answers, 20), self.log.read_text()

    def _answers(self) -> bool:
        assert self.master is not None
        assert self.master.poll() is None, self.log.read_text()
        with suppress(*UNANSWERED), Browser(self.port, seconds=1) as browser:
            return len(self.pids()) == self.workers and "pid" in browser.get("/counts")
        return False

    def pids(self) -> list[int]:
        """Return the workers there are now."""
        assert self.master is not None
        with suppress(FileNotFoundError):
            return [int(word) for word in _children(self.master.pid).read_text().split()]
        return []

    def kill_worker(self, pid: int) -> None:
        """Kill one worker; the master starts another."""
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def kill(self) -> None:
        """Kill the master and all its workers."""
        assert self.master is not None
        orphans = self.pids()
        self.master.kill()
        self.master.wait(10)
        for pid in orphans:
            self.kill_worker(pid)
        assert wait_until(lambda: not any(map(_is_running, orphans)))

    def stop(self) -> None:
        """End it as a deployment does."""
        if self.master is not None and self.master.poll() is None:
            self.master.terminate()
            try:
                self.master.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()
        self._socket.close()

    def browsers(self) -> list[Browser]:
        """Return one lasting connection to each worker."""
        found: dict[int, Browser] = {}
        until = time.monotonic() + 10
        while len(found) < self.workers:
            assert time.monotonic() < until, f"only {len(found)} workers take connections"
            browser = Browser(self.port)
            pid = browser.get("/counts")["pid"]
            if pid in found:
                browser.close()
            else:
                found[pid] = browser
        return [found[pid] for pid in sorted(found)]


class Browser:
    """One lasting connection of a browser.

    Attributes:
        cookies: Name to value; what several connections share, they share as one browser.
    """

    def __init__(self, port: int, *, seconds: float = 30) -> None:
        self.cookies: dict[str, str] = {}
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)

    def get(self, path: str, **query: str | int) -> dict[str, Any]:
        """Ask for an answer."""
        return self._ask("GET", path, query)

    def post(self, path: str, **query: str | int) -> dict[str, Any]:
        """Send something."""
        return self._ask("POST", path, query)

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, method: str, path: str, query: dict[str, str | int]) -> dict[str, Any]:
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = {"Cookie": cookies} if cookies else {}
        try:
            self._connection.request(method, f"{path}?{urlencode(query)}", headers=headers)
            answer = self._connection.getresponse()
            body = answer.read()
        except UNANSWERED:
            self._connection.close()
            raise
        assert answer.status == 200, (answer.status, body)
        cookie = answer.headers.get("Set-Cookie")
        if cookie:
            name, _, rest = cookie.partition("=")
            self.cookies[name] = rest.partition(";")[0]
        decoded: dict[str, Any] = json.loads(body)
        return decoded


@contextmanager
def serving(*hosts: Host) -> Iterator[None]:
    """Serve for as long as the block; on failure the logs are told."""
    try:
        for host in hosts:
            host.start()
        yield
    except BaseException as error:
        for host in hosts:
            error.add_note(host.log.read_text()[-3000:] if host.log.exists() else "no log")
        raise
    finally:
        for host in hosts:
            host.stop()


def _children(pid: int) -> Path:
    return Path(f"/proc/{pid}/task/{pid}/children")


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
