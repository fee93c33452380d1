"""The form of a milestone: its fields, what stands in them, and the plain data they make."""

from __future__ import annotations

from typing import Any

from wtforms import BooleanField, Form, RadioField, SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length, ValidationError

from nudge_sdk.rules.conditions import ACCOUNT_WHEN_SUBJECTS, WHEN_SUBJECTS, WHERE_SUBJECTS
from nudge_sdk.rules.definition import CATEGORY_POINTS, Definition
from nudge_sdk.rules.lint_findings import name_of
from nudge_sdk.rules.signals import DEFAULT_WINDOW, USER

from ..forms import NumberField, block_from, number_or, options, put, put_decay, text_from, texts_of
from ..forms.condition_rows import read_texts, write_texts
from ..forms.conditions import ConditionField

Plain = dict[str, Any]

PEOPLE = "people"
SUBJECTS = [("member", "A person’s"), ("account", "The whole account’s")]
AXES = [("score", "the score"), ("fit", "fit: what they are, no part of the score")]
WHATS = [("signal", "What people do"), ("when", "Who they are"), ("usage", "A limit of their plan")]
MEASURES = [
    ("count", "how often"),
    ("days", "on how many days"),
    ("streak", "how many days in a row"),
    ("values", "how many different values of a property"),
    (PEOPLE, "how many different people"),
    ("sum", "the sum of a property"),
]
WINDOWS = [
    ("days", "in the last … days"),
    ("since_signup_days", "in the first … days after sign-up"),
    ("since_signup_hours", "in the first … hours after sign-up"),
    ("ever", "at any time"),
]
CATEGORIES = [(name, f"{name.capitalize()} ({points:g})") for name, points in CATEGORY_POINTS.items()]
FIELDS = {
    "key": "key",
    "name": "name",
    "subject": "subject",
    "category": "category",
    "points": "points",
    "signal": "event",
    "signal.measure": "measure",
    "signal.property": "property",
    "at_least": "at_least",
    "window": "window_amount",
    "usage": "usage_value",
    "usage.limit": "usage_limit",
    "usage.share": "share",
    "group": "group",
    "decay": "half_life",
    "decay.grace_days": "grace",
    "done": "done",
    "notes": "notes",
}
"""Where problems of an entity's fields are shown."""
_PARTS = {
    "signal": ("event", "where", "measure", "property", "at_least", "window", "window_amount"),
    "when": ("when",),
    "usage": ("usage_value", "usage_limit", "share"),
}
_LONGEST_NAME = 200


class MilestoneForm(Form):
    """A milestone as a product manager says it."""

    name = StringField("Name", [InputRequired("Give it a name."), Length(max=_LONGEST_NAME)])
    key = StringField(
        "Key", description="How code and other parts name it; fixed once saved. Made from the name if empty."
    )
    subject = RadioField("Whose milestone", choices=options(SUBJECTS))
    what = RadioField("What shows it", choices=options(WHATS))
    event = StringField(
        "Event",
        [InputRequired("Write the name of the event.")],
        description="As the product tracks it. Several, with commas between them, are counted together.",
        render_kw={"list": "seen-events", "autocomplete": "off", "spellcheck": "false"},
    )
    where = ConditionField(
        "Only events whose properties fit", subjects=WHERE_SUBJECTS, none="Every one of these events."
    )
    measure = SelectField("Measured by", choices=options(MEASURES))
    property = StringField(
        "Property",
        [InputRequired("Write the name of the property.")],
        description="Whose values are counted or added up.",
    )
    at_least = NumberField("At least", [InputRequired("Write how many.")])
    window = SelectField("When", choices=options(WINDOWS))
    window_amount = NumberField("Days or hours", [InputRequired("Write how many.")])
    when = ConditionField("Who they are", subjects=WHEN_SUBJECTS, none="Nothing yet.")
    usage_value = StringField("Trait with the number used", description="Such as contacts_used.")
    usage_limit = StringField("Trait with the limit", description="Such as contacts_limit.")
    share = NumberField("Percent of the limit", description="100 is all of it.")
    category = SelectField("Category", choices=options(CATEGORIES))
    points = NumberField("Points of its own", description="Instead of those of its category.")
    axis = SelectField("Counts towards", choices=options(AXES))
    group = SelectField("Group", description="Milestones of a group share a cap.", validate_choice=False)
    half_life = NumberField("Points halve every … days", description="Empty: as the segment says.")
    grace = NumberField("Days before they fade", whole=True)
    is_aha = BooleanField("Reaching it is activation (the aha moment)")
    done = StringField("What they have just done", description="For copy, after “You just …”: sent a campaign.")
    done_others = TextAreaField(
        "In other languages", description="One a line, such as: de: eine Kampagne verschickt", render_kw={"rows": 2}
    )
    notes = TextAreaField("Notes", description="Why it is here. Only seen in the admin.", render_kw={"rows": 3})

    def validate_event(self, field: Any) -> None:
        """Say what cannot be read."""
        try:
            read_texts(field.data or "")
        except ValueError as error:
            raise ValidationError(str(error)) from None

    def validate_done_others(self, field: Any) -> None:
        """Say which line names no language."""
        try:
            text_from("", field.data or "", "", "en")
        except ValueError as error:
            raise ValidationError(str(error)) from None

    def validate(self, extra_validators: Any = None) -> bool:
        """Check what is shown; what is typed in parts that were not chosen does not matter."""
        super().validate(extra_validators)
        for part in _PARTS.keys() - {self.what.data}:
            for name in _PARTS[part]:
                self[name].errors = []
        if self.measure.data not in ("values", "sum"):
            self.property.errors = []
        if self.window.data == "ever":
            self.window_amount.errors = []
        return not any(field.errors for field in self)


