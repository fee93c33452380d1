"""What every store must do: subclass ``StoreContract``, give it the fixture ``store`` and the method ``fill_inbox``."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
import pytest

from nudge_sdk.errors import StoreBusyError, StoreError
from nudge_sdk.rules.times import DAY, SECOND
from nudge_sdk.store.protocol import (
    Alias,
    Quarantined,
    Reached,
    Store,
)
from tests.store.contract_erasing import ErasingContract
from tests.store.contract_records import RecordsContract
from tests.store.contract_retaining import RetainingContract
from tests.store.contract_subjects import SubjectsContract
from tests.store.examples import (
    DEFINITION,
    EPISODE,
    EXPOSURE,
    MEMBER,
    NOON,
    TRANSITION,
    WAIT,
    Failed,
    Told,
    in_threads,
    insert,
    put,
    record,
    subject,
)


class ConclusionsContract:
    """Logs, definitions, positions, leases."""

    def test_a_transition_is_logged_once(self, store: Store) -> None:
        correction = msgspec.structs.replace(TRANSITION, is_correction=True, observed_at=NOON + 9)
        before = msgspec.structs.replace(TRANSITION, at=NOON - DAY, cause="time", tier="warm")
        for _ in range(2):
            with store.transaction(wait=WAIT) as transaction:
                transaction.add_transitions([TRANSITION, correction, before, TRANSITION])
        assert store.transitions("acme", "ann") == [before, TRANSITION, correction]
        assert store.transitions("acme", "bob") == []

    def test_a_milestone_is_reached_once(self, store: Store) -> None:
        first = Reached("acme", "ann", "first_campaign", NOON, 7)
        with store.transaction(wait=WAIT) as transaction:
            transaction.add_reached([first, Reached("acme", "ann", "a_list", NOON - 1, 7)])
            transaction.add_reached([msgspec.structs.replace(first, at=NOON + 5)])
        assert [row.milestone for row in store.reached("acme", "ann")] == ["a_list", "first_campaign"]
        assert store.reached("acme", "ann")[1] == first

    def test_writing_an_episode_again_updates_only_its_end(self, store: Store) -> None:
        with store.transaction(wait=WAIT) as transaction:
            transaction.put_episodes([EPISODE])
            ended = msgspec.structs.replace(EPISODE, tier="warm", ended_at=NOON + DAY, end_reason="goal")
            transaction.put_episodes([ended, msgspec.structs.replace(EPISODE, started_at=NOON - 99 * DAY)])
        later = store.episodes("acme", "ann")[1]
        assert len(store.episodes("acme", "ann")) == 2
        assert later == msgspec.structs.replace(EPISODE, ended_at=NOON + DAY, end_reason="goal")

    def test_an_exposure_is_new_once(self, store: Store) -> None:
        shown = msgspec.structs.replace(EXPOSURE, kind="shown", at=NOON + 1)
        with store.transaction(wait=WAIT) as transaction:
            assert transaction.add_exposures([EXPOSURE, shown, EXPOSURE]) == [True, True, False]
        with store.transaction(wait=WAIT) as transaction:
            assert transaction.add_exposures([shown]) == [False]
        assert store.exposures("acme", "ann") == [EXPOSURE, shown]

    def test_aliases_are_found_from_both_ends(self, store: Store) -> None:
        first = Alias("personal:x", "x", "acme", "ann", NOON, "m1")
        second = Alias("personal:y", "y", "acme", "ann", NOON, "m2")
        moved = msgspec.structs.replace(second, to_user_id="bob", id="m3")
        with store.transaction(wait=WAIT) as transaction:
            transaction.put_alias(first)
            transaction.put_alias(second)
            assert transaction.alias_sources(MEMBER) == [first, second]
            transaction.put_alias(moved)
            assert transaction.alias_sources(MEMBER) == [first]
            found = transaction.aliases([("personal:x", "x"), ("personal:y", "y"), MEMBER])
        assert found == {("personal:x", "x"): first, ("personal:y", "y"): moved}
        assert store.read_alias(("personal:y", "y")) == moved
        assert store.read_alias(MEMBER) is None

    def test_the_newest_definition_and_the_newest_live_one_are_told_apart(self, store: Store) -> None:
        assert (store.read_definition_state(), store.definitions()) == ((0, 0), [])
        live = msgspec.structs.replace(DEFINITION, live_at=NOON)
        counting = msgspec.structs.replace(DEFINITION, number=2, signals=2)
        with store.transaction(wait=WAIT) as transaction:
            transaction.put_definition(live)
            assert transaction.definition_state() == (1, 1)
            transaction.put_definition(counting)
            assert transaction.definition_state() == (2, 1)
        assert store.read_definition_state() == (2, 1)
        assert store.definitions() == [live, counting]

    def test_a_published_definition_never_changes_but_goes_live(self, store: Store) -> None:
        with store.transaction(wait=WAIT) as transaction:
            transaction.put_definition(DEFINITION)
            transaction.put_definition(msgspec.structs.replace(DEFINITION, document=b"changed", live_at=NOON))
        assert store.definitions() == [msgspec.structs.replace(DEFINITION, live_at=NOON)]
        assert store.read_definition_state() == (1, 1)

    def test_positions_are_kept_and_dropped(self, store: Store) -> None:
        with store.transaction(wait=WAIT) as transaction:
            assert transaction.position("j1") is None
            transaction.put_position("j1", 10)
            transaction.put_position("j1", 2**40)
            assert transaction.position("j1") == 2**40
        assert (store.read_position("j1"), store.read_position("j2")) == (2**40, None)
        with store.transaction(wait=WAIT) as transaction:
            transaction.delete_position("j1")
        assert store.read_position("j1") is None

    def test_every_bad_line_is_quarantined_once(self, store: Store) -> None:
        bad = Quarantined("j1", 7, b"\xff\x00{", "not JSON", NOON)
        same_batch = msgspec.structs.replace(bad, line=b"[]", reason="too short")
        elsewhere = msgspec.structs.replace(bad, journal="j2")
        for _ in range(2):
            with store.transaction(wait=WAIT) as transaction:
                transaction.add_quarantined([bad, same_batch, elsewhere, bad])
        assert store.quarantined() == [bad, same_batch, elsewhere]

    def test_the_inbox_is_taken_oldest_first_and_once(self, store: Store) -> None:
        for number in range(5):
            self.fill_inbox(store, b"line %d" % number)
        with store.transaction(wait=WAIT) as transaction:
            taken = transaction.take_inbox(3)
        assert [line for _, line in taken] == [b"line 0", b"line 1", b"line 2"]
        with suppress(Failed), store.transaction(wait=WAIT) as transaction:
            assert len(transaction.take_inbox(10)) == 2
            raise Failed
        with store.transaction(wait=WAIT) as transaction:
            rest = transaction.take_inbox(10)
            assert transaction.take_inbox(10) == []
        assert [line for _, line in rest] == [b"line 3", b"line 4"]
        assert [number for number, _ in taken + rest] == sorted({number for number, _ in taken + rest})

    def fill_inbox(self, store: Any, line: bytes) -> None:
        raise AssertionError("each store's test says how a host writes to the inbox")

    def test_a_lease_is_held_by_one_until_its_time_is_over(self, store: Store) -> None:
        assert store.acquire_lease("sweep", "one", now=NOON, seconds=10)
        assert not store.acquire_lease("sweep", "two", now=NOON + 10 * SECOND - 1, seconds=10)
        assert store.acquire_lease("drain", "two", now=NOON, seconds=10)
        assert store.acquire_lease("sweep", "one", now=NOON + 5 * SECOND, seconds=10)
        assert not store.acquire_lease("sweep", "two", now=NOON + 14 * SECOND, seconds=10)
        assert store.acquire_lease("sweep", "two", now=NOON + 15 * SECOND, seconds=10)
        assert not store.acquire_lease("sweep", "one", now=NOON + 16 * SECOND, seconds=10)

    def test_a_lease_is_given_back_by_its_holder_only(self, store: Store) -> None:
        assert store.acquire_lease("sweep", "one", now=NOON, seconds=10)
        store.release_lease("sweep", "two")
        assert not store.acquire_lease("sweep", "two", now=NOON, seconds=10)
        store.release_lease("sweep", "one")
        assert store.acquire_lease("sweep", "two", now=NOON, seconds=10)


class TransactionsContract:
    """All or nothing, one at a time, bounded."""

    def test_a_transaction_that_raises_leaves_nothing(self, store: Store) -> None:
        put(store, subject(tier="warm", import_id="i1"))
        with suppress(Failed), store.transaction(wait=WAIT) as transaction:
            transaction.lock_subjects([MEMBER, ("new", "row")])
            transaction.insert_records([record(), record("c", at=NOON + 9 * DAY, received_at=NOON)])
            transaction.put_subjects([subject(tier="hot")])
            transaction.put_ledger(subject(ledger=b"x"), expected_version=0)
            transaction.add_transitions([TRANSITION])
            transaction.add_reached([Reached("acme", "ann", "m", NOON, 1)])
            transaction.put_episodes([EPISODE])
            transaction.add_exposures([EXPOSURE])
            transaction.put_alias(Alias("a", "b", "c", "d", NOON, "m"))
            transaction.put_position("j1", 5)
            transaction.put_definition(DEFINITION)
            transaction.add_quarantined([Quarantined("j1", 1, b"", "bad", NOON)])
            transaction.release_import("i1", NOON)
            transaction.delete_subject(MEMBER)
            raise Failed
        assert store.subjects() == [subject(tier="warm", import_id="i1")]
        assert list(store.records()) == []
        logs = (store.transitions, store.reached, store.episodes, store.exposures)
        assert [log("acme", "ann") for log in logs] == [[], [], [], []]
        assert (store.read_alias(("a", "b")), store.read_position("j1")) == (None, None)
        assert (store.definitions(), store.quarantined()) == ([], [])
        assert insert(store, record("c", at=NOON + 9 * DAY, received_at=NOON + DAY)) == [True]

    def test_a_transaction_sees_its_own_writes_and_readers_see_none_until_it_ends(self, store: Store) -> None:
        with store.transaction(wait=WAIT) as transaction:
            transaction.put_subjects([subject(tier="hot")])
            transaction.insert_records([record()])
            assert transaction.lock_subjects([MEMBER])[MEMBER].tier == "hot"
            assert len(list(transaction.records_of([MEMBER], first_day=0, last_day=40_000))) == 1
            assert store.read_subjects([MEMBER]) == {}
            assert list(store.records()) == []
        assert store.read_subjects([MEMBER])[MEMBER].tier == "hot"

    def test_a_writer_waits_no_longer_than_its_bound_and_can_try_again(self, store: Store) -> None:
        busy: list[bool] = []

        def blocked() -> None:
            with pytest.raises(StoreBusyError), store.transaction(wait=0.05) as transaction:
                transaction.lock_subjects([MEMBER])
            busy.append(True)

        with store.transaction(wait=WAIT) as transaction:
            transaction.lock_subjects([MEMBER])
            in_threads(blocked)
        assert busy == [True]
        assert insert(store, record()) == [True]

    def test_a_transaction_within_a_transaction_is_refused(self, store: Store) -> None:
        with store.transaction(wait=WAIT) as outer:
            with pytest.raises(StoreError, match="inside a transaction already"), store.transaction(wait=WAIT):
                pass
            outer.insert_records([record()])
        assert insert(store, record()) == [False]

    def test_several_threads_count_each_record_once(self, store: Store) -> None:
        batches = [[record(f"m{n}") for n in range(start, start + 50)] for start in range(0, 300, 50)]
        told = Told()

        def deliver() -> None:
            told.answers.append([new for batch in batches for new in insert(store, *batch)])

        in_threads(deliver, deliver, deliver)
        assert told.exactly_one_each()

    def test_a_store_can_be_closed_twice_and_used_again(self, store: Store) -> None:
        insert(store, record())
        store.close()
        store.close()
        assert insert(store, record()) == [False]

    def test_a_store_that_was_migrated_is_current(self, store: Store) -> None:
        assert store.schema_is_current()
        store.migrate()
        assert store.schema_is_current()


class StoreContract(
    RecordsContract, SubjectsContract, ConclusionsContract, TransactionsContract, ErasingContract, RetainingContract
):
    """All of it."""
