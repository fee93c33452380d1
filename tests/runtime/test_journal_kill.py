"""Several processes: killed, forked, refused by the disk, and racing for the same file."""

from __future__ import annotations

import json
import os
import random
import signal
import struct
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

import nudge_sdk
from nudge_sdk.runtime.journal_files import adopt, journals, read_lines

KILLS = int(os.environ.get("NUDGE_JOURNAL_KILLS", "30"))
THREADS = 2
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(nudge_sdk.__file__).parents[1])}

APPEND_UNTIL_KILLED = """
import mmap, os, sys, threading
from pathlib import Path
from nudge_sdk.runtime.journal import Journal

folder, acks, run, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
# One aligned store of eight bytes each: a kill leaves the old number or the new one.
acknowledged = memoryview(mmap.mmap(os.open(acks, os.O_RDWR), 8 * count)).cast("Q")
journal = Journal(folder, max_file_bytes=300_000)

def write(thread):
    number = 0
    while True:
        journal.append(b'[%d,%d,%d,"%s"]' % (run, thread, number, b"x" * (number % 3000)))
        number += 1
        acknowledged[thread] = number

print("go", flush=True)
threads = [threading.Thread(target=write, args=(n,)) for n in range(count)]
[thread.start() for thread in threads]
"""

FORK = """
import ctypes, json, os, sys
from pathlib import Path
from nudge_sdk.runtime.journal import Journal
from nudge_sdk.runtime.journal_files import adopt

def fork_past_the_hooks():
    return ctypes.PyDLL(None).fork()

folder, fork = Path(sys.argv[1]), {"python": os.fork, "c": fork_past_the_hooks}[sys.argv[2]]
journal = Journal(folder)
parents, _ = journal.append(b'["parent",0]')
read_end, write_end = os.pipe()
child = fork()
if child == 0:
    names = []
    for number in range(1000):
        names.append(journal.append(b'["child",%d]' % number)[0])
    os.write(write_end, json.dumps(sorted(set(names))).encode())
    os._exit(0)
for number in range(1, 1000):
    journal.append(b'["parent",%d]' % number)
childs = json.loads(os.read(read_end, 1000))
os.waitpid(child, 0)
print(json.dumps({
    "parent": [parents, journal.path.name],
    "child": childs,
    "parents_is_locked_after_the_child_ended": adopt(folder / parents) is None,
    "childs_is_orphaned": adopt(folder / childs[0]) is not None,
}))
"""

FORK_AN_IDLE_CHILD = """
import os, sys, time
from pathlib import Path
from nudge_sdk.runtime.journal import Journal

journal = Journal(Path(sys.argv[1]))
journal.append(b'["parent"]')
if os.fork() == 0:
    print(os.getpid(), flush=True)
time.sleep(60)
os._exit(0)
"""

OUTLIVE_A_FORK_UNDER_LOCK = """
import os, signal, sys, threading
from pathlib import Path
from nudge_sdk.runtime.journal import Journal

journal = Journal(Path(sys.argv[1]), max_file_bytes=500)  # so that a thread is often about to begin a new file
stop = threading.Event()

def write():
    while not stop.is_set():
        journal.append(b'["thread"]')

threads = [threading.Thread(target=write) for _ in range(4)]
[thread.start() for thread in threads]
children = []
for number in range(30):
    child = os.fork()
    if child == 0:
        signal.alarm(5)
        journal.append(b'["child",%d]' % number)
        os._exit(0)
    children.append(child)
codes = [os.waitpid(child, 0)[1] for child in children]
stop.set()
[thread.join() for thread in threads]
sys.exit(any(codes))
"""

CREATE_AND_ABANDON = """
import sys, time
from pathlib import Path
from nudge_sdk.runtime.journal import Journal

until, written = time.monotonic() + float(sys.argv[2]), 0
while time.monotonic() < until:
    journal = Journal(Path(sys.argv[1]))
    for _ in range(3):
        journal.append(b'["%s",%d]' % (sys.argv[3].encode(), written))
        written += 1
    journal.close()
print(written)
"""

