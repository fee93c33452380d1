"""Benchmarks: what others report, each with its source, to be edited."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from nudge_sdk.store.protocol import Store


class Benchmark(msgspec.Struct, frozen=True, kw_only=True):
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


def read_benchmarks(path: Path) -> tuple[Benchmark, ...]:
    """Return the benchmarks of a YAML or JSON file: a list, or ``benchmarks:`` with a list.

    Raises:
        SetupError: It cannot be read; the text says where and what to do.
    """
    raise NotImplementedError


def stored_benchmarks(store: Store) -> tuple[Benchmark, ...]:
    """Return the benchmarks that were saved, or the defaults."""
    raise NotImplementedError


def save_benchmarks(store: Store, benchmarks: tuple[Benchmark, ...], now: int) -> None:
    """Save benchmarks in place of those that were there; none at all brings back the defaults."""
    raise NotImplementedError
