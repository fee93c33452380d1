"""Sayings: what the host calls, as records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from nudge_sdk.errors import RecordError
from nudge_sdk.rules.records import Kind, Record, personal_account
from nudge_sdk.runtime.checking import check_instant, check_name
from nudge_sdk.runtime.deciding import Decision
from nudge_sdk.runtime.recorder import Recorder

ReportKind = Literal["shown", "clicked", "dismissed", "snoozed", "completed", "opted_out", "opted_in"]

_REPORTS = frozenset({"shown", "clicked", "dismissed", "snoozed", "completed", "opted_out", "opted_in"})
_OPTS: dict[str, Kind] = {"opted_out": "opt_out", "opted_in": "opt_in"}
_NAMED = {"alias": "user", "convert": "goal", "churn": "goal"}
_TRAITS = frozenset({"identify", "group", "left"})


@dataclass(frozen=True)
class Saying:
    """What was said of a user or an account, before it is checked."""

    kind: Kind
    user: str | None
    name: str
    data: Mapping[str, Any] | None
    account: str | None = None
    at: datetime | str | int | None = None
    id: str | None = None

    def record(self, recorder: Recorder) -> Record:
        """Return the checked record.

        Raises:
            RecordError: Something that some store cannot hold, or nobody it is said of.
        """
        if self.user is None and self.account is None:
            raise RecordError("account", f"{self.kind} needs an account or a user")
        if self.kind in _NAMED:
            check_name(self.name, _NAMED[self.kind])
        field = "traits" if self.kind in _TRAITS else "data"
        return recorder.make(
            self.kind, self.user, self.name, self.data, account=self.account, at=self.at, id=self.id, field=field
        )


@dataclass(frozen=True)
class Reporter:
    """Who did something with a nudge, and the details."""

    user: str | None = None
    account: str | None = None
    until: datetime | str | int | None = None
    id: str | None = None


def report(recorder: Recorder, nudge: str | Decision, kind: ReportKind, by: Reporter) -> Record:
    """Return the record of what a person did with a nudge.

    Raises:
        RecordError: It is not said who, what, or until when.
    """
    if kind not in _REPORTS:
        raise RecordError("kind", f"{kind!r} is not known; say one of {', '.join(sorted(_REPORTS))}")
    key, by, data = _of_decision(nudge, by) if isinstance(nudge, Decision) else (nudge, by, {})
    if by.user is None:
        raise RecordError("user", "say who, or give the decision")
    if kind in _OPTS:
        key = "" if isinstance(nudge, Decision) else key
        return recorder.make(_OPTS[kind], by.user, key and check_name(key, "tag"), None, account=by.account, id=by.id)
    if by.until is not None:
        data["until"] = check_instant(by.until, "until")
    elif kind == "snoozed":
        raise RecordError("until", "say until when it is put off")
    data["kind"] = kind
    return recorder.make("exposure", by.user, check_name(key, "nudge"), data, account=by.account, id=by.id)


def quiet(recorder: Recorder, user: str, account: str | None, until: datetime | str | int) -> Record:
    """Return the record that a person is shown no nudge before an instant.

    Raises:
        RecordError: Something that some store cannot hold.
    """
    data = {"kind": "quiet", "until": check_instant(until, "until")}
    return recorder.make("exposure", user, "@quiet", data, account=account)


def _of_decision(decision: Decision, by: Reporter) -> tuple[str, Reporter, dict[str, Any]]:
    shown = decision.nudge
    if shown is None:
        raise RecordError("nudge", "this decision showed nothing")
    account = None if decision.account == personal_account(decision.user) else decision.account
    data = {"variant": shown.variant, "placement": decision.placement, "decision": decision.id}
    return shown.nudge, Reporter(decision.user, account, by.until, by.id or decision.id), data
