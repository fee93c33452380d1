from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from nudge_sdk import NudgeClient
from nudge_sdk.cli import main
from nudge_sdk.documents import read_definition
from nudge_sdk.playbooks import read_playbook
from nudge_sdk.store import open_store

ROOT = Path(__file__).resolve().parent.parent

DEFINITION = """
name: Mail
milestones:
  - key: sent
    name: Sent a campaign
    category: high
    signal: {event: campaign_sent}
    at_least: 2
segments:
  - key: everybody
    name: Everybody
    member:
      warm: {score: 5, gates: [{milestones: [sent]}]}
nudges:
  - key: upgrade
    name: Upgrade
    placement: dashboard
    goal: paid
    audience: {context: page, equals: home}
    content: {title: Send more, body: Upgrade to send more., cta: {label: Upgrade, url: /billing}}
holdout: {share: 0}
"""
VAIN = """
milestones:
  - {key: seen, name: Looked, category: hygiene, signal: {event: page_viewed}}
segments:
  - {key: everybody, member: {warm: {score: 1}}}
"""


@pytest.fixture
def definition(tmp_path: Path) -> Path:
    path = tmp_path / "definition.yaml"
    path.write_text(DEFINITION, encoding="utf-8")
    return path


@pytest.fixture
def store(tmp_path: Path, definition: Path) -> str:
    url = f"sqlite:///{tmp_path}/nudge.db"
    done = nudge("publish", definition, "--store", url, "--by", "kim", "--note", "first")
    assert done.exit_code == 0, done.output
    return url


def nudge(*words: object, **given: Any) -> Result:
    return CliRunner().invoke(main, [*map(str, words)], **given)


def qualified(store: str) -> None:
    """Let ada of acme send two campaigns, straight into the store."""
    with NudgeClient(store, drain="inline") as client:
        assert client.track_many([{"user": "ada", "account": "acme", "event": "campaign_sent"}] * 2) == [True, True]


def every_command(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield words
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from every_command(found, (*words, name))


@pytest.mark.parametrize("words", list(every_command(main)), ids=" ".join)
def test_every_command_has_a_complete_help(words: tuple[str, ...]) -> None:
    done = nudge(*words, "--help")
    assert done.exit_code == 0
    options = re.findall(r"^  (-.+?)(?:  (.*))?$", done.stdout, flags=re.MULTILINE)
    assert options
    assert done.stdout.count("Example") or len(words) != 1 or words == ("playbooks",)


def test_every_option_says_what_it_is() -> None:
    silent = []
    for words in every_command(main):
        command: click.Command | None = main
        for word in words:
            assert isinstance(command, click.Group)
            command = command.get_command(click.Context(command), word)
        assert command is not None
        assert command.help, words
        options = [param for param in command.params if isinstance(param, click.Option)]
        silent += [(words, option.name) for option in options if not option.help]
    assert silent == []


def test_help_loads_nothing_heavy() -> None:
    code = "import sys; sys.argv = ['nudge', '--help']\nfrom nudge_sdk.cli import main\n"
    code += "try: main()\nfinally: print(sorted(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    for heavy in ("sqlalchemy.orm", "alembic", "yaml", "flask", "markdown_it"):
        assert f"'{heavy}'" not in done.stderr


def test_store_and_time_come_from_options_or_the_environment(store: str) -> None:
    assert nudge("doctor", env={"NUDGE_STORE": store}).exit_code == 0
    missing = nudge("doctor")
    assert missing.exit_code == 2
    assert "--store" in missing.stderr
    assert "NUDGE_STORE" in missing.stderr
    naive = nudge("standing", "--user", "ada", "--at", "2026-03-01", "--store", store)
    assert naive.exit_code == 2
    assert "no time zone" in naive.stderr


@pytest.mark.parametrize(
    "words",
    [("standing", "--user", "ada"), ("export", "--states"), ("replay", "--all"), ("decide", "x", "--user", "a")],
)
def test_a_mistyped_store_is_named_in_one_line_and_not_made(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = nudge(*words, "--store", f"sqlite:///{tmp_path}/nowhere.db")
    assert done.exit_code == 2
    assert re.fullmatch(r"Error: .*nowhere\.db is not there.*\n", done.stderr)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("publish", "{definition}", "--store", "mysql://x"), "names no store"),
        (("import", "/no/such/file.csv", "--store", "sqlite:///{folder}/x.db"), "cannot be read"),
        (("doctor", "--store", "memory"), "names no store"),
        (("playbooks", "show", "nothing"), "there is no playbook"),
        (("migrate", "--store", "sqlite:///{folder}/no/folder/x.db"), "unable to open"),
        (("standing", "--user", "ada", "--store", "sqlite:///{folder}/empty.db"), "nudge migrate"),
    ],
)
def test_errors_are_one_line_without_a_traceback(
    definition: Path, tmp_path: Path, words: tuple[str, ...], complaint: str
) -> None:
    (tmp_path / "empty.db").touch()
    done = nudge(*(word.format(definition=definition, folder=tmp_path) for word in words))
    assert done.exit_code == 2
    assert complaint in done.stderr
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1


