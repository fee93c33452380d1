"""One process: what is appended, what is read back, and what happens at the limits."""

from __future__ import annotations

import fcntl
import os
import signal
import stat
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nudge_sdk.errors import JournalError, SetupError
from nudge_sdk.runtime.journal import Journal
from nudge_sdk.runtime.journal_files import adopt, create, journals, read_lines, sweep

# The tracer of coverage takes a lock, which a signal handler or a forked child would wait for, for ever.
pytestmark = pytest.mark.no_cover


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "made" / "on demand"


@pytest.fixture
def journal(folder: Path) -> Journal:
    return Journal(folder)


def live(journal: Journal) -> Path:
    assert journal.path is not None
    return journal.path


def dead_file(folder: Path, content: bytes) -> Path:
    file = create(folder)
    os.write(file.fd, content)
    return file.path


def all_lines(folder: Path) -> list[bytes]:
    return [line for path in journals(folder) for line in read_lines(path, max_bytes=2**30).lines]


@contextmanager
def signals(act: Callable[[], None]) -> Iterator[None]:
    """Call ``act`` from a signal handler, again and again."""
    before = signal.signal(signal.SIGVTALRM, lambda *_: act())
    signal.setitimer(signal.ITIMER_VIRTUAL, 0.001, 0.001)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


class TestAppending:
    def test_construction_touches_nothing(self, folder: Path) -> None:
        journal = Journal(folder)
        assert not folder.exists()
        assert (journal.path, journal.position) == (None, None)

    def test_appended_lines_are_read_in_order(self, journal: Journal, folder: Path) -> None:
        for number in range(100):
            journal.append(b'["line",%d]' % number)
        assert all_lines(folder) == [b'["line",%d]' % number for number in range(100)]

    def test_the_answer_is_the_offset_right_behind_the_line(self, journal: Journal) -> None:
        name, middle = journal.append(b'["first"]')
        _, end = journal.append(b'["second"]')
        assert name == live(journal).name
        assert journal.position == (name, end) == (name, live(journal).stat().st_size)
        assert read_lines(live(journal), middle) == ([b'["second"]'], end, 0)

    def test_only_the_owner_may_read_file_and_folder(self, journal: Journal, folder: Path) -> None:
        journal.append(b"[1]")
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE(live(journal).stat().st_mode) == 0o600

    def test_eight_threads_tear_no_line_and_each_knows_its_own_offset(self, folder: Path) -> None:
        journal = Journal(folder, max_file_bytes=200_000)
        positions: dict[bytes, tuple[str, int]] = {}

        def write(thread: int) -> None:
            for number in range(2000):
                line = b'["%d",%d,"%s"]' % (thread, number, b"x" * (number % 90))
                positions[line] = journal.append(line)

        threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(journals(folder)) > 3
        assert Counter(all_lines(folder)) == Counter(positions.keys())
        contents = {path.name: path.read_bytes() for path in journals(folder)}
        assert all(contents[name][:end].endswith(b"\x1e" + line + b"\n") for line, (name, end) in positions.items())

    def test_a_signal_handler_that_tracks_does_not_deadlock_or_lose_a_line(
        self, journal: Journal, folder: Path
    ) -> None:
        handled: list[bytes] = []

        def track() -> None:
            handled.append(b'["handler",%d]' % len(handled))
            journal.append(handled[-1])

        with signals(track):
            written = 0
            while len(handled) < 50:
                journal.append(b'["main",%d]' % written)
                written += 1
        assert Counter(all_lines(folder)) == Counter([*handled, *(b'["main",%d]' % n for n in range(written))])
        assert journal.position == (live(journal).name, live(journal).stat().st_size)

    # TimeoutError is the usual one, and a kind of OSError.
    @pytest.mark.parametrize("kind", [TimeoutError, KeyboardInterrupt])
    def test_what_the_hosts_signal_handler_raises_passes_through_and_leaves_offsets_exact(
        self, journal: Journal, kind: type[BaseException]
    ) -> None:
        def interrupt() -> None:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            raise kind

        def append_until_interrupted() -> None:
            with pytest.raises(kind), signals(interrupt):  # noqa: PT012
                while True:
                    journal.append(b'["main"]')

        for _ in range(50):
            append_until_interrupted()
        assert journal.append(b"[1]")[1] == live(journal).stat().st_size


