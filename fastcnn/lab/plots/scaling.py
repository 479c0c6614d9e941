"""The picture of how training scales: efficiency over computers, simulated and measured."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from fastcnn.lab.measure.scaling import NETWORKS, WORTH, Scaling
from fastcnn.lab.plots import style
from fastcnn.plots.figure import GRID, INK, MUTED

MOST = 1024
NETWORK_COLOURS = ("#0072B2", "#D55E00")


def draw(scaling: Scaling, path: str | PathLike[str]) -> Path:
    """Draw the simulated curves and what was measured on this computer; return the file."""
    figure, ((axis,),) = style.figure(7.6, 4.9)
    figure.subplots_adjust(left=0.1, right=0.97, top=0.8, bottom=0.23)
    ranks = [2**power for power in range(MOST.bit_length())]
    for network, colour in zip(NETWORKS, NETWORK_COLOURS, strict=True):
        values = [scaling.simulated(network, count) for count in ranks]
        axis.plot(ranks, values, color=colour, label=f"simulated, {network.name}")
    measured = [(1, 1.0), *((step.ranks, scaling.weak_efficiency(step)) for step in scaling.weak)]
    axis.plot(
        *zip(*measured, strict=True), "o", color=INK, label="measured, ranks on this computer"
    )
    one_computer = [(step.ranks, scaling.simulated_here(step)) for step in scaling.weak]
    axis.plot(
        *zip(*one_computer, strict=True),
        "o",
        color=INK,
        mfc="none",
        label="simulated, ranks on this computer",
    )
    axis.axhline(WORTH, color=MUTED, linewidth=0.8, linestyle=":")
    axis.set_xscale("log", base=2)
    axis.set_xticks(ranks, [f"{count:,}" for count in ranks])
    axis.set_ylim(0, 1.1 * max(value for _, value in measured))  # ranks may use cores better
    axis.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    axis.grid(color=GRID, linewidth=0.6)
    axis.set_xlabel("computers, each with a rank", color=INK)
    axis.set_ylabel("efficiency, images for each", color=INK)
    style.quiet(axis)
    axis.legend(frameon=False, fontsize=9, labelcolor=INK, loc="lower left")
    worth = [
        f"{scaling.most_worth(network, MOST) or f'more than {MOST:,}'} at {network.name}"
        for network in NETWORKS
    ]
    title = f"{scaling.model}: below 80 % from {' and '.join(worth)}"
    subtitle = (
        f"The first number of computers below 80 %. Weak scaling, {scaling.batch:,} images each."
    )
    style.heading(figure, title, subtitle)
    latencies = ", ".join(f"{n.name}: latency {1e6 * n.latency:g} µs" for n in NETWORKS)
    style.footer(
        figure,
        [
            f"Simulated from the step of one rank and the bytes that ranks send. {latencies}.",
            "More than 16 ranks cannot train together yet: there it says what that would cost.",
            "Ranks on this computer share its cores and memory: efficiency against one with all.",
        ],
    )
    return style.save(figure, path)
