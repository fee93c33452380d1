"""Copy: placeholders, Markdown, addresses, locales, and that none of it can run."""

from __future__ import annotations

import json
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nudge_sdk.errors import CopyError
from nudge_sdk.rules.copy import (
    TEXT_LENGTH,
    VALUE_LENGTH,
    Slot,
    check_text,
    check_url,
    compile_markdown,
    compile_text,
    direction,
    pick_locale,
    placeholders,
    render_markdown,
    render_plain,
    render_url,
)

ROOT = Path(__file__).parent.parent.parent
CASES: dict[str, Any] = json.loads((ROOT / "tests" / "cases" / "copy.json").read_text("utf-8"))
NAUGHTY = ROOT.parent / "shared" / "data" / "blns.json"

TAGS = {
    "p",
    "br",
    "hr",
    "strong",
    "em",
    "code",
    "pre",
    "a",
    "ul",
    "ol",
    "li",
    "blockquote",
    "h3",
    "h4",
    "h5",
    "h6",
    "img",
}
ATTRIBUTES = {"a": {"href", "rel"}, "img": {"src", "alt"}}
HOME = "https://home.example/app/page"

HOSTILE: list[str] = CASES["hostile"]
SYNTAX = st.sampled_from(
    [
        *"[]()<>!*_`#&;:/\\\"'{}|-\n\t ax0",
        "](",
        "![",
        "{{ name | ",
        "{{ id }}",
        " }}",
        "javascript:",
        "https://",
        "//",
        "on=",
        "&#",
    ]
)
HOSTILE_TEXT = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(),
    st.lists(st.one_of(SYNTAX, st.sampled_from(HOSTILE)), max_size=25).map("".join),
)
ADDRESS = st.builds("{}{}{}".format, HOSTILE_TEXT, st.sampled_from(["", "/", "?", "#"]), HOSTILE_TEXT)
AUTHORED = st.one_of(
    HOSTILE_TEXT,
    st.builds("[{}]({})".format, HOSTILE_TEXT, ADDRESS),
    st.builds("![{}](<{}>)".format, HOSTILE_TEXT, ADDRESS),
    st.builds("<{}>".format, ADDRESS),
    st.builds("[a](/p/{{{{ name | {} }}}}?q={{{{ id }}}})".format, HOSTILE_TEXT),
)
VALUES = st.fixed_dictionaries(
    {"name": st.one_of(HOSTILE_TEXT, st.none(), st.integers(), st.floats(), st.booleans(), st.lists(st.text()))},
    optional={"id": HOSTILE_TEXT},
)


