"""An admin over a store with the e-mail playbook and some people who did something."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from nudge_sdk import NudgeClient, Options
from nudge_sdk.admin import Actor, create_admin
from nudge_sdk.documents import read_definition
from nudge_sdk.playbooks import read_playbook
from nudge_sdk.testing import Clock

START = datetime(2026, 5, 4, 9, tzinfo=UTC)

OPTIONS = Options(on_error="raise", refresh_seconds=0.0)

Admin = Callable[..., FlaskClient]


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the playbook published, one hot account (acme) and one where little was done (bolt)."""
    path = tmp_path_factory.mktemp("seeded") / "nudges.db"
    with NudgeClient(f"sqlite:///{path}", drain="inline", clock=Clock(START), options=OPTIONS) as client:
        fill(client)
    return path


def fill(client: NudgeClient) -> None:
    """Publish the playbook, and let one account (acme) become hot and another one (bolt) do little."""
    client.publish(read_definition(read_playbook("email_tool")), by="setup", note="The first one")
    client.group("acme", {"name": "Acme", "employees": 20, "plan": "free"}, user="ada")
    client.identify("ada", {"name": "Ada Lovelace", "role": "admin"}, account="acme")
    for user in ("ada", "bob", "cy"):
        client.track(user, "session_started", account="acme")
    client.track("ada", "domain_connected", {"domain": "acme.example"}, account="acme")
    client.track("ada", "campaign_sent", {"recipients": 120}, account="acme")
    client.track("bob", "workflow_started", {"name": "Welcome"}, account="acme")
    for _ in range(3):
        client.track("ada", "teammate_invited", account="acme")
    client.track("dora", "workflow_started", {"name": "Birthday"}, account="bolt")


@pytest.fixture
def client(seeded: Path, tmp_path: Path, clock: Clock) -> Iterator[NudgeClient]:
    """A client on a copy of that database."""
    path = tmp_path / "nudges.db"
    shutil.copy(seeded, path)
    with NudgeClient(f"sqlite:///{path}", drain="inline", clock=clock, options=OPTIONS) as client:
        yield client


def admin_of(client: NudgeClient, role: str = "publisher", name: str = "Pia", *, read_only: bool = False) -> Flask:
    """Return an admin in which everybody is the same actor."""
    actor = Actor(name, role)
    app: Flask = create_admin(client, authenticate=lambda request: actor, read_only=read_only)
    app.testing = True
    return app


def browser_of(app: Flask) -> FlaskClient:
    """Return a test client whose requests come from the admin's own pages."""
    browser = app.test_client()
    browser.environ_base["HTTP_SEC_FETCH_SITE"] = "same-origin"
    return browser


@pytest.fixture
def admin(client: NudgeClient) -> Admin:
    """Make a browser of somebody with a role in the admin."""
    return lambda role="publisher", name="Pia", **options: browser_of(admin_of(client, role, name, **options))