class TestRotation:
    def test_a_full_file_is_left_for_adoption_and_a_new_one_begun(self, folder: Path) -> None:
        journal = Journal(folder, max_file_bytes=100)
        names = [journal.append(b'["line",%d]' % number)[0] for number in range(20)]
        assert len(set(names)) > 1
        assert names == sorted(names)
        adopted = adopt(folder / names[0])
        assert adopted is not None
        assert adopted.size >= 100
        assert adopted.read().lines == [b'["line",%d]' % n for n in range(names.count(names[0]))]
        adopted.close()

    def test_the_file_being_written_cannot_be_adopted_even_by_its_own_process(self, journal: Journal) -> None:
        journal.append(b"[1]")
        assert adopt(live(journal)) is None

    def test_closing_a_reader_of_the_live_file_does_not_give_up_its_lock(self, journal: Journal) -> None:
        journal.append(b"[1]")
        read_lines(live(journal))
        live(journal).read_bytes()
        assert adopt(live(journal)) is None

    def test_after_closing_the_file_can_be_adopted_and_a_late_append_begins_anew(
        self, journal: Journal, folder: Path
    ) -> None:
        first, _ = journal.append(b"[1]")
        journal.close()
        journal.close()
        assert journal.position is None
        second, _ = journal.append(b"[2]")
        adopted = adopt(folder / first)
        assert adopted is not None
        assert first != second
        adopted.close()

    def test_no_name_is_used_twice_even_at_the_same_instant(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("time.time_ns", lambda: 1_760_000_000_000_000_000)
        names = set()
        for _ in range(50):
            file = create(folder)
            names.add(file.name)
            file.path.unlink()
        assert len(names) == 50


class TestLimits:
    @pytest.mark.parametrize(("file", "total"), [(0, 100), (10, 9)])
    def test_limits_that_make_no_sense_are_refused_at_once(self, folder: Path, file: int, total: int) -> None:
        with pytest.raises(SetupError, match="max_file_bytes"):
            Journal(folder, max_file_bytes=file, max_total_bytes=total)

    def test_a_full_folder_refuses_until_something_is_drained(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        journal = Journal(folder, max_file_bytes=50, max_total_bytes=200)
        accepted = 0
        while sum(path.stat().st_size for path in journals(folder)) < 200:
            journal.append(b'["line"]')
            accepted += 1
        with pytest.raises(JournalError, match=r"max_total_bytes=200.*drainer"):
            journal.append(b'["one too many"]')
        assert len(all_lines(folder)) == accepted > 10
        for path in journals(folder):
            adopted = adopt(path)
            assert adopted is not None
            adopted.remove()
        with pytest.raises(JournalError, match="max_total_bytes=200"):
            journal.append(b'["asked again too soon for another scan"]')
        monkeypatch.setattr("nudge_sdk.runtime.journal._RETRY_SECONDS", 0)
        journal._refused_until = 0
        journal.append(b'["after"]')
        assert all_lines(folder) == [b'["after"]']

    def test_a_file_in_the_place_of_the_folder_is_a_journal_error(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(JournalError, match="cannot be written"):
            Journal(tmp_path / "file").append(b"[1]")


class TestReading:
    def test_a_line_still_being_written_is_not_read_yet(self, folder: Path) -> None:
        file = create(folder)
        os.write(file.fd, b'\x1e["one"]\n\x1e["tw')
        assert read_lines(file.path) == ([b'["one"]'], 9, 0)
        assert read_lines(file.path, 9) == ([], 9, 0)
        os.write(file.fd, b'o"]\n')
        assert read_lines(file.path, 9) == ([b'["two"]'], 18, 0)

    def test_reading_is_bounded_and_goes_on_where_it_stopped(self, journal: Journal) -> None:
        expected = [b'["line",%d]' % number for number in range(200)]
        for line in expected:
            journal.append(line)
        lines: list[bytes] = []
        offset = 0
        while piece := read_lines(live(journal), offset, 100).lines:
            assert len(b"".join(piece)) <= 100
            lines += piece
            offset = read_lines(live(journal), offset, 100).end
        assert lines == expected

    def test_a_line_longer_than_the_bound_is_read_whole(self, journal: Journal) -> None:
        journal.append(b'"%s"' % (b"x" * 5000))
        journal.append(b"[2]")
        lines, end, _ = read_lines(live(journal), 0, 10)
        assert lines + read_lines(live(journal), end, 10).lines == [b'"%s"' % (b"x" * 5000), b"[2]"]

    @pytest.mark.parametrize("cut", range(1, 9))
    def test_of_a_write_that_was_cut_short_exactly_the_fragment_is_skipped(self, folder: Path, cut: int) -> None:
        whole = b'\x1e["torn"]\n'
        path = dead_file(folder, b"\x1e[1]\n" + whole[:cut] + b"\x1e[2]\n\x1e[3]\n")
        assert read_lines(path) == ([b"[1]", b"[2]", b"[3]"], path.stat().st_size, 1)

    def test_bytes_that_no_journal_wrote_are_skipped_and_reported(self, folder: Path) -> None:
        path = dead_file(folder, b"\x1e[1]\n\0\0\0\0\n\x1e[2]\n")
        assert read_lines(path)[::2] == ([b"[1]", b"[2]"], 1)

    def test_the_torn_end_of_a_dead_process_is_skipped_and_reported(self, folder: Path) -> None:
        path = dead_file(folder, b'\x1e["whole"]\n\x1e["never acknowl')
        adopted = adopt(path)
        assert adopted is not None
        with adopted:
            first = adopted.read()
            assert first == ([b'["whole"]'], 11, 0)
            assert adopted.read(first.end) == ([], adopted.size, 1)
            assert adopted.read(adopted.size) == ([], adopted.size, 0)

    def test_journals_are_listed_oldest_first_and_nothing_else_is(self, folder: Path) -> None:
        assert journals(folder) == []
        made = [dead_file(folder, b"") for _ in range(5)]
        (folder / "notes.txt").write_text("")
        (folder / "0.opening").write_text("")
        assert journals(folder) == made


class TestAdoption:
    def test_one_adopter_at_a_time(self, folder: Path) -> None:
        path = dead_file(folder, b"\x1e[1]\n")
        first = adopt(path)
        assert first is not None
        assert adopt(path) is None
        first.close()
        second = adopt(path)
        assert second is not None
        second.close()

    def test_what_was_drained_and_removed_is_not_adopted_again(self, folder: Path) -> None:
        path = dead_file(folder, b"\x1e[1]\n")
        first = adopt(path)
        assert first is not None
        first.remove()
        assert not path.exists()
        assert adopt(path) is None

    def test_an_adopter_that_opened_the_file_before_another_removed_it_comes_too_late(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = dead_file(folder, b"\x1e[1]\n")
        flock = fcntl.flock

        def flock_after_the_other_was_done(fd: int, operation: int) -> None:
            path.unlink(missing_ok=True)
            flock(fd, operation)

        monkeypatch.setattr("fcntl.flock", flock_after_the_other_was_done)
        assert adopt(path) is None

    def test_a_file_is_unlinked_while_still_locked(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = dead_file(folder, b"\x1e[1]\n")
        adopted = adopt(path)
        assert adopted is not None
        adoptable: list[bool] = []
        unlink = Path.unlink

        def unlink_and_look(path: Path, missing_ok: bool = False) -> None:
            adoptable.append(adopt(path) is not None)
            unlink(path, missing_ok)

        monkeypatch.setattr(Path, "unlink", unlink_and_look)
        adopted.remove()
        assert adoptable == [False]
        assert journals(folder) == []

    def test_a_symbolic_link_is_not_followed(self, folder: Path, tmp_path: Path) -> None:
        folder.mkdir(parents=True)
        (tmp_path / "outside").write_bytes(b"\x1e[1]\n")
        (folder / "0.journal").symlink_to(tmp_path / "outside")
        with pytest.raises(OSError, match="symbolic"):
            adopt(folder / "0.journal")

    def test_a_sweep_removes_only_what_dead_processes_left_empty(self, journal: Journal, folder: Path) -> None:
        journal.append(b"[1]")
        empty_but_alive = create(folder)
        empty, full = dead_file(folder, b""), dead_file(folder, b"\x1e[1]\n")
        abandoned = folder / "0.opening"
        abandoned.write_text("")
        assert sweep(folder) == 2
        assert not empty.exists()
        assert not abandoned.exists()
        assert journals(folder) == [live(journal), empty_but_alive.path, full]

    def test_a_sweep_passes_over_what_is_no_journal(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        (folder / "gone.journal").symlink_to(folder / "nowhere")
        (folder / "empty.journal").touch()
        assert sweep(folder) == 1
        assert (folder / "gone.journal").is_symlink()

    def test_sweeping_where_there_is_no_folder_is_harmless(self, folder: Path) -> None:
        assert sweep(folder) == 0
