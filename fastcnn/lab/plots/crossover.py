"""The pictures of a sweep: which strategy wins where, over one or two parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastcnn.lab.plots import style
from fastcnn.lab.problems.sweep import Axis, Sweep
from fastcnn.lab.report import captions
from fastcnn.lab.results import Report, Result
from fastcnn.plots.figure import GRID, INK

if TYPE_CHECKING:
    from matplotlib import axes
    from matplotlib.figure import Figure

CELL = {1: 0.86, 2: 0.74, 3: 0.66}  # inches of a cell, by the number of directions
MOST_INCHES = {1: 9.0, 2: 6.0, 3: 4.6}  # of a map
LINES_INCHES = {1: 8.0, 2: 5.2, 3: 4.0}
DETAILED = 0.6  # inches of a cell from which on it holds the rate too
LEFT, GAP = 0.8, 0.3  # inches before the first panel, and between two


def draw(report: Report, sweep: Sweep, machine: str) -> Figure:
    """A map of two parameters, or lines over one; a panel a direction."""
    directions = captions.directions(report)
    drawn = _map if len(sweep.axes) == 2 else _lines
    figure, legend, reading = drawn(report, sweep, directions)
    style.colour_legend(figure, legend)
    subtitle = ", ".join([sweep.settings, *directions, captions.rounds(report)])
    style.heading(figure, captions.verdict(captions.winners(report)), subtitle)
    style.footer(figure, [reading, machine])
    return figure


def _panels(count: int, width: float, height: float) -> tuple[Figure, list[axes.Axes]]:
    """Panels of so many inches side by side."""
    across = LEFT + count * width + (count - 1) * GAP
    whole = max(8.0, across + 0.3), height + (2.75 if count > 1 else 2.5)
    figure, panels = style.figure(*whole, ncols=count, sharex=True, sharey=True)
    figure.subplots_adjust(
        left=LEFT / whole[0],
        right=across / whole[0],
        bottom=1.3 / whole[1],
        top=(1.3 + height) / whole[1],
        wspace=GAP / width,
    )
    return figure, list(panels[0])


def _map(report: Report, sweep: Sweep, directions: list[str]) -> tuple[Figure, dict[str, str], str]:
    """A cell for each pair of values, in the colour of the fastest."""
    across, up = sweep.axes
    count = max(1, len(directions))
    longest = max(len(across.values), len(up.values))
    cell = min(CELL[count], MOST_INCHES[count] / longest)
    figure, panels = _panels(count, cell * len(across.values), cell * len(up.values))
    winners = captions.winners(report)
    colours = style.colours(result.strategy for result in winners)
    for axis, direction in zip(panels, directions, strict=False):
        shown = [result for result in winners if result.direction == direction]
        _cells(axis, shown, across, up, colours, cell)
        if count > 1:
            style.panel_title(axis, direction)
    for axis in panels:
        _frame(axis, sweep)
    panels[0].set_ylabel(sweep.title(up), color=INK)
    if len(winners) < len(directions) * len(across.values) * len(up.values):
        colours = {**colours, "not measured": style.UNMEASURED}
    small = ", small its GFLOP/s" if cell >= DETAILED else ""
    reading = f"In each cell how many times as fast as direct the fastest strategy is{small}."
    return figure, colours, reading


def _cells(
    axis: axes.Axes,
    winners: list[Result],
    across: Axis,
    up: Axis,
    colours: dict[str, str],
    cell: float,
) -> None:
    from matplotlib.patches import Rectangle

    fastest = {(across.of(result.problem), up.of(result.problem)): result for result in winners}
    size = float(np.clip(15 * cell, 6, 12))
    detailed = cell >= DETAILED
    for x, first in enumerate(across.values):
        for y, second in enumerate(up.values):
            result = fastest.get((first, second))
            colour = colours[result.strategy] if result else style.UNMEASURED
            axis.add_patch(Rectangle((x, y), 1, 1, facecolor=colour, edgecolor="white", lw=1.5))
            if result is None:
                continue
            words: dict[str, Any] = {"ha": "center", "va": "center"}
            words["color"] = style.ink_on(colour)
            times = captions.times(result.to_direct) if result.to_direct else "–"
            height = 0.58 if detailed else 0.5
            axis.text(x + 0.5, y + height, times, fontsize=size, weight="bold", **words)
            if detailed:
                axis.text(
                    x + 0.5, y + 0.27, f"{captions.rate(result):.0f}", fontsize=0.66 * size, **words
                )


def _frame(axis: axes.Axes, sweep: Sweep) -> None:
    across, up = sweep.axes
    axis.set_xlim(0, len(across.values))
    axis.set_ylim(0, len(up.values))
    axis.set_xticks(np.arange(len(across.values)) + 0.5, list(map(str, across.values)))
    axis.set_yticks(np.arange(len(up.values)) + 0.5, list(map(str, up.values)))
    axis.tick_params(colors=INK, length=0, labelsize=10 if len(across.values) <= 24 else 7)
    axis.spines[:].set_visible(False)
    axis.set_xlabel(sweep.title(across), color=INK)


def _lines(
    report: Report, sweep: Sweep, directions: list[str]
) -> tuple[Figure, dict[str, str], str]:
    """GFLOP/s over the values, a line a strategy; the fastest of each value has a dark rim."""
    (across,) = sweep.axes
    count = max(1, len(directions))
    figure, panels = _panels(count, LINES_INCHES[count], 3.9)
    timed = [result for result in report.results if result.median_ms]
    colours = style.colours(result.strategy for result in timed)
    winners = set(captions.winners(report))
    for axis, direction in zip(panels, directions, strict=False):
        _graph(axis, across, *report.ceilings.named)
        for strategy, colour in colours.items():
            shown = [r for r in timed if (r.direction, r.strategy) == (direction, strategy)]
            shown.sort(key=lambda result: across.of(result.problem))
            x = [across.of(result.problem) for result in shown]
            y = [captions.rate(result) for result in shown]
            rims = [INK if result in winners else "white" for result in shown]
            axis.plot(x, y, color=colour, linewidth=2, label=strategy)
            axis.scatter(x, y, s=60, color=colour, edgecolors=rims, linewidths=1.2, zorder=4)
        axis.set_xlabel(sweep.title(across), color=INK)
        if count > 1:
            style.panel_title(axis, direction)
    panels[0].set_ylabel("GFLOP/s", color=INK)
    panels[0].set_ylim(0)
    return figure, colours, f"A dark rim marks the fastest. {captions.COUNTING}"


def _graph(axis: axes.Axes, across: Axis, name: str, rate: float) -> None:
    style.quiet(axis)
    axis.set_xscale("log", base=2)
    axis.set_xticks(across.values, list(map(str, across.values)))
    axis.minorticks_off()
    axis.grid(axis="y", color=GRID, linewidth=0.6)
    axis.axhline(rate, linestyle="--", color=INK, linewidth=1.1)
    axis.annotate(
        f"{name} {rate:.0f}",
        (0, rate),
        (2, 3),
        xycoords=axis.get_yaxis_transform(),
        textcoords="offset points",
        color=INK,
        fontsize=8.5,
    )
