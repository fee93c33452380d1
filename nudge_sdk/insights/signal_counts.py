"""The counts beneath the signals: one query of events and one of journeys, the rest is added up in memory.

The query gives, by name of the event, how many members had which course: how often they did it on each of their first
days. From the courses follows, for every k and every d, how many had done it k times within d days.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from nudge_sdk.insights.tables import Tables
from nudge_sdk.rules.times import DAY, FOREVER, MINUTE

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from numpy.typing import NDArray

MOST_TIMES = 10
MOST_DAYS = 15
MOST_NAMES = 200
WITH_PURCHASE = MINUTE
"""What happens so shortly before the purchase is taken for a part of it when leaks are looked for."""

Unit = Literal["member", "account"]

_BITS = 4


@dataclass(frozen=True, kw_only=True)
class Population:
    """Who is asked.

    Attributes:
        by_won: How many paid between which edges; the last number: those who did not, or later.
        unfinished: How many are left out since their time to pay is not over.
        already_paid: How many are left out since they (or their account) had paid before they signed up.
    """

    by_won: NDArray[Any]
    unfinished: int
    already_paid: int

    @property
    def members(self) -> int:
        """How many."""
        return int(self.by_won.sum())


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Who did what, before they paid.

    Attributes:
        names: Of events, those that most did first.
        did: Name × times - 1 × days - 1 × purchase: how many did it so often within so many days, before they paid.
        first: Name × purchase: how many did it at all within all the days, before or after they paid.
        first_after: Of those, who did it first with the purchase or after it.
        more_names: How many names are left out.
    """

    names: tuple[str, ...]
    did: NDArray[Any]
    first: NDArray[Any]
    first_after: NDArray[Any]
    more_names: int


@dataclass(frozen=True, kw_only=True)
class Span:
    """Whose time is over, and how far their purchases are told apart.

    Attributes:
        latest: The last instant of a sign-up that is asked for.
        now: The instant that it is asked for.
        edges: Days since the sign-up, rising; purchases between the same two are all one.
    """

    latest: int
    now: int
    edges: tuple[int, ...]

    @property
    def kinds(self) -> int:
        """How many kinds of purchases are told apart, none at all being one of them."""
        return len(self.edges) + 1

    def within(self, days: int) -> int:
        """Return how many kinds are purchases within so many days, which is one of the edges."""
        return self.edges.index(days) + 1


def count_population(tables: Tables, span: Span, unit: Unit) -> Population:
    """Count who is asked, by when they paid."""
    import ibis
    import numpy as np

    journeys = _of(tables.journeys, unit)
    journeys = journeys.filter(journeys.signed_up_at <= span.now)
    state = ibis.cases(
        ((journeys.won_at < journeys.signed_up_at).fill_null(False), "paid"),
        (journeys.signed_up_at > span.latest, "unfinished"),
        else_="asked",
    )
    found = journeys.mutate(state=state, won=_won(journeys, span))
    by_won, left = np.zeros(span.kinds, np.int64), {"paid": 0, "unfinished": 0}
    for name, won, count in tables.rows(found.group_by("state", "won").agg(members=found.count())):
        if name == "asked":
            by_won[won] += count
        else:
            left[name] += count
    return Population(by_won=by_won, unfinished=left["unfinished"], already_paid=left["paid"])


def count_events(tables: Tables, span: Span, unit: Unit) -> Counts:
    """Count who did what, before they paid."""
    import numpy as np

    rows = tables.rows(_courses(tables, span, unit))
    names, *columns = zip(*rows, strict=True) if rows else [()] * 5
    won, course, is_after, members = (np.array(column, np.int64) for column in columns)
    known = sorted(set(names))
    codes = np.fromiter(map({name: code for code, name in enumerate(known)}.__getitem__, names), np.int64)
    frequency = np.bincount(codes, members, minlength=len(known))
    most = np.lexsort((np.arange(len(known)), -frequency))[:MOST_NAMES]
    places = np.full(len(known), -1)
    places[most] = np.arange(len(most))
    is_kept = places[codes] >= 0
    kinds = (places[codes] * span.kinds + won)[is_kept]
    shape = (len(most), span.kinds)
    return Counts(
        names=tuple(known[each] for each in most),
        did=_did(kinds, course[is_kept], members[is_kept], shape),
        first=_totals(kinds, members[is_kept], shape),
        first_after=_totals(kinds, (members * is_after)[is_kept], shape),
        more_names=len(known) - len(most),
    )


