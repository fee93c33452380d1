"""``nudge retain``."""

from __future__ import annotations

import sys

import click

from nudge_sdk.commands.opening import intake_of, opened_store
from nudge_sdk.commands.options import store_option
from nudge_sdk.commands.refreshing import refreshed

_TOLD_EVERY = 10_000


@click.command()
@store_option
@click.option("--days", type=click.IntRange(min=1), required=True, help="How many days of events to keep.")
@click.option("--yes", is_flag=True, help="Do not ask whether you are sure.")
def retain(store: str, days: int, yes: bool) -> None:
    """Drop events that are older than so many days, for good; scores and tiers stay as they are.

    What the dropped events came to is kept: the counts of everybody, by day. From then on events of
    before that day are refused and counted, also those of an import. A milestone that counts something
    new counts from that day on, and says so.

    Hosts go on working meanwhile. It can be broken off at any moment: doing it again goes on. Run it
    daily, or monthly: PostgreSQL then drops whole months at once.

    \b
    Example:
      nudge retain --days 400 --yes
    """
    from nudge_sdk.rules.times import DAY, to_iso
    from nudge_sdk.runtime.retaining import retain as run

    if not yes:
        click.confirm(f"Drop all events older than {days} days?", abort=True)
    with opened_store(store) as opened:
        # The journeys keep when goals were met first: what is dropped could not tell it any more.
        refreshed(opened)
        found = run(intake_of(opened), days=days, progress=_progress if sys.stderr.isatty() else None)
    click.echo(f"{found.events} events dropped; those from {to_iso(found.first_day * DAY)[:10]} on are kept")
    if found.partitions:
        click.echo(f"{found.partitions} months given back to the database")


def _progress(events: int) -> None:
    if events % _TOLD_EVERY == 0:
        click.echo(f"{events} events dropped", err=True)
