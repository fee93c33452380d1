"""``nudge export`` and ``replay``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, cast

import click

from nudge_sdk.commands.opening import live_catalog, opened_store
from nudge_sdk.commands.options import account_option, at_option, json_option, say_json, store_option
from nudge_sdk.errors import SetupError

if TYPE_CHECKING:
    from nudge_sdk.exporting import Dump
    from nudge_sdk.rules.definition import Definition
    from nudge_sdk.rules.identity import Key
    from nudge_sdk.rules.replay import Course
    from nudge_sdk.store.protocol import Store

_OUTPUT = click.option(
    "--output", "-o", type=click.Path(dir_okay=False), help="Write to this file instead of standard output."
)
_SHA256 = click.option("--sha256", is_flag=True, help="Print only the SHA-256 of the lines.")


@click.command()
@store_option
@click.option("--definition", "what", flag_value="definition", help="Export the definition in force, as YAML.")
@click.option(
    "--states",
    "what",
    flag_value="states",
    help="Export what is known and concluded of everybody, a line of JSON each.",
)
@at_option("With --states, when to judge")
@_SHA256
@_OUTPUT
def export(store: str, what: str | None, at: int, sha256: bool, output: str | None) -> None:
    """Export the definition in force, or the canonical dump of everybody's state.

    The dump holds each account and member with state, score and fit (in thousandths of a point), tier
    and segment, by account and user. It depends on the events and the definition alone: however the
    same events came in, its SHA-256 is the same, and the same as that of nudge replay --all.

    \b
    Examples:
      nudge export --definition > definition.yaml
      nudge export --states --at 2026-03-01T00:00:00Z --sha256
    """
    from nudge_sdk.exporting import Dump, stored_states

    if what is None:
        raise click.UsageError("Say --definition or --states.")
    with opened_store(store) as opened:
        catalog = live_catalog(opened)
        if what == "states":
            _check_counted(opened, catalog.rules.signals)
            _write_dump(Dump(stored_states(opened), catalog.rules, at), sha256=sha256, output=output)
            return
    from nudge_sdk.documents import to_yaml

    with _written(output) as out:
        out.write(to_yaml(_unnumbered(catalog.rules.definition)).encode())


@click.command()
@store_option
@click.option(
    "--all",
    "everybody",
    is_flag=True,
    help="Count everybody anew: the dump of nudge export --states, from the events alone.",
)
@click.option("--user", metavar="ID", help="The user whose course to replay.")
@account_option
@at_option("Up to when to replay; with --all, when to judge")
@_SHA256
@_OUTPUT
@json_option
def replay(store: str, everybody: bool, at: int, sha256: bool, as_json: bool, **said: Any) -> None:
    """Work out from the stored events alone where somebody stood, step by step.

    For one member, or without --user for an account: every change of tier, every episode, and the
    standing in the end, as the rules read plainly. Where old events were dropped, it begins with what
    is kept of them. With --all: the canonical dump of everybody, to
    compare with what is stored; the same SHA-256 means that nothing was lost or counted twice.

    \b
    Examples:
      nudge replay --account acme --user ada --at 2026-03-01T00:00:00Z --json
      nudge replay --all --at 2026-03-01T00:00:00Z --sha256
    """
    from nudge_sdk.exporting import Dump, dropped_from, recounted_states

    account, user = said["account"], said["user"]
    if everybody is (account is not None or user is not None):
        raise click.UsageError("Say --all, or whose course with --user, --account or both.")
    with opened_store(store) as opened:
        if everybody:
            rules = live_catalog(opened).rules
            dump = Dump(recounted_states(opened.records, rules.plan, dropped_from(opened)), rules, at)
            _write_dump(dump, sha256=sha256, output=said["output"])
            return
        key, course = _course(opened, account, user, at)
    document = _course_document(key, course)
    if as_json:
        say_json(document)
    else:
        _say_course(document)


def _check_counted(store: Store, signals: int) -> None:
    behind = store.count_outdated(signals)
    if behind:
        raise SetupError(
            f"{behind} members and accounts are not counted by the definition in force yet; run: nudge worker --once"
        )


def _write_dump(dump: Dump, *, sha256: bool, output: str | None) -> None:
    if sha256:
        digest = dump.sha256()
        with _written(output) as out:
            out.write(f"{digest}\n".encode())
        return
    with _written(output) as out:
        for line in dump.lines():
            out.write(line)
    for name, tiers in (("members", dump.tiers.members), ("accounts", dump.tiers.accounts)):
        counts = ", ".join(f"{tiers[tier]} {tier}" for tier in ("hot", "warm", "none"))
        click.echo(f"{name}: {tiers.total()} ({counts})", err=True)


@contextmanager
def _written(output: str | None) -> Iterator[IO[bytes]]:
    if output is None:
        yield sys.stdout.buffer
        return
    with open(output, "wb") as file:
        yield cast("IO[bytes]", file)


def _unnumbered(definition: Definition) -> Definition:
    import msgspec

    nudges = tuple(msgspec.structs.replace(nudge, published_in=0) for nudge in definition.nudges)
    return msgspec.structs.replace(definition, number=0, nudges=nudges)


def _course(store: Store, account: str | None, user: str | None, at: int) -> tuple[Key, Course]:
    from nudge_sdk.exporting import dropped_from, moves_in, records_for
    from nudge_sdk.rules.records import personal_account
    from nudge_sdk.rules.replay import Start
    from nudge_sdk.rules.replay import replay as run
    from nudge_sdk.rules.times import DAY

    dropped = dropped_from(store)
    aliases = moves_in(store.records(), dropped.moves)
    asked = (account if account is not None else personal_account(user or ""), user or "")
    key = aliases.resolve(asked) if user else asked
    bases = tuple(base for base in dropped.bases if key[0] in (base.account_id, aliases.resolve(base.key)[0]))
    records = records_for(store.records(), aliases, key[0])
    start = Start(bases, dropped.moves, dropped.first_day * DAY) if dropped.first_day is not None else None
    courses = run(live_catalog(store).timeline, records, until=at, start=start)
    if key not in courses:
        raise SetupError(f"nothing is stored of {' in '.join(filter(None, (user, key[0])))} up to then")
    return key, courses[key]


def _course_document(key: Key, course: Course) -> dict[str, Any]:
    import msgspec

    from nudge_sdk.rules.times import to_iso

    standing = msgspec.structs.asdict(course.standing)
    episode = standing.pop("episode")
    for name in ("at", "next_change", "risen_at"):
        standing[name] = _iso_or_none(standing[name])
    standing["reached"] = {name: to_iso(at) for name, at in sorted(standing["reached"].items())}
    return {
        "account": key[0],
        "user": key[1],
        "standing": {**standing, "episode": _episode_document(episode) if episode else None},
        "transitions": [
            {"at": to_iso(at), "cause": cause, "from": before, "to": after}
            for at, cause, before, after in course.transitions
        ],
        "episodes": [_episode_document(each) for each in course.episodes],
    }


def _episode_document(episode: Any) -> dict[str, Any]:
    import msgspec

    document = msgspec.structs.asdict(episode)
    return {**document, **{name: _iso_or_none(document[name]) for name in ("started_at", "ended_at")}}


def _iso_or_none(at: int | None) -> str | None:
    from nudge_sdk.rules.times import FOREVER, to_iso

    return None if not at or at >= FOREVER else to_iso(at)


def _say_course(document: dict[str, Any]) -> None:
    standing = document["standing"]
    who = f"{document['user']} in {document['account']}" if document["user"] else str(document["account"])
    click.echo(f"{who}: {standing['tier']}, score {standing['score'] / 1000:g}, fit {standing['fit'] / 1000:g}")
    for change in document["transitions"]:
        click.echo(f"  {change['at']}: {change['from']} to {change['to']} ({change['cause']})")
    for episode in document["episodes"]:
        ended = f", ended {episode['ended_at']} ({episode['end_reason']})" if episode["ended_at"] else ""
        click.echo(f"  episode from {episode['started_at']}: {episode['tier']}, for {episode['goal']}{ended}")
