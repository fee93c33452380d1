"""What is unwise about nudges: those nobody can get, and copy that does not speak of what was done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nudge_sdk.rules.conditions import Condition
from nudge_sdk.rules.copy import compile_text
from nudge_sdk.rules.definition import Content, Definition, Milestone, Nudge, Text, Tier, Trigger
from nudge_sdk.rules.lint_conditions import Domains, Test, is_impossible
from nudge_sdk.rules.lint_findings import Finding, Severity, name_of
from nudge_sdk.rules.lint_segments import live_segments

_DONE = frozenset({"done", "milestone"})


def lint_nudges(definition: Definition) -> Iterator[Finding]:
    """Find what is unwise about the nudges."""
    live = [nudge for nudge in definition.nudges if not nudge.is_paused]
    domains = _domains(definition)
    for nudge in live:
        never = _never(definition, nudge, domains)
        if never:
            yield never
        else:
            yield from _empty_audience(definition, nudge, domains)
        yield from _without_done(nudge)
    yield from _missing_done(definition, live)
    yield from _no_help(definition, live)
    yield from _no_holdout(definition, live)


def names_used(content: Content) -> set[str]:
    """Return the placeholders in a content's texts and addresses."""
    buttons = [button for button in (content.cta, content.chat) if button]
    texts: list[Text] = [content.title, content.body, content.dismiss]
    texts += [text for button in buttons for text in (button.label, button.url)]
    texts += [text for step in content.steps for text in (step.title, step.body, step.url)]
    return {slot.name for text in texts for words in _locales(text) for slot in compile_text(words).slots}


def contents_of(nudge: Nudge) -> list[Content]:
    """Return what a nudge may show to somebody who can purchase."""
    return [each for each in (nudge.content, *(variant.content for variant in nudge.variants)) if each is not None]


def _locales(text: Text) -> Iterable[str]:
    return (text,) if isinstance(text, str) else text.values()


def _domains(definition: Definition) -> Domains:
    segments = live_segments(definition)
    members = {tier for each in segments for tier, entry in _entries(each.member.warm, each.member.hot) if entry}
    accounts = {tier for each in segments for tier, entry in _entries(each.account.warm, each.account.hot) if entry}
    return Domains(("", *(each.key for each in segments)), ("none", *members), ("none", *accounts))


def _entries(warm: object, hot: object) -> tuple[tuple[Tier, object], ...]:
    return ("warm", warm), ("hot", hot)


def _never(definition: Definition, nudge: Nudge, domains: Domains) -> Finding | None:
    why, fix, field = "", "", ""
    if nudge.goal and nudge.needs_episode and len(domains.member_tiers) == 1:
        why, field = "it waits for a member to become warm or hot, and no segment has a threshold for members", "goal"
        fix = "Add a threshold for members, or let it go without waiting (needs_episode: false)."
    elif nudge.mode == "help" and not definition.settings.help_per_episode:
        why, field = "it is help, and the settings allow no help", "mode"
        fix = "Raise help_per_episode in the settings."
    elif nudge.holdout >= 1:
        why, field, fix = "it is withheld from everybody", "holdout", "Lower its holdout."
    elif nudge.goal and definition.holdout.share >= 1:
        why, field, fix = "the overall holdout withholds it from everybody", "goal", "Lower the overall holdout."
    return (
        _finding("warn", "NUDGE_NEVER", nudge, (field, f"{name_of(nudge)} is never shown: {why}.", fix))
        if why
        else None
    )


def _empty_audience(definition: Definition, nudge: Nudge, domains: Domains) -> Iterator[Finding]:
    tests: list[Test] = []
    stages: tuple[tuple[str, Condition | None, bool, str], ...] = (
        ("audience", nudge.audience, True, "its audience contradicts itself, or the tiers and segments there are"),
        ("trigger", _triggered(definition, nudge.trigger), True, "its trigger never happens to those in its audience"),
        ("hide", nudge.hide, False, "its hide rule holds for all those in its audience"),
        ("hide", definition.settings.hide, False, "the hide rule of the settings holds for all those in its audience"),
    )
    for field, condition, wanted, why in stages:
        if condition is None:
            continue
        tests.append((condition, wanted))
        if is_impossible(tests, domains):
            message = f"Nobody can ever get {name_of(nudge)}: {why}."
            yield _finding("warn", "EMPTY_AUDIENCE", nudge, (field, message, "Correct the conditions."))
            return


