"""The bar picture: how fast each strategy is on each problem, and which one wins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastcnn.lab.plots import style
from fastcnn.lab.report import captions
from fastcnn.lab.results import NamedProblem, Report, Result
from fastcnn.plots.figure import GRID, INK, MUTED, WRONG

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Groups = dict[NamedProblem, list[str]]

PANEL_WIDTHS = {1: 7.0, 2: 4.6, 3: 3.6}  # inches, by the number of directions
FITTING = 6.8  # inches that the panels' height tends to
THINNEST, THICKEST = 0.06, 0.19  # inches of a bar
GAP = 0.9  # between two problems, in bars
NUMBERED = 0.105  # inches of a bar from which on every one has its number


def draw(report: Report, machine: str) -> Figure:
    """A panel a direction, a group of bars a problem, a bar a strategy, the fastest marked."""
    groups = _groups(report)
    names = captions.names(groups)
    thickness = float(np.clip(FITTING / _lines(groups), THINNEST, THICKEST))
    directions = captions.directions(report)
    longest = max(map(len, names.values()), default=0)
    figure, panels = _panels(len(directions), thickness * _lines(groups), 0.4 + 0.078 * longest)
    colours = style.colours(name for strategies in groups.values() for name in strategies)
    _frame(panels, groups, names, report)
    for axis, direction in zip(panels, directions, strict=False):
        shown = [result for result in report.results if result.direction == direction]
        _ceiling(axis, *report.ceilings.named)
        _bars(axis, shown, groups, colours)
        _numbers(axis, shown, report, groups, thickness)
        style.panel_title(axis, direction, lift=18)
    style.colour_legend(figure, colours)
    style.heading(
        figure,
        captions.verdict(captions.winners(report)),
        captions.measured(report, captions.MEDIANS),
    )
    style.footer(figure, [_reading(report), machine])
    return figure


def _panels(count: int, inches: float, left: float) -> tuple[Figure, list[Axes]]:
    """Panels side by side, so many inches high, with `left` inches for the problems' names."""
    count = max(1, count)
    width = left + count * (PANEL_WIDTHS[count] + 0.35)
    height = inches + 2.75
    figure, axes = style.figure(width, height, ncols=count, sharex=True, sharey=True)
    figure.subplots_adjust(
        left=left / width,
        right=1 - 0.35 / width,
        bottom=1.2 / height,
        top=1 - 1.55 / height,
        wspace=0.35 / PANEL_WIDTHS[count],
    )
    return figure, list(axes[0])


def _groups(report: Report) -> Groups:
    """By problem the strategies that compute any of its directions, in the palette's order."""
    order = style.colours(result.strategy for result in report.results)
    groups: Groups = {}
    for problem in report.problems:
        own = [result for result in report.results if result.problem == problem]
        able = {result.strategy for result in own if result.verdict != "declined"}
        groups[problem] = [strategy for strategy in order if strategy in able]
    return groups


def _lines(groups: Groups) -> float:
    """The height of all groups, in bars; at least one."""
    return max(1.0, sum(map(len, groups.values())) + GAP * len(groups))


def _tops(groups: Groups) -> dict[NamedProblem, float]:
    """Where each problem's first bar begins, in bars from the top."""
    tops, at = {}, GAP / 2
    for problem, strategies in groups.items():
        tops[problem] = at
        at += len(strategies) + GAP
    return tops


def _frame(
    panels: list[Axes], groups: Groups, names: dict[NamedProblem, str], report: Report
) -> None:
    """Scales, the problems' names, a shade behind every other problem."""
    tops = _tops(groups)
    most = max([report.ceilings.named[1], *map(captions.rate, report.results)])
    panels[0].set_xlim(0, most * 1.2)
    panels[0].set_ylim(_lines(groups), 0)
    middles = [tops[problem] + len(strategies) / 2 for problem, strategies in groups.items()]
    panels[0].set_yticks(middles, list(names.values()))
    for axis in panels:
        style.quiet(axis)
        axis.spines["left"].set_visible(False)
        axis.tick_params(axis="y", labelcolor=INK, labelsize=9.5 if len(groups) <= 16 else 8)
        axis.grid(axis="x", color=GRID, linewidth=0.6)
        axis.set_xlabel("GFLOP/s", color=INK)
        for problem in list(groups)[::2]:
            low = tops[problem] - GAP / 2
            high = low + len(groups[problem]) + GAP
            axis.axhspan(low, high, color=style.SHADE, zorder=0, linewidth=0)


def _ceiling(axis: Axes, name: str, rate: float) -> None:
    axis.axvline(rate, linestyle="--", color=INK, linewidth=1.1, zorder=2)
    axis.annotate(
        f"{name} {rate:.0f}",
        (rate, 1),
        (0, 3),
        xycoords=axis.get_xaxis_transform(),
        textcoords="offset points",
        ha="center",
        color=INK,
        fontsize=8.5,
    )


def _bars(axis: Axes, shown: list[Result], groups: Groups, colours: dict[str, str]) -> None:
    for result in shown:
        rate = captions.rate(result)
        if rate:
            axis.barh(_height(result, groups), rate, 0.86, color=colours[result.strategy], zorder=3)


def _height(result: Result, groups: Groups) -> float:
    """The middle of a result's bar."""
    return _tops(groups)[result.problem] + groups[result.problem].index(result.strategy) + 0.5


def _numbers(
    axis: Axes, shown: list[Result], report: Report, groups: Groups, thickness: float
) -> None:
    """What stands behind the bars: of the fastest always, of the others where there is room."""
    from matplotlib.patheffects import withStroke

    winners = set(captions.winners(report))
    # Numbers stay legible where they meet the ceiling's line.
    halo = [withStroke(linewidth=2.5, foreground="white")]
    for result in shown:
        if result.strategy not in groups[result.problem]:
            continue
        fastest = result in winners
        words = [_rate(result, fastest, thickness >= NUMBERED)]
        if not fastest and _is_auto(result, report):
            words.append("auto")
        axis.annotate(
            "  ".join(filter(None, words)),
            (captions.rate(result), _height(result, groups)),
            (3, -0.5),
            textcoords="offset points",
            va="center",
            color=WRONG if result.verdict == "WRONG" else INK if fastest else MUTED,
            fontsize=float(np.clip(68 * thickness, 6, 8.5)),
            weight="bold" if fastest else "normal",
            path_effects=halo,
            zorder=6,
        )


def _rate(result: Result, fastest: bool, numbered: bool) -> str:
    if result.verdict == "WRONG":
        return "WRONG"
    if fastest and result.to_direct and result.strategy != "direct":
        return f"{captions.rate(result):.0f}  {captions.times(result.to_direct)}"
    if not numbered and not fastest:
        return ""
    return f"{captions.rate(result):.0f}" if result.median_ms else result.verdict


def _is_auto(result: Result, report: Report) -> bool:
    """Whether this is what "auto" takes."""
    choice = report.choice(result.problem, result.direction)
    return choice is not None and choice.strategy == result.strategy


def _reading(report: Report) -> str:
    winners = captions.winners(report)
    behind = "Behind the fastest bar: its GFLOP/s"
    if any(result.strategy != "direct" for result in winners):
        behind += " and how many times as fast as direct it is"
    if any(_is_auto(result, report) and result not in winners for result in report.results):
        behind += "; auto: what fastcnn takes by itself where that is not the fastest"
    return f"{behind}. {captions.COUNTING}"
