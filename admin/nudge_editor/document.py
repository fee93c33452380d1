"""A nudge as the flat values of a form, and back into its document.

What was not changed in the form stays as it stood, and so do fields the form does not know.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from copy import deepcopy
from typing import Any

import msgspec

from nudge_sdk.rules.authoring import to_plain
from nudge_sdk.rules.authoring_shapes import examine
from nudge_sdk.rules.definition import Nudge

from .places import (
    MOST_ROWS,
    Place,
    Plain,
    cleaned,
    content_paths,
    is_text,
    places_of,
    put_at,
    read,
    rows_of,
    value_at,
    written,
)

Typed = Mapping[str, Any]
TRIGGERS = ("", "milestone", "any", "usage", "tier", "page", "manual")
_TRIGGER_PARTS = ("kind", "milestone", "usage", "tier", "page", "seconds")
_CAP_PARTS = ("count", "length", "unit", "per")
_BUTTONS = ("cta", "chat")
_NEEDED = {"cta": "label", "chat": "label", "video": "url", "schedule": ""}


def languages_of(document: Plain, default: str) -> list[str]:
    """Return the languages of a document's texts, the default one first."""
    found = [default]
    for place in places_of(document):
        text = value_at(document, place.path) if is_text(place) else None
        if isinstance(text, dict):
            found += [tag for tag in text if tag not in found]
    return found


def text_name(path: str, language: str, default: str) -> str:
    """Return the name of a text's field in a language."""
    return path if language == default else f"{path}.{language}"


def flat(document: Plain, languages: list[str]) -> dict[str, Any]:
    """Return what a form shows of a document, by name; the first language is the default one."""
    shown: dict[str, Any] = {}
    for place in places_of(document):
        value = value_at(document, place.path)
        if is_text(place):
            shown |= _shown_text(place, value, languages)
        elif place.kind == "flag":
            shown[place.path] = bool(place.default if value is None else value)
        else:
            shown[place.path] = written(place.kind, place.default if value is None else value)
    for index, cap in enumerate(rows_of(document, "caps")):
        shown |= {f"caps[{index}].{name}": text for name, text in _shown_cap(cap).items()}
    trigger = _shown_trigger(document.get("trigger") or {})
    return shown | {f"trigger.{name}": text for name, text in trigger.items()}


def patched(base: Plain, typed: Typed, languages: list[str], *, default: str) -> Plain:
    """Return a document with what was typed put into it.

    Args:
        base: The document as it stands.
        typed: Values of the form by name; rows and contents that are not among them are gone.
        languages: Languages of the form; texts of others are gone.
        default: The default language.
    """
    document = reshaped(base, typed)
    for place in list(places_of(document)):
        old = value_at(document, place.path)
        if is_text(place):
            put_at(document, place.path, _text(place, old, typed, languages, default))
        elif place.path in typed:
            put_at(document, place.path, _value(place, old, typed[place.path]))
    for index, cap in enumerate(rows_of(document, "caps")):
        document["caps"][index] = _cap(cap, {name: _of(typed, f"caps[{index}].{name}") for name in _CAP_PARTS})
    _put_trigger(document, {name: _of(typed, f"trigger.{name}") for name in _TRIGGER_PARTS})
    return _without_empty(document)


def reshaped(base: Plain, names: Collection[str]) -> Plain:
    """Return a copy of a document with as many contents and rows as a form has."""
    document = deepcopy(base)
    variants = _count(names, "variants[{}].weight")
    document["variants"] = _resized(rows_of(document, "variants"), variants)
    for index, variant in enumerate(document["variants"]):
        variant.setdefault("key", f"v{index + 1}")
        variant.setdefault("content", {})
    if variants:
        document.pop("content", None)
    else:
        del document["variants"]
        document.setdefault("content", {})
    if "ask.title" in names:
        document.setdefault("ask", {})
    else:
        document.pop("ask", None)
    lists = {f"{start}.steps": f"{start}.steps[{{}}].title" for start in content_paths(document)}
    for path, name in {**lists, "caps": "caps[{}].count"}.items():
        put_at(document, path, _resized(rows_of(document, path), _count(names, name)) or None)
    return document


def canonical(document: Plain) -> Plain:
    """Return a document as the SDK writes it, so that equal ones are equal; unchanged where it cannot be read."""
    if examine(document, Nudge).problems:
        return document
    plain: Plain = to_plain(msgspec.convert(document, Nudge))
    return plain


def readable(document: Plain) -> Nudge:
    """Return a document as the nudge it would be, with what cannot be read left out."""
    return msgspec.convert(examine(document, Nudge).value, Nudge)


