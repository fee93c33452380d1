"""Where the values of a nudge stand in its document, and how each is written in a form.

A form names every value by its place, such as ``content.steps[0].title``, so that a problem of the document is one of
the field of that name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from nudge_sdk.errors import RecordError
from nudge_sdk.rules.times import to_iso, to_micros

Kind = Literal["line", "area", "text", "prose", "whole", "number", "percent", "tags", "instant", "flag"]
"""``text`` and ``prose`` are texts by language, of one line and of several; the others have one value."""

Plain = dict[str, Any]

MOST_ROWS = 50
_PART = re.compile(r"[^.\[\]]+")
_WHOLE = re.compile(r"-?[0-9]{1,15}")
_NUMBER = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,9})?")
_LOCAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")


class Place(NamedTuple):
    """A value of the document.

    Attributes:
        default: What holds where the document does not say.
        is_needed: Whether it stands in the document even if it is empty.
    """

    path: str
    kind: Kind = "line"
    default: Any = ""
    is_needed: bool = False


def is_text(place: Place) -> bool:
    """Whether a value is a text by language."""
    return place.kind in ("text", "prose")


def content_paths(document: Plain) -> list[str]:
    """Return where the contents of a nudge stand: its own or its variants', and that of people who cannot buy."""
    variants = [f"variants[{index}].content" for index in range(len(document.get("variants", ())))]
    return [*(variants or ["content"]), *(["ask"] if "ask" in document else [])]


def places_of(document: Plain) -> Iterator[Place]:
    """Return every value that a form for a document has, save trigger, caps and conditions, which are more than one."""
    yield from _TOP
    for index in range(len(document.get("variants", ()))):
        yield Place(f"variants[{index}].key", is_needed=True)
        yield Place(f"variants[{index}].weight", "number", 1)
    for start in content_paths(document):
        for place in _CONTENT:
            yield place._replace(path=f"{start}.{place.path}")
        for index in range(len(rows_of(document, f"{start}.steps"))):
            for place in _STEP:
                yield place._replace(path=f"{start}.steps[{index}].{place.path}")


_TOP = (
    Place("name"),
    Place("placement", is_needed=True),
    Place("mode", default="prompt"),
    Place("goal"),
    Place("needs_episode", "flag", default=True),
    Place("lane", default="normal"),
    Place("priority", "whole", 0),
    Place("tier"),
    Place("tags", "tags", []),
    Place("lifetime", "whole", 3),
    Place("dismiss_days", "number", 30),
    Place("holdout", "percent", 0),
    Place("schedule.starts_at", "instant"),
    Place("schedule.ends_at", "instant"),
    Place("notes", "area"),
)
_CONTENT = (
    Place("type", default="card"),
    Place("title", "text"),
    Place("body", "prose"),
    Place("cta.label", "text"),
    Place("cta.url"),
    Place("cta.action"),
    Place("dismiss", "text"),
    Place("chat.label", "text"),
    Place("chat.url"),
    Place("chat.action"),
    Place("video.url"),
    Place("video.title", "text"),
    Place("video.captions_url"),
    Place("video.transcript_url"),
    Place("video.seconds", "whole", 60),
)
_STEP = (Place("title", "text"), Place("body", "prose"), Place("url"), Place("milestone"))


def rows_of(document: Plain, path: str) -> list[Any]:
    """Return the list at a place; an empty one where there is none."""
    found = value_at(document, path)
    return found if isinstance(found, list) else []


def value_at(document: Any, path: str) -> Any:
    """Return the value at a place, or None."""
    for part in _PART.findall(path):
        if isinstance(document, list):
            document = document[int(part)] if part.isdigit() and int(part) < len(document) else None
        else:
            document = document.get(part) if isinstance(document, dict) else None
    return document


def put_at(document: Plain, path: str, value: Any) -> None:
    """Put a value at a place, making the groups on the way; None takes it away."""
    *way, last = _PART.findall(path)
    inner: Any = document
    for part in way:
        if isinstance(inner, list):
            inner = inner[int(part)]
        elif value is None and part not in inner:
            return
        else:
            inner = inner.setdefault(part, {})
    if value is None:
        inner.pop(last, None)
    else:
        inner[last] = value


def written(kind: Kind, value: Any) -> str:
    """Return a value as a form shows it."""
    if value is None:
        return ""
    match kind:
        case "tags":
            return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        case "percent" if isinstance(value, int | float):
            return _number_text(round(value * 100, 6))
        case "instant":
            return _local(str(value))
    return _number_text(value) if isinstance(value, int | float) else cleaned(str(value), is_long=kind in _LONG)


def read(kind: Kind, text: str) -> Any:
    """Return what a form's text says; the text itself where it cannot be read, and None for nothing."""
    bare = text.strip()
    if not bare:
        return None
    match kind:
        case "whole":
            return int(bare) if _WHOLE.fullmatch(bare) else text
        case "number" | "percent" if _NUMBER.fullmatch(bare):
            number = round(float(bare) / 100, 9) if kind == "percent" else float(bare)
            return int(number) if number.is_integer() else number
        case "tags":
            return [tag.strip() for tag in bare.split(",") if tag.strip()]
        case "instant":
            return f"{bare}:00Z" if _LOCAL.fullmatch(bare) else bare
    return text if kind in _LONG else bare


_LONG = ("area", "prose")


def cleaned(text: str, *, is_long: bool) -> str:
    """Return a text as browsers send it: lines end in one way, and a field of one line has none."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text if is_long else text.replace("\n", "")


def _number_text(number: float) -> str:
    return str(int(number)) if isinstance(number, bool) or number == int(number) else repr(number)


def _local(text: str) -> str:
    """Return an instant in UTC as the browser's field for dates has it."""
    try:
        return to_iso(to_micros(text, "time"))[:16]
    except RecordError:
        return text
