from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, fisher_exact, hypergeom
from sklearn.metrics import matthews_corrcoef, precision_score, recall_score
from statsmodels.stats.multitest import multipletests

from nudge_sdk.insights.statistics.association import adjusted, associate, associations, p_values
from nudge_sdk.insights.statistics.intervals import rate, rates


@st.composite
def tables(draw: st.DrawFn, most: int = 60) -> tuple[int, int, int, int]:
    """(both, did, converted, of): any table, empty ones and empty margins too."""
    cells = [draw(st.integers(0, most)) for _ in range(4)]
    return cells[0], cells[0] + cells[1], cells[0] + cells[2], sum(cells)


def people(both: int, did: int, converted: int, of: int) -> tuple[list[int], list[int]]:
    """The same table as two columns, one row a person: whether they did it, whether they converted."""
    cells = {(1, 1): both, (1, 0): did - both, (0, 1): converted - both, (0, 0): of - did - converted + both}
    rows = [pair for pair, number in cells.items() for _ in range(number)]
    return [row[0] for row in rows], [row[1] for row in rows]


@given(tables())
def test_shares_are_those_of_another_library(table: tuple[int, int, int, int]) -> None:
    found = associate(*table)
    did, converted = people(*table)
    if sum(did):
        assert found.precision.share == pytest.approx(precision_score(converted, did))
        assert found.precision == rate(table[0], table[1])
    if sum(converted):
        assert found.recall.share == pytest.approx(recall_score(converted, did))
    if sum(did) < len(did):
        others = [was for was, has in zip(converted, did, strict=True) if not has]
        assert found.false_omission.share == pytest.approx(sum(others) / len(others))
    if sum(converted) < len(converted):
        lost = [has for was, has in zip(converted, did, strict=True) if not was]
        assert found.fall_out.share == pytest.approx(sum(lost) / len(lost))


@given(tables())
def test_phi_is_the_correlation_of_the_two_columns(table: tuple[int, int, int, int]) -> None:
    did, converted = people(*table)
    if len(set(did)) == len(set(converted)) == 2:
        phi = associate(*table).phi
        assert phi == pytest.approx(np.corrcoef(did, converted)[0, 1], abs=1e-12)
        assert phi == pytest.approx(matthews_corrcoef(did, converted), abs=1e-12)
    else:
        assert associate(*table).phi is None
        assert associate(*table).p_value == 1


@given(tables())
def test_p_is_that_of_another_library(table: tuple[int, int, int, int]) -> None:
    both, did, converted, of = table
    cells = np.array([[both, did - both], [converted - both, of - did - converted + both]])
    expected = np.outer(cells.sum(1), cells.sum(0)) / max(1, of)
    if expected.min() >= 5:
        assert associate(*table).p_value == pytest.approx(chi2_contingency(cells, correction=False).pvalue, abs=1e-12)
    else:
        sides = [fisher_exact(cells, alternative=side).pvalue for side in ("less", "greater")]
        assert associate(*table).p_value == pytest.approx(min(1, 2 * min(sides)), rel=1e-6, abs=1e-12)


def test_where_one_gives_way_to_the_other_both_say_about_the_same() -> None:
    for both in range(2, 12):
        exact, rough = p_values([both] * 2, [99, 100], [50, 50], [1000, 1000])
        assert exact == pytest.approx(rough, rel=0.5, abs=0.25)


def test_p_is_exact_for_a_published_table() -> None:
    """R. A. Fisher, The Design of Experiments (1935): the lady who told four cups of tea of eight."""
    assert associate(4, 4, 4, 8).p_value == pytest.approx(2 / 70)
    assert associate(3, 4, 4, 8).p_value == pytest.approx(2 * 17 / 70)


def test_p_holds_for_very_many() -> None:
    of, converted, did = 200_000, 14_000, 60_000
    both = int(hypergeom.ppf(0.999, of, converted, did))
    assert p_values([both], [did], [converted], [of])[0] / 2 == pytest.approx(0.001, rel=0.05)


@pytest.mark.parametrize("table", [(0, 0, 0, 0), (0, 0, 0, 20), (10, 10, 10, 10), (0, 20, 0, 20), (0, 0, 10, 20)])
def test_what_nobody_or_everybody_did_goes_with_nothing(table: tuple[int, int, int, int]) -> None:
    found = associate(*table)
    assert found.phi is None
    assert found.p_value == 1


@given(st.lists(tables(), max_size=8))
def test_many_at_once_are_what_each_is(many: list[tuple[int, int, int, int]]) -> None:
    columns = [list(column) for column in zip(*many, strict=True)] or [[], [], [], []]
    assert associations(*columns) == [associate(*table) for table in many]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_q_values_are_those_of_another_library(values: list[float]) -> None:
    assert adjusted(values) == pytest.approx(multipletests(values, method="fdr_bh")[1], abs=1e-12)


def test_no_p_values_give_no_q_values() -> None:
    assert adjusted([]).size == 0


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=20))
def test_many_rates_are_what_each_is(pairs: list[tuple[int, int]]) -> None:
    counts, of = [min(pair) for pair in pairs], [max(pair) for pair in pairs]
    for found, count, whole in zip(rates(counts, of), counts, of, strict=True):
        one = rate(count, whole)
        assert (found.count, found.of, found.share) == (one.count, one.of, one.share)
        assert (found.low, found.high) == pytest.approx((one.low, one.high), abs=1e-12)


@pytest.mark.parametrize(("counts", "of"), [([3], [2]), ([-1], [2])])
def test_more_than_there_are_is_no_share(counts: list[int], of: list[int]) -> None:
    with pytest.raises(ValueError, match="no share"):
        rates(counts, of)
