"""What must never be written: passwords of databases, addresses of people's machines; and who may read what is."""

from __future__ import annotations

import logging
import re
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from nudge_sdk import NudgeClient
from nudge_sdk.cli import main
from nudge_sdk.errors import NudgeError
from nudge_sdk.store import open_store, shown
from nudge_sdk.store.schema import Base

PASSWORD = "hunter2sesame"
NOBODY_THERE = f"postgresql://shop:{PASSWORD}@127.0.0.1:1/shop"
ADDRESSES = [
    NOBODY_THERE,
    f"postgresql://shop@127.0.0.1:1/shop?password={PASSWORD}",
    f"postgresql://shop@127.0.0.1:1/shop?connect_timeout=1&password={PASSWORD}&sslmode=disable",
    f"postgresql://shop:{PASSWORD}%zz@127.0.0.1:1/shop",
    f"postgresql://shop:x@{PASSWORD}@127.0.0.1:1/shop",
    f"postgresql://shop:x/{PASSWORD}@127.0.0.1:1/shop",
    f"postgresql://shop:{PASSWORD}@[::1/shop",
    f"mysql://shop:{PASSWORD}@127.0.0.1/shop",
    f"postgres//shop:{PASSWORD}@127.0.0.1/shop",
]
COMMANDS = [
    ["doctor"], ["standing", "--user", "ada"], ["export", "--definition"], ["worker", "--once"],
    ["forget", "ada", "--yes"], ["export-person", "ada"],
]  # fmt: skip


@pytest.mark.parametrize("url", ADDRESSES)
def test_a_client_never_says_the_password_of_its_database(
    url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    said = [shown(url)]
    try:
        client = NudgeClient(url, journal=tmp_path / "journals")
        client.track("ada", "sent")
        said.append(str(client.decide("top", user="ada")))
        client.convert(user="ada")
        client.flush(0.2)
        client.close(0.1)
        said += [repr(client), repr(client.store), str(client.counters)]
        client.forget("ada")
    except NudgeError as error:
        said += [str(error), repr(error)]
    assert len(said) > 1
    assert PASSWORD not in "\n".join([*said, caplog.text])


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
@pytest.mark.parametrize("url", ADDRESSES)
def test_no_command_says_the_password_of_a_database(url: str, command: list[str], tmp_path: Path) -> None:
    done = CliRunner().invoke(main, [*command, "--store", url], env={"NUDGE_JOURNAL": str(tmp_path / "journals")})
    assert done.exit_code in (1, 2)
    assert PASSWORD not in done.output


def test_a_store_that_refuses_does_not_say_its_password(new_postgresql: Callable[[], str]) -> None:
    store = open_store(new_postgresql() + f"&password={PASSWORD}")
    with pytest.raises(NudgeError) as refused, store.transaction(wait=1) as transaction:
        transaction.put_position("x\0", 1)
    store.close()
    assert PASSWORD not in str(refused.value)


def test_what_is_shown_of_an_address_still_says_where() -> None:
    assert shown(NOBODY_THERE) == "postgresql://shop:***@127.0.0.1:1/shop"
    assert shown("postgresql://shop@db/shop?sslmode=require") == "postgresql://shop@db/shop?sslmode=require"
    assert shown("sqlite:////var/lib/shop/n.db") == "sqlite:////var/lib/shop/n.db"


def test_journals_are_for_their_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "journals"
    with NudgeClient(f"sqlite:///{tmp_path}/n.db", journal=folder, drain="external") as client:
        client.track("ada", "sent")
        client.flush()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        files = {path.suffix: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
        assert set(files) == {".journal", ".lock"}
        assert set(files.values()) == {0o600}


def test_no_column_holds_the_address_of_a_machine() -> None:
    names = {column.name for table in Base.metadata.tables.values() for column in table.columns}
    assert not [name for name in names if re.search(r"(^|_)(ip|addr|address|agent|remote)(_|$)", name)]


def test_the_adapter_for_flask_never_asks_for_the_address_of_a_machine() -> None:
    hosts = Path(__file__).parent.parent / "nudge_sdk" / "hosts"
    read = [
        path for path in hosts.glob("*.py") if re.search(r"remote_addr|X-Forwarded-For|access_route", path.read_text())
    ]
    assert read == []