def test_all_problems_of_a_definition_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("milestones:\n  - {key: a, points: many}\n  - {key: a}\nfoo: 1\n", encoding="utf-8")
    done = nudge("lint", path)
    assert done.exit_code == 2
    assert "problems\n" in done.stderr
    assert "(line 2)" in done.stderr
    assert "foo" in done.stderr


def test_lint_says_what_is_unwise_and_its_status_says_whether_it_blocks(definition: Path, tmp_path: Path) -> None:
    vain = tmp_path / "vain.yaml"
    vain.write_text(VAIN, encoding="utf-8")
    blocked = nudge("lint", vain)
    assert blocked.exit_code == 1
    assert "VANITY" in blocked.stdout
    assert json.loads(nudge("lint", vain, "--json").stdout)[0]["severity"] == "block"
    assert nudge("lint", definition).exit_code == 0


def test_publish_stops_at_blocking_findings_unless_a_reason_is_given(tmp_path: Path) -> None:
    vain, url = tmp_path / "vain.yaml", f"sqlite:///{tmp_path}/nudge.db"
    vain.write_text(VAIN, encoding="utf-8")
    refused = nudge("publish", vain, "--store", url)
    assert refused.exit_code == 2
    assert "VANITY" in refused.stderr
    assert not (tmp_path / "nudge.db").exists()
    done = nudge("publish", vain, "--store", url, "--note", "a test", "--override", "we sell mirrors")
    assert done.exit_code == 0
    opened = open_store(url)
    assert [row.note for row in opened.definitions()] == ["a test (override: we sell mirrors)"]
    opened.close()


def test_a_published_definition_comes_back_as_it_was(store: str, definition: Path) -> None:
    done = nudge("export", "--definition", "--store", store)
    assert read_definition(done.stdout) == read_definition(definition)


def test_standing_explain_and_decide_answer_in_words_and_in_json(store: str) -> None:
    qualified(store)
    asked = ("--user", "ada", "--account", "acme", "--store", store)
    assert nudge("standing", *asked).stdout.startswith("ada in acme: warm, score 5,")
    assert json.loads(nudge("standing", *asked, "--json").stdout)["tier"] == "warm"
    assert json.loads(nudge("standing", "--account", "acme", "--store", store, "--json").stdout)["active_users"] == 1

    assert "nothing is shown at dashboard" in nudge("explain", "dashboard", *asked).stdout
    for _ in range(2):
        looked = nudge("explain", "dashboard", *asked, "--context", "page=home")
        assert "prompt upgrade is shown at dashboard: Send more" in looked.stdout
    decided = nudge("decide", "dashboard", *asked, "--context", "page=home", "--json")
    assert json.loads(decided.stdout)["nudge"]["title"] == "Send more"
    opened = open_store(store)
    assert [row.kind for row in opened.exposures("acme", "ada")] == ["offered"]
    opened.close()


