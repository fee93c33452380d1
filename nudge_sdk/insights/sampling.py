"""Drawing the same sample each time: everybody has a draw of their own, in whatever order they are stored."""

from __future__ import annotations

from hashlib import blake2b

DRAWN_OF = 1 << 64
"""Draws lie from 0 up to this."""


def draw(account_id: str, user_id: str = "") -> int:
    """Return the draw of a member, or of an account: a hash, evenly spread."""
    name = f"{len(account_id)}:{account_id}{user_id}".encode()
    return int.from_bytes(blake2b(name, digest_size=8).digest())
