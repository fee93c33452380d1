"""Sorting the rows of a history."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nudge_sdk.errors import ImportFileError
from nudge_sdk.importing.rows import Row
from nudge_sdk.importing.sorting import SortedRows
from nudge_sdk.rules.records import Record

names = st.sampled_from(["a", "B", "é", "personal:a", "\U0001f600"])
data = st.dictionaries(
    st.text(max_size=3),
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False),
    max_size=2,
)


def row(line: int, account: str = "acme", user: str = "ada", at: int = 0, more: dict[str, object] | None = None) -> Row:
    return Row(line, Record("track", account, user, f"m{line}", at, 9, "opened", more or {}, history=True))


@given(st.lists(st.tuples(names, names, st.integers(-(2**60), 2**60), data), max_size=30))
def test_rows_come_back_whole_by_account_user_and_time(drawn: list[tuple[str, str, int, dict[str, object]]]) -> None:
    rows = [row(line, *each) for line, each in enumerate(drawn)]
    with SortedRows() as laid:
        laid.add(rows[:10])
        laid.add(rows[10:])
        found = list(laid.sort())
    assert sorted(found, key=lambda each: each.line) == rows
    keys = [(each.record.account_id, each.record.user_id, each.record.at) for each in found]
    assert keys == sorted(keys)


def test_without_room_it_says_where_room_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SQLITE_TMPDIR", str(tmp_path))
    rows = [row(line, more={"text": "x" * 60_000}) for line in range(1000)]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with SortedRows() as laid:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024 * 1024, before[1]))
        try:
            with pytest.raises(ImportFileError, match=r"cannot be sorted, and nothing was imported: .* TMPDIR"):
                laid.add(rows)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []
