"""The boundary of a classifier of points, epoch by epoch."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastcnn.callbacks.callback import Callback, Logs
from fastcnn.explain.decision_boundary import Plane, labelled_points, plane_around
from fastcnn.explain.result import Result
from fastcnn.plots import figure as figures
from fastcnn.utils import arguments, atomic_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from PIL.Image import Image

SHOWN = 8
"""Epochs that a picture shows at most; an animation shows all that were recorded."""
COLUMNS = 4
PANEL = 2.5
"""The side of an epoch's panel, in inches."""
DPI = 90
"""Of an animation."""


class BoundaryEpochs(Result):
    """What a classifier answered in the plane, at each of several epochs.

    Args:
        array: Probabilities, [epochs, rows, columns, classes].
        epochs: How many epochs had been trained, 0 before the first.
        accuracies: The share of points that were told rightly.
        plane: The points, and where the answers are of.
    """

    def __init__(
        self,
        array: NDArray[np.float32],
        epochs: Sequence[int],
        accuracies: Sequence[float],
        plane: Plane,
    ):
        super().__init__(array)
        self.epochs = list(epochs)
        self.accuracies = list(accuracies)
        self.plane = plane

    @property
    def _shown(self) -> list[int]:
        """Places among the epochs: first, last and those between, in steps that grow, since a
        boundary moves most at first."""
        last = len(self.epochs) - 1
        if last < SHOWN:
            return list(range(last + 1))
        growing = np.geomspace(1, last, SHOWN - 1).round().astype(int)
        return sorted({0, *growing.tolist()})

    @property
    def size(self) -> tuple[float, float]:
        count = len(self._shown)
        return PANEL * min(count, COLUMNS), PANEL * -(-count // COLUMNS)

    def draw(self, axes: Axes) -> None:
        axes.set_axis_off()
        shown = self._shown
        columns, rows = min(len(shown), COLUMNS), -(-len(shown) // COLUMNS)
        for number, place in enumerate(shown):
            row, column = divmod(number, COLUMNS)
            bounds = (column / columns, 1 - (row + 0.88) / rows, 0.92 / columns, 0.8 / rows)
            panel = axes.inset_axes(bounds)
            self._draw_epoch(panel, place)

    def _draw_epoch(self, axes: Axes, place: int) -> None:
        share = f"{100 * self.accuracies[place]:.0f} %"
        self.plane.draw(axes, self.array[place], f"epoch {self.epochs[place]}: {share} right")
        axes.set_xticks([])
        axes.set_yticks([])

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture of some epochs, or of a name that ends in .gif an animation of all.

        Args:
            path: The file; its ending says the format, PNG where there is none.

        Returns:
            The file's path.

        Raises:
            ImportError: matplotlib is not installed.
            OSError: The file cannot be written.
        """
        target = Path(path)
        return self.animate(target) if target.suffix.lower() == ".gif" else super().save(target)

    def animate(self, path: str | os.PathLike[str], seconds: float = 0.25) -> Path:
        """Write an animation, a GIF, of all epochs that were recorded.

        Args:
            path: The file.
            seconds: How long each epoch is shown; the last one for two seconds more.

        Returns:
            The file's path.

        Raises:
            ImportError: matplotlib is not installed.
            OSError: The file cannot be written.
        """
        wait = round(1000 * arguments.number("animate", "seconds", seconds, above=0))
        target = Path(path)
        atomic_file.check(target, make_folders=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        first, *others = self._frames()
        drawn = io.BytesIO()
        waits = [wait] * len(others) + [wait + 2000]
        first.save(
            drawn, "GIF", save_all=True, append_images=others, duration=waits, loop=0, disposal=2
        )
        with atomic_file.replacing(target) as file:
            file.write(drawn.getvalue())
        return target

    def _frames(self) -> Iterator[Image]:
        """All epochs, drawn to one figure, whose layout stays."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from PIL import Image as images

        drawn, panels = figures.panels(1, width=4.6, height=4.4)
        drawn.set_dpi(DPI)
        canvas = FigureCanvasAgg(drawn)
        try:
            for place in range(len(self.epochs)):
                panels[0].clear()
                self._draw_epoch(panels[0], place)
                canvas.draw()
                drawn.set_layout_engine("none")
                yield images.fromarray(np.asarray(canvas.buffer_rgba())[..., :3]).quantize(64)
        finally:
            figures.close(drawn)


class BoundaryRecorder(Callback):
    """Records after each epoch what a classifier of points in the plane answers around them.

    `result()` then has the epochs, as a picture and as an animation.

    Args:
        points: The points, [n, 2].
        labels: Their classes, [n]; of two also -1 and 1.
        every: Epochs from one that is recorded to the next; that before the first is recorded, too.
        resolution: Points of the grid along each side.

    Raises:
        ValueError: They are no points with labels, or a number is out of its range.
    """

    def __init__(
        self, points: ArrayLike, labels: ArrayLike, every: int = 1, resolution: int = 100
    ) -> None:
        self.points, self.labels = labelled_points(points, labels, "BoundaryRecorder")
        self.every = arguments.whole(self, "every", every, least=1)
        self.resolution = arguments.whole(self, "resolution", resolution, least=2)
        self._plane: Plane | None = None
        self._epochs: list[tuple[int, NDArray[np.float32], float]] = []

    def on_train_begin(self, logs: Logs | None = None) -> None:
        if self._plane is None:
            self._plane = plane_around(
                self.model, self.points, self.labels, self.resolution, "BoundaryRecorder"
            )
            self._record(self.params["initial_epoch"], self._plane)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        done = epoch + 1
        if self._plane is not None and done % self.every == 0:
            self._record(done, self._plane)

    def _record(self, epoch: int, plane: Plane) -> None:
        self._epochs.append((epoch, plane.answers(self.model), plane.accuracy(self.model)))

    def result(self) -> BoundaryEpochs:
        """Return what was recorded.

        Returns:
            A result whose `array` has the probabilities, [epochs, rows, columns, classes].

        Raises:
            ValueError: No training was.
        """
        if self._plane is None:
            raise ValueError(
                "BoundaryRecorder: expected a training before. Pass it to fit, callbacks=[...]."
            )
        epochs, answers, accuracies = zip(*self._epochs, strict=True)
        return BoundaryEpochs(np.stack(answers), epochs, accuracies, self._plane)
