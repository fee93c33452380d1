"""The list of nudges: by placement, with what came of each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from nudge_sdk.rules.definition import Nudge
from nudge_sdk.rules.lint_findings import name_of
from nudge_sdk.rules.times import DAY

from ..queries import exposures as queries_exposures
from ..queries.exposures import Outcome
from ..workspace import Workspace
from .words import FORMAT_WORDS, audience_words, first_content, trigger_words, words_of

DAYS = 28


class Row(NamedTuple):
    """A nudge in the list.

    Attributes:
        status: live, new, changed or removed.
        version: What a button that changes it sends.
        outcome: What came of it in the last days.
        done: What it is there for: clicks of a prompt, completions of help.
    """

    nudge: Nudge
    name: str
    format: str
    title: str
    audience: str
    trigger: str
    goal: str
    status: str
    version: str
    outcome: Outcome
    done: int


class Placement(NamedTuple):
    """A placement with its nudges, in the order in which they win."""

    name: str
    rows: list[Row]


def placements(workspace: Workspace, *, mode: str, now: int) -> list[Placement]:
    """Return all placements that any nudge stands in, by name.

    Args:
        workspace: What is live and drafted; a nudge to be taken away is listed until it is published.
        mode: Only of this mode; all if empty.
        now: The present instant: what came of nudges is that of the last days.
    """
    nudges = [each for each in _all(workspace) if mode in ("", each.mode)]
    came_of = queries_exposures.outcomes([each.key for each in nudges], since=now - DAYS * DAY)
    found: dict[str, list[Row]] = {}
    for nudge in sorted(nudges, key=lambda each: (each.lane != "critical", -each.priority, each.key)):
        found.setdefault(nudge.placement, []).append(_row(workspace, nudge, came_of.get(nudge.key, Outcome())))
    return [Placement(name, rows) for name, rows in sorted(found.items())]


def counts(workspace: Workspace) -> dict[str, int]:
    """Return how many nudges there are of each mode."""
    nudges = list(_all(workspace))
    return {mode: sum(each.mode == mode for each in nudges) for mode in ("prompt", "help")}


def _all(workspace: Workspace) -> Iterable[Nudge]:
    yield from workspace.definition.nudges
    there = {each.key for each in workspace.definition.nudges}
    yield from (each for each in workspace.live.nudges if each.key not in there)


def _row(workspace: Workspace, nudge: Nudge, outcome: Outcome) -> Row:
    definition, content = workspace.definition, first_content(nudge)
    return Row(
        nudge=nudge,
        name=name_of(nudge),
        format=FORMAT_WORDS.get(content.type, content.type),
        title=words_of(content.title or content.body, definition.settings.default_locale),
        audience=audience_words(nudge, definition),
        trigger=trigger_words(nudge.trigger, definition),
        goal=next((name_of(each) for each in definition.goals if each.key == nudge.goal), ""),
        status=workspace.status("nudge", nudge.key),
        version=workspace.version("nudge", nudge.key),
        outcome=outcome,
        done=outcome.completed if nudge.mode == "help" else outcome.clicked,
    )
