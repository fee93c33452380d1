"""What every store must do: subclass ``StoreContract`` and give it the fixture ``store``."""

from __future__ import annotations

import random
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nudge_sdk.errors import RecordError, StoreBusyError, StoreError
from nudge_sdk.rules.records import Record
from nudge_sdk.rules.times import DAY, FOREVER, HOUR, SECOND, day_of
from nudge_sdk.store.protocol import (
    Alias,
    DefinitionRow,
    EpisodeRow,
    Exposure,
    Key,
    Quarantined,
    Reached,
    Store,
    SubjectRow,
    Transition,
)
from nudge_sdk.store.rows import KINDS

NOON = 20_500 * DAY + 12 * HOUR
MEMBER: Key = ("acme", "ann")
ACCOUNT: Key = ("acme", "")
UUID = "0198c5e2-7d44-7abc-8def-0123456789ab"
WAIT = 5.0


def record(message_id: str = "m1", *, at: int = NOON, received_at: int | None = None, **fields: Any) -> Record:
    """Return a record of Ann's, received when it happened unless said otherwise."""
    fields = {"kind": "track", "account_id": "acme", "user_id": "ann", "name": "campaign_sent", **fields}
    return Record(id=message_id, at=at, received_at=at if received_at is None else received_at, **fields)


def insert(store: Store, *records: Record) -> list[bool]:
    with store.transaction(wait=WAIT) as transaction:
        return transaction.insert_records(records)


def put(store: Store, *rows: SubjectRow) -> None:
    with store.transaction(wait=WAIT) as transaction:
        transaction.put_subjects(rows)


def records_of(store: Store, keys: list[Key], first_day: int = 0, last_day: int = 40_000) -> list[Record]:
    with store.transaction(wait=WAIT) as transaction:
        return list(transaction.records_of(keys, first_day=first_day, last_day=last_day))


def due(store: Store, now: int, *, signals: int = 0, limit: int = 100) -> list[Key]:
    with store.transaction(wait=WAIT) as transaction:
        return transaction.due(now, signals=signals, limit=limit)


def subject(account_id: str = "acme", user_id: str = "ann", **fields: Any) -> SubjectRow:
    return SubjectRow(account_id=account_id, user_id=user_id, **fields)


FULL_ROW = subject(
    state=b"\x00state\xff",
    standing=b"standing",
    signals=3,
    definition=7,
    segment="smb",
    tier="hot",
    score=-12_500,
    fit=2**40,
    active_users=3,
    episode_at=NOON,
    episode_ended_at=NOON + 1,
    next_change=NOON + DAY,
    evaluated_at=NOON,
    first_day=-3,
    last_day=20_500,
    import_id="i1",
)
TRANSITION = Transition("acme", "ann", NOON, NOON + 5, "m1", "none", "hot", 12_000, 7, details=b"why")
EPISODE = EpisodeRow("acme", "ann", NOON, "paid", "hot", 7, "m1")
EXPOSURE = Exposure("acme", "ann", "d1", "offered", "upgrade", "a", "banner", NOON, 7, "paid", "", b"receipt")
DEFINITION = DefinitionRow(1, b"{}", "f1", NOON, "pm", "first", 1)

# Every example adds to one store, and each store's test runs the same property; both are meant.
UNHARMED = [HealthCheck.function_scoped_fixture, HealthCheck.differing_executors]


class Failed(Exception):
    pass


@dataclass
class Told:
    """The answers of several threads or processes that were asked the same."""

    answers: list[list[bool]] = field(default_factory=list)

    def exactly_one_each(self) -> bool:
        return all(sum(column) == 1 for column in zip(*self.answers, strict=True))


