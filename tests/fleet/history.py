"""What has to be true of a store when everything is over, whoever wrote to it and died."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from nudge_sdk.rules.records import Record
from nudge_sdk.rules.replay import Course, replay
from nudge_sdk.rules.standing import decode_standing
from nudge_sdk.rules.state import canonical, unpack
from nudge_sdk.runtime.catalog import Catalog
from nudge_sdk.store import Store
from nudge_sdk.store.protocol import Key, SubjectRow

PAGE = 1000
TIERS = ("none", "warm", "hot")


def all_subjects(store: Store) -> Iterator[SubjectRow]:
    """Yield every row."""
    after: Key | None = None
    while rows := store.subjects(after=after, limit=PAGE):
        yield from rows
        after = rows[-1].key


def stored_ids(store: Store) -> Counter[str]:
    """Return how often each message is stored."""
    return Counter(record.id for record in store.records())


def miscounted(store: Store, until: int) -> list[str]:
    """Return where states and tiers differ from replaying every stored record.

    Args:
        store: The store, drained and swept.
        until: The instant up to which it was swept.
    """
    timeline = Catalog(store.definitions()).timeline
    of_account: dict[str, list[Record]] = {}
    for record in store.records():
        of_account.setdefault(record.account_id, []).append(record)
    # Account by account: here nobody moves between them, and replay looks at everybody it knows at every record.
    courses: dict[Key, Course] = {}
    for records in of_account.values():
        courses.update(replay(timeline, records, until=until))
    return [text for row in all_subjects(store) for text in _differences(row, courses.get(row.key, Course()))]


def _differences(row: SubjectRow, course: Course) -> Iterator[str]:
    standing = decode_standing(row.standing) if row.standing else course.standing
    if canonical(unpack(row.state)) != canonical(course.state):
        yield f"{row.key}: counts {canonical(unpack(row.state))}, replay says {canonical(course.state)}"
    if (standing.tier, standing.score) != (course.standing.tier, course.standing.score):
        yield f"{row.key}: is {standing.tier} {standing.score}, replay says {course.standing}"


def concluded_wrongly(store: Store) -> list[str]:
    """Return where transitions do not lead one to the next up to the present tier, or an episode is there twice."""
    return [text for row in all_subjects(store) for text in (*_log_of(store, row), *_episodes_of(store, row))]


def _log_of(store: Store, row: SubjectRow) -> Iterator[str]:
    # What is tortured only ever rises; the clocks of processes that wait for each other do not tell the order.
    log = sorted(store.transitions(*row.key), key=lambda each: (TIERS.index(each.from_tier), TIERS.index(each.tier)))
    tiers = ["none", *(each.tier for each in log)]
    if any(before.tier == after.tier for before, after in pairwise(log)):
        yield f"{row.key}: the same transition twice: {log}"
    if [each.from_tier for each in log] != tiers[:-1] or tiers[-1] != row.tier:
        yield f"{row.key}: is {row.tier}, and the log says {log}"


def _episodes_of(store: Store, row: SubjectRow) -> Iterator[str]:
    episodes = sorted(store.episodes(*row.key), key=lambda each: each.started_at)
    if any(before.ended_at is None or before.ended_at > after.started_at for before, after in pairwise(episodes)):
        yield f"{row.key}: episodes overlap: {episodes}"
    if bool(episodes) != (row.episode_at is not None) or (episodes and episodes[-1].started_at != row.episode_at):
        yield f"{row.key}: the episode began at {row.episode_at}, and the log says {episodes}"
