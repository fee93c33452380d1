"""Lines that survive a power cut: the disk is waited for, once for many, and in the right order."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nudge_sdk import Options, SetupError
from nudge_sdk.errors import JournalError
from nudge_sdk.runtime.journal import Journal
from nudge_sdk.runtime.journal_files import adopt, journals, read_lines
from tests.runtime.examples import open_client, product
from tests.runtime.test_journal import signals

pytestmark = pytest.mark.no_cover

THREADS, LINES = 8, 40


class Disk:
    """The real disk, a little slower, that remembers what it was asked to keep."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: float = 0.001) -> None:
        self.seconds = seconds
        self.kept: dict[int, int] = {}
        self.asked: list[str] = []
        self.trouble: OSError | None = None
        self._fdatasync, self._fsync = os.fdatasync, os.fsync
        monkeypatch.setattr("os.fdatasync", lambda fd: self._sync(fd, self._fdatasync))
        monkeypatch.setattr("os.fsync", lambda fd: self._sync(fd, self._fsync))

    def _sync(self, fd: int, sync: Callable[[int], None]) -> None:
        before = os.fstat(fd)
        self.asked.append(os.readlink(f"/proc/self/fd/{fd}"))
        time.sleep(self.seconds)
        if self.trouble is not None:
            raise self.trouble
        sync(fd)
        self.kept[before.st_ino] = max(before.st_size, self.kept.get(before.st_ino, 0))

    def syncs(self, name: str) -> int:
        return sum(name in each for each in self.asked)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "made" / "on demand", durability="power")


def in_threads(work: Callable[[int], None]) -> None:
    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_threads_that_append_at_the_same_time_wait_for_the_disk_together(journal: Journal, disk: Disk) -> None:
    # So slow that all threads are waiting again before it is done, however busy the machine is.
    disk.seconds = 0.01

    def write(thread: int) -> None:
        for number in range(LINES):
            journal.append(b"[%d,%d]" % (thread, number))

    in_threads(write)
    # At the best eight share one; alone, each would need its own.
    assert LINES <= disk.syncs(".journal") <= THREADS * LINES // 2
    assert journal.path is not None
    assert len(read_lines(journal.path).lines) == THREADS * LINES


def test_a_line_is_answered_for_only_when_the_disk_has_it(tmp_path: Path, disk: Disk) -> None:
    journal = Journal(tmp_path, durability="power", max_file_bytes=2000)
    inodes: dict[str, int] = {}
    answered_early: list[tuple[str, int]] = []

    def write(thread: int) -> None:
        for number in range(LINES):
            name, end = journal.append(b'[%d,%d,"%s"]' % (thread, number, b"x" * number))
            inode = inodes.get(name) or inodes.setdefault(name, os.stat(tmp_path / name).st_ino)
            if disk.kept.get(inode, 0) < end:
                answered_early.append((name, end))

    in_threads(write)
    assert len(journals(tmp_path)) > 3
    assert answered_early == []


def test_alone_each_line_waits_for_the_disk_once(journal: Journal, disk: Disk) -> None:
    for number in range(10):
        journal.append(b"[%d]" % number)
    assert disk.syncs(".journal") == 10


def test_by_default_nobody_waits_for_the_disk(tmp_path: Path, disk: Disk) -> None:
    journal = Journal(tmp_path / "journals")
    journal.append(b"[1]")
    assert disk.asked == []


def test_the_name_of_a_new_file_is_kept_and_that_of_each_folder_made_for_it(
    tmp_path: Path, journal: Journal, disk: Disk
) -> None:
    journal.append(b"[1]")
    folders = [each for each in disk.asked if not each.endswith(".journal")]
    assert sorted(folders) == sorted(map(str, [tmp_path, tmp_path / "made", tmp_path / "made" / "on demand"]))
    disk.asked.clear()
    journal.close()
    journal.append(b"[2]")
    assert [each for each in disk.asked if not each.endswith(".journal")] == [str(tmp_path / "made" / "on demand")]


def test_what_the_disk_did_not_promise_is_refused_and_no_later_promise_is_believed(
    journal: Journal, disk: Disk
) -> None:
    journal.append(b"[1]")
    assert journal.path is not None
    first, file = journal.path, journal._file
    assert file is not None
    disk.trouble = OSError(errno.EIO, os.strerror(errno.EIO))
    with pytest.raises(JournalError, match="Input/output error"):
        journal.append(b"[2]")
    disk.trouble = None
    with pytest.raises(OSError, match="Input/output error"):
        file.sync(1)
    del file
    journal.append(b"[3]")
    assert journal.path != first
    adopted = adopt(first)
    assert adopted is not None, "what could not be kept is the drainer's, though somebody keeps the error"
    adopted.close()


def test_a_handler_that_tracks_while_its_thread_waits_for_the_disk_does_not_hang(journal: Journal) -> None:
    handled: list[bytes] = []

    def track() -> None:
        handled.append(b'["handler",%d]' % len(handled))
        journal.append(handled[-1])

    with signals(track):
        written = 0
        while len(handled) < 20:
            journal.append(b'["main",%d]' % written)
            written += 1
    assert journal.path is not None
    assert len(read_lines(journal.path, max_bytes=2**30).lines) == written + len(handled)


def test_a_client_made_so_tracks_convert_and_all_through_a_power_cut(tmp_path: Path, disk: Disk) -> None:
    with open_client(tmp_path / "nudges.db", durability="power", definition=product(), store_wait=5) as client:
        assert client.track("ada", "campaign_sent")
        assert disk.syncs(".journal") == 1
        assert client.convert(user="ada")
        assert disk.syncs("nudges.db-wal") == 1
        assert client.flush()


def test_a_journal_is_removed_only_when_the_disk_has_what_was_in_it(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlink = Path.unlink

    def unlink_and_tell(path: Path, missing_ok: bool = False) -> None:
        if path.suffix == ".journal":
            disk.asked.append("removed")
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink_and_tell)
    with open_client(tmp_path / "nudges.db", definition=product()) as client:
        client.track("ada", "campaign_sent")
        assert client.recorder.journal is not None
        client.recorder.journal.close()
        assert client.flush()
        assert [Path(each).name for each in disk.asked[:3]] == ["nudges.db-wal", tmp_path.name, "removed"]


def test_a_durability_nobody_knows_is_refused_at_once() -> None:
    with pytest.raises(SetupError, match="durability"):
        Options(durability="eternal")  # type: ignore[arg-type]
