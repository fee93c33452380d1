"""Whom records concern: the members and accounts whose rows a fold has to lock before it begins."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from nudge_sdk.rules.counting import TRAIT_KINDS
from nudge_sdk.rules.identity import Aliases, Move, move_of
from nudge_sdk.rules.records import Record
from nudge_sdk.store.protocol import FoldTransaction, Key

ACCOUNT_WIDE = TRAIT_KINDS - {"identify", "opt_out", "opt_in"}
"""Kinds after which every member of the account is judged anew."""


class Concerned(NamedTuple):
    """Whom a batch concerns.

    Attributes:
        keys: Members and accounts.
        wide: Accounts of which it concerns everybody.
        movers: Those of the keys that move, with their accounts; nothing need be known of them.
    """

    keys: set[Key]
    wide: set[str]
    movers: set[Key]


def load_aliases(transaction: FoldTransaction, aliases: Aliases, records: Sequence[Record]) -> None:
    """Learn where the records of those who are named count."""
    wanted = {(record.account_id, record.user_id) for record in records if record.user_id}
    for move in _moves(records):
        wanted |= {move.source, move.target}
    while wanted:
        found = transaction.aliases(wanted)
        for source, alias in found.items():
            aliases.moves[source] = Move(source, (alias.to_account_id, alias.to_user_id), alias.at, alias.id)
        wanted = {aliases.moves[source].target for source in found} - aliases.moves.keys()


def concerned_by(records: Sequence[Record], aliases: Aliases) -> Concerned:
    """Return whom records concern, as far as aliases are known."""
    named = {(record.account_id, record.user_id) for record in records}
    keys = {aliases.resolve(key) for key in named} if aliases.moves else named
    wide = {aliases.resolve((each.account_id, each.user_id))[0] for each in records if each.kind in ACCOUNT_WIDE}
    targets, sources = _ends_of_moves(records, aliases)
    wide |= {account_id for account_id, _ in targets}
    # Those who move are locked even where nothing is known of them: somebody may be counting for them right now.
    movers = sources | {(account_id, "") for account_id, _ in sources}
    keys = keys | targets
    return Concerned(keys | movers | {(account_id, "") for account_id, _ in keys}, wide, movers)


def _ends_of_moves(records: Sequence[Record], aliases: Aliases) -> tuple[set[Key], set[Key]]:
    """Return to whom, or from whom else, somebody moves, and who moves."""
    moves = sorted(_moves(records), key=lambda move: move.order)
    ahead = Aliases(aliases.moves.values()) if moves else aliases
    targets: set[Key] = set()
    sources: set[Key] = set()
    for move in moves:
        before = ahead.resolve(move.source)
        if ahead.learn(move):
            targets |= {ahead.resolve(move.target)} | ({before} if before != move.source else set())
            sources.add(move.source)
    return targets, sources


def _moves(records: Iterable[Record]) -> list[Move]:
    """Return the moves that records ask for."""
    found = [move_of(record) for record in records if record.kind in ("alias", "group")]
    return [move for move in found if move is not None]
