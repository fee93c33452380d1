"""A nudge in words: when it is shown, how often, and what it says, for lists and for those who only look."""

from __future__ import annotations

from collections.abc import Iterator

from nudge_sdk.rules.definition import Cap, Content, Definition, Nudge, Text, Trigger
from nudge_sdk.rules.explaining_words import counted_words, number_words, rate_words, span_words
from nudge_sdk.rules.ledger import period
from nudge_sdk.rules.lint_findings import capital, counted, listed, name_of
from nudge_sdk.rules.times import SECOND
from nudge_sdk.rules.wording import condition_words

FORMAT_WORDS = {"banner": "banner", "card": "card", "modal": "modal", "slideout": "slide-out", "help": "help panel"}


def trigger_words(trigger: Trigger | None, definition: Definition) -> str:
    """Say what must just have happened."""
    if trigger is None:
        return "whenever the page asks"
    if trigger.page:
        return f"on {listed(trigger.page, 'or')}"
    if trigger.manual:
        return "only when the page asks for it by its key"
    if trigger.tier:
        return f"right after somebody became {trigger.tier}{_within(trigger)}"
    if trigger.usage:
        return f"while this holds: {_name(definition, trigger.usage)}"
    what = "any milestone" if trigger.milestone == "*" else _name(definition, trigger.milestone)
    return f"right after {what}{_within(trigger)}"


def audience_words(nudge: Nudge, definition: Definition) -> str:
    """Say who may get it."""
    words = condition_words(nudge.audience, definition)
    if not (nudge.goal and nudge.needs_episode):
        return words
    return "whoever qualified" if nudge.audience is None else f"whoever qualified, if {words}"


def cap_words(cap: Cap) -> str:
    """Say a limit of how often."""
    whom = "to the whole account" if cap.per == "account" else "to one person"
    return f"{counted(cap.count, 'time')} {rate_words(period(cap))} {whom}"


def words_of(text: Text, locale: str) -> str:
    """Return a text in the default language, or in any it has."""
    if isinstance(text, str):
        return text
    return text.get(locale) or next(iter(text.values()), "")


def first_content(nudge: Nudge) -> Content:
    """Return the content to know a nudge by."""
    return nudge.content or (nudge.variants[0].content if nudge.variants else Content())


def description(nudge: Nudge, definition: Definition) -> Iterator[tuple[str, str]]:
    """Say all of a nudge but its texts, for those who only look."""
    goal = next((name_of(each) for each in definition.goals if each.key == nudge.goal), "none")
    yield "Placement", nudge.placement
    yield "What it is", "help for those who qualified" if nudge.mode == "help" else "a prompt to upgrade"
    yield "Goal", goal
    yield "Who", capital(audience_words(nudge, definition))
    yield "When", capital(trigger_words(nudge.trigger, definition))
    if nudge.hide is not None:
        yield "Not while", condition_words(nudge.hide, definition)
    if nudge.schedule is not None:
        yield "From – until", f"{nudge.schedule.starts_at or 'now'} – {nudge.schedule.ends_at or 'further notice'}"
    yield "How often", "; ".join(_limits(nudge))
    if nudge.lane == "critical":
        yield "Lane", "critical: passes all overall limits"
    if nudge.priority:
        yield "Priority", str(nudge.priority)
    if nudge.tags:
        yield "Tags", ", ".join(nudge.tags)
    if nudge.holdout:
        yield "Withheld from", f"{number_words(100 * nudge.holdout)} %"
    if nudge.notes:
        yield "Notes", nudge.notes


def texts(nudge: Nudge, locale: str) -> Iterator[tuple[str, Content]]:
    """Return the contents of a nudge, each with what it is for."""
    if nudge.content is not None:
        yield "", nudge.content
    for variant in nudge.variants:
        yield f"Variant {variant.key}, weight {number_words(variant.weight)}", variant.content
    if nudge.ask is not None:
        yield "For those who cannot buy", nudge.ask


def _limits(nudge: Nudge) -> Iterator[str]:
    yield f"{counted(nudge.lifetime, 'time')} ever to one person"
    yield from map(cap_words, nudge.caps)
    yield f"{counted_words(nudge.dismiss_days, 'day')} of silence after it was dismissed"


def _name(definition: Definition, key: str) -> str:
    return next((f"“{name_of(each)}”" for each in definition.milestones if each.key == key), f"“{key}”")


def _within(trigger: Trigger) -> str:
    return "" if trigger.seconds == 60 else f" (within {span_words(trigger.seconds * SECOND)})"
