"""``nudge trend``."""

from __future__ import annotations

import click

from nudge_sdk.commands.opening import opened_store
from nudge_sdk.commands.options import at_option, store_option
from nudge_sdk.commands.output import output_options, say_report
from nudge_sdk.commands.refreshing import refreshed


@click.command()
@store_option
@click.option("--weeks", type=click.IntRange(2, 520), default=26, show_default=True, help="How many weeks back.")
@click.option("--segment", default="", metavar="KEY", help="Only this segment.")
@click.option("--source", default="", metavar="NAME", help="Only this source.")
@at_option("The last week is the one of this moment")
@output_options
def trend(store: str, weeks: int, segment: str, source: str, at: int, as_json: bool, as_csv: bool) -> None:
    """Tell how many new PQLs and PQAs there are a week, and what was published and released meanwhile.

    What changed around a publication or a release is an association, with its 95 % interval.

    \b
    Examples:
      nudge trend --weeks 12
      nudge trend --segment smb --csv > weeks.csv
    """
    from nudge_sdk.insights import trend as insights
    from nudge_sdk.insights.needs import check_statistics
    from nudge_sdk.insights.tables import opened_tables
    from nudge_sdk.rules.times import DAY

    check_statistics()
    with opened_store(store) as opened:
        refreshed(opened)
        since = at - (weeks + 1) * 7 * DAY
        with opened_tables(store=store) as tables:
            markers = (*insights.publications(opened), *insights.releases(tables, since=since))
            found = insights.trend(tables, now=at, weeks=weeks, markers=markers, segment=segment, source=source)
    say_report(found, found.weeks, insights.trend_words(found), as_json=as_json, as_csv=as_csv)
