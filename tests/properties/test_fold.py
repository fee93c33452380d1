"""What the fold concludes, and when (SEMANTICS 10, 14-20)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import msgspec
from hypothesis import given, note, settings

from nudge_sdk.rules.conditions import Signal
from nudge_sdk.rules.definition import Definition, Entry, Gate, Milestone, Segment, Thresholds
from nudge_sdk.rules.identity import move_of
from nudge_sdk.rules.records import Record
from nudge_sdk.rules.standing import Episode, Standing, judge, phase_of
from nudge_sdk.rules.stepping import advance
from nudge_sdk.rules.times import DAY, FOREVER, HOUR, MINUTE
from nudge_sdk.store import open_store
from nudge_sdk.store.protocol import Key
from tests.properties import histories, oracle
from tests.properties.histories import CASES, MOVES, TOLD, TRACKS
from tests.properties.running import Installation

PLAIN = (*TRACKS, *TRACKS, *TOLD)
MOVING = (*PLAIN, *MOVES, *MOVES, *MOVES)
SPAN = 20 * DAY


def describe(definition: Definition, records: Sequence[Record]) -> None:
    """Let a failing example say what it was."""
    plain = msgspec.to_builtins(definition)
    lines = [str(entity) for kind in ("milestones", "segments") for entity in plain[kind]]
    for record in records:
        days = (record.counted_at - histories.START) / DAY
        lines.append(
            f"{days:.5f} {record.id} {record.kind} {record.name} {record.account_id}/{record.user_id} {record.data}"
        )
    note("\n".join(lines))


def run_in_order(
    place: Installation, records: Sequence[Record], cuts: Sequence[int], sweeps: Sequence[int] = (0,)
) -> None:
    """Take records in order, in batches, with sweeps at some moments between them."""
    batches = histories.batches(records, cuts)
    CASES["batches"] += len(batches)
    for index, batch in enumerate(batches):
        if index and sweeps[index % len(sweeps)]:
            gap = batch[0].counted_at - place.now
            place.sweep(place.now + gap * sweeps[index % len(sweeps)] // 3)
            CASES["sweeps between batches"] += 1
        place.take(batch, process=index)


def stored_transitions(place: Installation) -> dict[Key, list[tuple[int, str, str, str]]]:
    """Return the log in the oracles' form."""
    return {
        key: sorted((row.at, row.cause, row.from_tier, row.tier) for row in log)
        for key, log in place.transitions().items()
    }


def stored_episodes(place: Installation) -> dict[Key, list[tuple[object, ...]]]:
    """Return the episodes in the oracles' form."""
    return {
        key: [(row.started_at, row.goal, row.tier, row.cause, row.ended_at, row.end_reason) for row in rows]
        for key, rows in place.episodes().items()
    }


def check_log(place: Installation, records: Sequence[Record], until: int) -> None:
    """Compare transitions and episodes with both oracles."""
    replayed = place.replayed(until)
    told = oracle.tell(place.published, records, until)
    transitions = {key: sorted(story.transitions) for key, story in told.items() if story.transitions}
    assert {key: sorted(course.transitions) for key, course in replayed.items() if course.transitions} == transitions
    assert stored_transitions(place) == transitions
    assert not any(row.is_correction for log in place.transitions().values() for row in log)
    episodes = {
        key: [
            (each.started_at, each.goal, each.tier, each.cause, each.ended_at, each.end_reason) for each in story.spells
        ]
        for key, story in told.items()
        if story.spells
    }
    assert {
        key: [
            (each.started_at, each.goal, each.tier, each.cause, each.ended_at, each.end_reason)
            for each in course.episodes
        ]
        for key, course in replayed.items()
        if course.episodes
    } == episodes
    assert stored_episodes(place) == episodes
    tally_log(place)


def tally_log(place: Installation) -> None:
    """Note what occurred."""
    for key, log in place.transitions().items():
        for row in log:
            CASES[f"tier {row.from_tier} to {row.tier} ({'member' if key[1] else 'account'})"] += 1
            CASES[f"transition by {row.cause if row.cause in ('time', 'publication', 'import') else 'event'}"] += 1
    for episodes in place.episodes().values():
        CASES["episodes"] += len(episodes)
        CASES["second episodes"] += len(episodes) > 1
        for each in episodes:
            CASES[f"episode by {each.cause if each.cause in ('time', 'publication', 'import') else 'event'}"] += 1
            if each.end_reason:
                CASES[f"episode ended by {each.end_reason}"] += 1


