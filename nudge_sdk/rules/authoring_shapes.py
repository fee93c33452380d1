"""Whether a raw document has the fields and types of a struct, without knowing any field by name.

Every difference is found at once, and what could not be read is replaced, so that the rest can still be checked.
"""

from __future__ import annotations

import difflib
import functools
import json
import math
from collections.abc import Callable, Container
from typing import Any

import msgspec
from msgspec import inspect

from nudge_sdk.errors import Problem

MAX_DEPTH = 32
"""How deep lists and groups may be nested in each other."""

_UNREADABLE: Any = object()
_LARGEST = 2**63 - 1
_KIND_NAMES = {bool: "true or false", int: "a number", float: "a number", str: "a text", dict: "a group of fields"}
_WANTED: dict[type[inspect.Type], str] = {
    inspect.StrType: "a text",
    inspect.BoolType: "true or false",
    inspect.DictType: "a group of named texts, such as {en: …, de: …}",
    inspect.StructType: "a group of fields",
    inspect.VarTupleType: "a list",
}


class Shape:
    """What comparing a raw document with a struct found.

    Attributes:
        value: A copy that msgspec converts: unknown fields left out, what could not be read replaced.
        problems: Every difference.
        unread: Where something could not be read, so that nothing else is said about those places.
    """

    def __init__(self, value: Any, problems: list[Problem], unread: list[str]) -> None:
        self.value = value
        self.problems = problems
        self.unread = unread


def examine(
    raw: object, struct: type[msgspec.Struct], where: str = "", *, closed: Container[type] | None = None
) -> Shape:
    """Compare a raw document with a struct type.

    Args:
        raw: What a YAML or JSON reader returned.
        struct: The type to compare with.
        where: The place of ``raw`` in the document.
        closed: The structs in which unknown fields are problems; all if not said.
    """
    examiner = _Examiner(closed)
    expected = _type_info(struct)
    value = examiner.read(raw, expected, where)
    if value is _UNREADABLE:
        value = _neutral(expected)
    return Shape(value, examiner.problems, examiner.unread)


def label(item: object, index: int) -> str | int:
    """Return what an item of a list is called in an error: its key, or its position if it has none."""
    key = item.get("key") if isinstance(item, dict) else getattr(item, "key", None)
    return key if isinstance(key, str) and key else index


def join(where: str, name: str) -> str:
    """Return the place of a field."""
    return f"{where}.{name}" if where else name


