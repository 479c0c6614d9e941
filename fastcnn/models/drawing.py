"""A model as a picture. Few programs draw: `fastcnn.plots` is imported by those that do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastcnn.training.trainer import Trainer
from fastcnn.utils import arguments, markup

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from fastcnn.plots.figure import Save
    from fastcnn.plots.network_layout import Drawing

UNFOLDED = 1600.0
"""The height, in pixels of one column, up to which every layer is drawn."""


def plot(model: Trainer, path: Save = None, fold: bool | None = None) -> tuple[Figure, Axes]:
    """Draw the layers: blocks from top to bottom, branches side by side, shapes beside them.

    Normalizations, activations and dropout stand in the block of the layer before.

    Args:
        model: The model.
        path: The file to write; its ending says the format, PNG where there is none.
        fold: Whether rows of layers that stand there several times, one after the other, are drawn
            once, in a frame with their number; the shape beside it is that of the last. None folds
            what would be high otherwise.

    Returns:
        The figure and its axes.

    Raises:
        ValueError: The model has no layers yet, or there is no such format.
        ImportError: matplotlib is not installed.
        OSError: The file cannot be written.
    """
    from fastcnn.plots import figure, network_drawing

    drawn, axes = network_drawing.figure(drawing(model, fold))
    return figure.finished(drawn, path), axes


def drawing(model: Trainer, fold: bool | None = None) -> Drawing:
    """Return where everything is that `plot` draws.

    Args:
        model: The model.
        fold: As `plot` has it.
    """
    from fastcnn.plots import network_graph, network_layout

    if not model.layers:
        raise ValueError("plot: the model has no layers yet. Call model.add(layer).")
    row = network_graph.items(model.layers)
    if fold is None:
        fold = network_layout.extent(row).height > UNFOLDED
    if arguments.flag("plot", "fold", fold):
        row = network_graph.folded(row)
    weights = sum(parameter.size for parameter in model.parameters)
    return network_layout.laid_out(row, f"{model.name}, {weights:,} parameters", model.input_shape)


def html(model: Trainer) -> str:
    """Return what a notebook shows of a model: its drawing, and the table of its layers.

    Args:
        model: The model.
    """
    if not model.layers:
        return markup.fragment(f"<p>{markup.text(repr(model))}</p>")
    from fastcnn.plots import network_drawing, network_layout

    label = f"The layers of {model.name}"
    picture = network_drawing.svg(drawing(model), label)
    rows = [
        [
            f"{markup.text(layer.path)} ({type(layer).__name__})",
            network_layout.shape_text(layer.output_shape),
            f"{sum(parameter.size for parameter in layer.parameters):,}",
        ]
        for top in model.layers
        for layer in top.walk()
    ]
    total = f"{sum(parameter.size for parameter in model.parameters):,}"
    table = markup.table(["layer", "output", "parameters"], [*rows, ["all", "", total]])
    return markup.fragment(
        f'<div class="scroll">{picture}</div>'
        f'<details><summary>{len(rows)} layers</summary><div class="scroll">{table}</div></details>'
    )
