"""``nudge funnel``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nudge_sdk.commands.output import output_options, say_report
from nudge_sdk.commands.reports import Span, report_at_option, tables_of, tables_options, within

if TYPE_CHECKING:
    from nudge_sdk.insights.funnel_reports import FunnelReport
    from nudge_sdk.insights.tables import Tables

_WINDOW = 30.0


@click.command()
@tables_options
@click.option(
    "--unit",
    type=click.Choice(["member", "account", "session"]),
    default="member",
    show_default=True,
    help="What is counted; sessions only with --steps.",
)
@click.option(
    "--by", default="", metavar="WHAT", help="Divide by segment, cohort (week of sign-up), source or trait:NAME."
)
@click.option("--steps", metavar="A,B,C", help="A funnel of these events instead, in this order.")
@click.option(
    "--within",
    "window",
    type=Span(),
    help="How long after sign-up a step counts, such as 14d, 12h or ever; by default 30d. With --steps: after the "
    "first step, by default ever.",
)
@click.option(
    "--session-property",
    default="session_id",
    show_default=True,
    metavar="NAME",
    help="With --unit session: the property that tells sessions apart.",
)
@report_at_option
@output_options
def funnel(
    store: str | None, archive: Path | None, engine: str | None, as_json: bool, as_csv: bool, **said: Any
) -> None:
    """Show how many came from sign-up to activation, PQL, PQA and won, in order.

    Each step is at or after the one before it. Those who were won in another order are shown apart, and
    those whose window is not over are left out (of weeks of sign-up: marked as not yet observed). Shares
    come with Wilson intervals.

    With --steps a funnel of any events: each step is the earliest at or after the step before.

    \b
    Examples:
      nudge funnel --by segment
      nudge funnel --unit account --by cohort --within 60d --csv
      nudge funnel --steps signed_up,sent,invited --within 14d
      nudge funnel --steps view,cart,paid --unit session --archive /var/lib/shop/archive
    """
    from nudge_sdk.insights.funnel import funnel_rows, funnel_words

    with tables_of(store, archive, engine) as tables:
        report = _report(tables, said)
    say_report(report, funnel_rows(report), funnel_words(report), as_json=as_json, as_csv=as_csv)


def _report(tables: Tables, said: dict[str, Any]) -> FunnelReport:
    from nudge_sdk.insights.funnel import event_funnel
    from nudge_sdk.insights.funnel import funnel as run

    window, at = said["window"], said["at"]
    if not said["steps"]:
        days = within(_WINDOW if window is None else window)
        return run(tables, unit=said["unit"], by=said["by"], within_days=days, at=at)
    if said["by"]:
        raise click.UsageError("--by divides the funnel from sign-up to won; leave it out with --steps.")
    steps = tuple(step.strip() for step in said["steps"].split(",") if step.strip())
    return event_funnel(
        tables,
        steps,
        unit=said["unit"],
        within_days=None if window is None else within(window),
        session_property=said["session_property"],
        at=at,
    )
