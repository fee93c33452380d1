"""Places: where in the admin a part of the definition is edited."""

from __future__ import annotations

import re

from flask import current_app, url_for

_WHERE = re.compile(r"(milestones|segments|nudges)\[([^\]]+)\]")


def place_of(where: str) -> str:
    """Return the address of the page that edits a place such as ``nudges[hello].content.title``; empty for none."""
    found = _WHERE.match(where)
    if found is None:
        return ""
    return edit_place(found[1], found[2])


def edit_place(resource: str, key: str) -> str:
    """Return the address of the editor of an entity; ``resource`` is milestones, segments or nudges."""
    endpoint = f"{resource}.edit"
    return url_for(endpoint, key=key) if endpoint in current_app.view_functions else ""
