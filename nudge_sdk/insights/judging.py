"""Judging: what each journey says of the definition, as columns of a table."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import msgspec

from nudge_sdk.errors import SetupError
from nudge_sdk.insights.accuracy_reports import Flag
from nudge_sdk.rules.times import DAY

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from nudge_sdk.insights.tables import Tables

MOST_IDS = 5000
"""How many best customers may be named."""

KEYS = {"member": ["account_id", "user_id"], "account": ["account_id"]}


class Positives(msgspec.Struct, frozen=True):
    """Who stands for conversion.

    Attributes:
        accounts, users: Ids of accounts, and of users, all of whom are meant.
        unknown: Ids that are nobody's.
    """

    accounts: tuple[str, ...]
    users: tuple[str, ...]
    unknown: tuple[str, ...]


class Judging(msgspec.Struct, frozen=True, kw_only=True):
    """By what journeys are judged.

    Attributes:
        unit: Whose journeys.
        flag: What qualifying is.
        at: As of when, in microseconds.
        within_days: The window; None for none.
        positives: Who stands for conversion instead of the goal, or None.
    """

    unit: Literal["member", "account"]
    flag: Flag
    at: int
    within_days: float | None
    positives: Positives | None

    @property
    def window(self) -> int | None:
        """The window in microseconds; None for none, and where conversions have no instant."""
        return None if self.within_days is None or self.positives is not None else round(self.within_days * DAY)


def positives_of(tables: Tables, ids: Sequence[str], unit: Literal["member", "account"]) -> Positives:
    """Return who a list of ids of accounts and users means.

    Raises:
        SetupError: There are too many, or none.
    """
    wanted = sorted(set(ids))
    if not 0 < len(wanted) <= MOST_IDS:
        raise SetupError(f"the list of best customers has {len(wanted)} ids; name 1 to {MOST_IDS}")
    journeys = tables.journeys
    named = journeys.filter(journeys.account_id.isin(wanted) | journeys.user_id.isin(wanted))
    rows = tables.rows(named.select("account_id", "user_id"))
    accounts = {account_id for account_id, _ in rows}
    users = {user_id for _, user_id in rows}
    unknown = tuple(each for each in wanted if each not in accounts and each not in users)
    if unit == "account":
        return Positives(tuple(sorted(accounts)), (), unknown)
    chosen = set(wanted)
    return Positives(tuple(sorted(accounts & chosen)), tuple(sorted(users & chosen)), unknown)


class Judged:
    """The journeys of a unit, and what each says of the definition.

    Args:
        tables: What to read.
        judging: By what.

    Attributes:
        table: The journeys, with ``flagged_at`` and ``positive_at``: instants up to the moment, or NULL. With a list of
            best customers the latter is after every instant, of those in it.
    """

    def __init__(self, tables: Tables, judging: Judging) -> None:
        import ibis

        self._judging = judging
        journeys = tables.journeys
        mine = journeys.filter(journeys.user_id != "" if judging.unit == "member" else journeys.user_id == "")
        flagged_at = mine.qualified_at if judging.flag == "pql" else mine.hot_at
        mine = mine.mutate(
            flagged_at=ibis.ifelse(flagged_at <= judging.at, flagged_at, ibis.null("int64")),
            positive_at=_positive_at(mine, judging),
        )
        # Named, so that Ibis does not put it into each query anew, which takes it longer than the query.
        self.table: ir.Table = tables.named("nudge_judged", mine)

    @cached_property
    def is_flagged(self) -> ir.BooleanValue:
        """Qualified."""
        return self.table.flagged_at.notnull()

    @cached_property
    def is_positive(self) -> ir.BooleanValue:
        """Converted, or a best customer."""
        return self.table.positive_at.notnull()

    @cached_property
    def is_true_positive(self) -> ir.BooleanValue:
        """Converted, and qualified before."""
        return _yes(self.table.flagged_at < self.table.positive_at)

    @cached_property
    def is_false_positive(self) -> ir.BooleanValue:
        """Qualified, not converted, and the window is over."""
        return self.is_flagged & ~self.is_positive & self._is_over(self.table.flagged_at)

    @cached_property
    def is_false_negative(self) -> ir.BooleanValue:
        """Converted, and not qualified before."""
        return self.is_positive & ~self.is_true_positive

    @cached_property
    def is_in_time(self) -> ir.BooleanValue:
        """Qualified, and not converted by then."""
        return self.is_flagged & (self.is_true_positive | ~self.is_positive)

    def counts(self) -> dict[str, ir.BooleanValue]:
        """Return what is counted.

        Beside true and false positives and negatives: waiting (qualified, not converted, the window not over), already
        (a converter that qualified at or after converting), late (converted after the window), counted (in time, the
        window over) and of those converted within it, other (signed up long enough ago, not qualified in time) and of
        those other_converted.
        """
        flagged_at, signed_up_at = self.table.flagged_at, self.table.signed_up_at
        is_over, is_soon = self._is_over(flagged_at), self._is_within(flagged_at)
        is_other = ~self.is_in_time & _yes(signed_up_at <= self._judging.at) & self._is_over(signed_up_at)
        return {
            "true_positive": self.is_true_positive,
            "false_positive": self.is_false_positive,
            "false_negative": self.is_false_negative,
            "true_negative": ~self.is_flagged & ~self.is_positive,
            "waiting": self.is_flagged & ~self.is_positive & ~is_over,
            "already": self.is_flagged & self.is_false_negative,
            "late": self.is_true_positive & ~is_soon,
            "counted": self.is_in_time & is_over,
            "converted": self.is_true_positive & is_over & is_soon,
            "other": is_other,
            "other_converted": is_other & self.is_positive & self._is_within(signed_up_at),
        }

    def _is_over(self, since: ir.IntegerValue) -> ir.BooleanValue:
        window = self._judging.window
        return since.notnull() if window is None else _yes(since + window <= self._judging.at)

    def _is_within(self, since: ir.IntegerValue) -> ir.BooleanValue:
        window = self._judging.window
        if window is None:
            return since.notnull() & self.is_positive
        return _yes(self.table.positive_at <= since + window)


def _positive_at(mine: ir.Table, judging: Judging) -> ir.IntegerValue:
    import ibis

    never = ibis.null("int64")
    if judging.positives is None:
        found: ir.IntegerValue = ibis.ifelse(mine.won_at <= judging.at, mine.won_at, never)
        return found
    is_meant = mine.account_id.isin(judging.positives.accounts)
    if judging.positives.users:
        is_meant = is_meant | mine.user_id.isin(judging.positives.users)
    # Nobody knows since when a best customer is one: after everything, so that whoever qualified did so before.
    meant: ir.IntegerValue = ibis.ifelse(is_meant, ibis.literal(judging.at + 1, type="int64"), never)
    return meant


def _yes(condition: ir.BooleanValue) -> ir.BooleanValue:
    """Return a condition that is no where it says neither yes nor no, for want of an instant."""
    found: ir.BooleanValue = condition.fill_null(False)
    return found
