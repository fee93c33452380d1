"""``nudge what-if``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nudge_sdk.commands.opening import live_catalog, opened_store
from nudge_sdk.commands.options import at_option
from nudge_sdk.commands.output import output_options, say_report

if TYPE_CHECKING:
    from nudge_sdk.insights.peaks import History
    from nudge_sdk.insights.whatif import Where
    from nudge_sdk.rules.compiled import Rules

_TIERS = {"member.warm": ("member", "warm"), "member.hot": ("member", "hot"),
          "account.warm": ("account", "warm"), "account.hot": ("account", "hot")}  # fmt: skip


@click.command("what-if")
@click.argument("definition", required=False, type=click.Path(exists=True, dir_okay=False))
@click.option("--store", envvar="NUDGE_STORE", metavar="URL", show_envvar=True, help="Whose history to replay.")
@click.option(
    "--archive",
    type=click.Path(file_okay=False, path_type=Path),
    help="Replay this folder, which nudge archive wrote, instead of a store.",
)
@click.option(
    "--live",
    type=click.Path(exists=True, dir_okay=False),
    help="With --archive: the definition in force, which an archive does not hold.",
)
@click.option("--segment", metavar="KEY", help="Instead: what each threshold of this segment would come to.")
@click.option(
    "--tier",
    type=click.Choice(list(_TIERS)),
    default="account.hot",
    show_default=True,
    help="With --segment: of which.",
)
@click.option("--days", default=30, show_default=True, help="Within how many days a conversion counts.")
@click.option("--members", default=20_000, show_default=True, help="How many members are followed at most.")
@at_option("Up to when to replay")
@output_options
def what_if(definition: str | None, at: int, as_json: bool, as_csv: bool, **said: Any) -> None:
    """Replay the stored history by another DEFINITION, and say what would have been different.

    How many PQLs and PQAs a week against what sales can take, precision, recall, and who enters and
    leaves. Nothing is written. With --segment and without DEFINITION, the thresholds of the
    definition in force are tried one after the other.

    \b
    Examples:
      nudge what-if draft.yaml
      nudge what-if --segment smb --tier account.hot --csv > thresholds.csv
      nudge what-if draft.yaml --archive /var/lib/shop/archive --live definition.yaml
    """
    from nudge_sdk.documents import read_definition
    from nudge_sdk.insights import whatif
    from nudge_sdk.insights.peaks import climbs
    from nudge_sdk.rules.compiled import Rules

    if (definition is None) == (said["segment"] is None):
        raise click.UsageError("Say either a DEFINITION or --segment.")
    with _opened(said) as (opened, live):
        rules = Rules(read_definition(definition)) if definition else live
        kept = whatif.PeakColumns(climbs(opened, live, at, most=said["members"]))
        if said["segment"] is not None:
            curve = whatif.threshold_curve(kept, live, _where(live, said["segment"], said["tier"]), days=said["days"])
            say_report(curve, curve.steps, whatif.curve_words(curve), as_json=as_json, as_csv=as_csv)
            return
        is_same = whatif.walk_key(live.definition) == whatif.walk_key(rules.definition)
        other = kept if is_same else whatif.PeakColumns(climbs(opened, rules, at, most=said["members"]))
    found = whatif.what_if(kept, other, (live, rules), days=said["days"])
    say_report(found, found.members.weeks, whatif.what_if_words(found), as_json=as_json, as_csv=as_csv)


@contextmanager
def _opened(said: dict[str, Any]) -> Iterator[tuple[History, Rules]]:
    """Give the history to replay, and the definition in force."""
    from nudge_sdk.documents import read_definition
    from nudge_sdk.insights.archived_records import opened_archived_records
    from nudge_sdk.rules.compiled import Rules

    if said["archive"] is not None:
        if said["live"] is None:
            raise click.UsageError("An archive holds no definition: say which is in force with --live FILE.")
        live = Rules(read_definition(said["live"]))
        with opened_archived_records(said["archive"], live) as records:
            yield records, live
        return
    if said["store"] is None:
        raise click.UsageError("Say whose history to replay: --store URL, or --archive FOLDER.")
    with opened_store(said["store"]) as store:
        yield store, live_catalog(store).rules


def _where(rules: Any, segment: str, tier: str) -> Where:
    keys = [each.segment.key for each in rules.segments]
    if segment not in keys:
        known = ", ".join(key for key in keys if key)
        raise click.UsageError(f"There is no segment {segment}; there are: {known}.")
    subject, name = _TIERS[tier]
    return (segment, subject, name)  # type: ignore[return-value]
