"""Preprocessing that draws nothing: per-image standardisation and ZCA whitening.

It belongs to training and to prediction alike.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from fastcnn import arguments
from fastcnn.data.augmentation_base import Augmentation, Shape

Floats = npt.NDArray[np.float32]

# Images that one matrix product whitens: always as many, so that it always rounds the same.
BLOCK = 64


class Preprocessing(Augmentation):
    """The same for an image whenever it is applied."""

    def apply(self, images: Floats) -> Floats:
        """Change float32 [n, H, W, C] in place; returns it."""
        raise NotImplementedError(f"{type(self).__name__} must define apply(images).")


class PerImageStandardization(Preprocessing):
    """Subtract the mean of all values of an image and divide by their standard deviation, or by
    1 / sqrt(number of values) where that is more, as TensorFlow's per_image_standardization."""

    def apply(self, images: Floats) -> Floats:
        least = 1 / math.sqrt(max(math.prod(images.shape[1:]), 1))
        axes = (1, 2, 3)
        mean = images.mean(axis=axes, dtype=np.float64, keepdims=True)
        images -= mean.astype(np.float32)
        variance = np.square(images).mean(axis=axes, dtype=np.float64, keepdims=True)
        images *= (1 / np.maximum(np.sqrt(variance), least)).astype(np.float32)
        return images


class ZCAWhitening(Preprocessing):
    """Make the values of an image uncorrelated over the training set, with variance 1, changing
    the images as little as that allows (Bell and Sejnowski, 1997; Krizhevsky, 2009).

    epsilon: added to each variance, in units of the pixels squared, against dividing by nearly
    nothing. fit(images) comes first; what it finds are ``mean``, float32 [D], and ``matrix``,
    float32 [D, D], for D values an image; they are no part of the configuration: arrays() and
    set_arrays() carry them.
    """

    settings = ("epsilon",)

    def __init__(self, epsilon: float = 1e-5):
        self.epsilon = arguments.number(self, "epsilon", epsilon, above=0)
        self.mean: Floats | None = None
        self.matrix: Floats | None = None

    def fit(self, images: npt.NDArray[Any]) -> ZCAWhitening:
        """Find mean and matrix from the training images [N, H, W, C]; returns itself.

        It takes D^3 steps and 3 D^2 float64 numbers: some minutes and 230 MB for 32 x 32 x 3.
        """
        if images.ndim != 4 or not images.size:
            raise ValueError(
                f"ZCAWhitening: fit needs images of shape [N, H, W, C]. Received {images.shape}."
            )
        size = int(np.prod(images.shape[1:]))
        mean = images.mean(axis=0, dtype=np.float64).reshape(-1)
        covariance = np.zeros((size, size))
        for start in range(0, len(images), 1024):
            part = images[start : start + 1024].reshape(-1, size) - mean
            covariance += part.T @ part
        variances, vectors = np.linalg.eigh(covariance / len(images))
        scaled = vectors / np.sqrt(np.maximum(variances, 0) + self.epsilon)
        return self.set_arrays({"mean": mean, "matrix": scaled @ vectors.T})

    def arrays(self) -> dict[str, Floats]:
        """{"mean": float32 [D], "matrix": float32 [D, D]}; ValueError before fit()."""
        if self.mean is None or self.matrix is None:
            raise ValueError("ZCAWhitening: call fit(images) with the training images first.")
        return {"mean": self.mean, "matrix": self.matrix}

    def set_arrays(self, arrays: dict[str, npt.NDArray[Any]]) -> ZCAWhitening:
        """Take the arrays of another one's arrays(); returns itself."""
        mean, matrix = (np.asarray(arrays[name], np.float32) for name in ("mean", "matrix"))
        if mean.ndim != 1 or matrix.shape != mean.shape * 2:
            raise ValueError(
                "ZCAWhitening: mean must have the shape (D,) and matrix (D, D). "
                f"Received {mean.shape} and {matrix.shape}."
            )
        self.mean, self.matrix = mean, matrix
        return self

    def output_shape(self, shape: Shape) -> Shape:
        size = len(self.arrays()["mean"])
        if np.prod(shape) != size:
            raise ValueError(
                f"ZCAWhitening: images must have {size} values, as those of fit(). "
                f"Received the shape {shape}."
            )
        return shape

    def apply(self, images: Floats) -> Floats:
        self.output_shape(images.shape[1:])
        arrays = self.arrays()
        flat = images.reshape(len(images), -1)
        block = np.zeros((BLOCK, flat.shape[1]), np.float32)
        for start in range(0, len(flat), BLOCK):
            part = flat[start : start + BLOCK]
            np.subtract(part, arrays["mean"], out=block[: len(part)])
            part[...] = (block @ arrays["matrix"])[: len(part)]
        return images
