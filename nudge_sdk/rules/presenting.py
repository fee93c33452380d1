"""Presenting: a chosen nudge as what a page shows, with values in its texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from nudge_sdk.rules.compiled import CompiledMilestone, Rules, usage_numbers
from nudge_sdk.rules.conditions import Facts
from nudge_sdk.rules.copy import direction, pick_locale, render_markdown, render_plain, render_url
from nudge_sdk.rules.definition import Button, Content, Nudge, Step, Text, Video
from nudge_sdk.rules.signals import compile_reader, display_amount
from nudge_sdk.rules.standing import Judged, Standing

PAYLOAD_VERSION = 1


class ShownButton(msgspec.Struct, frozen=True, omit_defaults=True):
    """A button as shown; its label is plain text."""

    label: str
    url: str = ""
    action: str = ""


class ShownStep(msgspec.Struct, frozen=True, omit_defaults=True):
    """A step of a guide as shown; ``body`` is safe HTML. Only a step with a ``milestone`` can become done."""

    title: str
    body: str = ""
    url: str = ""
    is_done: bool = False
    milestone: str = ""


class ShownVideo(msgspec.Struct, frozen=True, omit_defaults=True):
    """A video as shown."""

    url: str
    title: str = ""
    captions_url: str = ""
    transcript_url: str = ""
    seconds: int = 60


class Payload(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A nudge as shown.

    Attributes:
        version: Version of this form.
        nudge: Its key.
        variant: The variant drawn; empty where there is none.
        type: The format: banner, card, modal, slideout, tooltip, checklist, help or survey.
        mode: prompt or help.
        locale: BCP 47 tag of the title's text.
        direction: ltr or rtl.
        title: Plain text; escape it like any text.
        body: Safe HTML.
    """

    version: int = PAYLOAD_VERSION
    nudge: str
    placement: str
    type: str
    mode: str
    variant: str = ""
    goal: str = ""
    locale: str = "en"
    direction: str = "ltr"
    title: str = ""
    body: str = ""
    cta: ShownButton | None = None
    dismiss: str = ""
    steps: tuple[ShownStep, ...] = ()
    video: ShownVideo | None = None
    chat: ShownButton | None = None


def present(rules: Rules, nudge: Nudge, content: Content, subject: Judged, account: Judged, **who: Any) -> Payload:
    """Return a nudge as it is shown.

    Args:
        rules: The definition in force.
        nudge: The nudge.
        content: Which of its contents.
        subject: The member.
        account: The account.
        who: ``standing`` and ``account_standing``, and ``facts`` of the decision.
    """
    return Presenter(rules, nudge, Values(rules, nudge, subject, account, **who)).payload(content)


def content_of(nudge: Nudge, variant: str, *, can_purchase: bool) -> Content:
    """Return the content for a person: of the variant drawn, or for somebody who has to ask."""
    if not can_purchase and nudge.ask is not None:
        return nudge.ask
    for each in nudge.variants:
        if each.key == variant:
            return each.content
    return nudge.content or Content()


