"""The admin's reads of people and accounts. Each is one statement, whatever the number of people."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Literal

import msgspec
from sqlalchemy import ColumnElement, Select, and_, false, func, literal, or_, select, text, tuple_, union_all

from nudge_sdk.rules.definition import Segment
from nudge_sdk.rules.records import Record
from nudge_sdk.rules.times import DAY, day_of
from nudge_sdk.store.protocol import Exposure, Key
from nudge_sdk.store.rows import unpack_record
from nudge_sdk.store.schema import Account, AliasLine, Definition, Event, ExposureLine, Member, Quarantine
from nudge_sdk.store.schema import Episode as EpisodeLine
from nudge_sdk.store.schema import TransitionLine as Line

from .database import db

PAGE = 50
MOST_COUNTED = 1000
"""Lists say "more than" beyond this many: counting all of them would read all of them."""

EVENT_DAYS = 400
"""How many days before the last one a person's events are looked for: one seek a day."""

NEVER = -1_000_000
"""The day that somebody without any event was last seen, for sorting."""

_MOST_SOURCES = 10
_QUALIFIED = text("tier <> 'none'")
"""Said in the words of the partial index, or SQLite does not see that it fits."""

_COLUMNS = (
    "tier",
    "segment",
    "score",
    "episode_at",
    "episode_ended_at",
    "last_day",
    "active_users",
    "standing",
    "state",
)


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """Where a page of a list begins: after the row that sorts by this number, account and user."""

    number: int
    account_id: str
    user_id: str

    def packed(self) -> str:
        """Return it as it stands in an address."""
        return base64.urlsafe_b64encode(msgspec.msgpack.encode(self)).decode().rstrip("=")

    @staticmethod
    def read(packed: str) -> Cursor | None:
        """Return what an address says; None for what is none."""
        try:
            return msgspec.msgpack.decode(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)), type=Cursor)
        except (binascii.Error, ValueError, msgspec.MsgspecError):
            return None


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a list shows.

    Attributes:
        text: A part of the account's or the user's id.
        tier: ``qualified`` for warm and hot, ``hot``, ``warm``, ``none`` or ``all``.
        segment: Key of a segment, or None for all.
        phase: prompt, help or rest; empty for all.
        account: Only members of this one.
        sort: By ``score`` or by the day ``seen`` last.
        after: Where the page begins.
    """

    text: str = ""
    tier: str = "qualified"
    segment: str | None = None
    phase: str = ""
    account: str = ""
    sort: Literal["score", "seen"] = "score"
    after: Cursor | None = None


class SubjectLine(msgspec.Struct, frozen=True, kw_only=True):
    """A row of a list; ``standing`` and ``state`` are packed, ``user_id`` is empty for an account."""

    account_id: str
    user_id: str
    tier: str
    segment: str
    score: int
    episode_at: int | None
    episode_ended_at: int | None
    last_day: int | None
    active_users: int
    standing: bytes
    state: bytes


def members(asked: Asked, segments: tuple[Segment, ...], now: int) -> list[SubjectLine]:
    """Return a page of members, and one more where there are more."""
    rows = db.session.execute(_page(Member, asked, _matching(Member, asked, segments, now)))
    return [SubjectLine(**row) for row in rows.mappings()]


def accounts(asked: Asked, segments: tuple[Segment, ...], now: int) -> list[SubjectLine]:
    """Return a page of accounts, and one more where there are more."""
    rows = db.session.execute(_page(Account, asked, _matching(Account, asked, segments, now)))
    return [SubjectLine(user_id="", **row) for row in rows.mappings()]


def count_matching(subject: str, asked: Asked, segments: tuple[Segment, ...], now: int) -> int:
    """Return how many members (or accounts) a list has, at most one more than ``MOST_COUNTED``."""
    model = Member if subject == "member" else Account
    found = select(text("1")).select_from(model).where(*_matching(model, asked, segments, now)).limit(MOST_COUNTED + 1)
    return db.session.execute(select(func.count()).select_from(found.subquery())).scalar_one()


def states_of_accounts(account_ids: set[str]) -> dict[str, bytes]:
    """Return the packed states of accounts, by id."""
    query = select(Account.account_id, Account.state).where(Account.account_id.in_(account_ids))
    return {row.account_id: row.state for row in db.session.execute(query)} if account_ids else {}


def tier_counts() -> dict[tuple[str, str], int]:
    """Return how many there are, by (member or account, tier); the tier is empty for all together."""
    parts: list[Any] = []
    for name, model in (("member", Member), ("account", Account)):
        subject, number = literal(name).label("subject"), func.count().label("number")
        in_tier = select(subject, model.tier.label("tier"), number).select_from(model)
        parts.append(in_tier.where(_QUALIFIED).group_by(model.tier))
        parts.append(select(subject, literal("").label("tier"), number).select_from(model))
    return {(subject, tier): number for subject, tier, number in db.session.execute(union_all(*parts))}


def newly_qualified(since: int) -> dict[int, int]:
    """Return by UTC day how many members became warm or hot for the first time since an instant."""
    first = (
        select(func.min(Line.at).label("at"))
        .where(Line.at >= since, Line.user_id != "", Line.from_tier == "none", Line.tier.in_(("warm", "hot")))
        .where(Line.is_correction == 0)
        .group_by(Line.account_id, Line.user_id)
        .subquery()
    )
    day = (first.c.at - func.mod(first.c.at, DAY)) if _speaks("postgresql") else first.c.at - first.c.at % DAY
    rows = db.session.execute(select(day.label("day"), func.count()).group_by(text("day")))
    return {day_of(at): number for at, number in rows}


def exposures_since(since: int) -> list[tuple[str, str, int, int]]:
    """Return (nudge, kind, how often, to how many people) since an instant.

    The nudges are walked through by their index, so that only what is newer is read.
    """
    keys = select(func.min(ExposureLine.nudge).label("nudge")).cte("keys", recursive=True)
    following = select(func.min(ExposureLine.nudge)).where(ExposureLine.nudge > keys.c.nudge).scalar_subquery()
    keys = keys.union_all(select(following).where(keys.c.nudge.is_not(None)))
    person = ExposureLine.account_id + "\x1f" + ExposureLine.user_id
    query = (
        select(keys.c.nudge, ExposureLine.kind, func.count(), func.count(person.distinct()))
        .join(ExposureLine, and_(ExposureLine.nudge == keys.c.nudge, ExposureLine.at >= since))
        .group_by(keys.c.nudge, ExposureLine.kind)
    )
    return [(nudge, kind, number, people) for nudge, kind, number, people in db.session.execute(query)]


def episodes_since(since: int, *, longest_days: int) -> tuple[int, dict[str, int]]:
    """Return how many episodes began since an instant, and by goal how many ended since then because it was met.

    Args:
        since: The instant.
        longest_days: Length of the longest episode: older ones cannot have ended since.
    """
    began = func.sum(text(f"CASE WHEN started_at >= {int(since)} THEN 1 ELSE 0 END"))
    met = func.sum(text(f"CASE WHEN end_reason = 'goal' AND ended_at >= {int(since)} THEN 1 ELSE 0 END"))
    query = select(EpisodeLine.goal, began, met).where(EpisodeLine.started_at >= since - longest_days * DAY)
    rows = db.session.execute(query.group_by(EpisodeLine.goal)).all()
    return sum(row[1] for row in rows), {row[0]: row[2] for row in rows if row[2]}


def latest_event() -> tuple[int, int] | None:
    """Return (instant of the event that arrived last, of those of the latest day, and its arrival); None for none."""
    newest = select(func.max(Event.day)).scalar_subquery()
    row = db.session.execute(
        select(func.max(Event.at), func.max(Event.at + Event.delay)).where(Event.day == newest)
    ).one()
    return (row[0], row[1]) if row[0] is not None else None


def latest_publication() -> tuple[int, int, str, str] | None:
    """Return (number, instant, who, note) of the newest definition; None for none."""
    columns = (Definition.number, Definition.published_at, Definition.published_by, Definition.note)
    row = db.session.execute(select(*columns).order_by(Definition.number.desc()).limit(1)).one_or_none()
    return (row[0], row[1], row[2], row[3]) if row is not None else None


def count_set_aside() -> int:
    """Return how many lines could not be taken in."""
    return db.session.execute(select(func.count()).select_from(Quarantine)).scalar_one()


def sources_of(key: Key) -> list[Key]:
    """Return a member's key, and those of whom it took the place: what they did and saw stands under those."""
    query = select(AliasLine.account_id, AliasLine.user_id).where(
        AliasLine.to_account_id == key[0], AliasLine.to_user_id == key[1]
    )
    return [key, *((row[0], row[1]) for row in db.session.execute(query.limit(_MOST_SOURCES)))]


