"""Deterministic buckets: the same unit always falls into the same one of 10,000, on every host and in every release.

A bucket is the first 15 hexadecimal digits of SHA-256 over the UTF-8 bytes of ``salt|unit_type|unit_id``, as a share
of 16**15, times 10,000, rounded down. Nothing is normalised: ids that differ in any code point are different units.
``tests/cases/bucketing.json`` publishes cases for implementations in other languages.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from itertools import accumulate

BUCKETING_VERSION = 1
"""Stored with every assignment; a change of anything in this file that moves a unit needs a new number."""

BUCKETS = 10_000


def hash_input(salt: str, unit_type: str, unit_id: str) -> bytes:
    """Return the bytes that are hashed.

    Raises:
        ValueError: A unit type that is empty or holds a pipe, or a text that has no UTF-8 form (a lone surrogate).
    """
    if not unit_type or "|" in unit_type:
        raise ValueError(f"{unit_type!r} is not a unit type; give a word such as 'account' or 'member'")
    # Left as they are, pipes in a salt would make ("a", "b|user|c") and ("a|user|b", "c") of type "user" one input.
    # Doubled, the first odd run of pipes ends the salt, the next pipe ends the type, and the id is all the rest.
    return f"{salt.replace('|', '||')}|{unit_type}|{unit_id}".encode()


def bucket(salt: str, unit_type: str, unit_id: str) -> int:
    """Return the bucket of a unit, 0 to 9999.

    Args:
        salt: What the draw is for. Draws that must not depend on each other (a holdout and the variants of what it
            holds out, two holdouts) need different salts.
        unit_type: What is drawn, such as ``account`` or ``member``.
        unit_id: The id of the unit, any text.
    """
    digits = sha256(hash_input(salt, unit_type, unit_id)).hexdigest()[:15]
    return (int(digits, 16) * BUCKETS) >> 60


def is_held_out(bucket: int, share: float) -> bool:
    """Whether a bucket lies in a holdout of this share (0 to 1); a larger share keeps everybody a smaller one held."""
    return bucket < _buckets_in(share)


def choose_variant(salt: str, unit_type: str, unit_id: str, weights: Sequence[float]) -> int:
    """Return the index of the variant that a unit gets.

    Args:
        salt: As for ``bucket``.
        unit_type: As for ``bucket``.
        unit_id: As for ``bucket``.
        weights: One number of 0 or more a variant; only their proportions matter.

    Raises:
        ValueError: Weights of which none is above 0, or with a negative or infinite one.
    """
    place = bucket(salt, unit_type, unit_id)
    return next(index for index, (_, end) in enumerate(variant_ranges(tuple(weights))) if place < end)


def choose_covered(salt: str, unit_type: str, unit_id: str, weights: Sequence[float], *, coverage: float) -> int | None:
    """Return the index of the variant that a unit gets, or None for a unit outside the coverage.

    Coverage trims the end of each variant's own range, so raising it only adds units and moves nobody.

    Args:
        salt: As for ``bucket``.
        unit_type: As for ``bucket``.
        unit_id: As for ``bucket``.
        weights: As for ``choose_variant``.
        coverage: The share of units that take part, 0 to 1.
    """
    place = bucket(salt, unit_type, unit_id)
    for index, (start, end) in enumerate(variant_ranges(tuple(weights))):
        if start <= place < start + int((end - start) * coverage + 0.5):
            return index
    return None


@lru_cache(maxsize=1024)
def variant_ranges(weights: tuple[float, ...]) -> tuple[tuple[int, int], ...]:
    """Return the half-open range of buckets of each variant; together they cover all buckets.

    Raises:
        ValueError: Weights of which none is above 0, or with a negative or infinite one.
    """
    # Not sum(): from Python 3.12 on it rounds differently, and an end that lies one bucket elsewhere moves people.
    sums = list(accumulate(weights))
    total = sums[-1] if sums else 0
    if not 0 < total < float("inf") or min(weights) < 0:
        raise ValueError(f"{weights} are not weights; give numbers of 0 or more, at least one above 0")
    ends = [_buckets_in(so_far / total) for so_far in sums]
    return tuple(zip([0, *ends[:-1]], ends, strict=True))


def _buckets_in(share: float) -> int:
    # Halves go up, as in most languages; Python's round() would send them to the even neighbour.
    return int(share * BUCKETS + 0.5)
