"""The records of an archive, for what is replayed or counted anew rather than asked of tables; DuckDB reads them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from nudge_sdk.errors import SetupError
from nudge_sdk.insights.archive_format import finished_manifest
from nudge_sdk.insights.archive_tables import MEMORY, parquet_of
from nudge_sdk.rules.compiled import Rules
from nudge_sdk.rules.counting import apply_to_account, apply_to_member
from nudge_sdk.rules.records import Record
from nudge_sdk.rules.state import State, pack
from nudge_sdk.store.protocol import Alias, Key, SubjectRow

_AT_ONCE = 10_000
_COLUMNS = "e.kind, e.account_id, e.user_id, e.id, e.at, e.received_at, e.name, e.properties, e.release, e.history"

_decode = msgspec.json.Decoder(dict[str, Any]).decode


class ArchivedRecords:
    """All records that an archive holds.

    Args:
        connection: DuckDB's.
        sources: What it calls each file.
        rules: What is counted where states are asked for.
    """

    def __init__(self, connection: Any, sources: dict[str, str], rules: Rules) -> None:
        self.rules = rules
        self._connection = connection
        self._sources = sources

    def records(self) -> Iterator[Record]:
        """Yield every record by counted time and id."""
        yield from map(_record, self._rows(f"SELECT {_COLUMNS} FROM {self._sources['events']} e", "e.counted_at, e.id"))

    def aliases(self) -> list[Alias]:
        """Return for whom those who moved count in the end."""
        query = f"SELECT account_id, user_id, to_account_id, to_user_id FROM {self._sources['moved']}"
        rows = self._connection.execute(query).fetchall()
        return [Alias(account, user, to_account, to_user, 0, "") for account, user, to_account, to_user in rows]

    def read_subjects(self, keys: Sequence[Key]) -> dict[Key, SubjectRow]:
        """Return members and accounts with their states, counted from the records; nothing else of a row is known."""
        states: dict[Key, State] = {key: State() for key in keys}
        for record, account_id, user_id in self._owned({account_id for account_id, _ in keys}):
            account, member = states.get((account_id, "")), states.get((account_id, user_id))
            if account is not None:
                apply_to_account(account, record, self.rules.plan, user_id)
            if user_id and member is not None:
                apply_to_member(member, record, self.rules.plan, user_id)
        return {key: SubjectRow(account_id=key[0], user_id=key[1], state=pack(state)) for key, state in states.items()}

    def _owned(self, account_ids: set[str]) -> Iterator[tuple[Record, str, str]]:
        """Yield the records that count for some accounts, each with the account and the user it counts for."""
        import pyarrow as pa

        self._connection.register("asked", pa.table({"account_id": sorted(account_ids)}))
        account, user = "coalesce(m.to_account_id, e.account_id)", "coalesce(m.to_user_id, e.user_id)"
        query = (
            f"SELECT {_COLUMNS}, {account}, {user} FROM {self._sources['events']} e "
            f"LEFT JOIN {self._sources['moved']} m ON m.account_id = e.account_id AND m.user_id = e.user_id "
            f"WHERE {account} IN (SELECT account_id FROM asked)"
        )
        for row in self._rows(query, "e.counted_at, e.id"):
            yield _record(row), row[-2], row[-1]

    def _rows(self, query: str, order: str) -> Iterator[tuple[Any, ...]]:
        found = self._connection.execute(f"{query} ORDER BY {order}")
        while rows := found.fetchmany(_AT_ONCE):
            yield from rows


@contextmanager
def opened_archived_records(root: Path, rules: Rules) -> Iterator[ArchivedRecords]:
    """Open the records of an archive.

    Args:
        root: The folder that ``nudge archive`` wrote.
        rules: The definition to count by.

    Raises:
        SetupError: It is not there or not finished, or DuckDB is not installed.
    """
    try:
        import duckdb
    except ImportError as error:
        raise SetupError("archives need more packages: pip install 'nudge-sdk[insights]'") from error
    manifest = finished_manifest(root)
    with TemporaryDirectory(prefix="nudge-duckdb-") as folder:
        connection = duckdb.connect(config={"memory_limit": MEMORY, "temp_directory": folder})
        try:
            yield ArchivedRecords(connection, parquet_of(root.resolve(), manifest), rules)
        finally:
            connection.close()


def _record(row: tuple[Any, ...]) -> Record:
    kind, account_id, user_id, message_id, at, received_at, name, data, release, history = row[:10]
    return Record(
        kind,
        account_id,
        user_id,
        message_id,
        at,
        received_at,
        name,
        _decode(data) if data else {},
        release or "",
        bool(history),
    )
