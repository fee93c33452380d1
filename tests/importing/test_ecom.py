"""The shop's history, in three fresh stores: however it comes in, the same is known of everybody."""

from __future__ import annotations

import gzip
import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.importing.commands import AT, ROOT, finish, nudge, published, replayed_hash, start, stored_hash, url

DEFINITION = ROOT / "tests" / "cases" / "ecom.yaml"
ACCEPTED = "31106 accepted: {new} new, {known} already there; 0 set aside"

pytestmark = pytest.mark.shared


def written(path: Path, header: str, lines: list[str]) -> Path:
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def quarters(folder: Path, header: str, lines: list[str]) -> list[Path]:
    by_user: defaultdict[str, list[str]] = defaultdict(list)
    for line in lines:
        by_user[line.partition(",")[0]].append(line)
    parts: list[list[str]] = [[], [], [], []]
    for index, user in enumerate(sorted(by_user)):
        parts[index % 4] += by_user[user]
    return [written(folder / f"quarter{index}.csv", header, part) for index, part in enumerate(parts)]


@pytest.fixture
def shop(shared_data: Path) -> tuple[Path, str, list[str]]:
    path = shared_data / "ecom.csv.gz"
    header, *lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    return path, header, lines


def test_the_shop_is_the_same_in_order_shuffled_in_four_processes_and_imported_again(
    shop: tuple[Path, str, list[str]], tmp_path: Path
) -> None:
    path, header, lines = shop
    first, second, third = (published(url(tmp_path, name), DEFINITION) for name in ("first", "second", "third"))

    assert ACCEPTED.format(new=31106, known=0) in nudge("import", path, "--timezone", "UTC", "--store", first)
    expected = stored_hash(first)

    shuffled = random.Random(1).sample(lines, len(lines))
    file = written(tmp_path / "shuffled.csv", header, shuffled)
    assert ACCEPTED.format(new=31106, known=0) in nudge("import", file, "--timezone", "UTC", "--store", second)
    assert stored_hash(second) == expected

    files = quarters(tmp_path, header, lines)
    running = [start("import", file, "--timezone", "UTC", "--json", "--store", third) for file in files]
    told = [json.loads(finish(process)) for process in running]
    assert sum(each["new"] for each in told) == 31106
    assert stored_hash(third) == expected

    for store, again in ((first, file), (second, path)):
        assert ACCEPTED.format(new=0, known=31106) in nudge("import", again, "--timezone", "UTC", "--store", store)
        assert stored_hash(store) == expected
        assert replayed_hash(store) == expected


def test_the_shop_is_the_same_in_postgresql_by_four_processes_at_once(
    shop: tuple[Path, str, list[str]], tmp_path: Path, new_postgresql: Callable[[], str]
) -> None:
    path, header, lines = shop
    file = published(url(tmp_path, "file"), DEFINITION)
    server = published(new_postgresql(), DEFINITION)
    nudge("import", path, "--timezone", "UTC", "--store", file)
    files = quarters(tmp_path, header, lines)
    running = [start("import", part, "--timezone", "UTC", "--json", "--store", server) for part in files]
    assert sum(json.loads(finish(process))["new"] for process in running) == 31106
    assert stored_hash(server) == stored_hash(file) == replayed_hash(server)
    assert ACCEPTED.format(new=0, known=31106) in nudge("import", path, "--timezone", "UTC", "--store", server)
    assert stored_hash(server) == stored_hash(file)


def test_members_of_every_tier_are_in_the_dump_and_duplicates_count_unless_told_otherwise(
    shop: tuple[Path, str, list[str]], tmp_path: Path
) -> None:
    path, _, lines = shop
    duplicates = sum(count - 1 for count in Counter(lines).values())
    store, deduped = (published(url(tmp_path, name), DEFINITION) for name in ("all", "deduped"))
    nudge("import", path, "--timezone", "UTC", "--store", store)
    told = nudge("import", path, "--timezone", "UTC", "--dedupe", "--json", "--store", deduped)
    assert json.loads(told)["new"] == len(lines) - duplicates
    assert duplicates == 30
    assert stored_hash(deduped) != stored_hash(store)

    subjects = [json.loads(line) for line in nudge("export", "--states", "--at", AT, "--store", store).splitlines()]
    tiers = Counter((bool(subject["user"]), subject["tier"]) for subject in subjects)
    assert set(tiers) == {(who, tier) for who in (True, False) for tier in ("none", "warm", "hot")}
    assert sum(subject["state"]["events"] for subject in subjects if subject["user"]) == 31106
    assert subjects == sorted(subjects, key=lambda subject: (subject["account"], subject["user"]))
