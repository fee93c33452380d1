"""Nudges and help: the list by placement, and the editor with its preview."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, request, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as AnyResponse

from nudge_sdk.rules.times import DAY

from .. import drafting
from ..access import current_actor, for_role
from ..editing import Unfit, discard_entity, latest, meanwhile, save_entity
from ..forms import key_from
from ..nudge_editor.document import canonical
from ..nudge_editor.editor import editor, fresh, known
from ..nudge_editor.form import NudgeForm, Said
from ..nudge_editor.list import DAYS, counts, placements
from ..nudge_editor.moves import LOCALE, language_removed, moved
from ..nudge_editor.places import Plain
from ..nudge_editor.words import description, texts
from ..pages import current_client, current_workspace, forget_workspace, go, page
from ..queries import Conflict, StoredDraft
from ..queries import exposures as queries_exposures
from ..workspace import Workspace

blueprint = Blueprint("nudges", __name__, url_prefix="/nudges")

NEW = "new-nudge"
"""No key has a hyphen, so that no nudge stands where the new one is made."""

UNNAMED = "the_nudge_being_written"
"""The key of a new nudge until it is saved."""

MODES = ("prompt", "help")


@blueprint.get("/")
@for_role("viewer")
def show_all() -> Response:
    """List all nudges by placement."""
    workspace = current_workspace()
    mode = request.args.get("mode", "")
    mode = mode if mode in MODES else ""
    found = placements(workspace, mode=mode, now=current_client().now())
    return page("nudges/show_all.html", placements=found, mode=mode, counts=counts(workspace), days=DAYS)


@blueprint.get(f"/{NEW}/")
@for_role("editor")
def new() -> Response:
    """Show the form for a new nudge, or for a copy of one."""
    return _page(NudgeForm(current_workspace(), _beginning()), "")


@blueprint.post(f"/{NEW}/")
@for_role("editor")
def create() -> AnyResponse:
    """Save a new nudge as a draft."""
    workspace = current_workspace()
    form = NudgeForm(workspace, _beginning(), typed=request.form)
    if request.form.get("do"):
        return _page(_after(workspace, form), "")
    name = str(form["name"].data or "").strip()
    if not name:
        problem = "Write a name; the key is made from it."
        form["name"].errors = [problem]
        return _page(form, "", said=[Said("Name", problem, "name")], status=422)
    return _save(form, key_from(name, _keys(workspace), "nudge"), is_new=True)


@blueprint.get("/<key>/")
@for_role("viewer")
def edit(key: str) -> Response:
    """Show the form for a nudge; to a viewer, the nudge in words."""
    return _page(NudgeForm(current_workspace(), _standing(key)), key, looking=request.args)


@blueprint.post("/<key>/")
@for_role("editor")
def save(key: str) -> AnyResponse:
    """Save a nudge as a draft."""
    workspace = current_workspace()
    stands = workspace.stands("nudge", key)
    form = NudgeForm(workspace, stands or {"key": key}, typed=request.form)
    if request.form.get("do"):
        return _page(_after(workspace, form), key)
    if workspace.version("nudge", key) != request.form.get("version"):
        return _conflict(form, key)
    return _save(form, key)


@blueprint.post(f"/{NEW}/preview/", defaults={"key": ""})
@blueprint.post("/<key>/preview/")
@for_role("viewer")
def preview(key: str) -> Response:
    """Show what is typed as people would see it; nothing is saved."""
    stands = _standing(key) if key else _beginning()
    return _page(NudgeForm(current_workspace(), stands, typed=request.form), key, block="preview")


@blueprint.post(f"/{NEW}/alone/", defaults={"key": ""})
@blueprint.post("/<key>/alone/")
@for_role("viewer")
def alone(key: str) -> Response:
    """Show what is typed on a page of its own, where a modal opens and a slide-out comes in."""
    stands = _standing(key) if key else _beginning()
    return _page(NudgeForm(current_workspace(), stands, typed=request.form), key, template="alone")


@blueprint.post("/<key>/pause/")
@for_role("editor")
def pause(key: str) -> AnyResponse:
    """Switch a nudge off or on, in the draft."""
    plain = {name: value for name, value in _standing(key).items() if name != "is_paused"}
    return _put(key, plain | ({"is_paused": True} if request.form.get("is_paused") else {}), notice="saved")


@blueprint.post("/<key>/remove/")
@for_role("editor")
def remove(key: str) -> AnyResponse:
    """Take a nudge away, in the draft."""
    is_live = current_workspace().live_entity("nudge", key) is not None
    return _put(key, None, notice="removed" if is_live else "discarded")


@blueprint.post("/<key>/discard/")
@for_role("editor")
def discard(key: str) -> AnyResponse:
    """Throw the draft of a nudge away."""
    return discard_entity("nudge", key)


def _put(key: str, document: Plain | None, *, notice: str) -> AnyResponse:
    draft = StoredDraft("nudge", key, document, 0, 0, current_actor().name)
    try:
        drafting.save(current_client(), current_workspace(), draft, seen=request.form.get("version", ""))
    except Conflict:
        abort(409, "Somebody else changed this nudge in between. Look at it, then try again.")
    return go("nudges.show_all", notice)


def _save(form: NudgeForm, key: str, *, is_new: bool = False) -> AnyResponse:
    document = canonical({**form.document, "key": key})
    seen = current_workspace().version("nudge", key) if is_new else request.form.get("version", "")
    try:
        if form.unreadable():
            raise Unfit({})
        notice = save_entity("nudge", key, document, seen=seen)
    except Unfit:
        return _page(form, "" if is_new else key, is_refused=True, status=422)
    except Conflict:
        forget_workspace()
        return _conflict(form, key)
    return go("nudges.edit", notice, key=key)


def _conflict(form: NudgeForm, key: str) -> Response:
    """Show the form as it was typed, beside what stands now; saving it again is meant."""
    return _page(form, key, conflict=meanwhile("nudge", key, canonical({**form.document, "key": key})), status=409)


def _after(workspace: Workspace, form: NudgeForm) -> NudgeForm:
    """Return the form after one of its buttons that save nothing."""
    asked, languages = request.form.get("do", ""), list(form.languages)
    what, _, tag = asked.partition(":")
    document, focus = moved(form.document, asked)
    if what == "languages.add":
        tag = request.form.get("new_language", "").strip().replace("_", "-")
        if not LOCALE.fullmatch(tag):
            form.language_problem = "Write a language tag, such as de or pt-BR."
            return form
        languages, focus = [*dict.fromkeys([*languages, tag])], f"content.title.{tag}"
    elif what == "languages.remove" and tag in languages[1:]:
        languages.remove(tag)
        document = language_removed(document, tag)
    elif document == form.document:
        return form
    after = NudgeForm(workspace, form.base, typed=request.form, document=document, languages=languages)
    after.focus_on(focus)
    return after


def _beginning() -> Plain:
    """Return the nudge that a new one begins as."""
    workspace = current_workspace()
    origin = workspace.stands("nudge", request.args.get("from", ""))
    if origin is not None:
        return {**origin, "name": f"Copy of {origin.get('name') or origin['key']}", "key": UNNAMED}
    mode = "help" if request.args.get("mode") == "help" else "prompt"
    return fresh(workspace, mode, UNNAMED, request.args.get("placement", ""))


def _standing(key: str) -> Plain:
    workspace = current_workspace()
    stands: Plain | None = workspace.stands("nudge", key)
    if stands is None:
        entity = workspace.live_entity("nudge", key)
        if entity is None:
            abort(404, f"There is no nudge {key}.")
        stands = Workspace(workspace.live, ()).stands("nudge", key) or {}
    return stands


def _keys(workspace: Workspace) -> set[str]:
    kept = {key for kind, key in workspace.drafts if kind == "nudge"}
    return kept | {each.key for each in (*workspace.definition.nudges, *workspace.live.nudges)}


def _page(
    form: NudgeForm,
    key: str,
    *,
    said: list[Said] | None = None,
    is_refused: bool = False,
    looking: MultiDict[str, str] | None = None,
    status: int = 200,
    template: str = "edit",
    **context: Any,
) -> Response:
    workspace, client = current_workspace(), current_client()
    found = editor(
        client,
        workspace,
        form,
        key or UNNAMED,
        typed=looking if looking is not None else request.form,
        is_marked=is_refused,
    )
    since = client.now() - DAYS * DAY
    locale = form.default
    return page(
        f"nudges/{template}.html",
        status=status,
        key=key,
        editor=found,
        form=form,
        problems=said or (found.said if is_refused else []),
        place=url_for("nudges.edit", key=key) if key else url_for("nudges.new", **_from_args()),
        preview_place=url_for("nudges.preview", key=key, **_from_args() if not key else {}),
        alone_place=url_for("nudges.alone", key=key, **_from_args() if not key else {}),
        version=workspace.version("nudge", key) if key else "",
        entity_status=workspace.status("nudge", key) if key else "new",
        outcome=queries_exposures.outcomes([key], since=since).get(key) if key else None,
        days=DAYS,
        opens=request.form.get("do", "").partition(".")[0],
        lines=latest("nudge", key) if key else [],
        description=list(description(found.nudge, workspace.definition)),
        texts=list(texts(found.nudge, locale)),
        locale=locale,
        **known(workspace),
        **context,
    )


def _from_args() -> dict[str, Any]:
    return {name: request.args[name] for name in ("from", "mode", "placement") if name in request.args}
