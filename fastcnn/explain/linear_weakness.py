"""How little it takes to deceive a linear classifier: its templates, and the smallest change."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.explain import input_bounds, inputs, pixels
from fastcnn.explain.attacks import SHOWN
from fastcnn.explain.input_bounds import Bounds
from fastcnn.explain.inputs import Images
from fastcnn.explain.mosaic import Cell, Mosaic, in_columns
from fastcnn.layers import Activation, Dense, Dropout, Flatten, Normalization, Rescaling, Softmax
from fastcnn.layers.base import Layer
from fastcnn.models.sequential import Sequential

BEFORE = (Activation, Dropout, Flatten, Normalization, Rescaling)
BEHIND = (Activation, Dropout, Softmax)
"""Layers around the dense one of a linear classifier."""
ENDINGS = ("softmax", "sigmoid")
HALVINGS = 30
"""How often the interval around the smallest change is halved."""
ROUNDING = 1.001
"""How much further than the smallest change numbers move, for the scores' rounding."""
TEMPLATES = 10
"""Templates that a picture shows at most."""


class LinearWeakness(Mosaic):
    """Templates of classes, and images before and after the smallest change that counts.

    Args:
        array: How far each number of an image has to move, as a part of the range; infinite where
            no image within the bounds is taken for another class.
        templates: The weights of each class, as images.
        images: The images.
        changed: The changed ones.
        before: What they are taken for.
        after: What the changed ones are taken for.
        names: Of all classes.
        title: Stands above all.
    """

    def __init__(
        self,
        array: NDArray[np.float64],
        templates: Images,
        images: Images,
        changed: Images,
        before: NDArray[np.int64],
        after: NDArray[np.int64],
        names: list[str],
        title: str,
    ):
        self.templates = templates
        self.changed = changed
        self.predicted = after

        def of_image() -> Iterator[list[Cell]]:
            drawn = pixels.of_images(np.concatenate([images[:SHOWN], changed[:SHOWN]]))
            count = len(drawn) // 2
            for n in range(count):
                far = f"{255 * array[n]:.2g} / 255" if np.isfinite(array[n]) else "none"
                yield [
                    Cell(drawn[n], names[before[n]]),
                    Cell(pixels.signed(changed[n] - images[n]), f"+ {far}"),
                    Cell(drawn[count + n], names[after[n]]),
                ]

        def rows() -> list[list[Cell]]:
            shown = [
                Cell(pixels.diverging(template.sum(axis=-1)), f"for {name}")
                for template, name in zip(templates[:TEMPLATES], names, strict=False)
            ]
            each = list(of_image())
            pair = 2 if len(each) > 3 else 1
            cells = list(itertools.chain.from_iterable(each))
            return [*in_columns(shown, 3 * pair), *in_columns(cells, 3 * pair)]

        super().__init__(array, rows, title, cell=1.4)


