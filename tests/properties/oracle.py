"""A second reading of the rules, straight from the records: no states, no bounded parts, no shortcuts.

It shares nothing with the package but the definition's values, so a mistake in what the fold and replay share shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from typing import Any, NamedTuple

from nudge_sdk.rules.conditions import Condition, Signal, Window
from nudge_sdk.rules.definition import Definition, Entry, Milestone, Segment, Thresholds
from nudge_sdk.rules.records import Record
from nudge_sdk.rules.times import DAY, HOUR, SECOND

Key = tuple[str, str]
RANKS = {"none": 0, "warm": 1, "hot": 2}
NOBODY = Segment(key="")
HAND_RAISED = Signal(event="hand_raised")


class Judgement(NamedTuple):
    """What is said of somebody at an instant."""

    segment: str
    score: int
    fit: int
    entry: str
    tier: str


@dataclass
class Spell:
    """An episode."""

    started_at: int
    goal: str
    tier: str
    cause: str
    ended_at: int | None = None
    end_reason: str = ""


@dataclass
class Story:
    """What happened to one subject, until it counts for another."""

    is_over: bool = False
    tier: str = "none"
    spell: Spell | None = None
    spells: list[Spell] = field(default_factory=list)
    transitions: list[tuple[int, str, str, str]] = field(default_factory=list)


class World:
    """Everything that was said up to some moment."""

    def __init__(self, records: Iterable[Record]) -> None:
        unique = {record.identity: record for record in reversed(list(records))}
        self.records = sorted(unique.values(), key=lambda record: (counted_at(record), record.id))
        self.moves = self._moves()
        self.of: dict[Key, list[tuple[Record, str]]] = {}
        self.asked: dict[Any, Any] = {}
        for record in self.records:
            account_id, user_id = self.resolve((record.account_id, record.user_id))
            for key in {(account_id, ""), (account_id, user_id)}:
                self.of.setdefault(key, []).append((record, user_id))

    def _moves(self) -> dict[Key, tuple[int, Key]]:
        moves: dict[Key, tuple[int, Key]] = {}
        for order, record in enumerate(self.records):
            account_id, user_id = record.account_id, record.user_id
            if record.kind == "group" and user_id and not account_id.startswith("personal:"):
                moves.setdefault((f"personal:{user_id}", user_id), (order, (account_id, user_id)))
            elif record.kind == "alias" and record.name != user_id:
                is_personal = account_id.startswith("personal:")
                target = (f"personal:{record.name}" if is_personal else account_id, record.name)
                moves.setdefault((account_id, user_id), (order, target))
        return moves

    def resolve(self, key: Key) -> Key:
        """Return whom somebody counts for; where moves lead in a circle, the latest of them does not hold."""
        path: list[Key] = []
        while key in self.moves and key not in path:
            path.append(key)
            key = self.moves[key][1]
        circle = path[path.index(key) :] if key in path else []
        return max(circle, key=self.moves.__getitem__) if circle else key

    def circles(self) -> int:
        """Return how many members are part of a circle of moves."""
        return sum(self.resolve(key) == key for key in self.moves)

    def once(self, question: Any, answer: Callable[[], Any]) -> Any:
        """Answer a question, and remember the answer."""
        if question not in self.asked:
            self.asked[question] = answer()
        return self.asked[question]

    def traits(self, key: Key) -> dict[str, Any]:
        """Return the traits somebody has."""
        found: dict[str, Any] = self.once(("traits", key), lambda: self._traits(key))
        return found

    def _traits(self, key: Key) -> dict[str, Any]:
        kinds = ("identify",) if key[1] else ("group", "left")
        traits: dict[str, Any] = {}
        for record, _ in self.of.get(key, ()):
            if record.kind in kinds:
                traits.update(record.data)
        return {name: value for name, value in traits.items() if value is not None}

    def last_said(self, key: Key, kinds: tuple[str, ...], name: str) -> str:
        """Return the kind of the last record of these kinds and name, or an empty text."""
        return next((r.kind for r, _ in reversed(self.of.get(key, ())) if r.kind in kinds and r.name == name), "")

    def said_no(self, key: Key) -> bool:
        """Whether a member said no to everything, or an account is the personal one of somebody who did."""
        is_person = bool(key[1]) or key[0].startswith("personal:")
        return is_person and self.last_said(key, ("opt_out", "opt_in"), "") == "opt_out"

    def has_left(self, account_id: str, user_id: str) -> bool:
        """Whether a member left its account."""
        told = [record for record, user in self.of.get((account_id, ""), ()) if user == user_id]
        said = [record.kind for record in told if record.kind in ("group", "left")]
        return bool(said) and said[-1] == "left"

    def events(self, key: Key) -> list[tuple[Record, str]]:
        """Return what somebody did."""
        done: list[tuple[Record, str]] = self.once(
            ("events", key), lambda: [pair for pair in self.of.get(key, ()) if pair[0].kind == "track"]
        )
        return done

    def signup(self, key: Key) -> int:
        """Return the instant of sign-up."""
        given = self.traits(key).get("created_at")
        if given is not None:
            return instant(given)
        return min((counted_at(record) for record, _ in self.events(key)), default=0)

    def active(self, account_id: str, at: int, days: int) -> int:
        """Return how many members did anything in the last days (or later) and have not left."""
        users = {
            user
            for record, user in self.events((account_id, ""))
            if user and counted_at(record) // DAY > at // DAY - days
        }
        return sum(not self.has_left(account_id, user) for user in users)


def counted_at(record: Record) -> int:
    """Return the instant a record counts at: a time over five minutes in the future is that of its arrival."""
    return min(record.at, record.received_at) if record.at - record.received_at > 300 * SECOND else record.at


def instant(text: str) -> int:
    """Return microseconds of an ISO 8601 text."""
    delta = datetime.fromisoformat(text) - datetime.fromisoformat("1970-01-01T00:00:00Z")
    return (delta.days * 86_400 + delta.seconds) * SECOND + delta.microseconds


def matching(world: World, key: Key, signal: Signal) -> list[tuple[int, Any]]:
    """Return (instant, amount or value) of every occurrence of a signal."""
    found: list[tuple[int, Any]] = world.once((key, signal), lambda: _matching(world, key, signal))
    return found


def _matching(world: World, key: Key, signal: Signal) -> list[tuple[int, Any]]:
    names = (signal.event,) if isinstance(signal.event, str) else signal.event
    found = []
    for record, user in world.events(key):
        if record.name not in names or (signal.where and not property_holds(signal.where, record.data)):
            continue
        taken: Any = user if signal.property == "$user" else record.data.get(signal.property)
        if signal.measure == "sum":
            if isinstance(taken, bool) or not isinstance(taken, int | float):
                continue
            taken = round(Fraction(str(taken)) * 1_000_000)
        elif signal.measure == "values":
            if taken is None:
                continue
            taken = (type(taken).__name__, taken)
        found.append((counted_at(record), taken))
    return found


def property_holds(condition: Condition, data: dict[str, Any]) -> bool:
    """Answer the one kind of condition that histories put on properties."""
    return condition.property is not None and data.get(condition.property) == condition.equals


def measure(world: World, key: Key, milestone: Milestone, at: int) -> int:
    """Return how much of a signal there is in its window at an instant."""
    signal, window = milestone.signal, milestone.window or Window(days=14)
    assert signal is not None
    seen = matching(world, key, signal)
    today = at // DAY
    if window.days is not None or window.ever:
        low = today - window.days if window.days is not None else -(10**9)
        inside = [(time, taken) for time, taken in seen if low < time // DAY <= today]
        if signal.measure == "values" and window.days is not None:
            inside = [(time, taken) for time, taken in seen if low < time // DAY]
    else:
        start = world.signup(key)
        length = round((window.since_signup_days or 0) * DAY + (window.since_signup_hours or 0) * HOUR)
        inside = [(time, taken) for time, taken in seen if start <= time < start + length and time <= at]
    if signal.measure == "count":
        return len(inside)
    if signal.measure == "sum":
        return sum(taken for _, taken in inside)
    if signal.measure == "values":
        return len({taken for _, taken in inside})
    days = sorted({time // DAY for time, _ in inside})
    return len(days) if signal.measure == "days" else longest_run(days)


def longest_run(days: Sequence[int]) -> int:
    """Return the most consecutive days."""
    present = set(days)
    starts = [day for day in present if day - 1 not in present]
    return max((next(n for n in range(1, len(days) + 2) if start + n not in present) for start in starts), default=0)


def is_reached(world: World, key: Key, milestone: Milestone, at: int) -> bool:
    """Whether a milestone is reached."""
    if milestone.signal is not None:
        scale = 1_000_000 if milestone.signal.measure == "sum" else 1
        return measure(world, key, milestone, at) >= Fraction(str(milestone.at_least)) * scale
    account = world.traits((key[0], ""))
    if milestone.usage is not None:
        for traits in (account, world.traits(key)):
            used, most = traits.get(milestone.usage.value), traits.get(milestone.usage.limit)
            if used is not None and most is not None:
                return bool(Fraction(used, most) >= Fraction(str(milestone.usage.share)))
        return False
    condition = milestone.when
    assert condition is not None
    if condition.trait is not None:
        return bool(world.traits(key).get(condition.trait) == condition.equals)
    ends = account.get(condition.account_trait or "")
    return ends is not None and 0 <= at - instant(ends) < (condition.within_days or 0) * DAY


def evaluate(world: World, key: Key, definition: Definition, at: int) -> tuple[int, int, set[str]]:
    """Return score and fit in thousandths, and the keys of the milestones that are reached."""
    subject = "member" if key[1] else "account"
    score = fit = 0
    reached = set()
    grouped: dict[str, int] = {}
    for milestone in definition.milestones:
        if milestone.subject != subject or not is_reached(world, key, milestone, at):
            continue
        reached.add(milestone.key)
        points = round((milestone.points or 0) * 1000)
        decay = milestone.decay
        if decay is not None and milestone.signal is not None:
            days = [time // DAY for time, _ in matching(world, key, milestone.signal)]
            last = max((day for day in days if day <= at // DAY), default=at // DAY)
            age = at // DAY - last - decay.grace_days
            points = points if age <= 0 else round(points * 0.5 ** (age / decay.half_life_days))
        if milestone.axis == "fit":
            fit += points
        elif milestone.group:
            grouped[milestone.group] = grouped.get(milestone.group, 0) + points
        else:
            score += points
    caps = {group.key: round(group.cap * 1000) for group in definition.groups}
    return score + sum(min(points, caps[group]) for group, points in grouped.items()), fit, reached


def segment_of(world: World, key: Key, definition: Definition) -> Segment:
    """Return the first segment that fits."""
    traits = world.traits((key[0], ""))
    for segment in definition.segments:
        when = segment.when
        if when is None or traits.get(when.account_trait or "") == when.equals:
            return segment
    return NOBODY


def judge(world: World, key: Key, definition: Definition, at: int) -> Judgement:
    """Return what is said of a subject at an instant."""
    segment = segment_of(world, key, definition)
    thresholds = segment.member if key[1] else segment.account
    if world.said_no(key):
        return Judgement(segment.key, 0, 0, "none", "none")
    score, fit, _ = evaluate(world, key, definition, at)
    entry = entered(world, key, definition, thresholds, at)
    tier = entry
    subject = "member" if key[1] else "account"
    first = min((counted_at(record) // DAY for record, _ in world.events(key)), default=10**9)
    if any(each.signal is None for each in definition.milestones if each.subject == subject):
        first = -(10**9)
    for back in range(1, segment.hold_days + 1):
        day = at // DAY - back
        if day >= first:
            tier = max(tier, entered(world, key, definition, thresholds, (day + 1) * DAY - 1), key=RANKS.__getitem__)
    return Judgement(segment.key, score, fit, entry, tier)


def entered(world: World, key: Key, definition: Definition, thresholds: Thresholds, at: int) -> str:
    """Return the highest tier whose entry condition holds."""
    question = ("entered", key, at, id(definition), thresholds)
    tier: str = world.once(question, lambda: _entered(world, key, definition, thresholds, at))
    return tier


def _entered(world: World, key: Key, definition: Definition, thresholds: Thresholds, at: int) -> str:
    found = evaluate(world, key, definition, at)
    for name, entry in (("hot", thresholds.hot), ("warm", thresholds.warm)):
        if entry is not None and enters(world, key, entry, found, at):
            return name
    return "none"


def enters(world: World, key: Key, entry: Entry, found: tuple[int, int, set[str]], at: int) -> bool:
    """Whether one tier's entry condition holds."""
    score, fit, reached = found
    if score < round(entry.score * 1000):
        return False
    for gate in entry.gates:
        if gate.milestones and len(reached & set(gate.milestones)) < gate.at_least:
            return False
        if gate.fit is not None and fit < round(gate.fit * 1000):
            return False
        if gate.active_users is not None and world.active(key[0], at, gate.days) < gate.active_users:
            return False
    return True