def form_for(definition: Definition, formdata: Any, plain: Plain) -> MilestoneForm:
    """Return the form over what stands, and over what was typed where there is any."""
    form = MilestoneForm(formdata, data=_shown(plain, definition.settings.default_locale))
    groups = {each.key: f"{name_of(each)}, at most {each.cap:g}" for each in definition.groups}
    if form.group.data and form.group.data not in groups:
        groups[form.group.data] = form.group.data
    form.group.choices = options([("", "None"), *groups.items()])
    form.when.subjects = frozenset(ACCOUNT_WHEN_SUBJECTS if form.subject.data == "account" else WHEN_SUBJECTS)
    return form


def document_from(form: MilestoneForm, plain: Plain, locale: str) -> Plain:
    """Return the milestone that the form says, as plain data; what the form does not know stays.

    Raises:
        ValueError: The texts in other languages cannot be read.
    """
    document = dict(plain)
    put(document, "name", (form.name.data or "").strip(), "")
    put(document, "subject", form.subject.data, "member")
    put(document, "category", form.category.data, "medium")
    put(document, "points", form.points.number)
    put(document, "axis", form.axis.data, "score")
    put(document, "group", form.group.data, "")
    put(document, "is_aha", bool(form.is_aha.data), False)
    put(
        document,
        "done",
        text_from(form.done.data or "", form.done_others.data or "", plain.get("done", ""), locale),
        "",
    )
    put(document, "notes", block_from(form.notes.data, plain.get("notes", "")), "")
    for part in _PARTS.keys() - {form.what.data}:
        document.pop(part, None)
    {"when": _put_when, "usage": _put_usage}.get(form.what.data, _put_signal)(document, form, plain)
    return document


def _put_signal(document: Plain, form: MilestoneForm, plain: Plain) -> None:
    signal = dict(plain.get("signal") or {})
    events = read_texts(form.event.data or "")
    signal["event"] = events[0] if len(events) == 1 else events or ""
    put(signal, "where", form.where.data)
    put(signal, "measure", "values" if form.measure.data == PEOPLE else form.measure.data, "count")
    has_property = form.measure.data in ("values", "sum")
    put(
        signal,
        "property",
        USER if form.measure.data == PEOPLE else (form.property.data or "").strip() if has_property else "",
        "",
    )
    document["signal"] = signal
    put(document, "at_least", number_or(form.at_least.number, 1), 1)
    put(document, "window", _window(form, plain.get("window")))
    put_decay(document, form.half_life, form.grace)


def _put_when(document: Plain, form: MilestoneForm, plain: Plain) -> None:
    _drop_counted(document)
    put(document, "when", form.when.data)


def _put_usage(document: Plain, form: MilestoneForm, plain: Plain) -> None:
    _drop_counted(document)
    usage = dict(plain.get("usage") or {})
    usage["value"], usage["limit"] = (form.usage_value.data or "").strip(), (form.usage_limit.data or "").strip()
    share, stood = number_or(form.share.number, 100), usage.get("share", 1)
    put(usage, "share", stood if share == _plainly(stood * 100) else _plainly(share / 100), 1)
    document["usage"] = usage


def _drop_counted(document: Plain) -> None:
    for field in ("at_least", "window", "decay"):
        document.pop(field, None)


def _window(form: MilestoneForm, stood: Plain | None) -> Plain | None:
    kind = form.window.data
    window: Plain = {"ever": True} if kind == "ever" else {kind: number_or(form.window_amount.number, 0)}
    goes_without_saying = stood is None and window == {"days": DEFAULT_WINDOW.days}
    return None if goes_without_saying else window


def _plainly(number: int | float) -> int | float:
    number = round(number, 6)
    return int(number) if number == int(number) else number


def _shown(plain: Plain, locale: str) -> Plain:
    signal, usage = plain.get("signal") or {}, plain.get("usage") or {}
    window, decay = plain.get("window") or {"days": DEFAULT_WINDOW.days}, plain.get("decay") or {}
    kind = next((name for name, _ in WINDOWS if window.get(name)), "days")
    is_people = signal.get("measure") == "values" and signal.get("property") == USER
    done, others = texts_of(plain.get("done", ""), locale)
    events = signal.get("event", "")
    return {
        "name": plain.get("name", ""),
        "key": plain.get("key", ""),
        "subject": plain.get("subject", "member"),
        "what": next((name for name in ("when", "usage") if plain.get(name) is not None), "signal"),
        "event": write_texts([events] if isinstance(events, str) else events),
        "where": signal.get("where"),
        "measure": PEOPLE if is_people else signal.get("measure", "count"),
        "property": "" if is_people else signal.get("property", ""),
        "at_least": plain.get("at_least", 1),
        "window": kind,
        "window_amount": None if kind == "ever" else window.get(kind),
        "when": plain.get("when"),
        "usage_value": usage.get("value", ""),
        "usage_limit": usage.get("limit", ""),
        "share": _plainly(usage.get("share", 1) * 100),
        "category": plain.get("category", "medium"),
        "points": plain.get("points"),
        "axis": plain.get("axis", "score"),
        "group": plain.get("group", ""),
        "half_life": decay.get("half_life_days"),
        "grace": decay.get("grace_days", 3),
        "is_aha": plain.get("is_aha", False),
        "done": done,
        "done_others": others,
        "notes": plain.get("notes", ""),
    }
