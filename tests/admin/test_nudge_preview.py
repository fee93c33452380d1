from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from nudge_sdk import NudgeClient
from nudge_sdk.admin.nudge_editor.form import shown_length
from nudge_sdk.admin.nudge_editor.placeholders import placeholders
from nudge_sdk.admin.nudge_editor.preview import Look, preview
from nudge_sdk.documents import read_definition
from nudge_sdk.playbooks import read_playbook
from nudge_sdk.rules.authoring_copy import placeholder_names
from nudge_sdk.rules.copy import check_text
from nudge_sdk.rules.definition import Button, Content, Nudge, Trigger
from tests.admin.conftest import Admin
from tests.admin.forms_sent import form_of

DEFINITION = read_definition(read_playbook("email_tool"))
PARTIAL = {"HX-Request": "true", "HX-Request-Type": "partial"}
STATIC = Path(__file__).resolve().parent.parent.parent / "static"
NASTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onfocus='alert(1)' autofocus='",
    "</textarea><svg onload=alert(1)>",
    "[x](javascript:alert(1)) ![y](javascript:alert(2))",
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "</style><style>*{display:none}</style>",
    "{{ 7*7 }} {% print(1) %} {{ config }}",
    "\u202eevil\u2066\u2069\u200b",
    "<b onmouseover=alert(1)>&lt;script&gt;",
    "Ω≈ç√∫˜µ≤≥÷ 👩\u200d👩\u200d👧 \u0660\u0661",
    "x" * 40_960,
]


def shown(client: NudgeClient, nudge: Nudge, **look: Any) -> str:
    return str(preview(client, DEFINITION, nudge, Look(**look)).html)


def nudge_of(key: str) -> Nudge:
    return next(each for each in DEFINITION.nudges if each.key == key)


def test_an_example_has_just_done_what_the_nudge_waits_for(client: NudgeClient) -> None:
    assert "You just invited your teammates" in shown(client, nudge_of("after_team"))
    assert "3 people will soon build campaigns with you" in shown(client, nudge_of("after_team"))
    assert "500 of 500 contacts" in shown(client, nudge_of("contacts_limit"))


def test_somebody_unknown_sees_every_fallback(client: NudgeClient) -> None:
    assert "All of your contacts" in shown(client, nudge_of("contacts_limit"), person="unknown")


def test_a_real_person_fills_in_their_real_values(client: NudgeClient) -> None:
    content = Content(title="Hi {{ user_name | there }}, {{ count.teammates }} at {{ account_name | work }}")
    nudge = Nudge(key="n", placement="p", content=content)
    found = preview(client, DEFINITION, nudge, Look(person="real", account="acme", user="ada"))
    assert "Hi Ada Lovelace, 3 at Acme" in found.html
    assert "real values of ada" in found.note
    nobody = preview(client, DEFINITION, nudge, Look(person="real", account="acme", user="zed"))
    assert "Nothing was ever said of zed" in nobody.note
    assert "cannot be looked up" in preview(client, DEFINITION, nudge, Look(person="real", user="")).note


def test_a_language_and_those_who_cannot_buy_are_shown_theirs(client: NudgeClient) -> None:
    assert "Du hast gerade" in shown(client, nudge_of("after_campaign"), locale="de")
    assert "Ask my admin" in shown(client, nudge_of("after_campaign"), can_purchase=False)


def test_copy_that_is_not_finished_is_shown_all_the_same(client: NudgeClient) -> None:
    content = Content(
        title="Hi {{ nobody }} {{ user_name }} {{ user_name | you }} {{",
        cta=Button(label="Go", url="javascript:alert(1)"),
    )
    html = shown(client, Nudge(key="n", placement="p", content=content), person="unknown")
    assert "Hi {{ nobody }}" in html
    assert "javascript" not in html


def test_nothing_in_a_preview_can_be_sent_or_lead_away(client: NudgeClient) -> None:
    for nudge in DEFINITION.nudges:
        html = shown(client, nudge)
        assert html
        assert not re.search(r'<form|type="submit"|<a [^>]*href|action=|src="/', html), nudge.key


def test_where_the_buttons_lead_stands_beside_the_preview(client: NudgeClient) -> None:
    cta = Button(label="Go", url="/upgrade/{{ account_name | you }}?n={{ count.teammates }}")
    nudge = Nudge(key="n", placement="p", content=Content(title="T", cta=cta), trigger=Trigger(milestone="teammates"))
    assert preview(client, DEFINITION, nudge, Look()).leads == [("Go", "/upgrade/Example%20Ltd?n=3")]


def test_a_preview_follows_what_is_typed_and_saves_nothing(admin: Admin) -> None:
    browser = admin()
    form = form_of(browser.get("/nudges/after_campaign/").text)
    form |= {"content.title": "Typed just now {{ user_name }}", "priority": "many"}
    part = browser.post("/nudges/after_campaign/preview/", data=form, headers=PARTIAL).text
    assert "Typed just now Alex Morgan" in part
    assert "<html" not in part
    assert 'data-problem-of="content.title"' in part
    assert 'data-problem-of="priority"' in part
    assert form_of(browser.get("/nudges/after_campaign/").text)["content.title"] != form["content.title"]


