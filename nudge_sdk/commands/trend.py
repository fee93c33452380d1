"""``nudge trend``."""

from __future__ import annotations

from pathlib import Path

import click

from nudge_sdk.commands.opening import opened_store
from nudge_sdk.commands.output import output_options, say_report
from nudge_sdk.commands.reports import report_at_option, tables_of, tables_options


@click.command()
@tables_options
@click.option("--weeks", type=click.IntRange(2, 520), default=26, show_default=True, help="How many weeks back.")
@click.option("--segment", default="", metavar="KEY", help="Only this segment.")
@click.option("--source", default="", metavar="NAME", help="Only this source.")
@report_at_option
@output_options
def trend(
    store: str | None,
    archive: Path | None,
    engine: str | None,
    at: int | None,
    as_json: bool,
    as_csv: bool,
    **said: str,
) -> None:
    """Tell how many new PQLs and PQAs there are a week, and what was published and released meanwhile.

    What changed around a publication or a release is an association, with its 95 % interval. What was
    published is known of a store only.

    \b
    Examples:
      nudge trend --weeks 12
      nudge trend --segment smb --csv > weeks.csv
    """
    from nudge_sdk.insights import trend as insights
    from nudge_sdk.insights.needs import check_statistics
    from nudge_sdk.rules.times import DAY

    check_statistics()
    weeks = int(said["weeks"])
    published: tuple[insights.Marker, ...] = ()
    if store is not None and archive is None:
        with opened_store(store) as opened:
            published = insights.publications(opened)
    with tables_of(store, archive, engine) as tables:
        now = tables.as_of if at is None else at
        released = insights.releases(tables, since=now - (weeks + 1) * 7 * DAY)
        found = insights.trend(
            tables,
            now=now,
            weeks=weeks,
            markers=(*published, *released),
            segment=said["segment"],
            source=said["source"],
        )
    say_report(found, found.weeks, insights.trend_words(found), as_json=as_json, as_csv=as_csv)
