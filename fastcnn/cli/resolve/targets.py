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
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        row = int(np.argwhere(~np.isfinite(values))[0][0])
        raise UsageError(f"{owner} must be finite numbers. That of image {row} is {values[row]}.")
    if column.ndim == 1 and values.dtype.kind in "iu":
        return "classes", column.astype(np.int32)
    rows = values.reshape(images, -1).astype(np.float32)
    if rows.shape[1] > 1 and np.isin(rows, (0, 1)).all():
        if (rows.sum(axis=1) == 1).all():
            return "classes", rows.argmax(axis=1).astype(np.int32)
        return "labels", rows
    return "values", rows