ADOPT_AND_REMOVE = """
import sys, time
from pathlib import Path
from nudge_sdk.runtime.journal_files import adopt, journals, sweep

folder, until = Path(sys.argv[1]), time.monotonic() + float(sys.argv[2])
while time.monotonic() < until:
    sweep(folder)
    for path in journals(folder):
        if adopted := adopt(path):
            for line in adopted.read(0, 1 << 30).lines:
                print(line.decode())
            adopted.remove()
"""

FILL_THE_DISK = """
import json, resource, sys
from pathlib import Path
from nudge_sdk.errors import JournalError
from nudge_sdk.runtime.journal import Journal

resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
journal = Journal(Path(sys.argv[1]))
accepted, refused, kept = [], [], []
for number in range(1000):
    line = '["line",%d,"%s"]' % (number, "x" * (number % 70))
    try:
        journal.append(line.encode())
        accepted.append(line)
    except JournalError as error:
        refused.append(str(error))
        kept.append(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
for _ in range(50):
    try:
        journal.append(b'["no room at all"]')
    except JournalError as error:
        refused.append(str(error))
from nudge_sdk.runtime.journal_files import adopt, journals
adopted = [adopt(path) for path in journals(Path(sys.argv[1]))]
print(json.dumps({"accepted": accepted, "refused": refused, "adoptable": sum(a is not None for a in adopted)}))
"""

WRITE_AS_NOBODY = """
import os, sys
from pathlib import Path
from nudge_sdk.errors import JournalError
from nudge_sdk.runtime.journal import Journal

if os.getuid() == 0:
    os.setuid(65534)
try:
    Journal(Path(sys.argv[1])).append(b"[1]")
except JournalError as error:
    print(error)
"""


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def result(process: subprocess.Popen[str]) -> str:
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    return output


def run(script: str, *arguments: object) -> str:
    return result(start(script, *arguments))


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def all_lines(folder: Path) -> list[bytes]:
    return [line for path in journals(folder) for line in read_lines(path, max_bytes=2**30).lines]


