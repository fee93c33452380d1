"""What every store must do when old events are dropped."""

from __future__ import annotations

from nudge_sdk.rules.bases import Base
from nudge_sdk.rules.records import Record
from nudge_sdk.rules.times import DAY
from nudge_sdk.store.protocol import Alias, Erasure, Store
from tests.store.examples import ACCOUNT, MEMBER, NOON, WAIT, insert, record

TODAY = NOON // DAY
BASES = [Base("acme", "", account=b"a"), Base("acme", "ann", b"m", b"a"), Base("beta", "ann", b"\x00m", b"\xff")]


def put_bases(store: Store, *bases: Base) -> None:
    with store.transaction(wait=WAIT) as transaction:
        transaction.put_bases(bases)


def oldest(store: Store, before: int, limit: int = 100) -> list[Record]:
    with store.transaction(wait=WAIT) as transaction:
        return transaction.oldest_records(before, limit=limit)


def delete(store: Store, *records: Record) -> None:
    with store.transaction(wait=WAIT) as transaction:
        transaction.delete_records(records)


class RetainingContract:
    """Bases, horizons, and deleting the oldest records."""

    def test_a_base_is_written_and_written_again(self, store: Store) -> None:
        put_bases(store, *reversed(BASES))
        assert list(store.bases()) == BASES
        put_bases(store, Base("acme", "ann", b"more", b"b"))
        with store.transaction(wait=WAIT) as transaction:
            assert transaction.bases_of([MEMBER, MEMBER, ("acme", "bob")]) == [Base("acme", "ann", b"more", b"b")]
            assert transaction.bases_of([]) == []
            assert transaction.bases_of_account("acme") == [BASES[0], Base("acme", "ann", b"more", b"b")]
            assert transaction.bases_of_account("gamma") == []

    def test_horizons_are_replaced_together(self, store: Store) -> None:
        with store.transaction(wait=WAIT) as transaction:
            assert (transaction.horizon(), transaction.horizons()) == (None, {})
            transaction.put_horizons({"": 20_000, "old": -(2**31)})
        with store.transaction(wait=WAIT) as transaction:
            transaction.put_horizons({"": 20_100, "new": 20_000})
            assert transaction.horizon() == 20_100
        assert store.read_horizons() == {"": 20_100, "new": 20_000}

    def test_the_oldest_records_come_first_and_are_deleted_alone(self, store: Store) -> None:
        old = record("old", at=NOON - 3 * DAY)
        older = record("older", at=NOON - 90 * DAY, user_id="bob", data={"n": 1})
        new = record("new")
        insert(store, new, old, older)
        assert oldest(store, TODAY) == [older, old]
        assert oldest(store, TODAY, limit=1) == [older]
        delete(store, older, old)
        assert oldest(store, TODAY + 1) == [new] == list(store.records())
        delete(store)

    def test_what_came_ahead_of_its_time_is_known_after_it_was_deleted(self, store: Store) -> None:
        early = record("early", at=NOON + 9 * DAY, received_at=NOON)
        insert(store, early)
        assert oldest(store, TODAY + 1) == [early]
        delete(store, early)
        again = record("early", at=NOON + 9 * DAY, received_at=NOON + 10 * DAY)
        assert store.read_known([again]) == [True]
        assert insert(store, again) == [False]

    def test_a_base_goes_with_its_person(self, store: Store) -> None:
        put_bases(store, *BASES)
        with store.transaction(wait=WAIT) as transaction:
            assert transaction.keys_of(["ann"]) == [MEMBER, ("beta", "ann")]
            assert transaction.erase(Erasure((MEMBER,), ("beta",))) == 2
        assert [base.key for base in store.bases()] == [ACCOUNT]

    def test_aliases_are_listed(self, store: Store) -> None:
        aliases = [Alias("acme", "x", *MEMBER, NOON, "m"), Alias("personal:ann", "ann", *MEMBER, NOON, "n")]
        with store.transaction(wait=WAIT) as transaction:
            for alias in reversed(aliases):
                transaction.put_alias(alias)
        assert store.aliases() == aliases

    def test_giving_room_back_takes_nothing_away(self, store: Store) -> None:
        old, new = record("old", at=NOON - 100 * DAY), record("new")
        insert(store, old, new)
        assert store.release_room(TODAY - 200, wait=WAIT) == 0
        delete(store, old)
        assert store.release_room(TODAY, wait=WAIT) in (0, 1)
        assert store.release_room(TODAY, wait=WAIT) == 0
        assert list(store.records()) == [new]
