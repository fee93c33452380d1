"""The preview: a nudge as somebody would see it, from what is being typed. Nothing is saved, reported or spent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
from markupsafe import Markup

from nudge_sdk.client import NudgeClient
from nudge_sdk.errors import CopyError, NudgeError
from nudge_sdk.hosts.labels import labels_for
from nudge_sdk.hosts.rendering import Form, render
from nudge_sdk.rules.authoring import to_plain
from nudge_sdk.rules.compiled import CompiledMilestone, Rules, built_in_milestones
from nudge_sdk.rules.conditions import Facts
from nudge_sdk.rules.copy import check_url, compile_text
from nudge_sdk.rules.definition import Content, Definition, Milestone, Nudge
from nudge_sdk.rules.presenting import Payload, Presenter, Values, content_of
from nudge_sdk.rules.standing import UNJUDGED, Judged
from nudge_sdk.rules.state import State
from nudge_sdk.runtime.checking import member_key

SAMPLE_NAME = "Alex Morgan"
SAMPLE_ACCOUNT = "Example Ltd"
SAMPLE_LIMIT = 500


class Look(NamedTuple):
    """Who looks at the preview.

    Attributes:
        person: ``sample`` for an example, ``unknown`` for somebody of whom nothing is known, ``real`` for a member.
        account, user: Ids of the member.
        locale: Their language.
        can_purchase: Whether they may buy.
        variant: The variant they get.
    """

    person: str = "sample"
    account: str = ""
    user: str = ""
    locale: str = ""
    can_purchase: bool = True
    variant: str = ""


class Preview(NamedTuple):
    """What is shown, and what it cannot show.

    Attributes:
        html: The nudge, in which nothing does anything; empty where it cannot be shown.
        leads: What its buttons and steps lead to, with the values put in.
        note: Why there is nothing, or whose values these are.
        type: The format.
    """

    html: Markup
    leads: list[tuple[str, str]]
    note: str
    type: str


def preview(client: NudgeClient, definition: Definition, nudge: Nudge, look: Look) -> Preview:
    """Return a nudge as somebody would see it.

    Args:
        client: Knows its members.
        definition: The definition with the drafts.
        nudge: The nudge; what could not be read of it is left out.
        look: Who looks at it.
    """
    content = _showable(content_of(nudge, look.variant, can_purchase=look.can_purchase))
    if not content.title and not content.body:
        return Preview(Markup(), [], "Write a title, and you see it here.", content.type)
    try:
        values, note = _values(client, definition, nudge, look)
        values.unfilled = frozenset(_unfilled(to_plain(content)))
        payload = Presenter(values.rules, nudge, values).payload(content)
    except CopyError as error:
        return Preview(Markup(), [], f"It cannot be shown: {error}.", content.type)
    except NudgeError as error:
        return Preview(Markup(), [], f"This person cannot be looked up: {error}", content.type)
    form = Form(action="", fields={}, labels=labels_for(payload.locale), is_preview=True)
    return Preview(inert(render(payload, form)), list(_leads(payload)), note, payload.type)


def inert(html: str) -> Markup:
    """Return a rendered nudge in which nothing can be sent and nothing leads away; no text can hold these marks."""
    html = html.replace(' type="submit"', ' type="button"').replace("</form>", "</div>")
    html = re.sub(r'<form method="post" action="[^"]*"', "<div", html)
    # Addresses without a host are those of the host's pages, which are not here; a video would load with every key.
    html = re.sub(r'(<(?:video|track) [^>]*?) src="(?!https?:)[^"]*"', r"\1", html).replace('"metadata"', '"none"')
    return Markup(re.sub(r'<a href="[^"]*"', "<a", html))


class _Seen(Values):
    """Values of somebody; a placeholder that has neither a value nor a fallback shows its name.

    Attributes:
        unfilled: Names that stand somewhere without a fallback.
    """

    unfilled: frozenset[str] = frozenset()

    def __init__(self, rules: Rules, nudge: Nudge, judged: tuple[Judged, Judged], facts: Facts, **who: Any) -> None:
        super().__init__(rules, nudge, *judged, facts=facts, **who)

    def get(self, name: str, default: Any = None) -> Any:
        """Return a value, or the name itself where there is neither value nor fallback."""
        found = super().get(name, default)
        return f"{{{{ {name} }}}}" if found in (None, "") and name in self.unfilled else found


class _Sampled(_Seen):
    """Values of an example: as if the person had just done what the nudge waits for."""

    def just_done(self) -> CompiledMilestone | None:
        """Return nothing: ``_find`` says what was done."""
        return None

    def _find(self, name: str) -> Any:
        root, _, rest = name.partition(".")
        milestone = self._milestone()
        match root:
            case "user_name":
                return SAMPLE_NAME
            case "account_name":
                return SAMPLE_ACCOUNT
            case "done":
                return self.text(milestone.done) if milestone else None
            case "milestone":
                return (milestone.name or milestone.key) if milestone else None
            case "count":
                return next((each.at_least for each in self.rules.definition.milestones if each.key == rest), None)
            case "usage":
                return {"value": SAMPLE_LIMIT, "limit": SAMPLE_LIMIT, "left": 0}.get(rest.rpartition(".")[2])
        return None

    def _milestone(self) -> Milestone | None:
        trigger = self.nudge.trigger
        wanted = (trigger.milestone or trigger.usage) if trigger else ""
        known = built_in_milestones(self.rules.definition)
        own = next((each for each in known if each.key == wanted), None)
        return own or next((each for each in known if each.done and each.points != 0), None)


def _values(client: NudgeClient, definition: Definition, nudge: Nudge, look: Look) -> tuple[_Seen, str]:
    rules = Rules(definition)
    if look.person == "real":
        return _of_member(client, rules, nudge, look)
    state = State()
    facts = Facts(client.now(), locale=look.locale, can_purchase=look.can_purchase)
    judged = (Judged("example", state, state), Judged("", state, state))
    seen = _Sampled if look.person == "sample" else _Seen
    values = seen(rules, nudge, judged, facts, standing=UNJUDGED, account_standing=UNJUDGED)
    if look.person == "sample":
        return values, f"With the values of an example: {SAMPLE_NAME} of {SAMPLE_ACCOUNT}."
    return values, "With every fallback, as for somebody of whom nothing is known."


def _of_member(client: NudgeClient, rules: Rules, nudge: Nudge, look: Look) -> tuple[_Seen, str]:
    key = member_key(look.user, look.account or None)
    client.intake.ready()
    now = client.now()
    view = client.profiles.view(key, now, client.decider.catalog(), is_kept=False)
    facts = view.member.facts.asked(now, {}, look.locale, can_purchase=look.can_purchase)
    standings = {"standing": view.person.standing, "account_standing": view.account_standing}
    values = _Seen(rules, nudge, (view.member, view.account), facts, **standings)
    is_known = view.member.state.first is not None or facts.traits
    who = f"{look.user}{f' of {look.account}' if look.account else ''}"
    return values, f"With the real values of {who}." if is_known else f"Nothing was ever said of {who}."


def _unfilled(plain: Any) -> Iterator[str]:
    """Go through the names that a content asks for without a fallback."""
    if isinstance(plain, str):
        yield from (slot.name for slot in compile_text(plain).slots if slot.fallback is None)
    elif isinstance(plain, dict | list):
        for each in plain.values() if isinstance(plain, dict) else plain:
            yield from _unfilled(each)


def _showable(content: Content) -> Content:
    """Return a content without the addresses that are refused, which their fields already say."""
    replace = msgspec.structs.replace
    buttons = {
        name: replace(button, url=_good(button.url)) if button else None
        for name, button in (("cta", content.cta), ("chat", content.chat))
    }
    video = content.video
    if video is not None:
        addresses = {name: _good(getattr(video, name)) for name in ("url", "captions_url", "transcript_url")}
        video = replace(video, **addresses) if addresses["url"] else None
    steps = tuple(replace(step, url=_good(step.url)) for step in content.steps)
    return replace(content, video=video, steps=steps, **buttons)


def _good(url: str) -> str:
    return "" if check_url(url) else url


def _leads(payload: Payload) -> Iterator[tuple[str, str]]:
    for button in (payload.cta, payload.chat):
        if button is not None and (button.url or button.action):
            yield button.label, button.url or f"the page’s action {button.action}"
    for step in payload.steps:
        if step.url:
            yield step.title, step.url
    if payload.video is not None:
        yield payload.video.title or "Video", payload.video.url
