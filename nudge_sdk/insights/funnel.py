"""The funnel: Sign-up, Activation, PQL, PQA, Won, or any ordered list of events."""

from __future__ import annotations

from nudge_sdk.insights.funnel_events import event_funnel
from nudge_sdk.insights.funnel_journeys import funnel
from nudge_sdk.insights.funnel_words import funnel_rows, funnel_words

__all__ = ["event_funnel", "funnel", "funnel_rows", "funnel_words"]
