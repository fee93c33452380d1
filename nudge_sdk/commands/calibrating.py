"""``nudge calibrate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from nudge_sdk.commands.options import at_option
from nudge_sdk.commands.output import output_options, say_report
from nudge_sdk.errors import SetupError

if TYPE_CHECKING:
    from nudge_sdk.insights.calibration_reports import CalibrationReport, Settings
    from nudge_sdk.insights.drift_reports import DriftReport
    from nudge_sdk.insights.movement import Movement
    from nudge_sdk.insights.observations import Observations
    from nudge_sdk.insights.observations_file import SetAside
    from nudge_sdk.rules.compiled import Rules

_NAMED = 3


class Calibrated(msgspec.Struct, frozen=True, kw_only=True):
    """What the command reports.

    Attributes:
        calibration: What the points should be.
        drift: Of a store: whether the definition still does what it did.
        movement: Of a store: who would enter and leave each tier with the proposed points.
        set_aside: Of a file: its rows that could not be read.
    """

    calibration: CalibrationReport
    drift: DriftReport | None = None
    movement: Movement | None = None
    set_aside: SetAside | None = None


@click.command()
@click.option("--store", envvar="NUDGE_STORE", metavar="URL", show_envvar=True, help="The store to calibrate from.")
@click.option(
    "--archive",
    type=click.Path(file_okay=False, path_type=Path),
    help="Calibrate from this folder, which nudge archive wrote, instead of a store.",
)
@click.option("--engine", type=click.Choice(["duckdb", "spark"]), help="With --archive: what reads its tables.")
@click.option(
    "--definition",
    type=click.Path(exists=True, dir_okay=False),
    help="With --archive: whose milestones to calibrate; an archive holds no definition.",
)
@click.option("--csv", "file", metavar="FILE", help="Calibrate from a table of one row each ('-': standard input).")
@click.option("--label", metavar="COL", help="With --csv: the column of whether it paid: 1 or 0.")
@click.option("--features", metavar="A,B,C", default="", help="With --csv: the columns of the features.")
@click.option("--time", metavar="COL", default="", help="With --csv: the instant before which features must be known.")
@click.option("--known-at", multiple=True, metavar="A=COL", help="With --csv: when a feature was known; several times.")
@click.option("--split", metavar="COL", default="", help="With --csv: train or test, instead of older and newer times.")
@click.option("--cluster", metavar="COL", default="", help="With --csv: what rows belong to, such as an account.")
@click.option(
    "--penalty",
    type=click.Choice(["none", "ridge", "firth"]),
    default="firth",
    show_default=True,
    help="Of the logistic regression.",
)
@click.option("--strength", type=click.FloatRange(min=0, min_open=True), help="Of ridge; by cross-validation else.")
@click.option(
    "--nudged",
    type=click.Choice(["exclude", "adjust"]),
    default="exclude",
    show_default=True,
    help="Leave out those who were offered a nudge, or tell them apart by a feature of its own.",
)
@click.option(
    "--test-share",
    type=click.FloatRange(0, 0.9),
    default=0.25,
    show_default=True,
    help="The share of newest sign-ups to test on.",
)
@click.option("--first-days", type=click.IntRange(1, 365), default=14, show_default=True, help="How long to observe.")
@click.option("--days", type=click.IntRange(1, 365), default=30, show_default=True, help="How soon after it to pay.")
@at_option("As of when")
@output_options(csv_flag="--as-csv")
def calibrate(at: int, as_json: bool, as_csv: bool, **said: Any) -> None:
    """Propose points for milestones, from who paid.

    A logistic regression of who paid within --days after the observation, on what they had reached in
    their --first-days. Those who paid before are left out; the model is tested on newer sign-ups than it
    was made of. Features that were known only at or after the observation are said to be leaky and are
    left out, as are those that carry no information. Points are proposed only if there are conversions
    enough; nothing is published: a person accepts them.

    From a store it also says who would enter and leave each tier with the proposed points, whether the
    newest quarter or release of the host differs from what was before, and when to look again.

    With --csv from any table of one row each. Times are ISO 8601 with an offset, or plain numbers.

    \b
    Examples:
      nudge calibrate --store sqlite:///nudge.db
      nudge calibrate --penalty ridge --nudged adjust --json
      nudge calibrate --archive /var/lib/shop/archive --definition definition.yaml
      nudge calibrate --csv trial.csv --label paid --features invited,exports --penalty none
      nudge calibrate --csv trial.csv --label paid --features invited --time day14 --known-at invited=invited_at
    """
    from nudge_sdk.insights.calibration_words import calibration_words, drift_words, weight_rows
    from nudge_sdk.insights.needs import check_statistics

    _check(said)
    check_statistics("sklearn", "firthmodels")
    found = _of_file(said) if said["file"] else _of_archive(said, at) if said["archive"] else _of_store(said, at)
    words = calibration_words(found.calibration)
    words += _movement_words(found.movement) if found.movement else []
    words += drift_words(found.drift) if found.drift else []
    say_report(found, weight_rows(found.calibration), words, as_json=as_json, as_csv=as_csv)


def _check(said: dict[str, Any]) -> None:
    if not (said["file"] or said["store"] or said["archive"]):
        raise click.UsageError("Say what to calibrate from: --store URL, --archive FOLDER, or --csv FILE.")
    if said["archive"] and not said["definition"]:
        raise click.UsageError("An archive holds no definition: say whose milestones, --definition FILE.")
    if said["file"] and not (said["label"] and _names(said)):
        raise click.UsageError("With --csv say which column is what: --label COL --features A,B,C.")
    if said["known_at"] and not said["time"]:
        raise click.UsageError("--known-at compares with the observation: say its column too, --time COL.")
    if said["strength"] is not None and said["penalty"] != "ridge":
        raise click.UsageError("--strength is of ridge: add --penalty ridge.")


def _names(said: dict[str, Any]) -> tuple[str, ...]:
    return tuple(name for each in said["features"].split(",") if (name := each.strip()))


def _settings(said: dict[str, Any]) -> Settings:
    from nudge_sdk.insights.calibration_reports import Settings

    return Settings(
        penalty=said["penalty"], strength=said["strength"], nudged=said["nudged"], test_share=said["test_share"]
    )


def _of_file(said: dict[str, Any]) -> Calibrated:
    from nudge_sdk.insights.calibration import calibrate as run

    observations, aside = _read(said)
    if aside.rows:
        for line, reason in aside.first[:_NAMED]:
            click.echo(f"Warning: line {line} {reason}; it is set aside", err=True)
        if aside.rows > _NAMED:
            click.echo(f"Warning: {aside.rows} rows were set aside in all", err=True)
    return Calibrated(calibration=run(observations, _settings(said)), set_aside=aside)


def _read(said: dict[str, Any]) -> tuple[Observations, SetAside]:
    from nudge_sdk.insights.observations_file import Columns, read_observations

    pairs = [each.partition("=") for each in said["known_at"]]
    if not all(feature and column for feature, _, column in pairs):
        raise click.UsageError("Write --known-at FEATURE=COLUMN.")
    columns = Columns(
        label=said["label"],
        features=_names(said),
        time=said["time"],
        known_at={feature.strip(): column.strip() for feature, _, column in pairs},
        split=said["split"],
        cluster=said["cluster"],
    )
    with click.open_file(said["file"], "rb") as stream:
        return read_observations(stream, columns, said["file"])


def _of_store(said: dict[str, Any], at: int) -> Calibrated:
    from nudge_sdk.commands.opening import live_catalog, opened_store
    from nudge_sdk.commands.reports import tables_of
    from nudge_sdk.insights.calibration import calibrate as run
    from nudge_sdk.insights.calibration import with_points
    from nudge_sdk.insights.drift import drift, points_changed_at
    from nudge_sdk.insights.features import Asked, observe, points_of
    from nudge_sdk.insights.movement import movement
    from nudge_sdk.rules.compiled import Rules

    with tables_of(said["store"], None, None) as tables, opened_store(said["store"]) as store:
        rules = live_catalog(store).rules
        _check_features(rules)
        observations = observe(store, tables, rules, Asked(at, said["first_days"], said["days"]))
        points = points_of(rules)
        report = run(observations, _settings(said), points)
        published = store.definitions()
        changes = drift(
            observations,
            points,
            now=at,
            published_at=published[-1].published_at,
            calibrated_at=points_changed_at(published),
        )
        moved = None
        if report.points:
            moved = movement(store, rules, Rules(with_points(rules.definition, report.points)), at)
    return Calibrated(calibration=report, drift=changes, movement=moved)


def _of_archive(said: dict[str, Any], at: int) -> Calibrated:
    from nudge_sdk.commands.reports import tables_of
    from nudge_sdk.documents import read_definition
    from nudge_sdk.insights.archived_records import opened_archived_records
    from nudge_sdk.insights.calibration import calibrate as run
    from nudge_sdk.insights.features import Asked, observe, points_of
    from nudge_sdk.rules.compiled import Rules

    rules = Rules(read_definition(said["definition"]))
    _check_features(rules)
    archive = said["archive"]
    with tables_of(None, archive, said["engine"]) as tables, opened_archived_records(archive, rules) as records:
        observations = observe(records, tables, rules, Asked(at, said["first_days"], said["days"]))
    return Calibrated(calibration=run(observations, _settings(said), points_of(rules)))


def _check_features(rules: Rules) -> None:
    from nudge_sdk.insights.features import features_of

    if not features_of(rules):
        raise SetupError("no milestone of members counts events, so there are no points to calibrate")


def _movement_words(found: Movement) -> list[str]:
    of = f"Of {found.judged:,} members and accounts (a sample), " if found.is_sample else ""
    changed = [each for each in found.tiers if each.entering or each.leaving]
    if not changed:
        return [f"{of or ''}nobody would enter or leave a tier with the proposed points.".capitalize()]
    return [
        f"{of}{each.entering:,} {each.subject}s would become {each.tier}, {each.leaving:,} would no longer be, "
        f"with the proposed points ({each.before:,} now)."
        for each in changed
    ]
