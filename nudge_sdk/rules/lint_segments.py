"""What is unwise about segments: those no account can be in, and those that say nothing."""

from __future__ import annotations

from collections.abc import Iterator

from nudge_sdk.rules.definition import Definition, Segment, Thresholds
from nudge_sdk.rules.lint_conditions import Domains, Test, is_impossible
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
        if not is_impossible(_tests(definition.segments, index), Domains())
    ]


def has_thresholds(segment: Segment) -> bool:
    """Return whether anybody can enter any tier in a segment."""
    return segment.member != Thresholds() or segment.account != Thresholds()


def _tests(segments: tuple[Segment, ...], index: int) -> list[Test]:
    earlier: list[Test] = [(each.when, False) for each in segments[:index] if each.when]
    own = segments[index].when
    return [(own, True), *earlier] if own else earlier


def _unreachable(definition: Definition) -> Iterator[Finding]:
    catch_all = ""
    for index, segment in enumerate(definition.segments):
        where = f"segments[{segment.key}].when"
        if segment.when and is_impossible([(segment.when, True)], Domains()):
            yield Finding(
                severity="warn",
                code="EMPTY_AUDIENCE",
                where=where,
                message=f"No account can ever be in the segment {name_of(segment)}: its condition contradicts itself.",
                fix="Correct the condition, or remove the segment.",
            )
        elif catch_all or is_impossible(_tests(definition.segments, index), Domains()):
            before = f"{catch_all} before it takes everybody" if catch_all else "those before it take all of them"
            yield Finding(
                severity="warn",
                code="SHADOWED_SEGMENT",
                where=where,
                message=f"No account can ever be in the segment {name_of(segment)}: {before}, and the first match wins.",
                fix="Move it further up, or remove it.",
            )
        if segment.when is None:
            catch_all = catch_all or name_of(segment)


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
        names = listed([name_of(segment) for segment in silent]) if silent else ""
        yield Finding(
            severity="warn",
            code="SEGMENTS_WITHOUT_THRESHOLDS",
            where="segments",
            message=f"Nobody ever becomes warm or hot: {names or 'there is no segment, and so there'} "
            f"{'has' if len(silent) == 1 else 'have' if silent else 'are'} no thresholds.",
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
