from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nudge_sdk.documents import json_schema, read_definition, read_document, to_json, to_yaml
from nudge_sdk.errors import DefinitionError
from nudge_sdk.rules.authoring import parse_definition
from nudge_sdk.rules.definition import Content, Definition, Milestone, TagCap

DOCUMENT = """\
name: E-mail tool
milestones:
  - key: campaign
    signal: {event: campaign_sent}
    window: {days: 14}
    done: {en: sent a campaign, no: sendte}
nudges:
  - key: upgrade
    placement: dashboard
    goal: paid
    content:
      title: You {{ done | did it }}
      body: |
        First line
        second line
      cta: {label: Upgrade, url: /upgrade}
"""


def problems_of(source: str | Path) -> list[str]:
    with pytest.raises(DefinitionError) as caught:
        read_definition(source)
    return [str(problem) for problem in caught.value.problems]


def test_a_yaml_text_becomes_a_definition() -> None:
    definition = read_definition(DOCUMENT)
    assert definition.milestones[0].done == {"en": "sent a campaign", "no": "sendte"}
    assert definition.nudges[0].content is not None
    assert definition.nudges[0].content.body == "First line\nsecond line\n"


@pytest.mark.parametrize("name", ["rules.yaml", "rules.yml", "rules.json"])
def test_a_file_is_read_by_its_path_as_path_and_as_text(tmp_path: Path, name: str) -> None:
    expected = read_definition(DOCUMENT)
    path = tmp_path / name
    path.write_text(to_json(expected) if name.endswith("json") else DOCUMENT, encoding="utf-8")
    assert read_definition(path) == read_definition(str(path)) == expected


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(DOCUMENT, encoding="utf-8-sig")
    assert read_definition(tmp_path / "rules.yaml") == read_definition(DOCUMENT)


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_bytes(b"name: caf\xe9\n")
    assert problems_of(tmp_path / "rules.yaml") == ["document: is not UTF-8 text (at byte 9). Save it as UTF-8."]


def test_a_file_that_is_missing_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_definition(tmp_path / "rules.yaml")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("no", "no"), ("on", "on"), ("yes", "yes"), ("Off", "Off"), ("True", "True"), ("12:30", "12:30"),
        ("2026-03-01", "2026-03-01"), ("010", "010"), ("0x1F", "0x1F"), ("1_000", "1_000"), ("+5", "+5"), (".5", ".5"),
        (".inf", ".inf"), (".nan", ".nan"), ("<<", "<<"), ("=", "="), ("true", True), ("false", False), ("null", None),
        ("~", None), ("", None), ("12", 12), ("-3", -3), ("0", 0), ("1.50", 1.5), ("1e3", 1000.0), ("'12'", "12"),
        ("!!str 12", "12"), ('"no"', "no"),
    ],
)  # fmt: skip
def test_scalars_are_those_of_json(written: str, expected: Any) -> None:
    value = read_document(f"a: {written}\n")["a"]
    assert value == expected
    assert type(value) is type(expected)


def test_a_locale_called_no_stays_a_text() -> None:
    assert list(read_document("no: Bra\non: x\n")) == ["no", "on"]


def test_a_field_that_stands_twice_is_told_with_its_line_beside_all_else() -> None:
    text = DOCUMENT.replace("    window: {days: 14}\n", "    window: {days: 14}\n    window: {days: 7}\n    ponts: 3\n")
    assert problems_of(text) == [
        "milestones[campaign].window (line 6): stands twice in one group. Keep one of them.",
        "milestones[campaign].ponts (line 7): is not a known field. Did you mean points?",
    ]


def test_a_field_that_stands_twice_in_json_is_told() -> None:
    assert problems_of('{"name": "a", "name": "b"}') == ["name: stands twice in one group. Keep one of them."]


def test_problems_carry_the_line_of_their_place() -> None:
    text = DOCUMENT.replace("days: 14", 'days: "14"').replace("url: /upgrade", "url: 'ftp://x'")
    found = problems_of(text.replace("    placement: dashboard\n", ""))
    assert found[0].startswith("milestones[campaign].window.days (line 5): ")
    assert found[1].startswith("nudges[upgrade].placement (line 8): is missing")
    assert found[2].startswith("nudges[upgrade].content.cta.url (line 15): begins with ftp:")


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("a: [1, 2\n", "document (line 2, column 1): is not YAML"),
        ("a: 1\n b: 2\n", "document (line 2, column"),
        ("a: &x 1\nb: *x\n", "document (line 1, column 4): is not YAML: references (& and *) are not used here"),
        ("a: !!python/object:os.system x\n", "a (line 1)"),
        ("a: !!int x\n", "a (line 1): 'x' cannot be read as"),
        ("? [1, 2]\n: 3\n", "document (line 1): has a list or a group as the name of a field"),
        ("a: 1\n---\nb: 2\n", "document (line 2, column 1): is not YAML"),
        ("a: \x07\n", "document: is not YAML"),
        ("[" * 3000, "document: is nested too deeply"),
        ('{"a": ' * 100_000, "document: is nested too deeply"),
        ('{"a": 1,}', "document (line 1, column 9): is not JSON"),
        ('{"name": NaN}', "document: NaN is not a number of JSON"),
        ("", "document: is empty"),
        ("just a text", 'document: "just a text" is a text. Write a group of fields.'),
    ],
)
def test_what_is_no_document_is_refused_with_its_line(text: str, fragment: str) -> None:
    assert fragment in problems_of(text)[0]


