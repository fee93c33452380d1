"""Differences between two plain documents, field by field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from nudge_sdk.documents import write_yaml


class Difference(NamedTuple):
    """One field that differs.

    Attributes:
        field: Its path, such as ``content.title``.
        before, after: As text; empty where it was not, or is not any more.
    """

    field: str
    before: str
    after: str


def differences(before: Any, after: Any) -> list[Difference]:
    """Return where two entities differ; either may be None, for one that is not there."""
    return list(_between("", before, after))


def _between(path: str, before: Any, after: Any) -> Iterator[Difference]:
    if before == after:
        return
    if isinstance(before, dict | None) and isinstance(after, dict | None) and (before or after):
        yield from _in_mappings(path, before or {}, after or {})
    elif _is_keyed(before) and _is_keyed(after):
        yield from _in_mappings(path, _by_key(before), _by_key(after))
    else:
        yield Difference(path or "all", _text(before), _text(after))


def _in_mappings(path: str, before: dict[str, Any], after: dict[str, Any]) -> Iterator[Difference]:
    for name in dict.fromkeys([*before, *after]):
        yield from _between(f"{path}.{name}" if path else str(name), before.get(name), after.get(name))


def _is_keyed(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, dict) and "key" in each for each in value)


def _by_key(entities: list[dict[str, Any]]) -> dict[str, Any]:
    return {str(each["key"]): each for each in entities}


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return write_yaml(value).rstrip() if isinstance(value, dict | list) else str(value)
