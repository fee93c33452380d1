"""Who may use which route of the admin: every route stands in the table, or the test fails."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from flask import Flask

from nudge_sdk import NudgeClient
from nudge_sdk.admin import OwnLogins, create_admin
from tests.admin.conftest import admin_of

NOBODY, VIEWER, EDITOR, PUBLISHER = "nobody", "viewer", "editor", "publisher"
ACTORS = (NOBODY, VIEWER, EDITOR, PUBLISHER)


class Route(NamedTuple):
    """One way into the admin.

    Attributes:
        least: The least of the actors that may use it.
    """

    method: str
    rule: str
    least: str
    values: dict[str, str] = {}


KEY, NUDGE, SEGMENT = {"key": "sessions"}, {"key": "after_campaign"}, {"key": "smb"}

TABLE = (
    Route("GET", "/static/<path:filename>", NOBODY, {"filename": "admin.css"}),
    Route("GET", "/", VIEWER),
    Route("GET", "/data", VIEWER),
    Route("GET", "/people/", VIEWER),
    Route("GET", "/people/person", VIEWER, {"account": "acme", "user": "ada"}),
    Route("GET", "/accounts/", VIEWER),
    Route("GET", "/accounts/account", VIEWER, {"account": "acme"}),
    Route("GET", "/what-they-see/", VIEWER),
    Route("GET", "/milestones/", VIEWER),
    Route("GET", "/milestones/<key>/", VIEWER, KEY),
    Route("POST", "/milestones/<key>/", EDITOR, KEY),
    Route("POST", "/milestones/<key>/discard/", EDITOR, KEY),
    Route("GET", "/milestones/<key>/remove/", EDITOR, KEY),
    Route("POST", "/milestones/<key>/remove/", EDITOR, KEY),
    Route("GET", "/milestones/new-one/", EDITOR),
    Route("POST", "/milestones/new-one/", EDITOR),
    Route("GET", "/segments/", VIEWER),
    Route("GET", "/segments/<key>/", VIEWER, SEGMENT),
    Route("POST", "/segments/<key>/", EDITOR, SEGMENT),
    Route("POST", "/segments/<key>/discard/", EDITOR, SEGMENT),
    Route("GET", "/segments/<key>/what-if/", VIEWER, SEGMENT),
    Route("POST", "/segments/<key>/what-if/", EDITOR, SEGMENT),
    Route("GET", "/segments/<key>/remove/", EDITOR, SEGMENT),
    Route("POST", "/segments/<key>/remove/", EDITOR, SEGMENT),
    Route("POST", "/segments/move-one/", EDITOR),
    Route("GET", "/segments/new-one/", EDITOR),
    Route("POST", "/segments/new-one/", EDITOR),
    Route("GET", "/nudges/", VIEWER),
    Route("GET", "/nudges/<key>/", VIEWER, NUDGE),
    Route("POST", "/nudges/<key>/", EDITOR, NUDGE),
    Route("POST", "/nudges/<key>/alone/", VIEWER, NUDGE),
    Route("POST", "/nudges/<key>/preview/", VIEWER, NUDGE),
    Route("POST", "/nudges/<key>/pause/", EDITOR, NUDGE),
    Route("POST", "/nudges/<key>/discard/", EDITOR, NUDGE),
    Route("POST", "/nudges/<key>/remove/", EDITOR, NUDGE),
    Route("GET", "/nudges/new-nudge/", EDITOR),
    Route("POST", "/nudges/new-nudge/", EDITOR),
    Route("POST", "/nudges/new-nudge/alone/", VIEWER),
    Route("POST", "/nudges/new-nudge/preview/", VIEWER),
    Route("GET", "/funnel/", VIEWER),
    Route("GET", "/lift/", VIEWER),
    Route("POST", "/lift/plan", EDITOR),
    Route("GET", "/accuracy/", VIEWER),
    Route("POST", "/accuracy/benchmarks", EDITOR),
    Route("GET", "/signals/", VIEWER),
    Route("GET", "/signals/milestones", VIEWER),
    Route("GET", "/calibration/", VIEWER),
    Route("POST", "/calibration/", EDITOR),
    Route("GET", "/calibration/movement", VIEWER),
    Route("GET", "/trend/", VIEWER),
    Route("GET", "/economics/", VIEWER),
    Route("GET", "/proof/newer", VIEWER),
    Route("POST", "/proof/refresh", VIEWER),
    Route("GET", "/check/", VIEWER),
    Route("GET", "/publish/", VIEWER),
    Route("POST", "/publish/", PUBLISHER),
    Route("GET", "/publish/movement", VIEWER),
    Route("POST", "/publish/discard", EDITOR),
    Route("GET", "/history/", VIEWER),
    Route("GET", "/history/changes", VIEWER),
    Route("GET", "/history/<int:number>", VIEWER, {"number": "1"}),
    Route("GET", "/history/<int:number>.yaml", VIEWER, {"number": "1"}),
    Route("POST", "/history/<int:number>/roll-back", PUBLISHER, {"number": "1"}),
    Route("GET", "/playbooks/", VIEWER),
    Route("POST", "/playbooks/", EDITOR),
)

LOG_IN = (Route("GET", "/log-in", NOBODY), Route("POST", "/log-in", NOBODY), Route("POST", "/log-out", NOBODY))
"""What there is only where the admin keeps users of its own."""


def named(route: Route) -> str:
    return f"{route.method} {route.rule}"


def app_of(client: NudgeClient, actor: str) -> Flask:
    if actor != NOBODY:
        return admin_of(client, actor)
    app: Flask = create_admin(client, authenticate=lambda request: None)
    return app


def ask(app: Flask, route: Route, site: str = "same-origin") -> int:
    place, rest = route.rule, dict(route.values)
    for name in list(rest):
        for form in (f"<{name}>", f"<int:{name}>", f"<path:{name}>"):
            if form in place:
                place = place.replace(form, rest.pop(name))
                break
    browser = app.test_client()
    with browser.open(place, method=route.method, query_string=rest, headers={"Sec-Fetch-Site": site}) as answer:
        return answer.status_code


def routes_of(app: Flask) -> set[str]:
    return {
        f"{method} {rule.rule}"
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def test_every_route_stands_in_the_table(client: NudgeClient) -> None:
    assert routes_of(app_of(client, VIEWER)) == set(map(named, TABLE))
    own: Any = create_admin(client, authenticate=OwnLogins("s" * 32))
    assert routes_of(own) == set(map(named, (*TABLE, *LOG_IN)))


@pytest.mark.parametrize("actor", ACTORS)
def test_each_actor_passes_where_the_table_says_so_and_nowhere_else(client: NudgeClient, actor: str) -> None:
    app = app_of(client, actor)
    refused = {named(route) for route in TABLE if ask(app, route) == 403}
    assert refused == {named(route) for route in TABLE if ACTORS.index(actor) < ACTORS.index(route.least)}


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_post_from_another_site_is_refused_whoever_sends_it(client: NudgeClient, site: str) -> None:
    app = app_of(client, PUBLISHER)
    posts = [route for route in TABLE if route.method == "POST"]
    assert [named(route) for route in posts if ask(app, route, site) != 403] == []


def test_links_from_another_site_still_open_pages(client: NudgeClient) -> None:
    app = app_of(client, VIEWER)
    assert ask(app, Route("GET", "/check/", VIEWER), "cross-site") == 200


def test_nothing_changes_when_a_viewer_tries_everything(client: NudgeClient) -> None:
    app = app_of(client, VIEWER)
    for route in TABLE:
        ask(app, route)
    assert [row.number for row in client.store.definitions()] == [1]
    with app.app_context():
        from nudge_sdk.admin import queries

        assert queries.drafts() == ()
        assert len(queries.history()) == 0


def test_no_page_answers_with_an_error_of_ours(client: NudgeClient) -> None:
    app = app_of(client, PUBLISHER)
    assert [named(route) for route in TABLE if ask(app, route) >= 500] == []
