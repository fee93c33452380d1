"""What the page of the nudge editor shows: the form, the preview beside it, and what speaks against it."""

from __future__ import annotations

from typing import Any, NamedTuple

from werkzeug.datastructures import MultiDict
from wtforms import Form, RadioField, SelectField, StringField

from nudge_sdk.client import NudgeClient
from nudge_sdk.rules.definition import Definition, Nudge
from nudge_sdk.rules.lint_findings import Finding
from nudge_sdk.rules.lint_nudges import lint_nudges

from ..forms import options
from ..forms.conditions import known_names
from ..workspace import Workspace
from .document import readable
from .form import NudgeForm, Said
from .placeholders import placeholders
from .places import Plain
from .preview import Look, Preview, preview

_PEOPLE = (
    ("sample", "An example"),
    ("unknown", "Somebody unknown (all fallbacks)"),
    ("real", "A real person …"),
)


class LookForm(Form):
    """Who looks at the preview, and on what."""

    person = SelectField("Who is looking", choices=options(_PEOPLE), default="sample", name="look-person")
    account = StringField("Account", name="look-account", render_kw={"autocomplete": "off"})
    user = StringField("User", name="look-user", render_kw={"autocomplete": "off"})
    locale = SelectField("Language", name="look-locale")
    buys = SelectField(
        "May buy", choices=options((("yes", "can buy"), ("no", "cannot buy"))), default="yes", name="look-buys"
    )
    variant = SelectField("Variant", name="look-variant")
    scheme = RadioField(
        "Colours", choices=options((("light", "Light"), ("dark", "Dark"))), default="light", name="look-scheme"
    )
    width = RadioField(
        "Width", choices=options((("page", "Page"), ("phone", "Phone"))), default="page", name="look-width"
    )


class Editor(NamedTuple):
    """All that the page shows of a nudge.

    Attributes:
        nudge: The nudge as far as it can be read.
        said: What is wrong.
        findings: What the check says; nothing while something is wrong.
    """

    form: NudgeForm
    nudge: Nudge
    look: LookForm
    preview: Preview
    said: list[Said]
    findings: list[Finding]

    @property
    def main(self) -> str:
        """Where the content stands that the preview shows."""
        if "ask" in self.form.document and self.look.buys.data == "no":
            return "ask"
        keys = [each.key for each in self.nudge.variants]
        chosen = str(self.look.variant.data)
        index = keys.index(chosen) if chosen in keys else 0
        return f"variants[{index}].content" if keys else "content"


def look_form(form: NudgeForm, typed: MultiDict[str, str] | None) -> LookForm:
    """Return the choices of who looks at a nudge."""
    look = LookForm(typed if typed and "look-person" in typed else None)
    variants = [str(each.get("key", "")) for each in form.document.get("variants", ())]
    look.locale.choices = options((tag, tag) for tag in form.languages)
    look.variant.choices = options((key, key) for key in variants)
    if look.locale.data not in form.languages:
        look.locale.data = form.languages[0]
    at_work = next((key for index, key in enumerate(variants) if form.focus.startswith(f"variants[{index}].")), "")
    if at_work or look.variant.data not in variants:
        look.variant.data = at_work or (variants[0] if variants else "")
    return look


def editor(
    client: NudgeClient,
    workspace: Workspace,
    form: NudgeForm,
    key: str,
    *,
    typed: MultiDict[str, str] | None,
    is_marked: bool = False,
) -> Editor:
    """Return what the page shows for a form.

    Args:
        client: Knows the members to look as.
        workspace: What stands.
        form: The form.
        key: The nudge's key.
        typed: What was sent, for who looks.
        is_marked: Whether what is wrong is put at its fields.
    """
    document = {**form.document, "key": key}
    trial = workspace.with_entity("nudge", key, document)
    said = form.said(trial.problems_of("nudge", key), is_marked=is_marked)
    look, nudge = look_form(form, typed), readable(document)
    findings = findings_of(trial.definition, key) if not trial.problems else []
    return Editor(form, nudge, look, preview(client, trial.definition, nudge, _look(look)), said, findings)


def findings_of(definition: Definition, key: str) -> list[Finding]:
    """Return what the check says of one nudge."""
    start = f"nudges[{key}]"
    return [each for each in lint_nudges(definition) if each.where == start or each.where.startswith(f"{start}.")]


def known(workspace: Workspace) -> dict[str, Any]:
    """Return what the page offers to choose from: placements, tags, names, placeholders."""
    nudges = workspace.definition.nudges
    return {
        "placements": sorted({each.placement for each in nudges}),
        "tags": sorted({tag for each in nudges for tag in each.tags}),
        "names": known_names(workspace.definition),
        "placeholders": placeholders(workspace.definition),
    }


def fresh(workspace: Workspace, mode: str, key: str, placement: str) -> Plain:
    """Return a nudge to begin with."""
    goals = [each.key for each in workspace.definition.goals]
    content: Plain = {"type": "help" if mode == "help" else "card", "dismiss": "Not now"}
    if mode == "help":
        content = {"type": "help", "dismiss": "Close", "steps": [{"title": ""}]}
    plain: Plain = {"key": key, "placement": placement, "content": content}
    return plain | ({"mode": "help"} if mode == "help" else {}) | ({"goal": goals[0]} if goals else {})


def _look(look: LookForm) -> Look:
    return Look(
        person=str(look.person.data),
        account=(look.account.data or "").strip(),
        user=(look.user.data or "").strip(),
        locale=str(look.locale.data),
        can_purchase=look.buys.data != "no",
        variant=str(look.variant.data),
    )
