"""Tombstones: that somebody was forgotten, without saying who.

What is kept is a hash, keyed with a secret that each database draws for itself: it answers "was this one forgotten?"
for an id that is given, and gives no id away.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping

from nudge_sdk.store.protocol import Key, SubjectRow, Transaction

SECRET = "tombstones"
"""Name of the secret that tombstones are keyed with."""

EVERYWHERE = ""
"""Stands for the account of somebody who was forgotten in all of them."""


def new_secret() -> bytes:
    """Draw a secret."""
    return os.urandom(32)


def tombstone(secret: bytes, key: Key) -> bytes:
    """Return the keyed hash of (account, user); of an empty account for every account."""
    # Half characters never get as far as a store, but may be asked about.
    named = "\0".join(key).encode(errors="surrogatepass")
    return hashlib.blake2b(named, key=secret, digest_size=24).digest()


def tombstones_of(secret: bytes, keys: Iterable[Key]) -> dict[bytes, list[Key]]:
    """Return under which tombstones these members would be found, each with whom it is of."""
    found: dict[bytes, list[Key]] = {}
    for key in keys:
        for asked in ((EVERYWHERE, key[1]), key):
            found.setdefault(tombstone(secret, asked), []).append(key)
    return found


def refuse_forgotten(transaction: Transaction, rows: Mapping[Key, SubjectRow]) -> bool:
    """Whether one of the members that were locked was forgotten; rows that were made for them are dropped.

    Only a row of which nothing is known can be that of somebody forgotten, so that all others cost nothing.
    """
    blank = [key for key, row in rows.items() if not (row.state or row.ledger_version)]
    members = [key for key in blank if key[1]]
    if not members or not transaction.has_forgotten() or not transaction.forgotten(members):
        return False
    for key in blank:
        transaction.delete_subject(key)
    return True
