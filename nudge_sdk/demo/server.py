"""Serving the demo: its folder, its history, its app."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from threading import Lock

import msgspec
from flask import Flask
from werkzeug.serving import make_server

from nudge_sdk.client import NudgeClient
from nudge_sdk.demo.cast import CAST
from nudge_sdk.demo.clock import DemoClock
from nudge_sdk.demo.pages import add_pages, who_is_logged_in
from nudge_sdk.demo.people import history, tell, workspace_of
from nudge_sdk.demo.product import Workspace
from nudge_sdk.documents import read_definition
from nudge_sdk.hosts.flask import Nudges
from nudge_sdk.playbooks import read_playbook
from nudge_sdk.rules.definition import Definition
from nudge_sdk.rules.times import DAY

FOLDER = ".demo"
ACTIONS = {"ask_admin": "/team/ask-admin", "open_chat": "/help/chat"}
_MARK = ".made-by-nudge-demo"


class Demo:
    """The e-mail tool's data and the client, made anew at each start.

    Args:
        folder: Where the store and the journals are. What an earlier demo left there is removed.
        clock: The demo's clock.
    """

    def __init__(self, folder: Path, clock: DemoClock) -> None:
        self.folder = folder
        self.clock = clock
        self.workspaces: dict[str, Workspace] = {}
        self._lock = Lock()
        self.client = self._fresh()

    def move(self, days: int) -> None:
        """Move the clock on, and judge everybody as of then."""
        with self._lock:
            self.client.flush()
            self.clock.move(days)
            self.client.sweep()

    def start_over(self) -> None:
        """Go back to today, with everything as it was at the start."""
        with self._lock:
            self.client.close()
            self.client = self._fresh()

    def tiers(self) -> Counter[str]:
        """Return how many members there are of each tier."""
        rows = self.client.store.subjects(members=True)
        return Counter(row.tier for row in rows)

    def _fresh(self) -> NudgeClient:
        _empty(self.folder)
        self.clock.run()
        now = self.clock()
        self.workspaces = {person.key: workspace_of(person, now) for person in CAST}
        store = f"sqlite:///{self.folder / 'nudge.db'}"
        sayings = history(now)
        with NudgeClient(store, drain="external", clock=self.clock) as teller:
            self.clock.stand(sayings[0].at - DAY)
            teller.publish(definition(), by="demo", note="The playbook for e-mail tools")
            tell(teller, self.clock, sayings)
        return NudgeClient(store, clock=self.clock)


def definition() -> Definition:
    """Return what the demo publishes: the playbook for e-mail tools, with nobody held out."""
    playbook = read_definition(read_playbook("email_tool"))
    return msgspec.structs.replace(playbook, holdout=msgspec.structs.replace(playbook.holdout, share=0.0))


def create_app(folder: str | Path, clock: DemoClock | None = None) -> Flask:
    """Return the e-mail tool as a Flask app.

    Args:
        folder: Where its store and journals are; emptied first.
        clock: The demo's clock.
    """
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY=secrets.token_hex(32),
        SESSION_COOKIE_NAME="paperplane",
        SESSION_COOKIE_SAMESITE="Lax",
        MAX_CONTENT_LENGTH=64 * 1024,
    )
    demo = Demo(Path(folder), clock or DemoClock())
    app.extensions["demo"] = demo
    nudges = Nudges(app, demo.client, identify=who_is_logged_in, actions=ACTIONS)
    add_pages(app, demo, nudges)
    return app


def main(host: str = "127.0.0.1", port: int = 5000, *, check: bool = False) -> int:
    """Serve the demo until it is interrupted; return the exit code.

    Args:
        host: Address to listen at.
        port: Port to listen at.
        check: Only build everything in a temporary folder and ask for every page.
    """
    if check:
        return _check()
    app = create_app(Path.cwd() / FOLDER)
    demo: Demo = app.extensions["demo"]
    print(f"Paperplane, a small e-mail tool with nudge-sdk inside: http://{host}:{port}/")
    print(f"Members: {', '.join(f'{count} {tier}' for tier, count in sorted(demo.tiers().items()))}. Log in as:")
    for person in CAST:
        print(f"  {person.name:<14} {person.state:<22} {person.expect}")
    print("Stop with Ctrl+C.", flush=True)
    try:
        make_server(host, port, app, threaded=True).serve_forever()
    except KeyboardInterrupt:
        print("Stopped.")
    finally:
        demo.client.close()
    return 0


def _check() -> int:
    from nudge_sdk.demo.check import problems

    with tempfile.TemporaryDirectory(prefix="nudge-demo-") as folder:
        app = create_app(folder)
        found = problems(app)
        app.extensions["demo"].client.close()
    for problem in found:
        print(f"demo: {problem}")
    if not found:
        print(f"demo: every page answers, and {len(CAST)} people see what they should")
    return 1 if found else 0


def _empty(folder: Path) -> None:
    """Make the folder, without what an earlier demo left; a folder of somebody else's is left alone."""
    if folder.exists() and any(folder.iterdir()):
        if not (folder / _MARK).exists():
            raise SystemExit(f"{folder} is not empty and not a demo's: choose another folder, or empty it")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MARK).touch()


__all__ = ["Demo", "create_app", "definition", "main"]
