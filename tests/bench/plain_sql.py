"""The questions of the reports in plain DuckDB SQL over the same Parquet files, as somebody would write it by hand."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from nudge_sdk.insights.accuracy_reports import MOST_EVENTS, MOST_LISTED
from nudge_sdk.insights.signal_counts import MOST_DAYS, MOST_TIMES
from nudge_sdk.rules.times import DAY

MONTH = 30 * DAY


def funnel(root: Path, steps: Sequence[str], window: int, at: int) -> list[str]:
    """Return the queries of a funnel of events: those who came through, wait, or did the last step otherwise."""
    names = ", ".join(f"'{step}'" for step in steps)
    parts = [
        f"ev AS (SELECT account_id, user_id, name, counted_at AS t FROM {_events(root)} "
        f"WHERE kind = 'track' AND user_id <> '' AND name IN ({names}) AND counted_at <= {at})",
        f"f0 AS (SELECT account_id, user_id, min(t) AS t0, min(t) AS t FROM ev WHERE name = '{steps[0]}' "
        "GROUP BY account_id, user_id)",
    ]
    for number, step in enumerate(steps[1:], 1):
        parts.append(
            f"f{number} AS (SELECT account_id, user_id, min(f.t0) AS t0, min(ev.t) AS t FROM ev "
            f"JOIN f{number - 1} AS f USING (account_id, user_id) WHERE name = '{step}' AND ev.t >= f.t "
            f"AND ev.t <= f.t0 + {window} GROUP BY account_id, user_id)"
        )
    parts.append(f"last AS (SELECT DISTINCT account_id, user_id FROM ev WHERE name = '{steps[-1]}')")
    counts = [f"(SELECT count(*) FILTER (WHERE t0 + {window} <= {at}) FROM f{number})" for number in range(len(steps))]
    counts += ["(SELECT count(*) FROM f0)", f"(SELECT count(*) FROM f{len(steps) - 1})", "(SELECT count(*) FROM last)"]
    return [f"WITH {', '.join(parts)} SELECT {', '.join(counts)}"]


def accuracy(root: Path, scored: Collection[str], at: int) -> list[str]:
    """Return the queries of accuracy: counts, times to conversion, goals, those judged wrongly, and what they did."""
    judged = (
        f"j AS (SELECT *, qualified_at AS f, won_at AS w, qualified_at + {MONTH} <= {at} AS is_over "
        f"FROM {_table(root, 'journeys')} WHERE user_id <> '')"
    )
    names = ", ".join(f"'{name}'" for name in sorted(scored))
    unscored = f"kind = 'track' AND user_id <> '' AND counted_at <= {at} AND name NOT IN ({names})"
    counts = (
        f"count(*) FILTER (WHERE f < w), count(*) FILTER (WHERE f < w AND w > f + {MONTH}), "
        "count(*) FILTER (WHERE f IS NOT NULL AND w IS NULL AND is_over), "
        "count(*) FILTER (WHERE f IS NOT NULL AND w IS NULL AND NOT is_over), "
        "count(*) FILTER (WHERE w IS NOT NULL AND (f IS NULL OR f >= w)), count(*) FILTER (WHERE f >= w), "
        "count(*) FILTER (WHERE w IS NULL AND f IS NULL), "
        "count(*) FILTER (WHERE (w IS NULL OR f < w) AND is_over), "
        f"count(*) FILTER (WHERE f < w AND is_over AND w <= f + {MONTH}), "
        "count(*) FILTER (WHERE NOT coalesce(w IS NULL OR f < w, false) OR f IS NULL), "
        f"count(*) FILTER (WHERE (f IS NULL OR f >= w) AND w <= signed_up_at + {MONTH})"
    )
    listed = "SELECT account_id, user_id, segment, signed_up_at, f, w, last_at, events FROM j WHERE"
    wrong = {
        "f": f"{listed} f IS NOT NULL AND w IS NULL AND is_over ORDER BY f DESC LIMIT {MOST_LISTED}",
        "w": f"{listed} w IS NOT NULL AND (f IS NULL OR f >= w) ORDER BY w DESC LIMIT {MOST_LISTED}",
    }
    both = " UNION ALL ".join(f"SELECT account_id, user_id, w FROM ({query})" for query in wrong.values())
    return [
        f"WITH {judged} SELECT {counts} FROM j",
        f"WITH {judged} SELECT (coalesce(w, {at}) - f) // {DAY}, w IS NOT NULL, count(*) FROM j "
        "WHERE f IS NOT NULL AND (w IS NULL OR f < w) GROUP BY ALL",
        f"WITH {judged}, g AS (SELECT account_id, goal, min(g.at) AS met FROM {_table(root, 'goals')} AS g "
        f"WHERE kind = 'convert' AND g.at <= {at} GROUP BY ALL) "
        f"SELECT goal, (met - f) // {DAY}, met > f, met <= f + {MONTH}, count(*) FROM j JOIN g USING (account_id) "
        "WHERE is_over GROUP BY ALL",
        *(f"WITH {judged} {query}" for query in wrong.values()),
        f"WITH {judged}, listed AS ({both}) SELECT account_id, user_id, name, count(*) FROM {_events(root)} "
        f"JOIN listed USING (account_id, user_id) WHERE {unscored} AND (w IS NULL OR counted_at < w) GROUP BY ALL",
        f"WITH {judged}, did AS (SELECT account_id, user_id, name, min(counted_at) AS t FROM {_events(root)} "
        f"WHERE {unscored} GROUP BY account_id, user_id, name) "
        "SELECT name, count(*) FILTER (WHERE t < w), count(*) FILTER (WHERE w IS NULL) FROM did "
        "JOIN j USING (account_id, user_id) WHERE w IS NULL OR f IS NULL OR f >= w "
        f"GROUP BY name ORDER BY 2 DESC LIMIT {MOST_EVENTS}",
    ]


def signals(root: Path, at: int) -> list[str]:
    """Return the queries of signals: who is asked, and who did what so often within so many days, before they paid."""
    asked = (
        "j AS (SELECT row_number() OVER () AS member, account_id, user_id, signed_up_at AS s, won_at AS w, "
        f"coalesce(won_at < s + {MONTH}, false) AS paid FROM {_table(root, 'journeys')} "
        f"WHERE user_id <> '' AND s <= {at - MONTH} AND (won_at IS NULL OR won_at >= s))"
    )
    return [
        f"WITH {asked} SELECT paid, count(*) FROM j GROUP BY paid",
        f"WITH {asked}, daily AS (SELECT member, paid, name, (counted_at - s) // {DAY} AS day, "
        f"count(*) FILTER (WHERE w IS NULL OR counted_at < w) AS times FROM {_events(root)} "
        f"JOIN j USING (account_id, user_id) WHERE kind = 'track' AND counted_at >= s "
        f"AND counted_at < s + {MOST_DAYS * DAY} GROUP BY ALL), "
        "so_far AS (SELECT name, paid, member, d.days, sum(times) AS times "
        f"FROM daily, unnest(range(day + 1, {MOST_DAYS + 1})) AS d(days) GROUP BY ALL) "
        f"SELECT name, days, least(times, {MOST_TIMES}) AS at_least, paid, count(*) FROM so_far WHERE times > 0 "
        "GROUP BY ALL",
    ]


def signal_of_two_weeks(root: Path, at: int) -> list[str]:
    """Return the query of one cell of the grid: who did what at all in the first two weeks, and who of those paid."""
    asked = (
        f"j AS (SELECT account_id, user_id, signed_up_at AS s, coalesce(won_at < s + {MONTH}, false) AS paid "
        f"FROM {_table(root, 'journeys')} WHERE user_id <> '' AND s <= {at - MONTH})"
    )
    return [
        f"WITH {asked}, early AS (SELECT DISTINCT account_id, user_id, name, paid FROM {_events(root)} "
        f"JOIN j USING (account_id, user_id) WHERE kind = 'track' AND counted_at < s + {14 * DAY}) "
        "SELECT name, count(*), count(*) FILTER (WHERE paid), (SELECT count(*) FROM j), "
        "(SELECT count(*) FROM j WHERE paid) FROM early GROUP BY name",
    ]


def _events(root: Path) -> str:
    return f"read_parquet('{root}/events/*/*.parquet', hive_partitioning = true)"


def _table(root: Path, name: str) -> str:
    return f"read_parquet('{root}/tables/1/{name}.parquet')"