class Page(HTMLParser):
    """What a browser would make of a rendered text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.other: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"br", "hr", "img"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def handle_comment(self, data: str) -> None:
        self.other.append(data)

    def handle_decl(self, decl: str) -> None:
        self.other.append(decl)

    def handle_pi(self, data: str) -> None:
        self.other.append(data)

    def unknown_decl(self, data: str) -> None:
        self.other.append(data)


def address_is_harmless(url: str) -> bool:
    # A browser drops tabs and line breaks anywhere and controls at the ends, and reads a backslash as a slash.
    seen = "".join(char for char in url if char not in "\t\r\n").strip("".join(map(chr, range(33)))).replace("\\", "/")
    target = urlsplit(urljoin(HOME, seen))
    is_at_home = target.netloc == "home.example"
    return target.scheme in {"http", "https"} and (is_at_home or seen.lower().startswith(("http://", "https://")))


def assert_safe(html: str) -> None:
    page = Page(html)
    assert not page.open
    assert not page.other
    for tag, attributes in page.tags:
        assert tag in TAGS
        assert set(attributes) <= ATTRIBUTES.get(tag, set())
        for url in (attributes.get("href"), attributes.get("src")):
            assert url is None or address_is_harmless(url)
        assert tag != "img" or (attributes.get("src") or "https:").lower().startswith("https:")
        is_external = (attributes.get("href") or "").lower().startswith("http")
        assert tag != "a" or not is_external or attributes.get("rel") == "noopener noreferrer"


def rendered(text: str, values: dict[str, Any]) -> str:
    try:
        return render_markdown(text, values)
    except CopyError:
        return ""


def case_name(case: Any) -> str:
    return ascii(case if isinstance(case, str) else case[0])[1:-1][:50]


@pytest.mark.parametrize("case", CASES["locales"], ids=lambda case: case["why"])
def test_locale_is_looked_up_field_by_field(case: dict[str, Any]) -> None:
    assert list(pick_locale(case["text"], case["locale"], case["default"])) == case["got"]


@given(
    texts=st.dictionaries(st.sampled_from(["de", "DE", "de-AT", "en", "fr", "fr-CA"]), st.sampled_from(["", "x", "y"]))
)
def test_locale_lookup_does_not_depend_on_the_order_of_the_translations(texts: dict[str, str]) -> None:
    backwards = dict(reversed(texts.items()))
    for locale in ("de-CH", "de", "fr-CA-x-y", "it", ""):
        assert pick_locale(texts, locale, "en") == pick_locale(backwards, locale, "en")


@pytest.mark.parametrize("tag", CASES["rtl"])
def test_locale_is_written_from_right_to_left(tag: str) -> None:
    assert direction(tag) == "rtl"


@pytest.mark.parametrize("tag", CASES["ltr"])
def test_locale_is_written_from_left_to_right(tag: str) -> None:
    assert direction(tag) == "ltr"


@pytest.mark.parametrize(("text", "values", "result"), CASES["plain"])
def test_plain_text_is_rendered(text: str, values: dict[str, Any], result: str) -> None:
    assert render_plain(text, values) == result


@pytest.mark.parametrize(("text", "values", "result"), CASES["markdown"])
def test_markdown_is_rendered(text: str, values: dict[str, Any], result: str) -> None:
    assert render_markdown(text, values) == result
    assert_safe(result)


@pytest.mark.parametrize(("url", "values", "result"), CASES["addresses"])
def test_values_are_percent_encoded_in_an_address(url: str, values: dict[str, Any], result: str) -> None:
    assert render_url(url, values) == result


@pytest.mark.parametrize("case", CASES["urls"], ids=case_name)
def test_address_is_judged(case: list[str]) -> None:
    url, reason = case
    refusal = check_url(url)
    assert (refusal is None) == (reason is None)
    assert reason is None or reason in str(refusal)
    assert reason is not None or address_is_harmless(render_url(url, {}))


@pytest.mark.parametrize("case", [case for case in CASES["urls"] if case[1]], ids=case_name)
def test_refused_address_cannot_be_rendered(case: list[str]) -> None:
    with pytest.raises(CopyError, match="the address"):
        render_url(case[0], {"name": "x"})


@pytest.mark.parametrize(("text", "found"), CASES["problems"])
def test_authors_are_told_what_is_wrong(text: str, found: list[str]) -> None:
    problems = check_text(text, ["name", "trait.*"], always=["count"], max_length=30)
    assert len(problems) == len(found)
    assert all(part in problem for part, problem in zip(found, problems, strict=True))


def test_problems_of_translations_name_their_locale() -> None:
    texts = {"en": "Hi {{ name | there }}", "de": "Hallo {{ nome | du }}", "not a tag": "x"}
    problems = check_text(texts, ["name"], max_length=30)
    assert problems == [
        "[de] nome is not a known name; use one of: name",
        "'not a tag' is not a locale tag; write one such as en or pt-BR",
    ]
    assert check_text({}, [], max_length=10) == ["has no text in any locale"]


def test_markup_does_not_count_towards_the_length_but_words_do() -> None:
    text = "**12345** [678](https://example.com/a/long/address) &amp;"
    assert check_text(text, [], max_length=11, markdown=True) == []
    assert check_text(text, [], max_length=10, markdown=True) == ["is 11 characters long; at most 10 fit"]
    assert check_text("**12**", [], max_length=5) == ["is 6 characters long; at most 5 fit"]


def test_authors_are_told_what_markdown_leaves_out() -> None:
    text = "[a](javascript:x) ![b](/c.png) [d]({{ name | e }}) <b>f</b> `<i>`"
    address, image, start, *raw = check_text(text, ["name"], max_length=100, markdown=True)
    assert "javascript:" in address
    assert "https" in image
    assert "before the path" in start
    assert raw == [f"{tag} would be shown as it stands; use Markdown" for tag in ("<b>", "</b>")]


def test_too_long_a_text_is_refused_unread() -> None:
    assert check_text("[" * (TEXT_LENGTH + 1), [], max_length=10) == [f"is longer than {TEXT_LENGTH} characters"]


def test_placeholders_are_listed_once_in_order() -> None:
    assert placeholders("{{ b | x }} {{ a.c }} {{b|y}} {{ no() }}") == ["b", "a.c"]


@pytest.mark.parametrize("render", [render_plain, render_markdown])
@pytest.mark.parametrize("values", [{}, {"count": None}, {"count": " "}, {"count": [1]}])
def test_a_missing_value_without_a_fallback_is_an_error(render: Any, values: dict[str, Any]) -> None:
    with pytest.raises(CopyError, match="count has no value"):
        render("You have {{ count }} contacts", values)


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), 10**6000, object(), b"x", ("a",)], ids=lambda value: type(value).__name__
)
def test_values_that_are_no_words_give_the_fallback(value: object) -> None:
    assert render_plain("{{ name | x }}", {"name": value}) == "x"


def test_a_long_value_is_cut_in_words_but_not_in_an_address() -> None:
    value = "x" * 500
    assert render_plain("{{ name | x }}", {"name": value}) == "x" * (VALUE_LENGTH - 1) + "…"
    assert render_url("/{{ name | x }}", {"name": value}) == "/" + value


def test_a_link_that_a_value_makes_too_long_leads_nowhere() -> None:
    values = {"name": "é" * 500}
    assert render_markdown("[go](/{{ name | x }})", values) == "<p><a>go</a></p>"
    assert render_markdown("![pic](https://a.example/{{ name | x }})", values) == '<p><img alt="pic"></p>'
    with pytest.raises(CopyError, match="longer than"):
        render_url("/{{ name | x }}", values)


@pytest.mark.parametrize("value", HOSTILE)
def test_a_hostile_value_shows_literally(value: str) -> None:
    shown = render_plain("{{ name | fallback }}", {"name": value})
    html = render_markdown("*Hi* {{ name | fallback }}, [go](/x/{{ name | fallback }})", {"name": value})
    assert_safe(html)
    page = Page(html)
    assert "".join(page.words) == f"Hi {shown}, go"
    assert [tag for tag, _ in page.tags] == ["p", "em", "a"]


@settings(max_examples=400, deadline=None)
@given(text=AUTHORED, values=VALUES)
@example(text="[x]({{ name | a }}:alert(1))", values={"name": "javascript"})
@example(text="[x]({{ name | / }}/evil.example)", values={"name": "/"})
@example(text="[x](/{{ name | a }}/evil.example)", values={"name": "."})
@example(text="[x](https://{{ name | a }}/)", values={"name": "evil.example"})
@example(text="<p onclick={{ name | a }}>", values={"name": "alert(1)"})
@example(text="&#122;q0x {{ name | a }} z&#113;7x", values={"name": "b"})
@example(text="![z*q7x* {{ name | a }}](https://good.example/x) [z](javascript:x)q7x z*q7x*", values={"name": "b"})
def test_nothing_that_runs_comes_out_of_any_text_with_any_values(text: str, values: dict[str, Any]) -> None:
    assert_safe(rendered(text, values))


@settings(max_examples=200, deadline=None)
@given(url=ADDRESS, values=VALUES)
def test_no_address_runs_or_leads_to_a_host_that_the_author_did_not_write(url: str, values: dict[str, Any]) -> None:
    try:
        result = render_url(url, values)
    except CopyError:
        return
    assert check_url(url) is None
    assert address_is_harmless(result)


@settings(max_examples=200, deadline=None)
@given(
    start=st.sampled_from(["/", "/a/", "?q=", "#", "https://good.example/", "a/b"]),
    end=st.sampled_from(["", "/", "//evil.example", ":x", "@evil.example"]),
    value=HOSTILE_TEXT,
)
def test_a_value_cannot_change_where_an_address_leads(start: str, end: str, value: str) -> None:
    template = f"{start}{{{{ name | x }}}}{end}"
    written = urlsplit(urljoin(HOME, render_url(template, {})))
    led = urlsplit(urljoin(HOME, render_url(template, {"name": value[:100]})))
    assert (led.scheme, led.netloc) == (written.scheme, written.netloc)
    assert led.path.count("/") == written.path.count("/")
    assert bool(led.query) == bool(written.query)


@settings(max_examples=200, deadline=None)
@given(text=AUTHORED, values=VALUES)
def test_a_value_is_never_read_again(text: str, values: dict[str, Any]) -> None:
    pieces = compile_text(text).pieces
    written = [
        piece if isinstance(piece, str) else render_plain(f"{{{{ {piece.name} | {piece.fallback} }}}}", values)
        for piece in pieces
    ]
    if all(isinstance(piece, str) or piece.fallback for piece in pieces):
        assert render_plain(text, values) == "".join(written)
    assert_safe(rendered("{{ name | x }}", values))
    assert [tag for tag, _ in Page(rendered("{{ name | x }}", values)).tags] == ["p"]


@settings(max_examples=200, deadline=None)
@given(text=AUTHORED)
def test_checking_any_text_gives_words_and_never_an_exception(text: str) -> None:
    for markdown in (False, True):
        assert all(isinstance(problem, str) for problem in check_text(text, ["name"], max_length=50, markdown=markdown))


@settings(max_examples=200, deadline=None)
@given(text=AUTHORED, values=VALUES)
@example(text="[a](/p/{{ name | \ud800 }})", values={"name": None})
def test_a_text_without_problems_always_renders(text: str, values: dict[str, Any]) -> None:
    if check_text(text, ["name", "id"], max_length=TEXT_LENGTH, markdown=True) == []:
        render_plain(text, values)
        render_markdown(text, values).encode()


def test_naughty_strings_are_refused_with_words_or_shown_literally() -> None:
    if not NAUGHTY.exists():
        pytest.skip("the list of naughty strings is not beside this checkout (../shared/data/blns.json)")
    strings: list[str] = json.loads(NAUGHTY.read_text("utf-8"))
    assert len(strings) == 485
    for naughty in strings:
        shown = render_plain("{{ name | fallback }}", {"name": naughty})
        page = Page(render_markdown("{{ name | fallback }}", {"name": naughty}))
        assert ("".join(page.words), [tag for tag, _ in page.tags]) == (shown, ["p"])
        assert_safe(rendered(naughty, {}))
        assert_safe(rendered(f"[x]({naughty}) [y](/{{{{ name | z }}}})", {"name": naughty}))
        problems = check_text(naughty, [], max_length=TEXT_LENGTH)
        assert problems or render_plain(naughty, {}) == naughty


@pytest.mark.parametrize(
    "text", ["[" * 9_000, "![[" * 3_000, ">" * 9_000, "`a``" * 2_000, "*a **b " * 1_300, "{{" * 4_500, "- " * 4_500]
)
@pytest.mark.timeout(10)
def test_no_text_takes_long_to_read(text: str) -> None:
    assert_safe(rendered(text, {}))


def test_a_text_is_read_once_and_the_number_kept_is_bounded() -> None:
    text = "Read **once** {{ name | x }}"
    assert compile_markdown(text) is compile_markdown("".join(text))
    assert compile_text(text).slots == [Slot("name", "x")]
    assert all(function.cache_info().maxsize for function in (compile_text, compile_markdown, direction))


def test_importing_copy_does_not_import_the_markdown_parser() -> None:
    code = "import sys, nudge_sdk.rules.copy; sys.exit('markdown_it' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
