"""What the tortured product counts and shows: tiers that many members reach, nudges that go on for ever."""

from __future__ import annotations

from nudge_sdk import Definition
from nudge_sdk.rules.authoring import parse_definition

PLACEMENT = "page"
NUDGE = "hello"
_CONTENT = {"type": "card", "title": "Go on", "cta": {"label": "Go", "url": "/plans"}, "dismiss": "Not now"}

DEFINITION: Definition = parse_definition(
    {
        "name": "torture",
        "milestones": [
            {"key": "steps", "signal": {"event": "step"}, "at_least": 5, "category": "high"},
            {"key": "many", "signal": {"event": "step"}, "at_least": 40, "category": "high"},
            {"key": "all", "subject": "account", "signal": {"event": "step"}, "at_least": 25, "category": "high"},
        ],
        "segments": [
            {"key": "all", "member": {"warm": {"score": 5}, "hot": {"score": 10}}, "account": {"hot": {"score": 5}}}
        ],
        "holdout": {"share": 0},
        "settings": {"caps": [], "gap_minutes": 0, "display_minutes": 0.02},
        "nudges": [
            # Everybody is asked to upgrade now and then, and hides it for a few seconds where it is dismissed.
            {
                "key": NUDGE, "placement": PLACEMENT, "needs_episode": False, "lifetime": 1_000_000,
                "dismiss_days": 0.00005, "content": _CONTENT,
            },
        ],
    }
)  # fmt: skip


def account_of(user: int) -> str:
    """Return the account of a user: ten share one."""
    return f"account-{user // 10}"
