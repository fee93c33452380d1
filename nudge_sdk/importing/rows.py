"""Rows of a file as records: checked, timed, and with an id that is the same whenever they are imported again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from nudge_sdk.errors import ImportFileError, RecordError
from nudge_sdk.importing.ordinals import Ordinals
from nudge_sdk.rules.records import Kind, Record, personal_account
from nudge_sdk.rules.times import to_micros
from nudge_sdk.runtime.checking import check_account, check_data, check_name, check_size
from nudge_sdk.runtime.intake import encode_record

_canonical = msgspec.json.Encoder(order="sorted", decimal_format="number").encode


class Row(NamedTuple):
    """A row that can be taken in."""

    line: int
    record: Record


class Refused(NamedTuple):
    """A row that cannot.

    Attributes:
        line: Line of the file, from 1; where a row has several, its last.
        reason: What is wrong with it.
        text: The row as it stands in the file.
        is_naive: Whether all that is wrong is a time without a time zone.
    """

    line: int
    reason: str
    text: str
    is_naive: bool = False


class NaiveTimeError(RecordError):
    """A time without a time zone, and none was stated."""


class RowMaker:
    """Makes records of history out of what rows say.

    Args:
        clock: The present instant in microseconds.
        timezone: IANA name of the zone of times that have none; empty refuses them.
        dedupe: Whether equal rows without an id are one.

    Raises:
        ImportFileError: There is no such time zone.
    """

    def __init__(self, clock: Callable[[], int], *, timezone: str = "", dedupe: bool = False) -> None:
        self._clock = clock
        self._zone = _zone(timezone) if timezone else None
        self._ordinals = None if dedupe else Ordinals()

    def make(
        self, kind: Kind, said: Mapping[str, Any], *, name: str = "", data: Mapping[str, Any] | None = None
    ) -> Record:
        """Return a checked record.

        Args:
            kind: What was said.
            said: ``user``, ``account``, ``at`` (a text) and ``id``; what is None or empty is not said.
            name: Event, or the new user of an alias.
            data: Properties or traits.

        Raises:
            RecordError: Something in it cannot be stored.
        """
        user, account = said.get("user") or "", said.get("account")
        if user or not account:
            check_name(user, "user")
        account_id = check_account(account) if account else personal_account(user)
        field = "properties" if kind == "track" else "traits"
        plain = check_data(data, field)
        at = self._instant(said.get("at"))
        given = said.get("id")
        row_id = check_name(given, "id") if given else self._row_id((kind, account_id, user, at, name, plain))
        now = self._clock()
        record = Record(kind, account_id, user, row_id, at, now, name, plain, history=True)
        check_size(encode_record(record))
        return record

    def close(self) -> None:
        """Give back what was needed to tell equal rows apart."""
        if self._ordinals is not None:
            self._ordinals.close()

    def _instant(self, value: object) -> int:
        if value is None or value == "":
            raise RecordError("time", "is missing; give ISO 8601, such as 2026-03-01T09:30:00Z")
        if not isinstance(value, str):
            raise RecordError("time", f"{value!r} is not a text; give ISO 8601, such as 2026-03-01T09:30:00Z")
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise RecordError("time", f"{value!r} is not ISO 8601, such as 2026-03-01T09:30:00Z") from None
        if moment.tzinfo is None:
            if self._zone is None:
                raise NaiveTimeError("time", f"{value} has no time zone; say whose it is, such as --timezone UTC")
            moment = moment.replace(tzinfo=self._zone)
        return to_micros(moment)

    def _row_id(self, content: tuple[Any, ...]) -> str:
        """Hash the content, and the ordinal among equal rows, into a UUID of version 8 (RFC 9562)."""
        canonical = _canonical(content)
        ordinal = 0
        if self._ordinals is not None:
            ordinal = self._ordinals.next(hashlib.sha256(canonical).digest())
        text = hashlib.sha256(b"%d:%s" % (ordinal, canonical)).hexdigest()
        return f"{text[:8]}-{text[8:12]}-8{text[12:15]}-a{text[15:18]}-{text[18:30]}"


def _zone(name: str) -> tzinfo:
    if name.upper() in ("UTC", "Z"):
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ImportFileError(
            f"--timezone {name!r} is no time zone known here; give an IANA name, such as UTC or Europe/Paris"
        ) from None