def check_standings(place: Installation, records: Sequence[Record], definition: Definition, until: int) -> None:
    """Compare scores and tiers with those read straight from the records."""
    world = oracle.World(records)
    for key, verdict in place.verdicts().items():
        found = oracle.Judgement(verdict.segment, verdict.score, verdict.fit, verdict.entry, verdict.tier)
        assert found == oracle.judge(world, key, definition, until), key
        CASES["standings compared"] += 1
        CASES["personal accounts not scored"] += not key[1] and world.said_no(key)
        CASES["tier held without its entry"] += verdict.tier != verdict.entry
        CASES["negative score"] += verdict.score < 0
        CASES["faded score"] += verdict.score % 1000 != 0


@given(histories.drawn(PLAIN))
def test_records_in_order_give_the_transitions_and_episodes_of_replay(drawn):
    definition, records = drawn.definition, histories.to_records(drawn.steps)
    describe(definition, records)
    place = Installation(definition, processes=2)
    run_in_order(place, records, drawn.cuts, drawn.sweeps)
    until = place.now + SPAN
    CASES["midnights stepped"] += (until - records[0].counted_at) // DAY
    CASES["clamped times"] += sum(record.is_clamped for record in records)
    place.sweep(until)
    check_standings(place, records, definition, until)
    check_log(place, records, until)


@given(histories.drawn(MOVING))
def test_moves_in_order_give_the_transitions_and_episodes_of_replay(drawn):
    definition, records = drawn.definition, histories.to_records(drawn.steps)
    describe(definition, records)
    place = Installation(definition)
    run_in_order(place, records, drawn.cuts, drawn.sweeps)
    until = place.now + SPAN
    place.sweep(until)
    CASES["moves in order"] += len(oracle.World(records).moves)
    check_standings(place, records, definition, until)
    check_log(place, records, until)


@given(histories.drawn(PLAIN))
def test_publication_counts_new_signals_and_qualifies_people_with_the_prompt(drawn):
    before, after, cuts = drawn.definition, drawn.other, drawn.cuts
    random = drawn.random()
    first = histories.to_records(drawn.later)
    place = Installation(before)
    run_in_order(place, first, cuts)
    place.now += HOUR
    if random.random() < 0.5:
        place.sweep(place.now)
    live_at = place.publish(after, live_after=random.choice((0, MINUTE, 5 * HOUR, DAY)))
    CASES["publications with new signals"] += place.intakes[0].catalog.rows[-1].signals > 1
    second = histories.to_records(drawn.last, start=live_at + 1, prefix="n")
    records = [*first, *second]
    describe(before, [])
    describe(after, records)
    run_in_order(place, second, cuts)
    until = place.now + 2 * DAY
    place.sweep(until)
    check_standings(place, records, after, until)
    check_log(place, records, until)
    counted_from_the_start = Installation(after)
    run_in_order(counted_from_the_start, records, cuts)
    fresh = counted_from_the_start.verdicts()
    signals = set(counted_from_the_start.intakes[0].catalog.plan.signals)
    for key, verdict in place.verdicts().items():
        counted = {name: tally for name, tally in verdict.state["signals"].items() if name in signals}
        assert {**verdict.state, "signals": counted} == fresh[key].state
    for rows in place.episodes().values():
        for row in rows:
            if row.cause == "publication":
                assert row.started_at == live_at
                segment = next(each for each in after.segments if each.key in ("big", "rest"))
                episode = Episode(row.started_at, "paid", "warm", 2, row.cause)
                assert phase_of(episode, segment, live_at) == "prompt"


