"""What the host hands in, checked before anything is written: what some store cannot hold is refused at the door."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from itertools import count
from typing import Any

from nudge_sdk.errors import RecordError
from nudge_sdk.rules.records import PERSONAL, personal_account
from nudge_sdk.rules.times import to_iso, to_micros

LONGEST_NAME = 255
MOST_BYTES = 32 * 1024
_LARGEST = 2**63 - 1
_DEEPEST = 16
_MOST_GOOD_NAMES = 16_384
_good_names: set[str] = set()
"""Names that were checked lately: the same users and events come again and again."""
_good_accounts: set[str] = set()
_good_keys: set[str] = set()
_EARLIEST, _LATEST = -62_135_596_800_000_000, 253_402_300_799_999_999


def check_name(value: object, field: str) -> str:
    """Return a name or id if every store can hold it.

    Raises:
        RecordError: It is no text, empty, over 255 characters, or has a NUL or a lone surrogate.
    """
    if type(value) is not str:
        raise RecordError(field, f"{value!r} is not a text; give a str")
    if value in _good_names:
        return value
    if not 0 < len(value) <= LONGEST_NAME:
        what = "is empty" if not value else f"has {len(value)} characters"
        raise RecordError(field, f"{what}; give 1 to {LONGEST_NAME} characters")
    if not value.isascii() or "\x00" in value:
        _check_text(value, field)
    if len(_good_names) >= _MOST_GOOD_NAMES:
        _good_names.clear()
    _good_names.add(value)
    return value


def check_account(value: object, field: str = "account") -> str:
    """Return an account id; the prefix of personal accounts is ours."""
    if type(value) is str and value in _good_accounts:
        return value
    name = check_name(value, field)
    if name.startswith(PERSONAL):
        raise RecordError(field, f"{name!r} begins with {PERSONAL!r}, which marks users without an account")
    if len(_good_accounts) >= _MOST_GOOD_NAMES:
        _good_accounts.clear()
    _good_accounts.add(name)
    return name


def member_key(user: object, account: object | None) -> tuple[str, str]:
    """Return (account, user) of a member; without an account that is the user's personal one."""
    if type(user) is str and type(account) is str and user in _good_names and account in _good_accounts:
        return (account, user)
    name = check_name(user, "user")
    return (personal_account(name) if account is None else check_account(account), name)


def check_instant(value: datetime | str | int, field: str) -> int:
    """Return an instant in microseconds.

    Raises:
        RecordError: It is no time, or one outside the years 1 to 9999.
    """
    at = to_micros(value, field)
    if not _EARLIEST <= at <= _LATEST:
        raise RecordError(field, f"{at} microseconds since 1970 is outside the years 1 to 9999")
    return at


def check_data(data: Mapping[str, Any] | None, field: str) -> dict[str, Any]:
    """Return properties or traits if every store can hold them.

    Args:
        data: JSON values, Decimals (kept as numbers) and aware datetimes (kept as ISO 8601).
        field: The name to put into the error.

    Raises:
        RecordError: A value that some store cannot hold.
    """
    if not data:
        return {}
    if type(data) is not dict:
        data = dict(data)
    checked: dict[str, Any] | None = None
    for key, value in data.items():
        kind = type(value)
        if type(key) is not str or key not in _good_keys:
            _check_key(key, field)
        if kind is str:
            if not value.isascii() or "\x00" in value:
                _check_text(value, f"{field}.{key}")
        elif kind is int:
            if not -_LARGEST <= value <= _LARGEST:
                raise _too_large(f"{field}.{key}", value)
        elif kind is not bool and value is not None:
            checked = dict(data) if checked is None else checked
            checked[key] = _check_value(value, f"{field}.{key}", 0)
    return data if checked is None else checked


def check_size(line: bytes) -> bytes:
    """Return an encoded record if it is not over 32 KB."""
    if len(line) > MOST_BYTES:
        raise RecordError("event", f"is {len(line)} bytes; at most {MOST_BYTES} are taken. Send less with it")
    return line


def _check_value(value: Any, field: str, depth: int) -> Any:
    kind = type(value)
    if kind is str:
        return _check_text(value, field)
    if kind is bool or value is None:
        return value
    if kind is int:
        if not -_LARGEST <= value <= _LARGEST:
            raise _too_large(field, value)
        return value
    if isinstance(value, float | Decimal):
        if not math.isfinite(value):
            raise RecordError(field, f"{value} is not a number that can be stored; leave it out")
        return value
    if isinstance(value, datetime):
        return to_iso(to_micros(value, field))
    if isinstance(value, Mapping | list | tuple):
        return _check_nested(value, field, depth)
    raise RecordError(field, f"{kind.__name__} is not JSON; give text, numbers, true, false, null, lists or mappings")


def _check_nested(value: Any, field: str, depth: int) -> Any:
    if depth >= _DEEPEST:
        raise RecordError(field, f"is nested over {_DEEPEST} levels deep; flatten it")
    if isinstance(value, Mapping):
        return {
            _check_key(key, field): _check_value(inner, f"{field}.{key}", depth + 1) for key, inner in value.items()
        }
    return [_check_value(inner, f"{field}[{index}]", depth + 1) for index, inner in enumerate(value)]


def _check_key(key: object, field: str) -> str:
    if type(key) is not str:
        raise RecordError(field, f"the name {key!r} is not a text")
    _check_text(key, f"{field}.{key!r}")
    if len(key) <= LONGEST_NAME:
        if len(_good_keys) >= _MOST_GOOD_NAMES:
            _good_keys.clear()
        _good_keys.add(key)
    return key


def _check_text(value: str, field: str) -> str:
    if "\x00" in value:
        raise RecordError(field, "has a NUL character, which not every database can hold; remove it")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise RecordError(field, f"has a lone surrogate at position {error.start}; it is no valid text") from None
    return value


def _too_large(field: str, value: int) -> RecordError:
    return RecordError(
        field, f"an integer of {value.bit_length()} bits; at most 64 with sign are kept. Send it as text"
    )


class MessageIds:
    """Makes UUIDs of version 7 (RFC 9562): the time in milliseconds, then a counter from a random start."""

    def __init__(self) -> None:
        self._head = (0, "")
        self.reseed()

    def new(self, now: int) -> str:
        """Return a new id, unlike any other of this or another process.

        Args:
            now: The present instant in microseconds; whatever it is, no id comes twice.
        """
        millis = now // 1000
        head = self._head
        if head[0] != millis:
            self._head = head = (millis, f"{millis >> 16 & 0xFFFFFFFF:08x}-{millis & 0xFFFF:04x}{self._middle}")
        return f"{head[1]}{next(self._counter):012x}"

    def reseed(self) -> None:
        """Begin anew from fresh randomness, as a forked child must."""
        seed = int.from_bytes(os.urandom(10), "big")
        self._middle = f"-7{seed & 0xFFF:03x}-{0x8000 | seed >> 12 & 0x3FFF:04x}-"
        self._counter = count(seed >> 26 & 0x7FFFFFFFFFFF)
        self._head = (0, "")