def linear_weakness(model: Sequential, x: object, bounds: Bounds = None) -> LinearWeakness:
    """Return the smallest change of images for which a linear classifier takes them for others.

    A class's score is a sum of pixels times weights, its template. Where each of thousands of
    pixels moves by a little along the sign of the difference of two templates, all these little
    contributions add up, by that little times the sum of the difference's magnitudes: so a change
    is enough that nobody sees. It is found here for each image, of all classes the nearest one, and
    cut off at the bounds.

    Args:
        model: A model of one dense layer, such as `applications.linear_classifier`.
        x: Images, an array or a Dataset.
        bounds: The least and the largest number of an image; None for 0 and 255 where the model
            scales images itself, else for those of x.

    Returns:
        A result whose `array` has how far each image's numbers move, as a part of the range of
        `bounds`, with the `changed` images and the `templates`.

    Raises:
        ValueError: The model is not linear, or the images do not fit.

    Shape:
        x [n, H, W, C] -> array float64 [n]; templates float32 [classes, H, W, C].

    References:
        Goodfellow et al., 2015: Explaining and harnessing adversarial examples, section 3.
    """
    model, images = inputs.pictures(model, x, "linear_weakness")
    _refuse_others(model)
    low, high = input_bounds.around(model, images, bounds, "linear_weakness")
    count = inputs.class_count(model, "linear_weakness")
    templates = model.input_gradient(
        np.zeros((count, *model.input_shape), np.float32), np.arange(count)
    )
    before = inputs.predicted(model, images)
    weights = templates.reshape(count, -1).astype(np.float64)
    scores = _scores(model, images.astype(np.float64), weights)
    lead = scores[np.arange(len(images)), before][:, None] - scores
    smallest, rival = np.full(len(images), np.inf), before.copy()
    for other in range(count):
        signs = np.sign(weights[other] - weights[before])
        signs, slopes = signs.reshape(images.shape), np.abs(weights[other] - weights[before])
        room = np.where(signs > 0, high - images, images - low).reshape(len(images), -1)
        far = _far_enough(lead[:, other], slopes, room, high - low)
        nearer = (far < smallest) & (before != other)
        smallest[nearer], rival[nearer] = far[nearer], other
    signs = np.sign(weights[rival] - weights[before]).reshape(images.shape)
    reach = np.where(np.isfinite(smallest), smallest, 0).reshape(-1, 1, 1, 1) * ROUNDING
    changed = np.clip(images + reach * signs, low, high).astype(np.float32)
    after = inputs.predicted(model, changed)
    parts = smallest / (high - low)
    names = inputs.names(model, np.arange(count))
    title = (
        f"A linear classifier's templates, and how far each number has to move:\n"
        f"half of {len(images):,} images by at most {255 * np.median(parts):.2g} of 255"
    )
    return LinearWeakness(parts, templates, images, changed, before, after, names, title)


def _refuse_others(model: Sequential) -> None:
    dense = [place for place, layer in enumerate(model.layers) if isinstance(layer, Dense)]
    place = dense[0] if dense else len(model.layers)
    before, behind = model.layers[:place], model.layers[place + 1 :]
    others = [layer for layer in before if not isinstance(layer, BEFORE) or _curve(layer)]
    others += [layer for layer in behind if not isinstance(layer, BEHIND)]
    curved = [layer for layer in model.layers[place:] if _curve(layer)]
    # Scores are what is before a last softmax or sigmoid, which leaves their order as it is.
    others += curved[:-1] if curved and _curve(curved[-1]) in ENDINGS else curved
    if len(dense) != 1 or others:
        what = f"one with {others[0].label}" if others else f"one with {len(dense)} dense layers"
        raise ValueError(
            "linear_weakness: expected a linear classifier, Flatten and one Dense layer, such as "
            "'linear-classifier', with nothing else than a softmax or sigmoid at the end. Received "
            f"{what}: take fgsm."
        )


def _curve(layer: Layer) -> str | None:
    """The activation of a layer, None where it leaves sums as they are."""
    if isinstance(layer, Softmax):
        return "softmax"
    activation: str | None = getattr(layer, "activation", None)
    return None if activation == "linear" else activation


def _scores(model: Sequential, images: Images, templates: NDArray[Any]) -> NDArray[np.float64]:
    """The scores of all classes, those of one output too, float64 [n, classes]."""
    place = next(i for i, layer in enumerate(model.layers) if isinstance(layer, Dense))
    zero = np.zeros((1, *model.input_shape), np.float32)
    inner = model.features(zero, model.layers[place - 1]) if place else zero
    dense = model.layers[place].named_parameters()
    offsets = inner.reshape(-1).astype(np.float64) @ dense["kernel"].value
    if "bias" in dense:
        offsets = offsets + dense["bias"].value
    if len(offsets) < len(templates):
        offsets = np.concatenate([-offsets, offsets])
    return np.asarray(images.reshape(len(images), -1) @ templates.T + offsets)


def _far_enough(
    lead: NDArray[np.float64],
    slopes: NDArray[np.float64],
    room: NDArray[np.float64],
    most: float,
) -> NDArray[np.float64]:
    """The smallest distance by which numbers with so much room have to move for sums with these
    slopes to pass a lead, [n] each; infinite where it cannot be passed."""
    low, high = np.zeros(len(lead)), np.full(len(lead), most)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        passes = (slopes * np.minimum(room, middle[:, None])).sum(axis=1) > lead
        low, high = np.where(passes, low, middle), np.where(passes, middle, high)
    reached = (slopes * room).sum(axis=1) > lead
    return np.where(reached, high, np.inf)
