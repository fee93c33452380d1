"""``nudge economics``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from nudge_sdk.commands.options import Moment
from nudge_sdk.commands.output import output_options, say_report
from nudge_sdk.commands.reports import report_at_option, tables_of, tables_options
from nudge_sdk.errors import RecordError

if TYPE_CHECKING:
    from nudge_sdk.insights.economics import Cost

DAYS = 90


@click.command()
@tables_options
@click.option(
    "--cost",
    "costs",
    multiple=True,
    metavar="OF=AMOUNT",
    help="What was spent in that time: pql=12000, other=40000 or shared=5000. May be given several times.",
)
@click.option("--since", type=Moment(), metavar="TIME", help=f"From when; {DAYS} days before the end, unless said.")
@click.option("--segment", default="", metavar="KEY", help="Only this segment.")
@report_at_option
@output_options
def economics(
    store: str | None, archive: Path | None, engine: str | None, as_json: bool, as_csv: bool, **said: Any
) -> None:
    """Tell what a PQL and a customer cost, of those who came as PQLs and of others, from costs typed in.

    Amounts are in your currency. What is shared is divided by the customers won, the same amount each.

    \b
    Examples:
      nudge economics --cost pql=12000 --cost other=40000
      nudge economics --cost pql=900 --since 2026-01-01T00:00:00Z --at 2026-04-01T00:00:00Z --json
    """
    from nudge_sdk.insights import economics as insights
    from nudge_sdk.insights.needs import check_statistics
    from nudge_sdk.rules.times import DAY

    typed = [_cost(each) for each in said["costs"]]
    check_statistics()
    with tables_of(store, archive, engine) as tables:
        until = tables.as_of if said["at"] is None else said["at"]
        since = until - DAYS * DAY if said["since"] is None else said["since"]
        if since >= until:
            raise click.UsageError("--since is not before --at.")
        found = insights.economics(tables, typed, since=since, until=until, segment=said["segment"])
    say_report(found, found.channels, insights.economics_words(found), as_json=as_json, as_csv=as_csv)


def _cost(text: str) -> Cost:
    from nudge_sdk.insights.economics import Cost, CostOf, read_amount

    of, _, amount = text.partition("=")
    if of not in get_args(CostOf):
        raise click.UsageError(f"--cost {text!r} is not OF=AMOUNT with OF one of {', '.join(get_args(CostOf))}.")
    try:
        return Cost(of=of, amount=read_amount(amount))  # type: ignore[arg-type]
    except RecordError as error:
        raise click.UsageError(f"--cost {text!r}: {error.reason}.") from error
