"""Judging: what each journey says of the definition, as columns of a table."""

from __future__ import annotations

from collections.abc import Sequence
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


def judged(tables: Tables, judging: Judging) -> ir.Table:
    """Return the journeys of the unit with what they say of the definition.

    Columns, beside those that name the unit: ``flagged_at`` and ``positive_at``, instants up to the moment or NULL
    (with a list of best customers the latter is after every instant, for those in it); and whether it is a true or
    false positive or negative, waiting (qualified, not converted, the window not over), already (a converter that
    qualified at or after converting), late (converted after the window), in_time (qualified before it converted, if it
    did), counted (that, and the window over) and of those converted within it, other (signed up long enough ago, not
    qualified in time) and of those other_converted.
    """
    import ibis

    journeys = tables.journeys
    mine = journeys.filter(journeys.user_id != "" if judging.unit == "member" else journeys.user_id == "")
    flagged_at = mine.qualified_at if judging.flag == "pql" else mine.hot_at
    mine = mine.mutate(
        flagged_at=ibis.ifelse(flagged_at <= judging.at, flagged_at, ibis.null("int64")),
        positive_at=_positive_at(mine, judging),
    )
    is_flagged, is_positive = mine.flagged_at.notnull(), mine.positive_at.notnull()
    is_before = _yes(mine.flagged_at < mine.positive_at)
    is_over = _is_over(mine.flagged_at, judging)
    is_in_time = is_flagged & (is_before | ~is_positive)
    is_other = ~is_in_time & _yes(mine.signed_up_at <= judging.at) & _is_over(mine.signed_up_at, judging)
    return mine.mutate(
        is_true_positive=is_before,
        is_false_positive=is_flagged & ~is_positive & is_over,
        is_false_negative=is_positive & ~is_before,
        is_true_negative=~is_flagged & ~is_positive,
        is_waiting=is_flagged & ~is_positive & ~is_over,
        is_already=is_flagged & is_positive & ~is_before,
        is_late=is_before & ~_is_within(mine.flagged_at, mine, judging),
        is_counted=is_in_time & is_over,
        is_converted=is_before & is_over & _is_within(mine.flagged_at, mine, judging),
        is_other=is_other,
        is_other_converted=is_other & is_positive & _is_within(mine.signed_up_at, mine, judging),
        is_in_time=is_in_time,
    )


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


def _is_over(since: ir.IntegerValue, judging: Judging) -> ir.BooleanValue:
    return since.notnull() if judging.window is None else _yes(since + judging.window <= judging.at)


def _is_within(since: ir.IntegerValue, mine: ir.Table, judging: Judging) -> ir.BooleanValue:
    if judging.window is None:
        return since.notnull() & mine.positive_at.notnull()
    return _yes(mine.positive_at <= since + judging.window)


def _yes(condition: ir.BooleanValue) -> ir.BooleanValue:
    """Return a condition that is no where it says neither yes nor no, for want of an instant."""
    found: ir.BooleanValue = condition.fill_null(False)
    return found
