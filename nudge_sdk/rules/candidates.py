"""Nudges made ready to be chosen from: conditions and triggers compiled, by placement."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from nudge_sdk.errors import RecordError
from nudge_sdk.rules.compiled import Rules, usage_share
from nudge_sdk.rules.condition_terms import GROUPS, members_of, shape_of
from nudge_sdk.rules.conditions import Condition, Facts, Predicate, Signal, Window, compile_condition
from nudge_sdk.rules.definition import CONTENT_TYPES, Cap, Content, Nudge, TagCap, Trigger
from nudge_sdk.rules.ledger import period
from nudge_sdk.rules.signals import compile_reader, display_amount, signal_id
from nudge_sdk.rules.standing import RANK, Standing
from nudge_sdk.rules.times import DAY, FOREVER, MINUTE, SECOND, to_micros

Triggered = Callable[[Standing, Facts, frozenset[str]], bool]
"""(member's standing, facts, nudges the host asked for by name) -> whether it has just happened."""


class Limit(msgspec.Struct, frozen=True):
    """A cap with its period in microseconds (0 for ever)."""

    most: int
    period: int
    per_account: bool
    tag: str = ""


def limit_of(cap: Cap) -> Limit:
    """Return a cap ready to check."""
    return Limit(cap.count, period(cap), cap.per == "account", cap.tag if isinstance(cap, TagCap) else "")


class Candidate:
    """A nudge ready to be chosen.

    Attributes:
        fixed: What of its audience neither time nor the request can change.
        live: What is left of its audience; both have to hold.
        is_scheduled: Whether its schedule bounds it at all.
        is_plain: Whether nothing but answers, goals, the episode and the audience can rule it out between two events.
    """

    __slots__ = (
        "audience", "dismiss", "ends_at", "fixed", "goal", "hide", "is_critical", "is_help", "is_offered",
        "is_plain", "is_scheduled", "key", "lifetime", "limits", "live", "needs_episode", "nudge", "order", "starts_at",
        "tag_limits", "tags", "trigger",
    )  # fmt: skip

    def __init__(self, nudge: Nudge, rules: Rules) -> None:
        self.nudge = nudge
        self.key = nudge.key
        self.goal = nudge.goal
        self.tags = nudge.tags
        self.is_critical = nudge.lane == "critical"
        self.is_help = nudge.mode == "help"
        self.is_offered = all(content.type in CONTENT_TYPES for content in contents(nudge))
        self.needs_episode = nudge.needs_episode and bool(nudge.goal)
        self.lifetime = nudge.lifetime
        self.dismiss = round(nudge.dismiss_days * DAY)
        self.limits = tuple(limit_of(cap) for cap in nudge.caps)
        self.tag_limits = tuple(limit_of(cap) for cap in rules.definition.settings.tag_caps if cap.tag in nudge.tags)
        self.audience = compile_condition(nudge.audience, compile_count) if nudge.audience else None
        self.fixed, self.live = _split_audience(nudge.audience)
        self.hide = compile_condition(nudge.hide, compile_count) if nudge.hide else None
        self.trigger = compile_trigger(nudge.trigger, nudge.key, rules) if nudge.trigger else None
        schedule = nudge.schedule
        self.starts_at = _instant(schedule.starts_at, 0) if schedule else 0
        self.ends_at = _instant(schedule.ends_at, FOREVER) if schedule else FOREVER
        self.is_scheduled = bool(schedule and (schedule.starts_at or schedule.ends_at))
        self.is_plain = self.is_offered and self.lifetime > 0 and self._is_unbound()
        self.order = (not self.is_critical, -nudge.priority)

    def _is_unbound(self) -> bool:
        is_stopped = self.nudge.is_paused or self.hide is not None or self.is_scheduled or bool(self.tag_limits)
        return not is_stopped and all(limit.most > 0 and not limit.per_account for limit in self.limits)


class Placements:
    """All candidates of a definition, by placement, best first as far as that is known beforehand."""

    def __init__(self, rules: Rules) -> None:
        settings = rules.definition.settings
        self.rules = rules
        self.is_paused = settings.is_paused
        self.hide = compile_condition(settings.hide, compile_count) if settings.hide else None
        self.caps = tuple(limit_of(cap) for cap in settings.caps)
        self.gap = round(settings.gap_minutes * MINUTE)
        self.display = round(settings.display_minutes * MINUTE)
        self.tags = {nudge.key: nudge.tags for nudge in rules.definition.nudges}
        self.shortlists: dict[tuple[str, tuple[Any, ...]], Any] = {}
        by_placement: dict[str, list[Candidate]] = {}
        for nudge in rules.definition.nudges:
            by_placement.setdefault(nudge.placement, []).append(Candidate(nudge, rules))
        self.by_placement = {
            placement: tuple(sorted(found, key=lambda each: each.order)) for placement, found in by_placement.items()
        }
        every = [
            *self.caps,
            *(limit for found in self.by_placement.values() for each in found for limit in each.limits),
        ]
        every += [limit_of(cap) for cap in settings.tag_caps]
        self.has_account_caps = any(limit.per_account for limit in every)
        self.by_key = {each.key: each for found in self.by_placement.values() for each in found}


_FIXED = frozenset({"trait", "account_trait", "tier", "segment", "milestone", "account_milestone", "exposure"})


def _split_audience(audience: Condition | None) -> tuple[Predicate | None, Predicate | None]:
    if audience is None:
        return None, None
    parts = audience.all if shape_of(audience)[0] == "all" and audience.all else (audience,)
    fixed = tuple(part for part in parts if is_fixed(part))
    live = tuple(part for part in parts if not is_fixed(part))
    return (
        compile_condition(Condition(all=fixed)) if fixed else None,
        compile_condition(Condition(all=live), compile_count) if live else None,
    )


def is_fixed(condition: Condition) -> bool:
    """Whether a condition looks at nothing but what is known of a person between two events."""
    kind, operator = shape_of(condition)
    if kind in GROUPS:
        return all(is_fixed(member) for member in members_of(condition))
    return kind in _FIXED and operator != "within_days"


def contents(nudge: Nudge) -> tuple[Content, ...]:
    """Return every content of a nudge."""
    named = tuple(content for content in (nudge.content, nudge.ask) if content is not None)
    return (*named, *(variant.content for variant in nudge.variants))


def compile_count(signal: Signal, window: Window | None) -> Callable[[Facts], float]:
    """Return the function that measures a signal of the member, for conditions that count."""
    key, read = signal_id(signal), compile_reader(signal, window)

    def count(facts: Facts) -> float:
        tally = facts.state.tallies.get(key) if facts.state is not None else None
        return 0 if tally is None else display_amount(signal, read(tally, facts.now, facts.signup_at or 0))

    return count


def compile_trigger(trigger: Trigger, key: str, rules: Rules) -> Triggered:
    """Return the function that tells whether a trigger has just happened."""
    window = round(trigger.seconds * SECOND)
    if trigger.manual:
        return lambda standing, facts, requested: key in requested
    if trigger.page:
        return _compile_pages(trigger.page)
    if trigger.usage:
        return _compile_usage(trigger.usage, rules)
    if trigger.tier:
        least = RANK[trigger.tier]
        return lambda standing, facts, requested: (
            RANK[standing.tier] >= least and 0 <= facts.now - standing.risen_at < window
        )
    if trigger.milestone == "*":
        return lambda standing, facts, requested: any(0 <= facts.now - at < window for at in standing.reached.values())
    return _compile_milestone(trigger.milestone, window)


def _compile_milestone(milestone: str, window: int) -> Triggered:
    def triggered(standing: Standing, facts: Facts, requested: frozenset[str]) -> bool:
        at = facts.reached.get(milestone)
        if at is None:
            at = facts.account_reached.get(milestone)
        return at is not None and 0 <= facts.now - at < window

    return triggered


def _compile_usage(key: str, rules: Rules) -> Triggered:
    usage = next((each.usage for each in rules.definition.milestones if each.key == key), None)

    def triggered(standing: Standing, facts: Facts, requested: frozenset[str]) -> bool:
        share = usage_share(usage, facts) if usage else None
        return share is not None and usage is not None and share >= usage.share

    return triggered


def _compile_pages(pages: tuple[str, ...]) -> Triggered:
    exact = frozenset(page for page in pages if not page.endswith("*"))
    starts = tuple(page[:-1] for page in pages if page.endswith("*"))

    def triggered(standing: Standing, facts: Facts, requested: frozenset[str]) -> bool:
        page = facts.context.get("page")
        return isinstance(page, str) and (page in exact or page.startswith(starts))

    return triggered


def _instant(text: str, otherwise: int) -> int:
    if not text:
        return otherwise
    try:
        return to_micros(text)
    except RecordError:
        return otherwise
