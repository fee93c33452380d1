"""The admin UI for product managers, imported as ``nudge_sdk.admin``.

It is a WSGI app of its own, mounted by the host or served by ``nudge admin``. The client it is given is the host's.
"""

from __future__ import annotations

from .access import Actor
from .app import create_admin
from .logins import OwnLogins

__all__ = ["Actor", "OwnLogins", "create_admin"]
