"""``nudge accuracy``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nudge_sdk.commands.output import output_options, say_report
from nudge_sdk.commands.reports import Span, report_at_option, tables_of, tables_options, within
from nudge_sdk.errors import SetupError

if TYPE_CHECKING:
    from nudge_sdk.insights.benchmarks import Benchmark

_LONGEST_ID = 255


@click.command()
@tables_options
@click.option("--unit", type=click.Choice(["member", "account"]), help="What is judged; by default who meets the goal.")
@click.option(
    "--flag",
    type=click.Choice(["pql", "pqa"]),
    default="pql",
    show_default=True,
    help="What qualifying is: the first warm or hot standing of a member, or the account's first hot one.",
)
@click.option(
    "--within",
    "window",
    type=Span(),
    default="30d",
    show_default=True,
    help="How long after it qualified a unit may convert: 14d, 12h, or ever.",
)
@click.option(
    "--best-customers",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with an account's or a user's id a line: these stand for conversion.",
)
@click.option(
    "--benchmarks",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A YAML or JSON list of benchmarks; by default those saved in the admin, or what is built in.",
)
@click.option("--fast", is_flag=True, help="Leave out what people did that no milestone counts: that reads all events.")
@report_at_option
@output_options
def accuracy(
    store: str | None, archive: Path | None, engine: str | None, as_json: bool, as_csv: bool, **said: Any
) -> None:
    """Show how well qualifying tells who converts.

    Precision (PQLs that convert, with the bands of the benchmarks), recall (converters that were PQLs
    before), the time it takes (Kaplan-Meier), PQLs against others, and false positives and negatives by
    name, with what they did that no milestone counts.

    \b
    Examples:
      nudge accuracy --within 30d
      nudge accuracy --unit account --flag pqa --json
      nudge accuracy --best-customers best.txt --archive /var/lib/shop/archive
    """
    from nudge_sdk.insights.accuracy import Asked, accuracy_rows, accuracy_words
    from nudge_sdk.insights.accuracy import accuracy as run

    asked = Asked(
        unit=said["unit"],
        flag=said["flag"],
        within_days=within(said["window"]),
        at=said["at"],
        best_customers=_ids(said["best_customers"]) if said["best_customers"] else None,
        has_events=not said["fast"],
        benchmarks=_benchmarks(said["benchmarks"], None if archive else store),
    )
    with tables_of(store, archive, engine) as tables:
        report = run(tables, asked)
    say_report(report, accuracy_rows(report), accuracy_words(report), as_json=as_json, as_csv=as_csv)


def _ids(path: Path) -> list[str]:
    """Return the ids of a file, a line each; what can be none is said and left out."""
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        each = line.strip()
        if each and (len(each) > _LONGEST_ID or not each.isprintable() or "\ufffd" in each):
            click.echo(f"Warning: line {number} of {path} is no id; it is left out", err=True)
        elif each:
            found.append(each)
    if not found:
        raise SetupError(f"{path} names nobody; write an account's or a user's id in each line")
    return found


def _benchmarks(path: Path | None, store: str | None) -> tuple[Benchmark, ...]:
    from nudge_sdk.insights.benchmarks import DEFAULTS, read_benchmarks, stored_benchmarks

    if path is not None:
        return read_benchmarks(path)
    if store is None:
        return DEFAULTS
    from nudge_sdk.commands.opening import opened_store

    with opened_store(store) as opened:
        return stored_benchmarks(opened)
