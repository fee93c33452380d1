"""``nudge lift``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click
import msgspec

from nudge_sdk.commands.opening import live_catalog, opened_store
from nudge_sdk.commands.options import at_option
from nudge_sdk.commands.output import output_options, say_report
from nudge_sdk.errors import ImportFileError, SetupError
from nudge_sdk.insights.statistics.power import POWER

if TYPE_CHECKING:
    from nudge_sdk.insights.lift_reports import LiftReport
    from nudge_sdk.insights.lift_table import ExperimentRow, SetAside
    from nudge_sdk.insights.statistics.power import Plan
    from nudge_sdk.rules.definition import Definition

_NAMED = 3


@click.command()
@click.option("--store", envvar="NUDGE_STORE", metavar="URL", show_envvar=True, help="The store to report on.")
@click.option("--archive", metavar="FOLDER", help="Report on an archive instead of a store; needs --definition.")
@click.option("--engine", type=click.Choice(["duckdb", "spark"]), help="What reads the archive; DuckDB by default.")
@click.option("--definition", type=click.Path(exists=True, dir_okay=False), help="Of an archive: what was in force.")
@click.option("--nudge", multiple=True, metavar="KEY", help="Only this nudge; may be given several times.")
@click.option(
    "--days", type=click.IntRange(min=1), default=30, show_default=True, help="How long the goal may take to be met."
)
@click.option("--baseline", type=float, metavar="SHARE", help="Planned for: the share that meets the goal anyway.")
@click.option("--effect", type=float, metavar="SHARE", help="Planned for: the least difference worth finding.")
@click.option("--power", type=float, metavar="SHARE", help="Planned for: how surely it is found; 0.8 by default.")
@click.option("--plan", "is_plan", is_flag=True, help="Only say how large an experiment has to be.")
@click.option("--share", type=float, metavar="SHARE", help="With --plan: the control's share; half by default.")
@click.option("--units", type=click.IntRange(min=2), help="With --plan: what so many find, instead of --effect.")
@click.option("--keep", is_flag=True, help="With --plan: fix it as the plan of --store, before anybody looks.")
@click.option("--by", default="command line", show_default=True, metavar="NAME", help="With --keep: who fixes it.")
@click.option("--csv", "file", metavar="FILE", help="Report on an experiment given as a table ('-': standard input).")
@click.option("--arm", metavar="COL", help="With --csv: the column of the arm.")
@click.option("--outcome", metavar="COL", help="With --csv: the column of whether the goal was met: 1 or 0.")
@click.option("--cluster", metavar="COL", default="", help="With --csv: the column of the account a row belongs to.")
@click.option("--unit", metavar="COL", default="", help="With --csv: the column of a unit that may have several rows.")
@click.option("--control", metavar="NAME", default="", help="With --csv: the arm the others are compared with.")
@click.option("--ratio", metavar="50:50", help="With --csv: the configured ratio, the control first, then by name.")
@click.option("--planned", type=click.IntRange(min=2), metavar="N", help="With --csv: the size fixed beforehand.")
@click.option("--not-randomised", is_flag=True, help="With --csv: chance did not choose the arms; no lift then.")
@at_option("As of when")
@output_options(csv_flag="--as-csv")
def lift(at: int, as_json: bool, as_csv: bool, **said: Any) -> None:
    """Say what nudges change: those offered a nudge against those it was withheld from by chance.

    Counted from the first time somebody reached the point at which the nudge is shown or withheld. The
    verdict is gain, harm, no difference shown, invalid (the arms cannot be trusted), or not yet: none is
    given before the size that was planned. Until then the always-valid interval may be looked at every
    day. The plan is the one that is kept in the store (--plan --keep, or the admin), unless --baseline
    and --effect say another; where nobody fixed one, it is to find five points on ten in a hundred.

    Without a holdout nobody can tell lift; what is printed then is called association.

    With --csv any experiment is judged that is given as a table of one row a unit; with --plan none is,
    and the size that one needs is printed.

    \b
    Examples:
      nudge lift --plan --baseline 0.10 --effect 0.05 --share 0.2
      nudge lift --plan --baseline 0.10 --units 2000
      nudge lift --plan --baseline 0.08 --effect 0.04 --keep --store sqlite:///nudge.db
      nudge lift --nudge upgrade --store sqlite:///nudge.db
      nudge lift --csv test.csv --arm group --outcome paid --cluster account --ratio 50:50 --planned 1372
    """
    from nudge_sdk.insights.needs import check_statistics

    _check(said)
    check_statistics()
    if said["is_plan"]:
        _say_plan(said, as_json=as_json, as_csv=as_csv)
        return
    reports = _of_file(said) if said["file"] else _of_store(said, at)
    _say(reports, as_json=as_json, as_csv=as_csv)


def _check(said: dict[str, Any]) -> None:
    """Refuse options that do not go together."""
    chosen = [name for name, key in (("--plan", "is_plan"), ("--csv", "file"), ("--archive", "archive")) if said[key]]
    if len(chosen) > 1:
        raise click.UsageError(f"Say one of {', '.join(chosen)}.")
    if said["file"] and not (said["arm"] and said["outcome"]):
        raise click.UsageError("With --csv say which column is what: --arm COL --outcome COL.")
    if not (chosen or said["store"]):
        raise click.UsageError("Say what to report on: --store URL, --archive FOLDER or --csv FILE; or --plan.")
    if (said["baseline"] is None) != (said["effect"] is None) and not said["is_plan"]:
        raise click.UsageError("Say --baseline and --effect together.")
    if said["keep"] and not (said["is_plan"] and said["store"]):
        raise click.UsageError("--keep fixes what --plan says in a store: add --plan and --store.")
    if said["file"] and said["baseline"] is not None:
        raise click.UsageError("With --csv say --planned; nudge lift --plan works it out.")


def _power(said: dict[str, Any]) -> float:
    return POWER if said["power"] is None else float(said["power"])


def _say_plan(said: dict[str, Any], *, as_json: bool, as_csv: bool) -> None:
    from nudge_sdk.insights.lift_words import plan_words
    from nudge_sdk.insights.statistics.power import detectable_effect, plan_experiment

    share = 0.5 if said["share"] is None else said["share"]
    if said["baseline"] is None or (said["effect"] is None) == (said["units"] is None):
        raise click.UsageError("With --plan say --baseline, and either --effect or --units.")
    effect = said["effect"]
    if effect is None:
        effect = detectable_effect(said["baseline"], said["units"], share, power=_power(said))
        if effect is None:
            raise SetupError(f"{said['units']} units are too few to find anything on a baseline of {said['baseline']}")
    plan = plan_experiment(said["baseline"], effect, share, power=_power(said))
    if said["keep"]:
        _keep(plan, said)
    say_report(plan, [plan], [f"{plan_words(plan)}."], as_json=as_json, as_csv=as_csv)


def _keep(plan: Plan, said: dict[str, Any]) -> None:
    from nudge_sdk.insights.lift_plans import KeptPlan, keep_plan
    from nudge_sdk.runtime.recorder import present

    if plan.power != POWER:
        raise click.UsageError("A plan is kept with the usual power of 0.8; leave out --power.")
    with opened_store(said["store"]) as opened:
        keep_plan(opened, KeptPlan(baseline=plan.baseline, effect=plan.effect, at=present(), by=said["by"]))


def _of_store(said: dict[str, Any], at: int) -> tuple[LiftReport, ...]:
    from nudge_sdk.insights.lift import lift_of_nudges
    from nudge_sdk.insights.tables import opened_tables

    definitions, plan = _published(said)
    archive = said["archive"]
    with opened_tables(store=None if archive else said["store"], archive=archive, engine=said["engine"]) as tables:
        reports = lift_of_nudges(
            tables,
            definitions[-1],
            min(at, tables.as_of) if archive else at,
            earlier=definitions[:-1],
            window_days=said["days"],
            plan=plan,
        )
    wanted = set(said["nudge"])
    missing = wanted - {each.key for each in reports if each.kind == "nudge"}
    if missing:
        raise SetupError(f"there is no nudge {', '.join(sorted(missing))} in the definition in force")
    return tuple(each for each in reports if not wanted or (each.kind == "nudge" and each.key in wanted))


def _published(said: dict[str, Any]) -> tuple[Sequence[Definition], Plan | None]:
    """Return what was published, oldest first, and the plan."""
    from nudge_sdk.commands.refreshing import refreshed
    from nudge_sdk.documents import read_definition
    from nudge_sdk.insights.holdouts import published_holdouts
    from nudge_sdk.insights.lift_plans import kept_plan
    from nudge_sdk.insights.statistics.power import plan_experiment

    plan = None
    if said["baseline"] is not None:
        plan = plan_experiment(said["baseline"], said["effect"], power=_power(said))
    if said["definition"]:
        return [read_definition(said["definition"])], plan
    if not said["store"]:
        raise click.UsageError("An archive does not hold the holdouts' shares: say --definition FILE, or --store URL.")
    with opened_store(said["store"]) as opened:
        live = live_catalog(opened).number
        if not said["archive"]:
            refreshed(opened)
        definitions = [each for each in published_holdouts(opened.definitions()) if each.number <= live]
        return definitions, plan or kept_plan(opened).plan()


def _of_file(said: dict[str, Any]) -> tuple[LiftReport, ...]:
    from nudge_sdk.importing.sources import Source
    from nudge_sdk.insights.lift_table import Columns, ExperimentFile, TableDesign, lift_of_table, parse_ratio

    design = TableDesign(
        outcome=said["outcome"],
        control=said["control"],
        ratio=parse_ratio(said["ratio"]) if said["ratio"] else None,
        planned=said["planned"],
        is_randomised=not said["not_randomised"],
    )
    columns = Columns(said["arm"], said["outcome"], said["cluster"], said["unit"])
    with Source(said["file"]) as source:
        table = ExperimentFile(source.stream, columns, source.name)
        rows: list[ExperimentRow] = list(source.watch(table.rows()))
    _tell(table.set_aside)
    if not rows:
        raise ImportFileError(f"nothing in {source.name} could be read")
    return lift_of_table(rows, design)


def _tell(found: SetAside) -> None:
    """Say which rows were set aside, on standard error."""
    for line, reason in found.first[:_NAMED]:
        click.echo(f"line {line} set aside: {reason}", err=True)
    if found.rows > _NAMED:
        click.echo(f"{found.rows:,} rows set aside in all", err=True)


def _say(reports: Sequence[LiftReport], *, as_json: bool, as_csv: bool) -> None:
    from nudge_sdk.insights.lift_reports import row_of

    rows: list[msgspec.Struct] = [row_of(report) for report in reports]
    say_report(reports, rows, _words(reports), as_json=as_json, as_csv=as_csv)


def _words(reports: Sequence[LiftReport]) -> Iterator[str]:
    from nudge_sdk.insights.lift_words import lift_words

    if not reports:
        yield "There are no nudges."
    for number, report in enumerate(reports):
        if number:
            yield ""
        first, *others = lift_words(report)
        yield first
        yield from (f"  {line}" for line in others)
