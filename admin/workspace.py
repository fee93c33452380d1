"""The workspace: the definition that is live, with the drafts laid over it.

A draft is one entity as it is being edited. Nothing of it runs before it is published; publishing freezes all drafts
into the next definition.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from hashlib import sha256
from typing import Any

import msgspec

from nudge_sdk.client import NudgeClient
from nudge_sdk.errors import DefinitionError, Problem
from nudge_sdk.rules.authoring import fingerprint, load_definition, parse_definition, to_plain
from nudge_sdk.rules.definition import Definition
from nudge_sdk.rules.lint import Finding, lint

from . import queries
from .queries import StoredDraft

LISTS: dict[str, str] = {
    "milestone": "milestones",
    "segment": "segments",
    "nudge": "nudges",
    "group": "groups",
    "goal": "goals",
}
"""Kinds of entities that stand in lists, with the field of the definition they stand in."""

SINGLE = ("settings", "holdout")
"""Kinds of which there is one; their key is empty. ``order`` holds the order of a list, by the list's field."""


_KEPT = 32
"""Documents that were read lately: the same one comes with every page until somebody saves."""


class Change(msgspec.Struct, frozen=True):
    """One difference between the drafts and what is live.

    Attributes:
        what: added, changed, removed or moved.
        before, after: The entity as plain data, or None.
    """

    kind: str
    key: str
    what: str
    before: Any
    after: Any
    draft: StoredDraft


class Workspace:
    """What an editor works on.

    Args:
        live: The definition in force; an empty one before the first.
        drafts: The drafts.

    Attributes:
        number: Number of the live definition; 0 before the first.
    """

    def __init__(self, live: Definition, drafts: tuple[StoredDraft, ...]) -> None:
        self.live = live
        self.number = live.number
        self.drafts = {(draft.kind, draft.key): draft for draft in drafts}

    @cached_property
    def plain(self) -> dict[str, Any]:
        """The definition with all drafts, as plain data; it may have problems."""
        plain = to_plain(msgspec.structs.replace(self.live, number=0))
        for draft in self.drafts.values():
            if draft.kind in SINGLE:
                _put_single(plain, draft)
            elif draft.kind in LISTS:
                _put_entity(plain.setdefault(LISTS[draft.kind], []), draft)
        for draft in self.drafts.values():
            if draft.kind == "order" and draft.document:
                _sort(plain.get(draft.key, []), draft.document)
        return {name: value for name, value in plain.items() if value not in ([], {})}

    @cached_property
    def _encoded(self) -> bytes:
        return msgspec.json.encode(self.plain)

    @cached_property
    def problems(self) -> tuple[Problem, ...]:
        """What forbids publishing, all at once."""
        return _problems(self._encoded)

    @cached_property
    def definition(self) -> Definition:
        """The definition with all drafts; what is wrong in it is read as tolerantly as can be.

        Where even that fails it is the live one: each draft was readable when it was saved.
        """
        try:
            return loaded(self._encoded)
        except DefinitionError:
            return self.live

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What the lint says of it; nothing while there are problems."""
        return _findings(self._encoded) if not self.problems else ()

    @cached_property
    def fingerprint(self) -> str:
        """A hash of its content, by which a publisher says what they have seen."""
        return fingerprint(self.definition)

    @cached_property
    def changes(self) -> tuple[Change, ...]:
        """What publishing would change, in the order of the document."""
        found = (self._change(draft) for draft in self.drafts.values())
        order = (*LISTS, *SINGLE, "order")
        return tuple(sorted(filter(None, found), key=lambda each: (order.index(each.kind), each.key)))

    def entity(self, kind: str, key: str = "") -> Any:
        """Return an entity as it stands in the drafts; None where there is none."""
        if kind in SINGLE:
            return getattr(self.definition, kind)
        return next((each for each in getattr(self.definition, LISTS[kind]) if each.key == key), None)

    def live_entity(self, kind: str, key: str = "") -> Any:
        """Return an entity as it is live; None where there is none."""
        if kind in SINGLE:
            return getattr(self.live, kind)
        return next((each for each in getattr(self.live, LISTS[kind]) if each.key == key), None)

    def version(self, kind: str, key: str = "") -> str:
        """Return what a form carries, so that saving it never overwrites what its author has not seen."""
        draft = self.drafts.get((kind, key))
        if draft is not None:
            return f"draft-{draft.revision}"
        if kind == "order":
            stands: Any = [each.key for each in getattr(self.live, key)]
        else:
            stands = plainly(self.live_entity(kind, key))
        return f"live-{sha256(msgspec.json.encode(stands, order='sorted')).hexdigest()[:12]}"

    def status(self, kind: str, key: str = "") -> str:
        """Return ``live``, ``new``, ``changed`` or ``removed``."""
        draft = self.drafts.get((kind, key))
        if draft is None:
            return "live"
        if draft.document is None:
            return "removed"
        return "changed" if self.live_entity(kind, key) is not None else "new"

    def stands(self, kind: str, key: str = "") -> Any:
        """Return an entity as plain data, as it stands in the drafts; None where there is none."""
        if kind == "order":
            return [each.key for each in getattr(self.definition, key)]
        return plainly(self.entity(kind, key))

    def is_as_live(self, kind: str, key: str = "") -> bool:
        """Whether the draft of an entity says what is live."""
        draft = self.drafts[kind, key]
        return self._change(draft) is None

    def with_entity(self, kind: str, key: str, document: Any) -> Workspace:
        """Return the workspace as it would be with an entity in place; a document of None takes it away."""
        draft = StoredDraft(kind, key, document, 0, 0, "")
        return Workspace(self.live, tuple({**self.drafts, (kind, key): draft}.values()))

    def problems_of(self, kind: str, key: str = "") -> dict[str, list[Problem]]:
        """Return an entity's problems by field: ``content.title``; an empty field for the entity as a whole."""
        start = f"{LISTS[kind]}[{key}]" if kind in LISTS else kind
        found: dict[str, list[Problem]] = {}
        for problem in self.problems:
            rest = problem.where.removeprefix(start)
            if rest != problem.where and rest[:1] in ("", ".", "["):
                found.setdefault(rest.lstrip("."), []).append(problem)
        return found

    def _change(self, draft: StoredDraft) -> Change | None:
        if draft.kind == "order":
            before = [each.key for each in getattr(self.live, draft.key)]
            after = [each.key for each in getattr(self.definition, draft.key)]
            return Change("order", draft.key, "moved", before, after, draft) if before != after else None
        before = plainly(self.live_entity(draft.kind, draft.key))
        if before == draft.document:
            return None
        what = "added" if before is None else "removed" if draft.document is None else "changed"
        return Change(draft.kind, draft.key, what, before, draft.document, draft)


