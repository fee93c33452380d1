"""Accounts: which are ready, and everything that is known of one of them."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, request

from nudge_sdk.rules.compiled import Rules, usage_numbers
from nudge_sdk.rules.explaining import StandingReport, explain_standing
from nudge_sdk.rules.standing import UNJUDGED, Judged, decode_standing
from nudge_sdk.rules.state import State, unpack
from nudge_sdk.store.protocol import SubjectRow

from ..access import for_role
from ..pages import current_client, page
from ..people import is_personal, lines, name_in, segments_of
from ..pictures import score_picture
from ..queries import people as queries
from ..queries.people import PAGE, Asked, Cursor
from . import members as people
from .members import following, list_context, live_rules, traits_of

blueprint = Blueprint("accounts", __name__, url_prefix="/accounts")


@blueprint.get("/")
@for_role("viewer")
def show_all() -> Response:
    """Show a list of accounts."""
    client, rules = current_client(), live_rules()
    segments, now = segments_of(rules), client.now()
    asked = people.asked_of(request.args, segments)
    rows = queries.accounts(asked, segments, now)
    return page(
        "accounts/show_all.html",
        block="results",
        accounts=lines(rows[:PAGE], rules, now, {row.account_id: row.state for row in rows[:PAGE]}),
        total=queries.count_matching("account", asked, segments, now),
        following=following(rows, asked),
        **list_context(asked, segments),
    )


@blueprint.get("/account")
@for_role("viewer")
def show() -> Response:
    """Show everything that is known of one account."""
    client, rules, account = current_client(), live_rules(), request.args.get("account", "")
    row = client.store.read_subjects([(account, "")]).get((account, "")) if account else None
    if row is None:
        return page("accounts/unknown.html", account=account, status=404)
    state, segments, now = unpack(row.state), segments_of(rules), client.now()
    report = _report(rules, row, state, now)
    asked = Asked(tier="all", account=account, after=Cursor.read(request.args.get("after", "")))
    rows = queries.members(asked, segments, now)
    return page(
        "accounts/show.html",
        account=account,
        name=name_in(row.state),
        is_personal=is_personal(account),
        report=report,
        score=score_picture(report),
        members=lines(rows[:PAGE], rules, now, {}),
        total=queries.count_matching("member", asked, segments, now),
        most_counted=queries.MOST_COUNTED,
        following=following(rows, asked),
        asked=asked,
        usages=_usages(rules, state),
        transitions=list(reversed(client.store.transitions(account, ""))),
        causes=people.CAUSES,
        traits=traits_of(state),
        goals=[(goal, state.goals[goal.key][0]) for goal in rules.goals if state.is_met(goal.key)],
        state=state,
    )


def _report(rules: Rules, row: SubjectRow, state: State, now: int) -> StandingReport:
    if is_personal(row.account_id):
        # The client takes no personal account by its name: that prefix is ours.
        standing = decode_standing(row.standing) if row.standing else UNJUDGED
        subject = Judged("", state, state, row.account_id)
        return explain_standing(rules, subject, standing, now, account_id=row.account_id)
    report = current_client().standing(account=row.account_id)
    if report is None:
        abort(503, "The standing could not be read. Try again in a moment.")
    return report


def _usages(rules: Rules, state: State) -> list[dict[str, Any]]:
    """Return the limits of the plan that milestones look at, with how much of each is used."""
    facts = Judged("", state, state).facts
    wanted = [milestone.usage for milestone in rules.definition.milestones if milestone.usage]
    found = {(usage.value, usage.limit): usage_numbers(usage, facts) for usage in wanted}
    return [{"name": name, "used": used[0], "limit": used[1]} for (name, _), used in found.items() if used]
