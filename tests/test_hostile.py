"""Hostile strings and numbers, everywhere: given back unchanged, or refused with a clear error; no drainer stops."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from nudge_sdk import NudgeClient, Options, RecordError
from nudge_sdk.errors import DefinitionError
from nudge_sdk.rules.authoring import parse_definition
from nudge_sdk.testing import NudgeTest

OURS = [
    "\x00",
    "a\x00b",
    "\ud800",
    "a\udfffb",
    "\u2028",
    "\u202e",
    "\ufeff",
    "\x1e",
    "\n",
    "\r\n",
    "\t",
    "\x7f",
    "\x85",
    "'",
    '"',
    "\\",
    "\\u0000",
    "%00",
    "{{ done }}",
    "{% x %}",
    "${x}",
    "#{x}",
    "`",
    "--",
    ";DROP TABLE nudge_events",
    "]]>",
    "<script>alert(1)</script>",
    "'><img src=x onerror=alert(1)>",
    "javascript:alert(1)",
    "personal:someone",
    " ",
    "a" * 255,
    "a" * 256,
    "",
    "😀" * 255,
    "e\u0301",
    "İ",
    "null",
    "true",
    "1e309",
    "__proto__",
    "constructor",
]

VALUES: list[Any] = [
    2**63 - 1,
    -(2**63) + 1,
    2**63,
    2**64,
    -(2**63) - 1,
    10**400,
    float("nan"),
    float("inf"),
    float("-inf"),
    1e308,
    5e-324,
    -0.0,
    0.1,
    True,
    None,
    [],
    {},
    [1, [2, [3]]],
    {"a": {"b": [None]}},
    "x" * 40_000,
    list(range(20_000)),
    b"bytes",
    {1, 2},
    print,
    {"k": float("nan")},
    {"\x00": 1},
    [2**70],
    {1: 2},
]


def _nest(depth: int) -> list[Any]:
    nested: list[Any] = []
    for _ in range(depth):
        nested = [nested]
    return nested


def _strings(shared_data: Path | None) -> list[str]:
    return OURS if shared_data is None else json.loads((shared_data / "blns.json").read_text()) + OURS


@pytest.fixture
def client(tmp_path: Path) -> Iterator[NudgeClient]:
    options = Options(on_error="raise", repeat_seconds=0)
    with NudgeClient(f"sqlite:///{tmp_path}/nudges.db", drain="external", options=options) as client:
        client.publish(parse_definition({"name": "empty"}))
        yield client


def _say(client: NudgeClient, place: str, text: str, number: int) -> None:
    unique = f"{place}-{number}"
    if place == "user":
        client.track(text, "event", id=unique)
    elif place == "account":
        client.track("user", "event", account=text, id=unique)
    elif place == "id":
        client.track("user", "event", {"n": unique}, id=text)
    elif place == "event":
        client.track("user", text, id=unique)
    elif place == "key":
        client.track("user", "event", {text: 1}, id=unique)
    elif place == "value":
        client.track("user", "event", {"value": text, "list": [text], "inner": {text: text}}, id=unique)
    elif place == "trait":
        client.identify("user", {"name": text, text: text}, id=unique)
    else:
        client.group("account", {"name": text, text: text}, user=f"u{number}", id=unique)


def _check_given_back(client: NudgeClient, accepted: dict[str, str]) -> None:
    assert client.flush(60)
    assert client.store.quarantined() == []
    stored = {record.id: record for record in client.store.records()}
    found = {
        "user": lambda record: record.user_id,
        "account": lambda record: record.account_id,
        "id": lambda record: record.id,
        "event": lambda record: record.name,
        "key": lambda record: next(iter(record.data)),
        "value": lambda record: record.data["value"],
        "trait": lambda record: record.data["name"],
        "group": lambda record: record.data["name"],
    }
    for unique, text in accepted.items():
        place = unique.split("-")[0]
        record = stored[text if place == "id" else unique]
        assert found[place](record) == text, (place, text)


def _put_everywhere(client: NudgeClient, strings: list[str]) -> tuple[dict[str, str], int]:
    accepted: dict[str, str] = {}
    refused = 0
    for place in ("user", "account", "id", "event", "key", "value", "trait", "group"):
        for number, text in enumerate(strings):
            try:
                _say(client, place, text, number)
            except RecordError as error:
                refused += bool(error.field and error.reason)
            else:
                accepted[f"{place}-{number}"] = text
    return accepted, refused


def test_our_hostile_strings_come_back_unchanged_or_are_refused(client: NudgeClient) -> None:
    accepted, refused = _put_everywhere(client, OURS)
    assert refused > 20
    _check_given_back(client, accepted)


@pytest.mark.shared
def test_the_naughty_strings_come_back_unchanged_or_are_refused(client: NudgeClient, shared_data: Path) -> None:
    strings = _strings(shared_data)
    assert len(strings) - len(OURS) == 485
    accepted, refused = _put_everywhere(client, strings)
    assert len(accepted) + refused == len(strings) * 8
    assert len(accepted) > 3_000
    _check_given_back(client, accepted)


@pytest.mark.parametrize("value", [*VALUES, _nest(16), _nest(100)], ids=lambda value: repr(value)[:30])
def test_hostile_values_are_kept_or_refused_with_their_place(client: NudgeClient, value: Any) -> None:
    where = ""
    try:
        client.track("user", "event", {"value": value}, id="one")
    except RecordError as error:
        where = error.field
        client.track("user", "event", {"value": "refused"}, id="one")
    assert where == "" or where.startswith(("properties", "event"))
    assert client.flush()
    (record,) = client.store.records()
    assert record.data["value"] == ("refused" if where else value)
    assert client.store.quarantined() == []


def test_refused_events_are_counted_and_nothing_raises_in_production(tmp_path: Path) -> None:
    with NudgeClient(f"sqlite:///{tmp_path}/nudges.db", drain="external") as client:
        assert client.track("", "event") is False
        assert client.track("user", "event", {"x": float("nan")}) is False
        assert client.track("user", "event", {"x": 2**63}) is False
        assert client.identify("user", {"name": "\ud800"}) is False
        assert client.decide("dashboard", user="\x00").nudge is None
        assert client.counters["track: RecordError"] == 3
        assert client.track("user", "event") is True
        assert client.flush()
        assert len(list(client.store.records())) == 1


def _definition(text: str) -> dict[str, Any]:
    content = {"type": "card", "title": text, "body": text, "cta": {"label": text, "url": "/go"}, "dismiss": text}
    milestone = {
        "key": "done",
        "name": text,
        "signal": {"event": "done"},
        "is_aha": True,
        "category": "high",
        "done": text,
    }
    entry = {"warm": {"score": 5}}
    nudge = {"key": "hello", "placement": "page", "content": content, "goal": "paid"}
    return {
        "name": text,
        "milestones": [milestone],
        "segments": [{"key": "all", "member": entry}],
        "nudges": [nudge],
        "holdout": {"share": 0},
    }


def _check_copy(text: str) -> bool:
    try:
        definition = parse_definition(_definition(text))
    except DefinitionError as error:
        return not error.problems
    test = NudgeTest(definition)
    test.given("ada", "done")
    decision = test.client.decide("page", user="ada")
    assert decision.nudge is not None, decision.reasons
    assert "<script" not in decision.nudge.body.lower()
    if "{{" not in text and "\\" not in text:
        assert decision.nudge.title == text
        assert decision.nudge.cta is not None
        assert decision.nudge.cta.label == text
        assert text.split()[:1] == [] or unescape(decision.nudge.body) is not None
    return True


def test_our_hostile_strings_as_copy_show_as_written_or_are_refused() -> None:
    results = [_check_copy(text) for text in OURS if len(text) < 300]
    assert any(results)
    assert not all(results)


@pytest.mark.shared
def test_the_naughty_strings_as_copy_show_as_written_or_are_refused(shared_data: Path) -> None:
    results = [_check_copy(text) for text in json.loads((shared_data / "blns.json").read_text())]
    assert len(results) == 485
    assert sum(results) > 200


def test_hostile_traits_show_as_plain_text_in_copy() -> None:
    raw = _definition("Hello {{ trait.name | you }}")
    raw["milestones"][0]["done"] = "did it"
    test = NudgeTest(parse_definition(raw))
    hostile = "<script>alert(1)</script> **x** [y](javascript:alert(1)) {{ done }}"
    test.client.identify("ada", {"name": hostile})
    test.given("ada", "done")
    nudge = test.client.decide("page", user="ada").nudge
    assert nudge is not None
    assert nudge.title == f"Hello {hostile}"
    assert unescape(nudge.body.replace("<p>", "").replace("</p>", "")).strip() == f"Hello {hostile}"
    assert "<script" not in nudge.body
    assert "<a" not in nudge.body
