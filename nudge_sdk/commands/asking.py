"""``nudge standing``, ``explain`` and ``decide``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from nudge_sdk.commands.opening import live_catalog, opened_client
from nudge_sdk.commands.options import account_option, at_option, json_option, say_json, store_option

if TYPE_CHECKING:
    from nudge_sdk.rules.explaining import StandingReport
    from nudge_sdk.runtime.deciding import Decision

_USER = click.option("--user", required=True, metavar="ID", help="The user.")
_CONTEXT = click.option(
    "--context",
    multiple=True,
    metavar="KEY=VALUE",
    help="A value of the request, such as page=pricing or used=95; JSON, else text. May be given several times.",
)
_LOCALE = click.option(
    "--locale", default="", metavar="TAG", help="BCP 47 tag of the person's language, such as de-AT."
)


@click.command()
@store_option
@click.option("--user", metavar="ID", help="The user; without it, the account itself is judged.")
@account_option
@at_option("When to judge")
@json_option
def standing(store: str, user: str | None, account: str | None, at: int, as_json: bool) -> None:
    """Say where a member or an account stands, and why.

    \b
    Examples:
      nudge standing --user ada --account acme
      nudge standing --account acme --json
    """
    if user is None and account is None:
        raise click.UsageError("Say --user, --account or both.")
    with opened_client(store) as client:
        live_catalog(client.store)
        report = client.standing(user, account=account, at=at)
    if as_json:
        say_json(report)
    elif report is not None:
        say_standing(report)


@click.command()
@click.argument("placement")
@store_option
@_USER
@account_option
@at_option("When to decide")
@_CONTEXT
@_LOCALE
@json_option
def explain(placement: str, store: str, user: str, account: str | None, as_json: bool, **said: Any) -> None:
    """Say what a person would be shown at PLACEMENT, and why; nothing is spent by it.

    \b
    Example:
      nudge explain dashboard --user ada --account acme --context page=reports
    """
    with opened_client(store) as client:
        live_catalog(client.store)
        found = client.explain(
            placement,
            user=user,
            account=account,
            at=said["at"],
            context=_context(said["context"]),
            locale=said["locale"],
        )
    if found is None or as_json:
        say_json(found)
        return
    _say_decision(found.decision)
    for candidate in found.candidates:
        click.echo(f"  {'shown' if candidate.is_shown else candidate.reason}: {candidate.text}")
    click.echo("")
    say_standing(found.standing)


@click.command()
@click.argument("placement")
@store_option
@_USER
@account_option
@_CONTEXT
@_LOCALE
@json_option
def decide(placement: str, store: str, user: str, account: str | None, as_json: bool, **said: Any) -> None:
    """Decide what to show a person at PLACEMENT, as the host's page would.

    This is a real offer: it is written down and spends the person's caps. To only look, use nudge explain.

    \b
    Example:
      nudge decide dashboard --user ada --account acme --context page=reports --locale de
    """
    with opened_client(store) as client:
        live_catalog(client.store)
        decision = client.decide(
            placement, user=user, account=account, context=_context(said["context"]), locale=said["locale"]
        )
    if as_json:
        say_json(decision)
        return
    _say_decision(decision)
    for key, reason in decision.reasons.items():
        click.echo(f"  {key}: {reason}")


def say_standing(report: StandingReport) -> None:
    """Print a standing in words."""
    who = f"{report.user_id} in {report.account_id}" if report.user_id else report.account_id
    segment = report.segment_name or report.segment or "everybody else"
    click.echo(
        f"{who}: {report.tier}, score {report.score:g}, fit {report.fit:g}, segment {segment}, "
        f"by definition {report.definition} at {report.at}"
    )
    if report.episode is not None:
        phase = report.phase or "over"
        click.echo(f"  episode since {report.episode.started_at}, day {report.episode.day}, phase {phase}")
    if report.why_now:
        click.echo(f"  why now: {report.why_now}")
    for reason in report.reasons:
        click.echo(f"  {'+' if reason.is_reached else '-'} {reason.text}")
    for tier in report.tiers:
        click.echo(f"  {tier.tier}: {tier.text}")
        for gate in tier.gates:
            click.echo(f"    {'+' if gate.is_met else '-'} {gate.text}")


def _say_decision(decision: Decision) -> None:
    shown = decision.nudge
    if shown is None:
        click.echo(f"nothing is shown at {decision.placement}")
    else:
        click.echo(f"{shown.mode} {shown.nudge} is shown at {decision.placement}: {shown.title}")


def _context(pairs: tuple[str, ...]) -> dict[str, Any]:
    return dict(_pair(pair) for pair in pairs)


def _pair(pair: str) -> tuple[str, Any]:
    import msgspec

    key, separator, text = pair.partition("=")
    if not separator or not key:
        raise click.UsageError(f"--context {pair!r} is not KEY=VALUE.")
    try:
        return key, msgspec.json.decode(text)
    except msgspec.DecodeError:
        return key, text
