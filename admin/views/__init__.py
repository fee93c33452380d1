"""One module a resource: its routes, and its form beside them."""

from __future__ import annotations

from . import accounts, checks, history, members, milestones, nudges, overview, playbooks, publishing, seen, segments

BLUEPRINTS = (
    overview.blueprint,
    members.blueprint,
    accounts.blueprint,
    seen.blueprint,
    milestones.blueprint,
    segments.blueprint,
    nudges.blueprint,
    checks.blueprint,
    publishing.blueprint,
    history.blueprint,
    playbooks.blueprint,
)
"""All of them; an admin registers every one."""
