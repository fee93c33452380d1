"""Resuming: a step of help opens the user's own unfinished object, where the host knows it."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from nudge_sdk.hosts.slips import is_address
from nudge_sdk.rules.presenting import Payload, ShownStep


def resumed(payload: Payload, target: Callable[[str], str | None]) -> Payload:
    """Return a nudge whose open steps lead to where the host says.

    Args:
        payload: The nudge.
        target: Given the milestone of a step, or its address if it has none, returns the address of the user's own
            object, or None.

    Raises:
        ValueError: An address that is neither a path of this site nor http(s).
    """
    return replace(payload, steps=tuple(_resumed(step, target) for step in payload.steps))


def _resumed(step: ShownStep, target: Callable[[str], str | None]) -> ShownStep:
    name = step.milestone or step.url
    url = None if step.is_done or not name else target(name)
    if not url:
        return step
    if not is_address(url):
        raise ValueError(f"resume_target answered {url!r} for {name!r}: neither a path of this site nor http(s)")
    return replace(step, url=url)
