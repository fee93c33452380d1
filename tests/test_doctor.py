"""``nudge doctor``: each thing that can be wrong is found, said in plain words, and told by the exit status."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from nudge_sdk import NudgeClient
from nudge_sdk.cli import main
from nudge_sdk.commands import health
from nudge_sdk.commands.health import Check, examine
from nudge_sdk.rules.times import DAY, HOUR, MINUTE, SECOND
from nudge_sdk.runtime.recorder import present
from nudge_sdk.store import open_store
from nudge_sdk.store.protocol import Exposure, Quarantined, Store
from tests.runtime.examples import locked, nudge, product


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store with a definition in force."""
    if request.param == "postgresql":
        make: Callable[[], str] = request.getfixturevalue("new_postgresql")
        url = make()
    else:
        url = f"sqlite:///{tmp_path}/nudges.db"
    with NudgeClient(url, drain="inline") as client:
        client.publish(product(nudge("hello")))
    return url


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journals"


@pytest.fixture
def client(url: str, folder: Path) -> Iterator[NudgeClient]:
    with NudgeClient(url, journal=folder, drain="external") as client:
        yield client


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    store = open_store(url)
    yield store
    store.close()


def doctor(*words: object) -> Result:
    return CliRunner().invoke(main, ["doctor", *map(str, words)])


def found(store: str | Store, folder: Path | None = None) -> dict[str, Check]:
    checks = examine(store, folder)
    assert len({check.name for check in checks}) == len(checks)
    return {check.name: check for check in checks}


def in_trouble(store: str | Store, folder: Path | None = None) -> dict[str, str]:
    return {name: check.text for name, check in found(store, folder).items() if not check.is_well}


def test_where_all_is_well_everything_is_named_and_the_status_is_0(url: str, folder: Path, client: NudgeClient) -> None:
    assert client.track("ada", "step")
    assert client.flush()
    done = doctor("--store", url, "--journal", folder)
    assert done.exit_code == 0, done.stdout
    assert all(line.startswith("ok   ") for line in done.stdout.splitlines())
    names = {
        check["name"] for check in json.loads(doctor("--store", url, "--journal", folder, "--json").stdout)["checks"]
    }
    assert names - {"clocks"} == {
        "store", "tables", "definition", "processes", "lines set aside", "writing", "members due", "leases",
        "journals", "folder", "disk",
    }  # fmt: skip
    assert ("clocks" in names) == url.startswith("postgresql")


def test_an_opened_store_is_examined_and_stays_open(store: Store, folder: Path, client: NudgeClient) -> None:
    client.track("ada", "step")
    assert client.flush()
    assert in_trouble(store, folder) == {}
    assert store.schema_is_current()
    assert found(store, folder)["store"].text.endswith("answers")


def test_a_store_in_memory_has_no_journals_and_no_leases() -> None:
    with NudgeClient("memory://", definition=product()) as client:
        client.track("ada", "step")
        assert in_trouble(client.store) == {}
        assert "not looked at" in found(client.store)["journals"].text


def test_a_server_without_a_folder_is_examined_without_its_journals(new_postgresql: Callable[[], str]) -> None:
    url = new_postgresql()
    done = doctor("--store", url)
    assert "journals: not looked at" in done.stdout
    assert "LOOK definition: none is in force" in done.stdout
    assert done.exit_code == 1


def test_lag_and_orphans_are_counted(url: str, folder: Path, client: NudgeClient) -> None:
    client.track("ada", "step")
    assert found(url, folder)["journals"].numbers["lines"] == 1
    assert "nobody drains them" in in_trouble(url, folder)["journals"]
    client.close()
    assert "whose process is gone" in in_trouble(url, folder)["orphans"]


def test_a_lag_that_is_drained_needs_no_attention(url: str, folder: Path, client: NudgeClient) -> None:
    client.track("ada", "step")
    assert client.drainer is not None
    client.drainer.drain()
    client.track("ada", "step")
    checks = found(url, folder)
    assert checks["journals"].numbers["lines"] == 1
    assert checks["journals"].is_well


@pytest.mark.parametrize(("behind", "is_well"), [(0, True), (4, True), (7, False), (-7, False), (-4000, False)])
def test_clocks_that_differ_are_found(
    new_postgresql: Callable[[], str], monkeypatch: pytest.MonkeyPatch, behind: int, is_well: bool
) -> None:
    url = new_postgresql()
    monkeypatch.setattr(health, "present", lambda: present() - behind * SECOND)
    check = found(url)["clocks"]
    assert check.is_well is is_well
    assert abs(check.numbers["ahead_milliseconds"] + behind * 1000) < 1000
    if not is_well:
        assert ("behind" if behind > 0 else "ahead of") in check.text
        assert "time server" in check.text


def test_a_store_that_others_write_to_all_the_time_is_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_WAIT", 0.1)
    url = f"sqlite:///{tmp_path}/nudges.db"
    with NudgeClient(url, drain="inline", definition=product()) as client:
        client.track("ada", "step")
    with locked(tmp_path / "nudges.db", "BEGIN IMMEDIATE"):
        assert "the store is locked" in in_trouble(url)["writing"]
    assert in_trouble(url) == {}


def test_a_store_that_is_absent_is_said_without_its_password(tmp_path: Path) -> None:
    for address in (
        "postgresql://nudge:hunter2@127.0.0.1:9/shop",
        "postgresql://nudge@127.0.0.1:9/shop?password=hunter2",
    ):
        done = doctor("--store", address, "--journal", tmp_path)
        assert done.exit_code == 1
        assert "LOOK store:" in done.stdout
        assert "does not answer" in done.stdout
        assert "hunter2" not in done.output
    assert "is not there" in doctor("--store", f"sqlite:///{tmp_path}/no.db").stdout


