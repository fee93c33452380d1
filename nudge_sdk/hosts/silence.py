"""Silence: whoever has just met an error of the host is shown nothing for some minutes."""

from __future__ import annotations

from nudge_sdk.client import NudgeClient
from nudge_sdk.hosts.who import Who
from nudge_sdk.rules.times import MINUTE

_MOST = 10_000


class Silence:
    """Keeps quiet after errors; in a row of them, writes once a minute and member.

    Args:
        minutes: For how long; 0 for never.
    """

    def __init__(self, minutes: float) -> None:
        self.minutes = minutes
        self._written: dict[tuple[str, str | None], int] = {}

    def begin(self, client: NudgeClient, who: Who) -> None:
        """Show a person nothing from now on, for as long as is set."""
        key, now = (who.user, who.account), client.now()
        if 0 <= now - self._written.get(key, -MINUTE) < MINUTE:
            return
        if len(self._written) >= _MOST:
            self._written.clear()
        self._written[key] = now
        client.silence(who.user, account=who.account, until=now + round(self.minutes * MINUTE))
