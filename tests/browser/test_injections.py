"""Nothing that a person typed or sent does anything in the host's page or in the admin."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from flask import Flask, g, render_template_string
from playwright.sync_api import Page

from nudge_sdk import NudgeClient, Options
from nudge_sdk.admin import Actor, create_admin, queries
from nudge_sdk.admin.queries import StoredDraft
from nudge_sdk.documents import read_definition
from nudge_sdk.errors import DefinitionError
from nudge_sdk.hosts.flask import Nudges, Who
from nudge_sdk.rules.authoring import parse_definition, to_plain
from nudge_sdk.rules.definition import Definition
from tests.browser.harness import Troubles
from tests.browser.injections import INJECTIONS

DEFINITION = """
name: Product
holdout: {share: 0}
settings: {caps: [], gap_minutes: 0}
milestones:
  - {key: seen, name: Seen, signal: {event: seen}, category: high, is_aha: true, done: saw it}
segments:
  - {key: everybody, member: {warm: {score: 5}}}
nudges:
  - key: hello
    placement: page
    needs_episode: false
    content:
      title: "{{ trait.name | friend }} did it"
      body: "**{{ trait.name | friend }}** and [a link](/x?name={{ trait.name | friend }})"
      cta: {label: "{{ trait.name | friend }}", url: "/y?name={{ trait.name | friend }}"}
"""
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Host</title>{{ nudge_head() }}</head>
<body><main><h1>Host</h1>{% for html in nudges %}{{ html }}{% endfor %}</main></body></html>"""

NOBODY = r"status of 403.*/nudge-sdk/report"
"""Their reports are refused: the page shows what many people see, and is opened by nobody."""

Serve = Callable[[object], str]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[NudgeClient]:
    with NudgeClient(f"sqlite:///{tmp_path / 'nudges.db'}", drain="inline", options=Options(on_error="log")) as client:
        client.publish(read_definition(DEFINITION), by=INJECTIONS[0], note=INJECTIONS[1])
        yield client


def said(client: NudgeClient, texts: list[str]) -> list[str]:
    """Say each text wherever a host can put one; return those that were taken as ids too."""
    taken = []
    for number, text in enumerate(texts):
        user = f"u{number}"
        client.identify(user, {"name": text, text: text}, account=user)
        client.track(user, "seen", {text: text, "plain": text}, account=user)
        client.track(user, text, account=user)
        if client.group(text, {"name": text}, user=text) and client.track(text, "seen", account=text):
            taken.append(text)
    assert client.flush()
    return taken


def host_of(client: NudgeClient, users: list[tuple[str, str]]) -> Flask:
    """Return a host whose one page shows what each of these people would see."""
    app = Flask("host")
    app.secret_key = "a secret"
    nudges = Nudges(app, client, identify=lambda: Who(g.user, g.account) if "user" in g else None)

    @app.get("/<int:first>")
    def page(first: int) -> str:
        shown = []
        for user, account in users[first : first + 100]:
            g.user, g.account = user, account
            shown.append(nudges.nudge("page"))
        return render_template_string(PAGE, nudges=shown)

    @app.after_request
    def be_strict(answer: object) -> object:
        answer.headers["Content-Security-Policy"] = "default-src 'self'"  # type: ignore[attr-defined]
        return answer

    return app


def check_pages(page: Page, url: str, places: list[str]) -> None:
    """Open pages, go over everything in them, and see that nothing of what was typed became part of the page."""
    for place in places:
        answer = page.goto(url + place)
        assert answer is not None
        assert answer.status == 200, (place, answer.status)
        page.evaluate("for (const it of document.querySelectorAll('*')) it.dispatchEvent(new MouseEvent('mouseover'))")
        strange = page.evaluate(
            """() => [...document.querySelectorAll("*")].flatMap((it) => [
              ...[...it.attributes].filter((each) => each.name.startsWith("on") || each.name.startsWith("hx-on")
                || (["href", "src", "action"].includes(each.name) && /^\\s*(javascript|data:text)/i.test(each.value))
                || /evil\\.example/.test(each.name === "href" || each.name === "src" || each.name === "action"
                   ? new URL(each.value, location).host : "")).map((each) => it.tagName + " " + each.name),
              ...(it.matches("iframe, object, embed, base") ? [it.tagName] : []),
            ])"""
        )
        assert strange == [], place


