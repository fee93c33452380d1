"""Definitions as documents: YAML and JSON text, in and out, and the JSON Schema that editors complete from.

YAML is read with the scalars of JSON only: ``no`` and ``on`` are texts, and so are ``12:30`` and ``2026-03-01``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from nudge_sdk.errors import DefinitionError, Problem
from nudge_sdk.rules.authoring import parse_definition, to_plain
from nudge_sdk.rules.authoring_report import repeated
from nudge_sdk.rules.authoring_shapes import join, label
from nudge_sdk.rules.definition import Definition

if TYPE_CHECKING:
    import yaml

_SUFFIXES = (".yaml", ".yml", ".json")
_STR, _MAP, _SEQ = "tag:yaml.org,2002:str", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"
_PLAIN_SCALARS = (
    ("tag:yaml.org,2002:null", re.compile(r"(?:null|~|)\Z"), ["n", "~", ""]),
    ("tag:yaml.org,2002:bool", re.compile(r"(?:true|false)\Z"), list("tf")),
    ("tag:yaml.org,2002:int", re.compile(r"-?(?:0|[1-9][0-9]*)\Z"), list("-0123456789")),
    (
        "tag:yaml.org,2002:float",
        re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?\Z"),
        list("-0123456789"),
    ),
)
_SCALARS: dict[str, Callable[[str], Any]] = {
    "tag:yaml.org,2002:null": lambda text: None,
    "tag:yaml.org,2002:bool": {"true": True, "false": False}.__getitem__,
    "tag:yaml.org,2002:int": int,
    "tag:yaml.org,2002:float": float,
}
_TWICE = ("stands twice in one group", "Keep one of them.")
_SHORT = 60
_WIDTH = 110


def read_definition(source: str | Path) -> Definition:
    """Read a definition strictly from a YAML or JSON document.

    Args:
        source: The path of a file, or the document's text. A text of one line that ends in ``.yaml``, ``.yml`` or
            ``.json`` is a path.

    Raises:
        DefinitionError: Anything is wrong with it; every problem at once, with the line where there is one.
        OSError: The file cannot be read.
    """
    document = _read(source)
    problems = list(document.problems)
    try:
        definition = parse_definition(document.raw)
    except DefinitionError as error:
        problems += [_located(problem, document.lines) for problem in error.problems]
    if problems:
        raise DefinitionError(problems)
    return definition


def read_document(source: str | Path) -> Any:
    """Read a YAML or JSON document without looking at what it says.

    Args:
        source: As for ``read_definition``.

    Returns:
        The document as mappings, lists and scalars.

    Raises:
        DefinitionError: It is not a document, or a field stands in it twice.
        OSError: The file cannot be read.
    """
    document = _read(source)
    if document.problems:
        raise DefinitionError(document.problems)
    return document.raw


def to_yaml(definition: Definition) -> str:
    """Write a definition as YAML for people: fields in their natural order, defaults left out, long texts as blocks."""
    text = write_yaml(to_plain(definition))
    return re.sub(r"(?<=\n)(?=[a-z_]+:$|- key:)", "\n", text, flags=re.MULTILINE).replace(":\n\n-", ":\n-")


def to_json(definition: Definition) -> str:
    """Write a definition as indented JSON, fields in their natural order, defaults left out."""
    return json.dumps(to_plain(definition), ensure_ascii=False, indent=2) + "\n"


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of authored definitions, with what each field means."""
    structs: dict[str, type] = {}
    schemas, parts = msgspec.json.schema_components([Definition], ref_template="#/$defs/{name}")
    _collect_structs(Definition, structs)
    for name, part in parts.items():
        part["additionalProperties"] = False
        part["description"] = " ".join(part["description"].partition("\n\n")[0].split())
        meanings = _field_meanings(structs[name])
        for field, schema in part["properties"].items():
            if field in meanings:
                schema["description"] = meanings[field]
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "nudge-sdk definition"}
    return {**head, **schemas[0], "$defs": parts}


