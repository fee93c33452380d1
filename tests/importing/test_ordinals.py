from __future__ import annotations

import hashlib
import random
from collections import Counter
from contextlib import closing

from nudge_sdk.importing.ordinals import Ordinals


def test_ordinals_are_those_of_a_plain_counter_however_often_the_table_grows() -> None:
    draw = random.Random(5)
    expected: Counter[bytes] = Counter()
    with closing(Ordinals(entries=4)) as ordinals:
        for _ in range(5000):
            digest = hashlib.sha256(b"%d" % draw.randrange(1500)).digest()
            assert ordinals.next(digest) == expected[digest]
            expected[digest] += 1


def test_digests_that_fall_into_one_place_are_told_apart() -> None:
    one, other = b"\0" * 12, b"\0" * 11 + b"\1"
    with closing(Ordinals(entries=8)) as ordinals:
        assert [ordinals.next(key) for key in (one, other, one, other, one)] == [0, 0, 1, 1, 2]
