"""Which milestones show value, and which only look like it: vanity events are known by their names."""

from __future__ import annotations

import re

from nudge_sdk.rules.compiled import CompiledMilestone, in_thousandths
from nudge_sdk.rules.definition import CATEGORY_POINTS, Milestone
from nudge_sdk.rules.signals import USER, event_names

_SAW = "(?:view|views|viewed|visit|visited|see|seen|saw|open|opened|read|browse|browsed)"
_MAIL = "(?:e_?mails?|newsletters?)"
_CLICKED = "(?:open|opens|opened|click|clicks|clicked|link_clicked|delivered)"
_PRICES = "(?:pricing|prices?|plans?|upgrade|billing)"
_PAGES = "(?:docs?|documentation|help|help_cent(?:er|re)|blog|changelog|faq|knowledge_base|settings)"
_IN = "(?:log|logs|logged|sign|signs|signed)_?(?:in|on)"
_PATTERNS = {
    "sign-up": r"(?:sign|signs|signed)_?up|register|registered|registration|(?:account|user|profile|workspace)_created"
    r"|created?_(?:account|profile|workspace)|trial_started|started?_trial|(?:e_?mail|account)_(?:verified|confirmed)"
    r"|(?:verified|confirmed)_e_?mail",
    "log-in": rf"{_IN}|logins?|sessions?|session_(?:start|started|begin|began)|(?:start|started)_session"
    r"|app_(?:open|opened|launched)|(?:opened|launched)_app",
    "pricing view": rf"{_PRICES}(?:_page)?_{_SAW}|{_SAW}_(?:the_)?{_PRICES}(?:_page)?|pricing(?:_page)?",
    "e-mail open or click": rf"{_MAIL}_{_CLICKED}|{_CLICKED}_{_MAIL}(?:_link)?",
    "look at docs or settings": rf"{_PAGES}(?:_page|_article)?_{_SAW}|{_SAW}_(?:the_)?{_PAGES}(?:_page|_article)?",
    "page view": rf"(?:page|screen)_?(?:views?|viewed|visited)?|{_SAW}_(?:a_|the_)?(?:\w+_)?(?:page|screen)"
    rf"|(?:\w+_)(?:page|screen)_{_SAW}",
}
_ACTOR = r"(?:(?:user|member|customer|visitor|contact)_)?"
_ENDING = r"(?:_(?:completed|complete|succeeded|success|successfully|event))?"
_KINDS = {kind: re.compile(f"{_ACTOR}(?:{pattern}){_ENDING}") for kind, pattern in _PATTERNS.items()}
_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NOT_A_WORD = re.compile(r"[^a-z0-9]+")


def vanity_kind(milestone: Milestone) -> str:
    """Return what kind of vanity a milestone counts, such as ``pricing view``, or an empty text for none.

    Where it counts any of several events, one of them is enough. Counting the people of an account is no vanity,
    whatever they did.
    """
    signal = milestone.signal
    if signal is None or (signal.measure == "values" and signal.property == USER):
        return ""
    names = [normalised(name) for name in (*event_names(signal), milestone.key)]
    return next((kind for name in names for kind, pattern in _KINDS.items() if pattern.fullmatch(name)), "")


def normalised(name: str) -> str:
    """Return an event name in small letters joined by ``_``: ``Signed Up`` and ``signedUp`` are ``signed_up``."""
    return _NOT_A_WORD.sub("_", _WORD_START.sub("_", name).lower()).strip("_")


def shows_value(milestone: Milestone) -> bool:
    """Return whether reaching it is high intent: of category high, or the aha moment, and no vanity."""
    return (milestone.category == "high" or milestone.is_aha) and not vanity_kind(milestone)


def is_weak(milestone: Milestone) -> bool:
    """Return whether it is context, hygiene or vanity."""
    if shows_value(milestone):
        return False
    return milestone.category in ("context", "hygiene") or milestone.when is not None or bool(vanity_kind(milestone))


def is_arrival(milestone: Milestone) -> bool:
    """Return whether it is only who somebody is, or that they signed up or logged in."""
    if milestone.when is not None:
        return not milestone.is_aha
    return vanity_kind(milestone) in ("sign-up", "log-in")


def is_booster(milestone: CompiledMilestone, caps: dict[str, int]) -> bool:
    """Return whether it is vanity that counts for more than hygiene: log-ins may count as capped hygiene."""
    kind = vanity_kind(milestone.milestone)
    if kind != "log-in" or milestone.milestone.category != "hygiene":
        return bool(kind)
    return milestone.points > in_thousandths(CATEGORY_POINTS["hygiene"]) and milestone.group not in caps
