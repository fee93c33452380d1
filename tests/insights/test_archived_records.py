"""What is replayed or counted from an archive is what the store gives."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from nudge_sdk import NudgeClient, Options
from nudge_sdk.cli import main
from nudge_sdk.documents import to_yaml
from nudge_sdk.errors import SetupError
from nudge_sdk.insights.archive import archive
from nudge_sdk.insights.archived_records import ArchivedRecords, opened_archived_records
from nudge_sdk.insights.journeys import refresh
from nudge_sdk.insights.peaks import climbs
from nudge_sdk.rules.authoring import parse_definition
from nudge_sdk.rules.state import unpack, unpack_around_tallies
from nudge_sdk.rules.times import DAY, SECOND, to_iso
from nudge_sdk.testing import Clock

START = 20_500 * DAY
NOW = START + 120 * DAY
DEFINITION = {
    "name": "Product",
    "milestones": [
        {"key": "sent", "name": "Sent", "signal": {"event": "sent"}, "points": 5, "is_aha": True, "done": "x"},
        {"key": "invited", "name": "Invited", "signal": {"event": "invited"}, "points": 3, "done": "x"},
        {"key": "team", "subject": "account", "signal": {"event": "sent"}, "at_least": 2, "points": 9, "done": "x"},
    ],
    "segments": [{"key": "all", "member": {"warm": {"score": 5}}, "account": {"hot": {"score": 9}}}],
}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store with people who moved, traits, conversions and nothing special."""
    url = f"sqlite:///{tmp_path_factory.mktemp('store')}/n.db"
    draw = random.Random(5)
    clock = Clock(datetime.fromtimestamp(NOW / SECOND, UTC))
    options = Options(on_error="raise", store_wait=5)
    with NudgeClient(url, drain="inline", clock=clock, definition=definition(), options=options) as client:
        for number in range(60):
            user, account = f"u{number}", f"acct {number // 2}"
            day = draw.randrange(60)
            client.group(account, {"size": number}, user=user, at=START + day * DAY, id=f"g{number}")
            for index in range(draw.randrange(1, 6)):
                event = draw.choice(["sent", "invited", "seen"])
                at = START + (day + draw.randrange(10)) * DAY + index
                client.track(user, event, {"n": index}, account=account, at=at, id=f"{number}-{index}")
            if number % 3 == 0:
                client.convert(account, at=START + (day + 20) * DAY, id=f"p{number}")
        client.track("anonymous", "sent", at=START + DAY, id="before")
        client.alias("anonymous", "u1")
        assert client.flush()
    return url


@pytest.fixture
def client(url: str) -> Iterator[NudgeClient]:
    clock = Clock(datetime.fromtimestamp(NOW / SECOND, UTC))
    with NudgeClient(url, drain="external", clock=clock) as client:
        client.now()
        yield client


def definition() -> Any:
    return parse_definition(DEFINITION)


@pytest.fixture
def root(client: NudgeClient, tmp_path: Path) -> Path:
    refresh(client.store, client.intake.refresh().rules, client.now())
    archive(client.store, tmp_path / "archive", client.now())
    return tmp_path / "archive"


@pytest.fixture
def records(client: NudgeClient, root: Path) -> Iterator[ArchivedRecords]:
    with opened_archived_records(root, client.intake.refresh().rules) as found:
        yield found


def test_every_record_comes_back_in_order(client: NudgeClient, records: ArchivedRecords) -> None:
    expected = list(client.store.records())
    assert len(expected) > 200
    assert list(records.records()) == expected


def test_a_replay_of_the_archive_is_that_of_the_store(client: NudgeClient, records: ArchivedRecords) -> None:
    rules = client.intake.refresh().rules
    of_store, of_archive = (climbs(source, rules, NOW) for source in (client.store, records))
    assert of_store == of_archive
    assert sum(bool(each.warm) for each in of_store.climbs) > 20


def plain(packed: bytes) -> tuple[Any, ...]:
    """A state without the order in which its signals were first counted."""
    state = unpack(packed)
    tallies = {key: bytes(each) for key, each in unpack_around_tallies(packed).packed.items()}
    return (state.events, state.first, state.last, state.traits, state.goals, state.members, state.left, tallies)


def test_states_are_counted_as_the_store_counted_them(client: NudgeClient, records: ArchivedRecords) -> None:
    rows = {row.key: row for row in client.store.subjects(limit=1000)}
    assert len(rows) > 80
    counted = records.read_subjects(list(rows))
    assert counted.keys() == rows.keys()
    for key, row in rows.items():
        assert plain(counted[key].state) == plain(row.state), key


def test_the_commands_say_the_same_of_store_and_archive(url: str, root: Path, tmp_path: Path) -> None:
    live, draft = tmp_path / "live.yaml", tmp_path / "draft.yaml"
    live.write_text(to_yaml(definition()))
    draft.write_text(live.read_text().replace("score: 5", "score: 8"))
    at = ("--at", to_iso(NOW), "--json")
    for of_store, of_archive in (
        (["what-if", str(draft), "--store", url], ["what-if", str(draft), "--archive", str(root), "--live", str(live)]),
        (
            ["what-if", "--segment", "all", "--store", url],
            ["what-if", "--segment", "all", "--archive", str(root), "--live", str(live)],
        ),
    ):
        said = [CliRunner().invoke(main, [*words, *at]) for words in (of_store, of_archive)]
        assert [each.exit_code for each in said] == [0, 0], [each.output for each in said]
        assert said[0].stdout == said[1].stdout
    words = ["calibrate", *at, "--nudged", "adjust"]
    said = [
        CliRunner().invoke(main, [*words, *more])
        for more in (["--store", url], ["--archive", str(root), "--definition", str(live)])
    ]
    assert [each.exit_code for each in said] == [0, 0], [each.output for each in said]
    calibrations = [each.stdout.partition('"drift"')[0] for each in said]
    assert calibrations[0] == calibrations[1]
    assert '"sent"' in calibrations[0]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["what-if", "--segment", "all", "--archive", "."], "--live FILE"),
        (["what-if", "--segment", "all"], "--archive FOLDER"),
        (["calibrate", "--archive", "."], "--definition FILE"),
        (["calibrate"], "--archive FOLDER"),
    ],
)
def test_what_is_missing_is_said(words: list[str], told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NUDGE_STORE", raising=False)
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 2
    assert told in done.output


def test_an_archive_that_is_not_there_is_said(client: NudgeClient, tmp_path: Path) -> None:
    with pytest.raises(SetupError), opened_archived_records(tmp_path, client.intake.refresh().rules):
        pass
