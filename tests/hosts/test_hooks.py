"""What a host says beside who somebody is, and its own banners, errors and releases."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, session

from nudge_sdk import NudgeClient, Options, SetupError
from nudge_sdk.hosts.flask import Nudges, Who
from nudge_sdk.hosts.slips import is_address
from tests.hosts.host import Host, press, shown, token_of
from tests.runtime.examples import nudge, product

UNCAPPED = {"caps": [], "gap_minutes": 0}


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Any]:
    made: list[Host] = []

    def make(**hooks: Any) -> Host:
        made.append(Host(tmp_path / str(len(made)), hooks=hooks, release="v7"))
        return made[-1]

    for name in ("0", "1"):
        (tmp_path / name).mkdir()
    yield make
    for host in made:
        host.client.close()


def in_help(host: Host) -> Any:
    ada = host.browser("ada")
    ada.post("/do/campaign_sent")
    host.move(days=8)
    return ada


def test_the_host_says_who_may_buy_once_a_request(make: Any) -> None:
    asked: list[str] = []

    def can_purchase(who: Who) -> bool:
        asked.append(who.user)
        return False

    page = make(can_purchase=can_purchase).browser("ada").post("/do/campaign_sent").text
    assert "Ask my admin" in page
    assert asked == ["ada"]


def test_the_host_is_asked_who_may_buy_for_what_still_stands_too(make: Any) -> None:
    host = make(can_purchase=lambda who: False)
    host.client.publish(product(nudge("a", placement="dashboard", hide={"can_purchase": True}), settings=UNCAPPED))
    ada = host.browser("ada")
    data = {"token": token_of(ada.get("/home").text), "report": "open"}
    answer = ada.post("/nudge-sdk/report", data=data, headers={"Accept": "application/json"})
    assert answer.json == {"ok": True, "open": True}


def test_a_failing_answer_to_who_may_buy_leaves_what_identify_says(make: Any, caplog: pytest.LogCaptureFixture) -> None:
    host = make(can_purchase=lambda who: 1 / 0)
    host.client.options = Options()
    with caplog.at_level(logging.ERROR, "nudge_sdk"):
        page = host.browser("ada").post("/do/campaign_sent").text
    assert "Upgrade &lt;now&gt;" in page
    assert "can_purchase failed" in caplog.text


def test_a_step_opens_the_users_own_unfinished_object(make: Any) -> None:
    asked: list[tuple[str, str]] = []

    def resume(who: Who, name: str) -> str | None:
        asked.append((who.user, name))
        return "/start/draft-7?a=1&b=2"

    page = in_help(make(resume_target=resume)).get("/home").text
    assert '<a href="/start/draft-7?a=1&amp;b=2" class="nudge-step-title">Start</a>' in page
    assert '<a href="/send"' in page
    assert asked == [("ada", "started")]


@pytest.mark.parametrize(
    "answer", [None, "", "javascript:alert(1)", "//evil.example", "/\\evil.example", "start", "ftp://x/y", "http://"]
)
def test_a_step_keeps_its_own_address_where_the_host_has_no_good_one(make: Any, answer: Any) -> None:
    host = make(resume_target=lambda who, name: answer)
    host.client.options = Options()
    assert '<a href="/start" class="nudge-step-title">Start</a>' in in_help(host).get("/home").text


def test_a_failing_resume_target_is_said_once_and_changes_nothing(make: Any, caplog: pytest.LogCaptureFixture) -> None:
    host = make(resume_target=lambda who, name: 1 / 0)
    host.client.options = Options()
    with caplog.at_level(logging.ERROR, "nudge_sdk"):
        pages = [in_help(host).get("/home").text for _ in range(2)]
    assert all('href="/start"' in page for page in pages)
    assert len(caplog.records) == 1


@pytest.mark.parametrize("url", ["/a", "/a?b=c#d", "https://x.example/y", "http://localhost:5000/"])
def test_good_addresses(url: str) -> None:
    assert is_address(url)


@pytest.mark.parametrize(
    "url", ["", "a", "//x", "https:///x", "https://x y", "https://x\\y", "data:,x", "/\n", "HTTPS:x"]
)
def test_bad_addresses(url: str) -> None:
    assert not is_address(url)


def claims(host: Host, *asked: str) -> list[bool]:
    """Ask in one request, for nudges and with a leading @ for banners of the host's own."""
    with host.app.test_request_context("/home"):
        session["user"] = "ada"
        return [host.nudges.claim(each[1:]) if each[0] == "@" else bool(host.nudges.decide(each)) for each in asked]


def test_a_banner_of_the_hosts_own_takes_the_place_of_nudges(host: Host) -> None:
    host.browser("ada").post("/log-in/ada")
    host.client.track("ada", "campaign_sent", account="acme")
    assert claims(host, "@dashboard", "dashboard") == [True, False]
    assert claims(host, "dashboard", "@dashboard") == [False, True]
    host.move(minutes=40)
    assert claims(host, "dashboard") == [False]
    host.move(days=1)
    assert claims(host, "dashboard", "@dashboard") == [True, False]
    assert claims(host, "@dashboard") == [False]


