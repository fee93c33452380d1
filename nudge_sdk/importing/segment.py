"""JSONL in the form of Segment's messages: track, page, screen, identify, group and alias, alone or in a batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import IO, Any

import msgspec

from nudge_sdk.errors import RecordError
from nudge_sdk.importing.rows import NaiveTimeError, Refused, Row, RowMaker
from nudge_sdk.rules.records import Record
from nudge_sdk.runtime.checking import check_name

LONGEST_LINE = 16 * 1024 * 1024
"""A batch may be long; a line beyond this many bytes is set aside unread."""

_KEPT_TEXT = 64 * 1024
_TYPES = "track, page, screen, identify, group or alias"
_BOM = b"\xef\xbb\xbf"

decode = msgspec.json.Decoder().decode


def read_segment(stream: IO[bytes], maker: RowMaker) -> Iterator[Row | Refused]:
    """Read messages one after another.

    Args:
        stream: UTF-8, one JSON object a line.
        maker: Makes the records.
    """
    for number, line in _lines(stream):
        if len(line) > LONGEST_LINE:
            yield Refused(number, f"is longer than {LONGEST_LINE} bytes", _text(line))
            continue
        if number == 1:
            line = line.removeprefix(_BOM)
        if not line.strip():
            continue
        try:
            message = decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            yield Refused(number, f"is not JSON: {error}", _text(line))
            continue
        yield from _read_line(number, line, message, maker)


def to_record(message: object, maker: RowMaker) -> Record:
    """Return one message as a record.

    Raises:
        RecordError: Something is missing in it, or cannot be stored.
    """
    if not isinstance(message, dict):
        raise RecordError("line", "is not a JSON object")
    said = _said(message)
    match message.get("type"):
        case "track":
            name = check_name(message.get("event"), "event")
            return maker.make("track", said, name=name, data=_mapping(message, "properties"))
        case "page" | "screen" as kind:
            named = {key: message[key] for key in ("name", "category") if message.get(key)}
            return maker.make("track", said, name=kind, data={**named, **_mapping(message, "properties")})
        case "identify":
            traits = _mapping(message, "traits") or _mapping(_mapping(message, "context"), "traits")
            return maker.make("identify", said, data=traits)
        case "group":
            if not said["account"]:
                raise RecordError("groupId", "is missing")
            return maker.make("group", said, data=_mapping(message, "traits"))
        case "alias":
            return _to_alias(message, said, maker)
        case other:
            raise RecordError("type", f"{other!r} is not known; give {_TYPES}")


def _to_alias(message: dict[str, Any], said: dict[str, Any], maker: RowMaker) -> Record:
    new = check_name(_id(message, "userId"), "userId")
    before = _id(message, "previousId") or _id(message, "anonymousId")
    return maker.make("alias", {**said, "user": check_name(before, "previousId")}, name=new)


def _said(message: dict[str, Any]) -> dict[str, Any]:
    context = _mapping(message, "context")
    return {
        "user": _id(message, "userId") or _id(message, "anonymousId"),
        "account": _id(message, "groupId") or _id(context, "groupId"),
        "at": message.get("timestamp") or message.get("originalTimestamp"),
        "id": message.get("messageId"),
    }


def _id(message: Mapping[str, Any], field: str) -> str:
    value = message.get(field)
    if value is None:
        return ""
    # Ids of databases are often sent as plain numbers.
    return str(value) if type(value) is int else check_name(value, field)


def _mapping(message: Mapping[str, Any], field: str) -> dict[str, Any]:
    value = message.get(field)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise RecordError(field, "is not a JSON object")
    return value


def _read_line(number: int, line: bytes, message: object, maker: RowMaker) -> Iterator[Row | Refused]:
    batch = message.get("batch") if isinstance(message, dict) else None
    if not isinstance(batch, list):
        yield _read_one(number, message, maker, _text(line), "")
        return
    for index, item in enumerate(batch):
        text = msgspec.json.encode(item)
        yield _read_one(number, item, maker, _text(text), f"item {index + 1} of the batch: ")


def _read_one(number: int, message: object, maker: RowMaker, text: str, where: str) -> Row | Refused:
    try:
        return Row(number, to_record(message, maker))
    except RecordError as error:
        return Refused(number, f"{where}{error}", text, isinstance(error, NaiveTimeError))


def _lines(stream: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    number = 0
    while line := stream.readline(LONGEST_LINE + 1):
        number += 1
        yield number, line
        while len(line) > LONGEST_LINE and not line.endswith(b"\n"):
            line = stream.readline(LONGEST_LINE + 1)


def _text(line: bytes) -> str:
    return line[:_KEPT_TEXT].decode(errors="replace").rstrip("\r\n")
