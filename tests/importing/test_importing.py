"""Imports end to end, in this process: what is taken, what is set aside, and what importing again changes."""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from nudge_sdk.cli import main
from nudge_sdk.importing import Columns, Row, RowMaker, read_csv
from nudge_sdk.importing.running import import_id_of
from nudge_sdk.rules.records import Record
from nudge_sdk.runtime.intake import Intake
from nudge_sdk.runtime.recorder import present
from nudge_sdk.store import open_store

DEFINITION = """
name: Mail
milestones:
  - key: sent
    name: Sent a campaign
    category: high
    signal: {event: campaign_sent}
    at_least: 2
    window: {days: 400}
  - key: spent
    name: Spent
    category: high
    signal: {event: paid, measure: sum, property: amount}
    at_least: 10
    window: {days: 400}
segments:
  - key: everybody
    member:
      warm: {score: 5, gates: [{milestones: [sent, spent]}]}
      hot: {score: 10, gates: [{milestones: [sent, spent], at_least: 2}]}
"""
AT = "2026-03-01T00:00:00Z"

Run = Callable[..., Result]


@pytest.fixture
def store(tmp_path: Path) -> str:
    path = tmp_path / "definition.yaml"
    path.write_text(DEFINITION, encoding="utf-8")
    url = f"sqlite:///{tmp_path}/nudge.db"
    assert CliRunner().invoke(main, ["publish", str(path), "--store", url]).exit_code == 0
    return url


@pytest.fixture
def run(store: str) -> Run:
    def invoke(*words: object, content: bytes | None = None) -> Result:
        return CliRunner().invoke(main, [*map(str, words), "--store", store], input=content)

    return invoke


def records(store: str) -> list[Record]:
    opened = open_store(store)
    found = list(opened.records())
    opened.close()
    return found


