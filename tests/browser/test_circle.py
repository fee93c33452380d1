"""The whole circle under a host of its own making, served by two processes on one database."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import Page, expect

from nudge_sdk import NudgeClient
from nudge_sdk.documents import read_definition
from nudge_sdk.playbooks import read_playbook

PROJECT = Path(__file__).with_name("host_project")
SECONDS = 5_000
"""A publication is seen everywhere within this many milliseconds."""

NewPage = Callable[..., Page]


class Host:
    """The host: its project as a copy, its database, and two workers.

    Attributes:
        workers: Their addresses.
        client: A client of the test's own on the same database, to ask what they do not show.
    """

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.project = folder / "project"
        shutil.copytree(PROJECT, self.project)
        self.database = folder / "host.db"
        self._days = folder / "days"
        self.move_to(0)
        self.client = NudgeClient(f"sqlite:///{self.database}", drain="inline", clock=self.now)
        playbook = read_definition(read_playbook("email_tool"))
        holdout = msgspec.structs.replace(playbook.holdout, share=0.0)
        self.client.publish(msgspec.structs.replace(playbook, holdout=holdout), by="setup", note="The first one")
        stack.callback(self.client.close)
        self.workers = [self._start(stack) for _ in range(2)]

    def now(self) -> int:
        return time.time_ns() // 1000 + int(float(self._days.read_text()) * 86_400_000_000)

    def move_to(self, days: float) -> None:
        """Set every process's clock ahead, counted from today."""
        self._days.write_text(str(days))

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the host's project."""
        return subprocess.run(
            [sys.executable, *command],
            cwd=self.project,
            env=self._environment(environment),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )

    def reasons(self, user: str, account: str, placement: str) -> dict[str, str]:
        """Return what explain says of every nudge that is not shown."""
        report = self.client.explain(placement, user=user, account=account)
        assert report is not None
        return {key: str(reason) for key, reason in report.decision.reasons.items()}

    def _start(self, stack: ExitStack) -> str:
        worker = subprocess.Popen(
            [sys.executable, "app.py", "0"],
            cwd=self.project,
            env=self._environment({}),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        stack.callback(_stop, worker)
        assert worker.stdout is not None
        return f"http://127.0.0.1:{int(worker.stdout.readline())}"

    def _environment(self, more: dict[str, str]) -> dict[str, str]:
        return {**os.environ, "NUDGE_DATABASE": str(self.database), "NUDGE_DAYS": str(self._days), **more}


def _stop(worker: subprocess.Popen[str]) -> None:
    worker.terminate()
    worker.wait(20)
    if worker.stdout is not None:
        worker.stdout.close()


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with ExitStack() as stack:
        yield Host(tmp_path, stack)


def log_in(page: Page, worker: str, name: str) -> None:
    page.goto(f"{worker}/log-in")
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Hello {name}")


def act(page: Page, *events: str) -> None:
    for event in events:
        page.get_by_role("button", name=event).click()


READY = ("campaign_sent", "teammate_invited", "teammate_invited", "teammate_invited")
GUIDE = ("domain_connected", "contacts_imported", "workflow_started")


def test_a_dismissed_prompt_is_gone_everywhere_and_help_comes_on_day_eight(
    host: Host, page: Page, new_page: NewPage
) -> None:
    first, second = host.workers
    log_in(page, first, "ada")
    act(page, *READY)
    prompt = page.get_by_text("You just invited your teammates")
    expect(prompt).to_be_visible()
    page.goto(f"{first}/do/teammate_invited")
    expect(prompt).to_be_visible()
    page.locator(".nudge").get_by_role("button", name="Not now").click()
    expect(prompt).to_have_count(0)
    page.goto(f"{first}/do/teammate_invited")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.locator(".nudge")).to_have_count(0)
    elsewhere = new_page()
    log_in(elsewhere, second, "ada")
    elsewhere.goto(f"{second}/do/teammate_invited")
    expect(elsewhere.locator(".nudge")).to_have_count(0)
    assert host.reasons("ada", "acme", "after_action")["after_team"] == "DISMISSED"

    host.move_to(8)
    elsewhere.goto(f"{second}/")
    guide = elsewhere.locator(".nudge-help")
    expect(guide).to_be_visible()
    act(elsewhere, *GUIDE)
    elsewhere.goto(f"{second}/")
    guide.get_by_role("button", name="I'm done").click()
    expect(guide).to_have_count(0)
    page.goto(f"{first}/")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.locator(".nudge-help")).to_have_count(0)


