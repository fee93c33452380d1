"""What they see: what one person would be shown at a place and a time, and why not the rest. Nothing is spent."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import msgspec
from flask import Blueprint, Response, abort, request, url_for
from markupsafe import Markup
from wtforms import Form, RadioField, SelectField, StringField, ValidationError
from wtforms.validators import DataRequired, Length

from nudge_sdk.answers import report_of
from nudge_sdk.errors import RecordError, StoreError
from nudge_sdk.hosts.labels import labels_for
from nudge_sdk.hosts.rendering import Form as RenderedForm
from nudge_sdk.hosts.rendering import render
from nudge_sdk.insights.movement import uncounted
from nudge_sdk.rules.authoring import fingerprint, to_plain
from nudge_sdk.rules.explaining import ChoiceLine, StandingReport, explain_choice
from nudge_sdk.rules.records import personal_account
from nudge_sdk.rules.times import DAY, MINUTE, day_of, to_iso, to_micros
from nudge_sdk.runtime.catalog import Catalog
from nudge_sdk.runtime.checking import check_instant
from nudge_sdk.runtime.deciding import Decision, Question
from nudge_sdk.store.protocol import DefinitionRow, Key

from ..access import for_role
from ..forms import options
from ..nudge_editor.preview import inert
from ..pages import current_client, current_workspace, page
from ..places import edit_place
from ..queries import people as queries
from ..workspace import Workspace

blueprint = Blueprint("seen", __name__, url_prefix="/what-they-see")

MOST_AHEAD = 366
"""Days; every one until then is stepped through."""

_STALE = 5 * MINUTE
_LONGEST = 300


class SeenForm(Form):
    """Who, where and when."""

    user = StringField("User", [DataRequired("Say who."), Length(max=_LONGEST)], render_kw={"list": "users"})
    account = StringField(
        "Account", [Length(max=_LONGEST)], description="Empty for a user without one.", render_kw={"list": "accounts"}
    )
    placement = StringField(
        "Placement", [DataRequired("Say where."), Length(max=_LONGEST)], render_kw={"list": "placements"}
    )
    at = StringField(
        "Date and time", description="In UTC. Now, if you leave it empty.", render_kw={"type": "datetime-local"}
    )
    locale = StringField("Language", [Length(max=35)], description="Such as de or pt-BR.")
    page = StringField("Page", [Length(max=_LONGEST)], description="As the product names it, for triggers by page.")
    purchase = SelectField(
        "May they buy?", [DataRequired()], choices=options([("yes", "Yes"), ("no", "No")]), default="yes"
    )
    rules = RadioField(
        "By which rules?",
        [DataRequired()],
        choices=options([("live", "What is live"), ("drafts", "With the drafts")]),
        default="live",
    )

    instant: int | None = None

    def validate_at(self, field: StringField) -> None:
        """Read the instant."""
        text = (field.data or "").strip()
        if not text:
            return
        try:
            moment = datetime.fromisoformat(text)
            self.instant = check_instant(moment if moment.tzinfo else moment.replace(tzinfo=UTC), "at")
        except (ValueError, RecordError):
            raise ValidationError("Write a date and a time, such as 2026-05-12 09:30.") from None
        if self.instant > current_client().now() + MOST_AHEAD * DAY:
            raise ValidationError(f"Ask for at most {MOST_AHEAD} days ahead.")


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it.

    Attributes:
        html: The nudge as the product shows it; empty where there is none.
        at: The instant asked about.
        is_earlier: Whether it lies in the past, so that what was offered since is known too.
        days: Days of the episode that may be asked about next: words and address.
        uncounted: Keys of milestones in the drafts that count something new; nobody has reached them yet.
    """

    decision: Decision
    standing: StandingReport
    candidates: tuple[ChoiceLine, ...]
    html: Markup
    at: int
    is_earlier: bool
    days: tuple[tuple[str, str], ...]
    uncounted: tuple[str, ...]


@blueprint.get("/")
@for_role("viewer")
def ask() -> Response:
    """Show what one person would see."""
    workspace = current_workspace()
    form = _form(workspace)
    is_asked = bool(request.args.get("user"))
    is_valid = is_asked and form.validate()
    key = _key(form) if is_valid else None
    is_known = key is not None and _is_known(key)
    answer = _answer(form, workspace, key) if key is not None and is_known else None
    return page(
        "seen/ask.html",
        form=form,
        answer=answer,
        unknown=key if not is_known else None,
        placements=_placements(workspace),
        people=queries.likely_people(),
        places={each.key: edit_place("nudges", each.key) for each in workspace.live.nudges},
        account=key[0] if key else "",
        status=422 if is_asked and not is_valid else 404 if key and not is_known else 200,
    )


