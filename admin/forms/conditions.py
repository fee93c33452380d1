"""The form part for a condition: rows for the common shapes, a document for all others.

A form that holds such a field has buttons that do not save: each sends ``do``. A view asks ``is_asked(request.form)``
first and, if so, shows the form again as it was typed; the field itself has done by then what the button says.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec
from wtforms import Field
from wtforms.utils import unset_value
from wtforms.validators import ValidationError

from nudge_sdk.documents import read_document, write_yaml
from nudge_sdk.errors import DefinitionError, Problem
from nudge_sdk.rules.condition_terms import SOURCES
from nudge_sdk.rules.conditions import Condition
from nudge_sdk.rules.definition import Definition
from nudge_sdk.rules.wording import condition_words

from .condition_rows import NEED_NO_VALUE, OPERATORS, SUBJECTS, Row, from_rows, same, to_rows

DO = "do"
MOST_ROWS = 50


def is_asked(form: Mapping[str, str]) -> bool:
    """Whether a button of a form was pressed that only changes what the form shows, and saves nothing."""
    return bool(form.get(DO))


def known_names(definition: Definition) -> list[str]:
    """Return the names a condition may mean that stand in a definition already: traits, properties, events, keys."""
    found: set[str] = {each.key for each in definition.milestones} | {each.key for each in definition.nudges}
    pending: list[Any] = [msgspec.to_builtins(definition)]
    while pending:
        plain = pending.pop()
        pending += plain.values() if isinstance(plain, dict) else plain if isinstance(plain, list | tuple) else ()
        if isinstance(plain, dict):
            said = (plain.get(name) for name in (*SOURCES, "event"))
            found.update(name for each in said for name in (each if isinstance(each, list | tuple) else [each]) if name)
    return sorted(name for name in found if isinstance(name, str))


class ConditionField(Field):
    """A condition; its ``data`` is plain data, None for no condition.

    Args:
        label: What it decides.
        subjects: What it may look at: ``AUDIENCE_SUBJECTS``, ``ACCOUNT_WHEN_SUBJECTS``, ``WHEN_SUBJECTS`` or
            ``WHERE_SUBJECTS``.
        none: What it means that there is no condition.

    Attributes:
        mode: ``rows``, or ``yaml`` for the document.
        match: ``all`` or ``any``.
        rows: The rows as they stand in the form.
        text: The document as it stands in the form.
        row_errors: What is wrong in rows: place to field to text.
        focus: Place of the row that was just added; -1 for none.
    """

    def __init__(self, label: str = "", *, subjects: Collection[str], none: str = "Everybody.", **kwargs: Any) -> None:
        super().__init__(label, **kwargs)
        self.subjects = frozenset(subjects)
        self.none = none
        self.mode, self.match, self.text = "rows", "all", ""
        self.rows: list[Row] = []
        self.row_errors: dict[int, dict[str, str]] = {}
        self.focus = -1

    def process(self, formdata: Any, data: Any = unset_value, extra_filters: Any = None) -> None:
        """Take what was typed, or what stands."""
        self.process_errors, self.row_errors = [], {}
        self.object_data = None if data is unset_value else data
        if formdata and f"{self.name}-mode" in formdata:
            self._take(formdata)
            self._do(formdata.get(DO) or "")
        else:
            self._show(self.object_data)

    @property
    def choices(self) -> list[tuple[str, str, str]]:
        """What a row can look at: name in the form, label, names of the operators that fit."""
        fitting = ((code, each) for code, each in SUBJECTS.items() if each.field in self.subjects)
        return [(code, each.label, " ".join(each.operators)) for code, each in fitting]

    @property
    def operators(self) -> list[tuple[str, str]]:
        """What may hold: name in the form and label."""
        used = {name for code, each in SUBJECTS.items() if each.field in self.subjects for name in each.operators}
        return [(name, label) for name, label in OPERATORS.items() if name in used]

    @property
    def can_count(self) -> bool:
        """Whether rows may count events, so that they have a window."""
        return "count" in self.subjects

    @property
    def named_subjects(self) -> str:
        """The subjects that need a name."""
        return " ".join(code for code, each in SUBJECTS.items() if each.fixed is None)

    @property
    def needless(self) -> str:
        """The operators that need no value."""
        return " ".join(sorted(NEED_NO_VALUE))

    def pre_validate(self, form: Any) -> None:
        """Say what cannot be read."""
        self._read()
        if self.row_errors:
            raise ValidationError("Mend what is marked.")

    def words(self, definition: Definition) -> str:
        """Return the condition as a sentence, as far as it can be read."""
        plain = self.data
        if plain is None:
            return self.none if not (self.row_errors or self.process_errors or self.errors) else ""
        try:
            return f"{condition_words(msgspec.convert(plain, Condition), definition)}."
        except msgspec.ValidationError:
            return ""

    def show_problems(self, found: Mapping[str, Iterable[Problem]], field: str) -> list[Problem]:
        """Put problems at their rows, and return those that speak of this field.

        Args:
            found: ``Workspace.problems_of(kind, key)``.
            field: Where the condition stands in the entity, such as ``signal.where``.
        """
        mine = [
            (path[len(field) :], problem)
            for path, problems in found.items()
            if path == field or path.startswith((f"{field}.", f"{field}["))
            for problem in problems
        ]
        for rest, problem in mine:
            self._put(rest, f"{problem.what[:1].upper()}{problem.what[1:]}. {problem.fix}")
        return [problem for _, problem in mine]

    @property
    def data(self) -> Any:
        """The condition as plain data; as it stood where what is typed says the same."""
        return self._data

    @data.setter
    def data(self, value: Any) -> None:
        self._data = value

    def _put(self, rest: str, text: str) -> None:
        members = [index for index, row in enumerate(self.rows) if not row.is_empty]
        if self.mode != "rows" or not members:
            self.errors = (*self.errors, text)
            return
        head, _, tail = rest.lstrip(".").partition("].")
        place = head.partition("[")[2].rstrip("]")
        index = members[min(int(place), len(members) - 1)] if place.isdigit() else members[0]
        self.row_errors.setdefault(index, {})[self._row_field(tail if place.isdigit() else rest.lstrip("."), index)] = (
            text
        )

    def _row_field(self, path: str, index: int) -> str:
        first = path.split(".")[0].split("[")[0]
        subject = SUBJECTS.get(self.rows[index].subject)
        if subject is not None and first == subject.field:
            return "name"
        return "days" if first == "window" else "operator" if not first else "value"

    def _take(self, formdata: Any) -> None:
        def typed(name: str) -> str:
            return str(formdata.get(f"{self.name}-{name}") or "")

        self.mode = "yaml" if typed("mode") == "yaml" else "rows"
        self.match = "any" if typed("match") == "any" else "all"
        self.text = typed("yaml")
        start = f"{self.name}-"
        places = {key[len(start) :].partition("-")[0] for key in formdata if key.startswith(start)}
        numbers = sorted({int(each) for each in places if each.isascii() and each.isdigit() and len(each) < 4})
        fields = Row._fields
        rows = [Row(*(typed(f"{number}-{name}") for name in fields)) for number in numbers[:MOST_ROWS]]
        if len(self.choices) == 1:
            # With one subject there is nothing to choose, so a row says nothing as long as nothing is typed.
            rows = [row if row.name.strip() or row.value.strip() else row._replace(subject="") for row in rows]
        self.rows = rows
        self._read()

    def _show(self, plain: Any) -> None:
        simple = to_rows(plain, self.subjects)
        self._data = plain
        if simple is None:
            self.mode, self.text = "yaml", write_yaml(plain)
        else:
            self.mode, (self.match, self.rows) = "rows", simple

    def _read(self) -> None:
        """Find what the form says; where that cannot be read, the data is None and the errors say why."""
        self.process_errors, self.row_errors, self._data = [], {}, None
        try:
            found = self._read_text() if self.mode == "yaml" else self._read_rows()
        except ValueError as error:
            self.process_errors = [str(error)]
            return
        if not self.row_errors:
            self._data = self.object_data if same(found, self.object_data) else found

    def _read_rows(self) -> Any:
        found, problems = from_rows(self.match, self.rows)
        for problem in problems:
            self.row_errors.setdefault(problem.row, {})[problem.field] = problem.what
        return found

    def _read_text(self) -> Any:
        if not self.text.strip():
            return None
        # Never the path of a file, nor JSON alone: both are told by how a text begins and ends.
        text = f"--- {self.text.strip()}\n" if self.text.lstrip().startswith("{") else f"{self.text}\n"
        try:
            found = read_document(text)
        except DefinitionError as error:
            raise ValueError(" ".join(str(problem) for problem in error.problems[:3])) from None
        if not isinstance(found, dict):
            raise ValueError("Write a condition, such as: {account_trait: plan, equals: free}")
        return found

    def _do(self, asked: str) -> None:
        what, _, rest = asked.partition(":")
        name, _, place = rest.partition(":")
        if name != self.name:
            return
        if what == "add" and len(self.rows) < MOST_ROWS:
            self.focus = len(self.rows)
            self.rows = [*self.rows, Row()]
        elif what == "remove" and place.isdigit():
            self.rows = [row for index, row in enumerate(self.rows) if index != int(place)]
            self._read()
        elif what == "yaml" and not self.row_errors:
            self.mode, self.text = "yaml", write_yaml(self.data) if self.data is not None else ""
        elif what == "rows" and not self.process_errors:
            self._to_rows()

    def _to_rows(self) -> None:
        simple = to_rows(self.data, self.subjects)
        if simple is None:
            self.process_errors = ["This says more than rows can; it stays as text."]
        else:
            self.mode, (self.match, self.rows) = "rows", simple