def _courses(tables: Tables, span: Span, unit: Unit) -> ir.Table:
    """Return the query: (name, purchase, course, whether the first time was with the purchase or after it, members).

    A course is a number of four bits a day: how often somebody did it that day, at most ``MOST_TIMES``.
    """
    import ibis

    did = _occurrences(tables, span, unit)
    daily = did.group_by("member", "name", "day").agg(
        times=ibis.least(did.count(where=did.is_before), MOST_TIMES), nearest=did.after_won.min()
    )
    course = (daily.times << (daily.day * _BITS).cast("int32")).sum()
    each = daily.group_by("member", "name").agg(course=course, nearest=daily.nearest.min())
    is_after = ibis.ifelse(each.nearest >= -WITH_PURCHASE, 1, 0)
    each = each.select("name", "course", won=each.member % span.kinds, is_after=is_after)
    return each.group_by("name", "won", "course", "is_after").agg(members=each.count())


def _occurrences(tables: Tables, span: Span, unit: Unit) -> ir.Table:
    """Return what those who are asked did in their first days.

    A member is a number, which holds the purchase too: grouping by one number is much faster than by texts.
    """
    import ibis

    keys = ["account_id", "user_id"] if unit == "member" else ["account_id"]
    journeys = _of(tables.journeys, unit)
    is_new = ~(journeys.won_at < journeys.signed_up_at).fill_null(False)
    journeys = journeys.filter(journeys.signed_up_at <= span.latest, is_new)
    number = ibis.row_number().over(ibis.window(order_by=keys)) * span.kinds + _won(journeys, span)
    journeys = journeys.select(*keys, "signed_up_at", member=number, won_at=journeys.won_at.fill_null(FOREVER))
    events = tables.events.select(*keys, "name", "at")
    did = events.join(journeys, keys)
    did = did.filter(did["at"] >= did.signed_up_at, did["at"] < did.signed_up_at + MOST_DAYS * DAY)
    return did.select(
        "member",
        "name",
        day=(did["at"] - did.signed_up_at) // DAY,
        is_before=did["at"] < did.won_at,
        after_won=did["at"] - did.won_at,
    )


def _of(journeys: ir.Table, unit: Unit) -> ir.Table:
    return journeys.filter(journeys.user_id != "" if unit == "member" else journeys.user_id == "")


def _won(journeys: ir.Table, span: Span) -> Any:
    """Return between which edges somebody paid."""
    import ibis

    last = len(span.edges)
    if last == span.edges[-1]:
        is_soon = journeys.won_at < journeys.signed_up_at + last * DAY
        return ibis.ifelse(is_soon, (journeys.won_at - journeys.signed_up_at) // DAY, last).fill_null(last)
    edges = (ibis.ifelse(journeys.won_at < journeys.signed_up_at + edge * DAY, 1, 0) for edge in span.edges)
    return last - sum(edges, start=ibis.literal(0)).fill_null(0)


def _did(kinds: NDArray[Any], course: NDArray[Any], members: NDArray[Any], shape: tuple[int, int]) -> NDArray[Any]:
    """Return how many did it at least so often within so many days: name × times - 1 × days - 1 × purchase."""
    import numpy as np

    so_far = np.zeros(len(course), np.int64)
    days = []
    for day in range(MOST_DAYS):
        so_far += (course >> (_BITS * day)) & (2**_BITS - 1)
        by_times = np.minimum(so_far, MOST_TIMES) + kinds * (MOST_TIMES + 1)
        exactly = _totals(by_times, members, (*shape, MOST_TIMES + 1))
        days.append(exactly[..., :0:-1].cumsum(axis=-1)[..., ::-1])
    return np.stack(days, axis=-1).transpose(0, 2, 3, 1)


def _totals(kinds: NDArray[Any], members: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    import numpy as np

    # Numbers of members are far below what a float holds exactly.
    return np.bincount(kinds, members, minlength=math.prod(shape)).reshape(shape).astype(np.int64)
