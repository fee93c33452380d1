"""Serving the demo: its folder, its history, its app."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from itertools import count
from pathlib import Path
from threading import Lock

import msgspec
from flask import Flask
from werkzeug.serving import make_server

from nudge_sdk.client import NudgeClient
from nudge_sdk.demo.cast import CAST, Person, newcomer
from nudge_sdk.demo.clock import DemoClock
from nudge_sdk.demo.history import NOTE, write_history
from nudge_sdk.demo.mounting import ADMIN, MountedAdmin
from nudge_sdk.demo.pages import add_pages, who_is_logged_in
from nudge_sdk.demo.people import history, tell, workspace_of
from nudge_sdk.demo.product import Workspace
from nudge_sdk.demo.toolbar import add_toolbar
from nudge_sdk.documents import read_definition
from nudge_sdk.hosts.flask import Nudges
from nudge_sdk.playbooks import read_playbook
from nudge_sdk.rules.definition import Content, Definition, Nudge
from nudge_sdk.rules.times import DAY

FOLDER = ".demo"
ACTIONS = {"ask_admin": "/team/ask-admin", "open_chat": "/help/chat"}
FORMATS = {"after_automation": "slideout", "contacts_limit": "modal"}
"""What the demo shows in another format than the playbook, so that each can be seen."""

_MARK = ".made-by-nudge-demo"


class Demo:
    """The e-mail tool's data and the client, made anew at each start.

    Args:
        folder: Where the store and the journals are. What an earlier demo left there is removed.
        clock: The demo's clock.
        has_history: Whether half a year of made-up accounts is in the store too.
    """

    def __init__(self, folder: Path, clock: DemoClock, *, has_history: bool = False) -> None:
        self.folder = folder
        self.clock = clock
        self.has_history = has_history
        self.people: dict[str, Person] = {}
        self.workspaces: dict[str, Workspace] = {}
        self._lock = Lock()
        self._numbers = count(1)
        self._newcomers = count(1)
        self._followers: list[Callable[[NudgeClient], object]] = []
        _empty(folder)
        self.client, self._current = self._fresh()

    def follow(self, take: Callable[[NudgeClient], object]) -> None:
        """Hand over the client, and each one that takes its place."""
        self._followers.append(take)
        take(self.client)

    def sign_up(self, name: str, company: str) -> Person:
        """Make a new person with an account of their own."""
        person = newcomer(next(self._newcomers), name, company)
        self.workspaces[person.key] = workspace_of(person, self.clock())
        self.people[person.key] = person
        return person

    def move(self, days: int) -> None:
        """Move the clock on, and judge everybody as of then."""
        with self._lock:
            self.client.flush()
            self.clock.move(days)
            self.client.sweep()

    def start_over(self) -> None:
        """Go back to today, with everything as it was at the start."""
        with self._lock:
            client, folder = self.client, self._current
            self.client, self._current = self._fresh()
            for take in self._followers:
                take(self.client)
            client.close()
            shutil.rmtree(folder, ignore_errors=True)

    def tiers(self) -> Counter[str]:
        """Return how many members there are of each tier."""
        found: Counter[str] = Counter()
        after = None
        while rows := self.client.store.subjects(after=after, members=True):
            found.update(row.tier for row in rows)
            after = rows[-1].key
        return found

    def _fresh(self) -> tuple[NudgeClient, Path]:
        # A folder of its own: requests that are under way still ask the client before.
        folder = self.folder / str(next(self._numbers))
        folder.mkdir()
        now = self.clock.real()
        store = f"sqlite:///{folder / 'nudge.db'}"
        told, sayings = DemoClock(self.clock.real), history(now)
        with NudgeClient(store, drain="external", clock=told) as teller:
            told.stand(sayings[0].at - DAY)
            if self.has_history:
                write_history(teller, told, now, definition())
            else:
                teller.publish(definition(), by="demo", note=NOTE)
            tell(teller, told, sayings)
        self.people = {person.key: person for person in CAST}
        self.workspaces = {person.key: workspace_of(person, now) for person in CAST}
        self.clock.run()
        return NudgeClient(store, clock=self.clock), folder


def definition() -> Definition:
    """Return what the demo publishes: the playbook for e-mail tools, in more formats, with nobody held out."""
    playbook = read_definition(read_playbook("email_tool"))
    return msgspec.structs.replace(
        playbook,
        holdout=msgspec.structs.replace(playbook.holdout, share=0.0),
        nudges=tuple(_in_format(nudge) for nudge in playbook.nudges),
    )


def create_app(folder: str | Path, clock: DemoClock | None = None, *, has_history: bool = False) -> Flask:
    """Return the e-mail tool as a Flask app, with the admin mounted at ``/nudges/``.

    Args:
        folder: Where its store and journals are; emptied first.
        clock: The demo's clock.
        has_history: Whether half a year of made-up accounts is in the store too; it takes some seconds.
    """
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY=secrets.token_hex(32),
        SESSION_COOKIE_NAME="paperplane",
        SESSION_COOKIE_SAMESITE="Lax",
        MAX_CONTENT_LENGTH=64 * 1024,
    )
    demo = Demo(Path(folder), clock or DemoClock(), has_history=has_history)
    app.extensions["demo"] = demo
    nudges = Nudges(app, demo.client, identify=who_is_logged_in, actions=ACTIONS)
    add_pages(app)
    add_toolbar(app)
    admin = MountedAdmin(app.wsgi_app)
    app.wsgi_app = admin  # type: ignore[method-assign]
    demo.follow(lambda client: setattr(nudges, "client", client))
    demo.follow(admin.take)
    return app


def main(host: str = "127.0.0.1", port: int = 5000, *, check: bool = False, has_history: bool = True) -> int:
    """Serve the demo until it is interrupted; return the exit code.

    Args:
        host: Address to listen at.
        port: Port to listen at.
        check: Only build everything in a temporary folder and ask for every page.
        has_history: Whether half a year of made-up accounts is in the store too.
    """
    if check:
        return _check()
    app = create_app(Path.cwd() / FOLDER, has_history=has_history)
    demo: Demo = app.extensions["demo"]
    print(greeting(f"http://{host}:{port}", demo.tiers(), has_history=has_history), flush=True)
    try:
        make_server(host, port, app, threaded=True).serve_forever()
    finally:
        demo.client.close()
    print("Stopped.")
    return 0


def greeting(url: str, tiers: Counter[str], *, has_history: bool = False) -> str:
    """Return what stands in the terminal when the demo has started."""
    states = max(len(person.state) for person in CAST)
    made_up = ["  Half a year of made-up accounts is there too, for the pages under Proof.", ""] if has_history else []
    lines = [
        "",
        f"  Paperplane, a small e-mail tool   {url}/",
        f"  Its nudges, for product managers  {url}{ADMIN}/",
        "",
        "  Log in as anybody; no password is asked:",
        *(f"    {person.name:<12}  {person.state:<{states}}  {person.expect}" for person in CAST),
        "  Or sign up as somebody new, and go the whole way yourself.",
        "",
        *made_up,
        f"  Members: {', '.join(f'{count} {tier}' for tier, count in sorted(tiers.items()))}. Stop with Ctrl+C.",
        "",
    ]
    return "\n".join(lines)


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


def _in_format(nudge: Nudge) -> Nudge:
    kind = FORMATS.get(nudge.key)
    if kind is None:
        return nudge
    return msgspec.structs.replace(nudge, content=_as(nudge.content, kind), ask=_as(nudge.ask, kind))


def _as(content: Content | None, kind: str) -> Content | None:
    return None if content is None else msgspec.structs.replace(content, type=kind)


def _empty(folder: Path) -> None:
    """Make the folder, without what an earlier demo left; a folder of somebody else's is left alone."""
    if folder.exists() and any(folder.iterdir()):
        if not (folder / _MARK).exists():
            raise SystemExit(f"{folder} is not empty and not a demo's: choose another folder, or empty it")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MARK).touch()


__all__ = ["Demo", "create_app", "definition", "main"]
