"""What is unwise about segments: those no account can be in, and those that say nothing."""

from __future__ import annotations

from collections.abc import Iterator

from nudge_sdk.rules.definition import Definition, Segment, Thresholds
from nudge_sdk.rules.lint_conditions import ALWAYS, Test, is_impossible
from nudge_sdk.rules.lint_findings import Finding, listed, name_of


def lint_segments(definition: Definition) -> Iterator[Finding]:
    """Find what is unwise about the segments."""
    yield from _unreachable(definition)
    yield from _without_thresholds(definition)
    yield from _alike(definition)


def live_segments(definition: Definition) -> list[Segment]:
    """Return the segments that some account can be in."""
    return [
        segment
        for index, segment in enumerate(definition.segments)
        if not is_impossible(_tests(definition.segments, index))
    ]


def has_thresholds(segment: Segment) -> bool:
    """Return whether anybody can enter any tier in a segment."""
    return segment.member != Thresholds() or segment.account != Thresholds()


def _tests(segments: tuple[Segment, ...], index: int) -> list[Test]:
    """Return what holds for the accounts of a segment: its own condition, and none of those before it."""
    return [(segments[index].when or ALWAYS, True), *((each.when or ALWAYS, False) for each in segments[:index])]


def _unreachable(definition: Definition) -> Iterator[Finding]:
    for index, segment in enumerate(definition.segments):
        own, *earlier = _tests(definition.segments, index)
        if is_impossible([own]):
            code, why = "EMPTY_AUDIENCE", "its condition contradicts itself"
            fix = "Correct the condition, or remove the segment."
        elif is_impossible([own, *earlier]):
            catch_all = next((each for each in definition.segments[:index] if each.when is None), None)
            takes = (
                f"{name_of(catch_all)}, before it, takes everybody" if catch_all else "those before it take them all"
            )
            code, why = "SHADOWED_SEGMENT", f"{takes}, and the first that fits is used"
            fix = "Move it further up, or remove it."
        else:
            continue
        where, message = f"segments[{segment.key}].when", f"No account can ever be in {name_of(segment)}: {why}."
        yield Finding(severity="warn", code=code, where=where, message=message, fix=fix)


def _without_thresholds(definition: Definition) -> Iterator[Finding]:
    silent = [segment for segment in definition.segments if not has_thresholds(segment)]
    if len(silent) < len(definition.segments):
        for segment in silent:
            yield Finding(
                severity="note",
                code="SEGMENTS_WITHOUT_THRESHOLDS",
                where=f"segments[{segment.key}]",
                message=f"{name_of(segment)} has no thresholds: nobody in it ever becomes warm or hot.",
                fix="Nothing, if it is there to keep accounts out; otherwise add thresholds.",
            )
    elif definition.milestones:
        why = f"{listed([name_of(each) for each in silent])} without thresholds" if silent else "there is no segment"
        yield Finding(
            severity="warn",
            code="SEGMENTS_WITHOUT_THRESHOLDS",
            where="segments",
            message=f"Nobody ever becomes warm or hot: {why}.",
            fix="Add a segment with a threshold for members, such as 8 points for warm.",
        )


def _alike(definition: Definition) -> Iterator[Finding]:
    seen: list[Segment] = []
    for segment in definition.segments:
        twin = next((each for each in seen if (each.member, each.account) == (segment.member, segment.account)), None)
        if twin and has_thresholds(segment):
            yield Finding(
                severity="note",
                code="SAME_THRESHOLDS",
                where=f"segments[{segment.key}]",
                message=f"{name_of(segment)} has the same thresholds as {name_of(twin)}: "
                "small and large accounts seldom become ready at the same score.",
                fix="Tune the thresholds of each, or make them one segment.",
            )
        seen.append(segment)
