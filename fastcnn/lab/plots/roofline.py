"""The roofline picture: how close each convolution comes to what the machine allows.

After Williams, Waterman and Patterson (2009): of each problem the operations for each byte that it
must at least move, against the operations a second that were reached.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastcnn.lab.plots import style
from fastcnn.lab.report import captions
from fastcnn.lab.results import Ceilings, NamedProblem, Report, Result
from fastcnn.plots.figure import GRID, INK, MUTED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMED_PROBLEMS = 24
"""Above so many problems their names would no longer be legible."""
MANY_POINTS = 150
DODGE = 1.025  # how far the directions of one problem stand apart, as a factor
NAME_GAP = 0.15  # inches between two names
FEWER_OPERATIONS = ("winograd", "winograd-2x2", "fft")


def draw(report: Report, machine: str) -> Figure:
    """A point for each problem, direction and strategy under the ceilings of the run."""
    timed = [result for result in report.results if result.gflops]
    names = captions.names(dict.fromkeys(result.problem for result in timed))
    named = len(names) <= NAMED_PROBLEMS
    room = 0.085 * max(map(len, names.values()), default=0) + 0.25 if named else 0.2
    figure, axis = _panel(room)
    _scales(axis, report.ceilings, timed)
    _roofs(axis, report.ceilings)
    colours = style.colours(result.strategy for result in timed)
    directions = captions.directions(report)
    _points(axis, timed, set(captions.winners(report)), directions, colours)
    if named:
        _names(axis, names)
    _legends(figure, directions, colours)
    style.heading(
        figure, _title(timed, report.ceilings), captions.measured(report, captions.FASTEST)
    )
    style.footer(figure, [_reading(timed, report.ceilings), captions.COUNTING, machine])
    return figure


def _panel(room: float) -> tuple[Figure, Axes]:
    """A figure with so many inches of room above its panel."""
    width, height = 10.0, 7.2 + room
    figure, axes = style.figure(width, height)
    figure.subplots_adjust(
        left=0.75 / width,
        right=1 - 1.25 / width,
        bottom=1.3 / height,
        top=1 - (1.15 + room) / height,
    )
    style.quiet(axes[0, 0])
    return figure, axes[0, 0]


def _scales(axis: Axes, ceilings: Ceilings, timed: list[Result]) -> None:
    ridge = _ridge(ceilings)
    # The slope of the memory stays in sight even where every problem is far from it.
    intensities = [ridge / 3, ridge, *(result.intensity for result in timed)]
    rates = [ceilings.compute_gflops, *(result.gflops or 0.0 for result in timed)]
    axis.set_xscale("log", base=2)
    axis.set_yscale("log", base=2)
    axis.set_xlim(min(intensities) / 1.7, max(intensities) * 1.7)
    axis.set_ylim(min(rates) / 1.6, max(rates) * 1.35)
    for side in (axis.xaxis, axis.yaxis):
        side.set_major_formatter(lambda value, _: f"{value:g}")
    axis.grid(color=GRID, linewidth=0.6)
    axis.set_xlabel("operations for each byte that must be moved (flop / byte)", color=INK)
    axis.set_ylabel("GFLOP/s", color=INK)


def _ridge(ceilings: Ceilings) -> float:
    """The intensity from which on the arithmetic limits, no longer the memory."""
    return ceilings.compute_gflops / ceilings.copy_gbytes


def _roofs(axis: Axes, ceilings: Ceilings) -> None:
    """The slope of the memory, the flat roof of the arithmetic, the sky above them."""
    low, high = axis.get_xlim()
    ridge = _ridge(ceilings)
    x = np.array([low, ridge, high])
    y = [ceilings.roofline(intensity) for intensity in x]
    axis.fill_between(x, y, axis.get_ylim()[1], color=style.SHADE, zorder=0, linewidth=0)
    axis.plot(x, y, color=INK, linewidth=2, solid_joinstyle="miter", zorder=2, label="roof")
    rates = {"arithmetic": ceilings.compute_gflops}
    if ceilings.sgemm_gflops is not None:
        rates["sgemm"] = ceilings.sgemm_gflops
        sgemm = [ceilings.sgemm_gflops] * 2
        axis.plot([ridge, high], sgemm, "--", color=INK, linewidth=1.2, zorder=2, label="sgemm")
    angle = _slope(axis)
    middle = float(np.sqrt(max(low, axis.get_ylim()[0] / ceilings.copy_gbytes) * ridge))
    axis.annotate(
        f"memory, {ceilings.copy_gbytes:.1f} GB/s",
        (middle, ceilings.copy_gbytes * middle),
        (-5 * np.sin(angle), 5 * np.cos(angle)),
        textcoords="offset points",
        ha="center",
        rotation=np.degrees(angle),
        rotation_mode="anchor",
        color=INK,
        fontsize=9,
    )
    places = _spread([_share(axis, "y", rate) for rate in rates.values()], 0.34 / _inches(axis)[1])
    for (name, rate), place in zip(rates.items(), places, strict=True):
        axis.annotate(
            f"{name}\n{rate:.0f} GFLOP/s",
            (1, place),
            (6, 0),
            xycoords="axes fraction",
            textcoords="offset points",
            va="center",
            color=INK,
            fontsize=9,
            linespacing=1.1,
        )


def _points(
    axis: Axes,
    timed: list[Result],
    winners: set[Result],
    directions: list[str],
    colours: dict[str, str],
) -> None:
    """The fastest of each problem and direction has a dark rim and lies on top."""
    size = 8.0 if len(timed) < MANY_POINTS else 6.0
    for number, direction in enumerate(directions):
        shift = DODGE ** (2 * number - len(directions) + 1)
        for strategy, colour in colours.items():
            chosen = [r for r in timed if (r.direction, r.strategy) == (direction, strategy)]
            for fastest in (False, True):
                shown = [result for result in chosen if (result in winners) == fastest]
                axis.plot(
                    [result.intensity * shift for result in shown],
                    [result.gflops or 0.0 for result in shown],
                    style.MARKERS[direction],
                    color=colour,
                    markersize=size,
                    markeredgecolor=INK if fastest else "white",
                    markeredgewidth=1.1 if fastest else 0.7,
                    zorder=5 if fastest else 4,
                    label=f"{direction} {strategy}",
                )


def _names(axis: Axes, names: dict[NamedProblem, str]) -> None:
    """Each problem's name above its points, side by side where points are close together."""
    ordered = sorted(names, key=lambda problem: problem.intensity)
    wanted = [_share(axis, "x", problem.intensity) for problem in ordered]
    places = _spread(wanted, NAME_GAP / _inches(axis)[0])
    lift = 0.2 / _inches(axis)[1]
    across = axis.get_xaxis_transform()
    inside: dict[str, Any] = {"transform": axis.transAxes, "clip_on": False}
    for problem, at, place in zip(ordered, wanted, places, strict=True):
        x = [problem.intensity] * 2
        axis.plot(x, [0, 1], color=GRID, linewidth=0.8, transform=across, zorder=1)
        axis.plot([at, place], [1, 1 + lift], color=MUTED, linewidth=0.6, **inside)
        axis.text(
            place,
            1 + 1.15 * lift,
            names[problem],
            transform=axis.transAxes,
            rotation=90,
            ha="center",
            va="bottom",
            color=INK,
            fontsize=9,
        )


