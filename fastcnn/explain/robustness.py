"""How much of a network's accuracy is left when images are attacked, or only noisy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastcnn.explain import input_bounds, inputs
from fastcnn.explain.attacks import moved
from fastcnn.explain.input_bounds import Bounds
from fastcnn.explain.result import Result
from fastcnn.models.sequential import Sequential
from fastcnn.plots.figure import INK, MUTED, quiet
from fastcnn.utils import arguments

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KINDS = ("random noise", "FGSM", "PGD")
STYLES = (("#6b7785", "o", ":"), ("#1f6fb2", "s", "--"), ("#b3261e", "^", "-"))
EPSILONS = (0.0, 1 / 255, 2 / 255, 4 / 255, 8 / 255, 16 / 255, 32 / 255)


class Robustness(Result):
    """Accuracy against the strength of an attack.

    Args:
        array: Accuracies, [3, epsilons], of images with random noise, of FGSM and of PGD.
        epsilons: The strengths.
    """

    def __init__(self, array: NDArray[Any], epsilons: Sequence[float]):
        super().__init__(array)
        self.epsilons = list(epsilons)

    @property
    def size(self) -> tuple[float, float]:
        return 6.4, 4.0

    def draw(self, axes: Axes) -> None:
        for accuracy, kind, (colour, marker, line) in zip(self.array, KINDS, STYLES, strict=True):
            parts = [255 * epsilon for epsilon in self.epsilons]
            axes.plot(parts, 100 * accuracy, color=colour, marker=marker, ls=line, label=kind)
        axes.set_ylim(-2, 102)
        axes.set_xlabel("epsilon: how far each number moves, in 255ths of its range", color=MUTED)
        axes.set_ylabel("accuracy in %", color=MUTED)
        axes.set_title("Accuracy under attack", loc="left", color=INK, fontweight="bold")
        axes.legend(frameon=False)
        axes.grid(axis="y", color="#dfe4ea")
        quiet(axes)


def robustness(
    model: Sequential,
    x: object,
    y: ArrayLike,
    epsilons: Sequence[float] = EPSILONS,
    bounds: Bounds = None,
    steps: int = 10,
    seed: int = 0,
) -> Robustness:
    """Return the accuracy against the strength of FGSM, of PGD, and of random noise, which is what
    moves numbers as far without knowing the network.

    Args:
        model: A compiled model with one score a class.
        x: Images, an array or a Dataset.
        y: Their labels.
        epsilons: How far each number of an image may move, as parts of the range of `bounds`.
        bounds: The least and the largest number of an image; None for 0 and 255 where the model
            scales images itself, else for those of x.
        steps: Of PGD.
        seed: Of the noise.

    Returns:
        A result whose `array` has the accuracies, of noise, FGSM and PGD.

    Raises:
        ValueError: The model is not compiled, the images do not fit, or a number is out of its
            range.

    Shape:
        x [n, H, W, C]; y [n] -> array float64 [3, epsilons].
    """
    model, images = inputs.pictures(model, x, "robustness")
    labels = inputs.class_labels(model, y, len(images), "robustness")
    shares = _strengths(epsilons)
    low, high = input_bounds.around(model, images, bounds, "robustness")
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], images.shape).astype(np.float32)

    def accuracy(changed: inputs.Images) -> float:
        return float((inputs.predicted(model, changed) == labels).mean())

    steps = arguments.whole("robustness", "steps", steps, least=1)
    rows = []
    for share in shares:
        if not share:
            rows.append([accuracy(images)] * len(KINDS))
            continue
        far = share * (high - low)
        noisy = np.clip(images + np.float32(far) * signs, low, high)
        once = moved(model, images, labels, far, (low, high), 1, 1.0, None)
        often = moved(model, images, labels, far, (low, high), steps, 2.5 / steps, seed)
        rows.append([accuracy(noisy), accuracy(once), accuracy(often)])
    return Robustness(np.array(rows).T, shares)


def _strengths(epsilons: object) -> list[float]:
    if not isinstance(epsilons, Sequence | np.ndarray) or isinstance(epsilons, str):
        raise TypeError(
            f"robustness: epsilons must be several numbers, such as [0, 0.01]. Received "
            f"{epsilons!r}."
        )
    if not len(epsilons):
        raise ValueError("robustness: epsilons must hold at least one number. Received none.")
    return [arguments.number("robustness", "epsilons", each, least=0) for each in epsilons]
