"""Pictures side by side, with titles: what most methods draw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.explain.pixels import Picture
from fastcnn.explain.result import Result
from fastcnn.plots.figure import INK, MUTED

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GAP = 0.08  # between cells, whose side is 1
APART = 0.3  # between groups of cells, beside GAP
TITLE = 0.24  # the height of a line of text above a cell
LARGEST = (16.0, 18.0)  # inches
LETTER = 0.078  # the width of a letter, in inches, at 9 points
EM = 0.62  # the width of a letter, as a part of its size
WRAPPED, SMALLEST = 7, 6  # points below which a title is wrapped, and those at which it is cut


@dataclass(frozen=True)
class Cell:
    """One picture, and the text above it."""

    picture: Picture
    title: str = ""


class Mosaic(Result):
    """Pictures in rows.

    Args:
        array: The numbers that the pictures are of.
        rows: Makes the pictures, row by row, when they are drawn.
        title: Stands above all.
        row_titles: Text beside the rows.
        column_titles: Text above the columns.
        cell: The side of a cell, in inches.
        group: Cells in a row that belong together.
    """

    def __init__(
        self,
        array: NDArray[Any],
        rows: Callable[[], Sequence[Sequence[Cell]]],
        title: str = "",
        row_titles: Sequence[str] = (),
        column_titles: Sequence[str] = (),
        cell: float = 1.1,
        group: int | None = None,
    ):
        super().__init__(array)
        self._make_rows = rows
        self._rows: list[list[Cell]] | None = None
        self._title = title
        self._row_titles = list(row_titles)
        self._column_titles = list(column_titles)
        self._cell = cell
        self._group = group

    @property
    def rows(self) -> list[list[Cell]]:
        """The pictures, row by row."""
        if self._rows is None:
            self._rows = [list(row) for row in self._make_rows()]
        return self._rows

    @property
    def size(self) -> tuple[float, float]:
        left, right, top, bottom = self._extent()
        lines = self._title.split("\n") if self._title else []
        widest = max((LETTER * 1.15 * len(line) for line in lines), default=0.0)
        title = 0.25 + 0.2 * len(lines) if lines else 0.0
        return max(self._side * (right - left), widest) + 0.3, self._side * (
            bottom - top
        ) + 0.2 + title

    @property
    def _side(self) -> float:
        """The side of a cell in inches, smaller where there are many."""
        most = LARGEST[1] / (len(self.rows) * self._row_step)
        return min(self._widest_side, max(most, 0.3))

    @property
    def _widest_side(self) -> float:
        """The side of a cell in inches, as far as a row's width allows."""
        columns = max(map(len, self.rows))
        most = LARGEST[0] / (self._left(columns - 1) + 1 + GAP)
        return float(min(max(self._cell, 2.2 / columns), max(most, 0.3)))

    def _left(self, column: int) -> float:
        """Where a column begins, in sides of a cell."""
        groups = column // self._group if self._group else 0
        return column * (1 + GAP) + groups * APART

    @property
    def _lines(self) -> int:
        """Lines of text above each cell."""
        titles = [cell.title for row in self.rows for cell in row if cell.title]
        return max((len(self._wrapped(title)) for title in titles), default=0)

    def _wrapped(self, title: str) -> list[str]:
        """The lines of a title, of which one that is too long becomes two."""
        letters = int(72 * self._widest_side / (EM * WRAPPED))
        return [part for line in title.split("\n") for part in _in_two(line, letters)]

    @property
    def _row_step(self) -> float:
        return 1 + GAP + TITLE * self._lines

    def _extent(self) -> tuple[float, float, float, float]:
        """Left, right, top and bottom of all, in sides of a cell."""
        letters = max((len(line) for t in self._row_titles for line in t.split("\n")), default=0)
        left = -(LETTER * letters + 0.1) / self._side if letters else 0.0
        top = -(0.3 / self._side) if any(self._column_titles) else 0.0
        right = self._left(max(map(len, self.rows)) - 1) + 1
        return left, right, top, len(self.rows) * self._row_step - GAP

    def draw(self, axes: Axes) -> None:
        left, right, top, bottom = self._extent()
        lines = TITLE * self._lines
        for r, row in enumerate(self.rows):
            for c, cell in enumerate(row):
                self._draw_cell(axes, cell, self._left(c), r * self._row_step + lines)
        points = 9
        for r, text in enumerate(self._row_titles):
            y = r * self._row_step + lines + 0.5
            axes.text(
                left, y, text, ha="left", va="center", fontsize=points, color=INK, parse_math=False
            )
        for c, text in enumerate(self._column_titles):
            axes.text(
                self._left(c) + 0.5, -0.06, text, ha="center", va="bottom", fontsize=9, color=MUTED
            )
        axes.set_xlim(left, right)
        axes.set_ylim(bottom, top)
        axes.set_aspect("equal", anchor="NW")
        axes.set_axis_off()
        if self._title:
            axes.set_title(self._title, loc="left", fontsize=11, fontweight="bold", color=INK)

    def _draw_cell(self, axes: Axes, cell: Cell, x: float, y: float) -> None:
        height, width = cell.picture.shape[:2]
        if not height or not width:
            return
        high, wide = height / max(height, width), width / max(height, width)
        x_from, y_from = x + (1 - wide) / 2, y + (1 - high) / 2
        axes.imshow(
            np.clip(cell.picture, 0, 1),
            extent=(x_from, x_from + wide, y_from + high, y_from),
            interpolation="nearest",
            aspect="equal",
        )
        if cell.title:
            room = 72 * self._side * (1 + GAP / 2) / EM
            lines = [_cut(line, int(room / SMALLEST)) for line in self._wrapped(cell.title)]
            points = float(np.clip(room / max(map(len, lines)), SMALLEST, 9))
            axes.text(
                x + 0.5,
                y - 0.04,
                "\n".join(lines),
                ha="center",
                va="bottom",
                fontsize=points,
                color=INK,
                linespacing=1.05,
                parse_math=False,
            )


def _in_two(line: str, letters: int) -> list[str]:
    """A line as two, parted between words where it has more letters than fit."""
    ends = [place for place, letter in enumerate(line[:-1], 1) if letter in " _-,"]
    if len(line) <= letters or not ends:
        return [line]
    place = min(ends, key=lambda end: abs(2 * end - len(line)))
    return [line[:place].rstrip(), line[place:]]


def _cut(line: str, letters: int) -> str:
    """A line with as many letters as fit, and an ellipsis for the others."""
    return line if len(line) <= letters else line[: max(letters - 1, 1)].rstrip() + "…"


def in_columns(cells: Sequence[Cell], columns: int) -> list[list[Cell]]:
    """Return cells in rows of so many.

    Args:
        cells: All of them.
        columns: Cells in a row.

    Returns:
        The rows, of which the last one may be shorter.
    """
    return [list(cells[i : i + columns]) for i in range(0, len(cells), columns)]
