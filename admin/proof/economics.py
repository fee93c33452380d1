"""Economics as a page shows it."""

from __future__ import annotations

from nudge_sdk.insights.economics import MILLION, Channel, Economics, Origin, ratio_words

from ..charts import Chart, Series

NAMES: dict[Origin, str] = {"pql": "Came as a PQL", "other": "Came otherwise"}


def answer_of(found: Economics) -> str:
    """Return in a sentence which customers cost less."""
    return ratio_words(found)


def chart_of(found: Economics) -> Chart | None:
    """Return what a customer cost by where they came from; None where nothing was spent."""
    shown = [each for each in found.channels if each.cost and each.cac is not None]
    if not shown:
        return None
    return Chart(
        kind="dots",
        says=f"What a customer cost, with intervals. {answer_of(found)}",
        labels=tuple(NAMES[each.origin] for each in shown),
        title="Cost of a customer",
        least=0,
        series=(
            Series(
                name="Cost of a customer",
                values=tuple(_units(each.cac) for each in shown),
                low=tuple(_units(each.cac_low) for each in shown),
                high=tuple(_capped(each, shown) for each in shown),
                texts=tuple(f"{_units(each.cac) or 0:,.0f}" for each in shown),
                colours=tuple("main" if each.origin == "pql" else "quiet" for each in shown),
            ),
        ),
    )


def _capped(channel: Channel, shown: list[Channel]) -> float | None:
    """Return the upper end; of very few customers it would make everything else too small to see."""
    most = max(_units(each.cac) or 0 for each in shown) * 4
    return min(_units(channel.cac_high) or most, most)


def _units(millionths: int | None) -> float | None:
    return None if millionths is None else millionths / MILLION
