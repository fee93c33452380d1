"""Deleting a person inside a write transaction, alike on every database."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Container, Iterable, Sequence
from typing import Any

from nudge_sdk.store import erasing_statements as sql
from nudge_sdk.store.protocol import Erasure, Key
from nudge_sdk.store.tombstones import SECRET, new_secret, tombstone, tombstones_of

_AT_ONCE = 256


class SqlErasing(ABC):
    """What a transaction does when somebody is forgotten; see ``store.protocol.Transaction``."""

    @abstractmethod
    def rows(self, statement: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Return the rows of a query."""

    @abstractmethod
    def count(self, statement: str, parameters: Sequence[Any]) -> int:
        """Run a statement; how many rows it changed."""

    @abstractmethod
    def many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement for each row."""

    @abstractmethod
    def delete_subject(self, key: Key) -> None:
        """Drop the row of a member or an account."""

    def has_forgotten(self) -> bool:
        return bool(self.rows(sql.HAS_TOMBSTONES))

    def forgotten(self, keys: Collection[Key]) -> set[Key]:
        secret = self._secret()
        if not secret:
            return set()
        owners = tombstones_of(secret, keys)
        asked = list(owners)
        pieces = [asked[start : start + _AT_ONCE] for start in range(0, len(asked), _AT_ONCE)]
        found = [row[0] for piece in pieces for row in self.rows(sql.tombstones(len(piece)), piece)]
        return {key for digest in found for key in owners[bytes(digest)]}

    def put_forgotten(self, keys: Iterable[Key], at: int) -> None:
        self.count(sql.ADD_SECRET, (SECRET, new_secret()))
        secret = self._secret()
        self.many(sql.ADD_TOMBSTONE, [(tombstone(secret, key), at) for key in keys])

    def delete_forgotten(self, keys: Iterable[Key]) -> int:
        secret = self._secret()
        return sum(self.count(sql.DELETE_TOMBSTONE, (tombstone(secret, key),)) for key in keys) if secret else 0

    def _secret(self) -> bytes:
        found = self.rows(sql.SECRET, (SECRET,))
        return bytes(found[0][0]) if found else b""

    def keys_of(self, user_ids: Collection[str]) -> list[Key]:
        wanted = sorted(set(user_ids))
        if not wanted:
            return []
        query = sql.keys_of(len(wanted))
        found = self.rows(query, wanted * (query.count("?") // len(wanted)))
        return sorted((account_id, user_id) for account_id, user_id in found)

    def erase(self, erasure: Erasure) -> int:
        keys, accounts = erasure.keys, erasure.accounts
        count = sum(self.count(statement, key) for key in keys for statement in sql.DELETE_OF_MEMBER)
        count += sum(self.count(statement, key) for key in keys for statement in sql.DELETE_MOVES_TO)
        count += sum(self.count(statement, (each,)) for each in accounts for statement in sql.DELETE_OF_ACCOUNT)
        for key in (*keys, *((account_id, "") for account_id in accounts)):
            self.delete_subject(key)
        values = [*(part for key in keys for part in key), *accounts, *erasure.names]
        return count + self.count(sql.delete_events(len(keys), len(accounts), len(erasure.names)), values)

    def erase_lines(self, is_theirs: Callable[[bytes, str], bool]) -> int:
        total = 0
        for table, query in sql.LINES_OF.items():
            theirs = [(number,) for number, line, reason in self.rows(query) if is_theirs(bytes(line), reason)]
            self.many(sql.DELETE_LINE[table], theirs)
            total += len(theirs)
        return total

    def hide_causes(self, account_ids: Iterable[str], ids: Container[str], by: str) -> None:
        for account_id in sorted(set(account_ids)):
            for table, query in sql.CAUSES.items():
                found = [cause for (cause,) in self.rows(query, (account_id,)) if cause in ids]
                self.many(sql.HIDE_CAUSE[table], [(by, account_id, cause) for cause in found])
