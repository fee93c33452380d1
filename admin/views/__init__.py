"""One module a resource: its routes, and its form beside them."""

from __future__ import annotations

from . import (
    accounts,
    accuracy,
    calibration,
    checks,
    economics,
    funnel,
    history,
    lift,
    members,
    milestones,
    nudges,
    overview,
    playbooks,
    proof,
    publishing,
    seen,
    segments,
    signals,
    trend,
    what_if,
)

BLUEPRINTS = (
    overview.blueprint,
    members.blueprint,
    accounts.blueprint,
    seen.blueprint,
    milestones.blueprint,
    segments.blueprint,
    what_if.blueprint,
    nudges.blueprint,
    funnel.blueprint,
    lift.blueprint,
    accuracy.blueprint,
    signals.blueprint,
    calibration.blueprint,
    trend.blueprint,
    economics.blueprint,
    proof.blueprint,
    checks.blueprint,
    publishing.blueprint,
    history.blueprint,
    playbooks.blueprint,
)
"""All of them; an admin registers every one."""
