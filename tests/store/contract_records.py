"""What every store must do with records."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nudge_sdk.errors import RecordError
from nudge_sdk.rules.records import Record
from nudge_sdk.rules.times import DAY, HOUR, day_of
from nudge_sdk.store.protocol import (
    Store,
)
from nudge_sdk.store.rows import KINDS
from tests.store.examples import (
    ACCOUNT,
    MEMBER,
    NOON,
    UUID,
    WAIT,
    insert,
    record,
    records_of,
)

# Every example adds to one store, and each store's test runs the same property; both are meant.
UNHARMED = [HealthCheck.function_scoped_fixture, HealthCheck.differing_executors]


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

    def test_it_is_known_which_records_are_stored(self, store: Store) -> None:
        ahead = record("ahead", at=NOON + 9 * DAY, received_at=NOON)
        insert(store, record("m1"), ahead, record(UUID))
        later = msgspec.structs.replace(ahead, received_at=NOON + 10 * DAY)
        early = record("m1", received_at=NOON - 5 * DAY)
        asked = [record("m1"), record("m2"), ahead, later, early, record(UUID), record("m1", user_id="bob")]
        assert store.read_known(asked) == [True, False, True, True, True, True, False]
        assert store.read_known([]) == []

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

    @settings(max_examples=60, suppress_health_check=UNHARMED, deadline=None)
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
            {"data": {"thing": print}},
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
