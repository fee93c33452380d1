"""Writing rows of a store as Parquet, a few thousand at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from nudge_sdk.errors import SetupError
from nudge_sdk.insights.archive_format import EVENT_COLUMNS, MODULUS, Sums
from nudge_sdk.rules.records import CLOCK_TOLERANCE
from nudge_sdk.store.rows import KINDS, EventRow, unpack_id

ROWS = 100_000
"""Rows of a row group: few enough to hold in memory, many enough to compress well."""


def write_events(path: Path, rows: Iterable[EventRow]) -> Sums:
    """Write the events of one day; return what they come to."""
    sums = Sums()
    with _Writer(path, EVENT_COLUMNS) as (writer, schema):
        for piece in _pieces(rows):
            writer.write_batch(_events_batch(piece, schema), row_group_size=ROWS)
            sums = _added(sums, piece)
    return sums


def write_table(path: Path, rows: Iterable[Sequence[Any]], columns: Mapping[str, str]) -> int:
    """Write rows whose values stand in the order of the columns; return how many there were."""
    import pyarrow as pa

    count = 0
    with _Writer(path, columns) as (writer, schema):
        for piece in _pieces(rows):
            arrays = [
                pa.array(values, type=field.type)
                for values, field in zip(zip(*piece, strict=True), schema, strict=True)
            ]
            writer.write_batch(pa.record_batch(arrays, schema=schema), row_group_size=ROWS)
            count += len(piece)
    return count


class _Writer:
    """A Parquet file being written.

    Args:
        path: The file.
        columns: Names to types.
    """

    def __init__(self, path: Path, columns: Mapping[str, str]) -> None:
        self._path, self._columns = path, columns

    def __enter__(self) -> tuple[Any, Any]:
        pa, parquet = _pyarrow()
        schema = pa.schema([(name, pa.type_for_alias(kind)) for name, kind in self._columns.items()])
        self._file = parquet.ParquetWriter(self._path, schema, compression="zstd")
        return self._file, schema

    def __exit__(self, *error: object) -> None:
        self._file.close()


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise SetupError(f"archives need more packages: pip install 'nudge-sdk[insights]' ({error})") from error
    return pyarrow, pyarrow.parquet


def _pieces(rows: Iterable[Any]) -> Iterator[list[Any]]:
    every = iter(rows)
    while piece := list(islice(every, ROWS)):
        yield piece


def _events_batch(rows: list[EventRow], schema: Any) -> Any:
    import pyarrow as pa

    _, accounts, users, sent, ids, kinds, history, delays, names, data, releases = zip(*rows, strict=True)
    values = (
        accounts,
        users,
        [unpack_id(bytes(each)) for each in ids],
        [KINDS[kind - 1] for kind in kinds],
        names,
        sent,
        [at + delay if delay < -CLOCK_TOLERANCE else at for at, delay in zip(sent, delays, strict=True)],
        [at + delay for at, delay in zip(sent, delays, strict=True)],
        [bool(each) for each in history],
    )
    arrays = [pa.array(column, type=field.type) for column, field in zip(values, schema, strict=False)]
    arrays.append(pa.array(data, type=pa.binary()).cast(pa.string()))
    arrays.append(pa.array(releases, type=pa.string()))
    return pa.record_batch(arrays, schema=schema)


def _added(sums: Sums, rows: list[EventRow]) -> Sums:
    _, accounts, users, sent, _, kinds, history, delays, names, data, releases = zip(*rows, strict=True)
    return Sums(
        rows=sums.rows + len(rows),
        instants=sums.instants + sum(map(_rest, sent)),
        delays=sums.delays + sum(map(_rest, delays)),
        kinds=sums.kinds + sum(kinds),
        history=sums.history + sum(history),
        accounts=sums.accounts + sum(map(len, accounts)),
        users=sums.users + sum(map(len, users)),
        names=sums.names + sum(map(len, names)),
        releases=sums.releases + sum(len(each) for each in releases if each),
        properties=sums.properties + sum(len(each) for each in data if each),
    )


def _rest(number: int) -> int:
    """Return what remains of a division, with the sign of the number, as databases do it."""
    return number % MODULUS if number >= 0 else -(-number % MODULUS)
