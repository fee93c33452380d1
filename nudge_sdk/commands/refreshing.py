"""``nudge refresh``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from nudge_sdk.commands.opening import intake_of, opened_store
from nudge_sdk.commands.options import json_option, say_json, store_option
from nudge_sdk.errors import StoreBusyError

if TYPE_CHECKING:
    from nudge_sdk.insights.journeys import Refreshed
    from nudge_sdk.store.protocol import Store

_TOLD_EVERY = 10_000


@click.command()
@store_option
@json_option
@click.option("--replay", is_flag=True, help="Replay imported history in any case.")
@click.option("--reports", is_flag=True, help="Make what takes long on the admin's pages, too, where it is old.")
def refresh(store: str, as_json: bool, replay: bool, reports: bool) -> None:
    """Roll up when each member and account came how far, so that reports need not read the events.

    nudge worker does all of this, and every report does it before it is printed. Only those of whom
    something changed are rolled up anew. It can be broken off at any moment, and hosts go on working
    meanwhile.

    History that was imported is replayed first, once an import or a publication: for reports people
    qualified when it happened, by the definition in force, and not when it was imported.

    The admin's pages of signals and calibration show kept reports, with their date. With --reports they
    are made beforehand where they are older than half a day; of little history a page makes its own.

    \b
    Examples:
      nudge refresh --store sqlite:///nudge.db
      nudge refresh --reports
    """
    if reports:
        from nudge_sdk.insights.needs import check_statistics

        check_statistics("ibis", "sklearn", "firthmodels")
    with opened_store(store) as opened:
        done = refreshed(opened, replay=replay)
        made = _prepared(opened) if reports else None
    if done is None and made is None:
        raise StoreBusyError("another process is refreshing the journeys; try again when it is done")
    if as_json:
        say_json(done)
        return
    if done is not None:
        click.echo(
            f"{done.subjects} members and accounts: {done.changed} journeys written, {done.gone} deleted; "
            f"{done.seconds:.1f} seconds"
        )
    if made is not None:
        click.echo(f"{made} reports made")


def refreshed(store: Store, *, replay: bool = False) -> Refreshed | None:
    """Refresh the journeys of an open store, telling a person how far it is; None while another process is at it."""
    from nudge_sdk.insights.journeys import refresh as run
    from nudge_sdk.insights.replaying import needs_replay, replay_history
    from nudge_sdk.runtime.recorder import present

    rules = intake_of(store).catalog.rules
    if replay or needs_replay(store, rules):
        replay_history(store, rules, present(), _tell_replay if sys.stderr.isatty() else None)
    return run(store, rules, present(), _progress())


def _prepared(store: Store) -> int:
    from nudge_sdk.insights.journeys import database_of
    from nudge_sdk.insights.preparing import prepare
    from nudge_sdk.runtime.recorder import present

    return prepare(database_of(store), intake_of(store).catalog, present())


def _tell_replay(done: int, of: int) -> None:
    click.echo(f"{done} of {of} accounts of imported history replayed", err=True)


def _progress() -> Callable[[int], None] | None:
    if not sys.stderr.isatty():
        return None

    def tell(subjects: int) -> None:
        if subjects % _TOLD_EVERY == 0:
            click.echo(f"{subjects} members and accounts looked at", err=True)

    return tell
