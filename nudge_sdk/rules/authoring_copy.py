"""What copy has to fulfil when it is authored: texts, placeholders, addresses, and what each kind of content needs."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import NamedTuple

from nudge_sdk.rules.authoring_report import Report
from nudge_sdk.rules.copy import URL_LENGTH, check_text, check_url
from nudge_sdk.rules.definition import CONTENT_TYPES, Button, Content, Definition, Milestone, Mode, Step, Text, Video

TITLE_LENGTH = 80
BODY_LENGTH = 600
LABEL_LENGTH = 30
DONE_LENGTH = 80
"""Most characters of a milestone's ``done``, which stands inside other texts."""


_LOCALE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")


class Names(NamedTuple):
    """The placeholders a text may use.

    Attributes:
        some: Names that may have no value, so that they need a fallback; a final ``*`` matches any rest.
        always: Names that always have a value.
    """

    some: frozenset[str]
    always: frozenset[str] = frozenset()


PERSON_NAMES = Names(frozenset({"user_name", "account_name", "trait.*", "account.*", "context.*"}))
"""What is known wherever a text is shown."""


def placeholder_names(milestones: Iterable[Milestone]) -> Names:
    """Return the placeholders that the texts of a nudge may use.

    ``done`` and ``milestone`` are what the person has just done, ``count.<milestone>`` is the real count, and
    ``usage.<milestone>.value``, ``.limit`` and ``.left`` the numbers of a usage limit.
    """
    milestones = list(milestones)
    usage = {f"usage.{each.key}.{part}" for each in milestones if each.usage for part in ("value", "limit", "left")}
    counts = {f"count.{each.key}" for each in milestones if each.signal}
    return Names(PERSON_NAMES.some | {"done", "milestone"} | usage, frozenset(counts))


class CopyChecks:
    """Checks the texts of one definition."""

    def __init__(self, definition: Definition, report: Report) -> None:
        self._report = report
        self._locale = definition.settings.default_locale
        self._milestones = {each.key for each in definition.milestones}
        self._names = placeholder_names(definition.milestones)

    def locale(self, where: str, tag: str) -> None:
        """Check a locale tag."""
        if not _LOCALE.fullmatch(tag):
            self._report.add(where, f'"{tag}" is not a locale', "Write a language tag, such as en or pt-BR.")

    def text(
        self, where: str, text: Text, *, most: int, is_needed: bool = False, names: Names | None = None,
        markdown: bool = False,
    ) -> None:  # fmt: skip
        """Check one text in all its locales.

        Args:
            where: Its place.
            text: One text, or texts by locale.
            most: Most characters it may have.
            is_needed: Whether it may not be missing.
            names: The placeholders it may use; those of a nudge if not said.
            markdown: Whether it is rendered as Markdown.
        """
        if isinstance(text, str):
            if is_needed or text:
                self._words(where, text, most=most, names=names or self._names, markdown=markdown)
            return
        if self._locale not in text:
            fix = f"Add {self._locale}: it is shown to everybody whose language is not here."
            self._report.add(
                where, f"has no text for {self._locale}, the default locale", fix, about=[f"{where}.{self._locale}"]
            )
        for tag, words in text.items():
            self.locale(f"{where}.{tag}", tag)
            self._words(f"{where}.{tag}", words, most=most, names=names or self._names, markdown=markdown)

    def done(self, where: str, text: Text) -> None:
        """Check what a milestone says the person has just done."""
        self.text(where, text, most=DONE_LENGTH, names=Names(frozenset()))

    def content(self, where: str, content: Content, mode: Mode) -> None:
        """Check one content."""
        self._report.known(f"{where}.type", content.type, CONTENT_TYPES, "content type")
        if not content.title and not content.body:
            self._report.add(
                where, "has no title and no body", "Write a title.", about=[f"{where}.title", f"{where}.body"]
            )
        self.text(f"{where}.title", content.title, most=TITLE_LENGTH)
        self.text(f"{where}.body", content.body, most=BODY_LENGTH, markdown=True)
        self.text(f"{where}.dismiss", content.dismiss, most=LABEL_LENGTH)
        if content.cta is not None:
            self._button(f"{where}.cta", content.cta)
        if content.chat is not None:
            self._button(f"{where}.chat", content.chat)
        if content.video is not None:
            self._video(f"{where}.video", content.video)
        self._report.each(f"{where}.steps", content.steps, self._step)
        self._purpose(where, content, mode)

    def _purpose(self, where: str, content: Content, mode: Mode) -> None:
        if mode == "help":
            if not content.steps and content.video is None and content.chat is None:
                places = [f"{where}.{name}" for name in ("steps", "video", "chat")]
                self._report.add(where, "helps with nothing", "Add steps, a video or a chat.", about=places)
            return
        if content.cta is None:
            self._report.add(
                f"{where}.cta", "is missing", "Add the one thing to do next: a label with a url or action."
            )
        if content.chat is not None:
            fix = "Leave it out: a prompt has exactly one call to action, its cta."
            self._report.add(f"{where}.chat", "is a second call to action", fix)

    def _button(self, where: str, button: Button) -> None:
        self.text(f"{where}.label", button.label, most=LABEL_LENGTH, is_needed=True)
        self._report.one_of(where, {"url": bool(button.url), "action": bool(button.action)})
        self._url(f"{where}.url", button.url)

    def _step(self, where: str, step: Step) -> None:
        self.text(f"{where}.title", step.title, most=TITLE_LENGTH, is_needed=True)
        self.text(f"{where}.body", step.body, most=BODY_LENGTH, markdown=True)
        self._url(f"{where}.url", step.url)
        if step.milestone:
            self._report.known(f"{where}.milestone", step.milestone, self._milestones, "milestone")

    def _video(self, where: str, video: Video) -> None:
        if not video.url:
            self._report.add(f"{where}.url", "is empty", "Write the address of the video.")
        for field, url in (("url", video.url), ("captions_url", video.captions_url)):
            self._url(f"{where}.{field}", url)
        self._url(f"{where}.transcript_url", video.transcript_url)
        self.text(f"{where}.title", video.title, most=TITLE_LENGTH)
        self._report.number(f"{where}.seconds", video.seconds, least=1)

    def _url(self, where: str, url: str) -> None:
        if not url:
            return
        refusal = check_url(url)
        if refusal:
            self._note(where, [refusal], "Write an address that begins with https:// or with /.")
        else:
            self._note(where, check_text(url, self._names.some, max_length=URL_LENGTH, always=self._names.always), "")

    def _words(self, where: str, words: str, *, most: int, names: Names, markdown: bool) -> None:
        if not words.strip():
            self._report.add(where, "is empty", "Write a text.")
            return
        found = check_text(words, names.some, max_length=most, always=names.always, markdown=markdown)
        self._note(where, found, "Change the text.")

    def _note(self, where: str, found: Collection[str], fix: str) -> None:
        for sentence in found:
            what, _, advice = sentence.partition("; ")
            self._report.add(where, what, f"{advice[0].upper()}{advice[1:].rstrip('.')}." if advice else fix)
