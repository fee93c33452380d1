"""People: who stands where, and everything that is known of one of them."""

from __future__ import annotations

from typing import Any

import msgspec
from flask import Blueprint, Response, abort, request
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as AnyResponse

from nudge_sdk.rules.compiled import Rules
from nudge_sdk.rules.definition import Segment
from nudge_sdk.rules.explaining import StandingReport
from nudge_sdk.rules.records import Record
from nudge_sdk.rules.state import State, unpack
from nudge_sdk.rules.times import day_of
from nudge_sdk.store.protocol import Exposure, Key

from ..access import for_role
from ..pages import current_client, current_workspace, go, page
from ..people import account_argument, is_personal, lines, name_in, segments_of
from ..pictures import episode_picture, score_picture
from ..places import edit_place
from ..queries import people as queries
from ..queries.people import PAGE, Asked, Cursor, SubjectLine

blueprint = Blueprint("members", __name__, url_prefix="/people")

TIERS = {"qualified": "Warm or hot", "hot": "Hot", "warm": "Warm", "none": "Not yet", "all": "Everybody"}
PHASES = {"": "Any", "prompt": "Prompts", "help": "Help", "rest": "Rest"}
SORTS = {"score": "Highest score", "seen": "Last seen"}
ELSE = "-"
"""What stands in an address for the segment of everybody else."""

MOST_EVENTS = 50
MOST_EXPOSURES = 100
_LONGEST_DATA = 300
CAUSES = {
    "time": "time passed",
    "publication": "a definition was published",
    "import": "history was imported",
    "forgotten": "somebody was forgotten",
}
_KINDS = {
    "identify": "Traits of the person",
    "group": "Traits of the account",
    "left": "Left the account",
    "alias": "Is the same person as",
    "convert": "Met the goal",
    "churn": "Lost the goal",
    "opt_out": "Said no to nudges",
    "opt_in": "Said yes to nudges",
}


@blueprint.get("/")
@for_role("viewer")
def show_all() -> Response:
    """Show a list of people."""
    client, rules = current_client(), live_rules()
    segments, now = segments_of(rules), client.now()
    asked = asked_of(request.args, segments)
    rows = queries.members(asked, segments, now)
    accounts = queries.states_of_accounts({row.account_id for row in rows[:PAGE]})
    return page(
        "members/show_all.html",
        block="results",
        people=lines(rows[:PAGE], rules, now, accounts),
        total=queries.count_matching("member", asked, segments, now),
        following=following(rows, asked),
        **list_context(asked, segments),
    )


@blueprint.get("/person")
@for_role("viewer")
def show() -> AnyResponse:
    """Show everything that is known of one person."""
    client, key = current_client(), (request.args.get("account", ""), request.args.get("user", ""))
    rows = client.store.read_subjects([key, (key[0], "")]) if all(key) else {}
    if key not in rows:
        return _elsewhere(key)
    report = client.standing(key[1], account=account_argument(*key))
    if report is None:
        abort(503, "The standing could not be read. Try again in a moment.")
    state, sources = unpack(rows[key].state), queries.sources_of(key)
    exposures, counts = queries.exposures_of(sources, limit=MOST_EXPOSURES)
    last_day = rows[key].last_day
    events = [] if last_day is None else queries.events_of(sources, last_day, limit=MOST_EVENTS)
    segment = segment_of(live_rules(), report)
    return page(
        "members/show.html",
        account=key[0],
        user=key[1],
        name=name_in(rows[key].state),
        account_name=name_in(rows[key[0], ""].state) if (key[0], "") in rows else "",
        is_personal=is_personal(key[0]),
        report=report,
        score=score_picture(report),
        episode=episode_picture(report, segment, [each.at for each in exposures if each.kind == "offered"]),
        transitions=list(reversed(client.store.transitions(*key))),
        causes=CAUSES,
        exposures=[_exposure(each) for each in exposures],
        counts=counts,
        traits=traits_of(state),
        events=[_event(each) for each in events],
        most_events=MOST_EVENTS,
        most_exposures=MOST_EXPOSURES,
        state=state,
    )


def live_rules() -> Rules:
    """Return the definition in force, ready to judge by."""
    return current_client().decider.catalog().rules


def segment_of(rules: Rules, report: StandingReport) -> Segment:
    """Return the segment of a standing."""
    return next((each for each in segments_of(rules) if each.key == report.segment), rules.segments[-1].segment)


def asked_of(args: MultiDict[str, str], segments: tuple[Segment, ...]) -> Asked:
    """Return what an address asks a list for; what makes no sense in it is left out."""
    segment = "" if args.get("segment") == ELSE else args.get("segment") or None
    return Asked(
        text=args.get("q", "").strip(),
        tier=args.get("tier", "") if args.get("tier") in TIERS else "qualified",
        segment=segment if segment in {each.key for each in segments} else None,
        phase=args.get("phase", "") if args.get("phase") in PHASES else "",
        sort="seen" if args.get("sort") == "seen" else "score",
        after=Cursor.read(args.get("after", "")),
    )


def following(rows: list[SubjectLine], asked: Asked) -> str:
    """Return where the next page begins; empty on the last."""
    if len(rows) <= PAGE:
        return ""
    last = rows[PAGE - 1]
    seen = queries.NEVER if last.last_day is None else last.last_day
    return Cursor(last.score if asked.sort == "score" else seen, last.account_id, last.user_id).packed()


def list_context(asked: Asked, segments: tuple[Segment, ...]) -> dict[str, Any]:
    """Return what the form and the pages of a list need."""
    chosen = ELSE if asked.segment == "" else asked.segment or ""
    named = {each.key or ELSE: each.name or each.key for each in segments}
    kept = {"q": asked.text, "tier": asked.tier, "segment": chosen, "phase": asked.phase, "sort": asked.sort}
    return {
        "asked": asked,
        "kept": {name: value for name, value in kept.items() if value},
        "choices": {"tier": TIERS, "segment": {"": "Any", **named}, "phase": PHASES, "sort": SORTS},
        "most_counted": queries.MOST_COUNTED,
    }


def traits_of(state: State) -> list[dict[str, Any]]:
    """Return the traits with when each was said, by name."""
    known = sorted((name, written) for name, written in state.traits.items() if written[2] is not None)
    return [{"name": name, "value": _told(value), "at": at} for name, (at, _, value) in known]


def _elsewhere(key: Key) -> AnyResponse:
    """Lead to the person this one became, or say that nobody is known by that name."""
    alias = current_client().store.read_alias(key) if all(key) else None
    if alias is not None:
        return go("members.show", account=alias.to_account_id, user=alias.to_user_id)
    return page("members/unknown.html", account=key[0], user=key[1], status=404)


def _exposure(each: Exposure) -> dict[str, Any]:
    known = current_workspace().live_entity("nudge", each.nudge)
    return {
        "told": each,
        "name": (known.name if known else "") or each.nudge.removeprefix("@"),
        "place": edit_place("nudges", each.nudge) if known else "",
    }


def _event(record: Record) -> dict[str, Any]:
    title = record.name if record.kind == "track" else _KINDS.get(record.kind, record.kind)
    if record.kind != "track" and record.name:
        title = f"{title}: {record.name}"
    return {
        "title": title,
        "is_track": record.kind == "track",
        "data": _told(record.data) if record.data else "",
        "at": record.counted_at,
        "is_late": day_of(record.received_at) != day_of(record.counted_at),
        "received_at": record.received_at,
    }


def _told(value: Any) -> str:
    words = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return words if len(words) <= _LONGEST_DATA else f"{words[:_LONGEST_DATA]}…"