def test_a_mistyped_placeholder_is_answered_with_the_one_that_was_meant(admin: Admin) -> None:
    browser = admin()
    form = form_of(browser.get("/nudges/after_campaign/").text) | {"content.title": "{{ user_nam | you }}"}
    part = browser.post("/nudges/after_campaign/preview/", data=form, headers=PARTIAL).text
    assert "user_nam is not a known name. Did you mean user_name?" in part
    form["content.title"] = "{{ zzz | you }}"
    part = browser.post("/nudges/after_campaign/preview/", data=form, headers=PARTIAL).text
    assert "Take one of those under “All placeholders”" in part


def test_a_viewer_may_look_as_anybody(admin: Admin) -> None:
    data = {"look-person": "real", "look-account": "acme", "look-user": "ada", "look-locale": "de", "look-buys": "no"}
    part = admin("viewer").post("/nudges/after_campaign/preview/", data=data, headers=PARTIAL).text
    assert "Admin fragen" in part
    assert "real values of ada" in part


def test_a_preview_on_a_page_of_its_own_has_the_element_that_reports_nothing(admin: Admin) -> None:
    browser = admin()
    form = form_of(browser.get("/nudges/contacts_limit/").text)
    page = browser.post("/nudges/contacts_limit/alone/", data=form).text
    assert "data-preview" in page
    assert "nudge.js" in page


def test_the_check_says_why_nobody_would_see_it(admin: Admin) -> None:
    browser = admin()
    form = form_of(browser.get("/nudges/after_campaign/").text) | {"holdout": "100"}
    part = browser.post("/nudges/after_campaign/preview/", data=form, headers=PARTIAL).text
    assert "it is withheld from everybody" in part
    assert "withheld from everybody" not in browser.get("/nudges/after_campaign/").text


def test_every_placeholder_that_is_offered_is_one_that_is_taken() -> None:
    names = placeholder_names(DEFINITION.milestones)
    offered = placeholders(DEFINITION)
    assert {each.name for each in offered} == names.some | names.always
    for each in offered:
        assert not check_text(each.text, names.some, max_length=200, always=names.always), each


@pytest.mark.parametrize(
    ("text", "is_markdown", "length"),
    [
        ("Hello", False, 5),
        ("Hi {{ user_name | there }}", False, 8),
        ("{{ count.teammates }}", False, 15),
        ("**Hi** [link](/a/very/long/address)", True, 7),
        ("x" * 30_000, True, 30_000),
    ],
)
def test_texts_are_counted_as_people_see_them(text: str, is_markdown: bool, length: int) -> None:
    assert shown_length(text, is_markdown=is_markdown) == length


def test_the_colours_of_the_stage_are_those_of_pages() -> None:
    nudge_css, admin_css = ((STATIC / name).read_text(encoding="utf-8") for name in ("nudge.css", "admin.css"))
    for stage, page in (
        (".stage {", ":where(:root) {"),
        (":checked) .stage {", ':where(:root:not([data-nudge-scheme="light"])) {'),
    ):
        ours, theirs = _tokens(admin_css, stage), _tokens(nudge_css, page)
        assert len(ours) >= 9
        assert {name: theirs.get(name) for name in ours} == ours


def _tokens(css: str, start: str) -> dict[str, str]:
    block = css.partition(start)[2].partition("}")[0]
    return dict(re.findall(r"(--nudge-[a-z-]+): (#[0-9a-f]+);", block))


class _Suspect(HTMLParser):
    """Finds what could run: scripts not ours, handlers, addresses that execute, styles."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "script" and not str(found.get("src", "")).startswith("/static/"):
            self.found.append(tag)
        if tag in ("iframe", "object", "embed", "svg", "style", "base"):
            self.found.append(tag)
        for name, value in attrs:
            is_address = name in ("href", "src", "action", "formaction")
            if (
                name.startswith("on")
                or name == "style"
                or (is_address and re.match(r"\s*(javascript|data):", value or ""))
            ):
                self.found.append(f"{tag} {name}={value}")


@pytest.mark.parametrize("nasty", NASTY, ids=range(len(NASTY)))
def test_nothing_hostile_gets_through_in_any_field(admin: Admin, nasty: str) -> None:
    browser = admin()
    form = form_of(browser.get("/nudges/help_automation/").text)
    kept = ("version", "audience-mode", "hide-mode", "audience-match", "hide-match")
    sent = {name: value if name in kept else nasty for name, value in form.items()}
    for answer in (
        browser.post("/nudges/help_automation/", data=sent),
        browser.post("/nudges/help_automation/preview/", data=sent),
        browser.post("/nudges/help_automation/alone/", data=sent),
        browser.post("/nudges/new-nudge/", data=sent),
        browser.get("/nudges/new-nudge/", query_string={"from": nasty, "mode": nasty, "placement": nasty[:2000]}),
        browser.get("/nudges/", query_string={"mode": nasty[:2000]}),
    ):
        # A form of a megabyte is refused whole.
        assert answer.status_code in (200, 422) or (len(nasty) > 40_000 and answer.status_code == 413)
        suspect = _Suspect()
        suspect.feed(answer.text)
        assert suspect.found == []


def test_hostile_texts_that_are_allowed_stand_in_the_list_as_texts(admin: Admin) -> None:
    browser = admin()
    form = form_of(browser.get("/nudges/after_campaign/").text)
    form |= {"name": NASTY[0], "content.title": NASTY[1], "placement": NASTY[2], "notes": NASTY[3]}
    assert browser.post("/nudges/after_campaign/", data=form).status_code == 303
    for place in ("/nudges/", "/nudges/after_campaign/"):
        suspect = _Suspect()
        suspect.feed(browser.get(place).text)
        assert suspect.found == []
        assert "&lt;script&gt;alert(1)" in browser.get(place).text