def _share(axis: Axes, side: str, value: float) -> float:
    """Where a value lies along an axis, from 0 to 1."""
    low, high = axis.get_xlim() if side == "x" else axis.get_ylim()
    return float(np.log(value / low) / np.log(high / low))


def _slope(axis: Axes) -> float:
    """The angle of a line of slope 1 on the logarithmic scales."""
    width, height = _inches(axis)
    steps = [np.log(high / low) for low, high in (axis.get_xlim(), axis.get_ylim())]
    return float(np.arctan2(height / steps[1], width / steps[0]))


def _inches(axis: Axes) -> tuple[float, float]:
    """The size of the panel."""
    box, dots = axis.bbox, axis.figure.dpi
    return float(box.width / dots), float(box.height / dots)


def _spread(wanted: list[float], gap: float) -> list[float]:
    """Move positions apart until neighbours are `gap` apart, each group around its middle."""
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    groups: list[list[int]] = []
    middles: list[float] = []
    for index in order:
        groups.append([index])
        middles.append(wanted[index])
        while len(groups) > 1 and _overlap(groups, middles, gap):
            joined = groups[-2] + groups[-1]
            groups[-2:] = [joined]
            middles[-2:] = [sum(wanted[i] for i in joined) / len(joined)]
    places = list(wanted)
    for group, middle in zip(groups, middles, strict=True):
        for number, index in enumerate(group):
            places[index] = middle + (number - (len(group) - 1) / 2) * gap
    return places


def _overlap(groups: list[list[int]], middles: list[float], gap: float) -> bool:
    """Whether the last two groups come too close to each other."""
    needed = gap * (len(groups[-2]) + len(groups[-1])) / 2
    return middles[-1] - middles[-2] < needed * (1 - 1e-9)


def _legends(figure: Figure, directions: list[str], colours: dict[str, str]) -> None:
    """Colours say the strategy, shapes the direction."""
    from matplotlib.lines import Line2D

    def mark(shape: str, colour: str, name: str, rim: str = "white") -> Line2D:
        return Line2D(
            [],
            [],
            marker=shape,
            color=colour,
            label=name,
            markeredgecolor=rim,
            markersize=8.5,
            linestyle="none",
        )

    strategies = [mark("o", colour, name) for name, colour in colours.items()]
    shapes = [mark(style.MARKERS[name], MUTED, name) for name in directions]
    style.legend(figure, [strategies, [*shapes, mark("o", "white", "fastest", INK)]])


def _title(timed: list[Result], ceilings: Ceilings) -> str:
    """The largest share of the roof that was reached, and direct's."""
    # What the caches hold is not bound by the memory's slope: it would always seem the best.
    beyond = [result for result in timed if result.intensity >= _ridge(ceilings)] or timed
    shares = {
        result: (result.gflops or 0.0) / ceilings.roofline(result.intensity) for result in beyond
    }
    if not shares:
        return "Nothing was measured"
    best = max(beyond, key=lambda result: shares[result])
    title = (
        f"{best.strategy} reaches {100 * shares[best]:.0f} % of the roof "
        f"in {best.problem.name} {best.direction}"
    )
    direct = [shares[result] for result in beyond if result.strategy == "direct"]
    if best.strategy == "direct" or not direct:
        return title
    return f"{title}, direct {100 * max(direct):.0f} % at best"


def _reading(timed: list[Result], ceilings: Ceilings) -> str:
    """How to read the picture, and why some points lie above the roof."""
    above = [
        result for result in timed if (result.gflops or 0.0) > ceilings.roofline(result.intensity)
    ]
    reasons = []
    if any(result.strategy in FEWER_OPERATIONS for result in above):
        reasons.append("Winograd and FFT do fewer operations than are counted")
    if any(result.intensity < _ridge(ceilings) for result in above):
        reasons.append("what stays in the caches is not bound by the memory")
    reading = "A point: one strategy on one problem."
    return f"{reading} Above the roof: {'; '.join(reasons)}." if reasons else reading
