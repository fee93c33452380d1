"""What every store must do when somebody is forgotten."""

from __future__ import annotations

from typing import Any

import msgspec

from nudge_sdk.store.protocol import Alias, Erasure, Key, Quarantined, Reached, Store
from nudge_sdk.store.tombstones import EVERYWHERE, refuse_forgotten
from tests.store.examples import (
    ACCOUNT,
    EPISODE,
    EXPOSURE,
    MEMBER,
    NOON,
    TRANSITION,
    WAIT,
    insert,
    put,
    record,
    records_of,
    subject,
)

BOB: Key = ("acme", "bob")


def bury(store: Store, *keys: Key) -> None:
    with store.transaction(wait=WAIT) as transaction:
        transaction.put_forgotten(keys, NOON)


def forgotten(store: Store, *keys: Key) -> set[Key]:
    with store.transaction(wait=WAIT) as transaction:
        return transaction.forgotten(keys)


def erase(store: Store, *keys: Key, accounts: tuple[str, ...] = (), names: tuple[str, ...] = ()) -> int:
    with store.transaction(wait=WAIT) as transaction:
        return transaction.erase(Erasure(keys, accounts, names))


def fill(store: Store, key: Key) -> None:
    """Store one of everything of a member."""
    of: dict[str, Any] = {"account_id": key[0], "user_id": key[1]}
    ahead = record("ahead", at=NOON + 10**12, received_at=NOON, **of)
    insert(store, record(**of), record("again", at=NOON + 10**13, **of), ahead)
    put(store, subject(**of, state=b"state"))
    with store.transaction(wait=WAIT) as transaction:
        transaction.add_transitions([msgspec.structs.replace(TRANSITION, **of)])
        transaction.add_reached([Reached(*key, "first", NOON, 1)])
        transaction.put_episodes([msgspec.structs.replace(EPISODE, **of)])
        transaction.add_exposures([msgspec.structs.replace(EXPOSURE, **of)])
        transaction.put_alias(Alias(f"personal:{key[1]}", key[1], *key, NOON, "m"))


def held(store: Store, key: Key) -> list[int]:
    """Return how many rows of each table are of a member."""
    with store.transaction(wait=WAIT) as transaction:
        sources = transaction.alias_sources(key)
    logs = (store.transitions, store.reached, store.episodes, store.exposures)
    rows = [store.read_subjects([key]), records_of(store, [key]), sources, *(read(*key) for read in logs)]
    return [len(each) for each in rows]


