"""What the commands of reports share: which tables they read, and as of when."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from nudge_sdk.commands.options import Moment
from nudge_sdk.errors import SetupError

if TYPE_CHECKING:
    from nudge_sdk.insights.tables import Tables

Command = TypeVar("Command", bound=Callable[..., Any])

_DAYS_OF = {"d": 1.0, "h": 1 / 24, "m": 1 / 1440, "w": 7.0}


class Span(click.ParamType):  # type: ignore[type-arg]
    """A span of time in days, from ``14d``, ``2w``, ``12h``, ``30m``, a plain number of days, or ``ever``."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        if value == "ever":
            return EVER
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([dhmw]?)", str(value).strip())
        days = float(found[1]) * _DAYS_OF[found[2] or "d"] if found else 0.0
        if not 0 < days <= 36_500:
            self.fail(f"{value!r} is no span of time; say 14d, 2w, 12h, 30m or ever", param, ctx)
        return days


EVER = -1.0
"""What ``ever`` gives."""


def within(days: float) -> float | None:
    """Return a span as reports take it: None for ever."""
    return None if days == EVER else days


def tables_options(command: Command) -> Command:
    """Add ``--store``, ``--archive`` and ``--engine``; see ``tables_of``."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


_OPTIONS: list[Any] = [
    click.option(
        "--store",
        envvar="NUDGE_STORE",
        metavar="URL",
        show_envvar=True,
        help="Read this store: sqlite:///relative.db, sqlite:////absolute/path.db or postgresql://user@host/database.",
    ),
    click.option(
        "--archive",
        type=click.Path(file_okay=False, path_type=Path),
        help="Read this folder, which nudge archive wrote, instead of a store.",
    ),
    click.option(
        "--engine",
        type=click.Choice(["store", "duckdb", "spark"]),
        help="What reads it: store for a store; duckdb (the default) or spark for an archive.",
    ),
]

report_at_option = click.option(
    "--at",
    type=Moment(),
    help="As of when: ISO 8601 with an offset; by default now, or when the archive was written.",
)


@contextmanager
def tables_of(store: str | None, archive: Path | None, engine: Any) -> Iterator[Tables]:
    """Open the tables that a report reads; the journeys of a store are refreshed before, where nobody else is at it.

    Raises:
        SetupError: Neither a store nor an archive is named, or it is not there, or a package is missing.
    """
    from nudge_sdk.insights.tables import opened_tables

    if archive is not None:
        with opened_tables(archive=archive, engine=engine) as tables:
            yield tables
        return
    if store is None:
        raise SetupError("say what to read: --store URL, or --archive FOLDER")
    if engine in (None, "store"):
        _refresh(store)
    with opened_tables(store=store, engine=engine) as tables:
        yield tables


def _refresh(url: str) -> None:
    from nudge_sdk.commands.opening import opened_store
    from nudge_sdk.commands.refreshing import refreshed
    from nudge_sdk.store.sql_store import SqlStore

    with opened_store(url) as store:
        if isinstance(store, SqlStore):
            refreshed(store)
