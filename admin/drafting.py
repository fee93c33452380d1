"""Drafting: saving entities, throwing drafts away, publishing them."""

from __future__ import annotations

from typing import Any

import msgspec

from nudge_sdk.client import NudgeClient
from nudge_sdk.errors import DefinitionError, NudgeError
from nudge_sdk.rules.authoring import load_definition, parse_definition, to_plain
from nudge_sdk.rules.definition import Definition

from . import queries
from .access import Actor
from .queries import AuditLine, Conflict, StoredDraft
from .workspace import LISTS, SINGLE, Workspace

LONGEST_NOTE = 500


class Refused(NudgeError):
    """Something that cannot be done; the message says what to do instead."""


def save(client: NudgeClient, workspace: Workspace, draft: StoredDraft, *, seen: str) -> None:
    """Save an entity as a draft, or throw the draft away where it says what is live.

    Args:
        client: Whose clock says when.
        workspace: The workspace as it stands now.
        draft: Kind, key, document and who; its revision and time are set here.
        seen: ``workspace.version`` when the form was made.

    Raises:
        Conflict: Somebody else changed the entity since.
    """
    kind, key = draft.kind, draft.key
    if workspace.version(kind, key) != seen:
        raise Conflict(f"{kind} {key} was changed by somebody else in between")
    old = workspace.drafts.get((kind, key))
    now = msgspec.structs.replace(draft, revision=old.revision if old else 0, updated_at=client.now())
    if workspace.with_entity(kind, key, draft.document).is_as_live(kind, key):
        if old is not None:
            queries.drop_draft(old, by=draft.updated_by, at=now.updated_at)
        return
    queries.save_draft(now, before=workspace.stands(kind, key))


def discard(client: NudgeClient, workspace: Workspace, draft: tuple[str, str], *, seen: str, actor: Actor) -> None:
    """Throw a draft away.

    Args:
        client: Whose clock says when.
        workspace: The workspace as it stands now.
        draft: Kind and key.
        seen: ``workspace.version`` of the draft that was looked at.
        actor: Who.

    Raises:
        Conflict: It is not there any more, or somebody saved it since.
    """
    found = workspace.drafts.get(draft)
    if found is None or workspace.version(*draft) != seen:
        raise Conflict(f"{' '.join(draft)} was changed by somebody else in between")
    queries.drop_draft(found, by=actor.name, at=client.now())


def publish(client: NudgeClient, workspace: Workspace, *, note: str, seen: str, actor: Actor) -> int:
    """Freeze all drafts into the next definition; it is in force when this returns.

    Args:
        client: Publishes.
        workspace: The workspace as it stands now.
        note: Why, for the history.
        seen: ``workspace.fingerprint`` of what the publisher reviewed.
        actor: Who publishes.

    Returns:
        Its number.

    Raises:
        Conflict: Something was saved or published since the review.
        DefinitionError: It has problems.
        Refused: There is nothing to publish, or no note.
    """
    definition = parse_definition(workspace.plain)
    if not workspace.changes:
        raise Refused("There is nothing to publish: no draft differs from what is live.")
    if not note.strip():
        raise Refused("Say in a note why you publish; it stands in the history.")
    if workspace.fingerprint != seen:
        raise Conflict("a draft was saved, or a definition published, since you looked")
    number = client.publish(definition, by=actor.name, note=note.strip()[:LONGEST_NOTE])
    drafts = tuple(workspace.drafts.values())
    queries.drop_published(drafts, number=number, by=actor.name, at=client.now(), note=note.strip()[:LONGEST_NOTE])
    return number


def roll_back(client: NudgeClient, to: int, *, note: str, seen: int, actor: Actor) -> int:
    """Put an earlier definition in force again, under a new number. Drafts stay as they are.

    Args:
        client: Publishes.
        to: Number of the earlier definition.
        note: Why.
        seen: Number of the definition that was in force when the publisher looked.
        actor: Who.

    Raises:
        Conflict: Another definition was published since.
        Refused: There is no such definition, or it cannot be read any more.
    """
    rows = client.store.definitions()
    row = next((each for each in rows if each.number == to), None)
    if row is None:
        raise Refused(f"There is no definition {to}.")
    if rows[-1].number != seen:
        raise Conflict(f"definition {rows[-1].number} was published since you looked")
    try:
        definition, left_out = load_definition(row.document)
    except DefinitionError as error:
        raise Refused(f"Definition {to} cannot be read by this release: {error}") from error
    if left_out:
        raise Refused(f"Definition {to} cannot be put in force whole: {left_out[0]}")
    said = note.strip()[:LONGEST_NOTE] or f"Back to {to}"
    number = client.publish(definition, by=actor.name, note=said, back_to=to)
    line: dict[str, Any] = {"note": said, "back_to": to}
    queries.note(AuditLine(client.now(), actor.name, "rolled back", f"definition {number}", None, line))
    return number


def begin_with(client: NudgeClient, definition: Definition, *, actor: Actor) -> None:
    """Make a draft of every entity of a definition, in one transaction, where there is nothing yet.

    Raises:
        Conflict: Somebody else has begun in between.
    """
    plain = to_plain(definition)
    single = [(kind, "", plain[kind]) for kind in SINGLE if kind in plain]
    listed = [(kind, each["key"], each) for kind, field in LISTS.items() for each in plain.get(field, [])]
    now = client.now()
    queries.add_drafts([StoredDraft(kind, key, each, 0, now, actor.name) for kind, key, each in (*single, *listed)])
