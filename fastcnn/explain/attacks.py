"""Adversarial images: changed so little that nobody sees it, and taken for another class."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastcnn.explain import input_bounds, inputs, pixels
from fastcnn.explain.input_bounds import Bounds
from fastcnn.explain.inputs import BATCH, Images
from fastcnn.explain.mosaic import Cell, Mosaic
from fastcnn.models.sequential import Sequential
from fastcnn.training import adversarial
from fastcnn.utils import arguments

SHOWN = 8
"""Images that a picture shows at most."""


class Adversarial(Mosaic):
    """Images, what was added to them, and what they are taken for then.

    Args:
        array: The changed images.
        images: The images.
        before: What they were taken for.
        after: What the changed ones are taken for.
        success: Whether each is taken for what the attack wanted; the picture shows those first
            whose class has changed.
        names: Of all classes.
        title: Stands above all.
    """

    def __init__(
        self,
        array: Images,
        images: Images,
        before: NDArray[np.int64],
        after: NDArray[np.int64],
        success: NDArray[np.bool_],
        names: list[str],
        title: str,
    ):
        self.success = success
        self.predicted = after

        def rows() -> Iterator[list[Cell]]:
            shown = np.argsort(before == after, kind="stable")[:SHOWN]
            drawn = pixels.of_images(np.concatenate([images[shown], array[shown]]))
            for place, n in enumerate(shown):
                yield [
                    Cell(drawn[place], names[before[n]]),
                    Cell(pixels.signed(array[n] - images[n]), "difference"),
                    Cell(drawn[len(shown) + place], names[after[n]]),
                ]

        def paired() -> list[list[Cell]]:
            each = list(rows())
            pair = 2 if len(each) > 3 else 1
            return [
                [cell for row in each[i : i + pair] for cell in row]
                for i in range(0, len(each), pair)
            ]

        super().__init__(array, paired, title, cell=1.5)


def fgsm(
    model: Sequential,
    x: object,
    y: ArrayLike,
    epsilon: float = 8 / 255,
    target: int | None = None,
    bounds: Bounds = None,
) -> Adversarial:
    """Return images moved by one step along the sign of the loss's gradient.

    Args:
        model: A compiled model with one score a class.
        x: Images, an array or a Dataset.
        y: Their labels.
        epsilon: How far each number of an image moves, as a part of the range of `bounds`.
        target: A class that the images are to be taken for; None for any but their own.
        bounds: The least and the largest number of an image; None for 0 and 255 where the model
            scales images itself, else for those of x.

    Returns:
        A result whose `array` has the changed images, and `success` whether each deceives.

    Raises:
        ValueError: The model is not compiled, the images do not fit, or a number is out of its
            range.

    Shape:
        x [n, H, W, C]; y [n] -> array float32 [n, H, W, C].

    References:
        Goodfellow et al., 2015: Explaining and harnessing adversarial examples.
    """
    return _attacked("fgsm", model, x, y, epsilon, target, bounds, steps=1, rate=1.0, start=None)


def pgd(
    model: Sequential,
    x: object,
    y: ArrayLike,
    epsilon: float = 8 / 255,
    target: int | None = None,
    bounds: Bounds = None,
    steps: int = 20,
    rate: float | None = None,
    seed: int | None = 0,
) -> Adversarial:
    """Return images moved by several small steps, each cut back to `epsilon` around the image.

    Args:
        model: A compiled model with one score a class.
        x: Images, an array or a Dataset.
        y: Their labels.
        epsilon: How far each number of an image may move, as a part of the range of `bounds`.
        target: A class that the images are to be taken for; None for any but their own.
        bounds: The least and the largest number of an image; None for 0 and 255 where the model
            scales images itself, else for those of x.
        steps: How many.
        rate: The length of a step, as a part of `epsilon`; None for 2.5 / steps.
        seed: Of the random place around each image where it begins; None for the image itself,
            which is the iterative FGSM of Kurakin et al., 2017.

    Returns:
        A result whose `array` has the changed images, and `success` whether each deceives.

    Raises:
        ValueError: The model is not compiled, the images do not fit, or a number is out of its
            range.

    Shape:
        x [n, H, W, C]; y [n] -> array float32 [n, H, W, C].

    References:
        Madry et al., 2018: Towards deep learning models resistant to adversarial attacks.
    """
    count = arguments.whole("pgd", "steps", steps, least=1)
    share = 2.5 / count if rate is None else arguments.number("pgd", "rate", rate, above=0)
    return _attacked("pgd", model, x, y, epsilon, target, bounds, count, share, seed)


def moved(
    model: Sequential,
    images: Images,
    labels: NDArray[np.int64],
    epsilon: float,
    bounds: tuple[float, float],
    steps: int,
    rate: float,
    seed: int | None,
    sign: float = 1.0,
) -> Images:
    """Return images that went up the loss, no further than `epsilon` in any number.

    Args:
        model: The model, compiled.
        images: The images.
        labels: The classes of the loss.
        epsilon: How far, in the images' own units.
        bounds: The least and the largest number of an image.
        steps: How many.
        rate: The length of a step, as a part of epsilon.
        seed: Of the random start; None for the images themselves.
        sign: 1 to go up the loss, -1 to go down.

    Returns:
        The changed images.
    """

    def gradient(changed: Images) -> Images:
        return model.input_gradient(changed, y=labels, batch_size=BATCH)

    noise = None
    if seed is not None:
        draws = np.random.default_rng(seed).uniform(-epsilon, epsilon, images.shape)
        noise = draws.astype(np.float32)
    length = sign * rate * epsilon
    return adversarial.climbed(gradient, images, epsilon, bounds, steps, length, noise)


def _attacked(
    method: str,
    model: Sequential,
    x: object,
    y: ArrayLike,
    epsilon: float,
    target: int | None,
    bounds: Bounds,
    steps: int,
    rate: float,
    start: int | None,
) -> Adversarial:
    model, images = inputs.pictures(model, x, method)
    share = arguments.number(method, "epsilon", epsilon, least=0)
    labels = inputs.class_labels(model, y, len(images), method)
    low, high = input_bounds.around(model, images, bounds, method)
    wanted = labels if target is None else inputs.classes(model, images, target, method)
    changed = moved(
        model,
        images,
        wanted,
        share * (high - low),
        (low, high),
        steps,
        rate,
        start,
        1.0 if target is None else -1.0,
    )
    before, after = inputs.predicted(model, images), inputs.predicted(model, changed)
    names = inputs.names(model, np.arange(inputs.class_count(model, method)))
    if target is None:
        success, already, what = after != labels, before != labels, "for another class"
    else:
        success, already, what = after == wanted, before == wanted, f"for {names[wanted[0]]}"
    title = (
        f"{method.upper()}, each number moved by at most {255 * share:.3g} / 255 of the range:\n"
        f"{_percent(success)} of {len(images):,} taken {what}, {_percent(already)} before"
    )
    return Adversarial(changed, images, before, after, success, names, title)


def _percent(flags: NDArray[np.bool_]) -> str:
    return f"{100 * flags.mean():.0f} %"
