"""The pages of proof with half a year of made-up history: what they say, for whom, and what they do without it."""

from __future__ import annotations

import html
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from nudge_sdk import NudgeClient
from nudge_sdk.demo.clock import DemoClock
from nudge_sdk.insights.benchmarks import DEFAULTS, stored_benchmarks
from nudge_sdk.insights.journeys import refreshed_at
from nudge_sdk.insights.lift_plans import kept_plan
from nudge_sdk.rules.times import DAY
from nudge_sdk.testing import Clock
from tests.admin.conftest import OPTIONS, START, Admin, admin_of, browser_of
from tests.admin.made_up import NOW, made_up_client, made_up_client_in
from tests.admin.test_milestones import OURS, text_of

__all__ = ["made_up_client"]

PAGES = (
    "/funnel/",
    "/lift/",
    "/accuracy/",
    "/signals/",
    "/calibration/",
    "/trend/",
    "/economics/?pql=12000&other=40000",
)


MAY_BE_KEPT = ("/signals/", "/calibration/")
"""Their reports may be kept, from which they answer without the packages."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NudgeClient]:
    """A client on a copy that no test changes."""
    with made_up_client_in(tmp_path_factory.mktemp("shared")) as client:
        yield client


@pytest.fixture(scope="module")
def viewer(shared: NudgeClient) -> FlaskClient:
    return browser_of(admin_of(shared, "viewer"))


def charts_of(page: str) -> list[dict]:
    return [json.loads(html.unescape(each)) for each in re.findall(r'data-chart="([^"]+)"', page)]


def answer_of(page: str) -> str:
    found = re.search(r'<p class="answer">(.*?)</p>', page)
    assert found is not None, "the page gives no answer"
    return html.unescape(found[1])


@pytest.mark.parametrize("path", PAGES)
def test_each_page_answers_in_a_sentence_draws_it_and_has_its_table(viewer: FlaskClient, path: str) -> None:
    answer = viewer.get(path)
    assert answer.status_code == 200
    assert answer_of(answer.text).endswith((".", "!"))
    charts = charts_of(answer.text)
    assert charts
    assert all(each["says"] and each["series"][0]["values"] for each in charts)
    assert answer.text.count("<table") >= len(charts)
    assert "What the words mean" in answer.text
    assert "As of 2 Mar 2026, 09:00 UTC" in answer.text


@pytest.mark.parametrize("path", PAGES)
def test_no_page_has_anything_inline_and_to_htmx_it_is_a_part(viewer: FlaskClient, path: str) -> None:
    page = viewer.get(path).text
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son[a-z]+=|hx-on|js:", page)
    part = viewer.get(path, headers={"HX-Request": "true", "HX-Request-Type": "partial"}).text
    assert "<html" not in part
    assert answer_of(part) == answer_of(page)


def test_the_funnel_says_whom_it_counts_and_how_sure_it_is(viewer: FlaskClient) -> None:
    accounts, people = viewer.get("/funnel/").text, viewer.get("/funnel/?unit=member").text
    assert "Counted: accounts" in accounts
    assert "Counted: people" in people
    drawn = charts_of(accounts)[0]
    assert drawn["labels"] == ["Sign-up", "Activation", "PQL", "PQA", "Won"]
    (series,) = drawn["series"]
    assert series["values"][0] == 1
    assert series["values"] == sorted(series["values"], reverse=True)
    assert all(low < value < high for low, value, high in zip(
        series["low"][1:], series["values"][1:], series["high"][1:], strict=True))  # fmt: skip
    assert re.search(r"\d+ accounts came to “Won” without going through all steps", html.unescape(accounts))
    assert text_of(accounts).count("95 % interval") >= 1


def test_the_funnel_is_divided_and_weeks_that_are_not_over_are_marked(viewer: FlaskClient) -> None:
    by_source = charts_of(viewer.get("/funnel/?by=source").text)[0]
    assert {each["name"] for each in by_source["series"]} == {"search", "referral", "ads", "partner"}
    page = viewer.get("/funnel/?by=cohort&step=activated").text
    weeks = charts_of(page)[0]
    assert weeks["title"] == "Came to “Activation”"
    assert page.count(">not over yet<") == len(weeks["labels"]) - weeks["pale_from"] == 5
    assert viewer.get("/funnel/?by=trait:employees").status_code == 200


def test_a_funnel_of_any_events_is_asked_for_by_name(viewer: FlaskClient) -> None:
    page = viewer.get("/funnel/?steps=domain_connected, campaign_sent ,teammate_invited&unit=member&within=ever").text
    assert charts_of(page)[0]["labels"] == ["domain_connected", "campaign_sent", "teammate_invited"]
    mistaken = viewer.get("/funnel/?steps=campaign_sent")
    assert mistaken.status_code == 200
    assert "This is no funnel" in mistaken.text


def test_lift_is_told_of_what_chance_withheld_and_not_before_the_planned_size(viewer: FlaskClient) -> None:
    page = viewer.get("/lift/").text
    assert answer_of(page).startswith("Prompts and help bring customers: ")
    drawn = charts_of(page)[0]
    verdicts = dict(zip(drawn["labels"], drawn["series"][0]["texts"], strict=True))
    assert verdicts["All prompts and help, goal “Paid plan”"] == "helps"
    assert verdicts["On the billing page"] == "too early to say"
    assert drawn["levels"][0]["value"] == 0
    assert "Sample ratio: " in page
    assert "always-valid interval" in page
    assert "Fixed by demo on" in page


def test_accuracy_judges_by_the_benchmark_and_names_those_it_missed(viewer: FlaskClient) -> None:
    page = viewer.get("/accuracy/").text
    assert answer_of(page).endswith("By the benchmark that is well calibrated.")
    shares, curve = charts_of(page)
    assert [each["text"] for each in shares["zones"]] == ["too loose", "well calibrated"]
    shown = curve["series"][0]
    assert shown["is_stepped"]
    assert shown["values"] == sorted(shown["values"])
    assert text_of(page).index("audience_segmented") < text_of(page).index("theme_changed")
    assert re.search(r'href="/accounts/account\?account=made-up-\d{4}"', page)
    people = viewer.get("/accuracy/?unit=member").text
    assert re.search(r'href="/people/person\?account=made-up-\d{4}&amp;user=made-up-\d{4}\.1"', people)
    accounts = answer_of(viewer.get("/accuracy/?flag=pqa&within=14").text)
    assert re.match(r"\d+ % of PQAs pay within 14 days; of the others \d\.\d %\. ", accounts)


def test_signals_mark_what_is_leaky_and_what_says_nothing(viewer: FlaskClient) -> None:
    page = viewer.get("/signals/?unit=member&event=audience_segmented").text
    found = re.finditer(r'<tr>\s*<th scope="row"><a[^>]*>([a-z_]+)</a>.*?</tr>', page, re.S)
    rows = {each[1]: text_of(each[0]) for each in found}
    assert "predicts" in rows["audience_segmented"]
    assert "leaky" in rows["invoice_downloaded"]
    assert "no information" in rows["terms_accepted"]
    assert "How often, how soon: audience_segmented" in page
    assert page.count("is-best") == 1
    assert "heat-5" in page
    assert 'title="at least 3 times in their first 4 days: ' in page


def test_signals_say_what_todays_milestones_are_worth(viewer: FlaskClient) -> None:
    page = text_of(viewer.get("/signals/milestones?unit=member").text)
    assert "First campaign sent" in page
    assert "keep" in page
    assert "too few yet" in page


def test_the_trend_shows_what_was_published_and_released(viewer: FlaskClient) -> None:
    page = viewer.get("/trend/").text
    drawn = charts_of(page)[0]
    assert [each["text"] for each in drawn["marks"]] == ["v4.1", "Def. 2", "v5.0", "v5.1", "Def. 3"]
    assert len(drawn["labels"]) == 26
    assert drawn["pale_from"] == 25
    assert "An association, not proof" in page
    assert len(charts_of(viewer.get("/trend/?weeks=12&segment=smb&source=ads").text)[0]["labels"]) == 12


def test_economics_takes_what_is_typed_in_and_says_what_it_cannot_read(viewer: FlaskClient) -> None:
    assert "times as much" in answer_of(viewer.get(PAGES[-1]).text)
    assert not charts_of(viewer.get("/economics/").text)
    assert "Type in what was spent" in viewer.get("/economics/").text
    wrong = viewer.get("/economics/?pql=much&since=yesterday&until=2020-01-01").text
    assert "&#39;much&#39; is no amount" in wrong
    assert "&#39;yesterday&#39; is no date" in wrong
    assert "The last day lies before the first" in wrong
    assert 'value="much"' in wrong


def test_a_filter_that_makes_no_sense_is_left_out(viewer: FlaskClient) -> None:
    for path in PAGES:
        place = path.split("?")[0]
        nonsense = f"{place}?unit=moons&by=%00&within=x&weeks=-1&segment=nobody&source=nowhere&event=x&flag=y&step=z"
        assert viewer.get(nonsense).status_code == 200, place


def test_a_size_is_fixed_by_an_editor_and_stands_on_the_page(made_up_client: NudgeClient) -> None:
    editor = browser_of(admin_of(made_up_client, "editor"))
    assert editor.post("/lift/plan", data={"baseline": "8", "effect": "4"}).location == "/lift/?notice=planned"
    plan = kept_plan(made_up_client.store)
    assert (plan.baseline, plan.effect, plan.by, plan.at) == (0.08, 0.04, "Pia", NOW)
    page = editor.get("/lift/").text
    assert "That was after the first of them came in" in page
    assert answer_of(page).startswith("It is too early to say whether prompts and help work")


@pytest.mark.parametrize("sent", [{}, {"baseline": "x", "effect": "5"}, {"baseline": "90", "effect": "20"}])
def test_a_size_that_cannot_be_is_refused_with_the_reason(made_up_client: NudgeClient, sent: dict[str, str]) -> None:
    editor = browser_of(admin_of(made_up_client, "editor"))
    before = kept_plan(made_up_client.store)
    answer = editor.post("/lift/plan", data=sent)
    assert answer.status_code == 422
    assert "This cannot be fixed" in answer.text
    assert kept_plan(made_up_client.store) == before


def test_benchmarks_are_edited_with_their_source_and_brought_back(made_up_client: NudgeClient) -> None:
    editor = browser_of(admin_of(made_up_client, "editor"))
    typed = {"low-pql_to_paid": "35", "source-pql_to_paid": "Our own last year", "high-pql_to_paid_loose": "12,5 %"}
    rest = {f"low-{each.key}": "1" for each in DEFAULTS if f"low-{each.key}" not in typed and "loose" not in each.key}
    assert editor.post("/accuracy/benchmarks", data={**rest, **typed}).status_code == 303
    found = {each.key: each for each in stored_benchmarks(made_up_client.store)}
    assert (found["pql_to_paid"].low, found["pql_to_paid"].source) == (0.35, "Our own last year")
    assert found["pql_to_paid_loose"].high == 0.125
    assert "well calibrated." not in answer_of(editor.get("/accuracy/").text)
    for wrong in ({"low-pql_to_paid": "many"}, {"low-pql_to_paid": "50", "high-pql_to_paid": "20"}):
        assert editor.post("/accuracy/benchmarks", data=wrong).status_code == 422
    assert editor.post("/accuracy/benchmarks", data={"do": "usual"}).status_code == 303
    assert stored_benchmarks(made_up_client.store) == DEFAULTS


def test_journeys_are_counted_anew_when_somebody_asks_and_one_is_back_where_one_was(
    made_up_client: NudgeClient,
) -> None:
    clock = made_up_client._clock
    assert isinstance(clock, DemoClock)
    clock.move(1)
    browser = browser_of(admin_of(made_up_client, "viewer"))
    answer = browser.post("/proof/refresh", data={"back": "/funnel/?unit=member"})
    assert answer.location == "/funnel/?unit=member"
    assert refreshed_at(made_up_client.store) == NOW + DAY
    assert browser.post("/proof/refresh", data={"back": "//evil.example"}).location == "/"
    assert browser.post("/proof/refresh").location == "/"


def test_old_journeys_are_counted_anew_by_opening_a_page(made_up_client: NudgeClient) -> None:
    clock = made_up_client._clock
    assert isinstance(clock, DemoClock)
    clock.move(7)
    page = browser_of(admin_of(made_up_client, "viewer")).get("/trend/").text
    assert "As of 9 Mar 2026, 09:00 UTC" in page


def test_with_hardly_any_history_each_page_says_so_and_none_fails(admin: Admin) -> None:
    viewer = admin("viewer")
    for path in PAGES:
        answer = viewer.get(path)
        assert answer.status_code == 200, path
        assert answer_of(answer.text)
        assert f"As of {START:%-d %b %Y}" in answer.text


def test_where_nothing_is_published_each_page_says_so(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    with NudgeClient(url, drain="inline", options=OPTIONS) as client:
        viewer = browser_of(admin_of(client, "viewer"))
        for path in PAGES:
            page = viewer.get(path)
            assert page.status_code == 200, path
            assert "Nothing is published yet" in page.text


@pytest.mark.parametrize("missing", ["ibis", "statsmodels.stats.proportion", "numpy"])
def test_without_the_packages_each_page_says_what_to_install(
    viewer: FlaskClient, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    for path in PAGES:
        page = viewer.get(path)
        assert page.status_code == 200, path
        assert "pip install &#39;nudge-sdk[insights]&#39;" in page.text or answer_of(page.text)
        assert "pip install" in page.text or missing != "ibis" or path in MAY_BE_KEPT


def test_hostile_names_are_escaped_in_charts_and_tables(client: NudgeClient, clock: Clock) -> None:
    for number, text in enumerate(OURS):
        account = f"evil-{number}"
        client.group(account, {"name": text, "source": text, text: text, "employees": 3}, user=text)
        client.track(text, text, account=account)
        client.convert(account)
    clock.move(days=60)
    viewer = browser_of(admin_of(client, "viewer"))
    for path in ("/signals/?unit=member", "/funnel/?by=source&unit=member", "/accuracy/?unit=member", "/trend/"):
        page = viewer.get(path).text
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert [text for text in OURS if text not in html.unescape(page)] == [], path
    for text in OURS:
        asked = {"by": f"trait:{text}", "steps": f"{text},{text}x", "event": text, "segment": text}
        assert viewer.get("/funnel/", query_string=asked).status_code == 200


def test_releases_are_kept_and_new_ones_found_day_by_day(made_up_client: NudgeClient) -> None:
    clock = made_up_client._clock
    assert isinstance(clock, DemoClock)
    viewer = browser_of(admin_of(made_up_client, "viewer"))

    def marks(weeks: int) -> list[str]:
        return [each["text"] for each in charts_of(viewer.get(f"/trend/?weeks={weeks}").text)[0]["marks"]]

    assert marks(12) == ["v5.0", "v5.1", "Def. 3"]
    assert marks(26)[0] == "v4.1"
    made_up_client.recorder.release = "6.0"
    made_up_client.track("made-up-0001.1", "session_started", account="made-up-0001")
    assert marks(26)[-1] == "v6.0"
    assert marks(12)[-1] == "v6.0"


def test_the_admin_and_the_demo_need_none_of_the_packages_to_start() -> None:
    names = ("ibis", "numpy", "scipy", "statsmodels", "sklearn", "firthmodels", "pandas", "duckdb", "pyarrow")
    code = f"import sys; sys.modules.update(dict.fromkeys({names!r})); import nudge_sdk.admin, nudge_sdk.demo.server"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_overview_reminds_of_thresholds_after_a_month_and_of_points_after_a_quarter(
    made_up_client: NudgeClient,
) -> None:
    clock = made_up_client._clock
    assert isinstance(clock, DemoClock)
    viewer = browser_of(admin_of(made_up_client, "viewer"))
    page = viewer.get("/").text
    assert "Calibrate the points now: it was due on 30 Nov 2025" in page
    assert "Look at the thresholds" not in page
    clock.move(8)
    assert "Look at the thresholds now: it was due on 10 Mar 2026" in viewer.get("/").text
