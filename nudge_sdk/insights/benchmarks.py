"""Benchmarks: what others report, each with its source, to be edited."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from nudge_sdk.errors import SetupError
from nudge_sdk.store.journey_rows import delete_rollup, put_rollup, read_rollup
from nudge_sdk.store.protocol import Store
from nudge_sdk.store.sql_store import SqlStore

NAME = "benchmarks"
_WAIT = 5.0


class Benchmark(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What others report.

    Attributes:
        key: Its name in the file.
        name: For people.
        kind: ``share`` (0 to 1) or ``times``.
        low, high: From and to; None where the source gives no such end.
        source: Who says so.
        note: What it means, or who disagrees.
    """

    key: str
    name: str
    kind: Literal["share", "times"]
    low: float | None = None
    high: float | None = None
    source: str = ""
    note: str = ""


WELL, LOOSE = "pql_to_paid", "pql_to_paid_loose"
"""Keys of the two that judge: PQLs that convert more often than ``low`` of the first are well calibrated, and those
that convert less often than ``high`` of the second are too loose."""

_S1, _S2, _S4 = (f"{which} article on product-qualified leads" for which in ("one", "a second", "a third"))
_DISAGREE = "The sources disagree about what PQLs are compared with, and how much better they do."
DEFAULTS = (
    Benchmark(
        key=WELL, name="PQL to paid, well calibrated", kind="share", low=0.20, source=_S1, note="More than this."
    ),
    Benchmark(key=LOOSE, name="PQL to paid, too loose", kind="share", high=0.10, source=_S1, note="Less than this."),
    Benchmark(key="sql_to_paid", name="Sales-qualified lead to paid", kind="share", low=0.05, high=0.15, source=_S1),
    Benchmark(key="pql_times_sql", name="PQL against SQL", kind="times", low=2, high=5, source=_S1, note=_DISAGREE),
    Benchmark(key="mql_times_cold", name="MQL against cold leads", kind="times", low=5, high=10, source=_S2),
    Benchmark(
        key="pql_times_mql_s2", name="PQL against MQL", kind="times", low=10, high=30, source=_S2, note=_DISAGREE
    ),
    Benchmark(key="mql_to_opportunity", name="MQL to opportunity", kind="share", low=0.05, high=0.15, source=_S4),
    Benchmark(key="pql_times_mql_2", name="PQL against MQL", kind="times", low=3, high=5, source=_S4, note=_DISAGREE),
)
"""What the sources say that this product was begun with; edit them."""


class _Listed(msgspec.Struct, forbid_unknown_fields=True):
    benchmarks: tuple[Benchmark, ...]


def read_benchmarks(path: Path) -> tuple[Benchmark, ...]:
    """Return the benchmarks of a YAML or JSON file: a list, or ``benchmarks:`` with a list.

    Raises:
        SetupError: It cannot be read; the text says where and what to do.
    """
    import yaml

    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SetupError(f"{path} cannot be read as YAML or JSON: {' '.join(str(error).split())}") from error
    listed = document if isinstance(document, dict) else {"benchmarks": document}
    try:
        return checked(msgspec.convert(listed, _Listed).benchmarks)
    except msgspec.ValidationError as error:
        raise SetupError(
            f"{path}: {error}; write a list of key, name, kind (share or times), low, high, source and note"
        ) from error


def checked(benchmarks: tuple[Benchmark, ...]) -> tuple[Benchmark, ...]:
    """Return benchmarks that make sense.

    Raises:
        SetupError: One has no key, another's key, ends that cannot be, or no end at all.
    """
    seen: set[str] = set()
    for each in benchmarks:
        ends = [end for end in (each.low, each.high) if end is not None]
        most = 1.0 if each.kind == "share" else float("inf")
        if not each.key or each.key in seen:
            raise SetupError(f"benchmark {each.name!r}: give each a key of its own")
        if not ends or sorted(ends) != ends or not all(0 <= end <= most for end in ends):
            raise SetupError(f"benchmark {each.key}: say low, high or both; of a share 0 to 1, low not above high")
        seen.add(each.key)
    return benchmarks


def stored_benchmarks(store: Store) -> tuple[Benchmark, ...]:
    """Return the benchmarks that were saved, or the defaults."""
    found = read_rollup(store, NAME) if isinstance(store, SqlStore) else None
    return msgspec.convert(found[1]["benchmarks"], tuple[Benchmark, ...]) if found else DEFAULTS


def save_benchmarks(store: Store, benchmarks: tuple[Benchmark, ...], now: int) -> None:
    """Save benchmarks in place of those that were there; none at all brings back the defaults.

    Args:
        store: Where to.
        benchmarks: All of them.
        now: The present instant, in microseconds.

    Raises:
        SetupError: One of them makes no sense, or the store is no database.
        StoreError: The store refused or was busy.
    """
    if not isinstance(store, SqlStore):
        raise SetupError("a store in memory keeps no benchmarks; use SQLite or PostgreSQL")
    known = msgspec.to_builtins(checked(benchmarks))
    with store.transaction(wait=_WAIT) as transaction:
        if known:
            put_rollup(transaction, NAME, now, {"benchmarks": known})
        else:
            delete_rollup(transaction, NAME)