def events_of(keys: list[Key], last_day: int, *, limit: int) -> list[Record]:
    """Return the latest events of a person, the newest first, of the ``EVENT_DAYS`` up to a day."""
    days = list(range(last_day - EVENT_DAYS + 1, last_day + 1))
    columns = tuple(Event.__table__.c)
    parts = [
        select(
            select(*columns)
            .where(Event.day.in_(days), Event.account_id == account_id, Event.user_id == user_id)
            .order_by(Event.day.desc(), Event.at.desc())
            .limit(limit)
            .subquery()
        )
        for account_id, user_id in keys
    ]
    whole = union_all(*parts).subquery()
    rows = db.session.execute(select(whole).order_by(whole.c.day.desc(), whole.c.at.desc()).limit(limit))
    return [unpack_record(tuple(row)) for row in rows]


def exposures_of(keys: list[Key], *, limit: int) -> tuple[list[Exposure], dict[str, int]]:
    """Return what was last done with nudges for a person, the newest first, and how often each thing was done."""
    mine = or_(false(), *((ExposureLine.account_id == one) & (ExposureLine.user_id == other) for one, other in keys))
    rows = db.session.execute(select(ExposureLine).where(mine).order_by(ExposureLine.at.desc()).limit(limit)).scalars()
    counts = db.session.execute(select(ExposureLine.kind, func.count()).where(mine).group_by(ExposureLine.kind))
    names = Exposure.__struct_fields__
    return [Exposure(*(getattr(row, name) for name in names)) for row in rows], {row[0]: row[1] for row in counts}


