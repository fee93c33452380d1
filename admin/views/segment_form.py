"""The form of a segment: its fields, what stands in them, and the plain data they make."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from wtforms import Form, FormField, SelectField, SelectMultipleField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length, ValidationError

from nudge_sdk.documents import read_document, write_yaml
from nudge_sdk.errors import DefinitionError, Problem
from nudge_sdk.rules.conditions import ACCOUNT_WHEN_SUBJECTS
from nudge_sdk.rules.definition import Definition, Subject
from nudge_sdk.rules.lint_findings import name_of

from ..forms import NumberField, block_from, options, place_problems, problem_words, put, put_decay
from ..forms.conditions import ConditionField

Plain = dict[str, Any]

MODELS = [("freemium", "Freemium: a free plan without an end"), ("trial", "Free trial: it ends")]
ENTRIES: tuple[tuple[str, Subject, str, str], ...] = (
    ("member_warm", "member", "warm", "Warm members"),
    ("member_hot", "member", "hot", "Hot members"),
    ("account_warm", "account", "warm", "Warm accounts"),
    ("account_hot", "account", "hot", "Hot accounts"),
)
"""Field of the form, whose, tier, title."""
_DAYS = {"hold_days": 3, "help_after_days": 7, "episode_days": 28, "rest_days": 30}
FIELDS = {
    "key": "key",
    "name": "name",
    "model": "model",
    **{name: name for name in _DAYS},
    "decay": "half_life",
    "decay.grace_days": "grace",
    "capacity_per_week": "capacity_per_week",
    "notes": "notes",
}
"""Where problems of an entity's fields are shown, save those of conditions and entries."""
_LONGEST_NAME = 200
_WHOLE = [InputRequired("Write a number of days.")]


class EntryForm(Form):
    """What it takes to enter one tier."""

    score = NumberField("Points needed", description="Empty: nobody enters this tier.")
    milestones = SelectMultipleField("Required milestones", validate_choice=False)
    needed = NumberField("At least how many of them", whole=True)
    active_users = NumberField("Active users", whole=True)
    days = NumberField("in the last … days", whole=True)
    fit = NumberField("Fit of at least", description="Only where milestones count towards fit.")
    more = TextAreaField("Further gates, as YAML", render_kw={"class": "code", "rows": 4, "spellcheck": "false"})

    def validate_score(self, field: NumberField) -> None:
        """Refuse gates that stand alone, so that none gets lost."""
        has_gates = any((self.milestones.data, self.active_users.data, self.fit.data, (self.more.data or "").strip()))
        if has_gates and not (field.data or "").strip():
            raise ValidationError("Write the points needed; what else is required stands below. 0 asks for no points.")

    def validate_more(self, field: Any) -> None:
        """Say what cannot be read."""
        try:
            _further(field.data)
        except DefinitionError as error:
            raise ValidationError(" ".join(map(str, error.problems[:3]))) from None
        except ValueError as error:
            raise ValidationError(str(error)) from None


class SegmentForm(Form):
    """A segment as a product manager says it."""

    name = StringField("Name", [InputRequired("Give it a name."), Length(max=_LONGEST_NAME)])
    key = StringField(
        "Key", description="How code and other parts name it; fixed once saved. Made from the name if empty."
    )
    model = SelectField("Business model", choices=options(MODELS))
    when = ConditionField(
        "Which accounts",
        subjects=ACCOUNT_WHEN_SUBJECTS,
        none="every account that no segment above it takes.",
    )
    member_warm = FormField(EntryForm)
    member_hot = FormField(EntryForm)
    account_warm = FormField(EntryForm)
    account_hot = FormField(EntryForm)
    hold_days = NumberField(
        "Days a tier is held", _WHOLE, whole=True, description="After its conditions held for the last time."
    )
    help_after_days = NumberField(
        "Help from day", _WHOLE, whole=True, description="From then on help takes the place of prompts."
    )
    episode_days = NumberField("Days of prompts and help", _WHOLE, whole=True, description="One episode, from day 0.")
    rest_days = NumberField("Days of rest", _WHOLE, whole=True, description="After an episode nothing is offered.")
    half_life = NumberField("Points halve every … days", description="Empty: they do not fade.")
    grace = NumberField("Days before they fade", whole=True)
    capacity_per_week = NumberField("Hot accounts sales can take a week", whole=True, description="Empty: not limited.")
    notes = TextAreaField("Notes", description="Only seen in the admin.", render_kw={"rows": 3})


