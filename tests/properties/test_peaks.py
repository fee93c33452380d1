"""Peaks find the instants at which replay, the plain reading, first sees an entry condition hold."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given

from nudge_sdk.insights.peaks import first_entries, follow
from nudge_sdk.rules.compiled import Rules
from nudge_sdk.rules.definition import Tier
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
        (each.account_id, each.user_id): first_entries(each, drawn.definition)
        for each in follow(rules, sorted(records, key=lambda each: (each.counted_at, each.id)), Aliases(), until).climbs
    }
    expected = {key: course.first for key, course in run.courses.items() if isinstance(course, Entries)}
    assert found == expected
    CASES["peaks: entries found"] += sum(map(len, expected.values()))
