"""Features: what each member of a store had reached in their first days, and whether they paid after those.

What is counted of everybody says on which day a milestone was first reached, also for imported history and for
milestones that were defined later. Traits are kept without their past, so milestones that look at traits cannot be
shown to have been reached before: they are no features.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from nudge_sdk.insights.observations import Observations
from nudge_sdk.insights.sampling import draw
from nudge_sdk.insights.tables import Tables
from nudge_sdk.rules.compiled import CompiledMilestone, Rules
from nudge_sdk.rules.definition import Subject
from nudge_sdk.rules.signals import DEFAULT_WINDOW, target
from nudge_sdk.rules.state import State, unpack
from nudge_sdk.rules.tallies import Tally
from nudge_sdk.rules.times import DAY, day_of, end_of_day
from nudge_sdk.store.protocol import Key, SubjectRow

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST = 20_000
"""How many members are observed at most."""

_PAGE = 1000


class Subjects(Protocol):
    """Where states are read: a store, or the records of an archive."""

    def read_subjects(self, keys: Sequence[Key]) -> dict[Key, SubjectRow]:
        """Return the rows of members and accounts that there are."""


class _Observed(NamedTuple):
    """A member whose outcome is known. Instants in microseconds."""

    key: Key
    signed_up_at: int
    observed_at: int
    has_paid: bool
    is_nudged: bool
    is_qualified: bool


class Asked(NamedTuple):
    """Whom to observe, and for how long.

    Attributes:
        now: Those whose time to pay is not over by then are left out.
        at_days: How many UTC days are observed, that of the sign-up included.
        within_days: How soon after those they must have paid.
        unit: Members, or whole accounts.
        most: How many are observed at most: of more, a sample, the same one each time.
    """

    now: int
    at_days: int = 14
    within_days: int = 30
    unit: Subject = "member"
    most: int = MOST


def calibration_features(
    store: Subjects, tables: Tables, rules: Rules, *, now: int, at_days: int = 14, within_days: int = 30
) -> Observations:
    """Return which milestones each member had reached in their first days, and whether they paid after those.

    Args:
        store: Read for what was counted of everybody.
        tables: Journeys, and events for the host's releases.
        rules: The definition whose milestones are the features.
        now: Members whose time to pay is not over by then are left out.
        at_days: How many UTC days are observed, that of the sign-up included.
        within_days: How soon after those they must have paid.
    """
    return observe(store, tables, rules, Asked(now, at_days, within_days))


def observe(store: Subjects, tables: Tables, rules: Rules, asked: Asked) -> Observations:
    """Return who had reached what milestones in their first days, and who paid after those; see ``Asked``."""
    import numpy as np

    observed, left_out = _observed(tables, rules, asked)
    milestones = features_of(rules, asked.unit)
    reached_on = np.full((len(observed), len(milestones)), -1, np.int64)
    for row, state in enumerate(_states(store, [each.key for each in observed])):
        days = range(day_of(observed[row].signed_up_at), day_of(observed[row].observed_at))
        for place, milestone in enumerate(milestones):
            reached_on[row, place] = _first_day(milestone, state, observed[row].signed_up_at, days)
    columns = _columns(observed)
    names = tuple(each.key for each in milestones)
    return Observations(
        names=names,
        values=(reached_on >= 0).astype(float),
        known_at={
            name: np.where(reached_on[:, place] >= 0, (reached_on[:, place] + 1) * DAY - 1.0, np.nan)
            for place, name in enumerate(names)
        },
        release=_releases(tables, columns["observed_at"]),
        left_out=left_out,
        **columns,
    )


def features_of(rules: Rules, unit: Subject = "member") -> list[CompiledMilestone]:
    """Return the milestones that are features: those of the score that count events."""
    segment = rules.segments[0]
    own = {each.key for each in rules.definition.milestones}
    found = (segment.member if unit == "member" else segment.account).milestones
    return [each for each in found if each.key in own and each.signal_id and not each.is_fit]


def points_of(rules: Rules) -> dict[str, int]:
    """Return today's points of every milestone, in thousandths."""
    segment = rules.segments[0]
    return {each.key: each.points for subject in (segment.member, segment.account) for each in subject.milestones}


