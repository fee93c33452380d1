from __future__ import annotations

import logging
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, request, session

from nudge_sdk import NudgeClient, Options, SetupError
from nudge_sdk.hosts.flask import Nudges, Who, current_nudges
from nudge_sdk.hosts.labels import Labels, labels_for
from nudge_sdk.hosts.slips import same_site
from tests.hosts.host import Host, press, shown, token_of


def test_the_whole_circle_without_javascript(host: Host) -> None:
    browser, elsewhere = host.browser("ada"), host.browser("ada")
    assert shown(browser.get("/home").text) == ""
    answer = browser.post("/do/campaign_sent").text
    assert shown(answer) == "prompt"
    assert "You just sent a campaign" in answer
    page = browser.get("/home?tab=2").text
    assert shown(page) == "prompt"
    assert shown(elsewhere.get("/home").text) == "prompt"
    answer = press(browser, page, "dismissed")
    assert (answer.status_code, answer.location) == (303, "/home?tab=2")
    assert shown(elsewhere.get("/home").text) == ""
    assert shown(browser.get("/home").text) == ""
    host.move(days=8)
    guide = elsewhere.get("/home").text
    assert shown(guide) == "guide"
    assert "1 of 2 done" in guide
    browser.post("/do/workflow_started")
    finished = browser.get("/home").text
    assert "2 of 2 done" in finished
    assert press(browser, finished, "completed").status_code == 303
    assert shown(elsewhere.get("/home").text) == ""


def test_without_a_dismissal_the_prompt_stays(host: Host) -> None:
    browser = host.browser("ada")
    browser.post("/do/campaign_sent")
    host.move(minutes=20)
    assert shown(browser.get("/home").text) == "prompt"
    host.move(days=2)
    assert shown(browser.get("/home").text) == "prompt"


def test_the_call_to_action_is_a_form_that_records_the_click_and_leads_on(host: Host) -> None:
    browser = host.browser("ada")
    page = browser.post("/do/campaign_sent").text
    assert "<a " not in page.split("nudge-buttons")[1]
    answer = press(browser, page, "clicked")
    assert (answer.status_code, answer.location) == (303, "/upgrade?from=prompt&x=1")
    host.client.flush()
    kinds = [row.kind for row in host.client.store.exposures("acme", "ada")]
    assert kinds.count("clicked") == 1
    press(browser, page, "clicked")
    host.client.flush()
    assert [row.kind for row in host.client.store.exposures("acme", "ada")].count("clicked") == 1


def test_help_can_be_put_off_for_a_day_and_its_chat_leads_to_the_hosts_page(host: Host) -> None:
    browser = host.browser("ada")
    browser.post("/do/campaign_sent")
    host.move(days=8)
    page = browser.get("/home").text
    assert press(browser, page, "chat").location == "/chat"
    assert press(browser, page, "snoozed").status_code == 303
    assert shown(browser.get("/home").text) == ""
    host.move(days=1, hours=1)
    assert shown(browser.get("/home").text) == "guide"


def test_help_holds_its_video_with_captions_and_transcript(host: Host) -> None:
    browser = host.browser("ada")
    browser.post("/do/campaign_sent")
    host.move(days=8)
    page = browser.get("/home").text
    assert re.search(r'<video [^>]*src="/v.mp4" controls preload="metadata"', page)
    assert re.search(r'<track kind="captions" src="/v.vtt" srclang="en" label="Captions" default>', page)
    assert '<a href="/v">Read instead</a>' in page


def test_a_token_of_somebody_else_is_refused(host: Host) -> None:
    ada, eve = host.browser("ada"), host.browser("eve")
    page = ada.post("/do/campaign_sent").text
    assert press(eve, page, "dismissed").status_code == 403
    assert press(host.app.test_client(), page, "dismissed").status_code == 403
    assert shown(ada.get("/home").text) == "prompt"


def test_a_token_of_the_same_user_in_another_account_is_refused(host: Host) -> None:
    ada = host.browser("ada")
    page = ada.post("/do/campaign_sent").text
    host.people["ada"] = Who("ada", account="other")
    assert press(ada, page, "dismissed").status_code == 403


@pytest.mark.parametrize("change", [lambda token: token[:-9] + token[-8:], lambda token: "", lambda token: token + "A"])
def test_a_tampered_token_is_refused(host: Host, change: Any) -> None:
    ada = host.browser("ada")
    page = ada.post("/do/campaign_sent").text
    answer = ada.post("/nudge-sdk/report", data={"token": change(token_of(page)), "report": "dismissed"})
    assert answer.status_code == 400
    assert shown(ada.get("/home").text) == "prompt"


def test_every_part_of_a_token_is_signed(host: Host) -> None:
    ada = host.browser("ada")
    token = token_of(ada.post("/do/campaign_sent").text)
    for place in range(0, len(token) - 1, 7):
        other = "x" if token[place] != "x" else "y"
        changed = token[:place] + other + token[place + 1 :]
        assert ada.post("/nudge-sdk/report", data={"token": changed, "report": "dismissed"}).status_code == 400


