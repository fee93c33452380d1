"""Reading for the pages of proof: the tables, what a page may be asked for, and what to say where they are missing."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import msgspec
from flask import Response, current_app, request

from nudge_sdk.errors import SetupError, StoreBusyError, StoreError
from nudge_sdk.insights.journeys import are_fresh, ensure_fresh, refreshed_at
from nudge_sdk.insights.kept_reports import Kept, keep_report, kept_report
from nudge_sdk.insights.preparing import has_many_events, make_kept
from nudge_sdk.insights.questions import Question, Source
from nudge_sdk.insights.replaying import needs_replay
from nudge_sdk.insights.tables import Tables, opened_tables
from nudge_sdk.store.protocol import Store
from nudge_sdk.store.sql_store import SqlStore

from ..pages import current_client, current_workspace, page
from ..people import segments_of
from ..views.members import live_rules
from .making import Maker

Report = TypeVar("Report", bound=msgspec.Struct)

MAKER = "nudge_report_maker"
MOST_CHOICES = 50
MOST_BESIDE = 200_000
"""How many members are rolled up beside the requests of a host; of more, a worker does it."""

_SAMPLE = 500
"""Journeys that are looked at for names of traits."""

_NEEDED = "This page needs more packages than the admin does. Install them where the admin runs: "
_NOT_PUBLISHED = "Nothing is published yet, so nobody has qualified. Publish a definition, and come back."
_NOT_COUNTED = "There is much history, and it was not counted yet. Press “Count anew”, or let “nudge worker” count it."
_INSTALL = "pip install 'nudge-sdk[insights]'"

WORTH_KEEPING = 0.2
"""What was made in fewer seconds than this is made anew each time."""


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """A filter of a page.

    Attributes:
        name: In the address.
        options: Value to words.
        chosen: The value.
    """

    name: str
    label: str
    options: dict[str, str]
    chosen: str

    @property
    def words(self) -> str:
        """What is chosen, in words."""
        return self.options.get(self.chosen, "")


def choice(name: str, label: str, options: dict[str, str], *, default: str = "") -> Choice:
    """Return a filter with what the address chooses; the default where that makes no sense."""
    asked = request.args.get(name, default)
    return Choice(name=name, label=label, options=options, chosen=asked if asked in options else default)


def segment_choice() -> Choice:
    """Return the filter by segment."""
    named = {each.key: each.name or each.key for each in segments_of(live_rules()) if each.key}
    return choice("segment", "Segment", {"": "All", **named})


def source_choice(tables: Tables) -> Choice:
    """Return the filter by source."""
    said = tables.journeys.filter(tables.journeys.source != "")
    counts = said.group_by("source").aggregate(number=said.count()).select("source", "number")
    found = sorted(tables.rows(counts), key=lambda row: (-row[1], row[0]))
    return choice("source", "Source", {"": "All", **{name: name for name, _ in found[:MOST_CHOICES]}})


def trait_names(tables: Tables) -> list[str]:
    """Return names of traits, of some accounts and members."""
    rows = tables.rows(tables.journeys.select("traits").limit(_SAMPLE))
    return sorted({name for (traits,) in rows for name in msgspec.json.decode(traits or "{}")})


def report_page(template: str, make: Callable[[Tables], dict[str, Any]], *, status: int = 200) -> Response:
    """Return a page with a report; without the packages it takes, a page that says which.

    Args:
        template: With the block ``results``.
        make: Returns what the template shows; an ``as_of`` of its own where it is not that of the journeys.
        status: Of the answer; 422 for a form with problems.
    """
    client = current_client()
    store = client.store
    if not current_workspace().number:
        return _unavailable(template, _NOT_PUBLISHED)
    assert isinstance(store, SqlStore)
    try:
        as_of = _as_of(client.store, client.now())
        if as_of is None:
            return _unavailable(template, _NOT_COUNTED)
        with opened_tables(store=store.sqlalchemy_url) as tables:
            found = {"has_unreplayed": _has_unreplayed(), **make(tables)}
    except ImportError as error:
        return _unavailable(template, f"{_NEEDED}{_INSTALL} ({error.name} is missing).")
    except SetupError as error:
        return _unavailable(template, str(error))
    except StoreError as error:
        return _unavailable(template, f"The store did not answer ({error}).", status=503)
    return page(template, block="results", status=status, **{"problem": "", "as_of": as_of, **found})


def kept_page(
    template: str, question: Question[Report], show: Callable[[Report], dict[str, Any]], filters: Sequence[Choice]
) -> Response:
    """Return a page with a report that takes long to make: the one that is kept, while a new one is made if it is old.

    Of few events it is made at once. Of many the page says that it is being made, where none is kept yet.

    Args:
        template: With the block ``results``.
        question: What the report answers.
        show: Returns what the template shows.
        filters: What was chosen.
    """
    client = current_client()
    store = client.store
    if not current_workspace().number:
        return _unavailable(template, _NOT_PUBLISHED)
    assert isinstance(store, SqlStore)
    found = kept_report(store, question.name, cast("type[Report]", question.kind))
    if found is not None and found.is_fresh(client.now(), live_rules().number):
        return _shown(template, found, show(found.report))
    if not has_many_events(store):
        return report_page(template, lambda tables: _made(tables, question, show))
    failure = _ask_for(question)
    if found is not None:
        return _shown(template, found, show(found.report), newer=_newer(question, found, failure))
    if failure:
        return _unavailable(template, failure)
    return page(template, block="results", problem="", as_of=None, waiting=_here(), filters=filters)


def maker() -> Maker:
    """Return what makes reports beside the requests of this admin."""
    found: Maker = current_app.extensions.setdefault(MAKER, Maker())
    return found


def _ask_for(question: Question[Report]) -> str:
    """Let a report be made beside; return why it could not be made the last time."""
    client = current_client()
    store = client.store
    assert isinstance(store, SqlStore)

    def make() -> None:
        catalog = client.intake.current()
        if ensure_fresh(store, catalog.rules, client.now(), most=MOST_BESIDE) is None:
            raise SetupError(_NOT_COUNTED)
        make_kept(store, catalog, question, client.now())

    return maker().ask(question.name, make)


def _here() -> str:
    return f"{request.script_root}{request.full_path}".removesuffix("?")


def _shown(template: str, kept: Kept[Report], context: dict[str, Any], newer: dict[str, Any] | None = None) -> Response:
    is_by_live = kept.definition == live_rules().number
    known: dict[str, Any] = {
        "problem": "",
        "as_of": kept.at,
        "newer": newer,
        "is_by_live": is_by_live,
        "has_unreplayed": _has_unreplayed(),
    }
    known |= context
    return page(template, block="results", **known)


def _made(tables: Tables, question: Question[Report], show: Callable[[Report], dict[str, Any]]) -> dict[str, Any]:
    client, began = current_client(), time.monotonic()
    assert isinstance(client.store, SqlStore)
    catalog = client.intake.current()
    source = Source(client.store, tables, catalog, client.now())
    kept = Kept(report=question.answer(source), at=source.now, definition=catalog.number)
    if time.monotonic() - began >= WORTH_KEEPING:
        keep_report(client.store, question.name, kept)
    return {"as_of": kept.at, "is_by_live": True, **show(kept.report)}


def _newer(question: Question[Report], kept: Kept[Report], failure: str) -> dict[str, Any]:
    return {"name": question.name, "than": kept.at, "definition": kept.definition, "back": _here(), "failure": failure}


def _has_unreplayed() -> bool:
    """Whether imported history still has to be replayed, so that people qualified when it happened."""
    return needs_replay(current_client().store, live_rules())


def _as_of(store: Store, now: int) -> int | None:
    """Return the instant that the journeys are of.

    Old ones are counted anew; of many events beside the request, which goes on with the old ones.
    """
    rules, last = live_rules(), refreshed_at(store)
    if last is not None and isinstance(store, SqlStore) and has_many_events(store):
        if not are_fresh(store, rules, now):
            maker().ask("journeys", lambda: ensure_fresh(store, rules, now, most=MOST_BESIDE))
        return last
    try:
        return ensure_fresh(store, rules, now)
    except StoreBusyError:
        return refreshed_at(store)


def _unavailable(template: str, problem: str, *, status: int = 200) -> Response:
    return page(template, block="results", problem=problem, as_of=None, filters=(), status=status)
