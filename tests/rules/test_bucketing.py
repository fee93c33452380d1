"""Deterministic buckets."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nudge_sdk.rules.bucketing import (
    BUCKETING_VERSION,
    BUCKETS,
    bucket,
    choose_covered,
    choose_variant,
    hash_input,
    is_held_out,
    variant_ranges,
)

CASES = json.loads((Path(__file__).parent.parent / "cases" / "bucketing.json").read_text("utf-8"))
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
PIPED = st.lists(st.sampled_from(["|", "||", "a", "user", "|user|", "é"]), max_size=6).map("".join)
WEIGHTS = st.lists(st.integers(0, 100), min_size=1, max_size=6).filter(any)


def name_of(case: dict[str, Any]) -> str:
    return ascii("|".join([case["salt"], case["unit_type"], case["unit_id"]]))[:40]


@pytest.mark.parametrize("case", CASES["buckets"], ids=name_of)
def test_published_cases_fall_into_their_published_buckets(case: dict[str, Any]) -> None:
    assert hash_input(case["salt"], case["unit_type"], case["unit_id"]) == case["input"].encode()
    assert bucket(case["salt"], case["unit_type"], case["unit_id"]) == case["bucket"]


@pytest.mark.parametrize("case", CASES["variants"], ids=name_of)
def test_published_cases_get_their_published_variants(case: dict[str, Any]) -> None:
    assert choose_variant(case["salt"], case["unit_type"], case["unit_id"], case["weights"]) == case["variant"]


def test_hash_input_never_changes() -> None:
    # DO NOT make this pass by changing the expected values. Who is held out and who sees which variant is nothing but
    # this hash. If its input changes by one byte, on the next deploy everybody is drawn anew: held-out accounts are
    # shown nudges, treated ones are withheld them, every running measurement of lift compares two mixtures and says
    # "no effect", and nothing fails loudly, since each draw by itself still looks right. During a rolling deploy the
    # old and the new workers would even disagree about one person. Another scheme needs a new BUCKETING_VERSION, and
    # what was drawn under version 1 must go on being drawn under version 1.
    assert BUCKETING_VERSION == CASES["bucketing_version"] == 1
    assert hash_input("overall", "account", "acme") == b"overall|account|acme"
    assert hash_input("a|b", "member", "c|d") == b"a||b|member|c|d"
    assert hash_input("", "member", "M\u00fcller") == b"|member|M\xc3\xbcller"
    assert bucket("overall", "account", "acme") == 1324
    assert bucket("", "member", "M\u00fcller") == 6582


def test_the_case_file_is_large_enough_to_catch_a_port_that_differs() -> None:
    inputs = [case["input"] for case in CASES["buckets"]]
    assert len(set(inputs)) == len(inputs) >= 30
    assert sum(not text.isascii() for text in inputs) >= 12
    assert {case["variant"] for case in CASES["variants"]} >= {0, 1, 2, 3}


def test_composed_and_decomposed_letters_are_different_units() -> None:
    assert bucket("overall", "member", "Müller") != bucket("overall", "member", "Mu\u0308ller")


@pytest.mark.parametrize("unit_type", ["", "a|b"])
def test_a_unit_type_that_would_make_the_input_ambiguous_is_refused(unit_type: str) -> None:
    with pytest.raises(ValueError, match="is not a unit type"):
        bucket("overall", unit_type, "acme")


@given(first=st.tuples(PIPED, st.sampled_from(["user", "a"]), PIPED), second=st.tuples(PIPED, st.just("user"), PIPED))
def test_different_units_never_share_an_input_whatever_pipes_they_hold(
    first: tuple[str, str, str], second: tuple[str, str, str]
) -> None:
    assert (first == second) == (hash_input(*first) == hash_input(*second))


@given(salt=TEXT, unit_id=TEXT)
def test_every_text_has_a_bucket(salt: str, unit_id: str) -> None:
    assert 0 <= bucket(salt, "member", unit_id) < BUCKETS


@settings(max_examples=15, deadline=None)
@given(salt=TEXT, prefix=TEXT)
def test_buckets_are_uniform(salt: str, prefix: str) -> None:
    counts = Counter(bucket(salt, "member", f"{prefix}{number}") // 500 for number in range(4_000))
    squared = sum((counts[section] - 200) ** 2 / 200 for section in range(20))
    assert squared < 90  # 19 degrees of freedom: exceeded by chance about once in 10**10


@settings(max_examples=15, deadline=None)
@given(one=TEXT, other=TEXT)
def test_draws_under_different_salts_do_not_depend_on_each_other(one: str, other: str) -> None:
    if one == other:
        return
    ids = [str(number) for number in range(4_000)]
    both = sum(bucket(one, "member", i) < 5_000 and bucket(other, "member", i) < 5_000 for i in ids)
    assert abs(both - 1_000) < 7 * (4_000 * 0.25 * 0.75) ** 0.5


def test_a_holdout_holds_its_share_and_no_more() -> None:
    assert [sum(is_held_out(place, share) for place in range(BUCKETS)) for share in (0, 0.05, 0.07, 0.29, 1)] == [
        0, 500, 700, 2_900, 10_000,
    ]  # fmt: skip


@given(place=st.integers(0, BUCKETS - 1), shares=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_a_larger_holdout_keeps_everybody_the_smaller_one_held(place: int, shares: tuple[float, float]) -> None:
    smaller, larger = sorted(shares)
    assert is_held_out(place, larger) >= is_held_out(place, smaller)


@given(weights=WEIGHTS)
def test_ranges_touch_and_cover_everything(weights: list[int]) -> None:
    ranges = variant_ranges(tuple(weights))
    assert ranges[0][0] == 0
    assert ranges[-1][1] == BUCKETS
    assert all(left[1] == right[0] for left, right in pairwise(ranges))
    for weight, (start, end) in zip(weights, ranges, strict=True):
        assert abs((end - start) - weight / sum(weights) * BUCKETS) <= 1
        assert weight > 0 or start == end


@given(
    weights=st.lists(st.floats(0, 1e6), min_size=1, max_size=6).filter(lambda weights: sum(weights) > 1e-6), unit=TEXT
)
def test_a_variant_without_weight_is_never_drawn(weights: list[float], unit: str) -> None:
    assert weights[choose_variant("salt", "member", unit, weights)] > 0


@given(weights=WEIGHTS, coverages=st.tuples(st.floats(0, 1), st.floats(0, 1)), unit=TEXT)
def test_raising_coverage_moves_nobody(weights: list[int], coverages: tuple[float, float], unit: str) -> None:
    smaller, larger = sorted(coverages)
    before = choose_covered("salt", "member", unit, weights, coverage=smaller)
    assert before is None or choose_covered("salt", "member", unit, weights, coverage=larger) == before
    everybody = choose_variant("salt", "member", unit, weights)
    assert choose_covered("salt", "member", unit, weights, coverage=1) == everybody


def test_half_a_bucket_goes_up_on_every_python() -> None:
    assert variant_ranges((1, 31)) == ((0, 313), (313, 10_000))
    assert variant_ranges((0.1,) * 10) == tuple((start, start + 1_000) for start in range(0, 10_000, 1_000))


def test_half_the_coverage_takes_half_of_each_variant() -> None:
    units = [f"u-{number}" for number in range(20_000)]
    drawn = Counter(choose_covered("salt", "member", unit, [3, 1], coverage=0.5) for unit in units)
    assert abs(drawn[0] - 7_500) < 400
    assert abs(drawn[1] - 2_500) < 250


def test_growing_the_last_variant_takes_nobody_out_of_it() -> None:
    units = [f"u-{number}" for number in range(3_000)]
    before = {unit for unit in units if choose_variant("salt", "member", unit, [90, 10]) == 1}
    after = {unit for unit in units if choose_variant("salt", "member", unit, [80, 20]) == 1}
    assert before < after


@pytest.mark.parametrize("weights", [[], [0], [0, 0.0], [1, -1], [2, -1], [float("inf")], [float("nan")]])
def test_weights_that_cannot_be_drawn_by_are_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="are not weights"):
        choose_variant("salt", "member", "u-1", weights)
