"""Editing: what the editors of entities have in common, from saving to what somebody else did in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from flask import Response, abort, request
from werkzeug.wrappers import Response as AnyResponse

from nudge_sdk.errors import NudgeError, Problem
from nudge_sdk.rules.definition import Definition
from nudge_sdk.rules.lint import Finding
from nudge_sdk.rules.lint_findings import name_of

from . import drafting, queries
from .access import current_actor
from .differences import Difference, differences
from .pages import current_client, current_workspace, forget_workspace, go, page
from .places import place_of
from .queries import AuditLine, Conflict, StoredDraft
from .workspace import LISTS, Workspace

LINES = 5

UsesOf = Callable[[Definition, str], Any]
"""Returns what refers to the entity of a key."""


class Unfit(NudgeError):
    """An entity that has problems; ``found`` are they, by field."""

    def __init__(self, found: dict[str, list[Problem]]) -> None:
        super().__init__("it has problems")
        self.found = found


class Meanwhile(NamedTuple):
    """What somebody else did while a form was open.

    Attributes:
        who: Their name; empty where it is not known.
        at: When.
        differences: From what stands now to what the form says.
        is_gone: Whether the entity is not there any more.
    """

    who: str
    at: int
    differences: list[Difference]
    is_gone: bool


def save_entity(kind: str, key: str, document: Any, *, seen: str) -> str:
    """Save an entity as a draft, if it is in order; a document of None removes it.

    Returns:
        The notice to go on with: ``saved``, ``removed`` or ``unchanged``.

    Raises:
        Conflict: Somebody else changed it since ``seen``.
        Unfit: It has problems; nothing was saved.
    """
    workspace = current_workspace()
    found = workspace.with_entity(kind, key, document).problems_of(kind, key) if document is not None else {}
    if found:
        raise Unfit(found)
    if document == workspace.stands(kind, key) and workspace.version(kind, key) == seen:
        return "unchanged"
    try:
        draft = StoredDraft(kind, key, document, 0, 0, current_actor().name)
        drafting.save(current_client(), workspace, draft, seen=seen)
    finally:
        forget_workspace()
    return "removed" if document is None else "saved"


def removal_page(kind: str, entity: Any, uses: UsesOf, *, status: int = 200) -> Response:
    """Return what refers to an entity, and the form that removes it; 409 where somebody changed it in between."""
    workspace = current_workspace()
    return page(
        f"{LISTS[kind]}/remove.html",
        key=entity.key,
        name=name_of(entity),
        uses=uses(workspace.definition, entity.key),
        version=workspace.version(kind, entity.key),
        is_late=status == 409,
        status=status,
    )


def remove_entity(kind: str, entity: Any, uses: UsesOf) -> AnyResponse:
    """Take an entity out of the draft, as a form asks; answer with the list, or with the form again."""
    try:
        notice = save_entity(kind, entity.key, None, seen=request.form.get("version", ""))
    except Conflict:
        forget_workspace()
        return removal_page(kind, entity, uses, status=409)
    return go(f"{LISTS[kind]}.show_all", notice)


def discard_entity(kind: str, key: str) -> AnyResponse:
    """Throw a draft away, as a form asks; answer with the entity as it is live, or with the list where it is not."""
    workspace, seen = current_workspace(), request.form.get("version", "")
    try:
        drafting.discard(current_client(), workspace, (kind, key), seen=seen, actor=current_actor())
    except Conflict:
        abort(409, "The draft was changed by somebody else in between. Look at it before you throw it away.")
    if workspace.live_entity(kind, key) is None:
        return go(f"{LISTS[kind]}.show_all", "discarded")
    return go(f"{LISTS[kind]}.edit", "discarded", key=key)


def meanwhile(kind: str, key: str, document: Any) -> Meanwhile:
    """Return who changed an entity, and how what stands now differs from what a form says."""
    workspace = current_workspace()
    stands = workspace.stands(kind, key)
    lines = queries.history(f"{kind} {key}", limit=1)
    who, at = (lines[0][1].actor, lines[0][1].at) if lines else ("", 0)
    return Meanwhile(who, at, differences(stands, document), stands is None)


def with_document(workspace: Workspace, kind: str, key: str, document: Any) -> Workspace:
    """Return the workspace with an entity in place; itself where that changes nothing."""
    return workspace if document == workspace.stands(kind, key) else workspace.with_entity(kind, key, document)


def concerning(workspace: Workspace, trial: Workspace, kind: str, key: str) -> list[tuple[Finding, str]]:
    """Return what the lint says of an entity, and what a change of it would bring about elsewhere.

    Args:
        workspace: What stands.
        trial: What would be; ``with_document`` makes it.
        kind: Kind of the entity.
        key: Its key.
    """
    start = f"{LISTS[kind]}[{key}]"
    before = set(map(str, workspace.findings))
    return [
        (finding, place_of(finding.where))
        for finding in trial.findings
        if finding.where.startswith(start) or str(finding) not in before
    ]


def latest(kind: str, key: str) -> list[AuditLine]:
    """Return the latest lines of an entity's history."""
    return [line for _, line in queries.history(f"{kind} {key}", limit=LINES)]
