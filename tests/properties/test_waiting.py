"""Many events of one subject in one batch: what waits for its judgement must be judged as if it had not waited."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from nudge_sdk.rules.conditions import Signal, Window
from nudge_sdk.rules.definition import Decay, Definition, Entry, Gate, Goal, Milestone, Segment, Thresholds
from nudge_sdk.rules.records import Record
from nudge_sdk.rules.times import HOUR, MINUTE
from tests.properties.histories import START
from tests.properties.running import Installation

EVENTS = ("sent", "paid", "talked", "seen")


def milestone(key: str, signal: Signal, at_least: float, **rest) -> Milestone:
    """Return one that is worth 2 points."""
    return Milestone(key=key, name=key, done=key, signal=signal, at_least=at_least, points=2, **rest)


PAID = Signal(event="paid", measure="sum", property="amount")
TALKERS = Signal(event="talked", measure="values", property="$user")
DEFINITION = Definition(
    milestones=(
        milestone("sent_once", Signal(event="sent"), 1),
        milestone("sent_thrice", Signal(event="sent"), 3, window=Window(days=3)),
        milestone("sent_at_first", Signal(event="sent"), 2, window=Window(since_signup_hours=5)),
        milestone("sent_lately", Signal(event="sent"), 5, decay=Decay(half_life_days=2)),
        milestone("paid_ten", PAID, 10, window=Window(days=2)),
        milestone("talk_days", Signal(event="talked", measure="days"), 2),
        milestone("talkers", TALKERS, 2, subject="account", window=Window(days=2)),
        milestone("account_sent", Signal(event="sent"), 4, subject="account"),
        milestone("account_paid", PAID, 15, subject="account"),
    ),
    segments=(
        Segment(
            key="all",
            name="All",
            hold_days=0,
            member=Thresholds(warm=Entry(score=2), hot=Entry(score=5)),
            account=Thresholds(warm=Entry(score=2), hot=Entry(score=4, gates=(Gate(active_users=2, days=2),))),
        ),
    ),
    goals=(Goal(key="paid", name="Paid"),),
)

steps = st.tuples(
    st.sampled_from(("ann", "bob", "cy")),
    st.sampled_from(EVENTS),
    st.sampled_from((12, 7, 3, -4, -9)),
    st.sampled_from((MINUTE, MINUTE, MINUTE, 2 * HOUR, 9 * HOUR)),
)


def records_of(drawn: list[tuple[str, str, int, int]]) -> list[Record]:
    """Return events in order of time."""
    found, at = [], START + HOUR
    for number, (user, name, amount, later) in enumerate(drawn):
        at += later
        found.append(Record("track", "acme", user, f"m{number:03d}", at, at, name, {"amount": amount}))
    return found


@given(st.lists(steps, min_size=4, max_size=40), st.integers(1, 12))
def test_one_batch_concludes_what_its_events_conclude_one_by_one(drawn, first):
    records = records_of(drawn)
    single, batched = Installation(DEFINITION), Installation(DEFINITION)
    for record in records:
        single.take([record])
    batched.take(records[:first])
    batched.take(records[first:])

    assert batched.verdicts() == single.verdicts()
    counted = [record.at for record in records if record.name != "seen"]
    assert batched.standings()["acme", ""].at >= max(counted, default=0)
    assert told(batched.transitions()) == told(single.transitions())
    assert batched.episodes() == single.episodes()
    for key, standing in single.standings().items():
        other = batched.standings()[key]
        assert (other.at, other.reached, other.risen_at) == (standing.at, standing.reached, standing.risen_at)
        assert (other.next_change, other.active_users) == (standing.next_change, standing.active_users)
        assert batched.store.reached(*key) == single.store.reached(*key)


def told(log):
    """Return what was concluded, without the moment at which somebody came to it."""
    return {key: [replace(row, observed_at=0) for row in rows] for key, rows in log.items() if rows}


def test_members_of_these_cases_become_warm_and_hot_within_one_batch():
    place = Installation(DEFINITION)
    place.take(records_of([("ann", name, 12, MINUTE) for name in ("sent", "sent", "seen", "paid", "sent")]))
    tiers = [(each.at, each.from_tier, each.tier) for each in place.transitions()["acme", "ann"]]
    first = START + HOUR + MINUTE
    assert tiers == [(first, "none", "warm"), (first + 3 * MINUTE, "warm", "hot")]