class ErasingContract:
    """Tombstones, and deleting all that is of a person."""

    fill_inbox: Any

    def test_nobody_is_forgotten_at_first(self, store: Store) -> None:
        with store.transaction(wait=WAIT) as transaction:
            assert not transaction.has_forgotten()
            assert transaction.delete_forgotten([MEMBER]) == 0
        assert forgotten(store, MEMBER) == set()

    def test_a_tombstone_holds_in_its_account(self, store: Store) -> None:
        bury(store, MEMBER, MEMBER)
        assert forgotten(store, MEMBER, BOB, ("beta", "ann"), ACCOUNT) == {MEMBER}
        with store.transaction(wait=WAIT) as transaction:
            assert transaction.has_forgotten()

    def test_a_tombstone_without_an_account_holds_everywhere(self, store: Store) -> None:
        bury(store, (EVERYWHERE, "ann"))
        many = [(f"a{number}", "ann") for number in range(600)]
        assert forgotten(store, *many, BOB) == set(many)
        assert forgotten(store, BOB, ("acme", "\ud800")) == set()

    def test_a_tombstone_can_be_taken_away(self, store: Store) -> None:
        bury(store, MEMBER, BOB)
        with store.transaction(wait=WAIT) as transaction:
            assert transaction.delete_forgotten([MEMBER, ("beta", "ann")]) == 1
        assert forgotten(store, MEMBER, BOB) == {BOB}

    def test_all_that_is_of_a_member_is_erased_and_nothing_else(self, store: Store) -> None:
        fill(store, MEMBER)
        fill(store, BOB)
        whole = held(store, BOB)
        assert held(store, MEMBER) == whole == [1, 3, 1, 1, 1, 1, 1]
        assert erase(store, MEMBER) >= sum(whole)
        assert held(store, MEMBER) == [0] * 7
        assert held(store, BOB) == whole
        ahead = record("ahead", at=NOON + 10**12, received_at=NOON)
        assert insert(store, ahead) == [True]

    def test_a_personal_account_is_erased_with_everybody_in_it(self, store: Store) -> None:
        for key in (("personal:ann", "ann"), ("personal:ann", "guest"), BOB):
            fill(store, key)
        put(store, subject("personal:ann", "", state=b"state"))
        insert(store, record("of the account", account_id="personal:ann", user_id=""))
        erase(store, accounts=("personal:ann",))
        assert {row.account_id for row in store.subjects()} == {"acme"}
        assert {each.account_id for each in store.records()} == {"acme"}

    def test_what_joins_somebody_to_a_name_is_erased(self, store: Store) -> None:
        joins = record("joins", kind="alias", user_id="anon", name="ann")
        insert(store, joins, record("other", kind="alias", user_id="anon", name="bob"), record("m3", name="ann"))
        assert erase(store, names=("ann",)) == 1
        assert [each.id for each in store.records()] == ["m3", "other"]

    def test_erasing_nobody_erases_nothing(self, store: Store) -> None:
        fill(store, BOB)
        assert erase(store) == 0
        assert erase(store, MEMBER) == 0
        assert held(store, BOB)[0] == 1

    def test_the_keys_of_a_user_are_found_wherever_anything_is_stored(self, store: Store) -> None:
        put(store, subject("acme"), subject("beta"), subject("beta", "bob"))
        with store.transaction(wait=WAIT) as transaction:
            transaction.add_exposures([msgspec.structs.replace(EXPOSURE, account_id="gamma")])
            transaction.put_alias(Alias("delta", "x", "delta", "ann", NOON, "m"))
            transaction.put_alias(Alias("eps", "ann", "eps", "bob", NOON, "m"))
            found = transaction.keys_of(["ann", "nobody"])
            assert transaction.keys_of([]) == []
        assert found == [(account, "ann") for account in ("acme", "beta", "delta", "eps", "gamma")]

    def test_lines_are_erased_by_what_they_hold(self, store: Store) -> None:
        with store.transaction(wait=WAIT) as transaction:
            lines = [(b"ann", "torn"), (b"bob", "ann is wrong"), (b"bob", "torn")]
            transaction.add_quarantined([Quarantined("j", n, line, why, NOON) for n, (line, why) in enumerate(lines)])
        self.fill_inbox(store, b"of ann")
        self.fill_inbox(store, b"of bob")
        with store.transaction(wait=WAIT) as transaction:
            assert transaction.erase_lines(lambda line, reason: b"ann" in line or "ann" in reason) == 3
        assert [row.offset for row in store.quarantined()] == [2]
        with store.transaction(wait=WAIT) as transaction:
            assert [line for _, line in transaction.take_inbox(9)] == [b"of bob"]

    def test_a_cause_is_hidden_in_its_accounts(self, store: Store) -> None:
        other = msgspec.structs.replace(TRANSITION, cause="m2", at=NOON + 1)
        with store.transaction(wait=WAIT) as transaction:
            elsewhere = msgspec.structs.replace(TRANSITION, account_id="beta")
            transaction.add_transitions([TRANSITION, other, elsewhere])
            transaction.put_episodes([EPISODE])
            transaction.hide_causes(["acme"], {"m1", "m9"}, "forgotten")
        assert [row.cause for row in store.transitions("acme", "ann")] == ["forgotten", "m2"]
        assert [row.cause for row in store.transitions("beta", "ann")] == ["m1"]
        assert [row.cause for row in store.episodes("acme", "ann")] == ["forgotten"]

    def test_a_row_made_for_somebody_forgotten_is_refused_and_dropped(self, store: Store) -> None:
        bury(store, MEMBER)
        put(store, subject(*BOB, state=b"state"))
        with store.transaction(wait=WAIT) as transaction:
            assert refuse_forgotten(transaction, transaction.lock_subjects([MEMBER, ACCOUNT]))
            assert not refuse_forgotten(transaction, transaction.lock_subjects([BOB, ("beta", "bob")]))
        assert {row.key for row in store.subjects()} == {BOB, ("beta", "bob")}

    def test_scrubbing_keeps_what_is_stored(self, store: Store) -> None:
        fill(store, MEMBER)
        fill(store, BOB)
        whole = held(store, BOB)
        erase(store, MEMBER)
        for days in ({NOON // 86_400_000_000}, None, set()):
            store.scrub(days, wait=20)
        assert held(store, BOB) == whole
        erase(store, BOB)
        store.scrub(None, wait=20)
        assert (list(store.records()), store.subjects()) == ([], [])