def test_without_the_dismissal_the_prompt_is_shown_again(host: Host, page: Page, new_page: NewPage) -> None:
    first, second = host.workers
    log_in(page, first, "ada")
    act(page, *READY)
    prompt = "You just invited your teammates"
    expect(page.get_by_text(prompt)).to_be_visible()
    page.goto(f"{first}/do/teammate_invited")
    expect(page.get_by_text(prompt)).to_be_visible()
    elsewhere = new_page()
    log_in(elsewhere, second, "ada")
    elsewhere.goto(f"{second}/do/teammate_invited")
    expect(elsewhere.get_by_text(prompt)).to_be_visible()
    assert "after_team" not in host.reasons("ada", "acme", "after_action")


def test_a_published_threshold_is_seen_within_seconds_and_rolled_back(
    host: Host, page: Page, new_page: NewPage
) -> None:
    first, second = host.workers
    bob = new_page()
    log_in(bob, second, "bob")
    act(bob, "campaign_sent")
    bob.goto(f"{second}/")
    expect(bob.locator(".nudge")).to_have_count(0)

    log_in(page, first, "pia")
    page.goto(f"{first}/nudges/segments/smb/")
    page.get_by_label("Points needed").first.fill("5")
    page.get_by_role("button", name="Save draft").click()
    page.goto(f"{first}/nudges/publish/")
    expect(page.get_by_role("cell", name="bob").or_(page.get_by_role("rowheader", name="bob")).first).to_be_visible()
    page.get_by_label("Note").fill("A campaign is enough")
    anyway = page.get_by_label("Publish although the check says no")
    if anyway.count():
        anyway.check()
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.get_by_text("A campaign is enough")).to_be_visible()
    appears_within_seconds(bob, second, True)

    page.goto(f"{first}/nudges/history/1")
    page.get_by_label("Note").fill("Too many")
    page.get_by_role("button", name="Roll back to 1").click()
    expect(page.get_by_text("Too many")).to_be_visible()
    appears_within_seconds(bob, second, False)
    page.goto(f"{first}/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Hello pia")


def appears_within_seconds(page: Page, worker: str, wanted: bool) -> None:
    """Ask for the dashboard until the prompt is there (or gone), as a person would by reloading."""
    deadline = time.monotonic() + SECONDS / 1000
    while True:
        page.goto(f"{worker}/")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        if (page.locator(".nudge").count() > 0) is wanted:
            return
        assert time.monotonic() < deadline, f"after {SECONDS} ms the prompt is {'not there' if wanted else 'there'}"
        time.sleep(0.2)


def test_the_hosts_own_things_stay_its_own(host: Host, page: Page) -> None:
    log_in(page, host.workers[0], "pia")
    expect(page.get_by_text("Made by the host.")).to_be_visible()
    page.goto(f"{host.workers[0]}/nudges/")
    expect(page.get_by_role("navigation", name="Admin")).to_be_visible()
    page.goto(f"{host.workers[0]}/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Hello pia")
    assert page.request.get(f"{host.workers[0]}/static/host.css").ok


def test_the_hosts_alembic_proposes_nothing_about_our_tables(host: Host) -> None:
    host.run("-m", "alembic", "revision", "--autogenerate", "-m", "with")
    (revision,) = (host.project / "alembic" / "versions").glob("*_with.py")
    assert "nudge_" not in revision.read_text()
    assert "pass" in revision.read_text().partition("def upgrade")[2]
    revision.unlink()
    host.run("-m", "alembic", "revision", "--autogenerate", "-m", "without", WITH_INCLUDE_NAME="no")
    (control,) = (host.project / "alembic" / "versions").glob("*_without.py")
    assert "nudge_" in control.read_text(), "the test cannot fail"
