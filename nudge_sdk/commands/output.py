"""Printing a report: in words, as JSON, or as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar, overload

import click
import msgspec

from nudge_sdk.commands.options import say_json

Command = TypeVar("Command", bound=Callable[..., Any])

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@overload
def output_options(command: Command) -> Command: ...
@overload
def output_options(*, csv_flag: str) -> Callable[[Command], Command]: ...
def output_options(command: Any = None, *, csv_flag: str = "--csv") -> Any:
    """Add ``--json`` and ``--csv``, which come as ``as_json`` and ``as_csv``.

    Args:
        command: The command.
        csv_flag: Another name for ``--csv``, where that names a file to read: ``@output_options(csv_flag="--as-csv")``.
    """

    def decorated(command: Any) -> Any:
        command = click.option(csv_flag, "as_csv", is_flag=True, help="Print the table as CSV instead of words.")(
            command
        )
        return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of words.")(command)

    return decorated if command is None else decorated(command)


def say_report(
    report: Any, rows: Sequence[msgspec.Struct], words: Iterable[str], *, as_json: bool, as_csv: bool
) -> None:
    """Print a report the way it was asked for.

    Args:
        report: Everything, for JSON.
        rows: Its table, for CSV: structs of one type.
        words: Its lines, for people.
        as_json: Whether to print JSON.
        as_csv: Whether to print CSV.
    """
    if as_json and as_csv:
        raise click.UsageError("Say JSON or CSV, not both.")
    if as_json:
        say_json(report)
    elif as_csv:
        click.echo(as_csv_text(rows), nl=False)
    else:
        for line in words:
            click.echo(line)


def as_csv_text(rows: Sequence[msgspec.Struct]) -> str:
    """Return structs of one type as CSV; a struct within one gives a column for each of its fields."""
    lines = [_flat(msgspec.to_builtins(row)) for row in rows]
    out = io.StringIO()
    if lines:
        writer = csv.DictWriter(out, fieldnames=list(lines[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in line.items()} for line in lines)
    return out.getvalue()


def _flat(row: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}{name}_"))
        else:
            flat[prefix + name] = value
    return flat


def _cell(value: Any) -> Any:
    """Return what stands in a cell; a text that a spreadsheet would take for a formula gets an apostrophe."""
    if isinstance(value, list):
        value = "; ".join(str(each) for each in value)
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
