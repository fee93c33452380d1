"""A person: under which accounts and ids anything is stored of one human being."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from nudge_sdk.rules.identity import Key, named_in
from nudge_sdk.rules.records import PERSONAL, Record, personal_account
from nudge_sdk.runtime.erasing import read
from nudge_sdk.store.protocol import Erasure
from nudge_sdk.store.tombstones import EVERYWHERE

if TYPE_CHECKING:
    from nudge_sdk.store.protocol import Transaction

FIRST_DAY, LAST_DAY = -(2**31) + 1, 2**31 - 1
"""No stored record counts before or after these days."""


class Person(msgspec.Struct, frozen=True):
    """One person, in one account or in all.

    Attributes:
        user_id: The person.
        account_id: The only account meant; empty for every one.
        keys: (account, user) as sent and as counted, with the members that were joined to this one.
    """

    user_id: str
    account_id: str
    keys: frozenset[Key]

    @property
    def tombstones(self) -> set[Key]:
        """What to leave behind: the id in every account, and those that led to it where they did."""
        joined = {key for key in self.keys if self.account_id or key[1] != self.user_id}
        return joined if self.account_id else joined | {(EVERYWHERE, self.user_id)}

    @property
    def accounts(self) -> set[str]:
        """The personal accounts that are theirs alone."""
        return {account_id for account_id, user_id in self.keys if account_id == personal_account(user_id)}

    @property
    def erasure(self) -> Erasure:
        """All that is stored of them."""
        names = () if self.account_id else (self.user_id,)
        return Erasure(tuple(sorted(self.keys)), tuple(sorted(self.accounts)), names)

    def is_named_in(self, record: Record) -> bool:
        """Whether a record is of them, or joins somebody to them."""
        named = named_in(record)
        return not named.isdisjoint(self.keys) or (not self.account_id and any(key[1] == self.user_id for key in named))

    def is_in(self, line: bytes, record: Record | None) -> bool:
        """Whether a line is theirs; one that cannot be read is if it holds an id of theirs as a word."""
        return self.is_in_text(line) if record is None else self.is_named_in(record)

    def is_in_text(self, text: bytes) -> bool:
        """Whether a text holds an id of theirs as a word."""
        ids = {user_id for account_id, user_id in self.keys if not self.account_id or account_id.startswith(PERSONAL)}
        return any(re.search(rb"(?<![\w-])%b(?![\w-])" % re.escape(each.encode()), text) for each in ids)

    def is_in_line(self, line: bytes, reason: str) -> bool:
        """Whether a line that was set aside, or why, is of them."""
        return self.is_in(line, read(line)) or self.is_in_text(reason.encode(errors="surrogatepass"))


def find(transaction: Transaction, user_id: str, account_id: str | None) -> Person:
    """Return a person with everybody who was joined to them.

    Args:
        transaction: The open transaction.
        user_id: The person.
        account_id: The only account meant, or None for every one.
    """
    keys: set[Key] = {(account_id or personal_account(user_id), user_id)}
    if account_id is None:
        keys.update(transaction.keys_of([user_id]))
    pending = list(keys)
    while pending:
        sources = {(alias.account_id, alias.user_id) for alias in transaction.alias_sources(pending.pop())}
        pending += sources - keys
        keys |= sources
    return Person(user_id, account_id or "", frozenset(keys))


def resolve(transaction: Transaction, key: Key) -> Key:
    """Return the member that a member's records count for."""
    seen = {key}
    while found := transaction.aliases([key]):
        alias = found[key]
        key = (alias.to_account_id, alias.to_user_id)
        if key in seen:
            break
        seen.add(key)
    return key


def records_of(transaction: Transaction, person: Person) -> list[Record]:
    """Return everything that is stored of a person as it was sent, by time."""
    return list(transaction.records_of(sorted(person.keys), first_day=FIRST_DAY, last_day=LAST_DAY))
