"""``nudge doctor``."""

from __future__ import annotations

import sys

import click

from nudge_sdk.commands.options import journal_option, json_option, say_json, store_option


@click.command()
@store_option
@journal_option
@json_option
def doctor(store: str, journal: str | None, as_json: bool) -> None:
    """Look whether all is well, in plain words; exit status 1 when something needs attention.

    Looks at the store, its tables and whether it can be written, this machine's clock and the database's, the
    definition in force and whether every process decides by it, lines that could not be taken, who should have
    been judged by now, who holds which lease; and at the journals of this machine: what waits in them, those
    whose process is gone, their times, their folder and the disk it is on.

    \b
    Examples:
      nudge doctor --store sqlite:////var/lib/shop/nudge.db
      nudge doctor --store postgresql://nudge@db/shop --journal /var/lib/shop/journals --json
    """
    from nudge_sdk.commands.health import examine

    checks = examine(store, journal)
    is_well = all(check.is_well for check in checks)
    if as_json:
        say_json({"is_well": is_well, "checks": checks})
    else:
        for check in checks:
            click.echo(f"{'ok  ' if check.is_well else 'LOOK'} {check.name}: {check.text}")
    sys.exit(0 if is_well else 1)
