"""Reports: what the form of a rendered nudge says, taken from whom it was rendered for; for any framework."""

from __future__ import annotations

import json
from collections.abc import Mapping

import msgspec
from itsdangerous import BadData

from nudge_sdk.client import NudgeClient
from nudge_sdk.hosts.slips import REPORTS, Slip, Slips, record
from nudge_sdk.hosts.who import Who

IS_OPEN = "open"
"""Asks whether the nudge is still on display; only the script does, for a page that a browser brought back."""


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What to answer a report with.

    Attributes:
        status: Of the answer to the script; a form gets 303 where it was taken.
        problem: Why it was refused, or an empty text.
        leads_to: Where a form leads.
        is_open: Whether the nudge is on display, where that was asked.
    """

    status: int = 200
    problem: str = ""
    leads_to: str = ""
    is_open: bool | None = None

    def as_json(self) -> str:
        """Return the answer to the script."""
        said: dict[str, object] = {"ok": self.status == 200}
        if self.problem:
            said["problem"] = self.problem
        if self.is_open is not None:
            said["open"] = self.is_open
        return json.dumps(said)


def take(client: NudgeClient, slips: Slips, fields: Mapping[str, str], who: Who | None) -> Reply:
    """Record what a form reports: only from whom it was rendered for.

    Args:
        client: The client.
        slips: Reads the token.
        fields: The form's.
        who: Who makes the request.
    """
    report = fields.get("report", "")
    try:
        slip, is_fresh = slips.read(fields.get("token", ""))
    except BadData:
        return Reply(status=400, problem="This form is not valid. Go back and reload the page.")
    if who is None or (who.user, who.account or "") != (slip.user, slip.account):
        return Reply(status=403, problem="This form belongs to somebody else. Go back and reload the page.")
    if report == IS_OPEN:
        return Reply(leads_to=slip.back, is_open=_is_open(client, slip, who))
    if report not in REPORTS:
        return Reply(status=400, problem="This form does not say what to do. Go back and reload the page.")
    leads_to = slip.target(report)
    if not is_fresh:
        return Reply(status=410, problem="This form is too old. Reload the page.", leads_to=leads_to)
    if not record(client, slip, report):
        return Reply(status=503, problem="This could not be written down. Try again.", leads_to=leads_to)
    return Reply(leads_to=leads_to)


def _is_open(client: NudgeClient, slip: Slip, who: Who) -> bool:
    page = slip.back.partition("?")[0]
    found = client.explain(
        slip.placement,
        user=who.user,
        account=who.account,
        context={"page": page},
        locale=who.locale,
        can_purchase=who.can_purchase,
    )
    return found is None or found.decision.id == slip.decision


__all__ = ["IS_OPEN", "Reply", "take"]