@given(histories.drawn(PLAIN, imported=MOVING))
def test_import_of_history_begins_episodes_at_its_end(drawn):
    definition, cuts, random = drawn.definition, drawn.cuts, drawn.random()
    live = histories.to_records(drawn.last)
    place = Installation(definition)
    run_in_order(place, live, cuts)
    place.now += HOUR
    imported = histories.to_records(drawn.later, prefix="h")
    ended_at = max(place.now, imported[-1].counted_at) + HOUR
    place.sweep(ended_at)
    history = [
        msgspec.structs.replace(record, at=record.counted_at, received_at=ended_at, history=True) for record in imported
    ]
    if random.random() < 0.5:
        history = [record for record in history if move_of(record) is None]
        random.shuffle(history)
    for batch in histories.batches(history, cuts):
        place.take(batch, import_id="i1")
        place.sweep(place.now)
    before = place.episodes()
    begun = {row.started_at for rows in before.values() for row in rows}
    place.intakes[0].finish_import("i1", wait=5)
    second = histories.to_records(drawn.last, start=ended_at + 1, prefix="n")
    if random.random() < 0.5:
        place.sweep(place.now)
    for key, rows in place.episodes().items():
        for row in rows[len(before.get(key, ())) :]:
            assert (row.started_at, row.cause) == (ended_at, "import") or row.started_at in begun
    place.sweep(second[0].counted_at - 1)
    records = [*live, *history, *second]
    describe(definition, records)
    run_in_order(place, second, cuts)
    until = place.now + 2 * DAY
    place.sweep(until)
    CASES["imports of history"] += 1
    check_standings(place, records, definition, until)
    check_log(place, records, until)


@given(histories.drawn(MOVING))
def test_late_events_only_add_to_the_log_and_move_no_episode(drawn):
    definition, records, random = drawn.definition, histories.to_records(drawn.steps), drawn.random()
    describe(definition, records)
    arriving = sorted(records, key=lambda record: record.counted_at + random.choice((0, 0, 0, 3, 12)) * DAY)
    place = Installation(definition)
    place.now = records[0].counted_at
    for batch in histories.batches(arriving, drawn.cuts):
        for record in batch:
            place.now = max(place.now, record.counted_at)
        log, episodes, standings = place.transitions(), place.episodes(), place.standings()
        place.take(batch)
        check_only_added(place, log, episodes, standings)
        if random.random() < 0.5:
            place.sweep(place.now)
        else:
            CASES["batches without a sweep"] += 1
    late = [row for rows in place.transitions().values() for row in rows if row.is_correction]
    CASES["corrected rows"] += len(late)
    CASES["late arrivals"] += sum(a.counted_at > b.counted_at for a, b in pairwise(arriving))
    until = place.now + SPAN
    place.sweep(until)
    check_standings(place, records, definition, until)


def check_only_added(place: Installation, log: dict, episodes: dict, standings: dict[Key, Standing]) -> None:
    """Check that nothing written earlier was changed."""
    after, now = place.transitions(), place.episodes()
    for key, rows in log.items():
        assert [row for row in after[key] if row in rows] == rows
        for row in set(after[key]) - set(rows):
            if key in standings and row.at < standings[key].at:
                assert row.is_correction
    for key, rows in episodes.items():
        found = {row.started_at: row for row in now[key]}
        for row in rows:
            kept = found[row.started_at]
            open_again = msgspec.structs.replace(kept, ended_at=None, end_reason="")
            assert row in (kept, open_again)
    for key, standing in place.standings().items():
        before = standings.get(key)
        if before is not None and before.episode is not None and standing.episode is not None:
            start = standing.episode.started_at
            begun = {row.started_at for other, rows in now.items() if other != key for row in rows}
            is_joined = start > before.episode.started_at and start in begun
            assert start == before.episode.started_at or is_joined or is_over(place, before, standing)


def is_over(place: Installation, before: Standing, after: Standing) -> bool:
    """Whether an episode was over when the next began."""
    rules = place.intakes[0].catalog.rules
    segments = {segment.segment.key: segment.segment for segment in rules.segments}
    assert before.episode is not None
    assert after.episode is not None
    ended = before.episode.ended_at is not None
    start = after.episode.started_at
    return ended or any(phase_of(before.episode, each, start) == "" for each in segments.values())


