"""What the buttons of the editor change that save nothing: rows, languages, contents."""

from __future__ import annotations

import re
from collections.abc import Callable
from copy import deepcopy

from .places import MOST_ROWS, Plain, content_paths, is_text, places_of, put_at, rows_of, value_at

LOCALE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")


def moved(document: Plain, asked: str) -> tuple[Plain, str]:
    """Return the document after a button, and the place that was added, to be worked on next.

    Args:
        document: The nudge as plain data.
        asked: What the button sends, such as ``steps.add:content`` or ``steps.up:content:2``.
    """
    what, _, rest = asked.partition(":")
    name, _, verb = what.partition(".")
    path, _, index = rest.rpartition(":") if rest.rpartition(":")[2].isdigit() else (rest, "", "")
    document = deepcopy(document)
    act = _ACTS.get(name)
    return document, act(document, verb, path, int(index) if index else 0) if act else ""


def language_removed(document: Plain, tag: str) -> Plain:
    """Return the document without the texts of a language."""
    document = deepcopy(document)
    for place in list(places_of(document)):
        text = value_at(document, place.path) if is_text(place) else None
        if isinstance(text, dict) and tag in text:
            put_at(document, place.path, {name: words for name, words in text.items() if name != tag} or None)
    return document


def _steps(document: Plain, verb: str, path: str, index: int) -> str:
    if path not in content_paths(document):
        return ""
    return _rows(document, verb, f"{path}.steps", index, "title")


def _caps(document: Plain, verb: str, path: str, index: int) -> str:
    return _rows(document, verb, "caps", index, "count")


def _rows(document: Plain, verb: str, path: str, index: int, first: str) -> str:
    rows = list(rows_of(document, path))
    place = index
    if verb == "add" and len(rows) < MOST_ROWS:
        place = len(rows)
        rows.append({})
    elif verb == "remove" and index < len(rows):
        del rows[index]
        place = min(index, len(rows) - 1)
    elif verb in ("up", "down"):
        place = index + (1 if verb == "down" else -1)
        if 0 <= place < len(rows) and index < len(rows):
            rows[index], rows[place] = rows[place], rows[index]
    put_at(document, path, rows or None)
    return f"{path}[{max(0, min(place, len(rows) - 1))}].{first}" if rows else ""


def _ask(document: Plain, verb: str, path: str, index: int) -> str:
    if verb != "add":
        document.pop("ask", None)
        return ""
    # Most words stay the same for those who have to ask somebody: only the button differs.
    own = value_at(document, content_paths(document)[0]) or {}
    document["ask"] = {name: deepcopy(own[name]) for name in ("type", "title", "body", "dismiss") if name in own}
    return "ask.title"


def _variants(document: Plain, verb: str, path: str, index: int) -> str:
    variants = list(rows_of(document, "variants"))
    if verb == "add" and len(variants) < MOST_ROWS:
        first = [] if variants else [{"key": "a", "content": document.pop("content", {})}]
        variants = [*variants, *first]
        key = next(letter for letter in _keys() if letter not in {each.get("key") for each in variants})
        variants.append({"key": key, "content": deepcopy(variants[-1].get("content", {}))})
    elif verb == "remove" and index < len(variants):
        del variants[index]
    if len(variants) == 1 and verb == "remove":
        document["content"] = variants.pop().get("content", {})
    put_at(document, "variants", variants or None)
    return f"variants[{len(variants) - 1}].content.title" if variants else "content.title"


def _keys() -> list[str]:
    return [*"abcdefghijklmnopqrstuvwxyz", *(f"v{number}" for number in range(1, 2 * MOST_ROWS))]


_ACTS: dict[str, Callable[[Plain, str, str, int], str]] = {
    "steps": _steps,
    "caps": _caps,
    "ask": _ask,
    "variants": _variants,
}
