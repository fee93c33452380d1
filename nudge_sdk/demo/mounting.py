"""The admin, mounted in the demo: everybody on this machine may open it, in the role chosen in the toolbar."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.wrappers import Request

from nudge_sdk.client import NudgeClient

ADMIN = "/nudges"
COOKIE = "paperplane_role"
ROLES = ("viewer", "editor", "publisher")

_NAME = "Pia"


class MountedAdmin:
    """The e-mail tool with the admin beside it, as one WSGI app.

    Args:
        product: The e-mail tool.
    """

    def __init__(self, product: Callable[..., Iterable[bytes]]) -> None:
        self._product = product
        self._both: Callable[..., Iterable[bytes]] = product

    def take(self, client: NudgeClient) -> None:
        """Make the admin anew, for this client."""
        # By name, and here: nothing of the SDK may need the admin, which brings Flask and more.
        admin = import_module("nudge_sdk.admin").create_admin(client, authenticate=_who)
        self._both = DispatcherMiddleware(self._product, {ADMIN: admin})

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        return self._both(environ, start_response)


def role_in(request: Request) -> str:
    """Return the role chosen in a browser; a publisher where none was."""
    role = request.cookies.get(COOKIE, "")
    return role if role in ROLES else "publisher"


def _who(request: Request) -> Any:
    return import_module("nudge_sdk.admin").Actor(name=_NAME, role=role_in(request))
