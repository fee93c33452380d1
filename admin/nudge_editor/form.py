"""The form of the nudge editor: fields for what a document has, what was typed, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Any, NamedTuple

from werkzeug.datastructures import MultiDict
from wtforms.form import BaseForm

from nudge_sdk.errors import Problem
from nudge_sdk.rules.authoring_copy import placeholder_names
from nudge_sdk.rules.authoring_shapes import suggest
from nudge_sdk.rules.copy import TEXT_LENGTH, rendered_length

from ..forms import problem_words
from ..forms.conditions import ConditionField
from ..workspace import Workspace
from .document import canonical, flat, languages_of, patched, reshaped, text_name
from .fields import FieldMaker, label_of, most_of
from .places import Plain, is_text, places_of, rows_of, value_at

CONDITIONS = ("audience", "hide")
MOST_LANGUAGES = 30
_WITHIN = (".label", ".title", ".url", ".kind", ".count", ".weight")


class Said(NamedTuple):
    """Something that is wrong: what it is about, in words, and the name of the field to mend; empty for none."""

    label: str
    text: str
    field: str


class NudgeForm:
    """A form for one nudge.

    Args:
        workspace: Where goals and milestones are.
        base: The nudge as it stands, as plain data.
        typed: What was sent, if anything.
        document: What the form shows instead of what was typed.
        languages: Its languages, if they are others than those of its texts.

    Attributes:
        document: The nudge as the form says it.
        languages: The default one first.
        conditions: The fields of conditions.
        language_problem: What is wrong with a language that was to be added.
        focus: Name of the field to be worked on next; empty for none.
        names: The placeholders that texts may use.
    """

    def __init__(
        self,
        workspace: Workspace,
        base: Plain,
        *,
        typed: MultiDict[str, str] | None = None,
        document: Plain | None = None,
        languages: list[str] | None = None,
    ) -> None:
        self.base = base
        self.language_problem = self.focus = ""
        self.names = placeholder_names(workspace.definition.milestones)
        self.default = workspace.definition.settings.default_locale
        is_typed = typed is not None and "placement" in typed
        shape = document if document is not None else reshaped(base, typed) if typed and is_typed else base
        self.languages = languages or self._languages(shape, typed if is_typed else None)
        shown = flat(shape, self.languages)
        chosen = {**shown, **typed.to_dict()} if typed and is_typed and document is None else shown
        self.form = BaseForm(FieldMaker(workspace.definition, self.languages).fields(shape, chosen))
        self.form.process(typed if is_typed and document is None else None, data=shown)
        self.conditions = {
            name: field for name, field in self.form._fields.items() if isinstance(field, ConditionField)
        }
        for name, field in self.conditions.items():
            field.process(typed if is_typed else None, base.get(name))
        if document is not None:
            self.document = document
        else:
            self.document = self._read() if is_typed else base
        self._measure()

    def __getitem__(self, name: str) -> Any:
        return self.form[name]

    def __contains__(self, name: str) -> bool:
        return name in self.form

    def focus_on(self, name: str) -> None:
        """Let a field have the focus, if there is one of that name."""
        self.focus = name
        if name in self.form:
            self.form[name].render_kw = {**(self.form[name].render_kw or {}), "autofocus": True}

    def has_errors(self, start: str) -> bool:
        """Whether anything is wrong in the fields whose names begin like this."""
        return any(field.errors for name, field in self.form._fields.items() if name.startswith(start))

    def rows(self, path: str) -> int:
        """Return how many rows a list has in the form."""
        pattern = {"caps": "caps[{}].count", "variants": "variants[{}].weight"}.get(path, f"{path}[{{}}].title")
        return next(index for index in count() if pattern.format(index) not in self.form)

    def is_open(self, start: str) -> bool:
        """Whether a part that is mostly empty has something to show."""
        return bool(value_at(self.document, start)) or self.has_errors(start)

    def has_help(self, start: str) -> bool:
        """Whether a content has what only help should have, so that it must not be hidden."""
        return bool(rows_of(self.document, f"{start}.steps")) or any(
            self.is_open(f"{start}.{name}") for name in ("video", "chat")
        )

    def translations(self, start: str, language: str) -> list[str]:
        """Return the names of a content's texts in a language, in the order of the form."""
        texts = [each.path for each in places_of(self.document) if is_text(each) and each.path.startswith(f"{start}.")]
        is_used = {path: bool(self.form[path].data) for path in texts}
        named = {path: text_name(path, language, self.default) for path in texts}
        return [name for path, name in named.items() if is_used[path] or self.form[name].data or not _is_rare(path)]

    def translated(self, start: str, language: str) -> str:
        """Say how much of a content is translated."""
        names = {
            text_name(path, language, self.default): path
            for path in map(self._path, self.translations(start, language))
        }
        wanted = [name for name, path in names.items() if str(self.form[path].data or "").strip()]
        done = [name for name in wanted if str(self.form[name].data or "").strip()]
        return f"{len(done)} of {len(wanted)} texts"

    def is_language_open(self, start: str, language: str) -> bool:
        """Whether the texts of a language need to be seen at once."""
        fields = [self.form[name] for name in self.translations(start, language)]
        return any(each.errors or "autofocus" in (each.render_kw or {}) for each in fields)

    def text_names(self, path: str) -> list[str]:
        """Return the names of a text's fields, the default language first."""
        return [text_name(path, language, self.default) for language in self.languages]

    def most_of(self, name: str) -> int:
        """Return the most characters of a field's text; 0 where they are not counted."""
        return most_of(self._path(name))

    def unreadable(self) -> list[Said]:
        """Return what of the conditions cannot be read, so that nothing may be saved."""
        return [
            Said(field.label.text, " ".join(map(str, field.process_errors)) or "Mend what is marked.", field.id)
            for field in self.conditions.values()
            if field.process_errors or field.row_errors
        ]

    def said(self, found: Mapping[str, list[Problem]], *, is_marked: bool) -> list[Said]:
        """Return what is wrong in words, in the order of the form.

        Args:
            found: Problems of the document, by place.
            is_marked: Whether each is put at its field, too.
        """
        said = self.unreadable()
        for path, problems in found.items():
            name = next((each for each in CONDITIONS if path.startswith(each)), "")
            if name and is_marked and not (self.conditions[name].process_errors or self.conditions[name].row_errors):
                self.conditions[name].show_problems({path: problems}, name)
            for problem in map(self._shortened, problems):
                said.append(self._said(name or self.field_of(path), problem, is_marked and not name))
        order = list(self.form._fields)
        return sorted(said, key=lambda each: order.index(each.field) if each.field else -1)

    def _shortened(self, problem: Problem) -> Problem:
        """Return a problem with the name that was probably meant instead of all there are."""
        name, is_name, _ = problem.what.partition(" is not a known name")
        if not is_name:
            return problem
        near = suggest(name, [*self.names.some, *self.names.always])
        fix = f"Did you mean {near}?" if near else "Take one of those under “All placeholders”."
        return Problem(problem.where, problem.what, fix)

    def _said(self, name: str, problem: Problem, is_marked: bool) -> Said:
        if not name:
            return Said("The nudge", problem_words(problem), "")
        if is_marked:
            self.form[name].errors = [*self.form[name].errors, problem_words(problem)]
        label = self.form[name].label.text if name in CONDITIONS else self._label(name)
        return Said(label, f"{problem.what}. {problem.fix}", name)

    def field_of(self, path: str) -> str:
        """Return the name of the field that a place of the document is edited in; empty for none."""
        for index, variant in enumerate(self.document.get("variants", ())):
            path = path.replace(f"variants[{variant.get('key')}]", f"variants[{index}]")
        while path:
            names = [path, path.removesuffix(f".{self.default}"), *(f"{path}{end}" for end in _WITHIN)]
            found = next((name for name in names if name in self.form and name not in CONDITIONS), "")
            if found:
                return found
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return ""

    def _languages(self, shape: Plain, typed: MultiDict[str, str] | None) -> list[str]:
        if typed is None:
            return languages_of(shape, self.default)
        return list(dict.fromkeys([self.default, *typed.getlist("language")]))[:MOST_LANGUAGES]

    def _read(self) -> Plain:
        data = {name: field.data for name, field in self.form._fields.items() if name not in CONDITIONS}
        document = patched(self.base, data, self.languages, default=self.default)
        for name, field in self.conditions.items():
            value = self.base.get(name) if field.process_errors or field.row_errors else field.data
            document = {**document, name: value}
        return canonical({name: value for name, value in document.items() if value is not None})

    def _measure(self) -> None:
        """Note at each text how long people will find it, since that is what is limited."""
        for place in places_of(self.document):
            if is_text(place):
                for name in self.text_names(place.path):
                    if name in self.form:
                        length = shown_length(self.form[name].data or "", is_markdown=place.kind == "prose")
                        self.form[name].render_kw["data-length"] = length

    def lengths(self) -> dict[str, int]:
        """Return how long each text is as people see it, by the name of its field."""
        fields = self.form._fields.items()
        return {name: each.render_kw["data-length"] for name, each in fields if "data-length" in (each.render_kw or {})}

    def _path(self, name: str) -> str:
        ends = (f".{language}" for language in self.languages[1:])
        return next((name.removesuffix(end) for end in ends if name.endswith(end)), name)

    def _label(self, name: str) -> str:
        path = self._path(name)
        label = label_of(path)
        if ".steps[" in path:
            label = f"Step {int(path.partition('.steps[')[2].partition(']')[0]) + 1}, {label.lower()}"
        if path.startswith("ask."):
            label = f"For those who cannot buy, {label.lower()}"
        if path.startswith("variants["):
            label = f"Variant {int(path[9:].partition(']')[0]) + 1}, {label.lower()}"
        return label if path == name else f"{label} ({name.rpartition('.')[2]})"


def shown_length(text: str, *, is_markdown: bool) -> int:
    """Return how long a text is as people see it: without markup, with every fallback in place."""
    return rendered_length(text, markdown=is_markdown) if len(text) <= TEXT_LENGTH else len(text)


def _is_rare(path: str) -> bool:
    return path.endswith((".video.title", ".chat.label"))


__all__ = ["CONDITIONS", "NudgeForm", "Said", "shown_length"]
