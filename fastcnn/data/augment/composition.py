"""Several geometric augmentations as one resampling: their maps composed, their options agreed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastcnn.data.augment.base import Shape
from fastcnn.data.augment.geometry import Geometric, ResampleOptions
from fastcnn.data.counter_rng import Doubles


def composed(
    augmentations: Sequence[tuple[Geometric, Doubles]], shape: Shape, count: int
) -> npt.NDArray[np.float64] | None:
    """Return the maps of all augmentations in turn, or None when there is none.

    Args:
        augmentations: Each with its random numbers, float64 [n, draws].
        shape: (H, W, C) of an image before the first.
        count: How many images, n.

    Shape:
        float64 [n, 2, 3].
    """
    whole = None
    for augmentation, u in augmentations:
        affine = augmentation.affine(u, shape)
        whole = affine if whole is None else affine.after(whole)
        shape = augmentation.output_shape(shape)
    return None if whole is None else whole.matrices(count)


def agreed_fill(augmentations: Sequence[Geometric]) -> ResampleOptions:
    """Return the one way of filling that a list wishes.

    Args:
        augmentations: The geometric ones of the list.

    Raises:
        ValueError: Two of them differ.
    """
    fill_mode = _agreed("fill_mode", augmentations)
    constant = fill_mode in (None, "constant")
    wishes = {
        "fill_mode": fill_mode,
        "interpolation": _agreed("interpolation", augmentations),
        "fill_value": _agreed("fill_value", augmentations) if constant else None,
    }
    return ResampleOptions(**{name: wish for name, wish in wishes.items() if wish is not None})


def _agreed(argument: str, augmentations: Sequence[Geometric]) -> Any:
    """The one wish about an argument, or None where there is none."""
    wishing = [
        augmentation
        for augmentation in augmentations
        if getattr(augmentation, argument) is not None
    ]
    for augmentation in wishing[1:]:
        if getattr(augmentation, argument) != getattr(wishing[0], argument):
            raise ValueError(
                "Augment: geometric augmentations become one resampling, so they must agree on "
                f"{argument}. Received {wishing[0]!r} and {augmentation!r}."
            )
    return getattr(wishing[0], argument) if wishing else None
