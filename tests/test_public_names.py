"""The public names are few, complete and documented."""

from __future__ import annotations

import dataclasses
import inspect
import re
import subprocess
import sys
import types
import typing
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

import nudge_sdk
import nudge_sdk.testing
from nudge_sdk import errors

NAMES = nudge_sdk.__all__
METHODS = [
    (owner, name)
    for owner in (nudge_sdk.NudgeClient, nudge_sdk.testing.NudgeTest, nudge_sdk.testing.Clock)
    for name, member in vars(owner).items()
    if not name.startswith("_") and inspect.isfunction(member)
]
CALLS = {
    "alias", "churn", "claim", "close", "convert", "decide", "explain", "export", "flush", "forget", "group",
    "identify", "now", "publish", "record", "silence", "standing", "sweep", "track", "track_many",
}  # fmt: skip


def _public(module: types.ModuleType) -> set[str]:
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and not isinstance(value, types.ModuleType)
        and value not in (typing.Any, typing.TYPE_CHECKING)
    }


def test_all_names_every_public_name_and_no_other() -> None:
    assert all(getattr(nudge_sdk, name) is not None for name in NAMES)
    assert _public(nudge_sdk) <= set(NAMES)
    with pytest.raises(AttributeError):
        _ = nudge_sdk.Nudger
    assert sorted(NAMES) == NAMES
    assert 10 <= len(NAMES) <= 14


def test_the_package_says_its_version() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", nudge_sdk.__version__)


def test_a_star_import_brings_exactly_the_public_names() -> None:
    code = "from nudge_sdk import *; print(sorted(name for name in dir() if not name.startswith('_')))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == repr(NAMES)


def test_the_client_has_the_calls_that_are_promised() -> None:
    assert {name for owner, name in METHODS if owner is nudge_sdk.NudgeClient} == CALLS


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_has_a_sentence(name: str) -> None:
    documented = inspect.getdoc(getattr(nudge_sdk, name)) or ""
    first = documented.split("\n", 1)[0]
    assert first.endswith((".", ":", "``")), first
    assert len(first.split()) > 3


@pytest.mark.parametrize(("owner", "name"), METHODS, ids=lambda value: getattr(value, "__name__", value))
def test_every_public_method_is_documented_annotated_and_short_of_arguments(owner: type, name: str) -> None:
    method = getattr(owner, name)
    documented = inspect.getdoc(method) or ""
    assert documented, f"{owner.__name__}.{name} has no docstring"
    assert documented.split("\n", 1)[0].rstrip().endswith((".", ":")), documented
    parameters = list(inspect.signature(method).parameters.values())[1:]
    assert inspect.signature(method).return_annotation is not inspect.Signature.empty
    assert all(each.annotation is not inspect.Parameter.empty for each in parameters)
    positional = [each for each in parameters if each.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    assert len(positional) <= 3, "further arguments are keywords"


@pytest.mark.parametrize(("owner", "name"), METHODS, ids=lambda value: getattr(value, "__name__", value))
def test_an_args_section_names_every_argument(owner: type, name: str) -> None:
    method = getattr(owner, name)
    documented = inspect.getdoc(method) or ""
    if "Args:" not in documented:
        return
    section = documented.split("Args:")[1].split("\n\n")[0]
    named = set(re.findall(r"^\s{4}\*{0,2}(\w+):", section, flags=re.MULTILINE))
    given = {each for each in inspect.signature(method).parameters if each != "self"}
    assert named == given


def _fields(name: str) -> Iterator[str]:
    value: Any = getattr(nudge_sdk, name)
    if dataclasses.is_dataclass(value):
        yield from (field.name for field in dataclasses.fields(value))
    elif isinstance(value, type) and issubclass(value, msgspec.Struct):
        yield from (field.name for field in msgspec.structs.fields(value))


@pytest.mark.parametrize("name", ["Options", "Decision", "Explanation"])
def test_every_field_of_what_goes_in_and_out_is_documented(name: str) -> None:
    documented = inspect.getdoc(getattr(nudge_sdk, name)) or ""
    section = documented.split("Attributes:")[1]
    named = {each.strip() for line in re.findall(r"^\s+([\w, ]+):", section, re.MULTILINE) for each in line.split(",")}
    assert named >= set(_fields(name))


def test_every_error_is_ours_and_stands_in_the_tree() -> None:
    assert errors.__doc__ is not None
    found = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception) and value.__module__ == errors.__name__
    }
    assert found == set(re.findall(r"\w+Error\b", errors.__doc__))
    assert all(issubclass(getattr(errors, name), errors.NudgeError) for name in found)


def test_every_reason_is_its_own_name() -> None:
    assert len(nudge_sdk.Reason) == 14
    assert all(reason == reason.name for reason in nudge_sdk.Reason)