def likely_people(*, limit: int = 50) -> list[Key]:
    """Return some (account, user) to choose from, those with the highest scores first."""
    query = select(Member.account_id, Member.user_id).where(_QUALIFIED).order_by(Member.score.desc()).limit(limit)
    return [(row[0], row[1]) for row in db.session.execute(query)]


def _page(model: type[Member | Account], asked: Asked, where: list[ColumnElement[bool]]) -> Select[Any]:
    keys = (model.account_id, model.user_id) if model is Member else (model.account_id,)
    number = model.score if asked.sort == "score" else func.coalesce(model.last_day, NEVER)
    columns = [getattr(model, name) for name in _COLUMNS]
    query = select(*keys, *columns).where(*where).order_by(number.desc(), *keys).limit(PAGE + 1)
    if asked.after is not None:
        rest: Any = tuple_(*keys) > (asked.after.account_id, asked.after.user_id)[: len(keys)]
        query = query.where(or_(number < asked.after.number, and_(number == asked.after.number, rest)))
    return query


def _matching(
    model: type[Member | Account], asked: Asked, segments: tuple[Segment, ...], now: int
) -> list[ColumnElement[bool]]:
    found: list[Any] = []
    if asked.tier in ("qualified", "warm", "hot"):
        found.append(_QUALIFIED)
    if asked.tier in ("warm", "hot", "none"):
        found.append(model.tier == asked.tier)
    if asked.segment is not None:
        found.append(model.segment == asked.segment)
    if asked.account:
        found.append(model.account_id == asked.account)
    if asked.text:
        ids = [model.account_id, *([Member.user_id] if model is Member else [])]
        found.append(or_(*(each.icontains(asked.text, autoescape=True) for each in ids)))
    if asked.phase:
        found.append(or_(false(), *(_in_phase(model, asked.phase, segment, now) for segment in segments)))
    return found


def _in_phase(model: type[Member | Account], phase: str, segment: Segment, now: int) -> ColumnElement[bool]:
    """The same as ``phase_of`` says of a standing, of rows judged by one segment."""
    today, at, ended = day_of(now), model.episode_at, model.episode_ended_at
    help_from, over = today - segment.help_after_days + 1, today - segment.episode_days + 1
    if phase == "prompt":
        span = and_(ended.is_(None), at >= max(help_from, over) * DAY)
    elif phase == "help":
        span = and_(ended.is_(None), at < help_from * DAY, at >= over * DAY)
    else:
        span = or_(
            and_(ended.is_(None), at < over * DAY, at >= (over - segment.rest_days) * DAY),
            ended >= (today - segment.rest_days) * DAY,
        )
    return and_(model.segment == segment.key, span)


def _speaks(dialect: str) -> bool:
    return db.engine.dialect.name == dialect
