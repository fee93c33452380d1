"""What-if: what other thresholds of a segment would have come to, with what is typed and with what is live."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, current_app, request
from werkzeug.datastructures import MultiDict

from nudge_sdk.insights.whatif import Where, threshold_curve, what_if
from nudge_sdk.rules.compiled import Rules
from nudge_sdk.rules.definition import Definition, Segment, Subject, Tier
from nudge_sdk.rules.lint_findings import name_of

from ..access import for_role
from ..editing import with_document
from ..pages import current_client, current_workspace, page
from ..peaks import KeptPeaks
from ..proof.whatif import NAMES, answer_of, quality_chart, rate_words, volume_chart
from .segment_form import document_from, form_for

blueprint = Blueprint("what_if", __name__, url_prefix="/segments")

EXTENSION = "nudge_kept_peaks"
_TIERS: dict[str, tuple[Subject, Tier]] = {f"{subject}_{tier}": (subject, tier) for subject, tier in NAMES}
_IRRELEVANT = {"name", "key", "notes"}
_FIRST = ("account_hot", "member_warm", "account_warm", "member_hot")
_NEEDED = "This takes more packages than the admin does; install them where it runs: pip install 'nudge-sdk[insights]'"


@blueprint.get("/<key>/what-if/")
@for_role("viewer")
def show(key: str) -> Response:
    """Show what each threshold would have come to, with the segment as it stands in the draft."""
    if current_workspace().entity("segment", key) is None:
        abort(404, f"There is no segment {key}.")
    return _page(key, current_workspace().definition, request.args)


@blueprint.post("/<key>/what-if/")
@for_role("editor")
def look(key: str) -> Response:
    """Show the same with what is typed; nothing is saved."""
    workspace = current_workspace()
    plain = workspace.stands("segment", key)
    if workspace.entity("segment", key) is None or plain is None:
        abort(404, f"There is no segment {key}.")
    form = form_for(workspace.definition, request.form, plain)
    trial = with_document(workspace, "segment", key, {**document_from(form, plain), "key": key})
    form.validate()
    if form.errors.keys() - _IRRELEVANT or trial.problems_of("segment", key):
        return _shown(key, {"problem": "What is typed has problems; mend them, and this follows."})
    return _page(key, trial.definition, request.form)


def _page(key: str, definition: Definition, asked: MultiDict[str, str]) -> Response:
    try:
        context = _context(key, definition, asked)
    except ImportError:
        context = {"problem": _NEEDED}
    return _shown(key, context)


def _shown(key: str, context: dict[str, Any]) -> Response:
    return page("segments/what_if.html", block="results", key=key, is_part=request.method == "POST", **context)


def _context(key: str, definition: Definition, asked: MultiDict[str, str]) -> dict[str, Any]:
    client, live = current_client(), current_workspace().live
    segment = next(each for each in definition.segments if each.key == key)
    chosen = asked.get("tier", "")
    if chosen not in _TIERS:
        chosen = next((each for each in _FIRST if _has_entry(segment, each)), _FIRST[0])
    subject, tier = _TIERS[chosen]
    where: Where = (key, subject, tier)
    rules, now = (Rules(live), Rules(definition)), client.now()
    before, after = (_kept().of(client.store, each, now) for each in rules)
    curve = threshold_curve(after, rules[1], where)
    return {
        "problem": "",
        "name": name_of(segment),
        "tiers": {each: NAMES[pair] for each, pair in _TIERS.items()},
        "chosen": chosen,
        "curve": curve,
        "answer": answer_of(curve),
        "volume": volume_chart(curve),
        "quality": quality_chart(curve),
        "rate_words": rate_words,
        "compared": what_if(before, after, rules) if live.segments else None,
        "is_changed": _judging(live) != _judging(definition),
    }


def _judging(definition: Definition) -> tuple[Any, ...]:
    """Return what of a definition decides who qualifies."""
    return (definition.milestones, definition.groups, definition.segments)


def _has_entry(segment: Segment, field: str) -> bool:
    subject, tier = _TIERS[field]
    return getattr(getattr(segment, subject), tier) is not None


def _kept() -> KeptPeaks:
    kept: KeptPeaks = current_app.extensions.setdefault(EXTENSION, KeptPeaks())
    return kept