def rejected(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def digest(run: Run) -> str:
    done = run("export", "--states", "--at", AT, "--sha256")
    assert done.exit_code == 0, done.stderr
    return done.stdout.strip()


def csv_file(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def generated(count: int) -> list[str]:
    draw = random.Random(7)
    lines = [
        f"u{draw.randrange(40)},{draw.choice(['campaign_sent', 'paid', 'home'])},"
        f"2026-02-{draw.randrange(1, 29):02} {draw.randrange(24):02}:00:00,{draw.randrange(1, 9)}"
        for _ in range(count)
    ]
    return lines + lines[:25]


HEADER = "user_id,event,timestamp,amount"
CSV_OPTIONS = ("--timezone", "UTC", "--number-col", "amount", "--batch", 100)


def test_order_and_repetition_of_an_import_change_nothing_and_replay_agrees(
    run: Run, store: str, tmp_path: Path
) -> None:
    lines = generated(1500)
    first = csv_file(tmp_path / "first.csv", HEADER, *lines)
    assert "1525 accepted: 1525 new, 0 already there" in run("import", first, *CSV_OPTIONS).stdout
    expected = digest(run)

    shuffled = csv_file(tmp_path / "shuffled.csv", HEADER, *random.Random(3).sample(lines, len(lines)))
    assert "1525 accepted: 0 new, 1525 already there" in run("import", shuffled, *CSV_OPTIONS).stdout
    assert digest(run) == expected
    assert run("replay", "--all", "--at", AT, "--sha256").stdout.strip() == expected

    dump = run("export", "--states", "--at", AT)
    assert {json.loads(line)["tier"] for line in dump.stdout.splitlines() if json.loads(line)["user"]} >= {"hot"}
    assert "members: 40" in dump.stderr


def test_one_more_event_changes_the_hash(run: Run, tmp_path: Path) -> None:
    lines = generated(100)
    run("import", csv_file(tmp_path / "a.csv", HEADER, *lines), *CSV_OPTIONS)
    before = digest(run)
    run("import", csv_file(tmp_path / "b.csv", HEADER, lines[0], lines[0], lines[0]), *CSV_OPTIONS)
    assert digest(run) != before


def test_equal_rows_count_as_often_as_they_stand_in_the_file_and_once_with_dedupe(
    run: Run, store: str, tmp_path: Path
) -> None:
    row = "ada,campaign_sent,2026-02-03 10:00:00,1"
    file = csv_file(tmp_path / "twice.csv", HEADER, row, row)
    assert "2 new" in run("import", file, *CSV_OPTIONS).stdout
    assert "0 new, 2 already there" in run("import", file, *CSV_OPTIONS, "--dedupe").stdout
    assert len(records(store)) == 2


def test_what_is_imported_is_history_with_all_other_columns_as_properties(run: Run, store: str, tmp_path: Path) -> None:
    file = csv_file(
        tmp_path / "named.csv",
        "who;what;when;company;key;plan;amount;empty",
        "ada;paid;2026-02-03 10:00:00;acme;m1;pro;12.5;",
    )
    columns = ("--user-col", "who", "--event-col", "what", "--time-col", "when", "--account-col", "company")
    done = run(
        "import", file, *columns, "--id-col", "key", *CSV_OPTIONS, "--delimiter", ";", "--timezone", "Asia/Tokyo"
    )
    assert done.exit_code == 0, done.output
    (record,) = records(store)
    assert (record.account_id, record.user_id, record.id, record.name) == ("acme", "ada", "m1", "paid")
    assert record.data == {"plan": "pro", "amount": 12.5}
    assert record.history
    assert record.at == 1770080400 * 1_000_000


def test_an_event_that_meets_a_goal_becomes_a_conversion_too_and_once(run: Run, store: str, tmp_path: Path) -> None:
    file = csv_file(
        tmp_path / "shop.csv",
        HEADER,
        "ada,campaign_sent,2026-02-03 10:00:00,1",
        "ada,subscribed,2026-02-04 10:00:00,12.5",
        "bob,subscribed,2026-02-04 10:00:00,",
        "cyd,subscribed,2026-02-05 10:00:00,much",
    )
    words = ("--timezone", "UTC", "--goal", "subscribed=paid", "--value-property", "amount")
    assert "6 accepted: 6 new, 0 already there; 1 set aside" in run("import", file, *words).stdout
    assert "6 accepted: 0 new, 6 already there; 1 set aside" in run("import", file, *words).stdout
    met = [(each.user_id, each.name, each.data) for each in records(store) if each.kind == "convert"]
    assert sorted(met) == [("ada", "paid", {"value": 12.5}), ("bob", "paid", {})]
    assert sum(each.name == "subscribed" for each in records(store)) == 3
    (line,) = rejected(tmp_path / "shop.csv.rejected.jsonl")
    assert line["line"] == 5
    assert "'much' is not a number" in line["reason"]


def test_a_goal_that_is_no_pair_is_refused(run: Run, tmp_path: Path) -> None:
    file = csv_file(tmp_path / "a.csv", HEADER, "ada,campaign_sent,2026-02-03 10:00:00,1")
    done = run("import", file, *CSV_OPTIONS, "--goal", "paid")
    assert done.exit_code == 2
    assert "'paid' is not EVENT=GOAL" in done.output


def test_bad_rows_are_set_aside_with_line_and_reason_and_the_rest_goes_on(run: Run, store: str, tmp_path: Path) -> None:
    file = tmp_path / "mixed.csv"
    file.write_bytes(
        b"\xef\xbb\xbfuser_id,event,timestamp,amount\n"
        b"ada,paid,2026-02-03 10:00:00,3\n"
        b",paid,2026-02-03 10:00:00,3\n"
        b"ada,,2026-02-03 10:00:00,3\n"
        b"ada,paid,yesterday,3\n"
        b"ada,paid,,3\n"
        b"ada,paid,2026-02-03 10:00:00,much\n"
        b"ada,paid,2026-02-03 10:00:00\n"
        b"ada,p\xffaid,2026-02-03 10:00:00,3\n"
        b"\n"
        b'bob,"two\nlines",2026-02-03 10:00:00,3\n'
        b"eve,paid,2026-02-03 10:00:00,3\n"
    )
    done = run("import", file, *CSV_OPTIONS)
    assert done.exit_code == 0
    assert "3 accepted: 3 new, 0 already there; 7 set aside" in done.stdout
    told = rejected(tmp_path / "mixed.csv.rejected.jsonl")
    assert [row["line"] for row in told] == [3, 4, 5, 6, 7, 8, 9]
    reasons = [row["reason"] for row in told]
    assert "user: is empty" in reasons[0]
    assert "event: is empty" in reasons[1]
    assert "'yesterday' is not ISO 8601" in reasons[2]
    assert "time: is missing" in reasons[3]
    assert "'much' is not a number" in reasons[4]
    assert "has 3 cells where the first line has 4" in reasons[5]
    assert "surrogate" in reasons[6]
    assert told[2]["text"] == "ada,paid,yesterday,3"
    assert {record.user_id for record in records(store)} == {"ada", "bob", "eve"}


@pytest.mark.parametrize(
    ("content", "options", "complaint"),
    [
        ("a,b\n1,2\n", (), "columns 'a', 'b', but not --user-col 'user_id', --event-col 'event'"),
        (f"{HEADER}\n", ("--account-col", "firm"), "--account-col 'firm'"),
        (f"{HEADER}\n", ("--timezone", "Mars/Base"), "'Mars/Base' is no time zone"),
        ("event,event,user_id,timestamp\n", (), "'event' more than once"),
        (f"{HEADER}\n", (), "has no rows"),
        ("", (), "is empty"),
        ('[{"type": "track"}]', (), "one object a line"),
        (
            f"{HEADER}\nada,paid,2026-02-03 10:00:00,1\n",
            (),
            "nothing in .* could be read: .* line 2: .* --timezone UTC",
        ),
        (f"{HEADER}\n", ("--delimiter", "ab"), "not one character"),
    ],
)
def test_an_import_that_cannot_start_says_why_in_one_line(
    run: Run, tmp_path: Path, content: str, options: tuple[str, ...], complaint: str
) -> None:
    file = tmp_path / "bad.csv"
    file.write_text(content, encoding="utf-8")
    done = run("import", file, *options)
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert re.search(complaint, done.stderr), done.stderr


def test_times_without_a_zone_are_said_once_at_the_start(run: Run, tmp_path: Path) -> None:
    naive = ["ada,paid,2026-02-03 10:00:00,1"] * 60
    file = csv_file(tmp_path / "naive.csv", HEADER, *naive, "ada,paid,2026-02-03 10:00:00Z,1")
    done = run("import", file)
    assert done.exit_code == 0
    assert done.stderr.count("Warning: the times have no time zone") == 1
    assert "1 accepted: 1 new, 0 already there; 60 set aside" in done.stdout


def test_a_file_that_is_cut_off_keeps_what_came_before(run: Run, store: str, tmp_path: Path) -> None:
    rows = [f"u{index % 9},paid,2026-02-03 10:00:00,{random.Random(index).random()}" for index in range(6000)]
    packed = gzip.compress("\n".join([HEADER, *rows]).encode())
    file = tmp_path / "cut.csv.gz"
    file.write_bytes(packed[: len(packed) * 3 // 4])
    done = run("import", file, *CSV_OPTIONS, "--batch", 1000)
    assert done.exit_code == 2
    assert "damaged or cut off" in done.stderr
    assert len(records(store)) >= 1000
    assert run("doctor").exit_code == 0


def test_messages_of_segment_are_read_in_every_form(
    run: Run, store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    when = "2026-02-03T10:00:00Z"
    messages: list[dict[str, Any]] = [
        {"type": "track", "userId": "ada", "event": "paid", "properties": {"amount": 3}, "messageId": "1"},
        {"type": "track", "anonymousId": "a9", "event": "paid", "context": {"groupId": "acme"}, "messageId": "2"},
        {"type": "page", "userId": 17, "name": "Pricing", "properties": {"url": "/pricing"}, "messageId": "3"},
        {"type": "screen", "userId": "ada", "name": "Home", "messageId": "4"},
        {"type": "identify", "userId": "ada", "traits": {"role": "admin"}, "messageId": "5"},
        {"type": "group", "userId": "ada", "groupId": "acme", "traits": {"plan": "free"}, "messageId": "6"},
        {"type": "alias", "previousId": "x1", "userId": "bob", "messageId": "7"},
    ]
    lines = [{**message, "timestamp": when} for message in messages]
    batch = {"batch": [*lines[3:], {"type": "dance", "userId": "ada", "timestamp": when}]}
    content = "\n".join(map(json.dumps, [*lines[:3], batch])) + "\nnot json\n[1]\n"
    monkeypatch.chdir(tmp_path)
    done = run("import", "-", content=gzip.compress(content.encode()))
    told = rejected(tmp_path / "stdin.rejected.jsonl")
    assert "7 accepted: 7 new, 0 already there; 3 set aside" in done.stdout, done.output
    assert [(row["line"], row["reason"].partition(":")[0]) for row in told] == [
        (4, "item 5 of the batch"),
        (5, "is not JSON"),
        (6, "line"),
    ]
    found = {record.id: record for record in records(store)}
    assert (found["2"].account_id, found["2"].user_id) == ("acme", "a9")
    assert (found["3"].name, found["3"].data, found["3"].user_id) == (
        "page",
        {"name": "Pricing", "url": "/pricing"},
        "17",
    )
    assert found["4"].name == "screen"
    assert (found["5"].kind, found["5"].data) == ("identify", {"role": "admin"})
    assert (found["6"].kind, found["6"].account_id) == ("group", "acme")
    assert (found["7"].kind, found["7"].user_id, found["7"].name) == ("alias", "x1", "bob")
    assert all(record.history for record in found.values())
    assert digest(run) == run("replay", "--all", "--at", AT, "--sha256").stdout.strip()


def test_no_episode_begins_in_the_past_but_those_who_qualify_begin_one_when_the_import_ends(
    run: Run, store: str, tmp_path: Path
) -> None:
    rows = [f"ada,campaign_sent,2026-02-0{day} 10:00:00,1" for day in (1, 2)]
    before = records(store)
    run("import", csv_file(tmp_path / "h.csv", HEADER, *rows, "bob,home,2026-02-01 10:00:00,1"), *CSV_OPTIONS)
    opened = open_store(store)
    (episode,) = opened.episodes("personal:ada", "ada")
    received = [record.received_at for record in opened.records()]
    assert before == []
    assert episode.started_at >= max(received)
    assert episode.cause == "import"
    assert opened.episodes("personal:bob", "bob") == []
    opened.close()


def test_a_transaction_is_about_few_enough_people_to_bound_what_it_takes(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []

    def take(intake: Intake, records: list[Record], **options: Any) -> int:
        taken.append(len(records))
        return original(intake, records, **options)

    original = Intake.take_counting
    monkeypatch.setattr(Intake, "take_counting", take)
    monkeypatch.setattr("nudge_sdk.importing.running.MOST_SUBJECTS", 10)
    many = [f"user-{number},sent,2026-02-03 10:00:00,1" for number in range(12)]
    one = ["ada,sent,2026-02-03 11:00:00,1"] * 12
    run("import", csv_file(tmp_path / "many.csv", HEADER, *many, *one), *CSV_OPTIONS)
    assert taken == [16, 5, 3]


def test_a_line_that_is_endless_is_set_aside_unread(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nudge_sdk.importing.segment.LONGEST_LINE", 200)
    good = json.dumps({"type": "track", "userId": "a", "event": "e", "timestamp": "2026-02-03T10:00:00Z"})
    file = tmp_path / "long.jsonl"
    file.write_text("\n".join([good, '{"x": "' + "y" * 1000 + '"}', good]) + "\n", encoding="utf-8")
    assert "2 accepted: 2 new, 0 already there; 1 set aside" in run("import", file).stdout
    assert rejected(tmp_path / "long.jsonl.rejected.jsonl")[0]["line"] == 2


def test_members_held_by_an_import_that_was_killed_are_freed_by_importing_the_file_again(
    run: Run, store: str, tmp_path: Path
) -> None:
    rows = [f"ada,campaign_sent,2026-02-0{day} 10:00:00,1" for day in (1, 2)]
    file = csv_file(tmp_path / "h.csv", HEADER, *rows)
    opened = open_store(store)
    with closing(RowMaker(present, timezone="UTC")) as maker, file.open("rb") as stream:
        read = list(read_csv(stream, maker, Columns(numbers=("amount",))))
    taken = [row.record for row in read if isinstance(row, Row)]
    Intake(opened, present).take(taken, wait=5, import_id=import_id_of(str(file)))
    assert opened.episodes("personal:ada", "ada") == []
    assert "0 new, 2 already there" in run("import", file, *CSV_OPTIONS).stdout
    assert len(opened.episodes("personal:ada", "ada")) == 1
    opened.close()


def test_a_progress_bar_is_drawn_only_for_people(run: Run, store: str, tmp_path: Path) -> None:
    file = csv_file(tmp_path / "a.csv", HEADER, *generated(300))
    assert "Importing" not in run("import", file, *CSV_OPTIONS).stderr
    for options, is_drawn in (((), True), (("--quiet",), False)):
        terminal, child = os.openpty()
        command = [sys.executable, "-m", "nudge_sdk.cli", "import", str(file), "--store", store, *map(str, CSV_OPTIONS)]
        done = subprocess.run([*command, *options], stderr=child, stdout=subprocess.PIPE, check=True)
        os.close(child)
        os.set_blocking(terminal, False)
        try:
            drawn = os.read(terminal, 65536)
        except OSError:
            drawn = b""
        os.close(terminal)
        assert (b"Importing" in drawn) is is_drawn
        assert bool(done.stdout) is is_drawn


def test_without_room_to_sort_it_says_what_to_do_and_nothing_else(store: str, tmp_path: Path) -> None:
    file = csv_file(tmp_path / "long.csv", "user_id,event,timestamp,text", *[f"ada,sent,{AT},{'x' * 4_000}"] * 6000)
    done = subprocess.run(
        [sys.executable, "-m", "nudge_sdk.cli", "import", str(file), "--store", store],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4 * 1024 * 1024, resource.RLIM_INFINITY)),
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert re.fullmatch(r"Error: rows cannot be sorted, and nothing was imported: .* TMPDIR .*\n", done.stderr)
    assert records(store) == []


def test_an_import_that_is_killed_is_brought_to_its_end_by_another_of_the_same_file(
    run: Run, store: str, tmp_path: Path
) -> None:
    file = csv_file(tmp_path / "h.csv", HEADER, *generated(8000))
    words = ["import", str(file), "--store", store, *map(str, CSV_OPTIONS)]
    killed = subprocess.Popen([sys.executable, "-m", "nudge_sdk.cli", *words])
    opened = open_store(store)
    deadline = time.monotonic() + 60
    while not any(opened.records()) and time.monotonic() < deadline:
        time.sleep(0.01)
    killed.kill()
    killed.wait()
    taken = sum(1 for _ in opened.records())
    opened.close()
    assert 0 < taken < 8025
    done = run("import", file, *CSV_OPTIONS)
    assert f"8025 accepted: {8025 - taken} new, {taken} already there" in done.stdout
    assert digest(run) == run("replay", "--all", "--at", AT, "--sha256").stdout.strip()
    assert run("doctor").exit_code == 0
