"""The loss by the learning rate, of a range test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fastcnn.plots.figure import GRID, INK, MUTED, PALETTE, Save, finished, panels, quiet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def learning_rates(
    rates: NDArray[np.float64],
    losses: NDArray[np.float64],
    smoothed: NDArray[np.float64],
    suggestion: float | None,
    save: Save = None,
) -> tuple[Figure, Axes]:
    """Draw the losses of a range test by their learning rates, and mark the suggestion.

    Args:
        rates: The learning rates, rising.
        losses: The loss at each.
        smoothed: The same without noise.
        suggestion: The rate to mark; None for none.
        save: The file to write; its ending says the format.

    Returns:
        The figure and its axes.

    Raises:
        ImportError: matplotlib is not installed.
    """
    figure, axes = panels(1, width=6.4, height=3.8)
    axis = axes[0]
    axis.plot(rates, losses, ".", color=MUTED, alpha=0.5, markersize=4, label="each batch")
    axis.plot(rates, smoothed, color=PALETTE[0], linewidth=2, label="smoothed")
    if suggestion is not None:
        height = float(np.interp(suggestion, rates, smoothed))
        axis.axvline(suggestion, color=PALETTE[5], linewidth=1, linestyle="--")
        axis.plot(
            [suggestion], [height], "o", color=PALETTE[5], label=f"steepest: {suggestion:.2g}"
        )
    axis.set_xscale("log")
    top = float(np.max(smoothed[: max(1, int(np.argmin(smoothed)))], initial=np.min(smoothed)))
    axis.set_ylim(0, 1.6 * top)
    axis.set_xlabel("learning rate", color=MUTED)
    axis.set_title("Loss by learning rate", loc="left", color=INK, fontsize=11)
    axis.grid(axis="y", color=GRID, linewidth=0.8)
    axis.legend(frameon=False, fontsize=9, labelcolor=MUTED)
    quiet(axis)
    return finished(figure, save), axis
