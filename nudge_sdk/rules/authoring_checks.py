"""What a definition has to fulfil beyond its shape: references, ranges, and what belongs together."""

from __future__ import annotations

from nudge_sdk.errors import RecordError
from nudge_sdk.rules.authoring_copy import CopyChecks
from nudge_sdk.rules.authoring_report import Report
from nudge_sdk.rules.authoring_shapes import label
from nudge_sdk.rules.authoring_signals import SignalChecks
from nudge_sdk.rules.conditions import ACCOUNT_WHEN_SUBJECTS, AUDIENCE_SUBJECTS, WHEN_SUBJECTS, Keys
from nudge_sdk.rules.definition import (
    Cap,
    Decay,
    Definition,
    Gate,
    Group,
    Holdout,
    Milestone,
    Nudge,
    Schedule,
    Segment,
    Settings,
    Trigger,
    Usage,
)
from nudge_sdk.rules.tallies import CAPACITY
from nudge_sdk.rules.times import to_micros

FORMAT = 1
"""The form of documents that this release reads."""

MAX_HOLD_DAYS = 30
MAX_PRIORITY = 1000


def check_definition(definition: Definition, report: Report) -> None:
    """Check a whole definition.

    Args:
        definition: What was read; where something was unreadable, any value of the right type.
        report: Takes the problems.
    """
    checks = _Checks(definition, report)
    checks.document()
    for where, milestone in report.keyed("milestones", definition.milestones):
        checks.milestone(where, milestone)
    for where, group in report.keyed("groups", definition.groups):
        checks.group(where, group)
    for where, segment in report.keyed("segments", definition.segments):
        checks.segment(where, segment)
    for _ in report.keyed("goals", definition.goals):
        pass
    for where, nudge in report.keyed("nudges", definition.nudges):
        checks.nudge(where, nudge)
    checks.holdout("holdout", definition.holdout)
    checks.settings("settings", definition.settings)