def test_no_password_is_said_when_the_tables_are_old(postgresql_server: Any) -> None:
    url = postgresql_server.new_database().replace("nudge@", "nudge:hunter2@")
    done = doctor("--store", url)
    assert "LOOK tables: not of this release" in done.stdout
    assert "hunter2" not in done.output
    assert done.exit_code == 1
    postgresql_server.drop_database(url)


def test_lines_set_aside_are_counted(url: str, store: Store) -> None:
    with store.transaction(wait=5) as transaction:
        transaction.add_quarantined([Quarantined("journal", 1, b"{", "no JSON", present())])
    assert in_trouble(url)["lines set aside"].startswith("1 could not be taken in")


def exposure(definition: int, at: int, kind: str = "offered") -> Exposure:
    return Exposure("acme", "ada", os.urandom(4).hex(), kind, "hello", "", "page", at, definition)


def test_a_process_that_decides_by_an_old_definition_is_noticed(url: str, store: Store) -> None:
    with NudgeClient(url, drain="inline") as client:
        client.publish(product(nudge("hello"), nudge("another")))
    row = store.definitions()[-1]
    now = present()
    with store.transaction(wait=5) as transaction:
        transaction.put_definition(msgspec.structs.replace(row, live_at=now - 10 * MINUTE))
        transaction.add_exposures(
            [
                exposure(1, now - 11 * MINUTE),
                exposure(1, now - 10 * MINUTE + SECOND),
                exposure(1, now - 5 * MINUTE, "shown"),
                exposure(2, now - 5 * MINUTE),
            ]
        )
    assert "processes" not in in_trouble(url)
    with store.transaction(wait=5) as transaction:
        transaction.add_exposures([exposure(1, now - 5 * MINUTE), exposure(1, now - 4 * MINUTE, "withheld")])
    check = found(url)["processes"]
    assert check.numbers == {"outdated": 2}
    assert "does not see what is published" in check.text


def test_a_definition_of_a_later_release_is_named(url: str, store: Store) -> None:
    row = store.definitions()[-1]
    with store.transaction(wait=5) as transaction:
        transaction.put_definition(msgspec.structs.replace(row, number=2, document=b"from the future"))
    assert in_trouble(url)["release"].startswith("2 cannot be read by this release, 1 is used")


def test_who_holds_which_lease_is_said(url: str, store: Store) -> None:
    assert found(url)["leases"].text == "none is held"
    now = present()
    assert store.acquire_lease("sweep", "web-1", now=now, seconds=10)
    assert found(url)["leases"].text == "sweep is held by web-1"
    assert store.acquire_lease("export", "web-2", now=now - HOUR, seconds=10)
    assert "export is free; web-2 held it until 59 minutes ago" in found(url)["leases"].text
    assert in_trouble(url) == {}
    assert store.acquire_lease("recount", "web-3", now=now + DAY, seconds=10)
    assert "its clock was wrong" in in_trouble(url)["leases"]


def test_members_who_were_not_judged_in_time_are_counted(url: str, store: Store) -> None:
    with NudgeClient(url, drain="inline") as client:
        client.track("ada", "campaign_sent", account="acme")
        rows = client.store.read_subjects([("acme", "ada")])
        with client.store.transaction(wait=5) as transaction:
            (row,) = transaction.lock_subjects(rows).values()
            row.next_change = present() - HOUR
            transaction.put_subjects([row])
    assert in_trouble(url)["members due"].startswith("1 members and accounts wait")


def test_a_folder_that_others_may_write_to_is_found(url: str, folder: Path, client: NudgeClient) -> None:
    client.track("ada", "step")
    assert client.flush()
    folder.chmod(0o770)
    assert "chmod 700" in in_trouble(url, folder)["folder"]


def test_journals_that_others_may_read_are_found(url: str, folder: Path, client: NudgeClient) -> None:
    client.track("ada", "step")
    assert client.flush()
    next(folder.glob("*.journal")).chmod(0o644)
    assert "chmod 600" in in_trouble(url, folder)["shared journals"]


def test_journals_from_the_future_are_found(url: str, folder: Path, client: NudgeClient) -> None:
    client.track("ada", "step")
    assert client.flush()
    (path,) = folder.glob("*.journal")
    os.utime(path, (time.time() + 7200, time.time() + 7200))
    assert "1 were begun up to 1 hour from now" in in_trouble(url, folder)["times of journals"]


def test_a_disk_without_space_is_found(url: str, tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir(mode=0o700)
    command = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "nudge-test", str(disk)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    try:
        assert "1 MiB left" in in_trouble(url, disk)["disk"]
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


AS_NOBODY = """
import json, os, sys
from pathlib import Path
from nudge_sdk.commands.health import examine
examine(sys.argv[1], sys.argv[2])
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
print(json.dumps({check.name: [check.is_well, check.text] for check in examine(sys.argv[1], sys.argv[2])}))
"""


def test_the_doctor_of_another_user_says_what_it_may_not_see() -> None:
    outside = Path(tempfile.mkdtemp())
    outside.chmod(0o777)
    url, folder = f"sqlite:///{outside}/nudges.db", outside / "journals"
    with NudgeClient(url, journal=folder, drain="external", definition=product()) as client:
        client.track("ada", "step")
        assert client.flush()
        (outside / "nudges.db").chmod(0o666)
        for mode, name in ((0o500, "folder"), (0o555, "folder"), (0o777, "unreadable journals")):
            folder.chmod(mode)
            for path in outside.glob("nudges.db-*"):
                if path.is_file():
                    path.chmod(0o666)
            command = [sys.executable, "-c", AS_NOBODY, url, str(folder)]
            done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1])
            assert done.returncode == 0, done.stderr
            assert json.loads(done.stdout)[name][0] is False
    shutil.rmtree(outside)
