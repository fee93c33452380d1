"""``nudge import``."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nudge_sdk.commands.opening import intake_of, opened_store
from nudge_sdk.commands.options import json_option, say_json, store_option
from nudge_sdk.errors import ImportFileError

if TYPE_CHECKING:
    from nudge_sdk.importing import Refused, Row, RowMaker, Source, Summary


@click.command("import")
@click.argument("file")
@store_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["auto", "csv", "jsonl"]),
    default="auto",
    help="By default known by the content.",
)
@click.option("--user-col", default="user_id", show_default=True, metavar="NAME", help="CSV: column of the user.")
@click.option(
    "--event-col", default="event", show_default=True, metavar="NAME", help="CSV: column of the event's name."
)
@click.option(
    "--time-col", default="timestamp", show_default=True, metavar="NAME", help="CSV: column of the time, ISO 8601."
)
@click.option(
    "--account-col", metavar="NAME", help="CSV: column of the account; without it users are in personal accounts."
)
@click.option(
    "--id-col", metavar="NAME", help="CSV: column of the message id; without it ids are made from the content."
)
@click.option(
    "--number-col",
    multiple=True,
    metavar="NAME",
    help="CSV: a column of numbers, such as an amount; may be given several times. Others are texts.",
)
@click.option(
    "--delimiter",
    default=",",
    show_default=True,
    metavar="CHAR",
    help="CSV: what stands between cells; 'tab' for tabulators.",
)
@click.option(
    "--timezone",
    default="",
    metavar="ZONE",
    help="IANA name of the zone of times that have none, such as UTC or Europe/Paris.",
)
@click.option(
    "--goal",
    "goals",
    multiple=True,
    metavar="EVENT=GOAL",
    help="Rows of EVENT also say that GOAL was met, such as subscribed=paid; may be given several times.",
)
@click.option(
    "--value-property", default="", metavar="NAME", help="With --goal: the property that says what it is worth."
)
@click.option("--dedupe", is_flag=True, help="Count equal rows without an id once.")
@click.option(
    "--batch",
    type=click.IntRange(1, 100_000),
    default=5000,
    show_default=True,
    metavar="ROWS",
    help="Rows a transaction; fewer where they are about many people.",
)
@click.option(
    "--rejects", type=click.Path(dir_okay=False), help="Where rows are set aside; by default FILE.rejected.jsonl."
)
@click.option("--quiet", "-q", is_flag=True, help="No progress bar and no summary.")
@json_option
def import_history(file: str, store: str, quiet: bool, as_json: bool, **said: Any) -> None:
    """Import a history of events from FILE ('-' for standard input).

    FILE is CSV, whose first line names its columns, or JSONL in the form of Segment's messages (type
    track, page, screen, identify, group or alias; userId or anonymousId, event, properties, traits,
    timestamp, messageId, groupId or context.groupId; also batches); either may be packed with gzip.

    Everything is marked as history: nobody is prompted, handed off or messaged for the past. When the
    import ends, those who qualify by then start their episode.

    A row without an id gets one from its content and from its place among the equal rows of the file:
    importing a file again, or in another order, adds nothing, while a row that stands in it twice
    counts twice (once with --dedupe). Rows that cannot be taken are set aside with line and reason.

    All rows are read first, and sorted by the people they are about; only then are they imported. That
    takes room for about twice the unpacked history, in the folder that the variable TMPDIR names, or
    in /var/tmp.

    Several imports into one store may run at once, each with a part of the users.

    \b
    Examples:
      nudge import events.jsonl --store sqlite:///nudge.db
      nudge import shop.csv.gz --time-col time --account-col company --timezone Europe/Paris
      nudge import shop.csv.gz --timezone UTC --goal purchase=paid
      zcat *.gz | nudge import -
    """
    from nudge_sdk.importing import ImportRun, Rejects, Source
    from nudge_sdk.importing.rejects import rejects_path
    from nudge_sdk.importing.running import import_id_of

    with ExitStack() as stack:
        source = stack.enter_context(Source(file))
        maker, rows = _rows(source, said)
        stack.enter_context(closing(maker))
        # What is broken off while reading lets go of the source before that is closed.
        stack.enter_context(closing(rows))
        rejects = stack.enter_context(Rejects(Path(said["rejects"]) if said["rejects"] else rejects_path(file)))
        intake = intake_of(stack.enter_context(opened_store(store, make=True)))
        # Bars are for people who look at them.
        progress = None if quiet or not sys.stderr.isatty() else _Progress(source, stack)
        run = ImportRun(
            intake,
            rejects,
            import_id=import_id_of(file),
            batch=said["batch"],
            on_read=progress.on_read if progress else None,
            on_batch=progress.on_batch if progress else None,
            warn=lambda text: click.echo(f"Warning: {text}", err=True),
        )
        summary = run.run(source.watch(rows))
    _report(summary, source.name, rejects.path, quiet=quiet, as_json=as_json)


def _rows(source: Source, said: dict[str, Any]) -> tuple[RowMaker, Generator[Row | Refused, None, None]]:
    from nudge_sdk.importing import Columns, RowMaker, read_csv, read_segment
    from nudge_sdk.importing.goals import with_conversions
    from nudge_sdk.runtime.recorder import present

    goals = _goals(said["goals"])
    found = source.sniff() if said["form"] == "auto" else said["form"]
    maker = RowMaker(present, timezone=said["timezone"], dedupe=said["dedupe"])
    if found == "jsonl":
        return maker, with_conversions(read_segment(source.stream, maker), goals, said["value_property"])
    columns = Columns(
        said["user_col"],
        said["event_col"],
        said["time_col"],
        said["account_col"] or "",
        said["id_col"] or "",
        said["number_col"],
    )
    rows = read_csv(source.stream, maker, columns, delimiter=_delimiter(said["delimiter"]), name=source.name)
    return maker, with_conversions(rows, goals, said["value_property"])


def _goals(said: Iterable[str]) -> dict[str, str]:
    goals = {}
    for pair in said:
        event, separator, goal = pair.rpartition("=")
        if not (separator and event and goal):
            raise click.UsageError(f"--goal {pair!r} is not EVENT=GOAL, such as subscribed=paid.")
        goals[event] = goal
    return goals


def _delimiter(said: str) -> str:
    delimiter = "\t" if said in ("tab", "\\t") else said
    if len(delimiter) != 1:
        raise ImportFileError(f"--delimiter {said!r} is not one character")
    return delimiter


class _Progress:
    """Two bars, one after the other: of the file as it is read, and of the rows as they are taken."""

    def __init__(self, source: Source, stack: ExitStack) -> None:
        self._source = source
        self._shown = stack.enter_context(ExitStack())
        self._reading: Any = None
        self._taking: Any = None

    def on_read(self, summary: Summary) -> None:
        if self._source.size is None:
            click.echo(f"\r{summary.read} rows", err=True, nl=False)
            return
        if self._reading is None:
            self._reading = self._bar("Reading  ", self._source.size)
        self._reading.update(self._source.position - self._reading.pos, f"{summary.read} rows")

    def on_batch(self, summary: Summary) -> None:
        if self._taking is None:
            if self._source.size is None:
                click.echo(err=True)
            self._taking = self._bar("Importing", summary.read)
        text = f"{summary.accepted} rows" if summary.accepted else "sorting"
        self._taking.update(summary.accepted - self._taking.pos, text)

    def _bar(self, label: str, length: int) -> Any:
        """Show a bar in place of the one before."""
        self._shown.close()
        bar: Any = click.progressbar(length=length, label=label, file=sys.stderr, item_show_func=lambda text: text)
        return self._shown.enter_context(bar)


def _report(summary: Summary, name: str, rejects: Path, *, quiet: bool, as_json: bool) -> None:
    if not summary.accepted:
        if not summary.set_aside:
            raise ImportFileError(f"{name} has no rows")
        raise ImportFileError(
            f"nothing in {name} could be read: {summary.set_aside} rows are set aside in {rejects}; "
            f"the first: {summary.first_reason}"
        )
    if as_json:
        say_json(summary)
    elif not quiet:
        click.echo(
            f"{summary.accepted} accepted: {summary.new} new, {summary.known} already there; "
            f"{summary.set_aside} set aside; {summary.seconds:.1f} seconds"
        )
    if summary.set_aside and not quiet:
        click.echo(f"set aside in {rejects}; the first: {summary.first_reason}", err=True)
