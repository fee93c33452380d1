"""How a record stands in the event table: one plain tuple, the same in every store."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter
from typing import Any

import msgspec

from nudge_sdk.errors import RecordError
from nudge_sdk.rules.records import CLOCK_TOLERANCE, Kind, Record
from nudge_sdk.rules.times import DAY, FOREVER

EventRow = tuple[int, str, str, int, bytes, int, int, int, str, bytes | None, str | None]
"""(day, account_id, user_id, at, id, kind, history, delay, name, data, release); the first five are its key."""

EventKey = tuple[int, str, str, int, bytes]
"""(day, account_id, user_id, at, id)."""

Identity = tuple[int, str, str, bytes]
"""(at, account_id, user_id, id)."""

# Stored as numbers from 1 on: append, never reorder.
KINDS: tuple[Kind, ...] = (
    "track",
    "identify",
    "group",
    "left",
    "alias",
    "convert",
    "churn",
    "opt_out",
    "opt_in",
    "exposure",
)
_CODES = {kind: code for code, kind in enumerate(KINDS, 1)}
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").fullmatch
identity: Callable[[EventRow | EventKey], Identity] = itemgetter(3, 1, 2, 4)
"""Return (at, account_id, user_id, id) of a row or of its key."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


def pack_id(message_id: str) -> bytes:
    """Pack a message id: a canonical UUID as NUL and 16 bytes, anything else as UTF-8.

    Raises:
        RecordError: It begins with NUL, which marks a UUID.
    """
    if len(message_id) == 36 and _UUID(message_id):
        return b"\0" + bytes.fromhex(message_id.replace("-", ""))
    if message_id.startswith("\0"):
        raise RecordError("id", "begins with a NUL character; remove it")
    return message_id.encode()


def unpack_id(packed: bytes) -> str:
    """Return the message id that was packed."""
    if packed[:1] != b"\0":
        return packed.decode()
    text = packed[1:].hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def pack_record(record: Record) -> EventRow:
    """Return a record as a row.

    Raises:
        RecordError: It holds something that could not be given back unchanged.
    """
    at, delay = record.at, record.received_at - record.at
    if not -FOREVER < at < FOREVER or not -FOREVER < delay < FOREVER:
        raise RecordError("at", f"{at} or {record.received_at} is out of range; give microseconds since 1970")
    try:
        message_id = pack_id(record.id)
        texts = f"{record.account_id}{record.user_id}{record.name}{record.release}".encode()
        data = _pack_data(record.data) if record.data else None
    except UnicodeEncodeError as error:
        raise RecordError("text", f"{error.object!r} holds half a character (a lone surrogate); remove it") from None
    if b"\0" in texts:
        raise RecordError("text", "an account, a user, a name or a release holds a NUL character; remove it")
    return (
        (at + delay if delay < -CLOCK_TOLERANCE else at) // DAY,
        record.account_id,
        record.user_id,
        at,
        message_id,
        _CODES[record.kind],
        1 if record.history else 0,
        delay,
        record.name,
        data,
        record.release or None,
    )


def unpack_record(row: EventRow) -> Record:
    """Return the record that was packed."""
    _, account_id, user_id, at, packed, code, history, delay, name, data, release = row
    return Record(
        KINDS[code - 1],
        account_id,
        user_id,
        unpack_id(packed),
        at,
        at + delay,
        name,
        _decode(data) if data else {},
        release or "",
        bool(history),
    )


def in_order(rows: Iterable[EventRow]) -> Iterator[Record]:
    """Yield records by (counted time, id, rest of the identity), given rows by counted time."""
    tied: list[Record] = []
    for record in map(unpack_record, rows):
        if tied and tied[0].counted_at != record.counted_at:
            yield from _by_id(tied)
            tied = []
        tied.append(record)
    yield from _by_id(tied)


def _by_id(records: list[Record]) -> list[Record]:
    if len(records) > 1:
        records.sort(key=lambda record: (record.id, record.account_id, record.user_id, record.at))
    return records


def _pack_data(data: dict[str, Any]) -> bytes:
    try:
        packed = _encode(data)
    except (TypeError, OverflowError) as error:
        raise RecordError("data", f"cannot be stored as JSON ({error})") from None
    if b"null" in packed and _has_non_finite(data):
        raise RecordError("data", "holds NaN or an infinity, which JSON has no number for; leave it out")
    return packed


def _has_non_finite(value: Any) -> bool:
    if isinstance(value, float):
        return not math.isfinite(value)
    if isinstance(value, dict):
        return any(map(_has_non_finite, value.values()))
    return isinstance(value, list | tuple) and any(map(_has_non_finite, value))
