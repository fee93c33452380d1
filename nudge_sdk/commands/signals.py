"""``nudge signals``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec.structs import replace

from nudge_sdk.commands.output import output_options, say_report
from nudge_sdk.commands.reports import report_at_option, tables_of, tables_options

if TYPE_CHECKING:
    from nudge_sdk.insights.signal_reports import MilestoneSignal
    from nudge_sdk.insights.tables import Tables


@click.command()
@tables_options
@click.option(
    "--days",
    type=click.IntRange(1, 365),
    default=30,
    show_default=True,
    help="How soon somebody must have paid.",
)
@click.option(
    "--from",
    "counted_from",
    type=click.Choice(["sign-up", "observation"]),
    default="sign-up",
    show_default=True,
    help="From when those days count: the sign-up, or the end of the days that were observed.",
)
@click.option(
    "--unit",
    type=click.Choice(["member", "account"]),
    default="member",
    show_default=True,
    help="Whom to count; accounts where the account buys and has several members.",
)
@click.option("--grid", is_flag=True, help="With --csv: all cells of every event, not only its best.")
@click.option("--fast", is_flag=True, help="Leave out what the milestones of the definition are worth.")
@report_at_option
@output_options
def signals(
    store: str | None, archive: Path | None, engine: str | None, as_json: bool, as_csv: bool, **said: Any
) -> None:
    """Find the early actions that go with paying, and the milestones that do not.

    Each event is tried as "did it at least k times within the first d days" (1 to 10 times, 1 to 15
    days), with precision, recall, phi, Wilson intervals, and q-values corrected for all that was tried.
    Only what happened strictly before the purchase counts. Events known only with the purchase or after
    it are said to be leaky; those that nearly everybody did, or nearly nobody, to carry no information.

    What is found is association. Whether making people do it makes them pay, only a holdout shows.

    \b
    Examples:
      nudge signals --store sqlite:///nudge.db
      nudge signals --days 14 --from observation --json
      nudge signals --archive /var/lib/shop/archive --csv --grid > grid.csv
    """
    from nudge_sdk.insights.needs import check_statistics
    from nudge_sdk.insights.signal_words import signal_rows, signal_words
    from nudge_sdk.insights.signals import signals as run

    check_statistics()
    with tables_of(store, archive, engine) as tables:
        now = said["at"] if said["at"] is not None else tables.as_of
        report = run(tables, now=now, within_days=said["days"], counted_from=said["counted_from"], unit=said["unit"])
        if store and not archive and not said["fast"]:
            report = replace(report, milestones=_milestones(store, tables, now, said))
    rows = signal_rows(report, has_cells=said["grid"])
    say_report(report, rows, signal_words(report), as_json=as_json, as_csv=as_csv)


def _milestones(url: str, tables: Tables, now: int, said: dict[str, Any]) -> tuple[MilestoneSignal, ...]:
    from nudge_sdk.commands.opening import intake_of, opened_store
    from nudge_sdk.insights.features import Asked, observe, points_of
    from nudge_sdk.insights.milestone_signals import milestone_signals
    from nudge_sdk.rules.lint_findings import name_of

    with opened_store(url) as store:
        catalog = intake_of(store).catalog
        if not catalog.number:
            return ()
        rules = catalog.rules
        observations = observe(store, tables, rules, Asked(now, within_days=said["days"], unit=said["unit"]))
    names = {each.key: name_of(each) for each in rules.definition.milestones}
    return milestone_signals(observations, points_of(rules), names)
