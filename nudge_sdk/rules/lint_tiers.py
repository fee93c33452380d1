"""What is unwise about the entry to a tier: who gets in too easily, who never, and who falls out at once."""

from __future__ import annotations

from collections.abc import Iterator

from nudge_sdk.rules.definition import Definition, Gate, Milestone
from nudge_sdk.rules.lint_findings import Finding, capital, counted, name_of, points_text
from nudge_sdk.rules.lint_reach import EXACT_UP_TO
from nudge_sdk.rules.lint_vanity import is_arrival, is_booster, is_weak, shows_value, vanity_kind
from nudge_sdk.rules.lint_ways import TierWays, find_unreachable, ways_of

_ASK_VALUE = "Require at least one milestone of category high beside the score (a gate)"
_LESS_EASY = f"{_ASK_VALUE}, raise the threshold, or lower these points."


def lint_tiers(definition: Definition) -> Iterator[Finding]:
    """Find what is unwise about the entries to all tiers."""
    for tiers in ways_of(definition):
        for ways in tiers:
            unreachable = find_unreachable(ways)
            if unreachable:
                yield unreachable
                continue
            for check in _CHECKS:
                yield from check(ways)
        if len(tiers) == 2:
            yield from _skipped_warm(*tiers)


def _not_all(ways: TierWays) -> Iterator[Finding]:
    if not ways.is_complete:
        message = (
            f"More than {EXACT_UP_TO} milestones give points, too many to try every combination: only the first "
            f"{len(ways.sets)} of the smallest ways to {ways.tier} for {ways.who} were looked at."
        )
        yield ways.finding("note", "NOT_ALL_WAYS", message, "Give points to fewer milestones.")


def _arrivals(ways: TierWays) -> Iterator[Finding]:
    arrivals = ways.only(is_arrival)
    if arrivals:
        how = "without doing anything" if arrivals == [0] else "by signing up, logging in or who they are alone"
        yield ways.finding("block", "SIGNUP_ALONE", f"{ways.becomes} {how}{ways.given()}.", _LESS_EASY, arrivals)


def _vanity(ways: TierWays) -> Iterator[Finding]:
    arrivals = set(ways.only(is_arrival))
    weak = [mask for mask in ways.only(is_weak) if mask not in arrivals]
    if weak:
        message = (
            f"{ways.becomes} without showing any value{ways.given()}: {ways.share(weak)} "
            f"{'consists' if len(weak) == 1 else 'consist'} only of context, hygiene or vanity."
        )
        yield ways.finding("block", "VANITY", message, _LESS_EASY, weak)


def _without_high_intent(ways: TierWays) -> Iterator[Finding]:
    lower = ways.bits(lambda each: not shows_value(each))
    smallest = [mask for mask in ways.reach.smallest(lower).masks if not ways.is_all_weak(mask)]
    if smallest:
        every = ways.reach.ways(lower)
        number = counted(len(every), "way") if every else f"at least {counted(len(smallest), 'way')}"
        message = (
            f"{ways.becomes} in {number} without a single high-intent milestone{ways.given()}: "
            f"the threshold of {points_text(ways.rule.score)} alone does not ask for one."
        )
        yield ways.finding(
            "warn", "NO_HIGH_INTENT", message, f"{_ASK_VALUE}, or raise the threshold.", every or smallest
        )


def _boosted(ways: TierWays) -> Iterator[Finding]:
    mixed = [mask for mask in ways.sets if not ways.is_all_weak(mask)]
    parts = []
    for booster in ways.reach.milestones:
        needing = [mask for mask in mixed if booster.bit & mask]
        if needing and is_booster(booster, ways.by.caps):
            name = f"“{name_of(booster.milestone)}” ({vanity_kind(booster.milestone)})"
            parts.append(f"{ways.share(needing)} {'needs' if len(needing) == 1 else 'need'} {name}")
    if parts:
        message = f"To {ways.tier} for {ways.who}, {'; '.join(parts)}. That shows interest, not value."
        fix = "Lower these points until they cannot change a tier, or take these milestones out of the score."
        yield ways.finding("warn", "BOOSTER", message, fix, ways.sets)