def form_for(definition: Definition, formdata: Any, plain: Plain) -> SegmentForm:
    """Return the form over what stands, and over what was typed where there is any."""
    form = SegmentForm(formdata, data=_shown(plain))
    for field, subject, _, title in ENTRIES:
        entry = entry_of(form, field)
        form[field].label.text = title
        names = {each.key: name_of(each) for each in definition.milestones if each.subject == subject}
        gone = {key: f"{key} (not there)" for key in entry.milestones.data or () if key not in names}
        entry.milestones.choices = options([*names.items(), *gone.items()])
    return form


def document_from(form: SegmentForm, plain: Plain) -> Plain:
    """Return the segment that the form says, as plain data; what the form does not know stays."""
    document = dict(plain)
    put(document, "name", (form.name.data or "").strip(), "")
    put(document, "model", form.model.data, "freemium")
    put(document, "when", form.when.data)
    for field, subject, tier, _ in ENTRIES:
        thresholds = dict(document.get(subject) or {})
        put(thresholds, tier, _entry(entry_of(form, field), thresholds.get(tier)))
        put(document, subject, thresholds, {})
    for field, default in _DAYS.items():
        put(document, field, _number(form, field), default)
    put_decay(document, form.half_life, form.grace)
    put(document, "capacity_per_week", form.capacity_per_week.number)
    put(document, "notes", block_from(form.notes.data, plain.get("notes", "")), "")
    return document


def show_problems(form: SegmentForm, found: Mapping[str, list[Problem]], document: Plain) -> list[str]:
    """Put problems at their fields, and return those that have none."""
    form.when.show_problems(found, "when")
    rest: dict[str, Iterable[Problem]] = {}
    for path, problems in found.items():
        owner = next((each for each in ENTRIES if path.startswith(f"{each[1]}.{each[2]}")), None)
        if owner is not None:
            field, subject, tier, _ = owner
            inner = path.removeprefix(f"{subject}.{tier}").lstrip(".")
            target = entry_of(form, field)[_entry_field(inner, document.get(subject, {}).get(tier) or {})]
            target.errors = [*target.errors, *map(problem_words, problems)]
        elif not path.startswith("when"):
            rest[path] = problems
    return place_problems(form, rest, FIELDS)


def all_errors(form: SegmentForm) -> list[str]:
    """Return what stands above a form with errors, each with the label of its field."""
    entries = {field for field, *_ in ENTRIES}
    lines = [
        f"{field.label.text}: {' '.join(map(str, field.errors))}"
        for field in form
        if field.name not in entries and field.errors
    ]
    for name, _, _, title in ENTRIES:
        inner = entry_of(form, name)
        lines += [
            f"{title}, {field.label.text.lower()}: {' '.join(map(str, field.errors))}"
            for field in inner
            if field.errors
        ]
    return lines


def _entry_field(path: str, entry: Plain) -> str:
    if not path.startswith("gates["):
        return "score"
    number, _, tail = path.removeprefix("gates[").partition("]")
    gates = entry.get("gates", [])
    gate = gates[int(number)] if number.isdigit() and int(number) < len(gates) else {}
    kind = _kind(gate)
    if kind == "" or gate not in _first_of_each(gates).values():
        return "more"
    if kind == "milestones":
        return "needed" if tail.startswith(".at_least") else "milestones"
    return "days" if tail.startswith(".days") else kind


