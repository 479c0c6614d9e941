"""What the lab's pictures share: colours, markers, titles, legends, files.

Okabe and Ito's palette: readers with any colour vision can tell its colours apart.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastcnn.plots import write
from fastcnn.plots.figure import GRID, INK, MUTED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {
    "direct": "#0072B2",
    "im2col": "#E69F00",
    "im2col-blas": "#D55E00",
    "winograd": "#009E73",
    "winograd-2x2": "#7FD3B6",
    "fft": "#CC79A7",
    "torch": "#4A4A4A",
}
OTHER_COLOURS = ("#56B4E9", "#B0A800", "#8C6D46")
MARKERS = {"forward": "o", "dx": "^", "dw": "s"}
DIRECTION_NAMES = {
    "forward": "forward",
    "dx": "dx, gradient of the input",
    "dw": "dw, gradient of the kernel",
}
SHADE = "#F3F5F7"
UNMEASURED = "#ECEFF2"
DOTS_PER_INCH = 150
FORMATS = (".png", ".svg", ".pdf")


def colours(strategies: Iterable[str]) -> dict[str, str]:
    """A colour for each strategy, in the order of the table; the same in every picture."""
    names = set(strategies)
    fixed = {name: colour for name, colour in COLOURS.items() if name in names}
    spare = sorted(names - set(fixed))
    return fixed | {
        name: OTHER_COLOURS[number % len(OTHER_COLOURS)] for number, name in enumerate(spare)
    }


def figure(width: float, height: float, **panels: Any) -> tuple[Figure, Any]:
    """A figure that belongs to nobody, drawn to a file alone, and its axes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(width, height))
    FigureCanvasAgg(drawing)
    return drawing, drawing.subplots(squeeze=False, **panels)


def quiet(axis: Axes) -> None:
    """No box, soft ticks."""
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color(GRID)
    axis.tick_params(which="both", colors=MUTED, labelsize=9, length=0)
    axis.set_axisbelow(True)


def heading(figure: Figure, title: str, subtitle: str) -> None:
    """A title that says what one sees, and beneath it what was measured."""
    height = figure.get_figheight()
    left = 0.16 / figure.get_figwidth()
    figure.text(left, 1 - 0.14 / height, title, va="top", color=INK, fontsize=14, weight="bold")
    figure.text(left, 1 - 0.45 / height, subtitle, va="top", color=MUTED, fontsize=10)


def legend(figure: Figure, rows: Sequence[Sequence[Any]]) -> None:
    """Rows of keys beneath the heading."""
    width, height = figure.get_size_inches()
    for number, marks in enumerate(rows):
        figure.legend(
            handles=marks,
            ncols=len(marks),
            loc="upper left",
            bbox_to_anchor=(0.06 / width, 1 - (0.68 + 0.24 * number) / height),
            frameon=False,
            fontsize=9.5,
            labelcolor=INK,
            handlelength=1.3,
            handletextpad=0.4,
            columnspacing=1.3,
        )


def colour_legend(figure: Figure, colours: dict[str, str]) -> None:
    """A row of keys: colours and the strategies they stand for."""
    from matplotlib.patches import Patch

    legend(figure, [[Patch(color=colour, label=name) for name, colour in colours.items()]])


def panel_title(axis: Axes, direction: str, lift: float = 5) -> None:
    """A direction's name above its panel, so many points up."""
    axis.annotate(
        DIRECTION_NAMES[direction],
        (0, 1),
        (0, lift),
        xycoords="axes fraction",
        textcoords="offset points",
        color=INK,
        fontsize=11,
        weight="bold",
    )


def footer(figure: Figure, lines: Sequence[str]) -> None:
    """The small print at the bottom: how to read it, and the machine."""
    left = 0.16 / figure.get_figwidth()
    at = 0.1 / figure.get_figheight()
    figure.text(left, at, "\n".join(lines), va="bottom", color=MUTED, fontsize=8, linespacing=1.45)


def beside(path: str | os.PathLike[str], name: str) -> Path:
    """out.png, "bars" -> out-bars.png."""
    whole = Path(path)
    return whole.with_name(f"{whole.stem}-{name}{whole.suffix}")


def save(figure: Figure, path: str | os.PathLike[str]) -> Path:
    """Write the picture as a whole or not at all; make the folder where there is none."""
    return write(figure, path, DOTS_PER_INCH)


def ink_on(colour: str) -> str:
    """White or dark, whichever is easier to read on a colour (#rrggbb)."""
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return INK if 0.3 * red + 0.59 * green + 0.11 * blue > 0.55 else "white"
