"""Imports of history: files of events and traits into the store, marked as history, in flat memory."""

from __future__ import annotations

from nudge_sdk.importing.csv_rows import Columns, read_csv
from nudge_sdk.importing.rejects import Rejects
from nudge_sdk.importing.rows import Refused, Row, RowMaker
from nudge_sdk.importing.running import ImportRun, Summary
from nudge_sdk.importing.segment import read_segment
from nudge_sdk.importing.sources import Source

__all__ = [
    "Columns",
    "ImportRun",
    "Refused",
    "Rejects",
    "Row",
    "RowMaker",
    "Source",
    "Summary",
    "read_csv",
    "read_segment",
]
