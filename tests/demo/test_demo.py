from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from nudge_sdk.demo.cast import CAST, Person
from nudge_sdk.demo.check import PAGES, log_in, problems, shown
from nudge_sdk.demo.clock import DemoClock
from nudge_sdk.demo.people import history
from nudge_sdk.demo.server import create_app, main

NOW = 1_772_442_000_000_000
"""A Monday morning: 2026-03-02T09:00:00Z."""


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    app = create_app(tmp_path / "demo", DemoClock(lambda: NOW))
    yield app
    app.extensions["demo"].client.close()


@pytest.fixture(scope="module")
def shared_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    app = create_app(tmp_path_factory.mktemp("demo"), DemoClock(lambda: NOW))
    yield app
    app.extensions["demo"].client.close()


def test_the_check_of_the_demo_passes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(check=True) == 0
    assert "people see what they should" in capsys.readouterr().out


def test_the_check_finds_somebody_who_sees_the_wrong_thing(app: Flask) -> None:
    demo = app.extensions["demo"]
    demo.client.convert("silva-travel")
    assert problems(app) == ["Wanda Silva sees nothing at /dashboard, not dashboard_ready"]


@pytest.mark.parametrize("person", CAST, ids=lambda person: person.key)
def test_everybody_sees_what_they_are_said_to_see(shared_app: Flask, person: Person) -> None:
    assert shown(log_in(shared_app, person.key).get(person.page).text) == person.shows


def test_history_is_the_same_for_the_same_seed_and_fills_ninety_days() -> None:
    sayings = history(NOW)
    assert sayings == history(NOW)
    assert sayings != history(NOW, seed=8)
    people = {(each.account, each.user) for each in sayings if each.user}
    assert len({account for account, _ in people}) == 40
    assert 100 <= len(people) <= 140
    assert 60 * 86_400_000_000 < NOW - sayings[0].at <= 90 * 86_400_000_000
    assert sayings[-1].at <= NOW


def test_sending_a_campaign_shows_the_prompt_in_that_very_answer_and_it_stays(app: Flask) -> None:
    ada = log_in(app, "ada")
    answer = ada.post("/campaigns", data={"name": "Fresh", "once": "1"})
    assert shown(answer.text) == "after_campaign"
    assert "You just sent a campaign" in answer.text
    assert ada.post("/campaigns", data={"name": "Fresh", "once": "1"}).status_code == 303
    page = ada.get("/campaigns").text
    assert shown(page) == "after_campaign"
    assert page.count("Fresh") == 1
    form = dict(re.findall(r'name="(token)" value="([^"]+)"', page))
    assert ada.post("/nudge-sdk/report", data={**form, "report": "dismissed"}).location == "/campaigns"
    assert shown(log_in(app, "ada").get("/campaigns").text) == ""


def test_days_later_the_prompt_becomes_help(app: Flask) -> None:
    ada = log_in(app, "ada")
    ada.post("/campaigns", data={"name": "Fresh"})
    assert ada.post("/demo/clock", data={"to": "week"}).status_code == 303
    ada.post("/demo/clock", data={"to": "day"})
    page = ada.get("/dashboard").text
    assert shown(page) == "help_automation"
    assert "8 days ahead" in page


def test_starting_over_brings_everything_back(app: Flask) -> None:
    ada = log_in(app, "ada")
    ada.post("/campaigns", data={"name": "Fresh"})
    ada.post("/demo/clock", data={"to": "week"})
    ada.post("/demo/clock", data={"to": "today"})
    page = ada.get("/campaigns").text
    assert shown(page) == ""
    assert "No campaign yet" in page
    assert "ahead" not in page


def test_upgrading_takes_the_banner_away(app: Flask) -> None:
    wanda = log_in(app, "wanda")
    assert shown(wanda.get("/dashboard").text) == "dashboard_ready"
    wanda.post("/billing/checkout")
    page = wanda.get("/dashboard").text
    assert shown(page) == ""
    assert "Growth" in page


def test_importing_up_to_the_limit_says_the_limit_is_reached(app: Flask) -> None:
    nia = log_in(app, "nia")
    page = nia.post("/contacts", data={"list": "Web shop customers"}).text
    assert shown(page) == "contacts_limit"
    assert "500 of 500 contacts: your list is full" in page


def test_finishing_the_guide_marks_its_last_step_done(app: Flask) -> None:
    hana = log_in(app, "hana")
    assert "2 of 3 done" in hana.get("/dashboard").text
    hana.post("/automations", data={"name": "Welcome series"})
    assert "3 of 3 done" in hana.get("/dashboard").text


def test_a_form_from_another_site_is_refused(shared_app: Flask) -> None:
    ada = log_in(shared_app, "ada")
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        assert ada.post("/campaigns", data={"name": "x"}, headers=headers).status_code == 403
    assert "No campaign yet" in ada.get("/campaigns").text


def test_nobody_logged_in_is_sent_to_the_list_of_people(shared_app: Flask) -> None:
    browser = shared_app.test_client()
    assert browser.get("/people").status_code == 200
    for path in set(PAGES) - {"/", "/people"}:
        assert browser.get(path).location == "/people"


def test_pages_allow_nothing_inline_and_have_none(shared_app: Flask) -> None:
    hana = log_in(shared_app, "hana")
    for path in PAGES:
        answer = hana.get(path, follow_redirects=True)
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'self'")
        assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son[a-z]+=", answer.text), path


def test_a_folder_that_is_not_a_demos_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("irreplaceable")
    with pytest.raises(SystemExit, match="not empty"):
        create_app(tmp_path)
    assert (tmp_path / "thesis.txt").exists()


@pytest.mark.parametrize("name", ["first-automation", "working-together"])
def test_the_videos_and_their_captions_are_there(shared_app: Flask, name: str) -> None:
    hana = log_in(shared_app, "hana")
    with hana.get(f"/help/videos/{name}.mp4") as video, hana.get(f"/help/videos/{name}.vtt") as captions:
        assert video.mimetype == "video/mp4"
        assert captions.data.startswith(b"WEBVTT")
    assert hana.get("/help/videos/other.mp4").status_code == 404
    assert hana.get(f"/help/videos/{name}.exe").status_code == 404


@pytest.mark.parametrize(
    ("path", "form", "page", "says"),
    [
        ("/settings/domain", {"domain": "nia.example"}, "/settings", "nia.example"),
        ("/integrations", {"name": "CRM"}, "/integrations", "Connected"),
        ("/team/invite", {"name": "<b>Bo</b>"}, "/team", "&lt;b&gt;Bo&lt;/b&gt;"),
        ("/billing/seats", {}, "/team", "1 of 11 seats taken"),
        ("/team/ask-admin", {"note": "please"}, "/dashboard", "Your note is on its way."),
        ("/help/chat", {"question": "how"}, "/dashboard", "A person answers"),
    ],
)
def test_every_form_of_the_tool_works(shared_app: Flask, path: str, form: dict[str, str], page: str, says: str) -> None:
    somebody_new = shared_app.test_client()
    somebody_new.post("/people/new", data={"name": "Robin", "company": "Brook Bakery"})
    assert says not in somebody_new.get(page).text
    assert somebody_new.post(path, data=form).status_code in (200, 303)
    assert says in somebody_new.get(page).text


def test_somebody_who_may_not_buy_cannot(shared_app: Flask) -> None:
    mo = log_in(shared_app, "mo")
    assert mo.post("/billing/checkout").status_code == 403
    assert "Free" in mo.get("/dashboard").text
