"""Rendering: a nudge as HTML that needs no script, for any framework.

The script ``nudge.js`` makes more of it: a modal opens as a dialog, a slide-out moves to the corner, and closing needs
no new page. Without it both are cards in their place, and the buttons post a form.

Everything is escaped where it is put in, save ``body``, which the rules already rendered as safe HTML. There is no
inline style or script, so a page may forbid both.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import msgspec

from nudge_sdk.hosts.labels import Labels
from nudge_sdk.rules.presenting import Payload, ShownStep, ShownVideo

MOVING = ("modal", "slideout")
"""Formats that the script takes out of their place."""


class Html(str):
    """Text that is HTML already; Jinja, MarkupSafe and Django put it in as it is."""

    __slots__ = ()

    def __html__(self) -> str:
        return str(self)


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """The form of a rendered nudge.

    Attributes:
        action: Where it is posted to.
        fields: Its hidden fields, such as the token.
        labels: The texts of buttons that the copy does not name.
        leads: Reports that lead somewhere: only for these are ``clicked`` and ``chat`` offered.
        decision: Id of the decision, so that the script closes what stands in several tabs.
        can_snooze: Whether it may be put off until tomorrow.
        can_opt_out: Whether "don't show suggestions like this" is offered.
        is_preview: Whether nothing is reported and nothing closes, for an editor.
    """

    action: str
    fields: Mapping[str, str]
    labels: Labels = Labels()
    leads: frozenset[str] = frozenset({"clicked", "chat"})
    decision: str = ""
    can_snooze: bool = True
    can_opt_out: bool = True
    is_preview: bool = False


def element(name: str, /, *children: str, **attributes: str | bool | None) -> Html:
    """Return an HTML element; every child and attribute that is not ``Html`` is escaped.

    Args:
        name: The element's name.
        children: What stands in it.
        attributes: ``class_`` is class, ``aria_label`` is aria-label; None and False are left out, True has no value.
    """
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in ("input", "track", "link"):
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{join(*children)}</{name}>")


def join(*parts: str) -> Html:
    """Return parts one after the other; those that are not ``Html`` are escaped."""
    return Html("".join(part if isinstance(part, Html) else escape(part) for part in parts))


def render(payload: Payload, form: Form) -> Html:
    """Return a nudge as HTML, in the element that ``nudge.js`` brings to life.

    Banners and cards are status messages that never take the focus. A format without a shape of its own is a card.
    """
    return element(
        "nudge-prompt",
        _nudge(payload, form),
        class_="nudge-prompt",
        data_format=payload.type if payload.type in MOVING else None,
        data_decision=form.decision or None,
        data_preview=form.is_preview,
    )


def _nudge(payload: Payload, form: Form) -> Html:
    if payload.type in ("help", "checklist"):
        return _help_panel(payload, form)
    kind = payload.type if payload.type in ("banner", *MOVING) else "card"
    words = _words(payload, "h2" if kind == "modal" else "p")
    shape = f"card nudge-{kind}" if kind in MOVING else kind
    return _section(payload, shape, words, _buttons(payload, form), role="status")


def _section(payload: Payload, kind: str, *children: Html, role: str | None = None) -> Html:
    return element(
        "section",
        *children,
        class_=f"nudge nudge-{kind}",
        role=role,
        aria_label=payload.title or None,
        lang=payload.locale,
        dir=payload.direction,
        data_nudge=payload.nudge,
    )


def _words(payload: Payload, heading: str = "p") -> Html:
    title = element(heading, payload.title, class_="nudge-title") if payload.title else Html()
    body = element("div", Html(payload.body), class_="nudge-body") if payload.body else Html()
    return element("div", title, body, class_="nudge-words")


def _help_panel(payload: Payload, form: Form) -> Html:
    steps = tuple(_step(step, form.labels) for step in payload.steps)
    done = sum(step.is_done for step in payload.steps)
    # Isolated: where its language is written the other way, its numbers stay where they are.
    counted = element("bdi", form.labels.progress_text(done, len(steps)))
    progress = element("p", counted, class_="nudge-progress") if steps else Html()
    guide = element("ol", *steps, class_="nudge-steps") if steps else Html()
    video = _video(payload.video, form.labels, payload.locale) if payload.video else Html()
    extras = element("div", guide, video, class_="nudge-guide") if steps or payload.video else Html()
    return _section(payload, "help", _words(payload, "h2"), progress, extras, _buttons(payload, form))


def _step(step: ShownStep, labels: Labels) -> Html:
    title = element("a", step.title, href=step.url, class_="nudge-step-title") if step.url else None
    mark = element("span", labels.done, class_="nudge-done") if step.is_done else Html()
    head = element("p", title or element("span", step.title, class_="nudge-step-title"), mark, class_="nudge-step-head")
    return element("li", head, Html(step.body), class_="nudge-step is-done" if step.is_done else "nudge-step")


def _video(video: ShownVideo, labels: Labels, locale: str) -> Html:
    captions = (
        element("track", kind="captions", src=video.captions_url, srclang=locale, label=labels.captions, default=True)
        if video.captions_url
        else Html()
    )
    player = element(
        "video",
        captions,
        element("a", video.title or video.url, href=video.url),
        class_="nudge-player",
        src=video.url,
        controls=True,
        preload="metadata",
        aria_label=video.title or None,
    )
    name = element("span", video.title, class_="nudge-video-title") if video.title else Html()
    transcript = element("a", labels.transcript, href=video.transcript_url) if video.transcript_url else Html()
    caption = element("figcaption", name, transcript) if name or transcript else Html()
    return element("figure", player, caption, class_="nudge-video")


def _buttons(payload: Payload, form: Form) -> Html:
    labels, found = form.labels, []
    if payload.cta and "clicked" in form.leads:
        found.append(_report(payload.cta.label, "clicked", "nudge-primary"))
    if payload.steps and all(step.is_done or not step.milestone for step in payload.steps):
        found.append(_report(labels.finish, "completed", "nudge-primary", said=labels.said_finished))
    if payload.chat and "chat" in form.leads:
        found.append(_report(payload.chat.label, "chat", "nudge-secondary" if found else "nudge-primary"))
    snooze = [_report(labels.snooze, "snoozed", "nudge-quiet", said=labels.said_snoozed)] if form.can_snooze else []
    is_help = payload.mode == "help"
    found += snooze if is_help else []
    found.append(_report(payload.dismiss or labels.close, "dismissed", "nudge-quiet", said=labels.said_closed))
    opt_out = [_report(labels.opt_out, "opted_out", "nudge-quiet", said=labels.said_opted_out)]
    rest = (*([] if is_help else snooze), *(opt_out if form.can_opt_out else []))
    hidden = (element("input", type="hidden", name=name, value=value) for name, value in form.fields.items())
    return element(
        "form", *hidden, *found, _more(labels, rest), method="post", action=form.action, class_="nudge-buttons",
        # Turbo and htmx would fetch where a button leads, which may be another site.
        data_turbo="false", data_hx_boost="false",
    )  # fmt: skip


def _more(labels: Labels, rest: tuple[Html, ...]) -> Html:
    if not rest:
        return Html()
    dots = element("span", "⋯", aria_hidden="true")
    summary = element("summary", dots, class_="nudge-button nudge-quiet", aria_label=labels.more, title=labels.more)
    return element("details", summary, element("div", *rest, class_="nudge-rest"), class_="nudge-more")


def _report(label: str, kind: str, class_: str, *, said: str | None = None) -> Html:
    return element(
        "button", label, type="submit", name="report", value=kind, class_=f"nudge-button {class_}", data_said=said
    )


def _attribute(key: str, value: str | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'


__all__ = ["Form", "Html", "element", "join", "render"]
