"""An archive of a long history, written straight in the form of ``nudge archive``, without a store."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as compute
import pyarrow.parquet as pq

from nudge_sdk.insights.archive_format import (
    EVENT_COLUMNS,
    MODULUS,
    MOVED_COLUMNS,
    UNFINISHED,
    Day,
    File,
    Manifest,
    Sums,
    day_file,
    described,
    table_file,
    write_manifest,
)
from nudge_sdk.insights.tables import SCHEMAS
from nudge_sdk.rules.times import DAY
from nudge_sdk.store.rows import KINDS

START = 20_000
SIGNUP_DAYS = 180
NAMES = [f"event_{number:02}" for number in range(20)]
ACTIVATION, QUALIFYING, PREDICTIVE = NAMES[3], NAMES[7], NAMES[12]
MEMBERS_OF_ACCOUNT = 4

Arrays = Mapping[str, Any]


def write_archive(root: Path, *, events: int, members: int) -> int:
    """Write an archive of so many events of so many members; always the same one. Return the moment it is of.

    Args:
        root: An empty folder.
        events: How many events, more or less.
        members: How many members, four to an account.
    """
    (root / UNFINISHED).mkdir(parents=True)
    people = _people(members)
    happened = _events(people, events)
    journeys = _journeys(people, happened)
    days = _write_days(root, happened)
    tables = {
        "journeys": journeys,
        "goals": _goals(people),
        "exposures": {},
        "transitions": {},
        "reached": _reached(journeys),
        "moved": {},
    }
    files = {name: _write_table(root, name, columns) for name, columns in tables.items()}
    as_of = (START + 600) * DAY
    details = {"definition": 1, "goal": "paid", "activation": ["activated"], "activation_basis": "aha"}
    write_manifest(root, Manifest(written_at=as_of, generation=1, details=details, tables=files, days=days))
    return as_of


def _people(members: int) -> Arrays:
    random = np.random.default_rng(11)
    number = np.arange(members)
    return {
        "random": random,
        "signup": (START * DAY + random.integers(0, SIGNUP_DAYS * DAY, members)).astype(np.int64),
        "busy": random.gamma(0.7, 1.0, members),
        "account": np.char.add("a", np.char.zfill((number // MEMBERS_OF_ACCOUNT).astype(str), 6)),
        "user": np.char.add("u", np.char.zfill(number.astype(str), 7)),
        "draw": random.random(members),
        "wait": random.integers(DAY, 40 * DAY, members),
        "won": np.zeros(members, np.int64),
    }


def _events(people: Arrays, count: int) -> Arrays:
    random, busy = people["random"], people["busy"]
    who = random.choice(len(busy), count, p=busy / busy.sum()).astype(np.int32)
    common = 1.0 / np.arange(2, len(NAMES) + 2)
    what = random.choice(len(NAMES), count, p=common / common.sum()).astype(np.int8)
    at = people["signup"][who] + random.exponential(25 * DAY, count).astype(np.int64)
    order = np.argsort(at, kind="stable")
    who, what, at = who[order], what[order], at[order]
    return {"who": who, "what": what, "at": at, "people": people}


def _first(happened: Arrays, name: str) -> Any:
    """Return when each member did something first; the largest number for never."""
    never = np.iinfo(np.int64).max
    first = np.full(len(happened["people"]["user"]), never)
    chosen = happened["what"] == NAMES.index(name)
    np.minimum.at(first, happened["who"][chosen], happened["at"][chosen])
    return first


def _journeys(people: Arrays, happened: Arrays) -> dict[str, Any]:
    never = np.iinfo(np.int64).max
    activated, qualified = _first(happened, ACTIVATION), _first(happened, QUALIFYING)
    early = [(_first(happened, name) < people["signup"] + 14 * DAY) for name in (QUALIFYING, ACTIVATION, PREDICTIVE)]
    logit = -3.2 + 1.4 * early[0] + 0.7 * early[1] + 0.3 * early[2]
    people["won"][:] = np.where(people["draw"] < 1 / (1 + np.exp(-logit)), people["signup"] + people["wait"], never)
    members = {
        "account_id": people["account"], "user_id": people["user"], "signed_up_at": people["signup"],
        "activated_at": activated, "qualified_at": qualified, "hot_at": qualified, "won_at": people["won"],
    }  # fmt: skip
    whole, index = np.unique(people["account"], return_inverse=True)
    first = {name: _least(members[name], index, len(whole)) for name in members if name.endswith("_at")}
    accounts = {**first, "account_id": whole, "user_id": np.full(len(whole), "")}
    joined = {name: np.concatenate([accounts[name], members[name]]) for name in members}
    segments = np.array(["small", "large"])[np.arange(len(joined["user_id"])) % 2]
    last = np.zeros(len(people["user"]), np.int64)
    np.maximum.at(last, happened["who"], happened["at"])
    counts = np.bincount(happened["who"], minlength=len(last))
    of_accounts = [np.zeros(len(whole), np.int64)]
    return {
        **joined,
        "segment": segments,
        "source": segments,
        "traits": np.full(len(segments), '{"plan":"free"}'),
        "last_at": np.concatenate([*of_accounts, last]),
        "events": np.concatenate([*of_accounts, counts]),
    }


def _least(values: Any, index: Any, count: int) -> Any:
    least = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(least, index, values)
    return least


def _goals(people: Arrays) -> dict[str, Any]:
    won = people["won"] < np.iinfo(np.int64).max
    count = int(won.sum())
    return {
        "account_id": people["account"][won], "user_id": people["user"][won], "goal": np.full(count, "paid"),
        "at": people["won"][won], "value": np.full(count, 10_000_000), "kind": np.full(count, "convert"),
    }  # fmt: skip


def _reached(journeys: Arrays) -> dict[str, Any]:
    chosen = (journeys["activated_at"] < np.iinfo(np.int64).max) & (journeys["user_id"] != "")
    count = int(chosen.sum())
    return {
        "account_id": journeys["account_id"][chosen], "user_id": journeys["user_id"][chosen],
        "milestone": np.full(count, "activated"), "at": journeys["activated_at"][chosen],
        "definition": np.ones(count, np.int64),
    }  # fmt: skip


def _write_table(root: Path, name: str, columns: Arrays) -> File:
    schema = pa.schema([(each, pa.type_for_alias(kind)) for each, kind in _columns(name).items()])
    rows = len(next(iter(columns.values()), []))
    arrays = [_array(columns.get(field.name), field.type, rows) for field in schema]
    path = table_file(root, 1, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), path, compression="zstd", row_group_size=100_000)
    return described(path, rows)


def _columns(name: str) -> dict[str, str]:
    return MOVED_COLUMNS if name == "moved" else SCHEMAS[name]  # type: ignore[index]


def _array(values: Any, kind: Any, rows: int) -> Any:
    if values is None:
        return pa.nulls(rows, kind)
    if pa.types.is_integer(kind):
        return pa.array(values, type=kind, mask=values == np.iinfo(np.int64).max)
    return pa.array(values.tolist(), type=kind)


def _write_days(root: Path, happened: Arrays) -> dict[int, Day]:
    people, at = happened["people"], happened["at"]
    account, user = pa.array(people["account"].tolist()), pa.array(people["user"].tolist())
    names, days = pa.array(NAMES), at // DAY
    found = {}
    edges = np.searchsorted(days, np.arange(days[0], days[-1] + 2))
    for day, (first, after) in enumerate(pairwise(edges), int(days[0])):
        if after > first:
            who, what = happened["who"][first:after], happened["what"][first:after]
            order = np.argsort(who, kind="stable")
            columns = (account.take(pa.array(who[order])), user.take(pa.array(who[order])))
            found[day] = _write_day(root, day, columns, (names.take(pa.array(what[order])), at[first:after][order]))
    return found


def _write_day(root: Path, day: int, owner: tuple[Any, Any], done: tuple[Any, Any]) -> Day:
    name, at = done
    count = len(at)
    same = {"kind": "track", "history": False, "properties": '{"n":1}', "release": "r1"}
    ids = pa.array([f"{day}-{number}" for number in range(count)])
    own = {"account_id": owner[0], "user_id": owner[1], "id": ids, "name": name}
    own |= {each: pa.array(at) for each in ("at", "counted_at", "received_at")}
    schema = pa.schema([(each, pa.type_for_alias(kind)) for each, kind in EVENT_COLUMNS.items()])
    arrays = [own.get(field.name, pa.repeat(pa.scalar(same.get(field.name), field.type), count)) for field in schema]
    path = day_file(root, day)
    path.parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), path, compression="zstd", row_group_size=100_000)
    texts = ("account_id", "user_id", "name")
    lengths = {each: int(compute.sum(compute.utf8_length(own[each])).as_py()) for each in texts}
    sums = Sums(
        rows=count, instants=int((at % MODULUS).sum()), delays=0, kinds=count * (KINDS.index("track") + 1), history=0,
        accounts=lengths["account_id"], users=lengths["user_id"], names=lengths["name"], releases=2 * count,
        properties=7 * count,
    )  # fmt: skip
    return Day(file=described(path, count), sums=sums)
