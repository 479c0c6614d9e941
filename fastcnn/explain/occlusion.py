"""Occlusion: what a class's output loses when a patch of the image is covered."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastcnn.explain import inputs
from fastcnn.explain.attribution import Attribution, evidence
from fastcnn.explain.inputs import BATCH, Classes, Images
from fastcnn.models.sequential import Sequential
from fastcnn.utils import arguments


def occlusion(
    model: Sequential,
    x: object,
    target: Classes = None,
    patch: int | None = None,
    stride: int | None = None,
    fill: float | None = None,
) -> Attribution:
    """Return how much of a class's output each pixel holds, by covering it.

    A square goes over the image; what the output loses counts for the pixels below it, and each
    pixel has the mean of all squares that covered it.

    Args:
        model: A model with one score a class.
        x: Images, an array or a Dataset.
        target: The class, or one an image; None for what the model predicts.
        patch: The side of the square in pixels; None for a fifth of the image's shorter side.
        stride: Pixels from one square to the next, at most a side; None for half a side.
        fill: What covers; None for the image's mean.

    Returns:
        A result whose `array` has a signed number for each pixel.

    Raises:
        ValueError: The images do not fit, there is no such class, or a number is out of its range.

    Shape:
        x [n, H, W, C] -> array float32 [n, H, W].

    References:
        Zeiler and Fergus, 2014: Visualizing and understanding convolutional networks.
    """
    model, images = inputs.pictures(model, x, "occlusion")
    labels = inputs.classes(model, images, target, "occlusion")
    height, width = images.shape[1:3]
    shorter = min(height, width)
    usual = max(1, round(shorter / 5))
    side = arguments.whole(
        "occlusion", "patch", usual if patch is None else patch, least=1, most=shorter
    )
    step = arguments.whole(
        "occlusion", "stride", max(1, side // 2) if stride is None else stride, least=1, most=side
    )
    cover = None if fill is None else arguments.number("occlusion", "fill", fill)
    corners = [(i, j) for i in _starts(height, side, step) for j in _starts(width, side, step)]
    relevance = np.stack(
        [
            _of_image(model, image, int(label), corners, side, cover)
            for image, label in zip(images, labels, strict=True)
        ]
    )
    title = f"Occlusion by {side} x {side} pixels: what speaks for the class red"
    return Attribution(relevance, images, inputs.names(model, labels), title, evidence)


def _starts(extent: int, side: int, step: int) -> list[int]:
    """Return where squares begin, the last one at the image's end."""
    return sorted({*range(0, extent - side + 1, step), extent - side})


def _of_image(
    model: Sequential,
    image: Images,
    label: int,
    corners: list[tuple[int, int]],
    side: int,
    fill: float | None,
) -> NDArray[np.float32]:
    cover = image.mean(axis=(0, 1)) if fill is None else fill
    whole = inputs.class_outputs(model, image[None], np.array([label]))[0]
    total, times = np.zeros((2, *image.shape[:2]))
    for start in range(0, len(corners), BATCH):
        places = corners[start : start + BATCH]
        covered = np.repeat(image[None], len(places), axis=0)
        for copy, (i, j) in zip(covered, places, strict=True):
            copy[i : i + side, j : j + side] = cover
        losses = whole - inputs.class_outputs(model, covered, np.full(len(places), label))
        for loss, (i, j) in zip(losses, places, strict=True):
            total[i : i + side, j : j + side] += loss
            times[i : i + side, j : j + side] += 1
    return (total / np.maximum(times, 1)).astype(np.float32)
