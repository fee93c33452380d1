"""Signals: which early actions go with paying.

Each name of an event is tried as "did it at least k times within the first d days", for k of 1 to 10 and d of 1 to 15.
Only what happened strictly before the purchase counts, and only those are asked whose time to pay is over. What is
found is an association: it says who pays, not that making somebody do it would make them pay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nudge_sdk.insights.signal_counts import (
    MOST_DAYS,
    MOST_TIMES,
    Counts,
    Population,
    Span,
    count_events,
    count_population,
)
from nudge_sdk.insights.signal_reports import Cell, CountedFrom, EventSignal, SignalReport, Unit, Verdict
from nudge_sdk.insights.statistics.association import adjusted, associate, associations, p_values, phi
from nudge_sdk.insights.statistics.intervals import Rate, rate
from nudge_sdk.insights.tables import Tables
from nudge_sdk.rules.times import DAY

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOP = 3
SURE = 0.05
"""Below this q-value a difference counts as proved."""

FEWEST, FEWEST_SHARE = 5, 0.002
"""A cell in which fewer members than these, or a smaller share of them, differ from the rest says nothing."""

FEWEST_STEPS, STEP_SHARE = 20, 0.95
"""Of so many buyers or more such a share must have done it first for it to be a step of buying."""

FEWEST_AFTER, ONLY_BUYERS = 5, 0.9
"""What so many buyers or more did first with the purchase or after it, most of those who did it at all, is leaky where
such a share of all who did it paid: it is computed from the purchase."""

_ORDER: dict[Verdict, int] = {"predicts": 0, "step": 1, "unclear": 2, "leaky": 3, "no information": 4}
_CELLS = MOST_TIMES * MOST_DAYS


def signals(
    tables: Tables,
    *,
    now: int,
    within_days: int = 30,
    counted_from: CountedFrom = "sign-up",
    unit: Unit = "member",
) -> SignalReport:
    """Return which early actions go with paying.

    Args:
        tables: Journeys and events.
        now: Those whose time to pay is not over by then are left out.
        within_days: How soon somebody must have paid.
        counted_from: From when those days count. From the ``sign-up`` on, those who pay early have less time to do
            anything before, which can hide an action but never make one look better. From the end of the
            ``observation`` on, those who paid before it are left out of the cell.
        unit: Whom to count. The members of one account pay together where the buyer is the account: p-values are then
            too small for members, and right for accounts.
    """
    edges = _edges(within_days, counted_from)
    span = Span(latest=now - edges[-1] * DAY, now=now, edges=edges)
    population = count_population(tables, span, unit)
    counts = count_events(tables, span, unit)
    grid_of = _since_signup if counted_from == "sign-up" else _since_observation
    bought = span.within(within_days) if counted_from == "sign-up" else len(edges)
    study = _Study(counts, population, grid_of(counts, population, span, within_days), bought, span.within(MOST_DAYS))
    events = sorted(study.events(), key=_rank)
    return SignalReport(
        at=now,
        unit=unit,
        within_days=within_days,
        counted_from=counted_from,
        members=population.members,
        converted=int(population.by_won[:bought].sum()),
        unfinished=population.unfinished,
        already_paid=population.already_paid,
        events=tuple(events),
        top=tuple(each.name for each in events if each.verdict == "predicts")[:TOP],
        more_names=counts.more_names,
    )


def fewest(of: Any) -> Any:
    """Return how many must at least differ from the rest, of so many."""
    import numpy as np

    return np.maximum(FEWEST, np.ceil(FEWEST_SHARE * np.asarray(of)))


@dataclass(frozen=True)
class _Grid:
    """Tables of two by two, each name × times - 1 × days - 1."""

    both: NDArray[Any]
    did: NDArray[Any]
    converted: NDArray[Any]
    of: NDArray[Any]

    @property
    def columns(self) -> tuple[NDArray[Any], ...]:
        return (self.both, self.did, self.converted, self.of)


def _edges(within_days: int, counted_from: CountedFrom) -> tuple[int, ...]:
    if counted_from == "sign-up":
        return tuple(sorted({within_days, MOST_DAYS}))
    return tuple(range(1, MOST_DAYS + within_days + 1))


def _since_signup(counts: Counts, population: Population, span: Span, within_days: int) -> _Grid:
    import numpy as np

    did, by_won, bought = counts.did, population.by_won, span.within(within_days)
    both = did[..., :bought].sum(-1)
    converted, of = (np.full_like(both, each) for each in (by_won[:bought].sum(), by_won.sum()))
    return _Grid(both, did.sum(-1), converted, of)


def _since_observation(counts: Counts, population: Population, span: Span, within_days: int) -> _Grid:
    import numpy as np

    did, by_won = counts.did, population.by_won
    ends = [(day - 1, span.within(day), span.within(day + within_days)) for day in range(1, MOST_DAYS + 1)]
    both = np.stack([did[:, :, day, start:end].sum(-1) for day, start, end in ends], axis=-1)
    everybody = np.stack([did[:, :, day, start:].sum(-1) for day, start, _ in ends], axis=-1)
    converted = np.array([by_won[start:end].sum() for _, start, end in ends])
    of = np.array([by_won[start:].sum() for _, start, _ in ends])
    return _Grid(both, everybody, np.broadcast_to(converted, both.shape), np.broadcast_to(of, both.shape))


class _Study:
    """What was counted, and what it comes to, in arrays of names × cells.

    Attributes:
        bought, early: How many kinds of purchases count, and how many were made within the first days.
        is_tested: Whether enough differ from the rest.
        phi: Minus infinity where it was not tested.
        best: The place of the highest phi of each name.
        leaks: Of each name: why it is leaky, or an empty text.
        q: Benjamini-Hochberg over the tested cells of names that are not leaky; 1 for others.
    """

    def __init__(self, counts: Counts, population: Population, grid: _Grid, bought: int, early: int) -> None:
        import numpy as np

        self.counts, self.by_won, self.bought, self.early = counts, population.by_won, bought, early
        self.columns = tuple(each.reshape(len(counts.names), _CELLS) for each in grid.columns)
        _, did, converted, of = self.columns
        differ = np.minimum.reduce([did, of - did, converted, of - converted])
        self.is_tested = (differ > 0) & (np.minimum(did, of - did) >= fewest(of))
        self.phi = np.where(self.is_tested, phi(*self.columns), -np.inf)
        self.p = np.where(self.is_tested, p_values(*self.columns), 1.0)
        self.best = self.phi.argmax(axis=1)
        self.leaks = [self._leak(place) for place in range(len(counts.names))]
        is_counted = self.is_tested & np.array([not leak for leak in self.leaks], bool)[:, None]
        self.q = np.ones(self.p.shape)
        self.q[is_counted] = adjusted(self.p[is_counted])

    def events(self) -> list[EventSignal]:
        """Return what each event says."""
        found = associations(*(each.reshape(-1) for each in self.columns))
        return [self._event(place, found[place * _CELLS :][:_CELLS]) for place in range(len(self.counts.names))]

    def _event(self, place: int, found: list[Any]) -> EventSignal:
        cells = [
            Cell(at_least=cell // MOST_DAYS + 1, days=cell % MOST_DAYS + 1, association=each, q_value=float(q))
            for cell, (each, q) in enumerate(zip(found, self.q[place], strict=True))
        ]
        best = cells[self.best[place]] if self.is_tested[place].any() else None
        buyers = self._buyers(place, best.at_least if best else 1)
        verdict, reason = self._verdict(place, best, buyers)
        return EventSignal(
            name=self.counts.names[place],
            members=int(self.counts.first[place].sum()),
            verdict=verdict,
            reason=reason,
            best=best,
            after_purchase=self._after_purchase(place),
            buyers=buyers,
            cells=tuple(sorted(cells, key=lambda cell: (cell.days, cell.at_least))),
        )

    def _after_purchase(self, place: int) -> Rate:
        first, after = (each[place, : self.bought] for each in (self.counts.first, self.counts.first_after))
        return rate(int(after.sum()), int(first.sum()))

    def _buyers(self, place: int, at_least: int) -> Rate:
        did = self.counts.did[place, at_least - 1, -1, : self.early]
        return rate(int(did.sum()), int(self.by_won[: self.early].sum()))

    def _leak(self, place: int) -> str:
        """Return why an event is known only with or after the purchase, or an empty text.

        Most buyers must have done it first then; and either hardly anybody but buyers does it, or it goes with paying
        only if what happened then counts too.
        """
        after = self._after_purchase(place)
        if after.count < FEWEST_AFTER or 2 * after.count <= after.of:
            return ""
        first = self.counts.first[place]
        converted, of = int(self.by_won[: self.bought].sum()), int(self.by_won.sum())
        hindsight = associate(int(first[: self.bought].sum()), int(first.sum()), converted, of)
        whose = f"{after.count:,} of the {after.of:,} buyers who did it did so first with the purchase or after it"
        if (hindsight.precision.share or 0) >= ONLY_BUYERS:
            return f"{whose}, and hardly anybody else does it: it is computed from the purchase"
        is_honest = self.phi[place].max() > 0 and self.p[place, self.best[place]] * _CELLS <= SURE
        if not is_honest and (hindsight.phi or 0) > 0 and hindsight.p_value * _CELLS <= SURE:
            return f"{whose}: it goes with paying only in hindsight"
        return ""

    def _verdict(self, place: int, best: Cell | None, buyers: Rate) -> tuple[Verdict, str]:
        if self.leaks[place]:
            return "leaky", self.leaks[place]
        members, everybody = int(self.counts.first[place].sum()), int(self.by_won.sum())
        if int(self.by_won[: self.bought].sum()) in (0, everybody):
            return "unclear", f"{'nobody' if not self.by_won[: self.bought].any() else 'everybody'} paid in time"
        if best is None or best.association.phi is None:
            return "no information", f"{members:,} of {everybody:,} did it: it tells hardly anybody apart"
        if best.association.phi <= 0 or best.q_value > SURE:
            return "unclear", "those who did it are not proved to pay more often than others"
        if buyers.of >= FEWEST_STEPS and (buyers.share or 0) >= STEP_SHARE:
            return "step", (
                f"{buyers.count:,} of the {buyers.of:,} early buyers did it first: it may be a part of buying, or "
                "something that everybody does who goes on"
            )
        return "predicts", "those who did it pay more often than others, beyond chance"


def _rank(event: EventSignal) -> tuple[int, float, str]:
    value = event.best.association.phi if event.best else None
    return (_ORDER[event.verdict], -(value or 0.0), event.name)
