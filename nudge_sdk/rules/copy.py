"""Copy: texts that product managers write, as data that can never run.

A text is one text, or a mapping from locale tag to text. ``{{ name | fallback }}`` puts in the value of that name, or
the fallback where there is none; there are no expressions. Values go in after Markdown was read, so nothing in a value
can become a placeholder, markup or a link; within an address they are percent-encoded.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from html import escape, unescape
from itertools import count
from math import isfinite
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec

from nudge_sdk.errors import CopyError

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

Text = str | Mapping[str, str]
Values = Mapping[str, object]

VALUE_LENGTH = 200
"""A value longer than this many characters is cut, so that one odd trait cannot flood a page."""

TEXT_LENGTH = 20_000
"""No text may be longer than this, markup included."""

URL_LENGTH = 2_048

# Only what every text needs is compiled on import; re keeps the others when they are first used.
_BRACED = re.compile(r"\{\{([^{}]*)\}\}")
_STRAY = r"\{\{|\}\}|\{\0|\0\}"
_NAME = r"[^\W\d][\w-]*(?:\.[\w-]+)*"
# Control characters, line separators, characters that turn the direction of what follows them, lone surrogates.
_UNSHOWABLE = "[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+"
_FORBIDDEN = "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]"
_LOCALE_TAG = r"[A-Za-z]{2,8}(?:[-_][A-Za-z0-9]{1,8})*"
_HTML_TAG = r"</?[A-Za-z][^<>]*>"

# Spaces, controls and invisible characters, which browsers drop or people cannot see, and what ends an attribute.
_URL_FORBIDDEN = '[\\s\x00-\x20\x7f-\xa0\xad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff<>"`{}\\\\]'
_URL_SCHEME = r"([^/?#:]*):"
_URL_ABSOLUTE = r"[a-zA-Z]+://(?:[\w.-]+|\[[0-9a-fA-F:.]+\])(?::[0-9]{1,5})?(?:[/?#]|\Z)"
# Up to here the author alone decides: scheme and host, or the first / ? # of a relative address.
_URL_START = r"[a-zA-Z]+://[^/?#]+[/?#]|[^:/?#]*[/?#]"

# A nudge stands in a page that has its own first two levels of headings.
_TAGS = {"h1": "h3", "h2": "h4", "h3": "h5", "h4": "h6", "h5": "h6", "h6": "h6"} | {
    tag: tag for tag in ("p", "strong", "em", "ul", "ol", "li", "blockquote")
}
_VOID = {"softbreak": "\n", "hardbreak": "<br>", "hr": "<hr>"}
_CODE = {"code_inline": ("<code>", "</code>"), "fence": ("<pre><code>", "</code></pre>")}
_BLOCK_RULES = ["blockquote", "fence", "heading", "hr", "list"]
_INLINE_RULES = ["autolink", "backticks", "emphasis", "entity", "escape", "image", "link", "newline"]

_RTL_LANGUAGES = (
    "ar arc arz ary arq acm apc ars aeb azb bal bgn bqi ckb dv fa prs pes glk haz he iw khw ks lrc luz mzn nqo pnb ps "
    "rhg sd sdh skr syr ug ur yi ji"
)
_RTL_SCRIPTS = "arab aran hebr thaa syrc syre syrj syrn nkoo adlm rohg mand mend samr yezi"
# Languages that are written from right to left in these countries only.
_RTL_COUNTRIES = "az-iq az-ir kk-cn ku-iq ku-ir ky-cn pa-pk tg-pk uz-af"


class Slot(msgspec.Struct, frozen=True):
    """A place for a value; without a fallback, the value has to be there."""

    name: str
    fallback: str | None


class Address(msgspec.Struct, frozen=True):
    """The address of a link or an image, with places for values."""

    pieces: tuple[str | Slot, ...]
    is_image: bool = False


Piece = str | Slot | Address


class CompiledText(msgspec.Struct, frozen=True):
    """A text, read once: what stands in it, and the places for values between."""

    pieces: tuple[str | Slot, ...]

    @property
    def slots(self) -> list[Slot]:
        """The placeholders, in order."""
        return [piece for piece in self.pieces if isinstance(piece, Slot)]


class CompiledMarkdown(msgspec.Struct, frozen=True):
    """A Markdown text, read once; ``refused`` says what of it is left out or not read as markup, and why."""

    pieces: tuple[Piece, ...]
    refused: tuple[str, ...]


def pick_locale(text: Text, locale: str, default_locale: str) -> tuple[str, str]:
    """Choose the text of a locale by RFC 4647 lookup, for this one field.

    Args:
        text: One text, or texts by locale tag. A blank translation counts as missing.
        locale: The wanted BCP 47 tag, or an empty text. ``pt_BR`` is read as ``pt-BR``.
        default_locale: What is looked up next; also the tag of a text that names no locale.

    Returns:
        The text and its tag. Where neither locale is there, the first tag in alphabetical order.
    """
    if isinstance(text, str):
        return text, default_locale
    if locale in text and text[locale].strip():
        return text[locale], locale
    written = {_normal(tag): tag for tag, words in sorted(text.items(), reverse=True) if words.strip()}
    for wanted in (*_truncations(locale), *_truncations(default_locale)):
        if wanted in written:
            return text[written[wanted]], written[wanted]
    return (text[written[min(written)]], written[min(written)]) if written else ("", default_locale)


@lru_cache(maxsize=512)
def direction(tag: str) -> str:
    """Return ``rtl`` or ``ltr``, the writing direction of a locale tag."""
    language, *rest = _normal(tag).split("-")
    script = next((subtag for subtag in rest if len(subtag) == 4 and subtag.isalpha()), "")
    if script:
        return "rtl" if script in _RTL_SCRIPTS.split() else "ltr"
    is_rtl = language in _RTL_LANGUAGES.split() or any(f"{language}-{part}" in _RTL_COUNTRIES.split() for part in rest)
    return "rtl" if is_rtl else "ltr"


def placeholders(text: str) -> list[str]:
    """Return the names a text asks for, each once, in order."""
    return list(dict.fromkeys(slot.name for slot in compile_text(text).slots))


def check_text(
    text: Text, names: Collection[str], *, max_length: int, always: Collection[str] = (), markdown: bool = False
) -> list[str]:
    """Return what is wrong with a text, in words for its author; an empty list if nothing is.

    Args:
        text: One text, or texts by locale tag.
        names: The names it may use; ``trait.*`` allows every name that begins with ``trait.``.
        max_length: Most characters as rendered, without markup, with every fallback in place (a placeholder without
            one counts as its name).
        always: Names that always have a value and need no fallback; they need not stand in ``names`` too.
        markdown: Whether it will be rendered as Markdown.
    """
    if isinstance(text, str):
        return _problems(text, (*names, *always), always=always, max_length=max_length, markdown=markdown)
    found = [] if text else ["has no text in any locale"]
    for tag, words in text.items():
        if not re.fullmatch(_LOCALE_TAG, tag):
            found.append(f"{tag!r} is not a locale tag; write one such as en or pt-BR")
        problems = _problems(words, (*names, *always), always=always, max_length=max_length, markdown=markdown)
        found += [f"[{tag}] {problem}" for problem in problems]
    return found


@lru_cache(maxsize=4096)
def compile_text(text: str) -> CompiledText:
    """Read a text once; never raises. What is not a well-formed placeholder stays as it was written."""
    pieces: list[str | Slot] = []
    end = 0
    for match in _BRACED.finditer(text):
        slot = _slot(match[1])
        if slot:
            pieces += [text[end : match.start()], slot]
            end = match.end()
    return CompiledText((*pieces, text[end:]))


@lru_cache(maxsize=2048)
def compile_markdown(text: str) -> CompiledMarkdown:
    """Read a Markdown text once; never raises."""
    compiled = compile_text(text)
    mark = _unused_mark(text)
    numbers = count()
    source = "".join(f"{mark}{next(numbers)}x" if isinstance(piece, Slot) else piece for piece in compiled.pieces)
    reader = _Reader(re.compile(f"{mark}([0-9]+)x"), compiled.slots)
    pieces = _merged(reader.read(_parser().parse(source)))
    return CompiledMarkdown(pieces, tuple(reader.refused))


def render_plain(text: str, values: Values) -> str:
    """Put values into a text without markup, such as a title or a label.

    The answer is plain text, not HTML: whoever puts it into a page escapes it.

    Raises:
        CopyError: A placeholder has neither a value nor a fallback.
    """
    pieces = compile_text(text).pieces
    return "".join([piece if isinstance(piece, str) else _shown(piece, values) for piece in pieces])


def render_markdown(text: str, values: Values) -> str:
    """Put values into a Markdown text and return HTML that is safe to put into a page.

    Raises:
        CopyError: A placeholder has neither a value nor a fallback.
    """
    return "".join([_html(piece, values) for piece in compile_markdown(text).pieces])


def check_url(url: str) -> str | None:
    """Return why an address is refused, or None if it is good.

    Good are absolute http and https addresses, and relative ones (path, query or fragment). Placeholders may stand in
    the path, the query and the fragment.
    """
    return _template_refusal(compile_text(url).pieces)


def render_url(url: str, values: Values) -> str:
    """Put values, percent-encoded, into an address.

    The answer is not HTML: whoever puts it into a page escapes it.

    Raises:
        CopyError: The address is refused, or a placeholder has neither a value nor a fallback.
    """
    pieces = compile_text(url).pieces
    refusal = _template_refusal(pieces)
    if not refusal:
        filled = _filled(pieces, values)
        refusal = _refusal(filled)
    if refusal:
        raise CopyError(f"the address {url!r} {refusal}")
    return filled


class _Reader:
    """Turns the tokens of one text into HTML with places for values; what it does not know becomes plain text."""

    def __init__(self, mark: re.Pattern[str], slots: Sequence[Slot]) -> None:
        self.refused: list[str] = []
        self._mark = mark
        self._slots = slots
        self._closings: list[str] = []

    def read(self, tokens: Iterable[Token]) -> Iterator[Piece]:
        for token in tokens:
            if token.type == "inline":
                yield from self.read(token.children or [])
            elif token.type == "link_open":
                yield from self._link(str(token.attrs["href"]))
            elif token.type == "link_close":
                yield self._closings.pop()
            elif token.type == "image":
                yield from self._image(token)
            elif token.nesting:
                yield _tag(token)
            else:
                yield from self._leaf(token)

    def _leaf(self, token: Token) -> Iterator[Piece]:
        if token.type in _VOID:
            yield _VOID[token.type]
            return
        before, after = _CODE.get(token.type, ("", ""))
        if not before:
            self.refused += [
                f"{tag} would be shown as it stands; use Markdown" for tag in re.findall(_HTML_TAG, token.content)
            ]
        yield from (before, *self._text(token.content), after)

    def _link(self, url: str) -> Iterator[Piece]:
        opening = self._opening(Address(tuple(self._split(url))))
        self._closings.append("</a>" if opening else "")
        yield opening

    def _image(self, token: Token) -> Iterator[Piece]:
        # Word by word: joined first, the words around markup could spell a mark.
        alt = [piece for word in _words(token.children or []) for piece in self._text(word)]
        opening = self._opening(Address(tuple(self._split(str(token.attrs["src"]))), is_image=True))
        yield from (opening, 'alt="', *alt, '">') if opening else alt

    def _opening(self, address: Address) -> str | Address:
        refusal = _template_refusal(address.pieces)
        if not refusal and address.is_image and not str(address.pieces[0]).lower().startswith("https://"):
            refusal = "is not an https address, which an image needs"
        if refusal:
            shown = "".join(piece if isinstance(piece, str) else f"{{{{ {piece.name} }}}}" for piece in address.pieces)
            self.refused.append(f"the address {shown!r} {refusal}")
            return ""
        has_slots = any(isinstance(piece, Slot) for piece in address.pieces)
        return address if has_slots else _opened(address, {})

    def _text(self, content: str) -> list[Piece]:
        return [escape(piece) if isinstance(piece, str) else piece for piece in self._split(content)]

    def _split(self, content: str) -> list[str | Slot]:
        parts: list[str | Slot] = list(self._mark.split(content))
        parts[1::2] = [self._slots[int(str(number))] for number in parts[1::2]]
        return parts


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    # Imported at the first Markdown text: it costs more time than all the rest of a host's import of this package.
    from markdown_it import MarkdownIt

    class AddressKeeper(MarkdownIt):
        """Hands addresses on as they were written; they are judged and escaped here, after placeholders are known."""

        def validateLink(self, url: str) -> bool:
            return True

        def normalizeLink(self, url: str) -> str:
            return url

        def normalizeLinkText(self, link: str) -> str:
            return link

    return AddressKeeper("zero").enable(_BLOCK_RULES + _INLINE_RULES)


def _unused_mark(text: str) -> str:
    # Letters, so that Markdown treats a value as a word. An author can spell the mark by entities; unescaping them
    # first makes that no way in either.
    mark, seen = "zq", text + unescape(text)
    while mark in seen:
        mark += "q"
    return mark


def _words(tokens: Iterable[Token]) -> Iterator[str]:
    for token in tokens:
        yield from _words(token.children) if token.children else [" " if token.type == "softbreak" else token.content]


def _tag(token: Token) -> str:
    tag = _TAGS.get(token.tag)
    if token.hidden or not tag:
        return ""
    return f"<{tag}>" if token.nesting > 0 else f"</{tag}>"


def _merged(pieces: Iterable[Piece]) -> tuple[Piece, ...]:
    merged: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, str) and merged and isinstance(merged[-1], str):
            merged[-1] += piece
        elif piece:
            merged.append(piece)
    return tuple(merged)


def _html(piece: Piece, values: Values) -> str:
    if isinstance(piece, str):
        return piece
    return escape(_shown(piece, values)) if isinstance(piece, Slot) else _opened(piece, values)


def _opened(address: Address, values: Values) -> str:
    url = _filled(address.pieces, values)
    href = "" if _refusal(url) else escape(url)
    if address.is_image:
        return f'<img src="{href}" ' if href else "<img "
    if not href:
        return "<a>"
    return f'<a href="{href}" rel="noopener noreferrer">' if re.match(_URL_SCHEME, url) else f'<a href="{href}">'


def _filled(pieces: Iterable[str | Slot], values: Values) -> str:
    return "".join([piece if isinstance(piece, str) else _encoded(piece, values) for piece in pieces])


def _encoded(slot: Slot, values: Values) -> str:
    text = _worded(values.get(slot.name))
    # A path of dots would climb out of the folder that the author wrote.
    return quote(text if text.strip(".") else _fallback(slot), safe="")


def _shown(slot: Slot, values: Values) -> str:
    text = _worded(values.get(slot.name)) or _fallback(slot)
    return text if len(text) <= VALUE_LENGTH else text[: VALUE_LENGTH - 1] + "…"


def _fallback(slot: Slot) -> str:
    if slot.fallback is None:
        raise CopyError(f"{slot.name} has no value, and the text gives no fallback; write {{{{ {slot.name} | … }}}}")
    return slot.fallback


def _worded(value: object) -> str:
    if isinstance(value, str):
        return re.sub(_UNSHOWABLE, " ", value).strip()
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    if isinstance(value, float):
        return f"{value:.15g}" if isfinite(value) else ""
    return str(value) if value.bit_length() <= 64 else ""


def _template_refusal(pieces: Sequence[str | Slot]) -> str | None:
    refusal = _refusal("".join(["x" if isinstance(piece, Slot) else piece for piece in pieces]))
    if refusal or len(pieces) == 1 or re.match(_URL_START, str(pieces[0])):
        return refusal
    return "has a placeholder before the path; it may only stand after the host, or after a first / or ? or #"


def _refusal(url: str) -> str | None:
    if not url:
        return "is empty"
    if len(url) > URL_LENGTH:
        return f"is longer than {URL_LENGTH} characters"
    if re.search(_URL_FORBIDDEN, url):
        return "holds a space, a backslash, a quote or an invisible character; percent-encode it"
    if url.startswith("//"):
        return "begins with //; write https:// before the host"
    scheme = re.match(_URL_SCHEME, url)
    if scheme and scheme[1].lower() not in {"http", "https"}:
        return f"begins with {scheme[0]}; only http, https and relative addresses are allowed"
    if scheme and not re.match(_URL_ABSOLUTE, url):
        return "has no proper host after the scheme; write https://host/path"
    return None


def _problems(
    words: str, names: Collection[str], *, always: Collection[str], max_length: int, markdown: bool
) -> list[str]:
    if len(words) > TEXT_LENGTH:
        return [f"is longer than {TEXT_LENGTH} characters"]
    found = [
        f"holds U+{ord(char):04X}, which cannot be shown; remove it"
        for char in sorted(set(re.findall(_FORBIDDEN, words)))
    ]
    for match in _BRACED.finditer(words):
        found += _slot_problems(match, names, always)
    if re.search(_STRAY, _BRACED.sub("\0", words)):
        found.append("has braces that do not pair; a placeholder is written {{ name | fallback }}")
    length = rendered_length(words, markdown=markdown)
    if length > max_length:
        found.append(f"is {length} characters long; at most {max_length} fit")
    return found + (list(compile_markdown(words).refused) if markdown else [])


def _slot_problems(match: re.Match[str], names: Collection[str], always: Collection[str]) -> list[str]:
    slot = _slot(match[1])
    if slot is None:
        return [f"{match[0]} is not a placeholder; write {{{{ name | fallback }}}}, with no other signs"]
    found = []
    if not _is_listed(slot.name, names):
        found.append(f"{slot.name} is not a known name; use one of: {', '.join(sorted(set(names))) or 'none here'}")
    if slot.fallback is None and not _is_listed(slot.name, always):
        found.append(f"{match[0]} needs a fallback; write {{{{ {slot.name} | … }}}}")
    return found


def _is_listed(name: str, names: Collection[str]) -> bool:
    return name in names or any(known.endswith(".*") and name.startswith(known[:-1]) for known in names)


def rendered_length(words: str, *, markdown: bool) -> int:
    """Return the characters of a text as the check counts them: as rendered, with every fallback in place."""
    values = {slot.name: slot.name for slot in compile_text(words).slots if slot.fallback is None}
    if not markdown:
        return len(render_plain(words, values))
    return len(unescape(re.sub(_HTML_TAG, "", render_markdown(words, values))).strip())


def _slot(inner: str) -> Slot | None:
    name, *rest = inner.split("|")
    if len(rest) > 1 or not re.fullmatch(_NAME, name.strip()):
        return None
    return Slot(name.strip(), _worded("".join(rest)) or None)


def _truncations(tag: str) -> Iterator[str]:
    subtags = _normal(tag).split("-") if tag else []
    while subtags:
        yield "-".join(subtags)
        subtags.pop()
        if subtags and len(subtags[-1]) == 1:
            subtags.pop()


def _normal(tag: str) -> str:
    return tag.replace("_", "-").lower()
