"""``nudge worker``, ``migrate`` and ``demo``."""

from __future__ import annotations

import signal
import sys
import threading
import time
from contextlib import closing
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from nudge_sdk.commands.opening import journals_of
from nudge_sdk.commands.options import journal_option, store_option
from nudge_sdk.errors import NudgeError, SetupError, StoreBusyError
from nudge_sdk.store import shown

if TYPE_CHECKING:
    from nudge_sdk.insights.beside import Beside
    from nudge_sdk.insights.refreshing import Refresher
    from nudge_sdk.runtime.drainer import Drainer
    from nudge_sdk.store.protocol import Store

SLICE = 0.5
"""Seconds of draining between two looks at whether to stop."""

SWEEP_SECONDS = 1.0
LONGEST_PAUSE = 5.0


@click.command()
@store_option
@journal_option
@click.option("--once", is_flag=True, help="Drain and sweep what there is now, then end.")
@click.option(
    "--pause",
    type=click.FloatRange(0.01, 60),
    default=0.1,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait when there is nothing to do.",
)
def worker(store: str, journal: str | None, once: bool, pause: float) -> None:
    """Bring what hosts tracked into the store, and judge those whose time has come.

    Drains every journal of the folder, also those whose process is gone. Needed for clients made with
    drain="external", harmless beside others: one process drains at a time. SIGTERM or SIGINT let it
    finish the batch in hand and end with status 0; killing it loses nothing.

    Every ten minutes it also rolls up what the reports are made from. Imported history is replayed, and
    the reports that take long are made anew twice a day, in a process of its own beside it (see nudge
    refresh).

    \b
    Examples:
      nudge worker --store sqlite:////var/lib/shop/nudge.db
      nudge worker --once
    """
    from nudge_sdk.client import NudgeClient
    from nudge_sdk.insights.beside import Beside
    from nudge_sdk.insights.refreshing import Refresher
    from nudge_sdk.store import open_store

    folder = journals_of(store, journal)
    with closing(open_store(store)) as opened:
        _make_ready(opened, is_patient=not once)
        client = NudgeClient(opened, journal=folder, drain="external")
        drainer = client.drainer
        if drainer is None:
            raise SetupError("this store needs no worker")
        drainer.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        refresher, beside = Refresher(client.intake), Beside(client.intake, store)
        if once:
            taken, judged = drainer.drain(), drainer.sweep()
            # What follows may take long: another worker may drain meanwhile.
            drainer.close()
            refresher.finish()
            beside.finish()
            click.echo(f"{taken} lines drained, {judged} members and accounts judged")
        else:
            click.echo(f"draining {drainer.folder} into {shown(store)}", err=True)
            _work(drainer, (refresher, beside), _stop_on_signals(), pause)
            beside.close()
            refresher.close()
        client.close()


@click.command()
@store_option
def migrate(store: str) -> None:
    """Make the tables, or bring them to this release's version. Safe while hosts run, and to run twice.

    \b
    Example:
      nudge migrate --store sqlite:////var/lib/shop/nudge.db
    """
    from nudge_sdk.store import open_store

    opened = open_store(store)
    was_current = opened.schema_is_current()
    opened.migrate()
    opened.close()
    click.echo(f"the tables in {shown(store)} {'were already' if was_current else 'are now'} this release's")


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True, help="Port to listen on.")
@click.option("--check", is_flag=True, help="Build it in a temporary folder, request its pages once, and end.")
@click.option(
    "--history/--no-history", default=True, help="With half a year of made-up accounts, for the pages under Proof."
)
def demo(host: str, port: int, check: bool, history: bool) -> None:
    """Serve the demo: a small product with nudges in it, and the admin beside it.

    \b
    Examples:
      nudge demo
      nudge demo --port 8080
    """
    try:
        server: Any = import_module("nudge_sdk.demo.server")
    except ModuleNotFoundError as error:
        raise SetupError(
            f"the demo needs {error.name}, which is not installed; run: pip install 'nudge-sdk[admin]'"
        ) from error
    sys.exit(server.main(host=host, port=port, check=check, has_history=history))


def _make_ready(store: Store, *, is_patient: bool) -> None:
    """Bring the tables to this release's version; who stays goes on to try while the store does not answer."""
    try:
        if not store.schema_is_current():
            store.migrate()
    except StoreBusyError as error:
        if not is_patient:
            raise
        click.echo(f"Warning: {error}", err=True)


def _stop_on_signals() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _work(drainer: Drainer, also: tuple[Refresher, Beside], stop: threading.Event, pause: float) -> None:
    failures = 0
    next_sweep = 0.0
    while not stop.is_set():
        try:
            taken = drainer.drain(until=time.monotonic() + SLICE)
            if time.monotonic() >= next_sweep:
                drainer.sweep()
                next_sweep = time.monotonic() + SWEEP_SECONDS
            for each in also:
                each.step()
        except (NudgeError, OSError) as error:
            failures += 1
            if failures == 1 or failures % 100 == 0:
                click.echo(f"Warning: {error}; nothing is lost, it is tried again", err=True)
            stop.wait(min(LONGEST_PAUSE, pause * 2 ** min(failures, 10)))
            continue
        failures = 0
        if not taken:
            stop.wait(pause)
