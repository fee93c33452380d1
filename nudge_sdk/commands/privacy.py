"""``nudge forget`` and ``export-person``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nudge_sdk.commands.opening import journals_of, opened_store
from nudge_sdk.commands.options import journal_option, say_json, store_option

if TYPE_CHECKING:
    from nudge_sdk.client import NudgeClient
    from nudge_sdk.runtime.forgetting import Forgotten

_ACCOUNT = click.option("--account", metavar="ID", help="Only in this account; without it, in every account.")


@click.command("export-person")
@click.argument("user")
@store_option
@journal_option
@_ACCOUNT
@click.option("--output", "-o", type=click.Path(dir_okay=False), help="Write to this file instead of standard output.")
def export_person(user: str, store: str, journal: str | None, account: str | None, output: str | None) -> None:
    """Write down, as JSON, everything that is held about one person.

    What was sent, of them and of visitors who turned out to be them; their traits and opt-outs; where
    they stand and why; and what they were shown. The journals of this host are drained first.

    \b
    Examples:
      nudge export-person ada
      nudge export-person ada --account acme -o ada.json
    """
    import msgspec

    with _opened(store, journal) as client:
        document = client.export(user, account=account)
    if output is None:
        say_json(document)
    else:
        Path(output).write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")


@click.command()
@click.argument("user")
@store_option
@journal_option
@_ACCOUNT
@click.option("--yes", is_flag=True, help="Do not ask whether you are sure.")
@click.option("--no-scrub", is_flag=True, help="Leave it to the next one to overwrite what deleting leaves in files.")
@click.option("--readmit", is_flag=True, help="Let somebody who was forgotten come back: take what is new of them.")
def forget(user: str, store: str, journal: str | None, account: str | None, yes: bool, **how: bool) -> None:
    """Delete everything that is stored of one person, for good.

    Their rows, events, conclusions and undrained lines go, and those of visitors who turned out to be
    them; their accounts are counted anew without them. A hash stays, so that late events do not bring
    them back. What they said of an account (its traits, what it bought) stays as said of the account.

    At last the database writes its tables anew, so that no old bytes stay in its files: that takes a
    while and stops other writers. Where hosts keep journals on several machines, run it on each: it
    erases what the journals of that machine hold. Doing it again is safe. An archive holds them until
    nudge archive is run again. Backups, and on PostgreSQL the write-ahead log until the server reuses
    it, are yours to see to.

    \b
    Examples:
      nudge forget ada
      nudge forget ada --account acme --yes
    """
    where = f"in {account}" if account else "everywhere"
    if not yes:
        click.confirm(f"{'Readmit' if how['readmit'] else 'Forget'} {user} {where}?", abort=True)
    with _opened(store, journal) as client:
        if how["readmit"]:
            from nudge_sdk.runtime.forgetting import readmit

            was_there = readmit(client.intake, user, account)
            click.echo("what is said of them from now on is taken again" if was_there else "they were not forgotten")
            return
        _say(client.forget(user, account=account, scrub=not how["no_scrub"]))


def _say(result: Forgotten) -> None:
    click.echo(f"{result.rows} rows deleted, {result.lines} lines of journals overwritten")
    if result.accounts:
        click.echo(f"{len(result.accounts)} accounts counted anew, {result.kept} facts about them kept")
    if result.journals_left:
        names = ", ".join(result.journals_left)
        raise click.ClickException(f"not yours to write, so they still hold lines: {names}; run this as their owner")


@contextmanager
def _opened(store: str, journal: str | None) -> Iterator[NudgeClient]:
    """Open a client that drains the journals of this machine, where there are any, and raises its errors."""
    from nudge_sdk.client import NudgeClient
    from nudge_sdk.options import Options

    folder = journals_of(store, journal)
    # A person waits for the answer, not a page: a busy store may take its time.
    options = Options(on_error="raise", store_wait=10.0)
    with (
        opened_store(store) as opened,
        NudgeClient(opened, journal=folder, drain="external", options=options) as client,
    ):
        yield client
