"""What is learnt of images: one class of several, any number of labels, or numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.cli.options.errors import UsageError
from fastcnn.models.predictions import Kind

WORDS = {
    "classes": "classification, one class an image",
    "labels": "multi-label, any number of labels an image",
    "values": "regression, numbers",
}

MOST_NUMBER = 1e18
"""A larger number has a square that float32 does not hold, or a sum of squares."""


def read(values: NDArray[Any], images: int, owner: str) -> tuple[Kind, NDArray[Any]]:
    """Return what targets are, and themselves: int32 [n] of classes, else float32 [n, outputs].

    Whole numbers [n] are labels of classes, and so are rows of 0 and 1 with a single 1 each. Other
    rows of 0 and 1 are labels of several questions; all else of floats are a regression's values.

    Args:
        values: The targets.
        images: How many images there are.
        owner: What errors name.

    Raises:
        UsageError: They are no such numbers, or not one an image.
    """
    column = values.reshape(-1) if values.size == images else values
    if len(values) != images or values.ndim > 2 or values.dtype.kind not in "fiub":
        raise UsageError(
            f"{owner} must be {images} whole-number labels, or numbers [{images}] or [{images}, "
            f"outputs], one row an image. It is {values.dtype} of shape {values.shape}."
        )
    if not images:
        raise UsageError(f"{owner} must be of one image at least. It is empty.")
    if column.ndim == 1 and values.dtype.kind in "iu":
        return "classes", column.astype(np.int32)
    rows = as_float32(values.reshape(images, -1), owner)
    if rows.shape[1] > 1 and np.isin(rows, (0, 1)).all():
        if (rows.sum(axis=1) == 1).all():
            return "classes", rows.argmax(axis=1).astype(np.int32)
        return "labels", rows
    return "values", rows


def as_float32(rows: NDArray[Any], owner: str) -> NDArray[np.float32]:
    """Return numbers [n, outputs] as float32; UsageError where one is not finite, or its square is
    beyond float32."""
    wrong = np.argwhere(~(np.abs(rows) <= MOST_NUMBER))
    if wrong.size:
        image, output = wrong[0]
        raise UsageError(
            f"{owner} must be finite numbers of at most {MOST_NUMBER:g}. That of image {image} is "
            f"{rows[image, output]}."
        )
    return rows.astype(np.float32)