def open_workspace(client: NudgeClient) -> Workspace:
    """Read what is live, and the drafts.

    Raises:
        DefinitionError: What is live cannot be read by this release.
        StoreError: The store did not answer.
    """
    client.intake.ready()
    rows = client.intake.current().rows
    live = loaded(rows[-1].document) if rows else Definition()
    return Workspace(live, queries.drafts())


@lru_cache(_KEPT)
def loaded(document: bytes) -> Definition:
    """Return a published document as a definition, read tolerantly; the same one is read once.

    Raises:
        DefinitionError: It cannot be read by this release.
    """
    return load_definition(document)[0]


@lru_cache(_KEPT)
def _problems(document: bytes) -> tuple[Problem, ...]:
    try:
        parse_definition(msgspec.json.decode(document))
    except DefinitionError as error:
        return tuple(error.problems)
    return ()


@lru_cache(_KEPT)
def _findings(document: bytes) -> tuple[Finding, ...]:
    return tuple(lint(loaded(document)))


def plainly(entity: Any) -> Any:
    """Return an entity without what publishing itself sets."""
    plain = to_plain(entity)
    return {name: value for name, value in plain.items() if name != "published_in"} if entity is not None else None


def _put_single(plain: dict[str, Any], draft: StoredDraft) -> None:
    if draft.document:
        plain[draft.kind] = draft.document
    else:
        plain.pop(draft.kind, None)


def _put_entity(entities: list[Any], draft: StoredDraft) -> None:
    index = next((index for index, each in enumerate(entities) if each.get("key") == draft.key), len(entities))
    entities[index : index + 1] = [] if draft.document is None else [draft.document]


def _sort(entities: list[Any], keys: list[str]) -> None:
    places = {key: place for place, key in enumerate(keys)}
    entities.sort(key=lambda each: places.get(each.get("key", ""), len(places)))