@given(histories.drawn(PLAIN))
def test_nothing_changes_before_next_change_and_stepping_equals_judging_later(drawn):
    definition, records = drawn.definition, histories.to_records(drawn.steps)
    describe(definition, records)
    hours = [drawn.random().randrange(400) for _ in range(8)]
    place = Installation(definition)
    run_in_order(place, records, (7, 19))
    timeline = place.intakes[0].catalog.timeline
    for key, standing in place.standings().items():
        subject = place.judged(key)
        segments = {each.segment.key: each.segment for each in timeline.newest.segments}
        quiet_until = min(standing.next_change, standing.at + 40 * DAY)
        midnights = range((standing.at // DAY + 1) * DAY, quiet_until, DAY)
        moments = {*midnights, *(each - 1 for each in midnights), *(standing.at + each * HOUR for each in hours)}
        for at in sorted(each for each in (*moments, quiet_until - 1) if standing.at <= each < quiet_until):
            later = judge(timeline.newest, subject, at, standing, "time")
            assert unchanging(later, segments, at) == unchanging(standing, segments, standing.at), (key, at)
            CASES["moments before next_change"] += 1
        for at in sorted(standing.at + each * HOUR for each in hours):
            changes = advance(timeline, subject, standing, at)
            stepped = changes[-1].after if changes else standing
            later = judge(timeline.newest, subject, at, standing, "time")
            assert values(stepped) == values(later)
            CASES["boundaries stepped"] += len(changes)
            CASES["moments after next_change"] += standing.next_change < at
        assert standing.next_change == FOREVER or standing.next_change > standing.at


def values(standing: Standing) -> tuple:
    """Return what does not depend on the standing before."""
    return (standing.segment, standing.score, standing.fit, standing.tier, standing.entry, set(standing.reached))


def unchanging(standing: Standing, segments: dict, at: int) -> tuple:
    """Return all that must not change before ``next_change``, the phase of the episode too."""
    segment = segments[standing.segment]
    return (*values(standing), standing.episode, phase_of(standing.episode, segment, at))


@given(histories.drawn(PLAIN))
def test_score_and_tier_do_not_depend_on_the_standing_before(drawn):
    random = drawn.random()
    place = Installation(drawn.definition)
    run_in_order(place, histories.to_records(drawn.steps), ())
    rules = place.intakes[0].catalog.rules
    standings = place.standings()
    at = place.now + random.randrange(60) * DAY
    others = list(standings.values())
    for key in standings:
        shuffled = random.sample(others, len(others))
        found = [values(judge(rules, place.judged(key), at, previous, "time")) for previous in shuffled]
        assert all(each == found[0] for each in found)


def test_whoever_left_is_no_active_user_and_the_tier_falls():
    two = Entry(score=1, gates=(Gate(active_users=2, days=7),))
    busy = Milestone(key="busy", subject="account", signal=Signal(event="a"), points=1, done="did it")
    segment = Segment(key="all", account=Thresholds(hot=two), hold_days=0)
    place = Installation(Definition(milestones=(busy,), segments=(segment,)))
    ann, bob, left = histories.to_records([(0, "a", 0, 0), (HOUR, "a", 1, 0), (HOUR, "left", 1, 0)])
    place.take([ann, bob])
    assert place.verdicts()["acme", ""].tier == "hot"
    place.take([left])
    assert place.verdicts()["acme", ""].tier == "none"


@settings(max_examples=6)
@given(drawn=histories.drawn(MOVING))
def test_a_file_concludes_what_memory_concludes(tmp_path_factory, drawn):
    definition, records = drawn.definition, histories.to_records(drawn.steps)
    folder: Path = tmp_path_factory.mktemp("store")
    store = open_store(f"sqlite:///{folder / 'nudge.db'}")
    store.migrate()
    places = [Installation(definition, store=store), Installation(definition)]
    for place in places:
        run_in_order(place, records, drawn.cuts, drawn.sweeps)
        place.sweep(place.now + SPAN)
    file, memory = places
    assert file.verdicts() == memory.verdicts()
    assert stored_transitions(file) == stored_transitions(memory)
    assert stored_episodes(file) == stored_episodes(memory)
    CASES["runs over a file"] += 1
    store.close()