class Reader:
    """Stands for the drainer and its store: reads live files on, adopts orphans, remembers positions by name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.positions: dict[str, int] = {}
        self.lines: list[bytes] = []

    def read_live(self) -> None:
        for path in journals(self.folder):
            lines, end, torn = read_lines(path, self.positions.get(path.name, 0), 100_000)
            assert torn == 0
            self.lines += lines
            self.positions[path.name] = end

    def drain_orphans(self) -> None:
        for path in journals(self.folder):
            adopted = adopt(path)
            assert adopted is not None
            offset = self.positions.pop(path.name, 0)
            while offset < adopted.size:
                lines, offset, _ = adopted.read(offset, 100_000)
                self.lines += lines
            adopted.remove()


def test_every_acknowledged_line_is_read_exactly_once_after_random_kills(tmp_path: Path) -> None:
    reader = Reader(tmp_path / "journal")
    chance = random.Random(20)
    acknowledged: dict[tuple[int, int], int] = {}
    for number in range(KILLS):
        acks = tmp_path / "acks"
        acks.write_bytes(bytes(8 * THREADS))
        writer = start(APPEND_UNTIL_KILLED, reader.folder, acks, number, THREADS)
        assert writer.stdout is not None
        assert writer.stdout.readline() == "go\n"
        until = time.monotonic() + chance.uniform(0.002, 0.08)
        while time.monotonic() < until:
            reader.read_live()
        kill(writer)
        reader.drain_orphans()
        for thread, count in enumerate(struct.unpack(f"{THREADS}Q", acks.read_bytes())):
            acknowledged[number, thread] = count
    seen: dict[tuple[int, int], list[int]] = {key: [] for key in acknowledged}
    for line in reader.lines:
        writer_number, thread, position, _ = json.loads(line)
        seen[writer_number, thread].append(position)
    assert sum(acknowledged.values()) > 100 * KILLS
    for key, count in acknowledged.items():
        # At most the one line that was being written may be there without its acknowledgement.
        assert sorted(seen[key]) == list(range(len(seen[key])))
        assert len(seen[key]) - count in (0, 1)
    assert journals(reader.folder) == []


@pytest.mark.parametrize("way", ["python", "c"])
def test_a_forked_child_writes_a_file_of_its_own_and_leaves_the_parents_lock_alone(tmp_path: Path, way: str) -> None:
    told = json.loads(run(FORK, tmp_path, way))
    assert told["parent"][0] == told["parent"][1]
    assert len(told["child"]) == 1
    assert told["child"] != told["parent"][:1]
    assert told["parents_is_locked_after_the_child_ended"]
    assert told["childs_is_orphaned"]
    lines = {path.name: read_lines(path).lines for path in journals(tmp_path)}
    assert lines[told["parent"][0]] == [b'["parent",%d]' % number for number in range(1000)]
    assert lines[told["child"][0]] == [b'["child",%d]' % number for number in range(1000)]


def test_a_child_that_never_writes_does_not_hold_back_the_file_of_its_dead_parent(tmp_path: Path) -> None:
    parent = start(FORK_AN_IDLE_CHILD, tmp_path)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    try:
        (path,) = journals(tmp_path)
        assert adopt(path) is None
        parent.kill()
        parent.wait()
        adopted = adopt(path)
        assert adopted is not None
        assert adopted.read().lines == [b'["parent"]']
        adopted.close()
    finally:
        os.kill(child, signal.SIGKILL)
        parent.communicate()


def test_children_forked_while_other_threads_write_can_write_too(tmp_path: Path) -> None:
    run(OUTLIVE_A_FORK_UNDER_LOCK, tmp_path)
    lines = Counter(all_lines(tmp_path))
    assert lines.pop(b'["thread"]') > 0
    assert lines == Counter(b'["child",%d]' % number for number in range(30))


def test_no_line_is_lost_while_others_adopt_whatever_they_can_get(tmp_path: Path) -> None:
    seconds = 1.2
    readers = [start(ADOPT_AND_REMOVE, tmp_path, seconds + 0.5) for _ in range(2)]
    writers = [start(CREATE_AND_ABANDON, tmp_path, seconds, name) for name in "ab"]
    written = {name: int(result(writer)) for name, writer in zip("ab", writers, strict=True)}
    read = Counter(line for reader in readers for line in result(reader).splitlines())
    read.update(line.decode() for line in all_lines(tmp_path))
    assert min(written.values()) > 100
    assert read == Counter(f'["{name}",{number}]' for name, count in written.items() for number in range(count))


def test_a_full_disk_is_an_error_and_never_a_torn_or_lost_line(tmp_path: Path) -> None:
    told = json.loads(run(FILL_THE_DISK, tmp_path))
    assert [line.decode() for line in all_lines(tmp_path)] == told["accepted"]
    assert len(told["accepted"]) + len(told["refused"]) == 1050
    assert len(told["accepted"]) > 900
    assert all("cannot be written" in message for message in told["refused"])
    assert "ulimit -f" in told["refused"][-1]
    with_content = [path for path in journals(tmp_path) if path.stat().st_size]
    assert any(not path.read_bytes().endswith(b"\n") for path in with_content)
    # What took no more is the drainer's at once, although somebody keeps the errors; one empty file stays.
    assert told["adoptable"] >= len(with_content) - 1
    assert len(journals(tmp_path)) <= len(with_content) + 1


def test_a_folder_that_may_not_be_written_is_an_error_that_names_it(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    folder.mkdir(mode=0o500)
    message = run(WRITE_AS_NOBODY, folder)
    assert str(folder) in message
    assert "Permission denied" in message
    assert list(folder.iterdir()) == []


def test_a_process_that_ends_without_closing_leaves_its_file_to_others_and_prints_nothing(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from nudge_sdk.runtime.journal import Journal\n"
        "journal = Journal(Path(sys.argv[1])); journal.cycle = journal; journal.append(b'[1]')"
    )
    assert run(script, tmp_path) == ""
    (path,) = journals(tmp_path)
    adopted = adopt(path)
    assert adopted is not None
    assert adopted.read().lines == [b"[1]"]
    adopted.close()