def test_a_tower_of_references_is_refused_at_once() -> None:
    tower = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))
    assert "references" in problems_of(tower)[0]


def test_yaml_is_written_for_people() -> None:
    assert (
        to_yaml(read_definition(DOCUMENT))
        == """\
name: E-mail tool

milestones:
- key: campaign
  signal: {event: campaign_sent}
  window: {days: 14}
  done: {en: sent a campaign, 'no': sendte}

nudges:
- key: upgrade
  placement: dashboard
  goal: paid
  content:
    title: You {{ done | did it }}
    body: |
      First line
      second line
    cta: {label: Upgrade, url: /upgrade}
"""
    )


def test_an_empty_definition_is_written_and_read() -> None:
    assert read_definition(to_yaml(Definition())) == Definition()


CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
TRICKY = st.sampled_from(
    ["no", "1e5", "12:30", "~", "", " ", "null", "-", "- key: x", "a: b", "#x", "'", '"', "|", "line\nline", "\n",
     " \n x", "x\n\n", "\tx", "é\u2028", "🎉\nx", "{{ a | b }}", "%x", "@", "\x85", "&a", "*a", "!x", "a\r\nb", "0x10",
     "key:\n\n- key: a\n"]
)  # fmt: skip
TEXTS = TRICKY | st.text(CHARACTERS, max_size=40) | st.text("ab \n:-#'\"", max_size=30)
SHOWN = st.text("abc äß-…🎉:#'\"\n", min_size=1, max_size=30).filter(str.strip)
SCALARS = (
    TEXTS | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
)
KEYS = st.from_regex(r"[a-z][a-z0-9_]{0,9}", fullmatch=True) | st.sampled_from(
    ["no", "on", "yes", "null", "true", "e1"]
)
TRAITS = st.builds(lambda name, value: {"trait": name, "equals": value}, TEXTS.filter(str.strip), SCALARS)
CONDITIONS = st.recursive(
    TRAITS | st.just({"trait": "a", "exists": False}),
    lambda inner: (
        st.builds(lambda items: {"all": items}, st.lists(inner, min_size=1, max_size=3))
        | st.builds(lambda item: {"not": item}, inner)
    ),
    max_leaves=4,
)
POINTS = st.integers(-1_000_000, 1_000_000).map(lambda number: number / 1000)
MILESTONES: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {"key": KEYS, "when": CONDITIONS},
    optional={"points": POINTS, "notes": TEXTS, "name": TEXTS, "is_aha": st.booleans()},
)
NUDGES: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {
        "key": KEYS,
        "placement": st.sampled_from(["top", "no", "12:30"]),
        "content": st.fixed_dictionaries(
            {
                "title": SHOWN | st.fixed_dictionaries({"en": SHOWN, "no": SHOWN}),
                "cta": st.just({"label": "x", "url": "/"}),
            },
            optional={"body": SHOWN},
        ),
    },
    optional={"hide": CONDITIONS, "holdout": st.floats(0, 1), "tags": st.lists(KEYS, unique=True, max_size=3)},
)
DEFINITIONS = st.fixed_dictionaries(
    {},
    optional={
        "name": TEXTS,
        "notes": TEXTS,
        "milestones": st.lists(MILESTONES, max_size=3, unique_by=lambda each: each["key"]),
        "nudges": st.lists(NUDGES, max_size=2, unique_by=lambda each: each["key"]),
    },
)


@settings(deadline=None)
@given(DEFINITIONS)
def test_what_was_written_as_yaml_is_read_as_the_same(raw: dict[str, Any]) -> None:
    definition = parse_definition(raw)
    written = to_yaml(definition)
    again = read_definition(written)
    assert again == definition
    assert to_yaml(again) == written


@settings(deadline=None)
@given(DEFINITIONS)
def test_what_was_written_as_json_is_read_as_the_same(raw: dict[str, Any]) -> None:
    definition = parse_definition(raw)
    assert read_definition(to_json(definition)) == definition


@settings(deadline=None)
@given(DEFINITIONS)
def test_what_was_written_is_the_same_to_readers_of_yaml_1_1(raw: dict[str, Any]) -> None:
    import yaml

    definition = parse_definition(raw)
    assert msgspec.convert(yaml.safe_load(to_yaml(definition)), Definition) == definition


def test_the_schema_describes_every_field_of_every_struct() -> None:
    schema = json_schema()
    for struct in (Definition, Milestone, Content, TagCap):
        part = schema["$defs"][struct.__name__]
        assert list(part["properties"]) == list(struct.__struct_encode_fields__)
        assert part["additionalProperties"] is False
        assert "Attributes" not in part["description"]
    milestone = schema["$defs"]["Milestone"]["properties"]
    assert milestone["at_least"]["description"] == "How much of it; 1 if not said."
    assert schema["$defs"]["Condition"]["properties"]["trait"]["description"].startswith("A trait of the member")


def test_every_reference_of_the_schema_leads_somewhere() -> None:
    schema = json_schema()
    targets = {part.partition('"')[0] for part in json.dumps(schema).split('"#/$defs/')[1:]}
    assert targets <= set(schema["$defs"])
    assert schema["$ref"] == "#/$defs/Definition"


def test_the_yaml_reader_is_loaded_only_when_it_is_needed() -> None:
    script = "import sys, nudge_sdk.documents; sys.exit('yaml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
