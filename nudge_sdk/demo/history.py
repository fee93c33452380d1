"""Half a year of history, made up, so that the pages of proof have something to say: written as it would have been."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from random import Random

from msgspec.structs import replace

from nudge_sdk.client import NudgeClient
from nudge_sdk.demo.accounts import RECENT, WEEKS, MadeUp, made_up
from nudge_sdk.demo.clock import DemoClock
from nudge_sdk.insights.lift_plans import KeptPlan, keep_plan
from nudge_sdk.rules.bucketing import bucket, is_held_out
from nudge_sdk.rules.definition import Definition, Holdout, Nudge, Segment
from nudge_sdk.rules.times import DAY, HOUR, MINUTE
from nudge_sdk.store.protocol import Exposure, SubjectRow

HOLDOUT = Holdout(share=0.3)
"""In force through most of the history; the demo of today shows everybody everything but ``STILL_TESTED``."""

STILL_TESTED = "billing_plan"
STILL_HELD_OUT = 0.5

NOTE = "The playbook for e-mail tools"
"""Why the definition of today was published."""

CAPACITY = 8
"""Hot accounts a week that sales can take, in each segment."""

_STEP = 7 * DAY
_WAIT = 10.0
_FIRST_TEAM = 4
"""Active users that a hot account needed at first; later three."""

_PLACEMENTS = {"after_team": "after_action", "dashboard_ready": "dashboard", STILL_TESTED: "billing"}
_ANSWERS = {"clicked": 24, "dismissed": 34, "": 42}
"""What people do with a prompt they saw, of a hundred."""


def write_history(client: NudgeClient, clock: DemoClock, now: int, definition: Definition) -> None:
    """Write the history into an empty store, and publish a definition at its end.

    Everything goes the way of real events, a week at a time: folded in, judged, with transitions and episodes. Only
    what was shown is written straight into its table, to the arm that the holdouts draw.

    Args:
        client: Writes.
        clock: The client's; it stands where the history is, and is left so.
        now: The present instant.
        definition: What is in force today.
    """
    accounts, records = made_up(now, HOLDOUT)
    weeks = {end: list(each) for end, each in groupby(records, lambda record: _week_end(record.at, now))}
    versions = list(_versions(definition, now))
    client.intake.ready()
    keep_plan(client.store, KeptPlan(baseline=0.1, effect=0.25, at=versions[0][0], by="demo"))
    shown = _Shown({each.account: each for each in accounts}, now)
    for end in sorted(weeks):
        while versions and versions[0][0] <= end:
            at, version, note = versions.pop(0)
            clock.stand(at)
            client.publish(version, by="demo", note=note)
        clock.stand(end)
        rows = client.intake.take(weeks[end], wait=_WAIT)
        with client.store.transaction(wait=_WAIT) as transaction:
            transaction.add_exposures(shown.in_week(rows, end, client.intake.catalog.number))


def _week_end(at: int, now: int) -> int:
    return now - (now - at) // _STEP * _STEP


def _versions(definition: Definition, now: int) -> Iterator[tuple[int, Definition, str]]:
    """Yield (when, what, why) of each publication."""
    segments = tuple(replace(each, capacity_per_week=CAPACITY) for each in definition.segments)
    nudges = tuple(map(_tested, definition.nudges))
    measured = replace(definition, holdout=HOLDOUT, nudges=nudges, segments=segments)
    segments = tuple(map(_with_larger_teams, segments))
    first = "Made-up history: prompts are withheld from 3 accounts in 10, to measure them"
    yield now - (WEEKS * 7 + 1) * DAY, replace(measured, segments=segments), first
    yield now - 84 * DAY, measured, f"A hot account needs 3 active users, no longer {_FIRST_TEAM}"
    yield now - RECENT * DAY, replace(measured, holdout=definition.holdout), NOTE


def _tested(nudge: Nudge) -> Nudge:
    return replace(nudge, holdout=STILL_HELD_OUT) if nudge.key == STILL_TESTED else nudge


def _with_larger_teams(segment: Segment) -> Segment:
    hot = segment.account.hot
    if hot is None:
        return segment
    gates = tuple(replace(gate, active_users=_FIRST_TEAM) if gate.active_users else gate for gate in hot.gates)
    return replace(segment, account=replace(segment.account, hot=replace(hot, gates=gates)))


class _Shown:
    """What was shown to whom, a week at a time: one prompt an episode, and for some the one that is still tested."""

    def __init__(self, accounts: dict[str, MadeUp], now: int) -> None:
        self._accounts, self._now, self._random = accounts, now, Random(5)

    def in_week(self, rows: Sequence[SubjectRow], end: int, definition: int) -> list[Exposure]:
        """Return what was shown to those whose episode began in the week that ends now."""
        found: list[Exposure] = []
        for row in sorted(rows, key=lambda each: each.key):
            if row.user_id and row.episode_at is not None and end - _STEP < row.episode_at <= end:
                key = self._random.choice(("after_team", "dashboard_ready"))
                found += self._of(row, row.episode_at + 2 * MINUTE, key, definition)
                if self._random.random() < 0.7:
                    later = row.episode_at + round(self._random.uniform(2, 30) * HOUR)
                    found += self._of(row, later, STILL_TESTED, definition)
        return [each for each in found if each.at <= self._now]

    def _of(self, row: SubjectRow, at: int, nudge: str, definition: int) -> Iterator[Exposure]:
        account = self._accounts[row.account_id]
        if account.paid_at is not None and account.paid_at <= at:
            return
        holdout = "overall" if account.is_held_out and at < self._now - RECENT * DAY else ""
        if not holdout and nudge == STILL_TESTED:
            draw = bucket(f"holdout:{nudge}", "account", row.account_id)
            holdout = "nudge" if is_held_out(draw, STILL_HELD_OUT) else ""
        kinds = ["withheld"] if holdout else ["offered", *self._answer()]
        for place, kind in enumerate(kinds):
            yield Exposure(
                row.account_id, row.user_id, f"{row.user_id}-{nudge}", kind, nudge, "", _PLACEMENTS[nudge],
                at + place * 5 * MINUTE // 4, definition, "paid", holdout,
            )  # fmt: skip

    def _answer(self) -> list[str]:
        if self._random.random() > 0.93:
            return []
        answer = self._random.choices(list(_ANSWERS), list(_ANSWERS.values()))[0]
        return ["shown", answer] if answer else ["shown"]
