"""The table that people read, made of the lines of JSON that a run printed.

``python -m tests.bench.table LINES > docs/speed.md`` makes it anew from lines that were kept.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from tests.bench.obstacles import obstacles

HEAD = """# How fast

Measured by `make bench`, which writes this page: everything in one run, ours and what it is compared with by turns. A
figure is the median over the turns of ratios within one turn, with the least and the greatest in brackets. A figure
that does not hold is shown as missed. Histories are as long as each row says; those of ten million events come with
`make bench ARGS="--events 10000000"`. What exactly is measured, and what a peer is asked to do, is in `tests/bench/`.
"""
QUICK = "\n**This was a quick run, with few repeats and short histories: it does not say what holds.**\n"
COLUMNS = ("what", "reach", "measured", "in figures", "holds")


def table(lines: Iterable[str]) -> str:
    """Return the page for a run.

    Args:
        lines: JSON, one object a line: the machine, then the figures; of several runs, those of each.
    """
    found: list[dict[str, Any]] = [msgspec.json.decode(line) for line in lines if line.strip()]
    machines = [each["machine"] for each in found if "machine" in each]
    figures = [each for each in found if "figure" in each]
    rows = [_row(COLUMNS), _row(["---"] * len(COLUMNS)), *(_row(_cells(figure)) for figure in figures)]
    about = "".join(f"\nThe machine: {_machine(each)}.\n" for each in machines[:1])
    about += f"\nThe rows are of {len(machines)} runs, one after the other.\n" if len(machines) > 1 else ""
    quick = QUICK if any(each.get("quick") for each in machines) else ""
    page = f"{HEAD}{about}{quick}\n" + "\n".join(rows) + f"\n\n{_summary(figures)}\n"
    why = obstacles(figures)
    return f"{page}\n{why}" if why else page


def shown(value: float, form: str) -> str:
    """Return a value as people read it."""
    if form == "1/n" and 0 < value < 0.5:
        return f"1/{1 / value:.3g}"
    if form == "%":
        return f"{value * 100:,.0f} %"
    if form in ("×", "1/n"):
        return f"{value:.3g}×" if value < 1000 else f"{value:,.0f}×"
    return f"{value:,.4g} {form}"


def _cells(figure: Mapping[str, Any]) -> list[str]:
    form, limit = figure["form"], figure["limit"]
    reach = "told only:"
    if limit:
        side, _, bound = limit.rpartition(" ")
        reach = f"{'≤' if side == 'at most' else '≥'} {shown(float(bound), form)}"
    lowest, highest = (shown(each, form) for each in sorted(figure["spread"]))
    verdict = ("yes" if figure["ok"] else "**missed**") if limit else "–"
    measured = shown(figure["value"], form)
    if figure["repeats"] > 1:
        measured += f" ({lowest} to {highest})"
    return [figure["what"], f"{reach} {figure['unit']}".strip(), measured, figure["told"], verdict]


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _machine(machine: Mapping[str, Any]) -> str:
    cores = machine["cores"]
    named = [f"{name} {version}" for name, version in machine["versions"].items()]
    return ", ".join([f"{cores} core{'s' if cores != 1 else ''}", *named])


def _summary(figures: list[dict[str, Any]]) -> str:
    judged = [each for each in figures if each["limit"]]
    held = sum(each["ok"] for each in judged)
    return f"{held} of {len(judged)} figures hold."


if __name__ == "__main__":
    sys.stdout.write(table(Path(sys.argv[1]).read_text().splitlines()))
