from __future__ import annotations

import re

from nudge_sdk import NudgeClient
from nudge_sdk.testing import Clock
from tests.admin.conftest import Admin


def test_the_list_shows_ready_accounts_with_their_active_users(admin: Admin) -> None:
    html = admin("viewer").get("/accounts/").text
    assert "Acme" in html
    assert "bolt" not in html
    assert re.search(r'data-label="Active users" class="numeric">3<', html)
    assert ">hot<" in html


def test_no_ready_account_leads_on_to_all(admin: Admin, clock: Clock, client: NudgeClient) -> None:
    clock.move(days=60)
    client.sweep()
    html = admin("viewer").get("/accounts/").text
    assert "No account has qualified yet" in html
    assert "acme" in admin("viewer").get("/accounts/?tier=all").text


def test_search_narrows_the_list(admin: Admin) -> None:
    browser = admin("viewer")
    assert "bolt" in browser.get("/accounts/?tier=all&q=BOL").text
    assert "No account fits" in browser.get("/accounts/?q=zzz").text


def test_an_account_s_page_tells_everything(admin: Admin, client: NudgeClient) -> None:
    client.group("acme", {"contacts_used": 450, "contacts_limit": 500})
    client.convert("acme")
    html = admin("viewer").get("/accounts/account?account=acme").text
    for words in (
        "Acme",
        "450 of 500",
        "Active users",
        "employees</dt><dd>20",
        "Goals met",
        "Ada Lovelace",
        "4 people",
    ):
        assert (words in html) is (words != "4 people"), words
    assert html.count('<th scope="row">') == 3


def test_who_left_is_marked(admin: Admin, client: NudgeClient) -> None:
    client.group("acme", user="cy", left=True)
    html = admin("viewer").get("/accounts/account?account=acme").text
    assert html.count('<span class="badge">left</span>') == 1


def test_the_account_of_a_single_user_can_be_opened(admin: Admin, client: NudgeClient) -> None:
    client.track("solo", "campaign_sent")
    html = admin("viewer").get("/accounts/account?account=personal:solo").text
    assert "one user without a company" in html


def test_an_unknown_account_is_said_in_clear_words(admin: Admin) -> None:
    for place in ("/accounts/account?account=zzz", "/accounts/account"):
        answer = admin("viewer").get(place)
        assert answer.status_code == 404
        assert "No account is known by that name" in answer.text
