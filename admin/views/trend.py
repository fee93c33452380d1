"""The trend: new PQLs and PQAs a week, with what was published and released when."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, current_app

from nudge_sdk.insights import trend as insights
from nudge_sdk.insights.tables import Tables
from nudge_sdk.rules.times import DAY

from ..access import for_role
from ..pages import current_client
from ..proof.reading import choice, report_page, segment_choice, source_choice
from ..proof.releases import KeptReleases
from ..proof.trend import answer_of, chart_of, in_week, rows_of

blueprint = Blueprint("trend", __name__, url_prefix="/trend")

EXTENSION = "nudge_kept_releases"
_WEEKS = {"12": "12 weeks", "26": "26 weeks", "52": "a year"}


@blueprint.get("/")
@for_role("viewer")
def show() -> Response:
    """Show how many qualify for the first time, week by week."""
    return report_page("trend/show.html", _context)


def _context(tables: Tables) -> dict[str, Any]:
    client = current_client()
    weeks, segment, source = choice("weeks", "Time", _WEEKS, default="26"), segment_choice(), source_choice(tables)
    now, since = client.now(), client.now() - (int(weeks.chosen) + 1) * 7 * DAY
    found = insights.trend(
        tables,
        now=now,
        weeks=int(weeks.chosen),
        markers=(*insights.publications(client.store), *_kept().since(tables, since, now)),
        segment=segment.chosen,
        source=source.chosen,
    )
    return {
        "filters": (weeks, segment, source),
        "answer": answer_of(found),
        "chart": chart_of(found),
        "weeks": [(each, in_week(found, each)) for each in reversed(found.weeks)],
        "changes": rows_of(found),
    }


def _kept() -> KeptReleases:
    kept: KeptReleases = current_app.extensions.setdefault(EXTENSION, KeptReleases())
    return kept
