"""Preparing: reports that take long are made before somebody looks at them, or beside what somebody waits for."""

from __future__ import annotations

import uuid
from typing import TypeVar

import msgspec

from nudge_sdk.insights.kept_reports import Kept, is_due, keep_report
from nudge_sdk.insights.questions import Question, Source, first_questions
from nudge_sdk.insights.tables import opened_tables
from nudge_sdk.runtime.catalog import Catalog
from nudge_sdk.store.sql_store import SqlStore

MANY = 50_000
"""With more events than these a report may take longer than somebody likes to wait for a page."""

LEASE_SECONDS = 300.0
"""A report whose maker was killed is made by another one after so many seconds."""

_COUNT = "SELECT count(*) FROM (SELECT 1 FROM nudge_events LIMIT ?) AS e"

Answer = TypeVar("Answer", bound=msgspec.Struct)


def has_many_events(store: SqlStore) -> bool:
    """Whether a store has so many events that making a report may take long."""
    return bool(store._read_long(_COUNT, (MANY + 1,))[0][0] > MANY)


def due_questions(store: SqlStore, catalog: Catalog, now: int) -> list[Question[msgspec.Struct]]:
    """Return what pages ask first and no report kept is new enough for; of few events a page makes its own.

    Args:
        store: Where reports are kept.
        catalog: What is published.
        now: The present instant, in microseconds.
    """
    asked = first_questions(catalog.rules.definition)
    due = [each for each in asked if is_due(store, each.name, now, catalog.number)] if catalog.number else []
    return due if due and has_many_events(store) else []


def prepare(store: SqlStore, catalog: Catalog, now: int) -> int:
    """Make the reports that are due; return how many were made.

    Raises:
        SetupError: A package is missing.
        StoreError: The store did not answer.
    """
    due = due_questions(store, catalog, now)
    return sum(make_kept(store, catalog, each, now) is not None for each in due)


def make_kept(store: SqlStore, catalog: Catalog, question: Question[Answer], now: int) -> Kept[Answer] | None:
    """Make a report and keep it; None where another process is at it.

    Raises:
        SetupError: A package is missing.
        StoreError: The store did not answer.
    """
    holder, lease = uuid.uuid4().hex, f"report {question.name}"
    if not store.acquire_lease(lease, holder, now=now, seconds=LEASE_SECONDS):
        return None
    try:
        with opened_tables(store=store.sqlalchemy_url) as tables:
            report = question.answer(Source(store, tables, catalog, now))
        kept = Kept(report=report, at=now, definition=catalog.number)
        keep_report(store, question.name, kept)
        return kept
    finally:
        store.release_lease(lease, holder)