def test_a_token_too_long_and_an_unknown_report_are_refused(host: Host) -> None:
    ada = host.browser("ada")
    page = ada.post("/do/campaign_sent").text
    assert ada.post("/nudge-sdk/report", data={"token": "x" * 9000, "report": "dismissed"}).status_code == 400
    assert ada.post("/nudge-sdk/report", data={"token": token_of(page), "report": "offered"}).status_code == 400


def test_after_two_days_a_form_records_nothing_but_still_leads_on(host: Host) -> None:
    ada = host.browser("ada")
    page = ada.post("/do/campaign_sent").text
    host.move(days=2, hours=1)
    assert press(ada, page, "dismissed").status_code == 303
    assert shown(ada.get("/home").text) == "prompt"


def test_a_secret_can_be_changed_while_forms_are_out(host: Host) -> None:
    ada = host.browser("ada")
    page = ada.post("/do/campaign_sent").text
    host.app.config.update(SECRET_KEY="a new one", SECRET_KEY_FALLBACKS=["the host's own"])
    assert press(host.browser("ada"), page, "dismissed").status_code == 303
    host.app.config.update(SECRET_KEY_FALLBACKS=[])
    assert press(host.browser("ada"), page, "dismissed").status_code == 400


def test_state_changes_by_post_only(host: Host) -> None:
    ada = host.browser("ada")
    token = token_of(ada.post("/do/campaign_sent").text)
    assert ada.get("/nudge-sdk/report", query_string={"token": token, "report": "dismissed"}).status_code == 405
    assert shown(ada.get("/home").text) == "prompt"


@pytest.mark.parametrize("field", ["next", "back", "url", "cta", "leads"])
def test_no_field_of_the_form_chooses_where_it_leads(host: Host, field: str) -> None:
    ada = host.browser("ada")
    page = ada.post("/do/campaign_sent", headers={"Referer": "http://localhost/home"}).text
    for report in ("clicked", "dismissed"):
        answer = press(ada, page, report, **{field: "https://evil.example/"})
        assert answer.location in ("/upgrade?from=prompt&x=1", "/home")


def test_a_page_whose_path_looks_like_another_site_is_not_gone_back_to(host: Host) -> None:
    ada = host.browser("ada")
    ada.post("/do/campaign_sent")
    page = ada.get("/home", environ_overrides={"PATH_INFO": "//evil.example/home"}).text
    assert press(ada, page, "dismissed").location == "/evil.example/home"


def test_a_referrer_of_another_site_is_not_gone_back_to(host: Host) -> None:
    ada = host.browser("ada")
    page = ada.post("/do/campaign_sent", headers={"Referer": "https://evil.example/home"}).text
    assert press(ada, page, "dismissed").location == "/"


@pytest.mark.parametrize(
    "path",
    ["//evil.example", "/\\evil.example", "https://evil.example", "evil", "", "/a\r\nb", "/\t/evil", "/" + "a" * 2000],
)
def test_only_plain_paths_are_of_this_site(path: str) -> None:
    assert same_site(path) == "/"


def test_an_app_below_a_prefix_goes_back_below_it(host: Host) -> None:
    ada = host.browser("ada")
    ada.post("/do/campaign_sent")
    page = ada.get("/home?a=b", environ_overrides={"SCRIPT_NAME": "/shop"}).text
    assert 'action="/shop/nudge-sdk/report"' in page
    assert press(ada, page, "dismissed").location == "/shop/home?a=b"


HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7*7 }}"


def test_hostile_names_and_traits_are_shown_as_text(host: Host) -> None:
    ada = host.browser("ada", traits={"name": HOSTILE}, account_traits={"name": HOSTILE})
    ada.post("/do/campaign_sent")
    page = ada.get("/home").text
    assert shown(page) == "prompt"
    page = page.partition("</head>")[2]
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "{{ 7*7 }}" in page
    assert "Upgrade &lt;now&gt;" in page


def test_what_a_milestone_says_is_text_too(host: Host) -> None:
    ada = host.browser("ada")
    ada.post("/do/campaign_sent")
    host.move(days=2)
    ada.post("/do/teammate_invited")
    page = ada.get("/home").text
    assert "invited &lt;b&gt;your&lt;/b&gt; team" in page


def test_nobody_is_shown_nothing_and_tracks_nothing(host: Host) -> None:
    browser = host.app.test_client()
    page = browser.get("/home")
    assert page.status_code == 200
    assert "data-nudge" not in page.text
    assert browser.post("/do/campaign_sent").status_code == 200
    host.browser("ada").post("/do/campaign_sent")
    host.client.flush()
    assert [row.key for row in host.client.store.subjects()] == [("acme", ""), ("acme", "ada")]


def test_a_placement_is_asked_once_a_request(host: Host) -> None:
    ada = host.browser("ada")
    ada.post("/do/campaign_sent")
    with host.app.test_request_context("/home"):
        session["user"] = "ada"
        first = host.nudges.decide("dashboard")
        assert first
        host.client.record(first, "dismissed")
        assert host.nudges.decide("dashboard") is first
        assert current_nudges() is host.nudges


