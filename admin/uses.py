"""Uses: what refers to a milestone or a segment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from nudge_sdk.rules.definition import Definition, Entry, Segment
from nudge_sdk.rules.lint_findings import name_of


class Use(NamedTuple):
    """One thing that refers to another.

    Attributes:
        resource: ``segments`` or ``nudges``.
        key: Key of what refers.
        name: Its name for people.
        how: As what it refers, such as ``gate of warm members, gate of hot members``.
    """

    resource: str
    key: str
    name: str
    how: str


def uses_of_milestone(definition: Definition, key: str) -> list[Use]:
    """Return every segment and nudge that refers to a milestone, each once with all its ways."""
    found = [*_in_gates(definition, key), *_in_nudges(definition, key, ("milestone", "account_milestone", "usage"))]
    return _merged(found)


def uses_of_segment(definition: Definition, key: str) -> list[Use]:
    """Return every nudge whose audience or hide rule names a segment."""
    found = [
        Use("nudges", nudge.key, name_of(nudge), how)
        for nudge in definition.nudges
        for how, part in (("audience", nudge.audience), ("hide rule", nudge.hide))
        if _names_segment(msgspec.to_builtins(part), key)
    ]
    return _merged(found)


def _merged(found: list[Use]) -> list[Use]:
    ways: dict[tuple[str, str, str], list[str]] = {}
    for use in found:
        ways.setdefault(use[:3], []).append(use.how)
    return [Use(*what, ", ".join(dict.fromkeys(hows))) for what, hows in ways.items()]


def _in_gates(definition: Definition, key: str) -> Iterator[Use]:
    for segment in definition.segments:
        for how, entry in entries_of(segment):
            if entry is not None and any(key in gate.milestones for gate in entry.gates):
                yield Use("segments", segment.key, name_of(segment), f"gate of {how}")


def entries_of(segment: Segment) -> list[tuple[str, Entry | None]]:
    """Return the four entries of a segment with whom they are for, such as ``warm members``."""
    return [
        ("warm members", segment.member.warm),
        ("hot members", segment.member.hot),
        ("warm accounts", segment.account.warm),
        ("hot accounts", segment.account.hot),
    ]


def _in_nudges(definition: Definition, key: str, fields: tuple[str, ...]) -> Iterator[Use]:
    for nudge in definition.nudges:
        ways = {"audience": nudge.audience, "hide rule": nudge.hide, "trigger": nudge.trigger}
        for how, part in ways.items():
            if _names(msgspec.to_builtins(part), fields, key):
                yield Use("nudges", nudge.key, name_of(nudge), how)
        contents = [nudge.content, nudge.ask, *(variant.content for variant in nudge.variants)]
        if any(step.milestone == key for content in contents if content is not None for step in content.steps):
            yield Use("nudges", nudge.key, name_of(nudge), "step of its guide")


def _names(plain: Any, fields: tuple[str, ...], key: str) -> bool:
    if isinstance(plain, list | tuple):
        return any(_names(each, fields, key) for each in plain)
    if not isinstance(plain, dict):
        return False
    return any(plain.get(name) == key for name in fields) or any(_names(each, fields, key) for each in plain.values())


def _names_segment(plain: Any, key: str) -> bool:
    if isinstance(plain, list | tuple):
        return any(_names_segment(each, key) for each in plain)
    if not isinstance(plain, dict):
        return False
    if plain.get("segment") is True:
        said = [plain.get("equals"), plain.get("not_equals"), *plain.get("in", ()), *plain.get("not_in", ())]
        return key in said
    return any(_names_segment(each, key) for each in plain.values())
