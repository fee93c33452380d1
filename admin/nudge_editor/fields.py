"""The fields of the nudge editor: what each is called, what it takes, and what people have to know of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from wtforms import BooleanField, Field, RadioField, SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired

from nudge_sdk.rules.authoring_copy import BODY_LENGTH, LABEL_LENGTH, TITLE_LENGTH
from nudge_sdk.rules.conditions import AUDIENCE_SUBJECTS
from nudge_sdk.rules.definition import Definition
from nudge_sdk.rules.lint_findings import name_of

from ..forms import options
from ..forms.conditions import ConditionField
from .document import text_name
from .places import Place, Plain, is_text, places_of, rows_of

FORMATS = {
    "banner": "Banner – one line across the page",
    "card": "Card – stands in the page",
    "modal": "Modal – interrupts; for rare things",
    "slideout": "Slide-out – comes in at a corner",
    "help": "Help – a guide with steps, a video, a chat",
}
MODES = (("prompt", "Prompt – asks for an upgrade"), ("help", "Help – for those who qualified but did not upgrade"))
LANES = (("normal", "Normal – keeps within the overall limits"), ("critical", "Critical – passes all overall limits"))
TRIGGER_KINDS = (
    ("", "Nothing in particular: whoever it is for, when the page asks"),
    ("milestone", "A milestone was just reached"),
    ("any", "Any milestone was just reached"),
    ("usage", "A limit of the plan is reached"),
    ("tier", "Somebody just became warm or hot"),
    ("page", "Somebody is on certain pages"),
    ("manual", "Only when the page asks for this one by its key"),
)
_TIERS = (("", "Everybody alike"), ("warm", "Warm"), ("hot", "Hot"), ("none", "Neither"))
_UNITS = (("days", "days"), ("hours", "hours"))
_PER = (("member", "one person"), ("account", "the whole account"))

LENGTHS = {"title": TITLE_LENGTH, "body": BODY_LENGTH, "label": LABEL_LENGTH, "dismiss": LABEL_LENGTH}
"""Most characters of a text, by the last part of its place."""

_LABELS = {
    "name": ("Name", "For you and your colleagues; people never see it."),
    "placement": ("Placement", "The slot of your page it stands in."),
    "mode": ("What it is", ""),
    "goal": ("Goal", "It stops for good once this is met."),
    "needs_episode": ("Only for people who qualified: prompts first, help some days later", ""),
    "lane": ("Lane", "Critical is for notices people must not miss. Each pass is written down."),
    "priority": ("Priority", "Where several could be shown, the higher one is."),
    "tier": ("Written for", "A match wins among equal priority."),
    "tags": ("Tags", "With commas between. Nudges with a tag may share a limit, and people can opt out of a tag."),
    "lifetime": ("At most so often to one person, ever", ""),
    "dismiss_days": ("Days of silence after somebody dismissed it", ""),
    "holdout": ("Withheld from this share of people, in percent", "To measure what it does."),
    "schedule.starts_at": ("From", "UTC"),
    "schedule.ends_at": ("Until", "UTC"),
    "notes": ("Notes", "Why it is here."),
    "key": ("Key", ""),
    "weight": ("Weight", "Shown as often as its weight says, beside the others’."),
    "type": ("Format", ""),
    "title": ("Title", ""),
    "body": ("Text", "Markdown: **bold**, *italic*, [link](/path), - list."),
    "cta.label": ("Button", "The one thing to do next."),
    "cta.url": ("Leads to", "An address such as /billing or https://…"),
    "cta.action": ("or does", "An action your page handles, such as ask_admin."),
    "dismiss": ("Closing button", "“Close” if empty."),
    "chat.label": ("Chat button", ""),
    "chat.url": ("Leads to", "An address"),
    "chat.action": ("or does", "An action your page handles, such as open_chat."),
    "video.url": ("Video address", ""),
    "video.title": ("Video title", ""),
    "video.captions_url": ("Captions", "Address of a WebVTT file, for those who cannot hear it."),
    "video.transcript_url": ("Transcript", "Address of the text, for those who would rather read."),
    "video.seconds": ("Length in seconds", "About a minute is best."),
    "step.title": ("Title", ""),
    "step.body": ("Text", ""),
    "step.url": ("Leads to", ""),
    "step.milestone": ("Done when", ""),
    "cap.count": ("At most so often", ""),
    "cap.length": ("in", ""),
    "cap.unit": ("Unit", ""),
    "cap.per": ("to", ""),
    "trigger.kind": ("What must just have happened", ""),
    "trigger.milestone": ("Milestone", ""),
    "trigger.usage": ("Limit", ""),
    "trigger.tier": ("Tier", ""),
    "trigger.page": ("Pages", "One a line; a * at its end matches any rest, such as /campaigns/*."),
    "trigger.seconds": ("How long “just” is, in seconds", ""),
}


def plain_name(path: str) -> str:
    """Return a place without where it stands: ``content.steps[0].title`` is ``step.title``."""
    if ".steps[" in path:
        return f"step.{path.rpartition('.')[2]}"
    if path.startswith("caps["):
        return f"cap.{path.rpartition('.')[2]}"
    if path.startswith("variants[") and ".content." not in path:
        return path.rpartition(".")[2]
    for start in ("content.", "ask."):
        if start in path:
            return path.rpartition(start)[2]
    return path


def label_of(path: str) -> str:
    """Return what a value is called."""
    return _LABELS[plain_name(path)][0]


def most_of(path: str) -> int:
    """Return the most characters of a text; 0 for what is not counted."""
    return LENGTHS.get(path.rpartition(".")[2], 0) if plain_name(path) != "name" else 0


class FieldMaker:
    """Makes the fields of a form.

    Args:
        definition: Where goals, milestones and limits to choose from are.
        languages: Languages of the form, the default one first.
    """

    def __init__(self, definition: Definition, languages: list[str]) -> None:
        self._languages = languages
        milestones = [(each.key, name_of(each)) for each in definition.milestones]
        limits = [(each.key, name_of(each)) for each in definition.milestones if each.usage]
        goals = [("", "None – it aims at nothing"), *((each.key, name_of(each)) for each in definition.goals)]
        self._choices: dict[str, Iterable[tuple[str, str]]] = {
            "goal": goals,
            "tier": _TIERS,
            "type": tuple(FORMATS.items()),
            "step.milestone": [("", "– never by itself –"), *milestones],
            "trigger.milestone": [("", "Choose …"), *milestones],
            "trigger.usage": [("", "Choose …"), *limits],
            "trigger.tier": [("", "Choose …"), ("warm", "warm"), ("hot", "hot")],
            "cap.unit": _UNITS,
            "cap.per": _PER,
        }
        self._radios: dict[str, Iterable[tuple[str, str]]] = {
            "mode": MODES,
            "lane": LANES,
            "trigger.kind": TRIGGER_KINDS,
        }

    def fields(self, document: Plain, shown: dict[str, Any]) -> dict[str, Any]:
        """Return the fields of a document's form, not yet bound; ``shown`` is what they will show."""
        made = dict(self._all(document, shown))
        made["audience"] = ConditionField("Who may get it", subjects=AUDIENCE_SUBJECTS, none="Everybody.")
        made["hide"] = ConditionField(
            "When it must not be shown", subjects=AUDIENCE_SUBJECTS, none="It is never hidden.",
            description="Whatever else holds, such as on a page where people pay.",
        )  # fmt: skip
        return made

    def _all(self, document: Plain, shown: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        for place in places_of(document):
            if is_text(place):
                for language in self._languages:
                    yield self._text(place, language)
            else:
                yield place.path, self._one(place.path, shown.get(place.path), place.kind)
        for index in range(len(rows_of(document, "caps"))):
            for part in ("count", "length", "unit", "per"):
                yield self._named(f"caps[{index}].{part}", shown)
        for part in ("kind", "milestone", "usage", "tier", "page", "seconds"):
            yield self._named(f"trigger.{part}", shown)

    def _named(self, name: str, shown: dict[str, Any]) -> tuple[str, Any]:
        numbers = ("caps", "trigger.seconds")
        kind = "area" if name == "trigger.page" else "whole" if name.startswith(numbers) else "line"
        return name, self._one(name, shown.get(name), kind)

    def _one(self, path: str, value: Any, kind: str) -> Any:
        name = plain_name(path)
        label, help_text = _LABELS[name]
        extra: dict[str, Any] = {"description": help_text}
        if name in ("placement", "cap.count", "cap.length", "weight", "key"):
            extra["validators"] = [InputRequired()]
        if name in self._radios:
            return RadioField(label, choices=options(_with(self._radios[name], value)), **extra)
        if name in self._choices:
            extra.setdefault("validators", [InputRequired()] if name in ("type", "cap.unit", "cap.per") else [])
            return SelectField(label, choices=options(_with(self._choices[name], value)), **extra)
        return _typed_field(kind)(label, render_kw=_attributes(path, kind), **extra)

    def _text(self, place: Place, language: str) -> tuple[str, Any]:
        name = text_name(place.path, language, self._languages[0])
        label, help_text = _LABELS[plain_name(place.path)]
        is_first = language == self._languages[0]
        attributes: dict[str, Any] = {"lang": language, "dir": "auto", "data-placeholders": True, "autocomplete": "off"}
        if place.kind == "prose":
            attributes["data-markdown"] = True
        field = TextAreaField if place.kind == "prose" else StringField
        return name, field(
            label if is_first else f"{label} ({language})",
            render_kw=attributes,
            description=help_text if is_first else "",
            validators=[InputRequired()] if is_first and plain_name(place.path) in ("title", "step.title") else [],
        )


def _typed_field(kind: str) -> type[Field]:
    return {"flag": BooleanField, "area": TextAreaField}.get(kind, StringField)


def _attributes(path: str, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = {"autocomplete": "off"} if kind != "flag" else {}
    if kind in ("whole", "number", "percent"):
        found["inputmode"] = "decimal" if kind != "whole" else "numeric"
    if kind == "instant":
        found["type"] = "datetime-local"
    if path.endswith("url"):
        found |= {"data-placeholders": True, "spellcheck": "false", "inputmode": "url"}
    if path in ("placement", "tags"):
        found["list"] = f"known-{path}"
    return found


def _with(choices: Iterable[tuple[str, str]], value: Any) -> list[tuple[str, str]]:
    """Return choices, with what stands among them, so that opening a form changes nothing."""
    found = list(choices)
    return found if value is None or value in dict(found) else [*found, (str(value), f"{value} – not known here")]
