"""Slips: the signed token in the form of a rendered nudge, which says whose it is and what it may report.

A slip is made when a nudge is rendered and read when its form comes back. It carries every address its buttons lead
to, so nothing the browser sends can choose one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec
from itsdangerous import BadData, SignatureExpired, TimestampSigner, URLSafeTimedSerializer

from nudge_sdk.client import NudgeClient
from nudge_sdk.rules.presenting import Payload
from nudge_sdk.rules.records import personal_account
from nudge_sdk.rules.times import DAY, SECOND
from nudge_sdk.runtime.deciding import Decision
from nudge_sdk.runtime.sayings import ReportKind

MAX_AGE_SECONDS = 2 * 24 * 3600
LONGEST_TOKEN = 8192
LONGEST_BACK = 1024
SNOOZE = DAY

REPORTS: dict[str, ReportKind] = {
    "shown": "shown",
    "clicked": "clicked",
    "chat": "clicked",
    "dismissed": "dismissed",
    "snoozed": "snoozed",
    "completed": "completed",
    "opted_out": "opted_out",
}
"""What a form may say, and what is recorded for it."""

_SALT = "nudge-sdk.slip"


class Slip(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What the form of a rendered nudge carries.

    Attributes:
        user: Whom it was rendered for.
        account: In which account; empty for a user's personal one.
        decision: Id of the decision.
        nudge, placement, variant, mode: What was rendered.
        back: Path of the page it stands in.
        leads: Where reports lead to: ``clicked`` and ``chat`` to an address.
    """

    user: str
    account: str
    decision: str
    nudge: str
    placement: str
    variant: str
    mode: str
    back: str
    leads: dict[str, str]

    def target(self, report: str) -> str:
        """Return the address to go to after a report."""
        return self.leads.get(report, self.back)


class Slips:
    """Signs slips and reads them.

    Args:
        keys: The secrets, oldest first; the last one signs, all of them are accepted.
        now: The present instant in microseconds.
    """

    def __init__(self, keys: Sequence[str], now: Callable[[], int]) -> None:
        self._serializer: URLSafeTimedSerializer = URLSafeTimedSerializer(
            list(keys), salt=_SALT, signer=_Signer, signer_kwargs={"now": now, "digest_method": hashlib.sha256}
        )

    def sign(self, slip: Slip) -> str:
        """Return a slip as a token."""
        return self._serializer.dumps(msgspec.to_builtins(slip))

    def read(self, token: str) -> tuple[Slip, bool]:
        """Return the slip of a token, and whether it is fresh enough to be recorded.

        Raises:
            BadData: It is not one of ours, or it was changed.
        """
        if not 0 < len(token) <= LONGEST_TOKEN:
            raise BadData("no token, or one that is too long to be ours")
        try:
            loaded, is_fresh = self._serializer.loads(token, max_age=MAX_AGE_SECONDS), True
        except SignatureExpired as expired:
            if expired.payload is None:
                raise
            loaded, is_fresh = self._serializer.load_payload(expired.payload), False
        try:
            return msgspec.convert(loaded, Slip), is_fresh
        except msgspec.ValidationError as error:
            raise BadData(f"a token of another release: {error}") from None


def record(client: NudgeClient, slip: Slip, report: str) -> bool:
    """Record what a form reported; whether it is safe.

    Opting out is of all nudges that share a tag with this one; of all there are, if it has none.
    """
    if report == "opted_out":
        tags = client.decider.catalog().placements.tags.get(slip.nudge) or ("",)
        account = slip.account or None
        safe = [client.record(tag, "opted_out", user=slip.user, account=account) for tag in tags]
        return all(safe)
    shown = Payload(nudge=slip.nudge, placement=slip.placement, variant=slip.variant, type="", mode=slip.mode)
    decision = Decision(
        placement=slip.placement,
        nudge=shown,
        id=slip.decision,
        user=slip.user,
        account=slip.account or personal_account(slip.user),
    )
    until = client.now() + SNOOZE if report == "snoozed" else None
    return client.record(decision, REPORTS[report], until=until)


def same_site(path: str, query: str = "") -> str:
    """Return a path of this site with its query, or "/" for what a browser could take for another site's address."""
    path = f"{path}?{query}" if query else path
    is_ours = path.startswith("/") and not path.startswith(("//", "/\\"))
    is_plain = path.isprintable() and "\\" not in path and len(path) <= LONGEST_BACK
    return path if is_ours and is_plain else "/"


def is_address(url: str) -> bool:
    """Whether an address is a path of this site, or http(s)."""
    if same_site(url) == url:
        return True
    is_plain = url.isprintable() and not any(mark in url for mark in " \\\"'<>") and len(url) <= LONGEST_BACK
    return is_plain and url.lower().startswith(("https://", "http://")) and bool(urlsplit(url).hostname)


class _Signer(TimestampSigner):
    def __init__(self, *args: Any, now: Callable[[], int], **options: Any) -> None:
        super().__init__(*args, **options)
        self._now = now

    def get_timestamp(self) -> int:
        return self._now() // SECOND
