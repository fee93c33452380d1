"""What other thresholds would have come to, as a page shows it."""

from __future__ import annotations

from nudge_sdk.insights.statistics.intervals import Rate
from nudge_sdk.insights.whatif import Step, ThresholdCurve
from nudge_sdk.rules.definition import Subject, Tier

from ..charts import Chart, Colour, Level, Mark, Series, percent, percent_range

NAMES: dict[tuple[Subject, Tier], str] = {
    ("member", "warm"): "new PQLs (warm members)",
    ("member", "hot"): "new hot members",
    ("account", "warm"): "new warm accounts",
    ("account", "hot"): "new PQAs (hot accounts)",
}


def answer_of(curve: ThresholdCurve) -> str:
    """Return in a sentence or two what the threshold would have come to."""
    step = step_at(curve, curve.threshold)
    if step is None:
        return "Nobody enters this tier: it has no threshold."
    name = NAMES[curve.subject, curve.tier]
    parts = [f"At {step.threshold:g} points: {_a_week(step)} {name} a week"]
    if curve.capacity is not None:
        parts.append(f"sales can take {curve.capacity}")
    if step.precision.share is not None:
        parts.append(f"{percent(step.precision.share)} of them converted within {curve.days} days")
    if step.recall.share is not None:
        parts.append(f"{percent(step.recall.share)} of all who converted were among them before")
    return "; ".join(parts) + "."


def step_at(curve: ThresholdCurve, threshold: float | None) -> Step | None:
    """Return what one threshold comes to."""
    return next((each for each in curve.steps if each.threshold == threshold), None)


def volume_chart(curve: ThresholdCurve) -> Chart:
    """Return how many a week there are at each threshold, with the line of what sales can take."""
    capacity = curve.capacity
    return Chart(
        kind="columns",
        says=f"Columns of how many a week qualify at each threshold. {answer_of(curve)}",
        labels=tuple(f"{each.threshold:g}" for each in curve.steps),
        title="A week",
        x_title="Threshold in points",
        series=(
            Series(
                name=f"{NAMES[curve.subject, curve.tier]} a week".removeprefix("new "),
                values=tuple(each.per_week for each in curve.steps),
                colours=tuple(_colour(curve, each) for each in curve.steps),
            ),
        ),
        levels=(Level(value=capacity, text="what sales can take"),) if capacity is not None else (),
    )


def quality_chart(curve: ThresholdCurve) -> Chart:
    """Return precision and recall at each threshold, with their intervals."""
    xs = tuple(each.threshold for each in curve.steps)
    threshold = curve.threshold
    return Chart(
        kind="lines",
        says="Lines of precision, which tends to rise with the threshold, and of recall, which falls.",
        unit="percent",
        x_title="Threshold in points",
        least=0,
        most=1,
        series=(
            _line("Precision", [each.precision for each in curve.steps], xs),
            _line(
                "Recall",
                [each.recall for each in curve.steps],
                xs,
                "second",
            ),
        ),
        marks=(Mark(x=threshold, text=f"{threshold:g} points"),) if threshold is not None else (),
    )


def _line(name: str, rates: list[Rate], xs: tuple[float, ...], colour: Colour = "main") -> Series:
    known = [each.share is not None for each in rates]
    return Series(
        name=name,
        values=tuple(each.share for each in rates),
        low=tuple(each.low if is_known else None for each, is_known in zip(rates, known, strict=True)),
        high=tuple(each.high if is_known else None for each, is_known in zip(rates, known, strict=True)),
        xs=xs,
        colour=colour,
    )


def _colour(curve: ThresholdCurve, step: Step) -> Colour:
    if step.threshold == curve.threshold:
        return "main"
    return "good" if step.threshold == curve.proposal else "quiet"


def rate_words(found: Rate) -> str:
    """Return a rate with its interval and its numbers."""
    if found.share is None:
        return "nobody yet"
    return f"{percent(found.share)} ({percent_range(found.low, found.high)}), {found.count} of {found.of}"


def _a_week(step: Step) -> str:
    return f"{step.per_week:,.0f}" if step.per_week >= 10 else f"{step.per_week:,.1f}"
