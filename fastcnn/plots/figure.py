"""What all pictures share: colours, panels, and how a figure becomes a file."""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from fastcnn.utils import atomic_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID = "#1f2933", "#6b7785", "#dfe4ea"
WRONG = "#b3261e"
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#4A4A4A")
"""Okabe and Ito's: readers with any colour vision can tell them apart."""
MARKERS = ("o", "s", "^", "D", "v")
"""Beside them: 7 and 5 have no common factor, so that 35 pairs differ."""

MOST_LETTERS = 24
"""Of a class's name: longer ones leave no room for the picture itself."""

Save = str | os.PathLike[str] | None


def colour_of(label: int) -> str:
    """Return the colour of a class, the same one in every picture.

    Args:
        label: The class, from 0.
    """
    return PALETTE[label % len(PALETTE)]


def class_titles(class_names: Sequence[str] | None, classes: int, where: str) -> list[str]:
    """Return what a picture calls each class.

    Args:
        class_names: A name for each class; None for the classes' numbers.
        classes: How many there are.
        where: The function that errors name.

    Returns:
        A title for each class.

    Raises:
        ValueError: There are not as many names as classes.
    """
    if class_names is None:
        return [str(label) for label in range(classes)]
    if len(class_names) != classes:
        raise ValueError(
            f"{where}: class_names must hold {classes} names. Received {len(class_names)}."
        )
    return [titled(name) for name in class_names]


def titled(name: object) -> str:
    """Return a class's name as a picture has room for it.

    Args:
        name: The name.

    Returns:
        Its beginning where it is long, without what matplotlib takes for a formula.
    """
    text = str(name)
    shown = text if len(text) <= MOST_LETTERS else f"{text[: MOST_LETTERS - 1]}…"
    return shown.replace("$", r"\$")


def panels(columns: int, width: float, height: float, rows: int = 1) -> tuple[Figure, NDArray[Any]]:
    """Return a figure of panels, and their axes in one flat array.

    Args:
        columns: Panels in a row.
        width: Of a panel, in inches.
        height: Of the figure, in inches.
        rows: Rows of panels.

    Raises:
        ImportError: matplotlib is not installed.
    """
    pyplot = _pyplot()
    figure, axes = pyplot.subplots(
        rows, columns, figsize=(width * columns, height), squeeze=False, layout="constrained"
    )
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.08)
    return figure, axes.ravel()


def _pyplot() -> Any:
    """matplotlib.pyplot, drawing to files where there is no display."""
    try:
        import matplotlib
    except ImportError as error:
        raise ImportError(
            "Pictures need matplotlib, which is not installed: pip install matplotlib."
        ) from error
    displays = ("DISPLAY", "WAYLAND_DISPLAY", "MPLBACKEND")
    headless = sys.platform.startswith("linux") and not any(map(os.environ.get, displays))
    if headless and "matplotlib.pyplot" not in sys.modules:
        matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def quiet(axis: Axes) -> None:
    """Take away the box, and make ticks soft.

    Args:
        axis: The axes of a panel.
    """
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.spines["bottom"].set_color(GRID)
    axis.tick_params(colors=MUTED, labelsize=9, length=0)


def finished(figure: Figure, save: Save) -> Figure:
    """Write the file; a figure that went to a file is not also shown by pyplot.show().

    Args:
        figure: The picture.
        save: The file; None for none.

    Returns:
        The picture.
    """
    if save is not None:
        write(figure, save, dpi=130)
        close(figure)
    return figure


def close(figure: Figure) -> None:
    """Have pyplot forget a figure, which `pyplot.show()` would show.

    Args:
        figure: The picture.
    """
    _pyplot().close(figure)


def write(figure: Figure, path: str | os.PathLike[str], dpi: int) -> Path:
    """Write a picture as a whole or not at all, and make the folder where there is none.

    Args:
        figure: The picture.
        path: The file; its ending says the format, PNG where there is none.
        dpi: Dots per inch.

    Returns:
        The file's path.
    """
    target = Path(path)
    check(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    content = encoded(figure, dpi, _format(target))
    with atomic_file.replacing(target) as file:
        file.write(content)
    return target


def encoded(figure: Figure, dpi: int, file_format: str = "png") -> bytes:
    """Return a picture as a file holds it.

    Args:
        figure: The picture.
        dpi: Dots per inch.
        file_format: The ending of such files.
    """
    drawn = io.BytesIO()
    with warnings.catch_warnings():
        # Of letters that no font at hand has, and of names that take the room of what they name.
        warnings.simplefilter("ignore", UserWarning)
        figure.savefig(drawn, format=file_format, dpi=dpi, facecolor="white")
    return drawn.getvalue()


def check(path: str | os.PathLike[str]) -> None:
    """Find out, before long work, whether a picture can be written.

    Args:
        path: The file; its ending says the format, PNG where there is none.

    Raises:
        ImportError: matplotlib is not installed.
        OSError: The file cannot be written.
        ValueError: There is no such format.
    """
    formats = _pyplot().Figure().canvas.get_supported_filetypes()
    if _format(Path(path)) not in formats:
        raise ValueError(
            f"'{path}' must end in a picture's format: {', '.join(f'.{f}' for f in formats)}."
        )
    atomic_file.check(path, make_folders=True)


def _format(path: Path) -> str:
    return path.suffix.removeprefix(".").lower() or "png"