def test_nothing_stands_beside_a_banner_even_what_was_on_display(host: Host) -> None:
    host.client.publish(product(nudge("a", placement="a"), settings=UNCAPPED))
    host.browser("ada")
    assert claims(host, "a") == [True]
    assert claims(host, "@b", "a") == [True, False]
    assert claims(host, "a") == [True]


def test_nobody_and_a_broken_identify_are_shown_the_hosts_banner(host: Host) -> None:
    with host.app.test_request_context("/home"):
        assert host.nudges.claim("dashboard")
    host.client.options = Options()
    host.nudges.identify = lambda: 1 / 0  # type: ignore[assignment, return-value]
    with host.app.test_request_context("/home"):
        assert host.nudges.claim("dashboard")


@pytest.mark.parametrize("path", ["/crash", "/fail/500", "/fail/503"])
def test_after_a_server_error_there_is_silence_for_a_while(host: Host, path: str) -> None:
    ada, bo = host.browser("ada"), host.browser("bo")
    host.app.testing = False
    for each in (ada, bo):
        each.post("/do/campaign_sent")
    assert ada.get(path).status_code >= 500
    assert shown(ada.get("/home").text) == ""
    assert shown(bo.get("/home").text) == "prompt"
    host.move(minutes=4)
    assert shown(ada.get("/home").text) == ""
    host.move(minutes=2)
    assert shown(ada.get("/home").text) == "prompt"
    kinds = [row.kind for row in host.client.store.exposures("acme", "ada")]
    assert kinds.count("quiet") == 1


def test_answers_below_500_and_errors_of_nobody_silence_nobody(host: Host) -> None:
    host.app.testing = False
    ada = host.browser("ada")
    assert ada.get("/fail/404").status_code == 404
    assert host.app.test_client().get("/crash").status_code == 500
    assert shown(ada.post("/do/campaign_sent").text) == "prompt"


def test_silence_can_be_longer_or_switched_off(make: Any) -> None:
    longer, never = make(quiet_minutes=60), make(quiet_minutes=0)
    for host in (longer, never):
        host.app.testing = False
        ada = host.browser("ada")
        ada.get("/crash")
        host.move(minutes=50)
        assert shown(ada.post("/do/campaign_sent").text) == ("" if host is longer else "prompt")


def test_in_a_row_of_errors_silence_is_written_once_a_minute(host: Host) -> None:
    host.app.testing = False
    ada = host.browser("ada")
    for _ in range(5):
        ada.get("/crash")
    host.move(minutes=2)
    ada.get("/crash")
    assert [row.kind for row in host.client.store.exposures("acme", "ada")] == ["quiet", "quiet"]


def test_an_error_is_the_hosts_own_even_where_silence_fails(host: Host) -> None:
    ada = host.browser("ada")

    def identify() -> Who:
        raise LookupError("the session is gone")

    host.nudges.identify = identify
    with pytest.raises(ZeroDivisionError):
        ada.get("/crash")


def test_events_carry_the_hosts_release(make: Any) -> None:
    host = make()
    host.browser("ada").post("/do/campaign_sent")
    host.client.flush()
    with host.client.store.transaction(wait=5) as transaction:
        records = list(transaction.records_of([("acme", "ada")], first_day=0, last_day=2**31))
    assert [record.release for record in records if record.kind == "track"] == ["v7"]


def test_opting_out_stops_what_shares_a_tag_or_everything(make: Any) -> None:
    host = make()
    ada = host.browser("ada")
    press(ada, ada.post("/do/campaign_sent").text, "opted_out")
    host.move(days=8)
    assert shown(ada.get("/home").text) == ""
    decided = host.client.decide("dashboard", user="ada", account="acme")
    assert set(decided.reasons.values()) == {"OPTED_OUT"}
    tagged = make()
    first = nudge("a", placement="dashboard", priority=1, tags=["offers", "news"])
    tagged.client.publish(product(first, nudge("b", placement="dashboard"), settings=UNCAPPED))
    ada = tagged.browser("ada")
    press(ada, ada.get("/home").text, "opted_out")
    assert shown(ada.get("/home").text) == "b"


def test_a_host_need_not_offer_opting_out(make: Any) -> None:
    page = make(can_opt_out=False).browser("ada").post("/do/campaign_sent").text
    assert "opted_out" not in page
    assert 'value="snoozed"' in page


@pytest.mark.parametrize(
    ("hooks", "says"),
    [({"can_buy": bool}, "can_buy"), ({"quiet_minutes": -1}, "quiet_minutes=-1"), ({"quiet_minutes": 1e6}, "minutes")],
)
def test_a_wrong_hook_raises_at_once(tmp_path: Path, hooks: dict[str, Any], says: str) -> None:
    app = Flask(__name__)
    app.secret_key = "x"
    with NudgeClient("memory://") as client, pytest.raises(SetupError, match=says):
        Nudges(app, client, identify=lambda: None, **hooks)
