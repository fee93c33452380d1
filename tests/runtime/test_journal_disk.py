"""A disk that is really full, a folder that really cannot be written: requests go on, and it recovers by itself."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nudge_sdk import NudgeClient, Options
from nudge_sdk.errors import JournalError
from nudge_sdk.runtime import journal as journal_module
from nudge_sdk.runtime.journal import Journal
from nudge_sdk.runtime.journal_files import journals, read_lines
from nudge_sdk.store import open_store
from tests.runtime.examples import nudge, product, run, wait_until

KIB = 1024


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mount disks of so many KiB."""
    mounted: list[Path] = []

    def mount(kib: int) -> Path:
        folder = tmp_path / f"disk-{len(mounted)}"
        folder.mkdir()
        if os.geteuid():
            pytest.skip("only root can mount a small disk to fill")
        command = ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "nudge-test", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Take all the space there is."""
    ballast = folder / "ballast"
    fd = os.open(ballast, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        while os.write(fd, bytes(KIB)):
            pass
    except OSError:
        return ballast
    finally:
        os.close(fd)
    raise AssertionError("the disk never was full")


def client_over(database: Path, journal: Path, **changes: object) -> NudgeClient:
    options = Options(drain_seconds=0.01, store_wait=5, **changes)  # type: ignore[arg-type]
    definition = product(nudge("hello"))
    return NudgeClient(
        f"sqlite:///{database}", journal=journal, definition=definition, drain="external", options=options
    )


def test_on_a_full_disk_lines_are_written_whole_or_refused_and_never_torn(
    small_disk: Callable[[int], Path],
) -> None:
    disk = small_disk(64)
    journal = Journal(disk / "journals")
    accepted: list[bytes] = []
    refused: set[str] = set()
    for number in range(2000):
        line = b'[%d,"%s"]' % (number, b"x" * (number % 90))
        try:
            journal.append(line)
            accepted.append(line)
        except JournalError as error:
            refused.add(str(error))
    assert 500 < len(accepted) < 1500
    assert refused
    assert all("Free some disk space" in text for text in refused)
    found = [read_lines(path, max_bytes=2**30) for path in journals(disk / "journals")]
    assert sorted(line for piece in found for line in piece.lines) == sorted(accepted)
    contents = [path.read_bytes() for path in journals(disk / "journals")]
    assert any(content and not content.endswith(b"\n") for content in contents), "no write was cut short"


def test_on_a_full_disk_track_says_false_counts_logs_once_and_goes_on_when_there_is_space(
    tmp_path: Path, small_disk: Callable[[int], Path], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "_RETRY_SECONDS", 0.01)
    disk = small_disk(128)
    client = client_over(tmp_path / "nudges.db", disk / "journals")
    assert client.track("ada", "before", id="before")
    ballast = fill(disk)
    answers = [client.track("ada", "during", {"text": "x" * 1000}, id=f"during-{number}") for number in range(50)]
    assert not all(answers)
    assert bool(client.decide("page", user="ada")), "a request goes on"
    assert client.counters["track: JournalError"] == answers.count(False)
    assert caplog.text.count("track failed") == 1
    ballast.unlink()
    assert wait_until(lambda: client.track("ada", "after", id="after"), 5)
    assert client.flush()
    accepted = [f"during-{number}" for number, was_taken in enumerate(answers) if was_taken]
    assert sorted(record.id for record in client.store.records()) == sorted(["before", *accepted, "after"])
    client.close()


def test_a_store_whose_disk_is_full_loses_nothing_and_catches_up_when_there_is_space(
    tmp_path: Path, small_disk: Callable[[int], Path], caplog: pytest.LogCaptureFixture
) -> None:
    disk = small_disk(4096)
    client = client_over(disk / "nudges.db", tmp_path / "journals")
    assert client.track("ada", "before")
    assert client.flush()
    ballast = fill(disk)
    events = [{"user": f"user-{number}", "event": "during", "properties": {"n": "x" * 500}} for number in range(2000)]
    assert client.track_many(events) == [True] * 2000
    assert client.flush(1) is False
    assert client.store.quarantined() == []
    ballast.unlink()
    assert client.flush(20)
    names = [record.name for record in client.store.records()]
    assert (names.count("before"), names.count("during"), len(names)) == (1, 2000, 2001)
    client.close()


def test_a_folder_at_its_limit_refuses_what_is_new_and_keeps_what_it_has(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "_RETRY_SECONDS", 0)
    client = client_over(tmp_path / "nudges.db", tmp_path / "journals", max_journal_bytes=20_000)
    answers = [client.track("ada", "step", id=f"{number}") for number in range(400)]
    assert answers == sorted(answers, reverse=True), "once refused, nothing is taken until something is drained"
    assert 0 < answers.count(True) < 400
    assert client.counters == {"track: JournalError": answers.count(False)}
    assert caplog.text.count("max_total_bytes=20000") == 1
    assert client.flush()
    assert client.track("ada", "step", id="after")
    assert client.flush()
    assert len(list(client.store.records())) == answers.count(True) + 1
    client.close()


AS_NOBODY = """
import logging
logging.basicConfig(stream=sys.stderr, format="%(message)s")
database, journals = sys.argv[1:]
def client_of(journal):
    return NudgeClient("sqlite:///" + database, journal=journal, drain="external", definition=product(nudge("hello")))
# All is imported while this is root: the libraries may be root's.
with client_of(journals + "-before") as before:
    assert before.track("ada", "before") and before.decide("page", user="ada") and before.flush()
if os.getuid() == 0:
    os.chmod(database, 0o666)
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
client = client_of(journals)
tracked = [client.track("ada", "step") for _ in range(5)]
decided = bool(client.decide("page", user="ada"))
client.close()
say({"tracked": tracked, "decided": decided, "counters": dict(client.counters), "uid": os.getuid()})
"""


@pytest.mark.parametrize("mode", [0o500, 0o000])
def test_a_folder_that_cannot_be_written_hurts_no_request(tmp_path: Path, mode: int) -> None:
    outside = Path(subprocess.run(["mktemp", "-d"], capture_output=True, text=True, check=True).stdout.strip())
    outside.chmod(0o777)
    folder = outside / "journals"
    folder.mkdir(mode=mode)
    folder.chmod(mode)
    told = json.loads(run(AS_NOBODY, outside / "nudges.db", folder)[0])
    assert told["uid"] != 0, "root may write everywhere"
    assert told["tracked"] == [False] * 5
    assert told["decided"] is True
    assert told["counters"] == {"track: JournalError": 5}
    folder.chmod(0o700)
    assert list(folder.iterdir()) == []
    subprocess.run(["rm", "-r", str(outside)], check=True)


def test_a_folder_that_becomes_writable_is_used_from_then_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "_RETRY_SECONDS", 0.01)
    (tmp_path / "journals").write_text("in the way")
    client = client_over(tmp_path / "nudges.db", tmp_path / "journals")
    assert client.track("ada", "before") is False
    (tmp_path / "journals").unlink()
    assert wait_until(lambda: client.track("ada", "after"), 5)
    assert client.flush()
    assert [record.name for record in open_store(f"sqlite:///{tmp_path}/nudges.db").records()] == ["after"]
    client.close()