class _Checks:
    def __init__(self, definition: Definition, report: Report) -> None:
        self._report = report
        self._definition = definition
        self._copy = CopyChecks(definition, report)
        self._milestones = {each.key: each for each in definition.milestones}
        self._tags = {tag for nudge in definition.nudges for tag in nudge.tags}
        keys = Keys(
            milestones={each.key for each in definition.milestones if each.subject == "member"},
            account_milestones={each.key for each in definition.milestones if each.subject == "account"},
            segments={each.key for each in definition.segments},
            nudges={each.key for each in definition.nudges},
            tags=self._tags,
        )
        self._signals = SignalChecks(keys, report)

    def document(self) -> None:
        if self._definition.format != FORMAT:
            fix = f"Write {FORMAT}, or use a newer release."
            self._report.add("format", f"{self._definition.format} is not known to this release", fix)
        self._report.number("number", self._definition.number, least=0)

    def milestone(self, where: str, milestone: Milestone) -> None:
        given = {"signal": milestone.signal, "when": milestone.when, "usage": milestone.usage}
        self._report.one_of(where, {name: value is not None for name, value in given.items()})
        self._report.points(f"{where}.points", milestone.points)
        subjects = WHEN_SUBJECTS if milestone.subject == "member" else ACCOUNT_WHEN_SUBJECTS
        self._signals.condition(f"{where}.when", milestone.when, subjects)
        if milestone.signal is not None:
            self._signals.milestone(where, milestone, milestone.signal)
            if milestone.axis == "fit" and milestone.decay is not None:
                fix = "Leave it out, or use the axis score."
                self._report.add(f"{where}.decay", "fades, but fit never does", fix)
        else:
            self._only_counted(where, milestone)
        if milestone.usage is not None:
            self._usage(f"{where}.usage", milestone.usage)
        if milestone.group:
            self._report.known(f"{where}.group", milestone.group, {g.key for g in self._definition.groups}, "group")
        self._decay(f"{where}.decay", milestone.decay)
        self._copy.done(f"{where}.done", milestone.done)

    def _only_counted(self, where: str, milestone: Milestone) -> None:
        fields = {
            "at_least": milestone.at_least != 1,
            "window": milestone.window is not None,
            "decay": milestone.decay is not None,
        }
        for name in [name for name, is_given in fields.items() if is_given]:
            fix = "Leave it out: only what is counted by a signal has it."
            self._report.add(f"{where}.{name}", "belongs to a signal", fix)
        if milestone.window is not None:
            self._signals.window(f"{where}.window", milestone.window)

    def _usage(self, where: str, usage: Usage) -> None:
        for name, trait in (("value", usage.value), ("limit", usage.limit)):
            if not trait:
                self._report.add(f"{where}.{name}", "is empty", "Write the name of a trait.")
        self._report.number(f"{where}.share", usage.share, above=0, most=1)

    def _decay(self, where: str, decay: Decay | None) -> None:
        if decay is not None:
            self._report.number(f"{where}.half_life_days", decay.half_life_days, above=0)
            self._report.number(f"{where}.grace_days", decay.grace_days, least=0)

    def group(self, where: str, group: Group) -> None:
        self._report.points(f"{where}.cap", group.cap)
        self._report.number(f"{where}.cap", group.cap, above=0)

    def segment(self, where: str, segment: Segment) -> None:
        self._signals.condition(f"{where}.when", segment.when, ACCOUNT_WHEN_SUBJECTS)
        for subject, thresholds in (("member", segment.member), ("account", segment.account)):
            for tier, entry in (("warm", thresholds.warm), ("hot", thresholds.hot)):
                if entry is not None:
                    self._report.points(f"{where}.{subject}.{tier}.score", entry.score)
                    for index, gate in enumerate(entry.gates):
                        self._gate(f"{where}.{subject}.{tier}.gates[{index}]", gate, subject)
        self._decay(f"{where}.decay", segment.decay)
        self._report.number(f"{where}.hold_days", segment.hold_days, least=0, most=MAX_HOLD_DAYS)
        self._report.number(f"{where}.episode_days", segment.episode_days, least=1)
        self._report.number(f"{where}.help_after_days", segment.help_after_days, least=0)
        self._report.number(f"{where}.rest_days", segment.rest_days, least=0)
        self._report.number(f"{where}.capacity_per_week", segment.capacity_per_week, least=1)
        if segment.help_after_days >= segment.episode_days >= 1:
            what = (
                f"{segment.help_after_days} is not before the end of the episode, which is {segment.episode_days} days"
            )
            fix = f"Write at most {segment.episode_days - 1}, or a longer episode."
            self._report.add(f"{where}.help_after_days", what, fix)

    def _gate(self, where: str, gate: Gate, subject: str) -> None:
        given = {"milestones": bool(gate.milestones), "active_users": gate.active_users is not None}
        self._report.one_of(where, {**given, "fit": gate.fit is not None})
        for index, key in enumerate(gate.milestones):
            place = f"{where}.milestones[{index}]"
            self._report.known(place, key, self._milestones, "milestone")
            if key in self._milestones and self._milestones[key].subject != subject:
                fix = f"Write a milestone whose subject is {subject}."
                self._report.add(place, f"{key} is no milestone of the {subject}", fix)
        self._report.unique(f"{where}.milestones", gate.milestones, "milestone")
        self._report.number(f"{where}.at_least", gate.at_least, least=1, most=len(gate.milestones) or None)
        self._report.number(f"{where}.active_users", gate.active_users, least=1, most=CAPACITY.members)
        self._report.number(f"{where}.days", gate.days, least=1, most=CAPACITY.days)
        self._report.points(f"{where}.fit", gate.fit)
        if gate.active_users is not None and subject == "member":
            fix = "Move the gate to the thresholds of the account."
            self._report.add(f"{where}.active_users", "is asked of a member, who is one user", fix)

    def nudge(self, where: str, nudge: Nudge) -> None:
        report = self._report
        if not nudge.placement.strip():
            report.add(f"{where}.placement", "is empty", "Write the name of the slot in the host's page.")
        self._goal(where, nudge)
        self._signals.condition(f"{where}.audience", nudge.audience, AUDIENCE_SUBJECTS)
        self._signals.condition(f"{where}.hide", nudge.hide, AUDIENCE_SUBJECTS)
        if nudge.trigger is not None:
            self._trigger(f"{where}.trigger", nudge.trigger)
        if nudge.schedule is not None:
            self._schedule(f"{where}.schedule", nudge.schedule)
        for index, tag in enumerate(nudge.tags):
            report.key(f"{where}.tags[{index}]", tag)
        report.unique(f"{where}.tags", nudge.tags, "tag")
        report.number(f"{where}.priority", nudge.priority, least=-MAX_PRIORITY, most=MAX_PRIORITY)
        report.number(f"{where}.lifetime", nudge.lifetime, least=1)
        report.number(f"{where}.dismiss_days", nudge.dismiss_days, least=0)
        report.number(f"{where}.holdout", nudge.holdout, least=0, most=1)
        report.number(f"{where}.published_in", nudge.published_in, least=0)
        report.each(f"{where}.caps", nudge.caps, self._cap)
        self._contents(where, nudge)

    def _goal(self, where: str, nudge: Nudge) -> None:
        if nudge.goal:
            goals = [goal.key for goal in self._definition.goals]
            self._report.known(f"{where}.goal", nudge.goal, goals, "goal")
        elif nudge.mode == "help":
            self._report.add(f"{where}.goal", "is missing", "Write the goal that the help is towards, such as paid.")

    def _contents(self, where: str, nudge: Nudge) -> None:
        self._report.one_of(where, {"content": nudge.content is not None, "variants": bool(nudge.variants)})
        for name, content in (("content", nudge.content), ("ask", nudge.ask)):
            if content is not None:
                self._copy.content(f"{where}.{name}", content, nudge.mode)
        for place, variant in self._report.keyed(f"{where}.variants", nudge.variants):
            self._report.number(f"{place}.weight", variant.weight, above=0)
            self._copy.content(f"{place}.content", variant.content, nudge.mode)

    def _trigger(self, where: str, trigger: Trigger) -> None:
        given = {"milestone": trigger.milestone, "usage": trigger.usage, "tier": trigger.tier, "page": trigger.page}
        self._report.one_of(where, {**{name: bool(value) for name, value in given.items()}, "manual": trigger.manual})
        if trigger.milestone and trigger.milestone != "*":
            self._report.known(f"{where}.milestone", trigger.milestone, self._milestones, "milestone")
        if trigger.usage:
            limits = [key for key, each in self._milestones.items() if each.usage is not None]
            self._report.known(f"{where}.usage", trigger.usage, limits, "milestone of a usage limit")
        if trigger.tier == "none":
            self._report.add(f"{where}.tier", "nobody rises to none", "Write warm or hot.")
        if not all(trigger.page):
            self._report.add(f"{where}.page", "holds an empty text", "Write the name of a page, or * for every page.")
        self._report.number(f"{where}.seconds", trigger.seconds, least=1)

    def _schedule(self, where: str, schedule: Schedule) -> None:
        at = {name: self._instant(f"{where}.{name}", getattr(schedule, name)) for name in ("starts_at", "ends_at")}
        starts, ends = at["starts_at"], at["ends_at"]
        if starts is not None and ends is not None and starts >= ends:
            self._report.add(f"{where}.ends_at", "is not after starts_at", "Write a later time.")

    def _instant(self, where: str, text: str) -> int | None:
        if not text:
            return None
        try:
            return to_micros(text, "time")
        except RecordError as error:
            what, _, fix = error.reason.partition("; ")
            self._report.add(where, what, f"{fix[0].upper()}{fix[1:]}.")
            return None

    def _cap(self, where: str, cap: Cap) -> None:
        self._report.number(f"{where}.count", cap.count, least=1)
        self._report.one_of(where, {"days": cap.days is not None, "hours": cap.hours is not None})
        self._report.number(f"{where}.days", cap.days, above=0)
        self._report.number(f"{where}.hours", cap.hours, above=0)

    def holdout(self, where: str, holdout: Holdout) -> None:
        self._report.number(f"{where}.share", holdout.share, least=0, most=1)
        if not holdout.salt:
            self._report.add(f"{where}.salt", "is empty", "Write any word; a new one draws the people anew.")

    def settings(self, where: str, settings: Settings) -> None:
        self._copy.locale(f"{where}.default_locale", settings.default_locale)
        self._report.each(f"{where}.caps", settings.caps, self._cap)
        self._report.each(f"{where}.tag_caps", settings.tag_caps, self._cap)
        places = [f"nudges[{label(nudge, index)}].tags" for index, nudge in enumerate(self._definition.nudges)]
        for index, cap in enumerate(settings.tag_caps):
            self._report.known(f"{where}.tag_caps[{index}].tag", cap.tag, self._tags, "tag", defined_in=places)
        self._report.number(f"{where}.help_per_episode", settings.help_per_episode, least=0)
        self._report.number(f"{where}.gap_minutes", settings.gap_minutes, least=0)
        self._report.number(f"{where}.display_minutes", settings.display_minutes, above=0)
        self._signals.condition(f"{where}.hide", settings.hide, AUDIENCE_SUBJECTS)
