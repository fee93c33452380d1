"""``nudge admin`` and ``admin-user``: its users, and the secret that signs their sessions."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from nudge_sdk.cli import main
from nudge_sdk.commands import admin
from nudge_sdk.errors import SetupError

PASSWORD = "correct horse battery"


def run(*arguments: str, answers: str = "") -> tuple[int, str]:
    done = CliRunner().invoke(main, list(arguments), input=answers)
    return done.exit_code, done.output


@pytest.fixture
def store(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'nudges.db'}"


def test_a_user_is_made_with_a_password_that_is_asked_for(store: str) -> None:
    status, said = run("admin-user", "pia", "--role", "publisher", "--store", store, answers=f"{PASSWORD}\n" * 2)
    assert (status, said.splitlines()[-1]) == (0, "pia may log in as publisher")
    assert PASSWORD not in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("pia", "--password", "short"), "12 to 256"),
        (("", "--password", PASSWORD), "will not do as a name"),
        (("pia", "--role", "root", "--password", PASSWORD), "'root' is not one of"),
    ],
)
def test_a_user_that_will_not_do_is_refused_in_words(store: str, arguments: tuple[str, ...], said: str) -> None:
    status, output = run("admin-user", *arguments, "--store", store)
    assert status == 2
    assert said in output


def test_the_secret_is_kept_where_only_its_owner_reads_it(store: str, tmp_path: Path) -> None:
    first = admin._secret(store)
    assert len(first) == 64
    assert admin._secret(store) == first, "another process would end every session"
    assert stat.S_IMODE((tmp_path / "nudges.db-admin-secret").stat().st_mode) == 0o600


def test_a_secret_of_the_environment_goes_before_the_kept_one(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(admin.SECRET, "e" * 32)
    assert admin._secret(store) == "e" * 32


def test_a_store_that_is_no_file_asks_for_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(admin.SECRET, raising=False)
    with pytest.raises(SetupError, match=admin.SECRET):
        admin._secret("postgresql://host/db")
