"""Folders of images as tests read them."""

from __future__ import annotations

import warnings

import numpy as np

from fastcnn.data import from_folder

SIZE = (10, 12)


def skipping(root, **settings):
    """from_folder with on_error="skip", and the warning that it gave or None."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        images = from_folder(root, SIZE, on_error="skip", **settings)
    return images, str(caught[0].message) if caught else None


def drawn(dataset, indices=None, dtype=np.uint8):
    indices = np.arange(len(dataset)) if indices is None else np.asarray(indices)
    out = np.empty((len(indices), *dataset.image_shape), dtype)
    dataset.images(indices, out)
    return out


def left_out(report, kind="skipped"):
    return {left.path: left.reason for left in getattr(report, kind)}
