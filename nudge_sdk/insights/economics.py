"""Economics: what a PQL and a customer cost, by where customers came from, from costs that somebody types in (R82)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from nudge_sdk.errors import RecordError
from nudge_sdk.insights.statistics.poisson import RateRatio, count_interval, rate_ratio
from nudge_sdk.rules.times import day_of, to_iso

if TYPE_CHECKING:
    from nudge_sdk.insights.tables import Tables

Origin = Literal["pql", "other"]
CostOf = Literal["pql", "other", "shared"]

ORIGINS: tuple[Origin, ...] = ("pql", "other")
MILLION = 1_000_000
MOST = 10**12
"""The largest amount that makes sense, in whole units of a currency."""

_PLAIN = re.compile(r"-?[0-9]+(\.[0-9]+)?")


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What was spent in the time that is looked at.

    Attributes:
        of: On PQLs (prompts, help, sales calls to them), on other ways (advertisements, other leads), or ``shared``:
            that is divided by the customers won, the same amount each (in halves while there is none).
        amount: In millionths of a unit of the currency.
        name: What for.
    """

    of: CostOf
    amount: int
    name: str = ""


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What came of accounts of one origin.

    Attributes:
        leads: Of PQLs: accounts with a first PQL in that time. Of others: accounts that signed up in it and had no PQL
            by its end.
        won: Accounts that met the first goal in that time: with a PQL before or at that instant, or without.
        value: What those are worth, in millionths; that of accounts without a value is not in it.
        with_value: How many have one.
    """

    leads: int
    won: int
    value: int = 0
    with_value: int = 0


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    """What one origin costs and brings; amounts are in millionths.

    Attributes:
        cost: Its own, and its part of what is shared.
        cost_per_lead: None without leads.
        cac: Cost of a customer won; None without any.
        cac_low, cac_high: What it would be with as many customers as chance might have brought: cost by the exact 95 %
            Poisson interval of their number; no upper end without any customer.
        value_per_cost: What the customers are worth, for each unit spent; None without costs, or values.
    """

    origin: Origin
    counts: Counts
    cost: int
    cost_per_lead: int | None
    cac: int | None
    cac_low: int | None
    cac_high: int | None
    value_per_cost: float | None


class Economics(msgspec.Struct, frozen=True, kw_only=True):
    """What customers cost by origin.

    Attributes:
        since, until: The time, in microseconds.
        segment: Whom it counts; empty for everybody.
        costs: As typed in.
        channels: PQL-sourced, then others.
        ratio: How many times the CAC of others is that of PQL-sourced customers; None where one is missing, or nothing
            was spent. Its interval takes the costs as they are and the numbers won as chance brought them.
    """

    since: int
    until: int
    segment: str
    costs: tuple[Cost, ...]
    channels: tuple[Channel, ...]
    ratio: RateRatio | None

    def of(self, origin: Origin) -> Channel:
        """Return a channel."""
        return next(each for each in self.channels if each.origin == origin)


def economics(tables: Tables, costs: Sequence[Cost], *, since: int, until: int, segment: str = "") -> Economics:
    """Return what PQLs and customers cost.

    Args:
        tables: What to read.
        costs: What was spent between the two instants.
        since: The first instant, in microseconds.
        until: The instant after the last.
        segment: Key of the only segment to count; empty for all.
    """
    counts = counts_of(tables, since=since, until=until, segment=segment)
    return economics_of(counts, costs, since=since, until=until, segment=segment)


def counts_of(tables: Tables, *, since: int, until: int, segment: str = "") -> dict[Origin, Counts]:
    """Return what came of accounts, by origin; the arguments are those of ``economics``."""
    accounts = tables.journeys.filter(tables.journeys.user_id == "")
    if segment:
        accounts = accounts.filter(accounts.segment == segment)
    has_pql = accounts.qualified_at.notnull() & (accounts.qualified_at < until)
    has_pql_before = accounts.qualified_at.notnull() & (accounts.qualified_at <= accounts.won_at)
    is_won = _within(accounts.won_at, since, until)
    leads = {
        "pql": _within(accounts.qualified_at, since, until),
        "other": _within(accounts.signed_up_at, since, until) & ~has_pql,
    }
    won = {"pql": is_won & has_pql_before, "other": is_won & ~has_pql_before}
    columns = {
        f"{name}_{origin}": value
        for origin in ORIGINS
        for name, value in (
            ("leads", leads[origin].ifelse(1, 0).sum()),
            ("won", won[origin].ifelse(1, 0).sum()),
            ("value", won[origin].ifelse(accounts.value, None).sum()),
            ("with_value", won[origin].ifelse(accounts.value, None).count()),
        )
    }
    found = dict(zip(columns, tables.rows(accounts.aggregate(**columns))[0], strict=True))
    names = ("leads", "won", "value", "with_value")
    return {origin: Counts(**{name: found[f"{name}_{origin}"] or 0 for name in names}) for origin in ORIGINS}


def economics_of(
    counts: dict[Origin, Counts], costs: Sequence[Cost], *, since: int, until: int, segment: str = ""
) -> Economics:
    """Return what PQLs and customers cost, of counts; a pure function."""
    won = sum(each.won for each in counts.values())
    shared = sum(each.amount for each in costs if each.of == "shared")

    def spent(origin: Origin) -> int:
        own = sum(each.amount for each in costs if each.of == origin)
        part = Decimal(counts[origin].won) / won if won else Decimal(1) / len(ORIGINS)
        return own + int((shared * part).to_integral_value())

    channels = tuple(_channel(origin, counts[origin], spent(origin)) for origin in ORIGINS)
    pql, other = channels
    ratio = rate_ratio(pql.counts.won, pql.cost, other.counts.won, other.cost) if pql.counts.won else None
    return Economics(
        since=since, until=until, segment=segment, costs=tuple(costs), channels=channels, ratio=ratio
    )  # fmt: skip


def read_amount(text: str, field: str = "cost") -> int:
    """Return an amount as people write it (``12000``, ``12,000.50``, ``12 000``), in millionths.

    Raises:
        RecordError: It is no amount, negative, or far too large.
    """
    plain = text.strip().replace(" ", "").replace("\u00a0", "").replace("_", "").replace(",", "")
    try:
        amount = Decimal(plain) if _PLAIN.fullmatch(plain) else None
    except InvalidOperation:
        amount = None
    if amount is None or not 0 <= amount <= MOST:
        raise RecordError(field, f"{text!r} is no amount; give a number of 0 or more, such as 12000 or 12000.50")
    return int(amount * MILLION)


def economics_words(found: Economics) -> list[str]:
    """Return what customers cost as lines for people."""
    lines = [f"from {_day(found.since)} until {_day(found.until)}, amounts as they were typed in"]
    names = {"pql": "PQL-sourced", "other": "others"}
    for each in found.channels:
        leads = "accounts with a new PQL" if each.origin == "pql" else "accounts without one"
        lines.append(
            f"{names[each.origin]}: {each.counts.leads} {leads}, {each.counts.won} won; spent {amount_text(each.cost)},"
            f" {amount_text(each.cost_per_lead)} each, {amount_text(each.cac)} a customer "
            f"({amount_text(each.cac_low)} to {amount_text(each.cac_high)})"
        )
    lines.append(ratio_words(found))
    return lines


def ratio_words(found: Economics) -> str:
    """Return which customers cost less, as a sentence."""
    pql, other = found.of("pql"), found.of("other")
    if not found.costs:
        return "Type in what was spent, and this says what a PQL and a customer cost."
    if not pql.counts.won or not other.counts.won:
        missing = "PQL-sourced" if not pql.counts.won else "other"
        return f"No {missing} customer was won in this time, so the two cannot be compared."
    if found.ratio is None or pql.cac is None or other.cac is None:
        return "Nothing was spent on one of the two, so they cannot be compared."
    start = f"A customer who came as a PQL cost {amount_text(pql.cac)}, another one {amount_text(other.cac)}"
    times = f"{found.ratio.ratio:,.1f} times as much ({found.ratio.low:,.1f} to {found.ratio.high:,.1f} times)"
    is_told_apart = found.ratio.low > 1 or found.ratio.high < 1
    return f"{start}, {times}." if is_told_apart else f"{start}: too few were won to tell the two apart."


def amount_text(millionths: int | None) -> str:
    """Return an amount: whole from a hundred on, else with two digits."""
    if millionths is None:
        return "–"
    value = millionths / MILLION
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:,.2f}"


def _channel(origin: Origin, counts: Counts, cost: int) -> Channel:
    low, high = count_interval(counts.won)
    return Channel(
        origin=origin,
        counts=counts,
        cost=cost,
        cost_per_lead=round(cost / counts.leads) if counts.leads else None,
        cac=round(cost / counts.won) if counts.won else None,
        cac_low=round(cost / high),
        cac_high=round(cost / low) if counts.won else None,
        value_per_cost=counts.value / cost if cost and counts.with_value else None,
    )


def _within(column: Any, since: int, until: int) -> Any:
    return (column >= since) & (column < until)


def _day(at: int) -> str:
    return to_iso(day_of(at) * 86_400_000_000)[:10]
