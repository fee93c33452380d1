"""nudge-sdk: find the users and accounts who have reached value, and act at the right moment."""

from typing import TYPE_CHECKING, Any

from nudge_sdk.client import NudgeClient
from nudge_sdk.errors import DefinitionError, NudgeError, RecordError, SetupError
from nudge_sdk.options import Options
from nudge_sdk.rules.definition import Definition
from nudge_sdk.rules.presenting import Payload
from nudge_sdk.rules.selection import Reason
from nudge_sdk.runtime.deciding import Decision

if TYPE_CHECKING:
    from nudge_sdk.answers import Explanation
    from nudge_sdk.rules.explaining import StandingReport

__version__ = "0.1.0"

__all__ = [
    "Decision",
    "Definition",
    "DefinitionError",
    "Explanation",
    "NudgeClient",
    "NudgeError",
    "Options",
    "Payload",
    "Reason",
    "RecordError",
    "SetupError",
    "StandingReport",
]


def __getattr__(name: str) -> Any:
    """Import on first use what no request needs."""
    if name == "Explanation":
        from nudge_sdk.answers import Explanation

        return Explanation
    if name == "StandingReport":
        from nudge_sdk.rules.explaining import StandingReport

        return StandingReport
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
