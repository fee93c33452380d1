"""How fast a history is imported, and a new signal counted from it, beside bare ``sqlite3`` writing the same rows.

Also how much memory that takes, in a process of its own (``python -m tests.bench.importing FILE FOLDER``), for all of
it and for one of half as many members and events.
"""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from nudge_sdk import NudgeClient
from nudge_sdk.importing import Columns, ImportRun, Refused, Rejects, Row, RowMaker, read_csv
from nudge_sdk.rules.conditions import Signal
from nudge_sdk.rules.definition import Milestone
from nudge_sdk.rules.records import Record
from nudge_sdk.rules.times import to_iso
from tests.bench.bare import BATCH, BareSqlite, batches_of, once, renamed
from tests.bench.drain import introduce
from tests.bench.harness import Figure, Limit, Scale, a_second, significant
from tests.bench.product import Person, Steps, client, definition, person
from tests.bench.stored import days_of

COLUMNS = Columns(time="at", account="account", id="id", numbers=("n",))
HEADER = ("user_id", "event", "at", "account", "id", "plan", "n")
EVENTS_OF_ONE = 100
"""Events of one member, on average."""
ROWS = 5000
"""Rows a transaction, as ``nudge import`` takes them."""
PARTS = 10
SAMPLE = 10_000
MOST_WEIGHED = 1_000_000
"""Events whose import is weighed: if twice as many take no more memory, neither do ten times as many."""
WEIGHED_OF_ONE = 10
"""Events of one member where memory is weighed: the members of half a history are to fill a transaction too."""
RECOUNTS = 3
CACHE_MB = 64
"""What SQLite may keep of its file, as the store sets it."""
MB = 1024 * 1024
BARE, SORTED = "bare", "sorted"
RIVALS = {
    BARE: "of the rate of bare `sqlite3` writing the same rows in the order of the file",
    SORTED: "of the rate of bare `sqlite3` that gets them in the order in which we take them, without having to sort",
}