def _triggered(definition: Definition, trigger: Trigger | None) -> Condition | None:
    """Return what holds at the moment of a trigger, as far as a condition can say it."""
    if trigger is None:
        return None
    if trigger.tier:
        risen: tuple[Tier, ...] = ("hot",) if trigger.tier == "hot" else ("warm", "hot")
        return Condition(tier="member", in_=risen)
    if trigger.page:
        is_exact = not any(page.endswith("*") for page in trigger.page)
        return Condition(context="page", in_=trigger.page) if is_exact else None
    milestone = next((each for each in definition.milestones if each.key == trigger.milestone), None)
    if milestone is None:
        return None
    if milestone.subject == "member":
        return Condition(milestone=milestone.key)
    return Condition(account_milestone=milestone.key)


def _without_done(nudge: Nudge) -> Iterator[Finding]:
    trigger = nudge.trigger
    if nudge.mode != "prompt" or trigger is None or not trigger.milestone:
        return
    if any(not names_used(content) & _DONE for content in contents_of(nudge)):
        is_any = trigger.milestone == "*"
        what = "any milestone" if is_any else f"the milestone {trigger.milestone}"
        yield _finding("warn" if is_any else "note", "PROMPT_WITHOUT_DONE", nudge, (
            "content",
            f"{name_of(nudge)} appears when {what} is reached, but its text does not take up what was just done.",
            "Name it: “You have just {{ done | got going }}”, and then one next step.",
        ))  # fmt: skip


def _missing_done(definition: Definition, live: list[Nudge]) -> Iterator[Finding]:
    speaking = [nudge for nudge in live if any("done" in names_used(content) for content in contents_of(nudge))]
    for milestone in definition.milestones:
        users = [nudge for nudge in speaking if _may_speak_of(nudge, milestone)]
        if users and not milestone.done:
            yield Finding(
                severity="warn",
                code="MISSING_DONE",
                where=f"milestones[{milestone.key}].done",
                message=f"{name_of(users[0])} says what the person has just done, but {name_of(milestone)} "
                "has no words for it.",
                fix="Write what the person did, such as “sent your first campaign”.",
            )


def _may_speak_of(nudge: Nudge, milestone: Milestone) -> bool:
    named = nudge.trigger.milestone if nudge.trigger else ""
    if named not in ("", "*"):
        return milestone.key == named
    is_deed = milestone.signal is not None or milestone.usage is not None
    return is_deed and milestone.subject == "member" and (milestone.points is None or milestone.points > 0)


def _no_help(definition: Definition, live: list[Nudge]) -> Iterator[Finding]:
    for goal in definition.goals:
        modes = {nudge.mode for nudge in live if nudge.goal == goal.key and nudge.needs_episode}
        if modes == {"prompt"}:
            yield Finding(
                severity="warn",
                code="NO_HELP",
                where=f"goals[{goal.key}]",
                message=f"Whoever is ready for {name_of(goal)} but does not take it gets prompts, and then nothing: "
                "there is no help for them.",
                fix="Add a nudge of mode help with steps, a short video or a chat, for the days after the prompts.",
            )


def _no_holdout(definition: Definition, live: list[Nudge]) -> Iterator[Finding]:
    aiming = [nudge for nudge in live if nudge.goal]
    if aiming and not definition.holdout.share and not any(nudge.holdout for nudge in aiming):
        yield Finding(
            severity="note",
            code="NO_HOLDOUT",
            where="holdout.share",
            message="Everybody is shown nudges, so it can never be known what they change.",
            fix="Withhold them from a share of accounts, such as 0.1 (0.2 below 5,000 accounts).",
        )


def _finding(severity: Severity, code: str, nudge: Nudge, words: tuple[str, str, str]) -> Finding:
    field, message, fix = words
    return Finding(severity=severity, code=code, where=f"nudges[{nudge.key}].{field}", message=message, fix=fix)