def quote(value: object) -> str:
    """Return a value as it is named in an error, cut if it is long."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= 60 else f"{text[:57]}…"


def suggest(name: str, known: list[str]) -> str | None:
    """Return the known name that is nearest to a mistyped one."""
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.6)
    return near[0] if near else None


class _Examiner:
    def __init__(self, closed: Container[type] | None) -> None:
        self.problems: list[Problem] = []
        self.unread: list[str] = []
        self._closed = closed
        self._depth = 0

    def report(self, where: str, what: str, fix: str) -> Any:
        self.problems.append(Problem(where or "document", what, fix))
        self.unread.append(where)
        return _UNREADABLE

    def read(self, raw: object, expected: inspect.Type, where: str) -> Any:
        for option in _options(expected):
            if _accepts(option, raw):
                return self._read_as(option, raw, where)
        return self.report(where, _describe(raw), _advice(expected, raw))

    def _read_as(self, expected: inspect.Type, raw: Any, where: str) -> Any:
        reader = _READERS.get(type(expected))
        if reader is None:
            return raw
        if self._depth >= MAX_DEPTH:
            return self.report(where, "is nested too deeply", f"Use at most {MAX_DEPTH} levels.")
        self._depth += 1
        try:
            return reader(self, expected, raw, where)
        finally:
            self._depth -= 1

    def _struct(self, expected: inspect.StructType, raw: dict[Any, Any], where: str) -> dict[str, Any]:
        meant = self._unknown_fields(expected, raw, where)
        result = {}
        for field in expected.fields:
            name, place = field.encode_name, join(where, field.encode_name)
            value = _UNREADABLE
            if name in raw:
                value = self.read(raw[name], field.type, place)
            elif name in meant:
                self.unread.append(place)
            elif field.required:
                self.report(place, "is missing", f"Add it: {_advice(field.type, None).removeprefix('Write ')}")
            if value is not _UNREADABLE:
                result[name] = value
            elif field.required or ((name in raw or name in meant) and field.default is None):
                result[name] = _neutral(field.type)
        return result

    def _unknown_fields(self, expected: inspect.StructType, raw: dict[Any, Any], where: str) -> set[str]:
        if self._closed is not None and expected.cls not in self._closed:
            return set()
        known = [field.encode_name for field in expected.fields]
        meant = set()
        for name in raw:
            if name in known:
                continue
            if not isinstance(name, str):
                self.report(join(where, str(name)), "is not a field: a field's name is a text", _known_fields(known))
                continue
            near = suggest(name, [each for each in known if each not in raw]) or suggest(name, known)
            fix = f"Did you mean {near}?" if near else _known_fields(known)
            self.report(join(where, name), "is not a known field", fix)
            meant |= {near} if near and near not in raw else set()
        return meant

    def _list(self, expected: inspect.VarTupleType, raw: list[Any], where: str) -> list[Any]:
        result = []
        for index, item in enumerate(raw):
            value = self.read(item, expected.item_type, f"{where}[{label(item, index)}]")
            result.append(_neutral(expected.item_type) if value is _UNREADABLE else value)
        return result

    def _mapping(self, expected: inspect.DictType, raw: dict[Any, Any], where: str) -> dict[str, Any]:
        result = {}
        for name, item in raw.items():
            place = join(where, str(name))
            if not isinstance(name, str):
                self.report(place, f"{quote(name)} is not a text", f'Write it in quotes, such as "{name}".')
                continue
            value = self.read(item, expected.value_type, place)
            result[name] = _neutral(expected.value_type) if value is _UNREADABLE else value
        return result

    def _text(self, expected: inspect.StrType, raw: str, where: str) -> Any:
        if "\0" in raw:
            return self.report(where, "holds a NUL character", "Leave that character out.")
        if any("\ud800" <= char <= "\udfff" for char in raw):
            return self.report(where, "holds half a character (a lone surrogate)", "Write the text anew.")
        return raw

    def _choice(self, expected: inspect.LiteralType, raw: str, where: str) -> Any:
        if raw in expected.values:
            return raw
        return self.report(where, f"{quote(raw)} is not one of the choices", _advice(expected, raw))

    def _whole(self, expected: inspect.IntType, raw: int | float, where: str) -> Any:
        if abs(raw) > _LARGEST:
            return self.report(where, "is too large a number", "Write a whole number of at most 18 digits.")
        return int(raw)

    def _number(self, expected: inspect.FloatType, raw: int | float, where: str) -> Any:
        if (isinstance(raw, int) and abs(raw) > _LARGEST) or not math.isfinite(raw):
            return self.report(where, f"{quote(raw)} is not a number to calculate with", "Write a number, such as 3.")
        return raw


_READERS: dict[type[inspect.Type], Callable[[_Examiner, Any, Any, str], Any]] = {
    inspect.StructType: _Examiner._struct,
    inspect.VarTupleType: _Examiner._list,
    inspect.DictType: _Examiner._mapping,
    inspect.StrType: _Examiner._text,
    inspect.LiteralType: _Examiner._choice,
    inspect.IntType: _Examiner._whole,
    inspect.FloatType: _Examiner._number,
}


@functools.cache
def _type_info(struct: type[msgspec.Struct]) -> inspect.Type:
    return inspect.type_info(struct)


def _options(expected: inspect.Type) -> tuple[inspect.Type, ...]:
    if not isinstance(expected, inspect.UnionType):
        return (expected,)
    return tuple(sorted(expected.types, key=lambda option: isinstance(option, inspect.FloatType)))


def _accepts(expected: inspect.Type, raw: object) -> bool:
    match expected:
        case inspect.StructType() | inspect.DictType():
            return isinstance(raw, dict)
        case inspect.VarTupleType():
            return isinstance(raw, list | tuple)
        case inspect.StrType() | inspect.LiteralType():
            return isinstance(raw, str)
        case inspect.BoolType():
            return isinstance(raw, bool)
        case inspect.NoneType():
            return raw is None
        case inspect.IntType():
            return _is_number(raw) and (isinstance(raw, int) or _is_whole(raw))
    return _is_number(raw)


def _is_number(raw: object) -> bool:
    return isinstance(raw, int | float) and not isinstance(raw, bool)


def _is_whole(raw: object) -> bool:
    return isinstance(raw, float) and raw.is_integer() and abs(raw) <= _LARGEST


def _neutral(expected: inspect.Type) -> Any:
    """Return a value that stands for one that could not be read; nothing is said about its place."""
    match expected:
        case inspect.UnionType():
            return _neutral(next(each for each in _options(expected) if not isinstance(each, inspect.NoneType)))
        case inspect.StructType():
            return {field.encode_name: _neutral(field.type) for field in expected.fields if field.required}
        case inspect.VarTupleType():
            return []
        case inspect.DictType():
            return {}
        case inspect.LiteralType():
            return expected.values[0]
        case inspect.IntType() | inspect.FloatType():
            return 1
        case inspect.BoolType():
            return False
    return ""


def _describe(raw: object) -> str:
    if raw is None:
        return "is empty"
    if isinstance(raw, dict | list | tuple):
        return "is a list" if not isinstance(raw, dict) else "is a group of fields"
    return f"{quote(raw)} is {_KIND_NAMES.get(type(raw), 'of a type that documents do not have')}"


def _advice(expected: inspect.Type, raw: object) -> str:
    options = [each for each in _options(expected) if not isinstance(each, inspect.NoneType)]
    return f"Write {' or '.join(dict.fromkeys(_wanted(each, raw) for each in options))}."


def _wanted(expected: inspect.Type, raw: object) -> str:
    match expected:
        case inspect.LiteralType():
            return f"one of {', '.join(map(str, expected.values))}"
        case inspect.IntType():
            return f"a whole number, such as {_nearest_number(raw, whole=True)}"
        case inspect.FloatType():
            return f"a number, such as {_nearest_number(raw, whole=False)}"
    return _WANTED.get(type(expected), "a value")


def _nearest_number(raw: object, *, whole: bool) -> str:
    try:
        number = float(raw) if isinstance(raw, str | float) else 3.0
    except ValueError:
        number = 3.0
    if not math.isfinite(number) or abs(number) > _LARGEST:
        number = 3.0
    return str(round(number)) if whole or number.is_integer() else str(number)


def _known_fields(known: list[str]) -> str:
    return f"Known fields: {', '.join(known)}."