def _exact(ways: TierWays) -> Iterator[Finding]:
    held = {mask: days for mask, days in ways.held.items() if _is_exact(ways, mask)}
    if ways.by.hold_days:
        bare: dict[int, int] = {}
    else:
        bare = {mask: days for mask, days in held.items() if not min(each.grace for each in ways.fading(mask))}
    kept = {mask: days for mask, days in held.items() if mask not in bare}
    score = points_text(ways.rule.score)
    if bare:
        message = (
            f"{_lands(ways, bare)} the threshold of {score} exactly, and points fade from the first day: "
            f"the tier is lost after {counted(min(bare.values()), 'day')}, with the first point that fades."
        )
        fix = "Let points fade only after some days (grace), hold the tier for some days, or lower the threshold."
        yield ways.finding("warn", "EXACT_THRESHOLD", message, fix, list(bare))
    if kept:
        message = (
            f"{_lands(ways, kept)} the threshold of {score} exactly, and points fade: "
            f"without doing more, the tier is held for {counted(max(kept.values()), 'day')} at most."
        )
        fix = "Nothing, if that is long enough; otherwise give more days of grace, or hold the tier longer."
        yield ways.finding("note", "EXACT_THRESHOLD", message, fix, list(kept))


def _is_exact(ways: TierWays, mask: int) -> bool:
    return ways.reach.score(mask) == ways.rule.score and bool(ways.fading(mask))


def _lands(ways: TierWays, held: dict[int, int]) -> str:
    verb = "reaches" if len(held) == 1 else "reach"
    return f"{capital(ways.share(list(held)))} to {ways.tier} for {ways.who} {verb}"


def _gone_before_help(ways: TierWays) -> Iterator[Finding]:
    help_day = ways.segment.help_after_days
    early = {mask: days for mask, days in ways.held.items() if days < help_day}
    if early and ways.subject == "member":
        verb = "keeps" if len(early) == 1 else "keep"
        message = (
            f"{capital(ways.share(list(early)))} to {ways.tier} for {ways.who}, done once and nothing more, {verb} the "
            f"tier for only {counted(min(early.values()), 'day')}, and help begins on day {help_day}. "
            "The help is still shown, but the lists of who is ready leave them out by then."
        )
        fix = "Hold the tier longer, let points fade later, or begin help earlier."
        yield ways.finding("note", "GONE_BEFORE_HELP", message, fix, list(early))


def _one_and_done(ways: TierWays) -> Iterator[Finding]:
    once = [mask for mask in ways.sets if mask.bit_count() == 1 and _is_once(ways.reach.members(mask)[0].milestone)]
    if once:
        message = f"{ways.becomes} by a single action, done once{ways.given()}."
        yield ways.finding("note", "ONE_AND_DONE", message, "Ask for it more often, or for a second milestone.", once)


def _is_once(milestone: Milestone) -> bool:
    signal = milestone.signal
    return signal is not None and signal.measure != "sum" and milestone.at_least <= 1


_CHECKS = (
    _not_all,
    _arrivals,
    _vanity,
    _without_high_intent,
    _boosted,
    _exact,
    _gone_before_help,
    _one_and_done,
)


def _skipped_warm(warm: TierWays, hot: TierWays) -> Iterator[Finding]:
    opens = all(hot.reach.opens(mask) for mask in warm.sets)
    asked = (any(_covers(theirs, gate) for theirs in warm.side_conditions) for gate in hot.side_conditions)
    if warm.sets and opens and all(asked):
        yield Finding(
            severity="warn",
            code="WARM_SKIPPED",
            where=f"{hot.place}.score",
            message=f"Whoever becomes warm ({warm.who}) is hot at once: hot asks for {points_text(hot.rule.score)} "
            f"points, warm for {points_text(warm.rule.score)}, and hot requires nothing else that warm does not.",
            fix="Raise the threshold of hot above that of warm, or leave one of the two out.",
        )


def _covers(theirs: Gate, gate: Gate) -> bool:
    if gate.fit is not None:
        return theirs.fit is not None and theirs.fit >= gate.fit
    if theirs.active_users is None or gate.active_users is None:
        return False
    return theirs.active_users >= gate.active_users and theirs.days <= gate.days