def test_nothing_typed_does_anything_in_the_hosts_page(
    client: NudgeClient, page: Page, serve: Serve, troubles: Troubles
) -> None:
    texts = list(INJECTIONS)
    taken = said(client, texts)
    users = [(f"u{number}", f"u{number}") for number in range(len(texts))] + [(text, text) for text in taken]
    url = serve(host_of(client, users))
    check_pages(page, url, ["/0"])
    assert page.locator(".nudge").count() == len(users), "not everybody was shown theirs"
    troubles.take(NOBODY)


@pytest.mark.shared
@pytest.mark.slow
def test_the_naughty_strings_do_nothing_in_the_hosts_page(
    client: NudgeClient, page: Page, serve: Serve, shared_data: Path, troubles: Troubles
) -> None:
    texts = json.loads((shared_data / "blns.json").read_text(encoding="utf-8"))
    taken = said(client, texts)
    users = [(f"u{number}", f"u{number}") for number in range(len(texts))] + [(text, text) for text in taken]
    check_pages(page, serve(host_of(client, users)), [f"/{first}" for first in range(0, len(users), 100)])
    troubles.take(NOBODY)


def with_copy(text: str, number: int, definition: Definition) -> Definition:
    """Return a definition with one more nudge, milestone and segment, that say a text wherever they can."""
    nudge, milestone, segment = definition.nudges[0], definition.milestones[0], definition.segments[-1]
    assert nudge.content is not None
    content = msgspec.structs.replace(nudge.content, title=text)
    replaced = msgspec.structs.replace
    # Each segment makes every page slower; drafts of segments say the other texts.
    segments = [replaced(segment, key=f"s{number}", name=text, notes=text)] if number % 4 == 1 else []
    return replaced(
        definition,
        nudges=(*definition.nudges, replaced(nudge, key=f"n{number}", name=text, content=content, notes=text)),
        milestones=(*definition.milestones, replaced(milestone, key=f"m{number}", name=text, done=text, notes=text)),
        segments=(*segments, *definition.segments),
    )


@pytest.mark.slow
def test_nothing_typed_does_anything_in_the_admin(
    client: NudgeClient, page: Page, serve: Serve, troubles: Troubles
) -> None:
    said(client, list(INJECTIONS))
    definition, refused = client.intake.catalog.rules.definition, 0
    for number, text in enumerate(INJECTIONS):
        try:
            definition = parse_definition(to_plain(with_copy(text, number, definition)))
        except DefinitionError:
            refused += 1
    assert refused < len(INJECTIONS) / 2, "most copy was refused, so little was tried"
    client.publish(definition, by=INJECTIONS[2], note=INJECTIONS[3])
    app = create_admin(client, authenticate=lambda request: Actor(INJECTIONS[0], "publisher"))
    with app.app_context():
        queries.add_drafts(drafts())
    url = serve(app)
    check_pages(page, url, places_of(client, app))
    troubles.take(r"status of 404.*/nudges/d\d+/")  # previews load the videos that drafts name


@pytest.mark.shared
@pytest.mark.slow
def test_the_naughty_strings_do_nothing_in_the_admin(
    client: NudgeClient, page: Page, serve: Serve, shared_data: Path
) -> None:
    texts = json.loads((shared_data / "blns.json").read_text(encoding="utf-8"))
    taken = said(client, texts)
    app = create_admin(client, authenticate=lambda request: Actor("Pia", "publisher"))
    with app.app_context():
        # Each segment is shown with its smallest ways, and hundreds are as many as no product has.
        found = enumerate(drafts(texts))
        queries.add_drafts(each for number, each in found if each.kind != "segment" or number % 5 == 0)
    page.set_default_timeout(60_000)
    lists = ["/", "/people/?tier=all", "/accounts/?tier=all", "/milestones/", "/segments/", "/nudges/", "/check/"]
    people = ["/people/person?" + urlencode({"account": text, "user": text}) for text in taken[::40]]
    check_pages(page, serve(app), [*lists, "/publish/", "/history/changes", *people])


