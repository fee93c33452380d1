"""What is unwise about milestones: too many, doubled, unused, without value, or more than is kept."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator

from nudge_sdk.rules.conditions import Condition, Signal, Window
from nudge_sdk.rules.definition import Definition, Milestone, Subject
from nudge_sdk.rules.lint_findings import Finding, listed, name_of
from nudge_sdk.rules.lint_nudges import contents_of, names_used
from nudge_sdk.rules.lint_segments import has_thresholds
from nudge_sdk.rules.lint_vanity import shows_value, vanity_kind
from nudge_sdk.rules.signals import DEFAULT_WINDOW, signal_id, since_signup_length
from nudge_sdk.rules.tallies import Capacity

MOST_MILESTONES = 8


def lint_milestones(definition: Definition, capacity: Capacity) -> Iterator[Finding]:
    """Find what is unwise about the milestones."""
    yield from _no_value(definition)
    yield from _too_many(definition)
    yield from _doubled(definition)
    yield from _unused(definition)
    yield from _over_capacity(definition, capacity)


def _no_value(definition: Definition) -> Iterator[Finding]:
    is_scored = bool(definition.milestones) or any(map(has_thresholds, definition.segments))
    if not is_scored or any(shows_value(each) for each in definition.milestones):
        return
    posing = [each for each in definition.milestones if each.category == "high" or each.is_aha]
    but = "".join(f" “{name_of(each)}” is marked so, but is vanity ({vanity_kind(each)})." for each in posing)
    yield Finding(
        severity="block",
        code="NO_VALUE",
        where="milestones",
        message=f"No milestone shows that somebody got value: none is of category high or the aha moment.{but}",
        fix="Add the action by which people first get value, such as the first campaign sent, with category high.",
    )


def _too_many(definition: Definition) -> Iterator[Finding]:
    subjects: tuple[Subject, ...] = ("member", "account")
    for subject in subjects:
        giving = [each for each in definition.milestones if each.subject == subject and each.points != 0]
        if len(giving) > MOST_MILESTONES:
            yield Finding(
                severity="warn",
                code="TOO_MANY",
                where="milestones",
                message=f"{len(giving)} milestones give points to {subject}s. With more than {MOST_MILESTONES}, "
                "hardly anybody can say why a person is ready.",
                fix="Keep those that tell buyers from others, and set the points of the rest to 0.",
            )


def _doubled(definition: Definition) -> Iterator[Finding]:
    same: dict[Hashable, list[Milestone]] = {}
    for milestone in definition.milestones:
        same.setdefault(_counted_thing(milestone), []).append(milestone)
    for each in same.values():
        first, *others = each
        if others:
            is_ladder = len({other.at_least for other in each}) == len(each)
            names = listed([name_of(milestone) for milestone in each])
            yield Finding(
                severity="note" if is_ladder else "warn",
                code="DUPLICATE_SIGNAL",
                where=f"milestones[{others[-1].key}]",
                message=f"{names} count the same thing over the same time"
                + (": whoever reaches the highest has reached them all, and gets all their points." if is_ladder else
                   f", so one action counts {'twice' if len(each) == 2 else f'{len(each)} times'}."),
                fix="Check that the sum of their points is meant." if is_ladder else
                f"Keep {name_of(first)} and remove the rest, or let each count something else.",
            )  # fmt: skip


def _counted_thing(milestone: Milestone) -> Hashable:
    signal = milestone.signal
    if signal is None:
        return milestone.subject, milestone.when, milestone.usage
    return milestone.subject, signal_id(signal), signal.measure, milestone.window or DEFAULT_WINDOW


def _unused(definition: Definition) -> Iterator[Finding]:
    used = set(_mentioned(definition))
    for milestone in definition.milestones:
        if milestone.points == 0 and not milestone.is_aha and milestone.key not in used:
            yield Finding(
                severity="warn",
                code="UNUSED_MILESTONE",
                where=f"milestones[{milestone.key}].points",
                message=f"{name_of(milestone)} gives no points, and nothing else uses it.",
                fix="Give it points, require it for a tier, use it in a nudge, or remove it.",
            )


def _mentioned(definition: Definition) -> Iterator[str]:
    for segment in definition.segments:
        for thresholds in (segment.member, segment.account):
            for entry in filter(None, (thresholds.warm, thresholds.hot)):
                yield from (key for gate in entry.gates for key in gate.milestones)
    conditions = [definition.settings.hide]
    for nudge in definition.nudges:
        conditions += [nudge.audience, nudge.hide]
        if nudge.trigger:
            yield from (nudge.trigger.milestone, nudge.trigger.usage)
        for content in (*contents_of(nudge), *((nudge.ask,) if nudge.ask else ())):
            yield from (step.milestone for step in content.steps)
            yield from (name.split(".")[1] for name in names_used(content) if name.startswith(("count.", "usage.")))
    for condition in conditions:
        for leaf in _leaves(condition):
            yield from filter(None, (leaf.milestone, leaf.account_milestone))


def _leaves(condition: Condition | None) -> Iterator[Condition]:
    if condition is None:
        return
    inner = (*(condition.all or ()), *(condition.any or ()), *((condition.not_,) if condition.not_ else ()))
    if not inner:
        yield condition
    for each in inner:
        yield from _leaves(each)


def _over_capacity(definition: Definition, capacity: Capacity) -> Iterator[Finding]:
    for where, name, signal, window, needed in _countings(definition):
        if over := _over(signal, window or DEFAULT_WINDOW, needed, capacity):
            yield Finding(
                severity="block",
                code="WINDOW_OVER_CAPACITY",
                where=where,
                message=f"{name} can never be counted rightly: {over}.",
                fix="Ask for less, shorten the window, or raise the capacity in the client's settings.",
            )
    for segment in definition.segments:
        for tier, entry in (("warm", segment.account.warm), ("hot", segment.account.hot)):
            for index, gate in enumerate(entry.gates if entry else ()):
                if (gate.active_users or 0) > capacity.members:
                    yield Finding(
                        severity="block",
                        code="WINDOW_OVER_CAPACITY",
                        where=f"segments[{segment.key}].account.{tier}.gates[{index}].active_users",
                        message=f"{name_of(segment)} asks for {gate.active_users} active users, and an account "
                        f"remembers the latest {capacity.members}.",
                        fix=f"Ask for at most {capacity.members}, or raise the capacity in the client's settings.",
                    )


def _countings(definition: Definition) -> Iterable[tuple[str, str, Signal, Window | None, float]]:
    for milestone in definition.milestones:
        if milestone.signal:
            where = f"milestones[{milestone.key}].window"
            yield where, name_of(milestone), milestone.signal, milestone.window, milestone.at_least
    for nudge in definition.nudges:
        for field, condition in (("audience", nudge.audience), ("hide", nudge.hide)):
            for leaf in _leaves(condition):
                if leaf.count:
                    bounds = (leaf.at_least, leaf.greater, leaf.at_most, leaf.less)
                    needed = max((bound for bound in bounds if bound is not None), default=1)
                    yield f"nudges[{nudge.key}].{field}", name_of(nudge), leaf.count, leaf.window, needed


def _over(signal: Signal, window: Window, needed: float, capacity: Capacity) -> str:
    if window.days is not None and window.days > capacity.days:
        return f"it looks back {window.days} days, and the latest {capacity.days} are kept"
    if signal.measure == "values" and needed > capacity.values:
        return f"it asks for {needed:g} different values, and {capacity.values} are kept"
    if signal.measure in ("days", "streak") and window.ever and needed > capacity.days:
        return f"it asks for {needed:g} days, and the latest {capacity.days} are kept"
    length = since_signup_length(window)
    if signal.measure == "count" and length and needed > capacity.occurrences:
        return f"it asks for {needed:g} times since sign-up, and the earliest {capacity.occurrences} are kept"
    return ""