def _kind(gate: Any) -> str:
    kinds = [
        name
        for name in ("milestones", "active_users", "fit")
        if isinstance(gate, dict) and gate.get(name) not in (None, [])
    ]
    return kinds[0] if len(kinds) == 1 else ""


def _first_of_each(gates: list[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for gate in gates:
        if _kind(gate):
            found.setdefault(_kind(gate), gate)
    return found


def entry_of(form: SegmentForm, field: str) -> EntryForm:
    """Return the part of the form for one tier, such as ``member_warm``."""
    entry: EntryForm = form[field].form  # type: ignore[attr-defined]
    return entry


def _number(form: Form, field: str) -> int | float | None:
    found = form[field]
    return found.number if isinstance(found, NumberField) else None


def _entry(form: EntryForm, stood: Plain | None) -> Plain | None:
    if form.score.number is None:
        return None
    entry = dict(stood or {})
    entry["score"] = form.score.number
    put(entry, "gates", _gates(form, (stood or {}).get("gates", [])), [])
    return entry


def _gates(form: EntryForm, stood: list[Any]) -> list[Any]:
    """Return the gates, in the order in which they stood where those stay."""
    gates = []
    for gate in stood:
        kept = _gate(form, _kind(gate), gate) if gate in _first_of_each(stood).values() else None
        if kept is not None:
            gates.append(kept)
    there = _first_of_each(stood)
    gates += filter(
        None, (_gate(form, kind, {}) for kind in ("milestones", "active_users", "fit") if kind not in there)
    )
    try:
        return gates + _further(form.more.data)
    except (ValueError, DefinitionError):
        return gates


def _gate(form: EntryForm, kind: str, stood: Plain) -> Plain | None:
    gate = dict(stood)
    if kind == "milestones":
        chosen = form.milestones.data or []
        if not chosen:
            return None
        if set(chosen) != set(stood.get("milestones", ())):
            gate["milestones"] = list(dict.fromkeys(chosen))
        put(gate, "at_least", form.needed.number, 1)
        return gate
    number = _number(form, kind) if kind else None
    if number is None:
        return None
    gate[kind] = number
    if kind == "active_users":
        put(gate, "days", form.days.number, 7)
    return gate


def _further(text: str | None) -> list[Any]:
    if not (text or "").strip():
        return []
    found = read_document(f"{text}\n")
    if not isinstance(found, list):
        raise ValueError("Write a list of gates, each after a dash, such as: - {milestones: [a, b], at_least: 2}")
    return found


def _shown(plain: Plain) -> Plain:
    decay = plain.get("decay") or {}
    shown = {name: plain.get(name, default) for name, default in _DAYS.items()}
    for field, subject, tier, _ in ENTRIES:
        shown[field] = _shown_entry((plain.get(subject) or {}).get(tier) or {})
    return {
        **shown,
        "name": plain.get("name", ""),
        "key": plain.get("key", ""),
        "model": plain.get("model", "freemium"),
        "when": plain.get("when"),
        "half_life": decay.get("half_life_days"),
        "grace": decay.get("grace_days", 3),
        "capacity_per_week": plain.get("capacity_per_week"),
        "notes": plain.get("notes", ""),
    }


def _shown_entry(entry: Plain) -> Plain:
    gates = entry.get("gates", [])
    first = _first_of_each(gates)
    further = [gate for gate in gates if gate not in first.values()]
    milestones, active = first.get("milestones", {}), first.get("active_users", {})
    return {
        "score": entry.get("score"),
        "milestones": list(milestones.get("milestones", ())),
        "needed": milestones.get("at_least", 1),
        "active_users": active.get("active_users"),
        "days": active.get("days", 7),
        "fit": first.get("fit", {}).get("fit"),
        "more": write_yaml(further) if further else "",
    }
