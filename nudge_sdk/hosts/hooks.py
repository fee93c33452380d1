"""Hooks: what a host may say beside who somebody is; for any framework."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypedDict

from nudge_sdk.errors import SetupError
from nudge_sdk.hosts.who import Who

QUIET_MINUTES = 5.0


class Hooks(TypedDict, total=False):
    """What else a host may say, as further arguments of ``Nudges``.

    Attributes:
        can_purchase: Whether somebody may buy; without it ``Who.can_purchase`` says so.
        resume_target: The address of somebody's own unfinished object, which a step of help then opens, or None. It is
            given the step's milestone (or address, if it has none), and asks the host's own permissions.
        quiet_minutes: For how long whoever met a server error is shown nothing; 0 for never.
        can_opt_out: Whether nudges offer "don't show suggestions like this".
    """

    can_purchase: Callable[[Who], bool]
    resume_target: Callable[[Who, str], str | None]
    quiet_minutes: float
    can_opt_out: bool


def check(has_secret: bool, prefix: str, hooks: Hooks) -> None:
    """Refuse a set-up that cannot work.

    Raises:
        SetupError: There is no secret key, the prefix is no path, or a hook is not known.
    """
    if not has_secret:
        raise SetupError("the app has no SECRET_KEY, which signs the forms of nudges: set it before Nudges(...)")
    if not prefix.startswith("/") or prefix.endswith("/"):
        raise SetupError(f"prefix={prefix!r} is no path of routes; write one such as /nudge-sdk")
    unknown = set(hooks) - set(Hooks.__annotations__)
    if unknown:
        known = ", ".join(Hooks.__annotations__)
        raise SetupError(f"Nudges() does not know {', '.join(sorted(unknown))}; its hooks are {known}")
    minutes = hooks.get("quiet_minutes", QUIET_MINUTES)
    if not 0 <= minutes < 7 * 24 * 60:
        raise SetupError(f"quiet_minutes={minutes!r} makes no sense; give minutes, or 0 for never")
