"""States are a function of the set of accepted records, scores and tiers of states (SEMANTICS 5, 8, 9, 11-17)."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from nudge_sdk.rules.amounts import to_amount, value_hash
from nudge_sdk.rules.compiled import Rules
from nudge_sdk.rules.conditions import Signal
from nudge_sdk.rules.counting import apply_to_account, apply_to_member
from nudge_sdk.rules.records import PERSONAL, Record
from nudge_sdk.rules.signals import Plan
from nudge_sdk.rules.state import State, canonical, pack, unpack
from nudge_sdk.rules.tallies import CAPACITY
from nudge_sdk.rules.times import DAY, HOUR
from nudge_sdk.runtime.checking import check_data
from nudge_sdk.runtime.intake import decode_record, encode_record
from nudge_sdk.store.memory import MemoryStore
from tests.properties import histories, oracle
from tests.properties.histories import CASES, LONG_GAPS, MOVES, TOLD, TRACKS
from tests.properties.running import TINY, Installation
from tests.properties.test_fold import describe

MOVING = (*TRACKS, *TRACKS, *TOLD, *MOVES, *MOVES, *MOVES)
UNTIL = histories.START + 300 * DAY


def note_capacity(place: Installation) -> None:
    """Note how many stored states are at capacity."""
    for row in place.rows().values():
        state = unpack(row.state)
        tallies = state.tallies.values()
        CASES["states with days at capacity"] += any(len(tally.days) >= TINY.days for tally in tallies)
        CASES["states with occurrences at capacity"] += any(len(tally.early) >= TINY.occurrences for tally in tallies)
        CASES["states with values at capacity"] += any(len(tally.value_times) >= TINY.values for tally in tallies)
        CASES["states with members at capacity"] += len(state.members) >= TINY.members
        CASES["states with traits at capacity"] += len(state.traits) >= TINY.traits


def shuffled(records: Sequence[Record], random) -> list[Record]:
    """Return records in another order, some of them twice; a retry arrives later."""
    again = random.sample(records, random.randrange(len(records)))
    later = [each if each.is_clamped else msgspec.structs.replace(each, received_at=each.at + HOUR) for each in again]
    CASES["duplicates"] += len(again)
    arriving = [*records, *later]
    random.shuffle(arriving)
    CASES["reorderings"] += sum(a.counted_at > b.counted_at for a, b in pairwise(arriving))
    return arriving


@given(histories.drawn(MOVING, gaps=LONG_GAPS))
def test_states_scores_and_tiers_are_the_same_in_any_order_batching_and_process_split(drawn):
    definition, records, random = drawn.definition, histories.to_records(drawn.steps), drawn.random()
    capacity = random.choice((CAPACITY, TINY))
    describe(definition, records)
    in_order = Installation(definition, capacity=capacity)
    in_order.take(records)
    in_order.sweep(UNTIL)
    split = Installation(definition, capacity=capacity, processes=3)
    split.now = records[-1].received_at + HOUR
    for batch in histories.batches(shuffled(records, random), drawn.cuts):
        process = random.randrange(3)
        split.take(batch, process=process)
        CASES[f"batches taken by process {process + 1}"] += 1
        if random.random() < 0.2:
            split.sweep(split.now)
    split.sweep(UNTIL)
    assert split.verdicts() == in_order.verdicts()
    world = oracle.World(records)
    CASES["moves in any order"] += len(world.moves)
    CASES["circles of moves"] += world.circles()
    CASES["second groups"] += sum(each.kind == "group" and each.user_id == "dan" for each in records) > 1
    CASES["records after the move, as before it"] += moved_early(records)
    CASES["clamped times"] += sum(record.is_clamped for record in records)
    if capacity is TINY:
        note_capacity(in_order)
    else:
        for key, verdict in split.verdicts().items():
            found = oracle.Judgement(verdict.segment, verdict.score, verdict.fit, verdict.entry, verdict.tier)
            assert found == oracle.judge(world, key, definition, UNTIL)


def moved_early(records: Sequence[Record]) -> int:
    """Return how many records came for a personal account that had moved before."""
    group = next((each.counted_at for each in records if each.kind == "group" and each.user_id == "dan"), UNTIL)
    return sum(each.account_id == PERSONAL + "dan" and each.counted_at > group for each in records)


@given(histories.drawn((*TRACKS, *TRACKS, *TOLD), gaps=LONG_GAPS))
def test_merging_states_of_disjoint_parts_equals_counting_all(drawn):
    records, random = histories.to_records(drawn.steps), drawn.random()
    capacity = random.choice((CAPACITY, TINY))
    plan = Rules(drawn.definition, capacity=capacity).plan
    parts = [State() for _ in range(random.randrange(2, 5))]
    whole, account_parts, account = State(), [State() for _ in parts], State()
    for record in random.sample(records, len(records)):
        mine = random.randrange(len(parts))
        for state in (whole, parts[mine]):
            apply_to_member(state, record, plan, record.user_id)
        for state in (account, account_parts[mine]):
            apply_to_account(state, record, plan, record.user_id)
    for states, expected in ((parts, whole), (account_parts, account)):
        random.shuffle(states)
        merged = unpack(pack(states[0]))
        for state in states[1:]:
            merged.merge(unpack(pack(state)), capacity)
        assert canonical(merged) == canonical(expected)
        assert canonical(unpack(pack(merged))) == canonical(expected)
        in_order = State()
        for record in records:
            (apply_to_member if expected is whole else apply_to_account)(in_order, record, plan, record.user_id)
        assert canonical(in_order) == canonical(expected)
        check_bounds(expected, records, plan)
        CASES["merges"] += len(states) - 1


def check_bounds(state: State, records: Sequence[Record], plan: Plan) -> None:
    """Check that each bounded part holds exactly what its capacity says."""
    for signal_id, tally in state.tallies.items():
        signal, capacity = plan.signals[signal_id], plan.capacity
        names = (signal.event,) if isinstance(signal.event, str) else signal.event
        seen = []
        for record in records:
            taken = record.user_id if signal.property == "$user" else record.data.get(signal.property)
            if record.kind == "track" and record.name in names and has_counted(signal, record, taken):
                seen.append((oracle.counted_at(record), 0 if taken is None else value_hash(taken)))
        assert tally.total == len(seen)
        assert list(tally.days) == sorted({at // DAY for at, _ in seen})[-capacity.days :]
        assert list(tally.early) == sorted(at for at, _ in seen)[: capacity.occurrences]
        if signal.measure == "values":
            last = {value: max(at // DAY for at, other in seen if other == value) for _, value in seen}
            first = {value: min(at for at, other in seen if other == value) for _, value in seen}
            latest = sorted((day, value) for value, day in last.items())[-capacity.values :]
            earliest = sorted((at, value) for value, at in first.items())[: capacity.values]
            assert sorted((day, value) for value, day in tally.value_days.items()) == latest
            assert sorted((at, value) for value, at in tally.value_times.items()) == earliest
            CASES["bounds of distinct values at capacity"] += len(first) > capacity.values
    assert len(state.members) <= plan.capacity.members


def has_counted(signal: Signal, record: Record, taken: object) -> bool:
    """Whether a record counts for a signal that takes this of it."""
    if signal.where is not None and not oracle.property_holds(signal.where, record.data):
        return False
    if signal.measure == "sum":
        return isinstance(taken, int | float) and not isinstance(taken, bool)
    return signal.measure != "values" or taken is not None


AMOUNTS = st.one_of(
    st.sampled_from((0.1, 0.2, 0.3, 0.7, 1.1, 2.675, -0.1)),
    st.floats(-1e9, 1e9, allow_nan=False).map(lambda amount: round(amount, 6)),
    st.integers(-(10**15), 10**15),
    st.decimals(-1000, 1000, places=6),
)


@given(st.lists(AMOUNTS, min_size=1, max_size=60), st.randoms(use_true_random=False))
def test_sums_are_exact_in_any_order(amounts, random):
    exact = sum(round(Fraction(str(amount)) * 1_000_000) for amount in amounts)
    for _ in range(3):
        random.shuffle(amounts)
        assert sum(to_amount(amount) or 0 for amount in amounts) == exact
    CASES["exact sums of floats and decimals"] += 1
    CASES["sums that floats get wrong"] += round(sum(float(amount) for amount in amounts) * 1e6) != exact
    CASES["negative sums"] += exact < 0


def test_ten_dimes_make_a_dollar():
    assert sum(to_amount(0.1) or 0 for _ in range(10)) == to_amount(1)
    assert to_amount(Decimal("0.1")) == to_amount(0.1) == 100_000


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)
JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63) + 1, 2**63 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        TEXTS,
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
NAMES = TEXTS.filter(bool)


@given(st.dictionaries(TEXTS, JSON, max_size=6), NAMES, NAMES, NAMES, st.integers(-(2**60), 2**60))
def test_a_record_comes_back_from_journal_and_store_as_it_was(data, account, user, id, at):
    record = Record("track", account, user, id, at, at, "a", check_data(data, "properties"), "1.0", False)
    again = decode_record(encode_record(record))
    assert again == record
    assert repr(again) == repr(record)
    assert {name: value_hash(value) for name, value in again.data.items()} == {
        name: value_hash(value) for name, value in record.data.items()
    }
    store = MemoryStore()
    with store.transaction(wait=1) as transaction:
        assert transaction.insert_records([record, again]) == [True, False]
    assert repr(list(store.records())) == repr([record])
    CASES["records through journal and store"] += 1


@settings(max_examples=15)
@given(histories.drawn(TRACKS))
def test_the_same_identity_counts_once_whatever_it_says_the_second_time(drawn):
    records, random = histories.to_records(drawn.last), drawn.random()
    place = Installation(drawn.definition)
    place.take(records)
    once = place.verdicts()
    for record in random.sample(records, len(records)):
        changed = msgspec.structs.replace(record, name="b", data={"v": "other"}, received_at=record.received_at + 1)
        place.take([changed, changed] if random.random() < 0.5 else [changed])
        CASES["duplicates"] += 1
    assert place.verdicts() == once
