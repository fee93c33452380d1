"""``nudge archive``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nudge_sdk.commands.opening import opened_store
from nudge_sdk.commands.options import json_option, say_json
from nudge_sdk.commands.refreshing import refreshed

if TYPE_CHECKING:
    from nudge_sdk.insights.archive_checking import Verified

_MOST_NAMED = 20


@click.command()
@click.argument("path", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--store",
    envvar="NUDGE_STORE",
    metavar="URL",
    show_envvar=True,
    help="The store to archive; with --verify, the one to compare with, if any.",
)
@click.option("--verify", "is_check", is_flag=True, help="Check the archive instead of writing it.")
@json_option
def archive(path: Path, store: str | None, is_check: bool, as_json: bool) -> None:
    """Write the events and what came of them to the folder PATH as Parquet, for reports over long histories.

    One file for each UTC day of events, and one for each other table. Only days whose events are not what
    they were are written anew: late arrivals, and people who were forgotten, reach the archive with the
    next run. It can be broken off at any moment, and what is there can be read all the time; doing it
    again goes on. Run it daily. Reports read it with --archive PATH, on DuckDB or a Spark cluster.

    The archive holds personal data, readable by its owner alone: keep it where the store may be kept, and
    run this again after forgetting somebody.

    --verify checks bytes, counts and checksums of all files, and against the store where one is named;
    the exit status is 1 where something is wrong.

    \b
    Examples:
      nudge archive /var/lib/shop/archive --store sqlite:////var/lib/shop/nudge.db
      nudge archive /var/lib/shop/archive --verify
    """
    if is_check:
        _verify(path, store, as_json)
        return
    if store is None:
        raise click.UsageError("Say which store to archive: --store URL.")
    from nudge_sdk.insights.archive import archive as run
    from nudge_sdk.runtime.recorder import present

    with opened_store(store) as opened:
        refreshed(opened)
        done = run(opened, path, present(), _progress())
    if as_json:
        say_json(done)
    else:
        click.echo(
            f"{done.events} events of {done.days} days; {done.written} days written, {done.deleted} deleted; "
            f"{done.seconds:.1f} seconds"
        )


def _verify(path: Path, store: str | None, as_json: bool) -> None:
    from nudge_sdk.insights.archive_checking import verify

    with ExitStack() as stack:
        opened: Any = stack.enter_context(opened_store(store)) if store else None
        found = verify(path, opened)
    if as_json:
        say_json(found)
    else:
        for line in _words(found):
            click.echo(line)
    if found.problems:
        sys.exit(1)


def _words(found: Verified) -> list[str]:
    if found.problems:
        more = ["…"] if len(found.problems) > _MOST_NAMED else []
        return [*found.problems[:_MOST_NAMED], *more, f"{len(found.problems)} problems; then run nudge archive again"]
    beside = ", and the store holds the same" if found.is_compared else ""
    return [f"{found.events} events of {found.days} days: every file is as it was written{beside}"]


def _progress() -> Callable[[int, int], None] | None:
    if not sys.stderr.isatty():
        return None
    return lambda number, of: click.echo(f"\r{number} of {of} days", err=True, nl=number == of)
