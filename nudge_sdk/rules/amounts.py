"""What an event's property comes to as a whole number: its amount in millionths, or a hash of its value."""

from __future__ import annotations

import hashlib
from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache

import msgspec

AMOUNT_SCALE = 1_000_000
"""Amounts are exact integers of millionths."""
AMOUNT_LIMIT = 10**15
"""Larger amounts, either way, are not numbers of a product and are not counted."""


def to_amount(value: object) -> int | None:
    """Return a number as exact millionths (rounded half to even), or None for what is not a number."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    if isinstance(value, int):
        return value * AMOUNT_SCALE if -AMOUNT_LIMIT <= value <= AMOUNT_LIMIT else None
    if not -AMOUNT_LIMIT <= value <= AMOUNT_LIMIT:
        return None
    exact = value if isinstance(value, Decimal) else Decimal(repr(value))
    return int((exact * AMOUNT_SCALE).to_integral_value(ROUND_HALF_EVEN))


def value_hash(value: object) -> int:
    """Return a 63-bit hash of any JSON value, the same in every process."""
    return _text_hash(value) if type(value) is str else _hash(value)


@lru_cache(4096)
def _text_hash(text: str) -> int:
    return _hash(text)


def _hash(value: object) -> int:
    encoded = msgspec.json.encode(value, order="sorted")
    return int.from_bytes(hashlib.blake2b(encoded, digest_size=8).digest(), "big") >> 1