def _form(workspace: Workspace) -> SeenForm:
    """Return the form as the address fills it; what it does not say is as usual."""
    usual = {"placement": next(iter(_placements(workspace)), ""), "purchase": "yes", "rules": "live"}
    return SeenForm(data={**usual, **{name: value for name, value in request.args.items() if value}})


def _placements(workspace: Workspace) -> list[str]:
    """Return all placements, those with most nudges first."""
    counts = Counter(each.placement for each in (*workspace.live.nudges, *workspace.definition.nudges))
    return [placement for placement, _ in counts.most_common()]


def _key(form: SeenForm) -> Key:
    user, account = str(form.user.data), str(form.account.data or "")
    return current_client().profiles.resolve((account or personal_account(user), user))


def _is_known(key: Key) -> bool:
    return key in current_client().store.read_subjects([key])


def _answer(form: SeenForm, workspace: Workspace, key: Key) -> Answer:
    client = current_client()
    now = client.now()
    at = now if form.instant is None else form.instant
    catalog = client.decider.catalog() if form.rules.data == "live" else _drafted(workspace, now)
    question = Question(
        placement=str(form.placement.data),
        key=key,
        context={"page": form.page.data} if form.page.data else {},
        locale=form.locale.data or "",
        can_purchase=form.purchase.data == "yes",
    )
    try:
        decision, view, chosen = client.decider.preview(question, at, catalog)
        facts = view.member.facts.asked(at, question.context, question.locale, can_purchase=question.can_purchase)
        lines = explain_choice(chosen, catalog.placements, question.placement, person=view.person, facts=facts)
    except StoreError as error:
        abort(503, f"The store does not answer: {error}")
    report = report_of(view, is_account=False)
    return Answer(
        decision=decision,
        standing=report,
        candidates=tuple(sorted(lines, key=lambda line: not line.is_shown)),
        html=_html(decision),
        at=at,
        is_earlier=at < now - _STALE,
        days=_days(report, catalog, now),
        uncounted=uncounted(client.store, catalog.rules) if form.rules.data == "drafts" else (),
    )


def _drafted(workspace: Workspace, now: int) -> Catalog:
    """Return the published definitions, and as the newest one the drafts; nothing is counted anew for them."""
    rows = current_client().store.definitions()
    number = rows[-1].number + 1 if rows else 1
    document = msgspec.json.encode(to_plain(workspace.definition))
    signals = rows[-1].signals if rows else 0
    row = DefinitionRow(number, document, fingerprint(workspace.definition), now, "", "", signals, now)
    return Catalog([*rows, row], current_client().intake.capacity)


def _html(decision: Decision) -> Markup:
    if decision.nudge is None:
        return Markup()
    form = RenderedForm(action="", fields={}, labels=labels_for(decision.nudge.locale), is_preview=True)
    return inert(render(decision.nudge, form))


def _days(report: StandingReport, catalog: Catalog, now: int) -> tuple[tuple[str, str], ...]:
    """Return when to look next: the turns of the episode that lie ahead, or some days from now without one."""
    if report.episode is None or not report.phase:
        return tuple((words, _at(now + days * DAY)) for words, days in (("Tomorrow", 1), ("In a week", 7)))
    segment = next(each.segment for each in catalog.rules.segments if each.segment.key == report.segment)
    first = to_micros(report.episode.started_at)
    free = segment.episode_days + segment.rest_days
    turns = {
        "Help begins": segment.help_after_days,
        "The day after": segment.help_after_days + 1,
        "Last day": segment.episode_days - 1,
        "Rest begins": segment.episode_days,
        "Rest is over": free,
    }
    ahead = {f"{words} (day {day})": first + day * DAY for words, day in turns.items()}
    return tuple((words, _at(at)) for words, at in ahead.items() if day_of(at) > day_of(now))


def _at(at: int) -> str:
    kept: dict[str, Any] = {name: value for name, value in request.args.items() if name != "at"}
    return url_for("seen.ask", **kept, at=to_iso(at)[:16])
