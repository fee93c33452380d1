"""People and accounts as lists show them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from nudge_sdk.rules.compiled import Rules, SegmentRules, SubjectRules
from nudge_sdk.rules.definition import Segment
from nudge_sdk.rules.lint_findings import name_of
from nudge_sdk.rules.records import PERSONAL, personal_account
from nudge_sdk.rules.standing import Episode, decode_standing, phase_of
from nudge_sdk.rules.state import unpack
from nudge_sdk.rules.times import DAY, day_of

from .queries.people import SubjectLine

LONGEST_NAME = 80


class PersonLine(msgspec.Struct, frozen=True, kw_only=True):
    """A person, or an account, in a list.

    Attributes:
        name: What the trait ``name`` says; empty where it says nothing.
        reason: The milestone that brings most points; ``more`` is how many others are reached.
        phase: prompt, help or rest, on day ``day`` of the episode.
        seen: The last day with any event, as an instant.
    """

    account_id: str
    user_id: str
    name: str
    account_name: str
    tier: str
    score: int
    reason: str
    more: int
    phase: str
    day: int | None
    seen: int | None
    active_users: int


def segments_of(rules: Rules) -> tuple[Segment, ...]:
    """Return all segments, and last the one of everybody else."""
    return tuple(each.segment for each in rules.segments)


def lines(rows: list[SubjectLine], rules: Rules, now: int, accounts: Mapping[str, bytes]) -> list[PersonLine]:
    """Return rows as a list shows them.

    Args:
        rows: The rows.
        rules: The definition in force.
        now: The instant.
        accounts: Packed states of the accounts, for their names.
    """
    names = {account_id: name_in(state) for account_id, state in accounts.items()}
    by_key = {each.segment.key: each for each in rules.segments}
    return [_line(row, by_key.get(row.segment, rules.segments[-1]), now, names) for row in rows]


def name_in(state: bytes) -> str:
    """Return what the trait ``name`` of a packed state says."""
    name = unpack(state).plain_traits().get("name")
    return name[:LONGEST_NAME] if isinstance(name, str) else ""


def account_argument(account_id: str, user_id: str) -> str | None:
    """Return an account as the client takes it: None for a user's personal one."""
    return None if account_id == personal_account(user_id) else account_id


def is_personal(account_id: str) -> bool:
    """Whether an account is that of one user without a company."""
    return account_id.startswith(PERSONAL)


def _line(row: SubjectLine, segment: SegmentRules, now: int, names: Mapping[str, str]) -> PersonLine:
    reason, more = _reason(row.standing, segment.member if row.user_id else segment.account)
    episode = None
    if row.episode_at is not None:
        episode = Episode(row.episode_at, "", "warm", 0, "", row.episode_ended_at)
    phase = phase_of(episode, segment.segment, now)
    return PersonLine(
        account_id=row.account_id,
        user_id=row.user_id,
        name=name_in(row.state),
        account_name=names.get(row.account_id, ""),
        tier=row.tier,
        score=row.score,
        reason=reason,
        more=more,
        phase=phase,
        day=day_of(now) - day_of(episode.started_at) if episode and phase else None,
        seen=None if row.last_day is None else row.last_day * DAY,
        active_users=row.active_users,
    )


def _reason(standing: bytes, by: SubjectRules) -> tuple[str, int]:
    """Return the reached milestone with most points, and how many more are reached."""
    reached = decode_standing(standing).reached if standing else {}
    found = [each for each in by.milestones if each.key in reached and each.points > 0]
    if not found:
        return "", 0
    best = max(found, key=lambda each: (not each.is_fit, each.points))
    return name_of(best.milestone), len(found) - 1