class _Document(NamedTuple):
    raw: Any
    problems: list[Problem]
    lines: dict[str, int]


def _read(source: str | Path) -> _Document:
    text, is_json = _text(source)
    return _read_json(text) if is_json else _read_yaml(text)


def _text(source: str | Path) -> tuple[str, bool]:
    if isinstance(source, str) and "\n" not in source and source.endswith(_SUFFIXES):
        source = Path(source)
    if isinstance(source, str):
        return source, source.lstrip().startswith("{")
    try:
        return source.read_bytes().decode("utf-8-sig"), source.suffix == ".json"
    except UnicodeDecodeError as error:
        raise _refusal("document", f"is not UTF-8 text (at byte {error.start})", "Save it as UTF-8.") from None


def _located(problem: Problem, lines: dict[str, int]) -> Problem:
    place = problem.where
    while place and place not in lines:
        place = place[: max(place.rfind("."), place.rfind("["), 0)]
    return Problem(f"{problem.where} (line {lines[place]})", problem.what, problem.fix) if place else problem


def _refusal(where: str, what: str, fix: str) -> DefinitionError:
    return DefinitionError([Problem(where, what, fix)])


def _read_json(text: str) -> _Document:
    problems: list[Problem] = []

    def group(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        problems.extend(Problem(name, *_TWICE) for name in repeated([name for name, _ in pairs]))
        return dict(pairs)

    try:
        return _Document(json.loads(text, object_pairs_hook=group, parse_constant=_no_constant), problems, {})
    except json.JSONDecodeError as error:
        where = f"document (line {error.lineno}, column {error.colno})"
        raise _refusal(where, f"is not JSON: {error.msg}", "Correct it there.") from None
    except (RecursionError, ValueError):
        raise _refusal("document", "is nested too deeply or holds an endless number", "Simplify it.") from None


def _no_constant(name: str) -> Any:
    raise _refusal("document", f"{name} is not a number of JSON", "Write a number.")


def _read_yaml(text: str) -> _Document:
    import yaml

    try:
        node = yaml.compose(text, _loader())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"document (line {mark.line + 1}, column {mark.column + 1})" if mark else "document"
        raise _refusal(where, f"is not YAML: {error.problem or error.context}", "Correct it there.") from None
    except yaml.YAMLError as error:
        raise _refusal("document", f"is not YAML: {' '.join(str(error).split())}", "Correct it.") from None
    except RecursionError:
        raise _refusal("document", "is nested too deeply", "Simplify it.") from None
    tree = _Tree()
    raw = tree.plain(node, "") if node is not None else None
    return _Document(raw, tree.problems, tree.lines)


class _Tree:
    """Turns the nodes of a YAML document into plain values and remembers where each stood."""

    def __init__(self) -> None:
        self.lines: dict[str, int] = {}
        self.problems: list[Problem] = []

    def plain(self, node: yaml.Node, where: str) -> Any:
        self.lines.setdefault(where, node.start_mark.line + 1)
        if node.tag == _MAP:
            return self._mapping(node.value, where)
        if node.tag == _SEQ:
            return [self._item(item, where, index) for index, item in enumerate(node.value)]
        return self._scalar(node, where)

    def _mapping(self, pairs: list[tuple[yaml.Node, yaml.Node]], where: str) -> dict[Any, Any]:
        result: dict[Any, Any] = {}
        for key_node, value_node in pairs:
            line = key_node.start_mark.line + 1
            if key_node.tag in (_MAP, _SEQ):
                self._report(where, line, "has a list or a group as the name of a field", "Write a text.")
                continue
            name = self._scalar(key_node, where)
            place = join(where, str(name))
            if name in result:
                self._report(place, line, *_TWICE)
                continue
            self.lines[place] = line
            result[name] = self.plain(value_node, place)
        return result

    def _item(self, node: yaml.Node, where: str, index: int) -> Any:
        pairs = node.value if node.tag == _MAP else ()
        named = {key.value: value.value for key, value in pairs if value.tag == _STR}
        return self.plain(node, f"{where}[{label(named, index)}]")

    def _scalar(self, node: yaml.Node, where: str) -> Any:
        if node.tag == _STR:
            return node.value
        try:
            return _SCALARS[node.tag](node.value)
        except (KeyError, ValueError):
            line = node.start_mark.line + 1
            self._report(where, line, f"{node.value!r} cannot be read as {node.tag}", "Write a plain value.")
            return None

    def _report(self, where: str, line: int, what: str, fix: str) -> None:
        self.problems.append(Problem(f"{where or 'document'} (line {line})", what, fix))


def _loader() -> type[yaml.SafeLoader]:
    import yaml

    class Loader(yaml.SafeLoader):
        """Reads the scalars of JSON, and nothing by reference."""

        def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
            event = self.peek_event()  # type: ignore[no-untyped-call]
            if getattr(event, "anchor", None) is not None:
                problem = "references (& and *) are not used here: write it out"
                raise yaml.composer.ComposerError(None, None, problem, event.start_mark)
            return super().compose_node(parent, index)

    Loader.yaml_implicit_resolvers = {}
    for tag, pattern, first in _PLAIN_SCALARS:
        Loader.add_implicit_resolver(tag, pattern, first)
    return Loader


def write_yaml(plain: Any) -> str:
    """Write plain data as YAML for people, long texts as blocks."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Quotes what any reader, of YAML 1.1 or of JSON scalars, would not take for a text."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
        return dumper.represent_scalar(_STR, value, style=_text_style(value))

    def mapping(dumper: yaml.SafeDumper, value: dict[str, Any]) -> yaml.Node:
        is_short = value is not plain and "key" not in value and _is_short(value)
        return dumper.represent_mapping(_MAP, value.items(), flow_style=is_short)

    def sequence(dumper: yaml.SafeDumper, value: list[Any]) -> yaml.Node:
        return dumper.represent_sequence(_SEQ, value, flow_style=_is_short(value))

    for tag, pattern, first in _PLAIN_SCALARS:
        Dumper.add_implicit_resolver(tag, pattern, first)
    Dumper.add_representer(str, text)
    Dumper.add_representer(dict, mapping)
    Dumper.add_representer(list, sequence)
    return str(yaml.dump(plain, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH))


def _text_style(text: str) -> str | None:
    lines = text.split("\n")
    if not all(map(str.isprintable, lines)):
        return '"'
    # Blank lines at its end would run into those between entities.
    is_block = len(lines) > 1 and text[0] not in " \n" and not text.endswith("\n\n")
    return "|" if is_block else None


def _is_short(value: Any) -> bool:
    written = json.dumps(value, ensure_ascii=False)
    return len(written) <= _SHORT and "\\n" not in written


def _collect_structs(struct: type[msgspec.Struct], found: dict[str, type]) -> None:
    from msgspec import inspect

    pending: list[Any] = [inspect.type_info(struct)]
    while pending:
        each = pending.pop()
        if isinstance(each, inspect.StructType) and each.cls.__name__ not in found:
            found[each.cls.__name__] = each.cls
            pending += [field.type for field in each.fields]
        elif isinstance(each, inspect.UnionType):
            pending += each.types
        elif isinstance(each, inspect.VarTupleType):
            pending.append(each.item_type)


def _field_meanings(struct: type) -> dict[str, str]:
    """Read what each field means from the docstrings of a struct and its parents."""
    meanings: dict[str, str] = {}
    for each in reversed(struct.__mro__):
        written = re.findall(r"^ {8}(\w+): (.+(?:\n {12,}.+)*)", each.__doc__ or "", flags=re.MULTILINE)
        meanings |= {name.rstrip("_"): " ".join(words.split()) for name, words in written}
    return meanings