def _in_threads(*targets: Any) -> None:
    threads = [threading.Thread(target=target) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
texts = st.text(st.characters(), min_size=1, max_size=40) | st.sampled_from(
    [
        UUID,
        UUID.upper(),
        UUID.replace("-", ""),
        "'; DROP TABLE nudge_events; --",
        '"',
        "🎉👩‍👩‍👧",
        "\x00",
        "a\x00b",
        "\ud800",
        "%s?1",
        "NULL",
    ]
)
any_records = st.builds(
    Record,
    kind=st.sampled_from(KINDS),
    account_id=texts,
    user_id=texts,
    id=texts | st.uuids().map(str),
    at=st.integers(-(2**50), 2**61) | st.sampled_from([2**62, 2**63, -(2**63) - 1]),
    received_at=st.integers(-(2**50), 2**61),
    name=texts,
    data=st.dictionaries(st.text(), json_values | st.just(float("nan")), max_size=3),
    release=texts | st.just(""),
    history=st.booleans(),
)


class RecordsContract:
    """Records: once each, unchanged, in order."""

    def test_a_record_is_new_once(self, store: Store) -> None:
        assert insert(store, record("m1"), record("m2")) == [True, True]
        assert insert(store, record("m2"), record("m3"), record("m1")) == [False, True, False]
        assert [r.id for r in store.records()] == ["m1", "m2", "m3"]

    def test_a_batch_that_repeats_itself_counts_once(self, store: Store) -> None:
        assert insert(store, record("m1"), record("m1", name="other"), record("m2")) == [True, False, True]
        assert [r.name for r in store.records()] == ["campaign_sent", "campaign_sent"]

    def test_an_empty_batch_is_nothing(self, store: Store) -> None:
        assert insert(store) == []

    @pytest.mark.parametrize(
        "other", [{"at": NOON + 1}, {"user_id": "bob"}, {"account_id": "beta"}, {"message_id": UUID}]
    )
    def test_another_part_of_the_identity_makes_another_record(self, store: Store, other: dict[str, Any]) -> None:
        assert insert(store, record()) == [True]
        assert insert(store, record(**other)) == [True]

    def test_the_same_identity_received_later_is_the_same_record(self, store: Store) -> None:
        assert insert(store, record(received_at=NOON)) == [True]
        assert insert(store, record(received_at=NOON + 3 * DAY)) == [False]

    @pytest.mark.parametrize("again", [-2 * DAY, -HOUR, 0, DAY, 5 * DAY], ids=lambda at: f"{at / DAY:+.2f} days")
    @pytest.mark.parametrize("first", [-2 * DAY, -HOUR, 0, DAY, 5 * DAY], ids=lambda at: f"{at / DAY:+.2f} days")
    def test_a_clamped_record_delivered_again_counts_once(self, store: Store, first: int, again: int) -> None:
        ahead = record(at=NOON + 3 * DAY, received_at=NOON + first)
        assert insert(store, ahead, record("m2")) == [True, True]
        assert insert(store, record("m3"), record(at=NOON + 3 * DAY, received_at=NOON + again)) == [True, False]
        assert [r for r in store.records() if r.id == "m1"] == [ahead]

    def test_a_clamped_record_counts_on_the_day_it_arrived(self, store: Store) -> None:
        ahead = record(at=NOON + 9 * DAY, received_at=NOON)
        insert(store, ahead)
        assert records_of(store, [MEMBER], day_of(NOON), day_of(NOON)) == [ahead]
        assert records_of(store, [MEMBER], day_of(NOON) + 1, day_of(NOON) + 20) == []

    def test_large_batches_report_each_record(self, store: Store) -> None:
        chosen = random.Random(7)
        batch = [record(f"m{n}", at=NOON + n % 7 * DAY, user_id=f"u{n % 40}") for n in range(1500)]
        known = set(chosen.sample(range(1500), 400))
        insert(store, *(batch[n] for n in known))
        assert insert(store, *batch) == [n not in known for n in range(1500)]
        assert len(list(store.records())) == 1500

    def test_records_come_by_counted_time_then_id(self, store: Store) -> None:
        rows = [
            record("z", at=NOON),
            record(UUID, at=NOON),
            record("10", at=NOON),
            record("late", at=NOON - 40 * DAY),
            record("clamped", at=NOON + 400 * DAY, received_at=NOON + 1),
            record("after", at=NOON + 2),
            record("other", at=NOON + 1, user_id="bob"),
            record("of the account", at=NOON - DAY, user_id=""),
            record("foreign", account_id="beta", user_id="ann"),
        ]
        insert(store, *random.Random(3).sample(rows, len(rows)))
        expected = ["late", UUID, "10", "z", "clamped", "after"]
        assert [r.id for r in records_of(store, [MEMBER])] == expected
        assert [r.id for r in records_of(store, [MEMBER, ACCOUNT, ("acme", "bob"), MEMBER])] == [
            "late",
            "of the account",
            *expected[1:5],
            "other",
            "after",
        ]
        with store.transaction(wait=WAIT) as transaction:
            of_account = list(transaction.records_of_account("acme", first_day=day_of(NOON) - 1, last_day=day_of(NOON)))
        assert [r.id for r in of_account] == ["of the account", *expected[1:5], "other", "after"]
        assert [r.id for r in store.records()] == [
            "late",
            "of the account",
            UUID,
            "10",
            "foreign",
            *expected[3:5],
            "other",
            "after",
        ]

    def test_records_are_asked_for_by_both_days_inclusive(self, store: Store) -> None:
        insert(store, *(record(f"m{n}", at=n * DAY) for n in (-800_000, -1, 0, 1, 5, 9, 700_000)))
        assert [r.at // DAY for r in records_of(store, [MEMBER], -1, 5)] == [-1, 0, 1, 5]
        assert [r.at // DAY for r in records_of(store, [MEMBER], -900_000, 900_000)] == [
            -800_000,
            -1,
            0,
            1,
            5,
            9,
            700_000,
        ]
        assert records_of(store, [MEMBER], 2, 4) == []
        assert records_of(store, []) == []

    @settings(max_examples=150, suppress_health_check=UNHARMED, deadline=None)
    @given(sent=st.lists(any_records, max_size=6))
    def test_a_record_comes_back_unchanged_or_is_refused(self, store: Store, sent: list[Record]) -> None:
        for one in sent:
            try:
                is_new = insert(store, one) == [True]
            except RecordError:
                assert repr(one) not in {repr(r) for r in store.records()}
            else:
                assert not is_new or repr(one) in {repr(r) for r in store.records()}

    @pytest.mark.parametrize(
        "bad",
        [
            {"message_id": "\x00begins with NUL"},
            {"message_id": "\ud800"},
            {"user_id": "\udfff"},
            {"name": "\ud800"},
            {"release": "\ud800"},
            {"data": {"amount": float("nan")}},
            {"data": {"deep": [{"amount": float("-inf")}]}},
            {"data": {"text": "\ud800"}},
            {"data": {"thing": object()}},
            {"at": 2**63},
            {"received_at": -(2**63)},
        ],
        ids=str,
    )
    def test_what_cannot_be_given_back_is_refused(self, store: Store, bad: dict[str, Any]) -> None:
        with pytest.raises(RecordError):
            insert(store, record("m1"), record(**{"message_id": "m2", **bad}))
        assert list(store.records()) == []

    def test_null_in_data_is_kept(self, store: Store) -> None:
        insert(store, record(data={"plan": None, "note": "null"}))
        assert next(iter(store.records())).data == {"plan": None, "note": "null"}


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
        with store.transaction(wait=WAIT) as transaction:
            row = transaction.lock_subjects([MEMBER])[MEMBER]
            transaction.touch_all(NOON)
            transaction.put_subjects([row])
        assert store.read_subjects([MEMBER])[MEMBER].next_change == FOREVER

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

        _in_threads(write, write, write)
        assert sorted(won) == [False, False, True]

    def test_members_of_an_account_are_listed(self, store: Store) -> None:
        put(store, subject("acme", "bob"), subject("acme", ""), subject(), subject("acme2", "eve"))
        with store.transaction(wait=WAIT) as transaction:
            assert transaction.members_of("acme") == [MEMBER, ("acme", "bob")]
            transaction.delete_subject(("acme", "bob"))
            assert transaction.members_of("acme") == [MEMBER]
        assert store.read_subjects([("acme", "bob")]) == {}

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
            subject("b", "late", next_change=NOON - 1, signals=2),
            subject("c", "", next_change=NOON - 5, signals=2),
            subject("a", "exactly", next_change=NOON, signals=2),
            subject("a", "later", next_change=NOON + 1, signals=2),
            subject("a", "never", signals=2),
        )
        assert due(store, NOON, signals=2) == [("c", ""), ("b", "late"), ("a", "exactly")]
        assert due(store, NOON, signals=2, limit=2) == [("c", ""), ("b", "late")]
        assert due(store, NOON - 10, signals=2) == []

    def test_rows_of_an_older_signal_set_are_due_after_those_whose_time_came(self, store: Store) -> None:
        put(
            store,
            subject("a", "old", signals=1),
            subject("a", "older", signals=0),
            subject("b", "", signals=0, next_change=NOON),
            subject("a", "current", signals=2),
        )
        assert due(store, NOON, signals=2) == [("b", ""), ("a", "older"), ("a", "old")]
        assert due(store, FOREVER, signals=2) == [("b", ""), ("a", "older"), ("a", "old")]

    def test_an_import_holds_its_rows_until_it_is_released(self, store: Store) -> None:
        put(
            store,
            subject("a", "held", next_change=NOON, import_id="i1"),
            subject("a", "", signals=0, import_id="i1"),
            subject("a", "other", next_change=NOON - 1, import_id="i2", signals=9),
            subject("a", "free", next_change=NOON, signals=9),
        )
        assert due(store, NOON, signals=9) == [("a", "free")]
        with store.transaction(wait=WAIT) as transaction:
            assert transaction.release_import("i1", NOON - 7) == 2
            assert transaction.release_import("", NOON - 9) == 0
        assert due(store, NOON - 7, signals=9) == [("a", ""), ("a", "held")]
        assert store.read_subjects([("a", "held")])[("a", "held")].import_id == ""

    def test_a_publication_makes_every_row_due_but_none_later(self, store: Store) -> None:
        put(
            store, subject("a", "soon", next_change=NOON - 3), subject("a", ""), subject("a", "u", next_change=NOON + 9)
        )
        with store.transaction(wait=WAIT) as transaction:
            transaction.touch_all(NOON)
        assert due(store, NOON) == [("a", "soon"), ("a", ""), ("a", "u")]
        assert due(store, NOON - 1) == [("a", "soon")]


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

    def test_the_newest_live_definition_is_the_one_in_force(self, store: Store) -> None:
        assert (store.read_definition(), store.read_definition_number(), store.definitions()) == (None, 0, [])
        live = msgspec.structs.replace(DEFINITION, live_at=NOON)
        counting = msgspec.structs.replace(DEFINITION, number=2, signals=2)
        with store.transaction(wait=WAIT) as transaction:
            assert (transaction.live_definition(), transaction.newest_definition()) == (None, None)
            transaction.put_definition(live)
            transaction.put_definition(counting)
            assert (transaction.live_definition(), transaction.newest_definition()) == (live, counting)
        assert (store.read_definition(), store.read_definition_number()) == (live, 1)
        with store.transaction(wait=WAIT) as transaction:
            transaction.put_definition(msgspec.structs.replace(counting, document=b"changed", live_at=NOON + 1))
        assert store.read_definition() == msgspec.structs.replace(counting, live_at=NOON + 1)
        assert [row.number for row in store.definitions()] == [1, 2]

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

    def test_a_bad_line_is_quarantined_once(self, store: Store) -> None:
        bad = Quarantined("j1", 7, b"\xff\x00{", "not JSON", NOON)
        for _ in range(2):
            with store.transaction(wait=WAIT) as transaction:
                transaction.add_quarantined([bad, msgspec.structs.replace(bad, offset=9)])
        assert store.quarantined() == [bad, msgspec.structs.replace(bad, offset=9)]

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
        put(store, subject(tier="warm"))
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
            transaction.touch_all(NOON)
            transaction.delete_subject(MEMBER)
            raise Failed
        assert store.subjects() == [subject(tier="warm")]
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
            with pytest.raises(StoreBusyError), store.transaction(wait=0.05):
                pass
            busy.append(True)

        with store.transaction(wait=WAIT):
            _in_threads(blocked)
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

        _in_threads(deliver, deliver, deliver)
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


class StoreContract(RecordsContract, SubjectsContract, ConclusionsContract, TransactionsContract):
    """All of it."""
