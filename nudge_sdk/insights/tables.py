"""The tables that every report reads: the same columns on every engine, as Ibis expressions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nudge_sdk.errors import SetupError

if TYPE_CHECKING:
    import ibis.expr.types as ir

Engine = Literal["store", "duckdb", "spark"]
Name = Literal["journeys", "events", "exposures", "goals", "transitions", "reached"]

SCHEMAS: dict[Name, dict[str, str]] = {
    "journeys": {
        "account_id": "string",
        "user_id": "string",
        "segment": "string",
        "source": "string",
        "signed_up_at": "int64",
        "activated_at": "int64",
        "qualified_at": "int64",
        "hot_at": "int64",
        "won_at": "int64",
        "value": "int64",
        "offered_at": "int64",
        "withheld_at": "int64",
        "last_at": "int64",
        "events": "int64",
        "traits": "string",
    },
    "events": {
        "account_id": "string",
        "user_id": "string",
        "name": "string",
        "at": "int64",
        "day": "int64",
        "properties": "string",
        "release": "string",
    },
    "exposures": {
        "account_id": "string",
        "user_id": "string",
        "kind": "string",
        "nudge": "string",
        "variant": "string",
        "at": "int64",
        "goal": "string",
        "holdout": "string",
        "definition": "int64",
        "id": "string",
    },
    "goals": {
        "account_id": "string",
        "user_id": "string",
        "goal": "string",
        "at": "int64",
        "value": "int64",
        "kind": "string",
    },
    "transitions": {
        "account_id": "string",
        "user_id": "string",
        "at": "int64",
        "from_tier": "string",
        "tier": "string",
        "cause": "string",
        "definition": "int64",
    },
    "reached": {
        "account_id": "string",
        "user_id": "string",
        "milestone": "string",
        "at": "int64",
        "definition": "int64",
    },
}
"""Columns and their types. Instants are microseconds since 1970 UTC; which texts are JSON is said in ``Tables``."""


class Tables(ABC):
    """The tables of one store or archive.

    Attributes:
        engine: What reads them.
        as_of: The moment they are of: now for a store, the last writing of an archive, in microseconds.
        details: What the journeys were rolled up by: ``definition``, ``activation`` (keys of milestones), ``goal``.
    """

    engine: Engine
    as_of: int
    details: dict[str, Any]

    @abstractmethod
    def table(self, name: Name) -> ir.Table:
        """Return a table."""

    @abstractmethod
    def with_text(self, name: Literal["journeys", "events"], key: str, column: str) -> ir.Table:
        """Return journeys or events with one trait or property more, as a text (NULL where there is none).

        A member without a trait has its account's. A text is itself, true and false are ``true`` and ``false``, a
        number is as it is written.
        """

    @abstractmethod
    def rows(self, expression: ir.Table) -> list[tuple[Any, ...]]:
        """Run a query; whole numbers are int, NULL is None, on every engine."""

    @abstractmethod
    def named(self, name: str, expression: ir.Table) -> ir.Table:
        """Return what gives the same rows in ``rows``, and takes little to be put into several queries.

        Args:
            name: Of no other table.
            expression: Itself not made of anything named.
        """

    @property
    def journeys(self) -> ir.Table:
        """One row a member, and one a whole account (user_id ''); ``traits`` is the JSON of a flat object."""
        return self.table("journeys")

    @property
    def events(self) -> ir.Table:
        """What was tracked, for whom it counts, at the instant it counts; ``properties`` is JSON or NULL."""
        return self.table("events")

    @property
    def exposures(self) -> ir.Table:
        """What was done with nudges."""
        return self.table("exposures")

    @property
    def goals(self) -> ir.Table:
        """Goals met (``convert``) and opened again (``churn``); the user is empty where the account alone is meant."""
        return self.table("goals")

    @property
    def transitions(self) -> ir.Table:
        """Changes of tier as they were concluded; the user is empty of accounts."""
        return self.table("transitions")

    @property
    def reached(self) -> ir.Table:
        """The first time each milestone was concluded to be reached; the user is empty of accounts."""
        return self.table("reached")


@contextmanager
def opened_tables(
    *, store: str | None = None, archive: str | Path | None = None, engine: Engine | None = None
) -> Iterator[Tables]:
    """Open the tables of a store, or of an archive of one; nothing can be written through them.

    Args:
        store: Its URL.
        archive: The folder that ``nudge archive`` wrote.
        engine: ``store`` reads the store; ``duckdb`` (the default for archives) and ``spark`` read an archive.

    Raises:
        SetupError: Not exactly one of both is said, it is not there, or the engine is not installed.
        StoreError: The store does not answer.
    """
    if (store is None) == (archive is None):
        raise SetupError("say a store or an archive: --store URL or --archive FOLDER")
    if store is not None:
        if engine not in (None, "store"):
            raise SetupError(f"{engine} reads an archive: write one with nudge archive, and say --archive FOLDER")
        from nudge_sdk.insights.store_tables import opened_store_tables

        with opened_store_tables(store) as tables:
            yield tables
        return
    if engine == "store":
        raise SetupError("an archive is read by duckdb or spark: say --engine duckdb")
    from nudge_sdk.insights.archive_tables import opened_archive_tables

    with opened_archive_tables(Path(archive or ""), engine or "duckdb") as tables:
        yield tables


def loaded_ibis(backend: str) -> Any:
    """Return Ibis, with what one of its backends needs.

    Raises:
        SetupError: It is not installed.
    """
    extra = "spark" if backend == "pyspark" else "insights"
    try:
        import ibis

        getattr(ibis, backend)
    except (ImportError, AttributeError) as error:
        raise SetupError(f"reports need more packages: pip install 'nudge-sdk[{extra}]' ({error})") from error
    return ibis