def tell(published: Sequence[tuple[int, Definition]], records: Sequence[Record], until: int) -> dict[Key, Story]:
    """Return the story of every subject, walking through everything in the order of time.

    Args:
        published: (instant, definition), oldest first.
        records: All records, in any order; those marked as history become known together, when the last arrived.
        until: The instant to stop at.
    """
    return _Telling(published, records).run(until)


class _Telling:
    def __init__(self, published: Sequence[tuple[int, Definition]], records: Sequence[Record]) -> None:
        self.published = published
        self.history = [record for record in records if record.history]
        self.live = sorted((r for r in records if not r.history), key=lambda r: (counted_at(r), r.id))
        self.stories: dict[Key, Story] = {}
        self.known: list[Record] = []
        self.world = World(())

    def run(self, until: int) -> dict[Key, Story]:
        imported_at = max((record.received_at for record in self.history), default=None)
        moments: list[tuple[int, int, str, list[Record]]] = []
        if imported_at is not None:
            moments.append((imported_at, 1, "import", self.history))
        moments += [(counted_at(record), 2, record.id, [record]) for record in self.live]
        now: int | None = None
        for at, _, cause, records in sorted(moments, key=lambda moment: moment[:3]):
            if at > until:
                break
            self.pass_time(now, at)
            self.learn(records)
            self.judge_all(at, cause)
            now = at
        self.pass_time(now, until)
        return self.stories

    def pass_time(self, since: int | None, until: int) -> None:
        """Judge everybody at every midnight, turn of a trait, and publication."""
        if since is None:
            return
        published = {at for at, _ in self.published}
        boundaries = published | self.turns() | {day * DAY for day in range(since // DAY + 1, until // DAY + 1)}
        for at in sorted(each for each in boundaries if since < each <= until):
            self.judge_all(at, "publication" if at in published else "time")

    def turns(self) -> set[int]:
        """Return the instants at which a condition on a dated trait begins or ends to hold."""
        spans = {
            round(milestone.when.within_days * DAY)
            for _, definition in self.published
            for milestone in definition.milestones
            if milestone.when is not None and milestone.when.within_days is not None
        }
        ends = [self.world.traits(key).get("trial_ends") for key in self.stories if not key[1]]
        return {instant(end) + span for end in ends if end for span in (0, *spans)}

    def learn(self, records: Sequence[Record]) -> None:
        """Take records in; whoever now counts for somebody else hands over the episode."""
        self.known += records
        self.world = World(self.known)
        for key in list(self.stories):
            target = self.world.resolve(key) if key[1] else key
            story = self.stories[key]
            if key in self.world.of or target == key or story.is_over:
                continue
            into, story.is_over = self.stories.setdefault(target, Story()), True
            spells = [spell for spell in (into.spell, story.spell) if spell is not None]
            into.spell = max(spells, key=lambda spell: spell.started_at, default=None)
        for key in self.world.of:
            story = self.stories.setdefault(key, Story())
            if story.is_over:
                self.stories[key] = Story(spells=story.spells, transitions=story.transitions)

    def judge_all(self, at: int, cause: str) -> None:
        """Judge everybody who still counts for himself."""
        definition = next((d for live_at, d in reversed(self.published) if live_at <= at), self.published[0][1])
        for key, story in self.stories.items():
            if key in self.world.of:
                found = judge(self.world, key, definition, at)
                if found.tier != story.tier:
                    story.transitions.append((at, cause, story.tier, found.tier))
                    story.tier = found.tier
                if key[1]:
                    self.tell_episode(key, story, definition, (at, found.entry, cause))

    def tell_episode(self, key: Key, story: Story, definition: Definition, found: tuple[int, str, str]) -> None:
        """Begin, end, or go on with an episode."""
        at, entry, cause = found
        world, spell = self.world, story.spell
        segment = segment_of(world, key, definition)
        unit = {"account": (key[0], ""), "member": key}
        said = {goal.key: world.last_said(unit[goal.unit], ("convert", "churn"), goal.key) for goal in definition.goals}
        met = {goal for goal, kind in said.items() if kind == "convert"}
        is_out = world.last_said(key, ("opt_out", "opt_in"), "") == "opt_out"
        has_left = world.has_left(*key)
        if spell is not None:
            day = at // DAY - spell.started_at // DAY
            if spell.ended_at is None and day < segment.episode_days:
                reason = "goal" if spell.goal in met else "opt_out" if is_out else "left" if has_left else ""
                if reason:
                    ended = Spell(spell.started_at, spell.goal, spell.tier, spell.cause, at, reason)
                    self.keep(story, ended)
                return
            last = spell.started_at // DAY + segment.episode_days - 1
            if spell.ended_at is not None:
                last = spell.ended_at // DAY
            if at // DAY <= last + segment.rest_days:
                return
        goal = next((goal.key for goal in definition.goals if goal.key not in met), "")
        if entry != "none" and goal and not is_out and not has_left:
            self.keep(story, Spell(at, goal, entry, cause))

    @staticmethod
    def keep(story: Story, spell: Spell) -> None:
        """Write an episode down, over its earlier form."""
        story.spell = spell
        if story.spells and story.spells[-1].started_at == spell.started_at:
            story.spells[-1] = spell
        else:
            story.spells.append(spell)
