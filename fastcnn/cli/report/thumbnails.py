"""Images as small PNG files, for a page."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fastcnn.data.dataset import is_dataset, read

SIDE = 128
"""Pixels of the longer side at most."""


def of(x: Any, positions: Sequence[int]) -> list[bytes]:
    """Return PNG files of some images; none where images have other channels than 1 or 3.

    Args:
        x: An array or a Dataset of images [n, H, W, C].
        positions: Which.
    """
    chosen = np.asarray(positions, np.int64)
    images = read(x, chosen) if is_dataset(x) else np.asarray(x)[chosen]
    if not len(images) or images.shape[-1] not in (1, 3):
        return []
    return [_png(image) for image in _bytes(images)]


def _bytes(images: NDArray[Any]) -> NDArray[np.uint8]:
    """Images of 0 to 255; of floats the least value is black and the largest white."""
    if images.dtype == np.uint8:
        return images
    low, high = float(np.nanmin(images)), float(np.nanmax(images))
    scaled = (images - low) * (255 / max(high - low, 1e-12))
    return np.nan_to_num(scaled).clip(0, 255).astype(np.uint8)


def _png(image: NDArray[np.uint8]) -> bytes:
    picture = Image.fromarray(image.squeeze(axis=-1) if image.shape[-1] == 1 else image)
    picture.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()
