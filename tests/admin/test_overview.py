from __future__ import annotations

import re
from pathlib import Path

from nudge_sdk import NudgeClient
from nudge_sdk.documents import read_definition
from nudge_sdk.playbooks import read_playbook
from nudge_sdk.store.protocol import Quarantined
from nudge_sdk.testing import Clock
from tests.admin.conftest import OPTIONS, START, Admin, admin_of, browser_of


def words(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_it_says_where_things_stand(admin: Admin) -> None:
    html = words(admin("viewer").get("/").text)
    assert "4 known" in html
    assert re.search(r"0 hot 1 warm 3 not yet", html)
    assert re.search(r"1 hot 0 warm 1 not yet", html)
    assert re.search(r"1 in the last 7 days, 1 in 28", html)
    assert "Published 4 May 2026, 09:00 UTC by setup Note The first one" in html


def test_hot_accounts_come_with_their_reason(admin: Admin) -> None:
    html = words(admin("viewer").get("/").text)
    assert re.search(r"Acme First \w+ of the account: just now", html)


def test_what_was_shown_is_counted_by_prompt_and_help(admin: Admin, client: NudgeClient, clock: Clock) -> None:
    decision = client.decide("dashboard", user="ada", account="acme")
    client.record(decision, "shown")
    client.record(decision, "clicked")
    clock.move(days=9)
    helped = client.decide("dashboard", user="ada", account="acme")
    assert helped.nudge is not None
    assert helped.nudge.mode == "help"
    html = words(admin("viewer").get("/").text)
    assert re.search(r"Offered 1 1 Seen 1 0 Clicked 1 0 Finished 0 0 Dismissed 0 0", html)
    clock.move(days=29)
    assert re.search(r"Offered 0 0 Seen 0 0", words(admin("viewer").get("/").text))


def test_a_goal_met_during_an_episode_is_counted(admin: Admin, client: NudgeClient, clock: Clock) -> None:
    clock.move(days=2)
    client.convert("acme")
    html = words(admin("viewer").get("/").text)
    assert "Episodes begun 1" in html
    assert re.search(r"Paid plan, met in an episode 1 person ", html)


def test_newly_qualified_people_are_counted_by_day_once_each(admin: Admin, client: NudgeClient, clock: Clock) -> None:
    clock.move(days=20)
    client.sweep()
    client.track("ada", "campaign_sent", account="acme")
    client.track("ada", "workflow_started", account="acme")
    for event in ("campaign_sent", "workflow_started"):
        client.track("dora", event, account="bolt")
    html = words(admin("viewer").get("/").text)
    assert re.search(r"1 in the last 7 days, 2 in 28", html)
    assert "24 May 2026 1 4 May 2026 1" in html


def test_lines_set_aside_need_attention(admin: Admin, client: NudgeClient) -> None:
    assert "Needs attention" not in admin("viewer").get("/").text
    with client.store.transaction(wait=5) as transaction:
        transaction.add_quarantined([Quarantined("journal", 1, b"{", "no JSON", client.now())])
    html = words(admin("viewer").get("/").text)
    assert "Needs attention data 1 line could not be taken in, and was set aside" in html


def test_the_data_page_says_what_the_doctor_says(admin: Admin) -> None:
    browser = admin("viewer")
    html = words(browser.get("/data").text)
    assert "Tables: of this release" in html
    assert "Lines set aside: none" in html
    part = browser.get("/data", headers={"HX-Request": "true", "HX-Request-Type": "partial"}).text
    assert "Tables" in part
    assert "<html" not in part


def test_the_first_page_of_all_leads_on_step_by_step(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    with NudgeClient(url, drain="inline", clock=Clock(START), options=OPTIONS) as client:
        browser = browser_of(admin_of(client))
        html = browser.get("/").text
        assert "Choose a playbook" in html
        assert "nudges.track(&#34;ada&#34;" in html or 'nudges.track("ada"' in html
        for place in ("/people/", "/accounts/", "/what-they-see/", "/people/?tier=all"):
            assert browser.get(place).status_code == 200
        client.publish(read_definition(read_playbook("email_tool")))
        assert "Definition 1 is in force" in browser.get("/").text
        client.track("ada", "session_started", account="acme")
        html = words(browser.get("/").text)
        assert "1 known" in html
        assert "Nobody has qualified yet" in html
        assert "Nobody has qualified yet" in browser.get("/people/").text
