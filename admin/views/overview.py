"""The overview: where things stand, at a glance, and what needs attention."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response

from nudge_sdk.commands.health import Check, examine
from nudge_sdk.insights.drift import points_changed_at, reminders
from nudge_sdk.insights.drift_reports import Reminder
from nudge_sdk.rules.compiled import Rules
from nudge_sdk.rules.explaining import explain_standing
from nudge_sdk.rules.standing import UNJUDGED, Judged, decode_standing
from nudge_sdk.rules.state import unpack
from nudge_sdk.rules.times import DAY, day_of

from ..access import for_role
from ..pages import current_client, current_workspace, page
from ..people import segments_of
from ..pictures import bars, shares
from ..proof.calibration import reminder_words
from ..queries import people as queries
from ..queries.people import Asked, SubjectLine
from .members import live_rules

blueprint = Blueprint("overview", __name__)

DAYS = 28
WEEK = 7
MOST_HOT = 10


@blueprint.get("/")
@for_role("viewer")
def show() -> Response:
    """Show where things stand."""
    # Reading what is live makes the tables of a new store.
    has_definition = bool(current_workspace().number)
    counts = queries.tier_counts()
    if not has_definition or not counts.get(("member", "")):
        return page("overview/first_steps.html", has_definition=has_definition)
    client, rules = current_client(), live_rules()
    now = client.now()
    since = (day_of(now) - DAYS + 1) * DAY
    began, met = queries.episodes_since(since, longest_days=max(each.episode_days for each in segments_of(rules)))
    return page(
        "overview/show.html",
        tiers=[_tiers(counts, subject) for subject in ("member", "account")],
        qualified=_qualified(now, queries.newly_qualified(since)),
        done=_done(rules, queries.exposures_since(since)),
        began=began,
        met=[(goal, met.get(goal.key, 0)) for goal in rules.goals],
        hot=_hot(rules, now),
        latest=queries.latest_event(),
        publication=queries.latest_publication(),
        set_aside=queries.count_set_aside(),
        reminders=[words for is_due, words in reminder_words(_reminders(now)) if is_due],
        now=now,
        days=DAYS,
    )


@blueprint.get("/data")
@for_role("viewer")
def data() -> Response:
    """Look whether all is well with the store and the journals, as ``nudge doctor`` does."""
    client = current_client()
    folder = client.drainer.folder if client.drainer is not None else None
    checks: list[Check] = examine(client.store, folder)
    return page("overview/data.html", block="checks", checks=[each for each in checks if each.name != "store"])


def _reminders(now: int) -> tuple[Reminder, ...]:
    rows = current_client().intake.current().rows
    return reminders(now, rows[-1].published_at if rows else None, points_changed_at(rows))


def _tiers(counts: dict[tuple[str, str], int], subject: str) -> dict[str, Any]:
    warm, hot = counts.get((subject, "warm"), 0), counts.get((subject, "hot"), 0)
    parts = {"hot": hot, "warm": warm, "none": counts.get((subject, ""), 0) - warm - hot}
    return {"subject": subject, "parts": shares(parts), "all": sum(parts.values()), "qualified": warm + hot}


def _qualified(now: int, found: dict[int, int]) -> dict[str, Any]:
    days = range(day_of(now) - DAYS + 1, day_of(now) + 1)
    return {
        "bars": bars(found, days),
        "highest": max(found.values(), default=0),
        "week": sum(found.get(day, 0) for day in days[-WEEK:]),
        "all": sum(found.get(day, 0) for day in days),
    }


def _done(rules: Rules, found: list[tuple[str, str, int, int]]) -> dict[str, dict[str, int]]:
    """Return how often each thing was done with prompts, and with help; the host's own claims are neither."""
    modes = {nudge.key: nudge.mode for nudge in rules.definition.nudges}
    done: dict[str, dict[str, int]] = {"prompt": {}, "help": {}}
    for nudge, kind, number, _ in found:
        if not nudge.startswith("@"):
            kinds = done[modes.get(nudge, "prompt")]
            kinds[kind] = kinds.get(kind, 0) + number
    return done


def _hot(rules: Rules, now: int) -> list[dict[str, Any]]:
    rows = queries.accounts(Asked(tier="hot"), segments_of(rules), now)
    return [_hot_line(rules, row, now) for row in rows[:MOST_HOT]]


def _hot_line(rules: Rules, row: SubjectLine, now: int) -> dict[str, Any]:
    state = unpack(row.state)
    standing = decode_standing(row.standing) if row.standing else UNJUDGED
    report = explain_standing(rules, Judged("", state, state, row.account_id), standing, now)
    name = state.plain_traits().get("name")
    return {"line": row, "name": name if isinstance(name, str) else "", "why": report.why_now}