def _count(names: Collection[str], pattern: str) -> int:
    return next(index for index in range(MOST_ROWS + 1) if index == MOST_ROWS or pattern.format(index) not in names)


def _resized(rows: list[Any], length: int) -> list[Any]:
    return [*rows[:length], *({} for _ in range(length - len(rows)))]


def _of(typed: Typed, name: str) -> str:
    return cleaned(str(typed.get(name) or ""), is_long=name == "trigger.page")


def _value(place: Place, old: Any, typed: Any) -> Any:
    if place.kind == "flag":
        return old if bool(typed) == bool(place.default if old is None else old) else bool(typed)
    text = cleaned(str(typed or ""), is_long=place.kind == "area")
    if text == written(place.kind, place.default if old is None else old):
        return old
    found = read(place.kind, text)
    # What is emptied goes back to its default, which for a text is to be empty.
    return "" if found is None and place.is_needed else found


def _shown_text(place: Place, text: Any, languages: list[str]) -> dict[str, str]:
    words = text if isinstance(text, dict) else {languages[0]: text or ""}
    return {text_name(place.path, tag, languages[0]): written(place.kind, words.get(tag) or "") for tag in languages}


def _text(place: Place, old: Any, typed: Typed, languages: list[str], default: str) -> Any:
    is_long = place.kind == "prose"
    names = {tag: text_name(place.path, tag, default) for tag in languages}
    words = {tag: cleaned(str(typed.get(name) or ""), is_long=is_long) for tag, name in names.items()}
    words = {tag: said for tag, said in words.items() if said.strip()}
    before = old if isinstance(old, dict) else {default: old or ""}
    if words == {tag: cleaned(str(said), is_long=is_long) for tag, said in before.items() if str(said).strip()}:
        return old
    if not isinstance(old, dict) and set(words) <= {default}:
        return words.get(default)
    return words or None


def _shown_cap(cap: Plain) -> dict[str, str]:
    unit = "hours" if "hours" in cap else "days"
    texts = {name: written("number", cap.get(key)) for name, key in (("count", "count"), ("length", unit))}
    return {**texts, "unit": unit, "per": cap.get("per", "member")}


def _cap(old: Plain, typed: dict[str, str]) -> Plain:
    if typed == _shown_cap(old):
        return old
    unit = "hours" if typed["unit"] == "hours" else "days"
    found = {"count": read("whole", typed["count"]), unit: read("number", typed["length"]), "per": typed["per"]}
    return {name: value for name, value in found.items() if value is not None and (name, value) != ("per", "member")}


def _shown_trigger(trigger: Plain) -> dict[str, str]:
    kind = next((name for name in ("milestone", "usage", "tier", "page", "manual") if trigger.get(name)), "")
    return {
        "kind": "any" if trigger.get("milestone") == "*" else kind,
        "milestone": "" if trigger.get("milestone") == "*" else str(trigger.get("milestone", "")),
        "usage": str(trigger.get("usage", "")),
        "tier": str(trigger.get("tier", "")),
        "page": "\n".join(map(str, trigger.get("page", ()))),
        "seconds": written("whole", trigger.get("seconds", 60)),
    }


def _put_trigger(document: Plain, typed: dict[str, str]) -> None:
    old = document.get("trigger") or {}
    if typed == _shown_trigger(old):
        return
    document.pop("trigger", None)
    found = dict(_trigger_parts(typed))
    if found:
        seconds = read("whole", typed["seconds"])
        document["trigger"] = found | ({"seconds": seconds} if seconds not in (None, 60) else {})


def _trigger_parts(typed: dict[str, str]) -> Iterator[tuple[str, Any]]:
    match typed["kind"]:
        case "any":
            yield "milestone", "*"
        case "milestone" | "usage" | "tier" as kind:
            yield kind, typed[kind] or ""
        case "page":
            yield "page", [line.strip() for line in typed["page"].split("\n") if line.strip()]
        case "manual":
            yield "manual", True


def _without_empty(document: Plain) -> Plain:
    """Take away groups in which nothing stands; a button with an address has a label, if an empty one."""
    for start in content_paths(document):
        for name in (*_BUTTONS, "video"):
            _drop_empty(document, f"{start}.{name}", _NEEDED[name])
    _drop_empty(document, "schedule", "")
    return document


def _drop_empty(document: Plain, path: str, needed: str) -> None:
    group = value_at(document, path)
    if not isinstance(group, dict):
        return
    if not any(value not in (None, "", {}) for name, value in group.items() if name != "seconds"):
        put_at(document, path, None)
    elif needed:
        group.setdefault(needed, "")
