"""``nudge publish``, ``lint``, ``playbooks`` and ``schema``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from nudge_sdk.commands.opening import opened_client
from nudge_sdk.commands.options import json_option, say_json, store_option
from nudge_sdk.errors import SetupError

if TYPE_CHECKING:
    from nudge_sdk.rules.lint import Finding

_FILE = click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))


@click.command()
@_FILE
@store_option
@click.option("--by", default="command line", show_default=True, metavar="NAME", help="Who publishes.")
@click.option("--note", default="", metavar="TEXT", help="Why; kept with the definition.")
@click.option(
    "--override",
    default="",
    metavar="REASON",
    help="Publish in spite of blocking findings, for this reason; it is kept in the note.",
)
def publish(file: str, store: str, by: str, note: str, override: str) -> None:
    """Check a definition (YAML or JSON), and put it in force.

    The lint runs first: blocking findings stop it unless --override says why. What the definition
    counts anew is counted from the stored events before it comes into force, which may take a while
    on a long history.

    \b
    Examples:
      nudge publish definition.yaml --by kim --note "Lower bar for the spring campaign"
      nudge playbooks show email | nudge publish -
    """
    from nudge_sdk.documents import read_definition
    from nudge_sdk.rules.lint import is_blocking, lint
    from nudge_sdk.rules.times import DAY, to_iso

    definition = read_definition(_text(file))
    findings = lint(definition)
    if is_blocking(findings) and not override.strip():
        _say_blocking(findings)
        raise SetupError(
            "the definition is not published, because of the blocking findings above; mend them, or publish with "
            '--override "the reason why it is right"'
        )
    if override.strip() and is_blocking(findings):
        note = f"{note} (override: {override.strip()})".strip()
    with opened_client(store, make=True) as client:
        number = client.publish(definition, by=by, note=note, progress=_progress if sys.stderr.isatty() else None)
        partly = client.intake.catalog.rules.counted_from.values()
    click.echo(f"definition {number} is in force")
    if partly:
        days = ", ".join(to_iso(day * DAY)[:10] for day in sorted(set(partly)))
        click.echo(
            f"{len(partly)} of what it counts is counted from {days} on only: older events were dropped", err=True
        )
    warnings = sum(finding.severity == "warn" for finding in findings)
    if warnings:
        click.echo(f"{warnings} findings to think about; see: nudge lint {file}", err=True)


@click.command()
@_FILE
@json_option
def lint(file: str, as_json: bool) -> None:
    """Say what is wrong or unwise in a definition; exit status 1 if something blocks publication.

    \b
    Example:
      nudge lint definition.yaml
    """
    from nudge_sdk.documents import read_definition
    from nudge_sdk.rules.lint import is_blocking
    from nudge_sdk.rules.lint import lint as find

    findings = find(read_definition(_text(file)))
    if as_json:
        say_json(findings)
    else:
        _say_findings(findings)
    sys.exit(1 if is_blocking(findings) else 0)


@click.group()
def playbooks() -> None:
    """Show ready definitions, one a business model, to start from and to change."""


@playbooks.command("list")
@json_option
def list_all(as_json: bool) -> None:
    """List the ready definitions."""
    from nudge_sdk.playbooks import list_playbooks

    found = list_playbooks()
    if as_json:
        say_json([playbook._asdict() for playbook in found])
        return
    for playbook in found:
        click.echo(f"{playbook.key}: {playbook.name}\n    {playbook.description}")


@playbooks.command("show")
@click.argument("key")
def show_one(key: str) -> None:
    """Print the YAML document of one.

    \b
    Example:
      nudge playbooks show email > definition.yaml
    """
    from nudge_sdk.playbooks import read_playbook

    click.echo(read_playbook(key), nl=False)


@click.command()
def schema() -> None:
    """Print the JSON Schema of definitions, for editors that complete and check.

    \b
    Example:
      nudge schema > nudge-definition.schema.json
    """
    from nudge_sdk.documents import json_schema

    say_json(json_schema())


def _text(file: str) -> str:
    with click.open_file(file, encoding="utf-8-sig") as opened:
        try:
            return f"{opened.read()}\n"
        except UnicodeDecodeError as error:
            raise SetupError(f"{file} is not UTF-8 text (at byte {error.start}); save it as UTF-8") from None


def _say_blocking(findings: Sequence[Finding]) -> None:
    for finding in findings:
        if finding.severity == "block":
            click.echo(str(finding), err=True)


def _say_findings(findings: Sequence[Finding]) -> None:
    for finding in findings:
        click.echo(str(finding))
    kinds = {kind: sum(finding.severity == kind for finding in findings) for kind in ("block", "warn", "note")}
    if findings:
        click.echo(f"{kinds['block']} blocking, {kinds['warn']} to think about, {kinds['note']} notes")
    else:
        click.echo("nothing to say: the definition is in order")


def _progress(done: int, total: int) -> None:
    click.echo(f"\rcounting from the stored events: {done} of {total} members and accounts", err=True, nl=done >= total)
