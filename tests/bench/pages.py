"""Whole pages of proof on SQLite: what somebody who is logged in waits for, from the request to the last byte.

The store has a history of which some people paid, qualified, and saw nudges. Each request comes at an instant of its
own, so that nothing is answered from an earlier one but what the product keeps.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from flask import Flask
from flask.testing import FlaskClient

from nudge_sdk import NudgeClient
from nudge_sdk.admin import OwnLogins, create_admin
from nudge_sdk.admin.logins import add_user
from nudge_sdk.admin.proof.reading import MAKER
from nudge_sdk.insights.journeys import database_of, refresh
from nudge_sdk.insights.preparing import make_kept
from nudge_sdk.insights.questions import first_questions
from nudge_sdk.rules.records import Record
from nudge_sdk.rules.times import DAY, HOUR
from nudge_sdk.store.protocol import Exposure, Transition
from tests.bench.harness import Figure, Limit, Scale, by_turns, in_words, timed
from tests.bench.product import START, Person, Steps, client, definition, person
from tests.bench.stored import DAYS, days_of, fill

EVENTS_OF_A_MEMBER = 50
MOST_EVENTS = 1_000_000
LIMIT = Limit("at most", 300)
PAGES = {
    "funnel": "/funnel/?by=cohort",
    "accuracy": "/accuracy/",
    "signals": "/signals/",
    "calibration": "/calibration/",
    "lift": "/lift/",
    "trend": "/trend/",
}
WINDOWS = (14, 60, 90)
"""Of signals, besides the one that is made beforehand."""

OFFERED = 0.7
"""Of those who qualified; from the others the nudge was withheld."""

_PASSWORD = "a password for measuring"
_MILLI = 1000


def measure(folder: Path, scale: Scale, events: int) -> Iterator[Figure]:
    """Yield how long the roll-up takes, making reports beforehand, and each page as a whole."""
    folder.mkdir()
    events = min(events, MOST_EVENTS)
    people = [person(index) for index in range(events // EVENTS_OF_A_MEMBER)]
    with client(folder, Steps(START, step=1)) as ours:
        ours.publish(definition())
        fill(folder / "nudge.db", _with_purchases(days_of(events, people), people))
        _write_logs(ours, people)
        counted = f"SQLite, {events:,} events"
        yield _rolled_up(ours, counted)
        yield from _through_the_admin(ours, scale, counted)


def _through_the_admin(ours: NudgeClient, scale: Scale, counted: str) -> Iterator[Figure]:
    app, browser = _logged_in(ours)
    waits = [_first_look(app, browser, f"/signals/?unit=member&within={days}") for days in WINDOWS]
    what = f"signals, whole page, of which no report was made yet, {counted}"
    yield Figure(
        "signals_unmade_whole_page", what, [each * _MILLI for each in waits], "", LIMIT, {}, "ms", in_words(waits)
    )
    yield _made_beforehand(ours, counted)
    for name, place in PAGES.items():
        asked = timed(lambda place=place: _answered(browser, place))  # type: ignore[misc]
        yield _figure(f"{name}_whole_page", f"{name}, whole page through the admin, {counted}", asked, scale.few)


def _rolled_up(ours: NudgeClient, counted: str) -> Figure:
    began = time.perf_counter()
    done = refresh(ours.store, ours.intake.current().rules, ours.now())
    seconds = time.perf_counter() - began
    subjects = done.subjects if done else 0
    told = f"{seconds:.2g} s for {subjects:,} members and accounts"
    each = [seconds / max(subjects, 1) * 1e6]
    return Figure("refresh", f"first roll-up of journeys, {counted}", each, "a member or account", None, {}, "µs", told)


def _made_beforehand(ours: NudgeClient, counted: str) -> Figure:
    """Return how long it takes to make what the pages ask first, as a worker does beside its work."""
    store, catalog, took = database_of(ours.store), ours.intake.current(), {}
    for question in first_questions(catalog.rules.definition):
        began = time.perf_counter()
        assert make_kept(store, catalog, question, ours.now()) is not None
        took[type(question).__name__] = round(time.perf_counter() - began, 3)
    seconds = [sum(took.values())]
    what = f"making the reports of signals, milestones and calibration beforehand, {counted}"
    return Figure("reports_beforehand", what, seconds, "in all", None, took, "s", in_words(seconds))


def _figure(name: str, what: str, case: Callable[[], float], turns: int) -> Figure:
    case()
    taken = by_turns({"page": case}, turns)["page"]
    return Figure(name, what, [each * _MILLI for each in taken], "", LIMIT, {}, "ms", in_words(taken))


def _logged_in(ours: NudgeClient) -> tuple[Flask, FlaskClient]:
    app: Flask = create_admin(ours, authenticate=OwnLogins("s" * 32, is_https=False))
    with app.app_context():
        add_user("pia", _PASSWORD, "publisher")
    browser = app.test_client()
    browser.environ_base["HTTP_SEC_FETCH_SITE"] = "same-origin"
    browser.post("/log-in", data={"name": "pia", "password": _PASSWORD})
    return app, browser


def _first_look(app: Flask, browser: FlaskClient, place: str) -> float:
    began = time.perf_counter()
    page = browser.get(place)
    seconds = time.perf_counter() - began
    assert page.status_code == 200
    # Of little history the page itself has made it.
    assert MAKER not in app.extensions or app.extensions[MAKER].wait(600)
    return seconds


def _answered(browser: FlaskClient, place: str) -> None:
    page = browser.get(place)
    assert page.status_code == 200
    assert 'class="answer"' in page.text, "the page has no answer"


def _with_purchases(days: Iterator[list[Record]], people: list[Person]) -> Iterator[list[Record]]:
    """Yield the days; on the last of them one account in eight has paid, at an instant drawn at random."""
    random = Random(11)
    accounts = sorted({each.account: each.user for each in people}.items())
    paid = {
        account: START - random.randrange(1, DAYS - 1) * DAY + random.randrange(DAY) for account, _ in accounts[::8]
    }
    for records in days:
        first = records[0].at // DAY if records else 0
        bought = [
            Record("convert", account, user, f"paid-{account}", paid[account], paid[account], "paid", {"value": 20})
            for account, user in accounts
            if account in paid and paid[account] // DAY == first
        ]
        yield sorted([*records, *bought], key=lambda each: each.at)


def _write_logs(ours: NudgeClient, people: list[Person]) -> None:
    """Write when one member in five qualified, and whom of those a nudge was offered to, or withheld from."""
    random = Random(13)
    tiers: list[Transition] = []
    exposures: list[Exposure] = []
    for each in people[::5]:
        at = START - random.randrange(1, DAYS - 7) * DAY + random.randrange(DAY)
        tiers += [_entered(each.account, user, at) for user in (each.user, "")]
        kind, holdout = ("offered", "") if random.random() < OFFERED else ("withheld", "overall")
        met = Exposure(
            each.account, each.user, f"d-{each.user}", kind, "nudge0", "", "dashboard", at + HOUR, 1, "paid", holdout
        )
        exposures.append(met)
    with ours.store.transaction(wait=60) as transaction:
        transaction.add_transitions(tiers)
        transaction.add_exposures(exposures)


def _entered(account: str, user: str, at: int) -> Transition:
    return Transition(account, user, at, at, "made up", "none", "warm" if user else "hot", 9000, 1)
