"""The targets of a step, as its program takes them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from fastcnn.losses import Loss


def checked_targets(
    loss: Loss,
    outputs: tuple[int, ...],
    images: int,
    y: np.ndarray,
    weight: np.ndarray | None,
) -> dict[str, np.ndarray]:
    """Return the targets, and each image's share of the loss; ValueError where they do not fit a
    loss, outputs of a shape and the number of images."""
    sparse = loss.target == "sparse"
    target = np.ascontiguousarray(y, np.int32 if sparse else np.float32)
    expected = (images,) if sparse else (images, *outputs)
    if target.shape != expected:
        raise ValueError(
            f"The loss '{loss.name}' takes targets of shape {expected} for these images. "
            f"Received shape {target.shape}. A loss that is set while a model trains must take "
            "the same targets."
        )
    # As unsigned numbers, those below 0 are the largest.
    if sparse and target.view(np.uint32).max(initial=0) >= outputs[-1]:
        wrong = target[(target < 0) | (target >= outputs[-1])]
        raise ValueError(
            f"The targets must be labels from 0 to {outputs[-1] - 1}. Received the label "
            f"{wrong[0] if len(wrong) else 'that changes meanwhile'}."
        )
    if weight is None:
        factors = _alike(images)
    else:
        factors = np.asarray(weight, np.float32) * np.float32(1 / images)
        if factors.shape != (images,):
            raise ValueError(
                f"Expected a weight for each of {images} images. Received shape {factors.shape}."
            )
    return {"target": target, "weight": factors}


@lru_cache(64)
def _alike(images: int) -> np.ndarray:
    """Return the shares of so many images in the loss, which nobody writes to."""
    return np.full(images, np.float32(1 / images))
