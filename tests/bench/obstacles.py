"""What stands in the way of the figures that miss their limit, for the page; told only of those that do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

HEAD = "## What stands in the way\n"

OBSTACLES: dict[tuple[str, ...], str] = {
    ("decide",): (
        "A decision says for each of the 20 candidates why it is not shown, and looks at caps, the gap and what "
        "was answered, where GrowthBook answers one rule after the other until one holds. What is left is "
        "Python's own price of some twenty calls and four small objects; only code in C would go much further."
    ),
    ("decide_cold_sqlite", "decide_cold_postgresql"): (
        "One query reads the member, its account, how far the journals are drained, and whether the member was "
        "moved; the limit is the price of reading one row by its key and nothing else. The rest is Python: "
        "finding the segment, and sorting 20 candidates apart, which later decisions then need not do."
    ),
    ("track_1", "track_1_posthog", "track_8", "track_8_posthog"): (
        "Beside encoding and writing, an event is checked (names, sizes, values that some database could not "
        "hold), gets a message id and its place in the journal, and is kept in memory so that the very next "
        "decision sees it. With several threads all of that waits for the interpreter's lock, as the plain write "
        "does not."
    ),
    ("drain_at_", "drain_postgresql"): (
        "The bare writers get rows that are ready. We decode each event, count it into the signals of a member "
        "and of its account, and where it may change something judge both at the event's own instant, so that "
        "each crossing has its exact instant and cause; that is Python, and takes longer than the database takes "
        "for the rows."
    ),
    ("import_history",): (
        "What is said of draining, and: each row is read from the file, checked, and sorted on the disk first. Of a "
        "longer history the bare writer comes back to each member's row again and again, and a sorted one does not."
    ),
    ("bytes_an_event",): (
        "An event row holds its message id, account, user, name and properties as text, so that support and "
        "auditors can read it with any tool, and its key leads a second time to the member's own events. Numbers "
        "in the place of names would take tables of names that every writer has to keep in step. The rows of "
        "members come on top, about one to a page of the file."
    ),
    ("import_memory",): (
        "A transaction has all the members and accounts unpacked that its rows are about, up to 5,000 of them, and "
        "2,000 stay so after it; a history of fewer takes less."
    ),
    ("memory",): (
        "The packed state of a member alone, and that of its account, is longer than the limit: it holds exact "
        "days, first instants and distinct values for every window a definition may ask for. What is judged from "
        "it comes on top, in Python objects of 50 to 200 bytes each. Option `profiles` bounds how many are kept."
    ),
    ("requests_thread", "requests_external", "requests_posthog"): (
        "A bare view does nothing at all, and PostHog's capture only passes the event on. Here the event is "
        "scored in the same process (or by `nudge worker`), the decision right after it folds it in, so that the "
        "prompt may come with the very answer, and once it is drained elsewhere the member is read again."
    ),
    ("import", "import_ms"): (
        "The modules are small and many, and each costs a fraction of a millisecond to load, beside what `msgspec` "
        "takes. Nothing heavier is loaded, and no connection, thread or file is opened."
    ),
}
"""Names of figures, or how they begin, and the text."""


def obstacles(figures: Iterable[Mapping[str, Any]]) -> str:
    """Return the chapter on the figures that miss their limit; empty where none does."""
    missed = [each for each in figures if each["limit"] and not each["ok"]]
    told = []
    for names, text in OBSTACLES.items():
        whats = [each["what"] for each in missed if _is_named(each["figure"], names)]
        if whats:
            told.append(f"- **{whats[0]}**{' and what is like it' if len(whats) > 1 else ''}: {text}")
    return "\n".join([HEAD, *told, ""]) if told else ""


def _is_named(figure: str, names: tuple[str, ...]) -> bool:
    return any(figure == name or (name.endswith("_") and figure.startswith(name)) for name in names)