def _observed(tables: Tables, rules: Rules, asked: Asked) -> tuple[list[_Observed], tuple[tuple[str, int], ...]]:
    """Return who is observed, by key, and how many are not, by reason."""
    found: list[_Observed] = []
    unknown = unfinished = converted = 0
    for key, signed_up_at, won_at, offered_at, qualified_at in _journeys(tables, rules, asked.unit):
        if signed_up_at is None:
            unknown += 1
            continue
        observed_at = (day_of(signed_up_at) + asked.at_days) * DAY
        ends_at = observed_at + asked.within_days * DAY
        if won_at is not None and won_at < observed_at:
            converted += 1
        elif ends_at > asked.now:
            unfinished += 1
        else:
            known_by = ends_at if won_at is None else min(won_at, ends_at)
            found.append(
                _Observed(
                    key,
                    signed_up_at,
                    observed_at,
                    won_at is not None and won_at < ends_at,
                    offered_at is not None and offered_at < known_by,
                    qualified_at is not None and qualified_at < observed_at,
                )
            )
    left_out = (
        ("paid before the observation", converted),
        (f"their {asked.within_days} days to pay are not over", unfinished),
        ("nobody knows when they signed up", unknown),
        (f"more than the {asked.most:,} that are observed", max(0, len(found) - asked.most)),
    )
    return _sample(found, asked.most), tuple(each for each in left_out if each[1])


def _journeys(tables: Tables, rules: Rules, unit: Subject) -> Iterator[tuple[Key, Any, Any, Any, Any]]:
    """Yield (key, sign-up, purchase, first nudge, first tier); where the account buys, a nudge to any member counts."""
    journeys = tables.journeys
    columns = ("account_id", "user_id", "signed_up_at", "won_at", "offered_at", "qualified_at")
    rows = tables.rows(journeys.select(*columns))
    goals = rules.definition.goals
    is_of_account = bool(goals) and goals[0].unit == "account"
    of_account = {account: offered for account, user, _, _, offered, _ in rows if not user} if is_of_account else {}
    for account, user, signed_up_at, won_at, offered_at, qualified_at in rows:
        if bool(user) == (unit == "member"):
            offered = [each for each in (offered_at, of_account.get(account)) if each is not None]
            yield (account, user), signed_up_at, won_at, min(offered, default=None), qualified_at


def _sample(found: list[_Observed], most: int) -> list[_Observed]:
    """Return all, by key, or so many whose hashes are the least."""
    chosen = sorted(found, key=lambda each: draw(*each.key))[:most] if len(found) > most else found
    return sorted(chosen, key=lambda each: each.key)


def _states(store: Subjects, keys: Sequence[Key]) -> Iterator[State]:
    for start in range(0, len(keys), _PAGE):
        page = keys[start : start + _PAGE]
        rows = store.read_subjects(page)
        yield from (unpack(rows[key].state if key in rows else b"") for key in page)


def _first_day(milestone: CompiledMilestone, state: State, signed_up_at: int, days: range) -> int:
    """Return the first of these days at whose end a milestone was reached; -1 for none."""
    tally, signal = state.tallies.get(milestone.signal_id), milestone.milestone.signal
    if tally is None or signal is None:
        return -1
    window = milestone.milestone.window or DEFAULT_WINDOW
    if signal.measure == "values" and window.days is not None:
        return _first_day_of_values(tally, target(signal, milestone.milestone.at_least), window.days, days)
    # Only an event can make a count rise; a sum can rise, too, when an amount below zero leaves the window.
    asked: Iterable[int] = days if signal.measure == "sum" else [day for day in tally.days if day in days]
    facts: Any = None
    return next((day for day in asked if milestone.reached(state, facts, end_of_day(day), signed_up_at)), -1)


def _first_day_of_values(tally: Tally, needed: int, length: int, days: range) -> int:
    """Return the first of these days in whose window so many values were first seen; -1 for none.

    The reader of the rules takes for an earlier day also what was first seen after it, which here would be a leak.
    """
    first = sorted(at // DAY for at in tally.value_times.values())
    pairs = zip(first, first[needed - 1 :], strict=False) if needed > 0 else ()
    return next((last for early, last in pairs if last in days and last - early < length), -1)


def _columns(observed: Sequence[_Observed]) -> dict[str, NDArray[Any]]:
    import numpy as np

    accounts = {account: number for number, account in enumerate(sorted({each.key[0] for each in observed}))}
    return {
        "paid": np.array([each.has_paid for each in observed], bool),
        "observed_at": np.array([each.observed_at for each in observed], np.int64),
        "signed_up_at": np.array([each.signed_up_at for each in observed], np.int64),
        "nudged": np.array([each.is_nudged for each in observed], bool),
        "qualified": np.array([each.is_qualified for each in observed], bool),
        "clusters": np.array([accounts[each.key[0]] for each in observed], np.int64),
    }


def _releases(tables: Tables, observed_at: NDArray[Any]) -> NDArray[Any]:
    """Return the host's newest release at each instant: the one last first seen in any event; empty before any."""
    import numpy as np

    events = tables.events.filter(tables.events.release.notnull())
    first_seen = events.group_by("release").agg(at=events["at"].min())
    found = sorted((at, release) for release, at in tables.rows(first_seen))
    names = np.array(["", *(release for _, release in found)], object)
    return names[np.searchsorted([at for at, _ in found], observed_at, side="right")]
