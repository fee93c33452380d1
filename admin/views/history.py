"""History: every publication, what it changed, the way back; and who changed what in the admin."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, request
from werkzeug.wrappers import Response as AnyResponse
from wtforms import Form, HiddenField, TextAreaField
from wtforms.validators import DataRequired, Length

from nudge_sdk.documents import to_yaml
from nudge_sdk.errors import DefinitionError
from nudge_sdk.rules.authoring import to_plain
from nudge_sdk.rules.definition import Definition
from nudge_sdk.store.protocol import DefinitionRow

from .. import drafting, queries
from ..access import current_actor, for_role
from ..differences import differences
from ..drafting import LONGEST_NOTE, Refused
from ..pages import current_client, go, page
from ..queries import Conflict
from ..workspace import LISTS, SINGLE, loaded, plainly

blueprint = Blueprint("history", __name__, url_prefix="/history")

_LINES = 50


class RollBackForm(Form):
    """Why, and what was in force when the publisher looked."""

    note = TextAreaField("Note", [DataRequired("Say why you go back."), Length(max=LONGEST_NOTE)])
    seen = HiddenField()


@blueprint.get("/")
@for_role("viewer")
def show_all() -> Response:
    """Show every publication, the latest first."""
    rows = list(_rows().values())
    return page("history/show_all.html", rows=rows[::-1], live=rows[-1].number if rows else 0)


@blueprint.get("/changes")
@for_role("viewer")
def changes() -> Response:
    """Show who changed what in the admin, the latest first."""
    before = request.args.get("before", type=int)
    entity = request.args.get("entity", "")
    lines = queries.history(entity, limit=_LINES + 1, before_id=before)
    shown = [(line, differences(line.before, line.after)) for _, line in lines[:_LINES]]
    older = lines[_LINES - 1][0] if len(lines) > _LINES else None
    return page("history/changes.html", lines=shown, older=older, entity=entity)


@blueprint.get("/<int:number>")
@for_role("viewer")
def show(number: int) -> Response:
    """Show one publication beside another: by default the one before it, or the live one to go back from."""
    return _page(number, RollBackForm())


@blueprint.get("/<int:number>.yaml")
@for_role("viewer")
def document(number: int) -> Response:
    """Return a definition as YAML."""
    row = _rows().get(number) or abort(404, f"There is no definition {number}.")
    text = to_yaml(loaded(row.document))
    headers = {"Content-Disposition": f'attachment; filename="definition-{number}.yaml"'}
    return Response(text, mimetype="application/yaml", headers=headers)


@blueprint.post("/<int:number>/roll-back")
@for_role("publisher")
def roll_back(number: int) -> AnyResponse:
    """Put an earlier definition in force again."""
    form = RollBackForm(request.form)
    if not form.validate():
        return _page(number, form, status=422)
    try:
        seen = int(form.seen.data or 0)
        drafting.roll_back(current_client(), number, note=str(form.note.data), seen=seen, actor=current_actor())
    except (Refused, DefinitionError, ValueError) as error:
        return _page(number, form, problem=str(error), status=422)
    except Conflict as error:
        return _page(number, form, problem=f"Look again: {error}.", status=409)
    return go("history.show_all", "rolled-back")


def _page(number: int, form: RollBackForm, *, problem: str = "", status: int = 200) -> Response:
    rows = _rows()
    row, live = rows.get(number) or abort(404, f"There is no definition {number}."), max(rows)
    other = request.values.get("with", type=int)
    if other not in rows:
        other = live if number != live else max((each for each in rows if each < number), default=number)
    is_back = number < other
    before, after = loaded(rows[other].document), loaded(row.document)
    return page(
        "history/show.html",
        row=row,
        live=live,
        other=rows[other],
        numbers=sorted(rows, reverse=True),
        is_back=is_back,
        form=form,
        problem=problem,
        changes=_changes(before, after),
        longest_note=LONGEST_NOTE,
        status=status,
    )


def _changes(before: Definition, after: Definition) -> list[dict[str, Any]]:
    """Return each entity that differs, with its fields."""
    found = []
    for kind, field in LISTS.items():
        old, new = _by_key(before, field), _by_key(after, field)
        found += [(kind, key, old.get(key), new.get(key)) for key in dict.fromkeys([*old, *new])]
        if [*old] != [*new] and {*old} == {*new}:
            found.append(("order", field, [*old], [*new]))
    for kind in SINGLE:
        found.append((kind, "", to_plain(getattr(before, kind)), to_plain(getattr(after, kind))))
    return [
        {"kind": kind, "key": key, "before": old, "after": new, "differences": differences(old, new)}
        for kind, key, old, new in found
        if old != new
    ]


def _by_key(definition: Definition, field: str) -> dict[str, Any]:
    return {each.key: plainly(each) for each in getattr(definition, field)}


def _rows() -> dict[int, DefinitionRow]:
    return {row.number: row for row in current_client().intake.current().rows}
