"""What a notebook shows of a training: its curves and its last epochs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from fastcnn.utils import markup, svg_chart

ROWS = 10
"""Epochs above which only the first ones and the last ones are listed."""
UNTOLD = ("epoch", "seconds", "images_per_second")
"""Columns without a curve."""


def page(columns: Mapping[str, Sequence[float]]) -> str:
    """Return the curves and the table as HTML.

    Args:
        columns: The values of each epoch by name, with its number, from 0, under "epoch".
    """
    epochs = [int(epoch) + 1 for epoch in columns["epoch"]]
    charts = [
        _chart(name, epochs, columns)
        for name in columns
        if name not in UNTOLD and not name.startswith("val_")
    ]
    shown = [n for n in range(len(epochs)) if n < ROWS // 2 or n >= len(epochs) - ROWS // 2]
    names = [name for name in columns if name != "epoch"]
    rows = []
    for before, row in zip([-1, *shown], shown, strict=False):
        if row > before + 1:
            rows.append(["…"] + [""] * len(names))
        rows.append([str(epochs[row]), *(_number(columns[name][row]) for name in names)])
    table = markup.table(["epoch", *(name.replace("_", " ") for name in names)], rows)
    return markup.fragment(f'<div class="charts">{"".join(charts)}</div>{table}')


def _chart(name: str, epochs: Sequence[int], columns: Mapping[str, Sequence[float]]) -> str:
    sides = {"training": name, "validation": f"val_{name}"}
    curves = {
        side: list(zip(epochs, columns[column], strict=True))
        for side, column in sides.items()
        if column in columns
    }
    return svg_chart.lines(name.replace("_", " "), "epoch", curves)


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"
