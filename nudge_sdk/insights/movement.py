"""Movement: who would enter and leave each tier if one definition took the place of another.

Everybody is judged twice, at the same instant and from the same stored state, so that nothing but the definitions can
make a difference. Nothing is written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from nudge_sdk.insights.sampling import DRAWN_OF, draw
from nudge_sdk.rules.compiled import Rules
from nudge_sdk.rules.definition import Subject, Tier
from nudge_sdk.rules.explaining import explain_standing
from nudge_sdk.rules.lint_findings import name_of
from nudge_sdk.rules.signals import signal_id
from nudge_sdk.rules.standing import RANK, UNJUDGED, Judged, Standing, decode_standing, judge
from nudge_sdk.rules.state import State, unpack
from nudge_sdk.rules.stepping import BY_PUBLICATION, BY_TIME
from nudge_sdk.runtime.catalog import Catalog
from nudge_sdk.store.protocol import Key, Store, SubjectRow

MOST_NAMED = 50
"""How many of those who enter, and of those who leave, are named."""

PAGE = 1000
_TIERS: tuple[Tier, ...] = ("warm", "hot")
_SUBJECTS: tuple[Subject, ...] = ("member", "account")


class Mover(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who would stand differently.

    Attributes:
        user_id: The member; empty for the account itself.
        segment: Name of the segment they would be judged by.
        before, after: The tiers.
        score_before, score_after: In thousandths of a point.
        why: In one line, what each definition says.
    """

    account_id: str
    user_id: str
    segment: str
    before: Tier
    after: Tier
    score_before: int
    score_after: int
    why: str = ""


class SegmentMovement(msgspec.Struct, frozen=True, kw_only=True):
    """How many of one segment enter and leave a tier; the segment is the one they would be judged by."""

    key: str
    name: str
    entering: int
    leaving: int


class TierMovement(msgspec.Struct, frozen=True, kw_only=True):
    """Who enters and who leaves a tier; somebody who is hot is counted as warm too.

    Attributes:
        before, after: How many are in it, or above.
        entering, leaving: How many come and go.
        segments: The same by segment, those where somebody moves, in the order of the definition.
        first_entering, first_leaving: The first ``MOST_NAMED`` of them, those with the most points first.
    """

    subject: Subject
    tier: Tier
    before: int
    after: int
    entering: int
    leaving: int
    segments: tuple[SegmentMovement, ...]
    first_entering: tuple[Mover, ...]
    first_leaving: tuple[Mover, ...]


class Movement(msgspec.Struct, frozen=True, kw_only=True):
    """What would move.

    Attributes:
        at: The instant everybody was judged at.
        judged: How many members and accounts were judged.
        known: How many there are; where it is more, the judged are a sample, and all counts are counts of the sample.
        tiers: Warm and hot of members, warm and hot of accounts.
        starting: Members whose episode, and so their prompts, would begin with the publication. Running ones go on.
        uncounted: Keys of milestones that count something new. What they find is known only once it is published;
            here they are not reached by anybody.
    """

    at: int
    judged: int
    known: int
    tiers: tuple[TierMovement, ...]
    starting: int
    uncounted: tuple[str, ...]

    @property
    def is_sample(self) -> bool:
        """Whether only some were judged."""
        return self.judged < self.known

    @property
    def is_still(self) -> bool:
        """Whether nobody would move."""
        return not any(each.entering or each.leaving for each in self.tiers) and not self.starting

    def of(self, subject: Subject, tier: Tier) -> TierMovement:
        """Return the movement of one tier."""
        return next(each for each in self.tiers if (each.subject, each.tier) == (subject, tier))


class _Case(msgspec.Struct, frozen=True, gc=False):
    """One who was judged: their draw for the sample, and what both definitions say."""

    account_id: str
    user_id: str
    draw: int
    segment: str
    before: Tier
    after: Tier
    score_before: int
    score_after: int
    is_starting: bool

    @property
    def key(self) -> Key:
        """(account_id, user_id)."""
        return (self.account_id, self.user_id)

    def moves(self, tier: Tier) -> int:
        """Return 1 for entering a tier, -1 for leaving it, else 0."""
        return (RANK[self.after] >= RANK[tier]) - (RANK[self.before] >= RANK[tier])


def movement(store: Store, before: Rules, after: Rules, now: int, *, most: int = 20_000) -> Movement:
    """Return who would enter and leave each tier if one definition took the place of another.

    Every row is read once, a page at a time. Where there are more than ``most``, those are judged whose hash falls into
    a share that is halved until few enough are left: the same people each time, in whatever order they are stored.

    Args:
        store: Read only.
        before: The definition in force.
        after: The one that would take its place.
        now: The instant to judge at, in microseconds.
        most: How many members and accounts are judged at most.
    """
    compared = _Compared(before, after, now)
    found, known = _judge_all(compared, store, most)
    tiers = tuple(_tier(found, compared, subject, tier) for subject in _SUBJECTS for tier in _TIERS)
    return Movement(
        at=now,
        judged=len(found),
        known=known,
        tiers=_explained(store, compared, tiers),
        starting=sum(each.is_starting for each in found),
        uncounted=uncounted(store, after),
    )


def uncounted(store: Store, rules: Rules) -> tuple[str, ...]:
    """Return the keys of milestones that count a signal which nothing published counts yet."""
    counted = Catalog(store.definitions(), rules.plan.capacity).plan.signals
    own = (milestone for milestone in rules.definition.milestones if milestone.signal)
    return tuple(each.key for each in own if each.signal and signal_id(each.signal) not in counted)


