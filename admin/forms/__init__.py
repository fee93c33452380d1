"""What the forms of entities have in common: numbers, keys, texts in several languages, problems at their fields."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from wtforms import Form, SelectChoice, StringField  # type: ignore[attr-defined]
from wtforms.validators import ValidationError

from nudge_sdk.errors import Problem
from nudge_sdk.rules.authoring_report import KEY
from nudge_sdk.rules.explaining_words import number_words

_NUMBER = re.compile(r"-?[0-9]{1,18}(?:[.,][0-9]{1,9})?")
_OUTSIDE_KEYS = re.compile(r"[^a-z0-9]+")
_LOCALE_LINE = re.compile(r"\s*([A-Za-z]{2,8}(?:[-_][A-Za-z0-9]{1,8})*)\s*:(.*)")
_LONGEST_KEY = 64


class NumberField(StringField):
    """A number as somebody typed it; ``number`` is what it says, None where nothing does.

    Args:
        label: What it is.
        whole: Only whole numbers.
    """

    def __init__(self, label: str = "", *args: Any, whole: bool = False, **kwargs: Any) -> None:
        kwargs.setdefault("render_kw", {"inputmode": "numeric" if whole else "decimal", "autocomplete": "off"})
        super().__init__(label, *args, **kwargs)
        self.whole = whole

    def process_data(self, value: Any) -> None:
        """Take what stands."""
        self.data = number_words(value) if isinstance(value, int | float) else value

    @property
    def number(self) -> int | float | None:
        """What was typed, as a number."""
        if isinstance(self.object_data, int | float) and self.data == number_words(self.object_data):
            return self.object_data
        text = (self.data or "").strip().replace(",", ".")
        if not _NUMBER.fullmatch(text):
            return None
        return float(text) if "." in text else int(text)

    def pre_validate(self, form: Any) -> None:
        """Say what cannot be read."""
        if not (self.data or "").strip():
            return
        if self.number is None or (self.whole and not isinstance(self.number, int)):
            raise ValidationError(f"Write a {'whole ' if self.whole else ''}number, such as 3.")


def options(pairs: Iterable[tuple[str, str]]) -> list[Any]:
    """Return the choices of a select or of radio buttons: value and label."""
    return [SelectChoice(value, label) for value, label in pairs]


def key_from(name: str, taken: Collection[str], kind: str) -> str:
    """Return a key made from a name that no other entity has.

    Args:
        name: The name for people.
        taken: Keys that are in use.
        kind: What it is made from where the name has no letter a key can have.
    """
    key = _OUTSIDE_KEYS.sub("_", name.lower()).strip("_")[:_LONGEST_KEY]
    if not KEY.fullmatch(key):
        key = f"{kind}_{key}".strip("_")[:_LONGEST_KEY]
    number, made = 2, key
    while made in taken:
        made = f"{key[: _LONGEST_KEY - 5]}_{number}"
        number += 1
    return made


def put(plain: dict[str, Any], field: str, value: Any, default: Any = None) -> None:
    """Set a field of plain data; a value that goes without saying is left out."""
    if value == default or value is None:
        plain.pop(field, None)
    else:
        plain[field] = value


def put_decay(plain: dict[str, Any], half_life: NumberField, grace: NumberField) -> None:
    """Set how points fade; without a half-life they do not, or as the segment says."""
    if half_life.number is None:
        plain.pop("decay", None)
        return
    decay = dict(plain.get("decay") or {})
    decay["half_life_days"] = half_life.number
    put(decay, "grace_days", number_or(grace.number, 3), 3)
    plain["decay"] = decay


def number_or(number: int | float | None, default: int | float) -> int | float:
    """Return a number, or a default where there is none; 0 is one."""
    return default if number is None else number


def block_from(text: str | None, stood: str) -> str:
    """Return a text of several lines; as it stood where only line ends and spaces around it differ."""
    written = "\n".join((text or "").splitlines()).strip()
    return stood if written == "\n".join(stood.splitlines()).strip() else written


def texts_of(text: Any, locale: str) -> tuple[str, str]:
    """Return a text as it stands in a form: that of the default locale, and a line for each other one."""
    if not isinstance(text, dict):
        return text or "", ""
    others = (f"{tag}: {' '.join(said.split())}" for tag, said in text.items() if tag != locale)
    return text.get(locale, ""), "\n".join(others)


def text_from(first: str, others: str, stood: Any, locale: str) -> Any:
    """Return the text that two fields say; as it stood where they say the same.

    Raises:
        ValueError: A line names no language.
    """
    if (first.strip(), _lines(others)) == ((old := texts_of(stood, locale))[0].strip(), _lines(old[1])):
        return stood
    found = {locale: first.strip()} if first.strip() else {}
    for line in _lines(others):
        match = _LOCALE_LINE.fullmatch(line)
        if match is None:
            raise ValueError("Write one language a line, such as: de: eine Kampagne verschickt")
        found[match[1]] = match[2].strip()
    return found if set(found) - {locale} else first.strip()


def _lines(text: str) -> list[str]:
    return [line.strip() for line in (text or "").splitlines() if line.strip()]


def place_problems(form: Form, found: Mapping[str, Iterable[Problem]], fields: Mapping[str, str]) -> list[str]:
    """Put problems at their fields, and return those that have none, for the top of the form.

    Args:
        form: The form.
        found: ``Workspace.problems_of(kind, key)``.
        fields: Path in the entity to field of the form; the longest that fits is taken.
    """
    left = []
    for path, problems in found.items():
        fitting = [each for each in fields if path == each or path.startswith((f"{each}.", f"{each}["))]
        texts = [problem_words(problem) for problem in problems]
        if not fitting:
            left += [f"{path}: {text}" if path else text for text in texts]
            continue
        field = form[fields[max(fitting, key=len)]]
        field.errors = [*field.errors, *texts]
    return left


def problem_words(problem: Problem) -> str:
    """Return a problem as two sentences."""
    return f"{problem.what[:1].upper()}{problem.what[1:]}. {problem.fix}"


def errors_of(form: Form) -> list[str]:
    """Return what stands above a form with errors: each field that has some, by its label."""
    return [f"{field.label.text}: {' '.join(map(str, field.errors))}" for field in form if field.errors]
