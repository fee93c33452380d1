"""Reading for the pages of proof: the tables, what a page may be asked for, and what to say where they are missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from flask import Response, request

from nudge_sdk.errors import SetupError, StoreBusyError, StoreError
from nudge_sdk.insights.journeys import ensure_fresh, refreshed_at
from nudge_sdk.insights.kept_reports import kept_report
from nudge_sdk.insights.tables import Tables, opened_tables
from nudge_sdk.store.protocol import Store
from nudge_sdk.store.sql_store import SqlStore

from ..pages import current_client, current_workspace, page
from ..people import segments_of
from ..views.members import live_rules

Report = TypeVar("Report", bound=msgspec.Struct)

MOST_CHOICES = 50
_SAMPLE = 500
"""Journeys that are looked at for names of traits."""

_NEEDED = "This page needs more packages than the admin does. Install them where the admin runs: "
_NOT_PUBLISHED = "Nothing is published yet, so nobody has qualified. Publish a definition, and come back."
_NOT_COUNTED = "There is much history, and it was not counted yet. Press “Count anew”, or let “nudge worker” count it."
_INSTALL = "pip install 'nudge-sdk[insights]'"


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
            found = make(tables)
    except ImportError as error:
        return _unavailable(template, f"{_NEEDED}{_INSTALL} ({error.name} is missing).")
    except SetupError as error:
        return _unavailable(template, str(error))
    except StoreError as error:
        return _unavailable(template, f"The store did not answer ({error}).", status=503)
    return page(template, block="results", status=status, **{"problem": "", "as_of": as_of, **found})


def kept(kind: type[Report], make: Callable[[], Report], *asked: str) -> Report:
    """Return a report that takes long to make, as it was made within the last day; "Count anew" makes it anew.

    Args:
        kind: What it is.
        make: Makes it.
        asked: What the page was asked for.
    """
    client = current_client()
    name = " ".join((kind.__name__, str(live_rules().number), *asked))
    return kept_report(client.store, name, kind, make, now=client.now())


def _as_of(store: Store, now: int) -> int | None:
    """Return the instant that the journeys are of; where they cannot be counted anew just now, the last ones do."""
    try:
        return ensure_fresh(store, live_rules(), now)
    except StoreBusyError:
        return refreshed_at(store)


def _unavailable(template: str, problem: str, *, status: int = 200) -> Response:
    return page(template, block="results", problem=problem, as_of=None, filters=(), status=status)