def drafts(texts: Sequence[str] = INJECTIONS) -> Iterator[StoredDraft]:
    """Yield drafts that say texts wherever one can stand, whether they may be published or not."""
    for number, text in enumerate(texts):
        # Each place of a draft says another text, so that the editors of a few show all.
        turning = cycle([*texts[number:], *texts[:number]])
        button = {"label": next(turning), "url": next(turning)}
        step = {"title": next(turning), "body": next(turning), "url": next(turning)}
        video = {name: next(turning) for name in ("url", "title", "captions_url", "transcript_url")}
        copy = {name: next(turning) for name in ("title", "body", "dismiss")}
        content = {"type": "help", **copy, "cta": button, "chat": button, "steps": [step], "video": video}
        nudge = {name: next(turning) for name in ("placement", "name", "notes")}
        audience = {"trait": next(turning), "equals": next(turning)}
        whole = {"key": f"d{number}", **nudge, "content": content, "tags": [next(turning)], "audience": audience}
        yield StoredDraft("nudge", f"d{number}", whole, 0, 0, text)
        signal = {"event": next(turning), "where": {"property": next(turning), "equals": next(turning)}}
        milestone = {name: next(turning) for name in ("name", "done", "notes")}
        yield StoredDraft("milestone", f"dm{number}", {"key": f"dm{number}", "signal": signal, **milestone}, 0, 0, text)
        when = {"account_trait": next(turning), "equals": next(turning)}
        segment = {"key": f"ds{number}", "name": next(turning), "when": when, "notes": next(turning)}
        yield StoredDraft("segment", f"ds{number}", segment, 0, 0, text)


def _drafted(start: str, step: int = 3) -> list[dict[str, Any]]:
    """Return every third draft: its editor says so many texts that together they say all of them."""
    return [{"key": f"{start}{number}"} for number in range(0, len(INJECTIONS), step)]


def places_of(client: NudgeClient, app: Flask) -> list[str]:
    """Return every page of the admin, those of one thing for everything there is."""
    rows = [row for row in client.store.subjects(limit=1000, members=True) if row.user_id in INJECTIONS]
    members = [{"account": row.account_id, "user": row.user_id} for row in rows]
    things: dict[str, list[dict[str, Any]]] = {
        "members.show": members[::2],
        "accounts.show": [{"account": each["account"]} for each in members[1::2]],
        "seen.ask": [{**each, "placement": "page"} for each in members[::4]],
        "milestones.edit": [{"key": "m1"}, *_drafted("dm")],
        "segments.edit": [{"key": "s1"}, *_drafted("ds")],
        "what_if.show": [{"key": "s1"}, {"key": "ds0"}],
        "nudges.edit": [{"key": "n1"}, *_drafted("d")],
        "milestones.confirm_removal": _drafted("dm")[:2],
        "segments.confirm_removal": _drafted("ds")[:2],
        "history.show": [{"number": 2}],
        "history.changes": [{}, {"entity": INJECTIONS[0]}],
    }
    skipped = {"static", "history.document"}
    with app.test_request_context():
        found: list[str] = []
        for rule in app.url_map.iter_rules():
            if "GET" not in (rule.methods or ()) or rule.endpoint in skipped:
                continue
            known = things.get(rule.endpoint) or ([] if rule.arguments else [{}])
            assert known, f"say in things what {rule.endpoint} is to be tried with"
            found += [app.url_for(rule.endpoint, **values) for values in known]
    return found
