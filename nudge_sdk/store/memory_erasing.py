"""Deleting a person from memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from nudge_sdk.store.protocol import Erasure, Key
from nudge_sdk.store.rows import KINDS, EventRow
from nudge_sdk.store.tombstones import SECRET, new_secret, tombstone, tombstones_of

if TYPE_CHECKING:
    from nudge_sdk.store.memory_transaction import Overlay

_ALIAS = KINDS.index("alias") + 1


class MemoryErasing:
    """What a transaction does when somebody is forgotten; see ``store.protocol.Transaction``."""

    _subjects: Overlay[Any, Any]
    _events: Overlay[Any, Any]
    _transitions: Overlay[Any, Any]
    _reached: Overlay[Any, Any]
    _episodes: Overlay[Any, Any]
    _exposures: Overlay[Any, Any]
    _aliases: Overlay[Any, Any]
    _quarantined: Overlay[Any, Any]
    _inbox: Overlay[Any, Any]
    _forgotten: Overlay[bytes, int]
    _secrets: Overlay[str, bytes]
    _bases: Overlay[Any, Any]
    _clamped: Overlay[Any, Key]

    def has_forgotten(self) -> bool:
        return bool(self._forgotten.items())

    def forgotten(self, keys: Collection[Key]) -> set[Key]:
        secret = self._secrets.get(SECRET)
        owners = tombstones_of(secret, keys) if secret else {}
        return {key for digest, of in owners.items() if self._forgotten.get(digest) is not None for key in of}

    def put_forgotten(self, keys: Iterable[Key], at: int) -> None:
        self._secrets.add(SECRET, new_secret())
        secret = self._secrets.get(SECRET) or b""
        for key in keys:
            self._forgotten.add(tombstone(secret, key), at)

    def delete_forgotten(self, keys: Iterable[Key]) -> int:
        secret = self._secrets.get(SECRET)
        found = [tombstone(secret, key) for key in keys] if secret else []
        return sum(self._forgotten.delete(digest) for digest in found)

    def keys_of(self, user_ids: Collection[str]) -> list[Key]:
        rows = [row for overlay in self._of_people() for row in overlay.values()]
        keys = {(row.account_id, row.user_id) for row in rows}
        keys |= {(alias.to_account_id, alias.to_user_id) for alias in self._aliases.values()}
        return sorted(key for key in keys if key[1] in user_ids)

    def _of_people(self) -> list[Overlay[Any, Any]]:
        concluded = [self._transitions, self._reached, self._episodes, self._exposures]
        return [self._subjects, *concluded, self._aliases, self._bases]

    def erase(self, erasure: Erasure) -> int:
        count = 0
        for overlay in self._of_people():
            for key, row in overlay.items():
                if (row.account_id, row.user_id) in erasure.keys or row.account_id in erasure.accounts:
                    count += overlay.delete(key)
        for key, alias in self._aliases.items():
            if (alias.to_account_id, alias.to_user_id) in erasure.keys:
                count += self._aliases.delete(key)
        for identity, owner in self._clamped.items():
            if owner in erasure.keys or owner[0] in erasure.accounts:
                count += self._clamped.delete(identity)
        return count + sum(self._events.delete(key) for key, row in self._events.items() if _is_of(row, erasure))

    def erase_lines(self, is_theirs: Callable[[bytes, str], bool]) -> int:
        lines = [key for key, (_, line) in self._inbox.items() if is_theirs(line, "")]
        rows = [key for key, row in self._quarantined.items() if is_theirs(row.line, row.reason)]
        return sum(map(self._inbox.delete, lines)) + sum(map(self._quarantined.delete, rows))

    def hide_causes(self, account_ids: Iterable[str], ids: Container[str], by: str) -> None:
        for overlay in (self._transitions, self._episodes):
            for key, row in overlay.items():
                if row.account_id in set(account_ids) and row.cause in ids:
                    overlay.put(key, replace(row, cause=by))


def _is_of(row: EventRow, erasure: Erasure) -> bool:
    if row[1:3] in erasure.keys or row[1] in erasure.accounts:
        return True
    return row[5] == _ALIAS and row[8] in erasure.names