class _Compared:
    """Two definitions, and the instant to judge at."""

    def __init__(self, before: Rules, after: Rules, now: int) -> None:
        self.before, self.after, self.now = before, after, now

    def case(self, row: SubjectRow, account: State, draw: int) -> _Case:
        """Return what each definition says of a row; the second as if it were published now."""
        subject, previous = _subject(row, account), _standing(row)
        before = judge(self.before, subject, self.now, previous, BY_TIME)
        subject.memo = None  # what is remembered is told apart by the number of a definition, which a draft may share
        after = judge(self.after, subject, self.now, before, BY_PUBLICATION)
        is_starting = _start(after) not in (None, _start(before))
        tiers, scores = (before.tier, after.tier), (before.score, after.score)
        return _Case(row.account_id, row.user_id, draw, after.segment, *tiers, *scores, is_starting)

    def why(self, row: SubjectRow, account: State, tier: Tier) -> str:
        """Return in one line what each definition says of a tier."""
        reports = [
            explain_standing(rules, _subject(row, account), _standing(row), self.now)
            for rules in (self.before, self.after)
        ]
        lines = [next((each.text for each in report.tiers if each.tier == tier), "") for report in reports]
        words = [line.partition(": ")[2] or f"nobody can become {tier}" for line in lines]
        names = [report.segment_name for report in reports]
        whose = [f" in {name}" for name in names] if names[0] != names[1] else ["", ""]
        return f"Before{whose[0]}: {words[0]}. After{whose[1]}: {words[1]}."


def _judge_all(compared: _Compared, store: Store, most: int) -> tuple[list[_Case], int]:
    """Return the cases of all, or of a sample, and how many there are."""
    found: list[_Case] = []
    share, known, state = DRAWN_OF, 0, None
    of = ""
    for row, account in _rows(store):
        known += 1
        drawn = draw(row.account_id, row.user_id)
        if drawn >= share:
            continue
        if state is None or of != account.account_id:
            of, state = account.account_id, unpack(account.state)
        found.append(compared.case(row, state, drawn))
        while len(found) > most:
            share //= 2
            found = [each for each in found if each.draw < share]
    return found, known


def _rows(store: Store) -> Iterator[tuple[SubjectRow, SubjectRow]]:
    """Yield every row with the row of its account, which comes before its members'."""
    account = SubjectRow(account_id="", user_id="")
    after: Key | None = None
    while page := store.subjects(after=after, limit=PAGE):
        for row in page:
            if not row.user_id:
                account = row
            elif account.account_id != row.account_id:
                account = SubjectRow(account_id=row.account_id, user_id="")
            yield row, account
        after = page[-1].key


def _subject(row: SubjectRow, account: State) -> Judged:
    return Judged(row.user_id, unpack(row.state) if row.user_id else account, account, row.account_id)


def _standing(row: SubjectRow) -> Standing:
    return decode_standing(row.standing) if row.standing else UNJUDGED


def _start(standing: Standing) -> int | None:
    return standing.episode.started_at if standing.episode else None


def _tier(found: list[_Case], compared: _Compared, subject: Subject, tier: Tier) -> TierMovement:
    mine = [each for each in found if bool(each.user_id) == (subject == "member")]
    entering = sorted((each for each in mine if each.moves(tier) > 0), key=lambda each: (-each.score_after, each.key))
    leaving = sorted((each for each in mine if each.moves(tier) < 0), key=lambda each: (-each.score_before, each.key))
    names = {each.segment.key: name_of(each.segment) for each in compared.after.segments}
    come, go = (Counter(each.segment for each in movers) for movers in (entering, leaving))
    return TierMovement(
        subject=subject,
        tier=tier,
        before=sum(RANK[each.before] >= RANK[tier] for each in mine),
        after=sum(RANK[each.after] >= RANK[tier] for each in mine),
        entering=len(entering),
        leaving=len(leaving),
        segments=tuple(
            SegmentMovement(key=key, name=name, entering=come[key], leaving=go[key])
            for key, name in names.items()
            if come[key] or go[key]
        ),
        first_entering=tuple(_mover(each, names) for each in entering[:MOST_NAMED]),
        first_leaving=tuple(_mover(each, names) for each in leaving[:MOST_NAMED]),
    )


def _mover(case: _Case, names: dict[str, str]) -> Mover:
    return Mover(
        account_id=case.account_id,
        user_id=case.user_id,
        segment=names[case.segment],
        before=case.before,
        after=case.after,
        score_before=case.score_before,
        score_after=case.score_after,
    )


def _explained(store: Store, compared: _Compared, tiers: tuple[TierMovement, ...]) -> tuple[TierMovement, ...]:
    """Return the tiers with the reason of everybody who is named."""
    named = [mover for each in tiers for mover in (*each.first_entering, *each.first_leaving)]
    keys = {key for each in named for key in ((each.account_id, each.user_id), (each.account_id, ""))}
    rows = store.read_subjects(sorted(keys)) if keys else {}

    def explained(movers: tuple[Mover, ...], tier: Tier) -> tuple[Mover, ...]:
        return tuple(_because(each, compared, rows, tier) for each in movers)

    return tuple(
        replace(
            each,
            first_entering=explained(each.first_entering, each.tier),
            first_leaving=explained(each.first_leaving, each.tier),
        )
        for each in tiers
    )


def _because(mover: Mover, compared: _Compared, rows: dict[Key, SubjectRow], tier: Tier) -> Mover:
    row, account = rows.get((mover.account_id, mover.user_id)), rows.get((mover.account_id, ""))
    if row is None:
        return mover
    return replace(mover, why=compared.why(row, unpack(account.state if account else b""), tier))
