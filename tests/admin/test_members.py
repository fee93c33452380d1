from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlencode

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event
from sqlalchemy.engine import Engine

from nudge_sdk import NudgeClient
from nudge_sdk.admin.queries.people import PAGE, Asked, Cursor
from nudge_sdk.documents import read_definition
from nudge_sdk.playbooks import read_playbook
from nudge_sdk.rules.records import Record
from nudge_sdk.rules.times import DAY
from nudge_sdk.testing import Clock
from tests.admin.conftest import OPTIONS, START, Admin, admin_of, browser_of

HOSTILE = (
    "<script>alert(1)</script>",
    "a/b?c=d&e#f",
    "  spaces  in it ",
    "../../etc",
    "Ω≈ç√∫ 田中さん",
    "\"'><b>",
    "%00%2f",
)
EVENTS = ("session_started", "domain_connected", "contacts_imported", "campaign_sent", "workflow_started")


@contextmanager
def counted() -> Iterator[list[str]]:
    """The SQL statements that the admin's own engine runs."""
    statements: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        statements.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    yield statements
    event.remove(Engine, "before_cursor_execute", note)


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with 2,000 members in 500 accounts."""
    path = tmp_path_factory.mktemp("many") / "nudges.db"
    with NudgeClient(f"sqlite:///{path}", drain="inline", clock=Clock(START), options=OPTIONS) as client:
        client.publish(read_definition(read_playbook("email_tool")), by="setup", note="Many")
        random, now = Random(5), client.now()
        records = [
            Record(
                "track", f"account-{number // 4}", f"user-{number}", f"{number}-{each}", at, at, random.choice(EVENTS)
            )
            for number in range(2_000)
            for each in range(random.randint(1, 3))
            for at in [now - random.randrange(DAY)]
        ]
        records.sort(key=lambda record: record.at)
        client.intake.take(records, wait=10)
    return path


@pytest.fixture
def crowd(many: Path, tmp_path: Path) -> Iterator[FlaskClient]:
    path = tmp_path / "many.db"
    shutil.copy(many, path)
    with NudgeClient(f"sqlite:///{path}", drain="inline", clock=Clock(START), options=OPTIONS) as client:
        yield browser_of(admin_of(client, "viewer"))


def people(html: str) -> list[str]:
    """Users of a list, in their order."""
    return [unescape(user) for user in re.findall(r'<th scope="row">\s*<a[^>]*[?&;]user=([^"&]+)"', html)]


def scores(html: str) -> list[float]:
    return [float(each) for each in re.findall(r'data-label="Score" class="numeric">([\d.]+)<', html)]


def next_page(html: str) -> str:
    found = re.search(r'href="([^"]+)">Next page', html)
    return unescape(found[1]) if found else ""


def person(browser: FlaskClient, account: str, user: str) -> str:
    answer = browser.get("/people/person?" + urlencode({"account": account, "user": user}))
    assert answer.status_code == 200
    return answer.text


def test_the_list_shows_who_has_qualified_with_the_strongest_reason(admin: Admin) -> None:
    html = admin("viewer").get("/people/").text
    assert people(html) == ["ada"]
    assert "Ada Lovelace" in html
    assert "First campaign sent" in html
    assert "Prompts" in html


def test_everybody_is_shown_when_asked_for(admin: Admin) -> None:
    html = admin("viewer").get("/people/?tier=all").text
    assert people(html)[0] == "ada"
    assert set(people(html)) == {"ada", "bob", "cy", "dora"}
    assert scores(html) == sorted(scores(html), reverse=True)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"q": "ADA"}, ["ada"]),
        ({"q": "bolt", "tier": "all"}, ["dora"]),
        ({"q": "%", "tier": "all"}, []),
        ({"tier": "none", "q": "b"}, ["dora", "bob"]),
        ({"phase": "prompt"}, ["ada"]),
        ({"phase": "help"}, []),
        ({"segment": "nowhere"}, ["ada"]),
        ({"segment": "-"}, []),
        ({"tier": "rubbish", "sort": "rubbish", "after": "rubbish"}, ["ada"]),
    ],
)
def test_the_list_is_narrowed_by_what_is_asked(admin: Admin, asked: dict[str, str], found: list[str]) -> None:
    html = admin("viewer").get("/people/?" + urlencode(asked)).text
    assert sorted(people(html)) == sorted(found)
    if not found:
        assert "Nobody fits" in html


def test_the_phase_follows_the_days_of_the_episode(admin: Admin, client: NudgeClient, clock: Clock) -> None:
    browser = admin("viewer")
    for days, phase in ((6, "prompt"), (1, "help"), (20, "help"), (1, "rest"), (29, "rest")):
        clock.move(days=days)
        assert people(browser.get(f"/people/?tier=all&phase={phase}").text) == ["ada"]
        others = {"prompt", "help", "rest"} - {phase}
        assert not any(people(browser.get(f"/people/?tier=all&phase={other}").text) for other in others)
    clock.move(days=1)
    assert people(browser.get("/people/?tier=all&phase=rest").text) == []


def test_htmx_gets_only_the_results(admin: Admin) -> None:
    headers = {"HX-Request": "true", "HX-Request-Type": "partial"}
    html = admin("viewer").get("/people/?q=ada", headers=headers).text
    assert people(html) == ["ada"]
    assert "<html" not in html
    assert "<h1" not in html


def test_paging_shows_each_person_once_and_in_order(crowd: FlaskClient) -> None:
    seen: list[str] = []
    numbers: list[float] = []
    place = "/people/?tier=all&q=user-1"
    while place:
        html = crowd.get(place).text
        seen += people(html)
        numbers += scores(html)
        place = next_page(html)
    assert len(seen) == len(set(seen)) == 1_111
    assert numbers == sorted(numbers, reverse=True)


def test_paging_goes_on_by_day_too(crowd: FlaskClient) -> None:
    first = crowd.get("/people/?tier=all&sort=seen").text
    second = crowd.get(next_page(first)).text
    assert len(people(first)) == len(people(second)) == PAGE
    assert not set(people(first)) & set(people(second))


@pytest.mark.parametrize(
    "place", ["/people/?tier=all", "/people/", "/accounts/?tier=all", "/accounts/account?account=account-7", "/"]
)
def test_a_page_asks_as_few_questions_of_many_as_of_few(crowd: FlaskClient, admin: Admin, place: str) -> None:
    with counted() as of_many:
        assert crowd.get(place).status_code == 200
    with counted() as of_few:
        admin("viewer").get(place.replace("account-7", "acme"))
    assert len(of_many) == len(of_few) <= 12


def test_a_list_of_very_many_is_not_counted_to_the_end(crowd: FlaskClient) -> None:
    assert "More than 1,000 people" in crowd.get("/people/?tier=all").text


def test_a_person_s_page_tells_everything(admin: Admin, client: NudgeClient) -> None:
    decision = client.decide("dashboard", user="ada", account="acme")
    assert decision
    client.record(decision, "shown")
    client.record(decision, "dismissed")
    html = person(admin("viewer"), "acme", "ada")
    for words in (
        "Ada Lovelace",
        "First campaign sent: 1 in the last 14 days (1 needed)",
        "In 7 days",
        "In 30 days",
        "Day 0 of 27, for the goal paid",
        "1 nudge offered",
        "dismissed</span>",
        "role</dt><dd>admin",
        "<code>teammate_invited</code>",
        "Breadth",
    ):
        assert words in html, words
    assert "/what-they-see/?account=acme&amp;user=ada" in html


def test_gates_say_whether_they_are_met(admin: Admin) -> None:
    html = person(admin("viewer"), "acme", "ada")
    assert re.search(r'class="yes">✓ <span class="unseen">met: </span>needs First campaign sent', html)
    assert re.search(r'class="no">✗ <span class="unseen">not met: </span>needs 3 of', html)


def test_the_changes_of_tier_stand_with_what_brought_them(admin: Admin, client: NudgeClient, clock: Clock) -> None:
    clock.move(days=40)
    client.sweep()
    html = person(admin("viewer"), "acme", "ada")
    assert "when something was done" in html
    assert "when time passed" in html


def test_somebody_without_an_account_has_a_page(admin: Admin, client: NudgeClient) -> None:
    client.track("solo", "campaign_sent")
    html = person(admin("viewer"), "personal:solo", "solo")
    assert "a user of their own" in html
    assert "5</strong>" in html


def test_what_a_person_did_before_they_were_known_is_theirs(admin: Admin, client: NudgeClient) -> None:
    client.track("anonymous-7", "page_viewed", {"path": "/pricing"}, account="acme")
    client.alias("anonymous-7", "ada", account="acme")
    assert "page_viewed" in person(admin("viewer"), "acme", "ada")
    answer = admin("viewer").get("/people/person?account=acme&user=anonymous-7")
    assert answer.status_code == 303
    assert "user=ada" in answer.headers["Location"]


@pytest.mark.parametrize("asked", [{"account": "acme", "user": "nobody"}, {"user": "ada"}, {"account": "acme"}, {}])
def test_nobody_known_is_said_in_clear_words(admin: Admin, asked: dict[str, str]) -> None:
    answer = admin("viewer").get("/people/person?" + urlencode(asked))
    assert answer.status_code == 404
    assert "Nobody is known by that name" in answer.text


@pytest.mark.parametrize("name", HOSTILE)
def test_any_id_can_be_listed_linked_and_opened(admin: Admin, client: NudgeClient, name: str) -> None:
    client.identify(name, {"name": name, name: name}, account=name)
    client.track(name, "campaign_sent", {name: name}, account=name)
    client.track(name, name, account=name)
    browser = admin("viewer")
    html = browser.get("/people/?" + urlencode({"tier": "all", "q": name})).text
    (place,) = re.findall(r'<th scope="row">\s*<a[^>]*href="([^"]+)"', html)
    opened = browser.get(unescape(place))
    assert opened.status_code == 200
    account = browser.get("/accounts/account?" + urlencode({"account": name}))
    assert account.status_code == 200
    seen = browser.get("/what-they-see/?" + urlencode({"account": name, "user": name, "placement": name}))
    assert seen.status_code == 200
    for text in (html, opened.text, account.text, seen.text):
        assert "<script>alert" not in text
        assert "\"'><b>" not in text


def test_a_cursor_reads_back_what_was_written() -> None:
    cursor = Cursor(12_000, "ac/me", "a\x1fda 田")
    assert Cursor.read(cursor.packed()) == cursor
    assert Cursor.read("") is None
    assert Cursor.read("ö") is None


def test_nothing_asked_is_the_qualified() -> None:
    assert Asked().tier == "qualified"
