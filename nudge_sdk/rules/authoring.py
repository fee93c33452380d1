"""Reading definitions strictly when they are authored and tolerantly when they are loaded, and writing them."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any

import msgspec

from nudge_sdk.errors import DefinitionError, Problem
from nudge_sdk.rules.authoring_checks import FORMAT, check_definition
from nudge_sdk.rules.authoring_report import Report
from nudge_sdk.rules.authoring_shapes import examine, label
from nudge_sdk.rules.conditions import Condition, Hours, Signal, Window
from nudge_sdk.rules.definition import Cap, Definition, Gate, Nudge, Schedule, TagCap, Trigger

_NEVER_GUESSED = frozenset({Condition, Signal, Window, Hours, Gate, Trigger, Schedule, Cap, TagCap})
"""Structs that say who, when and how often: with one part ignored they would hold for more people, so that a field
this release does not know makes them unreadable."""

_LARGEST_EXACT = 2**53


def parse_definition(raw: object) -> Definition:
    """Read a definition strictly, as an author wrote it.

    Args:
        raw: What a YAML or JSON reader returned.

    Returns:
        The definition, checked.

    Raises:
        DefinitionError: Anything is wrong; it lists every problem at once, each with its place and with what would be
            right.
    """
    shape = examine(raw, Definition)
    report = Report(shape.problems, shape.unread)
    definition = _convert(shape.value)
    check_definition(definition, report)
    if report.problems:
        raise DefinitionError(report.problems)
    return definition


def load_definition(raw: object) -> tuple[Definition, list[str]]:
    """Read a published definition tolerantly, as a process does that may be older than the document.

    Unknown fields are ignored, save in rules that say who, when and how often, which are never guessed. A nudge that
    cannot be read is left out. Content of an unknown type is kept.

    Args:
        raw: The decoded document, or its encoded bytes.

    Returns:
        The definition, and a warning for each nudge that was left out.

    Raises:
        DefinitionError: Anything but a nudge cannot be read, so that the last good definition has to stay in force.
    """
    document = _decode(raw) if isinstance(raw, bytes) else raw
    if not isinstance(document, dict):
        raise DefinitionError([Problem("document", "is not a definition", "Publish it again.")])
    _refuse_newer(document.get("format", FORMAT))
    nudges, warnings = _readable_nudges(document.get("nudges", []))
    shape = examine({**document, "nudges": nudges}, Definition, closed=_NEVER_GUESSED)
    if shape.problems:
        raise DefinitionError(shape.problems)
    return _convert(shape.value), warnings


def encode_definition(definition: Definition) -> bytes:
    """Return a definition as canonical JSON: sorted keys, without what is default; equal ones give equal bytes."""
    return msgspec.json.encode(to_plain(definition), order="sorted")


def fingerprint(definition: Definition) -> str:
    """Return the SHA-256, in hex, of a definition's content; its number is no part of it."""
    return hashlib.sha256(encode_definition(msgspec.structs.replace(definition, number=0, back_to=0))).hexdigest()


def to_plain(value: Any) -> Any:
    """Return a struct as mappings, lists and scalars, in the order of its fields and without what is default."""
    if isinstance(value, msgspec.Struct):
        return _plain_struct(value)
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: to_plain(item) for name, item in value.items()}
    if isinstance(value, float) and value.is_integer() and abs(value) < _LARGEST_EXACT:
        return int(value)
    return value


def _plain_struct(value: msgspec.Struct) -> dict[str, Any]:
    return {
        field.encode_name: to_plain(getattr(value, field.name))
        for field in _fields(type(value))
        if field.default is msgspec.NODEFAULT or getattr(value, field.name) != field.default
    }


@cache
def _fields(struct: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    # Asking evaluates annotations, which takes far longer than all the rest.
    return msgspec.structs.fields(struct)


def _convert(value: Any) -> Definition:
    try:
        return msgspec.convert(value, Definition)
    except (msgspec.ValidationError, RecursionError) as error:
        raise DefinitionError([Problem("document", str(error), "Correct the value at that place.")]) from error


def _decode(raw: bytes) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DefinitionError([Problem("document", f"is not JSON ({error})", "Publish it again.")]) from error


def _refuse_newer(written: object) -> None:
    if isinstance(written, int) and written > FORMAT:
        what = f"{written} is newer than this release, which reads {FORMAT}"
        raise DefinitionError([Problem("format", what, "Update this process.")])


def _readable_nudges(raw: object) -> tuple[Any, list[str]]:
    if not isinstance(raw, list):
        return raw, []
    readable, warnings = [], []
    for index, item in enumerate(raw):
        problems = examine(item, Nudge, f"nudges[{label(item, index)}]", closed=_NEVER_GUESSED).problems
        if problems:
            warnings.append(f"left out a nudge: {problems[0]}")
        else:
            readable.append(item)
    return readable, warnings
