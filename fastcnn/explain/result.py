"""What every method returns: numbers, and the picture of them."""

from __future__ import annotations

import contextlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from fastcnn.plots import figure as figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 130
NOTEBOOK_DPI = 80


class Result(ABC):
    """Numbers and their picture.

    Args:
        array: The numbers.
    """

    def __init__(self, array: NDArray[Any]):
        self.array = array

    @property
    @abstractmethod
    def size(self) -> tuple[float, float]:
        """Width and height of the picture, in inches."""

    @abstractmethod
    def draw(self, axes: Axes) -> None:
        """Draw the picture.

        Args:
            axes: Where to.
        """

    def plot(self, axes: Axes | None = None) -> Axes:
        """Draw the picture.

        Args:
            axes: Where to; None for a figure of its own.

        Returns:
            The axes that it was drawn to.

        Raises:
            ImportError: matplotlib is not installed.
        """
        if axes is None:
            width, height = self.size
            _, panels = figures.panels(1, width=width, height=height)
            axes = panels[0]
        self.draw(axes)
        return axes

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture to a file.

        Args:
            path: The file; its ending says the format, PNG where there is none.

        Returns:
            The file's path.

        Raises:
            ImportError: matplotlib is not installed.
            OSError: The file cannot be written.
        """
        with self._drawn() as figure:
            return figures.write(figure, path, DPI)

    def _repr_png_(self) -> bytes:
        """What a notebook shows."""
        with self._drawn() as figure:
            return figures.encoded(figure, NOTEBOOK_DPI)

    @contextlib.contextmanager
    def _drawn(self) -> Iterator[Figure]:
        """A figure of the picture, which pyplot forgets afterwards."""
        width, height = self.size
        figure, panels = figures.panels(1, width=width, height=height)
        try:
            self.draw(panels[0])
            yield figure
        finally:
            figures.close(figure)
