"""Options that several commands take."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

import click

from nudge_sdk.errors import RecordError
from nudge_sdk.rules.times import to_micros

Command = TypeVar("Command", bound=Callable[..., Any])
Option = Callable[[Command], Command]


class Moment(click.ParamType):  # type: ignore[type-arg]
    """An instant in microseconds, from ISO 8601 with an offset, or ``now``."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        if value == "now":
            return time.time_ns() // 1000
        try:
            return to_micros(str(value), "time")
        except RecordError as error:
            self.fail(error.reason, param, ctx)


def store_option(command: Command) -> Command:
    """Add ``--store``."""
    return click.option(
        "--store",
        envvar="NUDGE_STORE",
        required=True,
        metavar="URL",
        show_envvar=True,
        help="The store: sqlite:///relative.db, sqlite:////absolute/path.db or postgresql://user@host/database.",
    )(command)


def journal_option(command: Command) -> Command:
    """Add ``--journal``."""
    return click.option(
        "--journal",
        envvar="NUDGE_JOURNAL",
        metavar="FOLDER",
        show_envvar=True,
        help="Folder of the journals; by default beside the SQLite file, named <file>-journals.",
    )(command)


def at_option(meaning: str) -> Option[Any]:
    """Add ``--at``."""
    return click.option(
        "--at",
        type=Moment(),
        default="now",
        show_default=True,
        help=f"{meaning}: ISO 8601 with an offset, such as 2026-03-01T09:30:00Z.",
    )


def json_option(command: Command) -> Command:
    """Add ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of words.")(command)


def account_option(command: Command) -> Command:
    """Add ``--account``."""
    return click.option("--account", metavar="ID", help="The account; without it, the user's personal account.")(
        command
    )


def say_json(value: Any) -> None:
    """Print a value as indented JSON."""
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
