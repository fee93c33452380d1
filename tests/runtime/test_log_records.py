"""What the log says can be read by programs, and holds no secret."""

from __future__ import annotations

import ast
import json
import logging
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from nudge_sdk import NudgeClient, Options
from nudge_sdk.runtime import log_codes
from nudge_sdk.store import open_store
from nudge_sdk.store.protocol import DefinitionRow
from tests.runtime.examples import nudge, open_client, product, wait_until

PACKAGE = Path(log_codes.__file__).resolve().parents[1]
# In a checkout the admin is a folder of its own.
ADMIN = find_spec("nudge_sdk.admin")
PACKAGES = {PACKAGE, *map(Path, (ADMIN and ADMIN.submodule_search_locations) or ())}
LEVELS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
ROWS = dict(re.findall(r"^(\w+) +(debug|info|warning|error) ", log_codes.__doc__ or "", flags=re.MULTILINE))
SECRET = "hunter2"


class Call:
    """One call of the log in the source."""

    def __init__(self, path: Path, node: ast.Call, around: ast.AST) -> None:
        assert isinstance(node.func, ast.Attribute)
        self.where = f"{path}:{node.lineno}"
        self.level = node.func.attr
        extra = next((keyword.value for keyword in node.keywords if keyword.arg == "extra"), None)
        # The facts may stand in a variable just before.
        if isinstance(extra, ast.Name):
            extra = _assigned(around, extra.id, node.lineno)
        keys = extra.keys if isinstance(extra, ast.Dict) else []
        values = extra.values if isinstance(extra, ast.Dict) else []
        self.facts = {ast.literal_eval(key): value for key, value in zip(keys, values, strict=True) if key}

    @property
    def code(self) -> str:
        value = self.facts.get("nudge_event")
        return str(value.value) if isinstance(value, ast.Constant) else ""


def _assigned(around: ast.AST, name: str, line: int) -> ast.expr | None:
    found = [
        node.value
        for node in ast.walk(around)
        if isinstance(node, ast.Assign)
        and node.lineno < line
        and any(isinstance(target, ast.Name) and target.id == name for target in node.targets)
    ]
    return found[-1] if found else None


def calls() -> Iterator[Call]:
    for path in sorted({path for package in PACKAGES for path in package.rglob("*.py")}):
        yield from calls_in(path, path.read_text(encoding="utf-8"))


def calls_in(path: Path, source: str) -> Iterator[Call]:
    for around in ast.walk(ast.parse(source)):
        if isinstance(around, ast.FunctionDef):
            for node in ast.walk(around):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and node.func.attr in LEVELS
                    and ast.unparse(node.func.value) in {"log", "logger", "logging"}
                ):
                    yield Call(path, node, around)


def test_every_log_call_has_a_code_that_is_in_the_table_and_no_other_is() -> None:
    found = list(calls())
    assert [call.where for call in found if not call.code] == []
    assert {call.code for call in found} == set(ROWS)
    levels = {(call.code, "error" if call.level == "exception" else call.level) for call in found}
    assert levels == set(ROWS.items())


def test_every_fact_is_in_the_table() -> None:
    for call in calls():
        row = next(line for line in (log_codes.__doc__ or "").splitlines() if line.startswith(f"{call.code} "))
        for key in set(call.facts) - {"nudge_event"}:
            assert key.startswith("nudge_")
            assert key in row, (call.where, key)


def test_a_log_call_without_a_code_is_found() -> None:
    source = "def f():\n    log.error('no')\n    facts = {'nudge_event': 'x'}\n    log.info('yes', extra=facts)"
    assert [call.code for call in calls_in(PACKAGE / "x.py", source)] == ["", "x"]


def test_records_can_be_written_as_json(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "nudge_sdk")
    with open_client(tmp_path / "nudges.db", on_error="log", definition=product()) as client:
        client.track("ada", "")
    (record,) = caplog.records
    facts = {key: value for key, value in vars(record).items() if key.startswith("nudge_")}
    assert json.loads(json.dumps(facts)) == {
        "nudge_event": "call_failed",
        "nudge_call": "track",
        "nudge_cause": "RecordError",
    }


def said(caplog: pytest.LogCaptureFixture) -> str:
    formatter = logging.Formatter("%(message)s %(exc_text)s")
    return "\n".join(f"{formatter.format(record)} {vars(record)}" for record in caplog.records)


def test_no_trait_or_property_shows_up_whatever_fails(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "nudge_sdk")
    client = open_client(tmp_path / "nudges.db", on_error="log", definition=product(nudge("hello")))
    bad: list[Any] = [
        f"{SECRET}\x00",
        f"{SECRET}\ud800",
        {SECRET: float("nan")},
        {"a": {1: SECRET}},
        {SECRET},
        SECRET * 9999,
    ]
    for value in bad:
        assert not client.identify("ada", {"password": value})
        assert not client.track("ada", "step", {"note": value})
        assert not client.group("acme", {"note": value})
    assert not client.identify("ada", SECRET)  # type: ignore[arg-type]
    assert not client.convert(user="ada", value=SECRET + "\x00")  # type: ignore[arg-type]
    assert client.identify("ada", {"password": SECRET})
    journal = client.recorder.journal
    assert journal is not None
    assert journal.path is not None
    with journal.path.open("ab") as file:
        file.write(b'\x1e["track","acme","ada","x",1,1,7,{"p":"%s"}]\n' % SECRET.encode())
        file.write(b'\x1e{"password":"%s"\n' % SECRET.encode())
        file.write(b'\x1e["identify","acme","ada","y",%d,1,"",{"p":"%s"}]\n' % (2**70, SECRET.encode()))
    client.flush()
    assert len(client.store.quarantined()) == 3
    client.close()
    text = said(caplog)
    assert "line_set_aside" in text
    assert "batch_refused" in text or "integer" in text
    assert client.counters
    assert SECRET not in text


@pytest.mark.parametrize(
    "address",
    [
        f"postgresql://nudge:{SECRET}@127.0.0.1:9/nudges",
        f"postgresql://nudge@127.0.0.1:9/nudges?password={SECRET}",
    ],
)
def test_no_password_shows_up_while_the_store_is_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, address: str
) -> None:
    caplog.set_level(logging.DEBUG, "nudge_sdk")
    client = NudgeClient(address, journal=tmp_path / "journals", options=Options(drain_seconds=0.01))
    assert client.track("ada", "step")
    assert not client.decide("page", user="ada")
    client.convert(user="ada")
    thread = client.recorder.thread
    assert thread is not None
    assert wait_until(lambda: thread.failures > 1)
    client.flush(0.1)
    client.close(0.5)
    text = said(caplog) + repr(client.counters) + client.decide("page", user="ada").problem
    assert "drain_failed" in text
    assert "call_failed" in text
    assert SECRET not in text


def test_a_definition_of_a_later_release_is_named_by_its_number(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with open_client(tmp_path / "nudges.db", definition=product()) as client:
        client.track("ada", "step")
        client.flush()
        row = open_store(f"sqlite:///{tmp_path}/nudges.db").definitions()[-1]
        later = DefinitionRow(2, b"later", "x", 1, "", "", row.signals, 1)
        with client.store.transaction(wait=5) as transaction:
            transaction.put_definition(later)
        client.intake.refresh()
    (record,) = [each for each in caplog.records if getattr(each, "nudge_event", "") == "definition_unreadable"]
    assert (vars(record)["nudge_definition"], vars(record)["nudge_in_force"]) == (2, 1)
