"""How each engine speaks, and running one query on it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from nudge_sdk.errors import SetupError
from nudge_sdk.insights.tables import SCHEMAS, Engine, Name, Tables

if TYPE_CHECKING:
    import ibis.expr.types as ir

_TEXTS: dict[str, str] = {"journeys": "traits", "events": "properties"}
_MADE: tuple[tuple[str, type], ...] = (("is_boolean", bool), ("is_integer", int), ("is_floating", float))
_WITH = "WITH "
_NOT_IN_A_PATH = frozenset("\"'\\[]")


class Speech(ABC):
    """What engines say differently."""

    @abstractmethod
    def field(self, text: str, key: str) -> str:
        """Return SQL for one field of a JSON object as a text.

        Args:
            text: SQL for the object's text.
            key: The field, checked by ``check_key``.
        """

    def text(self, blob: str) -> str:
        """Return SQL for bytes that are UTF-8, as a text."""
        return blob


class SqliteSpeech(Speech):
    """SQLite."""

    def field(self, text: str, key: str) -> str:
        # Put together of two, or Ibis would write the path anew and lose the quotes.
        path = f"'$.' || '\"{key}\"'"
        kind = f"CASE json_type({text}, {path}) WHEN 'true' THEN 'true' WHEN 'false' THEN 'false'"
        return f"{kind} ELSE CAST(json_extract({text}, {path}) AS TEXT) END"

    def text(self, blob: str) -> str:
        return f"CAST({blob} AS TEXT)"


class PostgresqlSpeech(Speech):
    """PostgreSQL."""

    def field(self, text: str, key: str) -> str:
        return f"(CAST({text} AS json) ->> '{key}')"

    def text(self, blob: str) -> str:
        return f"convert_from({blob}, 'UTF8')"


class DuckdbSpeech(Speech):
    """DuckDB."""

    def field(self, text: str, key: str) -> str:
        return f"json_extract_string({text}, '$.\"{key}\"')"


class SparkSpeech(Speech):
    """Spark SQL."""

    def field(self, text: str, key: str) -> str:
        return f"get_json_object({text}, \"$['{key}']\")"


class SqlTables(Tables):
    """Tables that an engine finds by queries of its own.

    Args:
        backend: The Ibis backend.
        engine: Its name for people.
        speech: How it speaks.
        selects: The query of each table, with the columns of ``SCHEMAS`` in their order.
        fetch: Runs SQL and returns its rows.
    """

    def __init__(
        self,
        backend: Any,
        engine: Engine,
        *,
        speech: Speech,
        selects: Mapping[Name, str],
        fetch: Callable[[str], Sequence[Sequence[Any]]],
    ) -> None:
        self.backend = backend
        self.engine = engine
        self.as_of = 0
        self.details = {}
        self._speech = speech
        self._selects = selects
        self._fetch = fetch
        self._named: dict[str, str] = {}

    def table(self, name: Name) -> ir.Table:
        import ibis

        table: ir.Table = self.backend.sql(self._selects[name], schema=ibis.schema(SCHEMAS[name]))
        return table

    def with_text(self, name: Literal["journeys", "events"], key: str, column: str) -> ir.Table:
        import ibis

        check_key(key)
        field = self._speech.field(f"t.{_TEXTS[name]}", key)
        query = f"SELECT t.*, {field} AS {column} FROM ({self._selects[name]}) AS t"
        if name == "journeys":
            of_account = self._speech.field("a.traits", key)
            query = (
                f"SELECT t.*, coalesce({field}, {of_account}) AS {column} FROM ({self._selects[name]}) AS t LEFT JOIN "
                f"({self._selects[name]}) AS a ON a.account_id = t.account_id AND a.user_id = ''"
            )
        table: ir.Table = self.backend.sql(query, schema=ibis.schema({**SCHEMAS[name], column: "string"}))
        return table

    def named(self, name: str, expression: ir.Table) -> ir.Table:
        import ibis

        self._named[name] = str(self.backend.compile(expression))
        table: ir.Table = ibis.table(expression.schema(), name=name)
        return table

    def rows(self, expression: ir.Table) -> list[tuple[Any, ...]]:
        found = self._fetch(self._with_named(str(self.backend.compile(expression))))
        columns = zip(*found, strict=True)
        return list(zip(*map(_read, expression.schema().types, columns), strict=True))

    def _with_named(self, query: str) -> str:
        """Return a query with what it names put before it."""
        asked = [f"{name} AS ({select})" for name, select in self._named.items() if name in query]
        if not asked:
            return query
        rest = query.removeprefix(_WITH)
        return f"{_WITH}{', '.join(asked)}{', ' if rest != query else ' '}{rest}"


def check_key(key: str) -> None:
    """Refuse the name of a trait or property that no JSON path can hold on every engine.

    Raises:
        SetupError: It is empty, or has quotes, brackets, backslashes or control characters.
    """
    if not key or not _NOT_IN_A_PATH.isdisjoint(key) or not key.isprintable():
        raise SetupError(f"{key!r} cannot be asked for: a name may hold no quotes, brackets or backslashes")


def _read(kind: Any, column: Sequence[Any]) -> Sequence[Any]:
    """Return what the values of a column are: engines answer with decimals, floats or 0 and 1 for them."""
    made = next((made for is_kind, made in _MADE if getattr(kind, is_kind)()), None)
    if made is None:
        return column
    return [value if value is None or type(value) is made else made(value) for value in column]
