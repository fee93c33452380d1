"""Which events the milestones of a definition count; all others are unscored."""

from __future__ import annotations

from nudge_sdk.rules.definition import Definition
from nudge_sdk.rules.signals import event_names


def scored_events(definition: Definition) -> frozenset[str]:
    """Return the names of the events that milestones of a definition count."""
    signals = [milestone.signal for milestone in definition.milestones if milestone.signal]
    return frozenset(name for signal in signals for name in event_names(signal))
