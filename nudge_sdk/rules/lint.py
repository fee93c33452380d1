"""The lint: what is unwise in a definition that is otherwise in order, before it is published.

A definition can be written without a mistake and still qualify people who only looked around, or nobody at all. The
lint says so in words, with the smallest sets of milestones that reach each tier as its evidence.
"""

from __future__ import annotations

from collections.abc import Iterable

from nudge_sdk.rules.compiled import SubjectRules
from nudge_sdk.rules.definition import Definition, Subject, Tier
from nudge_sdk.rules.lint_findings import Finding, Severity
from nudge_sdk.rules.lint_milestones import lint_milestones
from nudge_sdk.rules.lint_nudges import lint_nudges
from nudge_sdk.rules.lint_reach import Reach
from nudge_sdk.rules.lint_segments import lint_segments
from nudge_sdk.rules.lint_tiers import lint_tiers
from nudge_sdk.rules.tallies import CAPACITY, Capacity

__all__ = ["Finding", "Severity", "is_blocking", "lint", "smallest_sets"]

_ORDER: dict[Severity, int] = {"block": 0, "warn": 1, "note": 2}


def lint(definition: Definition, *, capacity: Capacity = CAPACITY) -> list[Finding]:
    """Find what is unwise in a definition.

    Args:
        definition: The definition; it has passed the checks of ``parse_definition``.
        capacity: How much the client's states keep.

    Returns:
        The findings, the gravest first, in the order of the document.
    """
    findings = [
        *lint_milestones(definition, capacity),
        *lint_segments(definition),
        *lint_tiers(definition),
        *lint_nudges(definition),
    ]
    return sorted(findings, key=lambda finding: _ORDER[finding.severity])


def is_blocking(findings: Iterable[Finding]) -> bool:
    """Return whether publishing needs an override with a reason."""
    return any(finding.severity == "block" for finding in findings)


def smallest_sets(definition: Definition, segment_key: str, subject: Subject, tier: Tier) -> list[tuple[str, ...]]:
    """Return the smallest sets of milestones that reach a tier: no part of one reaches it.

    Gates on fit and active users are taken as met. With more than 20 milestones that give points, not all sets may be
    found.

    Args:
        definition: The definition.
        segment_key: Key of the segment.
        subject: Whose tier it is.
        tier: ``warm`` or ``hot``.

    Returns:
        Keys of milestones, from the most points down; fewest milestones first. One empty set where nothing is needed,
        and no set where the tier has no entry or cannot be reached.

    Raises:
        KeyError: There is no such segment.
    """
    segment = next((each for each in definition.segments if each.key == segment_key), None)
    if segment is None:
        raise KeyError(segment_key)
    by = SubjectRules(definition, segment, subject)
    rule = {"warm": by.warm, "hot": by.hot}.get(tier)
    if rule is None:
        return []
    reach = Reach(by, rule)
    return [tuple(each.key for each in reach.members(mask)) for mask in reach.smallest().masks]
