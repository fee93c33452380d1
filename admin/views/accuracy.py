"""Accuracy: whether qualifying tells who pays, who was judged wrongly, and how soon they pay."""

from __future__ import annotations

from typing import Any

import msgspec
from flask import Blueprint, Response, abort, request
from werkzeug.wrappers import Response as AnyResponse

from nudge_sdk.errors import SetupError
from nudge_sdk.insights.accuracy import accuracy
from nudge_sdk.insights.accuracy_reports import Asked
from nudge_sdk.insights.benchmarks import Benchmark, save_benchmarks, stored_benchmarks
from nudge_sdk.insights.tables import Tables

from ..access import for_role
from ..pages import current_client, current_workspace, go
from ..proof.accuracy import (
    BADGES,
    FLAGS,
    answer_of,
    benchmark_words,
    curve_chart,
    end_words,
    read_end,
    shares_chart,
    soon_words,
    telling,
)
from ..proof.reading import choice, report_page

blueprint = Blueprint("accuracy", __name__, url_prefix="/accuracy")

FEW_EVENTS = 200_000
"""With so many events or fewer, what people did without points is counted without being asked for."""

_LONGEST = 500
_FLAGS = {"pql": "PQLs: people who were warm or hot", "pqa": "PQAs: accounts that were hot"}
_UNITS = {"account": "Accounts", "member": "People"}
_WINDOWS = {"14": "14 days", "30": "30 days", "60": "60 days", "90": "90 days", "ever": "however long it takes"}


@blueprint.get("/")
@for_role("viewer")
def show() -> Response:
    """Show how well qualifying tells who pays."""
    return report_page("accuracy/show.html", _context)


@blueprint.post("/benchmarks")
@for_role("editor")
def compare_with() -> AnyResponse:
    """Save what to compare with; or the usual benchmarks again."""
    client = current_client()
    try:
        benchmarks = () if request.form.get("do") == "usual" else tuple(map(_typed, stored_benchmarks(client.store)))
        save_benchmarks(client.store, benchmarks, client.now())
    except (SetupError, ValueError) as error:
        abort(422, str(error))
    return go("accuracy.show", "compared")


def _typed(benchmark: Benchmark) -> Benchmark:
    """Return a benchmark as the form says it."""
    found = {
        name: request.form.get(f"{name}-{benchmark.key}", "").strip() for name in ("low", "high", "source", "note")
    }
    return msgspec.structs.replace(
        benchmark,
        low=read_end(found["low"], benchmark.kind),
        high=read_end(found["high"], benchmark.kind),
        source=found["source"][:_LONGEST],
        note=found["note"][:_LONGEST],
    )


def _context(tables: Tables) -> dict[str, Any]:
    client = current_client()
    flag, unit = choice("flag", "Of", _FLAGS, default="pql"), choice("unit", "Counting", _UNITS, default="account")
    window = choice("within", "Pay within", _WINDOWS, default="30")
    has_events = request.args.get("events") == "1" or _has_few_events(tables)
    asked = Asked(
        unit="account" if flag.chosen == "pqa" else unit.chosen,  # type: ignore[arg-type]
        flag=flag.chosen,  # type: ignore[arg-type]
        within_days=None if window.chosen == "ever" else float(window.chosen),
        at=client.now(),
        has_events=has_events,
        benchmarks=stored_benchmarks(client.store),
    )
    report = accuracy(tables, asked)
    return {
        "filters": (flag, *(() if flag.chosen == "pqa" else (unit,)), window),
        "asked": {each.name: each.chosen for each in (flag, unit, window)},
        "has_events": has_events,
        "report": report,
        "flag": FLAGS[report.flag],
        "goal_names": {each.key: each.name or each.key for each in current_workspace().live.goals},
        "answer": answer_of(report),
        "band": BADGES[report.band],
        "shares": shares_chart(report),
        "curve": curve_chart(report),
        "soon": soon_words(report),
        "telling": telling(report),
        "benchmark_words": benchmark_words,
        "end_words": end_words,
    }


def _has_few_events(tables: Tables) -> bool:
    accounts = tables.journeys.filter(tables.journeys.user_id == "")
    ((number,),) = tables.rows(accounts.aggregate(number=accounts.events.sum()))
    return (number or 0) <= FEW_EVENTS
