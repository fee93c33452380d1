"""Peaks find the instants at which replay, the plain reading, first sees an entry condition hold."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given

from nudge_sdk.insights.peaks import Climb, follow
from nudge_sdk.rules.compiled import Rules, in_thousandths
from nudge_sdk.rules.definition import Definition, Tier
from nudge_sdk.rules.identity import Aliases, Key
from nudge_sdk.rules.replay import Course, _Run
from nudge_sdk.rules.standing import Standing
from nudge_sdk.rules.stepping import Timeline
from nudge_sdk.rules.times import DAY
from tests.properties.histories import CASES, GAPS, TOLD, TRACKS, Drawn, drawn, to_records


@dataclass
class Entries(Course):
    """A course that remembers when each tier was first entered."""

    first: dict[Tier, int] = field(default_factory=dict)

    def note(self, after: Standing, at: int, cause: str) -> None:
        if after.entry != "none":
            self.first.setdefault("warm", at)
        if after.entry == "hot":
            self.first.setdefault("hot", at)
        super().note(after, at, cause)


class Watched(_Run):
    def _course(self, key: Key) -> Course:
        return self.courses.setdefault(key, Entries())


def entered(climb: Climb, definition: Definition) -> dict[Tier, int]:
    """When each tier was first entered, by the peaks; who is hot is warm too."""
    first: dict[Tier, int] = {}
    for tier in ("warm", "hot"):
        for peak in getattr(climb, tier):
            segment = next((each for each in definition.segments if each.key == peak.segment), None)
            thresholds = (segment.member if climb.user_id else segment.account) if segment else None
            entry = getattr(thresholds, tier) if thresholds else None
            if entry and peak.score >= in_thousandths(entry.score):
                first.setdefault(tier, peak.at)
    if "hot" in first:
        first["warm"] = min(first["hot"], first.get("warm", first["hot"]))
    return first


@given(drawn([*TRACKS, *TOLD], gaps=GAPS))
def test_the_first_peak_over_a_threshold_is_the_first_entry_of_replay(drawn: Drawn) -> None:
    records = [each for each in to_records(drawn.steps) if not each.is_clamped]
    rules = Rules(drawn.definition)
    until = max((each.counted_at for each in records), default=0) + 9 * DAY
    run = Watched(Timeline([rules]))
    for record in sorted(records, key=lambda each: (each.counted_at, each.id)):
        run.step_to(record.counted_at)
        run.take(record)
    run.step_to(until)
    found = {
        (each.account_id, each.user_id): entered(each, drawn.definition)
        for each in follow(rules, sorted(records, key=lambda each: (each.counted_at, each.id)), Aliases(), until).climbs
    }
    expected = {key: course.first for key, course in run.courses.items() if isinstance(course, Entries)}
    assert found == expected
    CASES["peaks: entries found"] += sum(map(len, expected.values()))
