"""How long another threshold takes over the peaks of 100,000 members, once they are read."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from random import Random

from nudge_sdk.insights.peaks import Climb, Climbs, Peak
from nudge_sdk.insights.whatif import PeakColumns, threshold_curve, what_if
from nudge_sdk.rules.compiled import Rules
from nudge_sdk.rules.definition import Definition, Entry, Milestone, Segment, Thresholds
from nudge_sdk.rules.times import DAY
from tests.bench.harness import Figure, Limit, Scale
from tests.bench.product import START

MEMBERS = 100_000
DAYS = 180


def measure(folder: Path, scale: Scale) -> Iterator[Figure]:
    """Yield how long a change of a threshold takes, and all thresholds one after the other."""
    found = PeakColumns(_climbs())
    began = time.perf_counter()
    what_if(found, found, (_rules(5), _rules(6)))
    first = time.perf_counter() - began
    scores = cycle(range(3, 30))
    changes = [_timed(lambda: what_if(found, found, (_rules(5), _rules(next(scores))))) for _ in range(scale.few)]
    curves = [_timed(lambda: threshold_curve(found, _rules(5), ("all", "member", "warm"))) for _ in range(scale.few)]
    limit = Limit("at most", 1)
    details = {
        "members": MEMBERS,
        "peaks": sum(len(each.warm) for each in found.climbs.climbs),
        "first": round(first, 2),
    }
    yield Figure(
        "whatif_threshold", f"another threshold over {MEMBERS:,} members", changes, "in all", limit, details, "s"
    )
    yield Figure("whatif_curve", "all thresholds one after the other", curves, "in all", limit, details, "s")


def _timed(call: object) -> float:
    began = time.perf_counter()
    call()  # type: ignore[operator]
    return time.perf_counter() - began


def _rules(score: float) -> Rules:
    entries = Thresholds(warm=Entry(score=score))
    milestone = Milestone(key="seen", points=5)
    return Rules(Definition(milestones=(milestone,), segments=(Segment(key="all", member=entries),)))


def _climbs() -> Climbs:
    """Draw members, each with up to ten peaks; one of four converts."""
    draw = Random(11)
    return Climbs(
        until=START + DAYS * DAY, first_at=START, share=1.0, climbs=tuple(_climb(draw, n) for n in range(MEMBERS))
    )


def _climb(draw: Random, number: int) -> Climb:
    at, score, peaks = START + draw.randrange(DAYS - 40) * DAY, 0, []
    for _ in range(draw.randrange(11)):
        at, score = at + draw.randrange(5 * DAY), score + draw.randrange(500, 5000)
        peaks.append(Peak(at, score, "all"))
    won_at = at + draw.randrange(20 * DAY) if draw.random() < 0.25 else None
    return Climb(account_id=f"a{number // 5}", user_id=f"u{number}", segment="all", won_at=won_at, warm=peaks)
