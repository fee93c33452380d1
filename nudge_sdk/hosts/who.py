"""Who makes a request, and what was said and asked in it; for any framework."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from nudge_sdk.runtime.deciding import Decision


class Who(msgspec.Struct, frozen=True):
    """Who makes the current request, as the host knows them.

    Attributes:
        user: The host's id of the user.
        account: The host's id of the account; None for a user without one.
        traits: What the user is.
        account_traits: What the account is, live usage numbers among it.
        locale: BCP 47 tag of the user's language.
        can_purchase: Whether the user may buy; others may get a text that asks the one who can.
    """

    user: str
    account: str | None = None
    traits: Mapping[str, Any] = {}
    account_traits: Mapping[str, Any] = {}
    locale: str = ""
    can_purchase: bool = True


class Asked(msgspec.Struct):
    """What was said and asked in one request.

    Attributes:
        who: Whom the client was last told of.
        can_purchase: What the host said of them, once it was asked.
        decisions: (user, account, placement) to what was decided.
        is_claimed: Whether a banner of the host's own has the attention.
        is_failed: Whether an error of the host was noticed.
        page: The page that a fragment is for; empty where the request is for the page itself.
    """

    who: Who | None = None
    can_purchase: bool | None = None
    decisions: dict[tuple[str, str | None, str], Decision] = {}
    is_claimed: bool = False
    is_failed: bool = False
    page: str = ""
