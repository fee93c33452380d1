"""What every store must do with the rows of members and accounts."""

from __future__ import annotations

import msgspec
import pytest

from nudge_sdk.rules.times import FOREVER
from nudge_sdk.store.protocol import (
    Key,
    Store,
    SubjectRow,
)
from tests.store.examples import (
    ACCOUNT,
    FULL_ROW,
    MEMBER,
    NOON,
    WAIT,
    due,
    in_threads,
    outdated,
    put,
    subject,
)


class SubjectsContract:
    """Rows of members and accounts, and what hangs on them."""

    def test_locking_makes_missing_rows_and_keeps_others(self, store: Store) -> None:
        put(store, FULL_ROW)
        with store.transaction(wait=WAIT) as transaction:
            rows = transaction.lock_subjects([ACCOUNT, MEMBER, ("acme", "bob"), MEMBER])
        assert rows == {MEMBER: FULL_ROW, ACCOUNT: subject("acme", ""), ("acme", "bob"): subject("acme", "bob")}
        assert store.read_subjects([MEMBER, ACCOUNT, ("acme", "bob"), ("acme", "eve")]) == rows

    def test_hundreds_of_rows_are_locked_and_read_at_once(self, store: Store) -> None:
        keys = [(f"a{n % 30}", f"u{n}") for n in range(700)] + [(f"a{n}", "") for n in range(30)]
        with store.transaction(wait=WAIT) as transaction:
            assert set(transaction.lock_subjects(keys)) == set(keys)
        assert set(store.read_subjects(keys)) == set(keys)
        assert store.read_ledger_versions(keys) == dict.fromkeys(keys, 0)

    @pytest.mark.parametrize("key", [MEMBER, ACCOUNT])
    def test_every_column_comes_back(self, store: Store, key: Key) -> None:
        row = msgspec.structs.replace(FULL_ROW, user_id=key[1])
        put(store, row)
        assert store.read_subjects([key]) == {key: row}
        assert store.read_subjects([MEMBER, ACCOUNT]) == {key: row}
        assert store.read_subjects([ACCOUNT, MEMBER]) == {key: row}

    @pytest.mark.parametrize("key", [MEMBER, ACCOUNT])
    @pytest.mark.parametrize("name", [n for n in SubjectRow.__struct_fields__[2:] if not n.startswith("ledger")])
    def test_a_locked_row_is_written_back_whichever_column_changed(self, store: Store, key: Key, name: str) -> None:
        with store.transaction(wait=WAIT) as transaction:
            transaction.lock_subjects([key])
        with store.transaction(wait=WAIT) as transaction:
            row = transaction.lock_subjects([key])[key]
            setattr(row, name, getattr(FULL_ROW, name))
            transaction.put_subjects([row])
            transaction.put_subjects([row])
        assert store.read_subjects([key])[key] == subject(*key, **{name: getattr(FULL_ROW, name)})

    def test_what_the_store_changed_itself_is_not_taken_for_unchanged(self, store: Store) -> None:
        put(store, subject(import_id="i1", next_change=NOON + 1))
        with store.transaction(wait=WAIT) as transaction:
            row = transaction.lock_subjects([MEMBER])[MEMBER]
            transaction.release_import("i1", NOON)
            transaction.put_subjects([row])
        stored = store.read_subjects([MEMBER])[MEMBER]
        assert (stored.import_id, stored.next_change) == ("i1", NOON + 1)

    def test_changing_a_row_that_was_read_changes_nothing_stored(self, store: Store) -> None:
        put(store, subject())
        store.read_subjects([MEMBER])[MEMBER].tier = "hot"
        with store.transaction(wait=WAIT) as transaction:
            transaction.lock_subjects([MEMBER])[MEMBER].tier = "hot"
        assert store.read_subjects([MEMBER])[MEMBER].tier == "none"

    @pytest.mark.parametrize("key", [MEMBER, ACCOUNT])
    def test_writing_a_row_leaves_its_ledger_alone(self, store: Store, key: Key) -> None:
        with store.transaction(wait=WAIT) as transaction:
            transaction.lock_subjects([key])
            assert transaction.put_ledger(subject(*key, ledger=b"seen"), expected_version=0)
            transaction.put_subjects([subject(*key, tier="hot", ledger=b"other", ledger_version=9)])
        row = store.read_subjects([key])[key]
        assert (row.tier, row.ledger, row.ledger_version) == ("hot", b"seen", 1)

    @pytest.mark.parametrize("key", [MEMBER, ACCOUNT])
    def test_a_ledger_is_written_only_on_the_version_that_was_read(self, store: Store, key: Key) -> None:
        with store.transaction(wait=WAIT) as transaction:
            assert not transaction.put_ledger(subject(*key, ledger=b"x"), expected_version=1)
        assert store.read_ledger_versions([key]) == {key: 0}
        with store.transaction(wait=WAIT) as transaction:
            assert transaction.put_ledger(subject(*key, ledger=b"one"), expected_version=0)
            assert not transaction.put_ledger(subject(*key, ledger=b"lost"), expected_version=0)
            assert transaction.put_ledger(subject(*key, ledger=b"two"), expected_version=1)
        assert store.read_ledger_versions([MEMBER, ACCOUNT])[key] == 2
        assert store.read_subjects([key])[key].ledger == b"two"

    def test_of_two_threads_with_the_same_version_one_writes_the_ledger(self, store: Store) -> None:
        put(store, subject())
        won: list[bool] = []

        def write() -> None:
            with store.transaction(wait=WAIT) as transaction:
                won.append(transaction.put_ledger(subject(ledger=b"mine"), expected_version=0))

        in_threads(write, write, write)
        assert sorted(won) == [False, False, True]

    def test_members_of_accounts_are_listed(self, store: Store) -> None:
        bob, eve, old = ("acme", "bob"), ("acme2", "eve"), ("beta", "old")
        put(store, *(subject(*key) for key in (bob, ACCOUNT, MEMBER, eve, ("acme2", ""), old)))
        with store.transaction(wait=WAIT) as transaction:
            assert transaction.members_of(["acme"]) == [MEMBER, bob]
            assert transaction.members_of({"acme2", "acme", "none"}) == [MEMBER, bob, eve]
            assert transaction.members_of([]) == []

    def test_a_row_that_was_dropped_is_gone_and_can_come_back(self, store: Store) -> None:
        put(store, FULL_ROW, subject("acme", "", tier="hot"))
        with store.transaction(wait=WAIT) as transaction:
            transaction.lock_subjects([MEMBER, ACCOUNT])
            transaction.delete_subject(MEMBER)
            transaction.delete_subject(ACCOUNT)
        assert store.subjects() == []
        with store.transaction(wait=WAIT) as transaction:
            assert transaction.lock_subjects([MEMBER]) == {MEMBER: subject()}
            transaction.delete_subject(MEMBER)
            transaction.put_subjects([FULL_ROW])
        assert store.subjects() == [FULL_ROW]

    def test_all_rows_are_paged_in_key_order(self, store: Store) -> None:
        keys = sorted(
            {(f"a{n % 5}é", f"u{n}" if n % 4 else "") for n in range(40)} | {("A", "z"), ("🎉", "ü"), ("\uffff", "b")}
        )
        put(store, *(subject(*key) for key in keys))
        for members in (None, True, False):
            seen: list[Key] = []
            while page := store.subjects(after=seen[-1] if seen else None, limit=7, members=members):
                seen += [row.key for row in page]
            assert seen == [key for key in keys if members is None or bool(key[1]) == members]

    def test_due_rows_come_oldest_first(self, store: Store) -> None:
        put(
            store,
            subject("b", "late", next_change=NOON - 1),
            subject("c", "", next_change=NOON - 5),
            subject("a", "exactly", next_change=NOON),
            subject("a", "later", next_change=NOON + 1),
            subject("a", "never"),
        )
        assert due(store, NOON) == [("c", ""), ("b", "late"), ("a", "exactly")]
        assert due(store, NOON, limit=2) == [("c", ""), ("b", "late")]
        assert due(store, NOON - 10) == []
        assert ("a", "never") not in due(store, FOREVER)

    def test_rows_judged_by_an_older_definition_are_due_after_those_whose_time_came(self, store: Store) -> None:
        put(
            store,
            subject("a", "old", definition=1, evaluated_at=NOON - 5),
            subject("a", "before any", definition=0, evaluated_at=NOON - 5),
            subject("b", "", definition=0, evaluated_at=NOON - 5, next_change=NOON),
            subject("a", "current", definition=2, evaluated_at=NOON - 5),
            subject("a", "never judged"),
            subject("a", "never judged either", definition=1),
            subject("a", "held", definition=1, evaluated_at=NOON - 5, import_id="i1"),
        )
        for now in (NOON, FOREVER):
            assert due(store, now, definition=2) == [("b", ""), ("a", "before any"), ("a", "old")]
        assert due(store, NOON - 1, definition=1) == [("a", "before any"), ("b", "")]
        assert due(store, NOON - 1, definition=2, limit=1) == [("a", "before any")]

    def test_rows_with_a_state_that_counts_older_signals_are_outdated(self, store: Store) -> None:
        put(
            store,
            subject("b", "", state=b"s", signals=1),
            subject("a", "first", state=b"s", signals=0),
            subject("a", "held", state=b"s", signals=1, import_id="i1"),
            subject("a", "current", state=b"s", signals=2),
            subject("a", "no state", signals=1),
            subject("a", "nothing"),
        )
        assert outdated(store, 2) == [("a", "first"), ("a", "held"), ("b", "")]
        assert outdated(store, 2, limit=1) == [("a", "first")]
        assert (store.count_outdated(2), store.count_outdated(1), store.count_outdated(0)) == (3, 1, 0)
        with store.transaction(wait=WAIT) as transaction:
            row = transaction.lock_subjects([("a", "nothing")])[("a", "nothing")]
            row.state = b"s"
            transaction.put_subjects([row])
        assert outdated(store, 1) == [("a", "first"), ("a", "nothing")]

    def test_an_import_holds_its_rows_until_it_is_released(self, store: Store) -> None:
        put(
            store,
            subject("a", "held", next_change=NOON, import_id="i1"),
            subject("a", "", import_id="i1"),
            subject("a", "other", next_change=NOON - 1, import_id="i2"),
            subject("a", "free", next_change=NOON),
        )
        assert due(store, NOON) == [("a", "free")]
        with store.transaction(wait=WAIT) as transaction:
            assert transaction.release_import("i1", NOON - 7) == 2
            assert transaction.release_import("", NOON - 9) == 0
        assert due(store, NOON - 7) == [("a", ""), ("a", "held")]
        assert store.read_subjects([("a", "held")])[("a", "held")].import_id == ""
