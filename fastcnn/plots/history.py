"""The curves of a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fastcnn.plots.figure import GRID, INK, MUTED, Save, finished, panels, quiet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TRAIN, VALIDATION = "#8a97a8", "#1f6fb4"


class FitHistory(Protocol):
    """What `fit` returns: the values of each epoch by name, and the numbers of the epochs."""

    history: dict[str, list[float]]
    epoch: list[int]


def curves(
    history: FitHistory | Mapping[str, Sequence[float]], save: Save = None
) -> tuple[Figure, NDArray[Any]]:
    """Draw the loss and each metric by epoch: training dashed, validation solid, the best marked.

    The best epoch is that of the lowest validation loss, or training loss where there was no
    validation; epochs count from 1.

    Args:
        history: What fit returned, or its dictionary of lists.
        save: The file to write; its ending says the format.

    Returns:
        The figure, and its axes in an array.

    Raises:
        ValueError: The history has no epoch.
        ImportError: matplotlib is not installed.
    """
    values = history.history if hasattr(history, "history") else history
    if "loss" not in values or not len(values["loss"]):
        raise ValueError(
            "plots.curves: history must hold at least one epoch's 'loss'. "
            f"Received {', '.join(values) or 'an empty history'}."
        )
    first = (getattr(history, "epoch", None) or [0])[0] + 1
    epochs = np.arange(first, first + len(values["loss"]))
    names = [n for n in values if not n.startswith("val_") and n != "learning_rate"]
    figure, axes = panels(len(names), width=5.2, height=3.6)
    watched = np.asarray(values.get("val_loss", values["loss"]), float)
    best = None if np.isnan(watched).all() else int(np.nanargmin(watched))
    for axis, name in zip(axes, names, strict=True):
        _curve(axis, epochs, name, values, best)
    return finished(figure, save), axes


def _curve(
    axis: Axes, epochs: NDArray[Any], name: str, values: Mapping[str, object], best: int | None
) -> None:
    """One panel: a value in training and, if there, in validation."""
    validated = f"val_{name}" in values
    train = np.asarray(values[name], float)
    # A single epoch has no line: show its points.
    marker = "o" if len(epochs) == 1 else None
    axis.plot(epochs, train, "--", color=TRAIN, marker=marker, label="training", linewidth=1.6)
    watched = np.asarray(values[f"val_{name}"], float) if validated else train
    if validated:
        measured = ~np.isnan(watched)  # not after each epoch, perhaps
        marker = "o" if measured.sum() == 1 else None
        (line,) = axis.plot(epochs[measured], watched[measured], "-", marker=marker, linewidth=2)
        line.set(color=VALIDATION, label="validation")
    if best is not None and best < len(watched):
        colour = VALIDATION if validated else TRAIN
        axis.axvline(epochs[best], color=GRID, linewidth=1, zorder=0)
        label = f"best epoch, {epochs[best]}: {watched[best]:.4g}"
        axis.plot(epochs[best], watched[best], "o", color=colour, markersize=7, label=label)
    axis.set_title(name.replace("_", " "), loc="left", color=INK, fontsize=11, fontweight="bold")
    axis.set_xlabel("epoch", color=MUTED)
    if len(epochs) == 1:
        axis.set_xticks(epochs)
    else:
        axis.locator_params(axis="x", integer=True)
    axis.grid(axis="y", color=GRID, linewidth=0.7)
    axis.set_axisbelow(True)
    axis.legend(frameon=False, labelcolor=INK, fontsize=9)
    quiet(axis)