def measure(folder: Path, scale: Scale) -> Iterator[Figure]:
    """Yield how fast importing and counting anew are, and what they take."""
    folder.mkdir()
    people = [person(index) for index in range(max(20, scale.imported // EVENTS_OF_ONE))]
    whole, half = folder / "whole.csv", folder / "half.csv"
    _write(whole, people, scale.imported)
    race = ImportRace(folder / "race", people)
    found = race.run(whole, scale.imported)
    yield _figure("import_history", "import", scale, found)
    yield _figure("import_history_sorted", "the same: import", scale, found, SORTED)
    size = race.size() / scale.imported
    found = race.recount(scale.imported, RECOUNTS if scale.imported <= 1_000_000 else 1)
    yield _figure("recount", "count a new signal from", scale, found)
    race.close()
    shutil.rmtree(folder / "race")
    yield Figure(
        "bytes_an_event",
        f"SQLite file after an import of {scale.imported:,} events by {len(people):,} members",
        [size],
        "an event, all included",
        Limit("at most", 130),
        {},
        "bytes",
    )
    scale = scale._replace(imported=min(scale.imported, MOST_WEIGHED))
    people = [person(index) for index in range(max(20, scale.imported // WEIGHED_OF_ONE))]
    _write(whole, people, scale.imported)
    _write(half, people[: len(people) // 2], scale.imported // 2)
    yield _memory(folder, whole, half, scale)


def _figure(name: str, what: str, scale: Scale, found: dict[str, list[float]], rival: str = BARE) -> Figure:
    pairs = zip(found["ours"], found[rival], strict=True)
    return Figure(
        name,
        f"{what} {scale.imported:,} events, SQLite",
        [ours / bare for ours, bare in pairs],
        RIVALS[rival],
        Limit("at least", 0.6) if rival == BARE else None,
        {f"{each}_a_second": significant(median(found[each])) for each in ("ours", rival)},
        "%",
        f"{a_second(found['ours'])} beside {a_second(found[rival])}",
    )


class ImportRace:
    """One store that is imported into, and one that a part of the same is written to without the SDK.

    Args:
        folder: Where both are.
        people: Who is in the history; both stores know them already.
    """

    def __init__(self, folder: Path, people: list[Person]) -> None:
        folder.mkdir()
        self.path = folder / "nudge.db"
        clock = Steps()
        with client(folder, clock) as ours:
            ours.publish(definition())
        introduce(folder, clock, people=people)
        shutil.copyfile(self.path, folder / "bare.db")
        self.ours = client(folder, clock)
        self._bare = BareSqlite(folder / "bare.db")
        self._writes = 0
        self._sample: deque[Record] = deque(maxlen=SAMPLE)
        self._some = {each.account for each in people[: max(1, SAMPLE // EVENTS_OF_ONE)]}
        self._of_some: list[Record] = []

    def run(self, path: Path, events: int) -> dict[str, list[float]]:
        """Import a file; return events a second of each tenth, ours and bare."""
        batch = min(ROWS, max(BATCH, events // PARTS))
        part = max(batch, events // PARTS)
        took: list[float] = []
        parts: list[int] = []
        bare: dict[str, list[float]] = {BARE: [], SORTED: []}
        rest = 0.0
        began = time.perf_counter()

        def on_batch(summary: Any) -> None:
            nonlocal began, rest
            if not summary.accepted:
                rest += time.perf_counter() - began
                began = time.perf_counter()
                return
            new = summary.accepted - sum(parts)
            if new >= part or (new and summary.accepted == events):
                took.append(time.perf_counter() - began)
                parts.append(new)
                bare[BARE].append(self._write_bare(list(self._sample)))
                bare[SORTED].append(self._write_bare(sorted(self._of_some, key=_order)))
                began = time.perf_counter()

        summary = import_file(self.ours, path, on_batch, self._note, batch=batch)
        assert summary.accepted == summary.new == events, summary
        # Reading and sorting, what is left, and the judging of everybody at the end, is every part's to bear.
        rest = (rest + time.perf_counter() - began) / len(took)
        return {"ours": [part / (each + rest) for part, each in zip(parts, took, strict=True)], **bare}

    def recount(self, events: int, times: int) -> dict[str, list[float]]:
        """Publish new signals one after the other; return events a second, ours and bare."""
        found: dict[str, list[float]] = {"ours": [], BARE: []}
        for number in range(times):
            began = time.perf_counter()
            publish_new(self.ours, number)
            found["ours"].append(events / (time.perf_counter() - began))
            found[BARE].append(self._write_bare(list(self._sample)))
        return found

    def size(self) -> int:
        """Return the bytes of the file."""
        self.ours.store.close()
        return self.path.stat().st_size

    def close(self) -> None:
        """Let go of the files."""
        self.ours.close()
        self._bare.close()

    def _note(self, record: Record) -> None:
        self._sample.append(record)
        if record.account_id in self._some:
            self._of_some.append(record)

    def _write_bare(self, records: list[Record]) -> float:
        """Return the rows a second; they may have been written before, and so get other ids."""
        self._writes += 1
        batches = renamed(once(batches_of(self.ours.store, records)), b"%d" % self._writes)
        return len(records) / self._bare.write(batches)


def _order(record: Record) -> tuple[str, str, int]:
    return (record.account_id, record.user_id, record.at)


def import_file(ours: NudgeClient, path: Path, on_batch: Any = None, note: Any = None, *, batch: int = ROWS) -> Any:
    """Import a file as ``nudge import`` does; each record is told to ``note``."""
    maker = RowMaker(ours.now)
    with path.open("rb") as stream, Rejects(path.with_suffix(".rejected")) as rejects:
        rows: Iterable[Row | Refused] = read_csv(stream, maker, COLUMNS)
        run = ImportRun(ours.intake, rejects, import_id=path.name, batch=batch, on_batch=on_batch)
        summary = run.run(rows if note is None else _noted(rows, note))
    maker.close()
    return summary


def _noted(rows: Iterable[Row | Refused], note: Any) -> Iterator[Row | Refused]:
    for row in rows:
        if isinstance(row, Row):
            note(row.record)
        yield row


def publish_new(ours: NudgeClient, number: int) -> None:
    """Publish a definition with a signal that was never counted before."""
    names = ("page_viewed", "file_uploaded", "settings_opened")
    signal = Signal(event=names[number % len(names)])
    extra = Milestone(key=f"new{number}", name=f"New {number}", done="was new", signal=signal, at_least=2)
    before = ours.intake.refresh().signals
    ours.publish(definition(also=(extra,)))
    assert ours.intake.refresh().signals > before


def _write(path: Path, people: list[Person], events: int) -> None:
    """Write a history as a CSV file."""
    with path.open("w", newline="") as stream:
        out = csv.writer(stream)
        out.writerow(HEADER)
        for records in days_of(events, people):
            for each in records:
                at = to_iso(each.at)
                data = each.data
                out.writerow((each.user_id, each.name, at, each.account_id, each.id, data["plan"], data["n"]))


def _memory(folder: Path, whole: Path, half: Path, scale: Scale) -> Figure:
    found = {path.stem: _alone(path, folder / path.stem) for path in (half, whole)}
    peak = {name: each["peak_mb"] for name, each in found.items()}
    grown = peak["whole"] - peak["half"]
    cache = min(CACHE_MB, found["whole"]["file_mb"]) - min(CACHE_MB, found["half"]["file_mb"])
    return Figure(
        "import_memory",
        f"memory of importing {scale.imported:,} events and counting anew, beside that of half as many",
        [significant(max(0.0, grown - cache))],
        "more, SQLite's own cache apart",
        Limit("at most", 16),
        {**found, "cache_grew_mb": significant(cache)},
        "MB",
        f"peak {peak['whole']:.0f} MB beside {peak['half']:.0f} MB, of which {cache:.0f} MB SQLite's cache",
    )


def _alone(path: Path, folder: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.bench.importing", str(path), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    found: dict[str, float] = msgspec.json.decode(done.stdout)
    return found


def _import_alone(path: Path, folder: Path) -> dict[str, float]:
    """Import a file, count a new signal, and say how much memory this process needed at most."""
    folder.mkdir()
    with client(folder, Steps()) as ours:
        ours.publish(definition())
        import_file(ours, path)
        after_import = _peak()
        publish_new(ours, 0)
    size = (folder / "nudge.db").stat().st_size / MB
    return {"peak_after_import_mb": after_import, "peak_mb": _peak(), "file_mb": significant(size)}


def _peak() -> float:
    # What getrusage says of a new process is no less than what its parent had at the fork.
    status = Path("/proc/self/status").read_text().splitlines()
    return significant(next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024)


if __name__ == "__main__":
    print(msgspec.json.encode(_import_alone(Path(sys.argv[1]), Path(sys.argv[2]))).decode())