class Values(dict[str, Any]):
    """The values placeholders may ask for, found when they are asked for."""

    def __init__(
        self,
        rules: Rules,
        nudge: Nudge,
        subject: Judged,
        account: Judged,
        *,
        standing: Standing,
        account_standing: Standing,
        facts: Facts,
    ) -> None:
        super().__init__()
        self.nudge = nudge
        self.rules = rules
        self.facts = facts
        self.judged = {"member": subject, "account": account}
        self.standings = {"member": standing, "account": account_standing}
        self.locale = facts.locale

    def __missing__(self, name: str) -> Any:
        value = self._find(name)
        if value is None:
            raise KeyError(name)
        self[name] = value
        return value

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    def get(self, name: str, default: Any = None) -> Any:
        """Return a value, or the default where there is none."""
        try:
            return self[name]
        except KeyError:
            return default

    def _find(self, name: str) -> Any:
        root, _, rest = name.partition(".")
        finders: dict[str, Callable[[str], Any]] = {
            "trait": self.facts.traits.get,
            "account": self.facts.account_traits.get,
            "context": self.facts.context.get,
            "count": self._count,
            "usage": self._usage,
        }
        if rest and root in finders:
            return finders[root](rest)
        if name == "user_name":
            return self.facts.traits.get("name") or self.facts.traits.get("first_name")
        if name == "account_name":
            return self.facts.account_traits.get("name")
        done = self.just_done()
        if done is None:
            return None
        if name == "done":
            return self.text(done.milestone.done) or None
        return done.milestone.name or done.key if name == "milestone" else None

    def text(self, text: Text) -> str:
        """Return a text in the locale of the decision."""
        return pick_locale(text, self.locale, self.rules.definition.settings.default_locale)[0] if text else ""

    def just_done(self) -> CompiledMilestone | None:
        """Return the milestone that the copy refers to: the trigger's, else the latest reached that says what it is."""
        trigger = self.nudge.trigger
        wanted = trigger.milestone if trigger and trigger.milestone not in ("", "*") else None
        found = [
            (at, milestone.points, milestone.key, milestone)
            for milestone, at in self._reached()
            if (wanted is None and milestone.milestone.done) or milestone.key == wanted
        ]
        return max(found, key=lambda each: each[:3])[3] if found else None

    def _reached(self) -> Iterator[tuple[CompiledMilestone, int]]:
        segment = self.rules.segment_of(self.facts)
        for by, standing in ((segment.member, self.standings["member"]), (segment.account, self.standings["account"])):
            for milestone in by.milestones:
                if milestone.key in standing.reached:
                    yield milestone, standing.reached[milestone.key]

    def _count(self, key: str) -> Any:
        for milestone in self.rules.definition.milestones:
            if milestone.key == key and milestone.signal:
                judged = self.judged[milestone.subject]
                tally = judged.state.tallies.get(_signal_of(self.rules, key))
                if tally is None:
                    return 0
                read = compile_reader(milestone.signal, milestone.window)
                return display_amount(milestone.signal, read(tally, self.facts.now, judged.signup))
        return None

    def _usage(self, name: str) -> Any:
        key, _, part = name.rpartition(".")
        for milestone in self.rules.definition.milestones:
            if milestone.key == key and milestone.usage:
                numbers = usage_numbers(milestone.usage, self.facts)
                if numbers is None:
                    return None
                value, limit = numbers
                return {"value": value, "limit": limit, "left": max(0, limit - value)}.get(part)
        return None


def _signal_of(rules: Rules, key: str) -> str:
    segment = rules.segments[-1]
    for milestone in (*segment.member.milestones, *segment.account.milestones):
        if milestone.key == key:
            return milestone.signal_id
    return ""


class Presenter:
    """Puts values into the texts of a nudge.

    Args:
        rules: The definition.
        nudge: The nudge.
        values: What placeholders may ask for.
    """

    def __init__(self, rules: Rules, nudge: Nudge, values: Values) -> None:
        self.nudge = nudge
        self.values = values
        self.default_locale = rules.definition.settings.default_locale

    def payload(self, content: Content) -> Payload:
        """Return a content of the nudge as it is shown."""
        locale = pick_locale(content.title or content.body, self.values.locale, self.default_locale)[1]
        return Payload(
            nudge=self.nudge.key,
            placement=self.nudge.placement,
            type=content.type,
            mode=self.nudge.mode,
            goal=self.nudge.goal,
            locale=locale,
            direction=direction(locale),
            title=self.plain(content.title),
            body=self.markdown(content.body),
            cta=self.button(content.cta),
            dismiss=self.plain(content.dismiss),
            steps=tuple(self.step(step) for step in content.steps),
            video=self.video(content.video),
            chat=self.button(content.chat),
        )

    def plain(self, text: Text) -> str:
        return render_plain(self.values.text(text), self.values)

    def markdown(self, text: Text) -> str:
        return render_markdown(self.values.text(text), self.values)

    def url(self, url: str) -> str:
        return render_url(url, self.values) if url else ""

    def button(self, button: Button | None) -> ShownButton | None:
        return ShownButton(self.plain(button.label), self.url(button.url), button.action) if button else None

    def step(self, step: Step) -> ShownStep:
        reached = {**self.values.standings["member"].reached, **self.values.standings["account"].reached}
        is_done = step.milestone in reached
        return ShownStep(self.plain(step.title), self.markdown(step.body), self.url(step.url), is_done, step.milestone)

    def video(self, video: Video | None) -> ShownVideo | None:
        if video is None:
            return None
        return ShownVideo(
            self.url(video.url),
            self.plain(video.title),
            self.url(video.captions_url),
            self.url(video.transcript_url),
            video.seconds,
        )


__all__ = ["Payload", "ShownButton", "ShownStep", "ShownVideo", "Values", "content_of", "present"]