def test_live_numbers_are_told_before_they_are_asked_for(host: Host) -> None:
    ada = host.browser("ada", account_traits={"name": "Before"})
    ada.post("/do/campaign_sent")
    host.people["ada"] = Who("ada", account="acme", account_traits={"name": "After"})
    assert "for After." in ada.get("/home").text


def test_somebody_who_may_not_buy_gets_the_other_text_as_a_card(host: Host) -> None:
    mo = host.browser("mo", can_purchase=False)
    page = mo.post("/do/campaign_sent").text
    assert '<section class="nudge nudge-card nudge-modal" role="status"' in page
    assert press(mo, page, "clicked").location == "/ask"


def test_a_button_whose_action_the_host_does_not_know_is_left_out(host: Host) -> None:
    mo = host.browser("mo", can_purchase=False)
    host.nudges.actions.clear()
    page = mo.post("/do/campaign_sent").text
    assert shown(page) == "prompt"
    assert "Ask my admin" not in page
    assert ">Close</button>" in page


def test_a_broken_store_leaves_the_page_as_it_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "nudge.db").write_bytes(b"this is no database at all" * 100)
    host = Host(tmp_path)
    host.client.options = Options()
    ada = host.browser("ada")
    with caplog.at_level(logging.CRITICAL, "nudge_sdk"):
        answers = [ada.get("/home"), ada.post("/do/campaign_sent"), ada.get("/home")]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert all("page" in answer.text and "data-nudge" not in answer.text for answer in answers)
    host.client.close()


def test_a_failing_identify_leaves_the_page_as_it_is_and_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    host = Host(tmp_path)
    host.client.options = Options()
    host.nudges.identify = lambda: 1 / 0  # type: ignore[assignment, return-value]
    with caplog.at_level(logging.ERROR, "nudge_sdk"):
        pages = [host.app.test_client().get("/home") for _ in range(3)]
    assert [page.status_code for page in pages] == [200] * 3
    assert len(caplog.records) == 1
    host.client.options = Options(on_error="raise")
    with pytest.raises(ZeroDivisionError):
        host.app.test_client().get("/home")
    host.client.close()


def test_nothing_needs_inline_style_or_script(host: Host) -> None:
    ada = host.browser("ada")
    prompt = ada.post("/do/campaign_sent").text
    press(ada, prompt, "dismissed")
    host.move(days=8)
    for page in (prompt, ada.get("/home").text):
        assert shown(page)
        assert not re.search(r"<script(?! type=\"module\" src=)|<style|\sstyle=|\son[a-z]+=|javascript:", page)
        assert page.count("<script") == 1
        assert "autofocus" not in page


def test_the_style_sheet_is_served_and_may_be_kept(host: Host) -> None:
    browser = host.app.test_client()
    href = re.search(r'<link rel="stylesheet" href="([^"]+)">', browser.get("/home").text)
    assert href
    with browser.get(unescape(href[1])) as sheet:
        assert sheet.status_code == 200
        assert b".nudge-button" in sheet.data
        assert "max-age=31536000" in sheet.headers["Cache-Control"]
    src = re.search(r'<script type="module" src="([^"]+)"></script>', browser.get("/home").text)
    assert src
    with browser.get(unescape(src[1])) as script:
        assert script.mimetype == "text/javascript"
        assert b"customElements.define" in script.data
    assert browser.get("/nudge-sdk/static/../flask.py").status_code == 404


def test_the_hosts_own_csrf_field_is_in_the_form(host: Host) -> None:
    def check() -> None:
        if request.method == "POST" and request.path.startswith("/nudge-sdk"):
            assert request.form["csrf_token"] == "of the host"

    host.app.jinja_env.globals["csrf_token"] = lambda: "of the host"
    host.app.before_request(check)
    ada = host.browser("ada")
    page = ada.post("/do/campaign_sent").text
    fields = {"csrf_token": "of the host"}
    assert 'name="csrf_token" value="of the host"' in page
    assert press(ada, page, "dismissed", **fields).status_code == 303


def test_a_nudge_says_its_language_and_its_buttons_speak_it() -> None:
    assert labels_for("de-AT").close == "Schließen"
    assert labels_for("xx").close == "Close"
    assert labels_for("fr", {"fr": Labels(close="Fermer")}).close == "Fermer"


def test_set_up_mistakes_raise_at_once(tmp_path: Path) -> None:
    with NudgeClient(f"sqlite:///{tmp_path / 'n.db'}") as client:
        with pytest.raises(SetupError, match="SECRET_KEY"):
            Nudges(Flask(__name__), client, identify=lambda: None)
        app = Flask(__name__)
        app.secret_key = "x"
        with pytest.raises(SetupError, match="prefix"):
            Nudges(app, client, identify=lambda: None, prefix="nudge")


def test_the_prefix_can_be_another(tmp_path: Path) -> None:
    app = Flask(__name__)
    app.secret_key = "x"
    with NudgeClient(f"sqlite:///{tmp_path / 'n.db'}") as client:
        Nudges(app, client, identify=lambda: None, prefix="/help/hints")
        assert app.test_client().post("/help/hints/report").status_code == 400