def test_a_context_value_is_json_or_else_text(store: str) -> None:
    asked = ("--user", "ada", "--account", "acme", "--store", store)
    qualified(store)
    assert "prompt upgrade" in nudge("explain", "dashboard", *asked, "--context", 'page="home"').stdout
    wrong = nudge("explain", "dashboard", *asked, "--context", "home")
    assert wrong.exit_code == 2
    assert "KEY=VALUE" in wrong.stderr


def test_replay_of_a_member_agrees_with_what_is_stored(store: str) -> None:
    qualified(store)
    course = json.loads(nudge("replay", "--user", "ada", "--account", "acme", "--store", store, "--json").stdout)
    opened = open_store(store)
    (transition,) = opened.transitions("acme", "ada")
    (episode,) = opened.episodes("acme", "ada")
    opened.close()
    assert [(each["from"], each["to"], each["cause"]) for each in course["transitions"]] == [
        ("none", "warm", transition.cause)
    ]
    assert [each["cause"] for each in course["episodes"]] == [episode.cause]
    assert course["standing"]["tier"] == "warm"
    assert "ada in acme: warm" in nudge("replay", "--user", "ada", "--account", "acme", "--store", store).stdout
    assert nudge("replay", "--user", "nobody", "--store", store).exit_code == 2
    assert nudge("replay", "--store", store).exit_code == 2


def test_migrate_can_be_run_twice(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/nudge.db"
    assert "are now" in nudge("migrate", "--store", url).stdout
    assert "were already" in nudge("migrate", "--store", url).stdout


def test_the_doctor_finds_what_needs_attention(tmp_path: Path, definition: Path) -> None:
    url = f"sqlite:///{tmp_path}/nudge.db"
    assert "is not there" in nudge("doctor", "--store", url).stdout
    nudge("migrate", "--store", url)
    bare = nudge("doctor", "--store", url)
    assert bare.exit_code == 1
    assert "LOOK definition: none is in force" in bare.stdout
    nudge("publish", definition, "--store", url)
    assert nudge("doctor", "--store", url).exit_code == 0

    client = NudgeClient(url, drain="external")
    client.track("ada", "campaign_sent", account="acme")
    lagging = json.loads(nudge("doctor", "--store", url, "--json").stdout)
    checks = {check["name"]: check for check in lagging["checks"]}
    assert not lagging["is_well"]
    assert checks["journals"]["numbers"]["lines"] == 1
    assert "orphans" not in checks
    client.close()
    orphaned = nudge("doctor", "--store", url)
    assert "LOOK orphans: 1" in orphaned.stdout

    assert "1 lines drained" in nudge("worker", "--once", "--store", url).stdout
    assert nudge("doctor", "--store", url).exit_code == 0


def waited_for(condition: Any, seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_drains_and_ends_well_when_told_to_stop(store: str, number: signal.Signals) -> None:
    client = NudgeClient(store, drain="external")
    assert client.track("ada", "campaign_sent", account="acme")
    command = [sys.executable, "-m", "nudge_sdk.cli", "worker", "--store", store]
    worker = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, env={**os.environ})
    try:
        assert waited_for(lambda: client.store.read_subjects([("acme", "ada")]))
        worker.send_signal(number)
        _, err = worker.communicate(timeout=20)
    finally:
        worker.kill()
        client.close()
    assert worker.returncode == 0, err
    assert "Traceback" not in err


def test_playbooks_can_be_listed_shown_and_published(tmp_path: Path) -> None:
    listed = json.loads(nudge("playbooks", "list", "--json").stdout)
    key = listed[0]["key"]
    assert f"{key}: " in nudge("playbooks", "list").stdout
    shown = nudge("playbooks", "show", key).stdout
    assert shown == read_playbook(key)
    done = nudge("publish", "-", "--store", f"sqlite:///{tmp_path}/nudge.db", input=shown)
    assert "definition 1 is in force" in done.stdout, done.output


def test_the_schema_is_json_schema() -> None:
    assert json.loads(nudge("schema").stdout)["$schema"].startswith("https://json-schema.org/")
