"""Preprocessing that draws nothing: per-image standardisation and ZCA whitening.

It belongs to training and to prediction alike.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from fastcnn._ext.product import product
from fastcnn.data.augment import statistics
from fastcnn.data.augment.base import Augmentation, Shape
from fastcnn.utils import arguments, user_code

Floats = npt.NDArray[np.float32]

# Images that one matrix product whitens: enough for the matrix to be read once for many of them.
BLOCK = 96
# A matrix of so many rows and columns takes 0.4 GB, and fit() needs four at a time.
MOST_VALUES = 48 * 48 * 3


class Preprocessing(Augmentation):
    """A fixed step: the same for an image whenever it is applied."""

    @user_code.needed("which changes images in place and returns them")
    def apply(self, images: Floats) -> Floats:
        """Change images in place and return them.

        Args:
            images: float32 [n, H, W, C].
        """
        raise NotImplementedError

    def extent(self, low: Floats, high: Floats) -> tuple[Floats, Floats] | None:
        """Return the least and the largest number that pixels become, of each channel.

        Args:
            low: The least that a pixel may be, of each channel.
            high: The largest.

        Returns:
            The two; None where they depend on the image, or are not known.

        Shape:
            low, high [C] -> [C].
        """
        return None


class PerImageStandardization(Preprocessing):
    """Subtract the mean of all values of an image and divide by their standard deviation.

    By 1 / sqrt(number of values) where that is more, as TensorFlow's per_image_standardization.
    """

    def apply(self, images: Floats) -> Floats:
        least = 1 / math.sqrt(max(math.prod(images.shape[1:]), 1))
        axes = (1, 2, 3)
        mean = images.mean(axis=axes, dtype=np.float64, keepdims=True)
        images -= mean.astype(np.float32)
        variance = np.square(images).mean(axis=axes, dtype=np.float64, keepdims=True)
        images *= (1 / np.maximum(np.sqrt(variance), least)).astype(np.float32)
        return images


class ZCAWhitening(Preprocessing):
    """Make the values of an image uncorrelated over the training set, with variance 1.

    Images change as little as that allows. fit(images) comes first, which `fit` of a model does
    with its training images where it is not done; what it finds are ``mean``, float32 [D], and
    ``matrix``, float32 [D, D], for D values an image; they are no part of the configuration:
    arrays() and set_arrays() carry them.

    Args:
        epsilon: Added to each variance, above 0, in units of the pixels squared, against dividing
            by nearly nothing.

    Raises:
        TypeError: A number is none.
        ValueError: One is out of its range, or an argument has none of these forms.

    References:
        Bell and Sejnowski, 1997: The "independent components" of natural scenes are edge filters.
        Krizhevsky, 2009: Learning multiple layers of features from tiny images.
    """

    settings = ("epsilon",)

    def __init__(self, epsilon: float = 1e-5):
        self.epsilon = arguments.float32(self, "epsilon", epsilon, above=0)
        self.mean: Floats | None = None
        self.matrix: Floats | None = None

    @property
    def fitted(self) -> bool:
        return self.matrix is not None

    def fit(self, images: object) -> ZCAWhitening:
        """Find mean and matrix from the training images, which are read through once.

        It takes D^3 steps and 4 D^2 float64 numbers: some minutes and 300 MB for 32 x 32 x 3.

        Args:
            images: An array or a `Dataset`, [N, H, W, C].

        Returns:
            The step itself.

        Raises:
            ValueError: An image has more than MOST_VALUES values; nothing is allocated before.
        """
        shape = statistics.shape(images, "ZCAWhitening: fit")
        if len(shape) != 4:
            raise ValueError(
                f"ZCAWhitening: fit needs images of shape [N, H, W, C]. Received {shape}."
            )
        size = math.prod(shape[1:])
        if size > MOST_VALUES:
            raise ValueError(
                f"ZCAWhitening: images may have at most {MOST_VALUES:,} values, as 48 x 48 x 3. "
                f"Received images of shape {shape[1:]}, {size:,} values, whose matrices take "
                f"{32e-9 * size**2:.1f} GB. Make them smaller, or take PerImageStandardization."
            )
        moments = statistics.of_images(images, "ZCAWhitening: fit")
        variances, vectors = np.linalg.eigh(moments.variance)
        scaled = vectors / np.sqrt(np.maximum(variances, 0) + self.epsilon)
        return self.set_arrays({"mean": moments.mean, "matrix": scaled @ vectors.T})

    def arrays(self) -> dict[str, Floats]:
        """Return what was fitted: "mean", float32 [D], and "matrix", float32 [D, D].

        Raises:
            ValueError: Nothing was fitted.
        """
        if self.mean is None or self.matrix is None:
            raise ValueError("ZCAWhitening: call fit(images) with the training images first.")
        return {"mean": self.mean, "matrix": self.matrix}

    def set_arrays(self, arrays: dict[str, npt.NDArray[Any]]) -> ZCAWhitening:
        """Take the arrays of another one and return the step itself.

        Args:
            arrays: What the other one's `arrays` returned.

        Raises:
            ValueError: They have not the shapes of such arrays.
        """
        mean, matrix = (np.array(arrays[name], np.float32) for name in ("mean", "matrix"))
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
        for start in range(0, len(flat), BLOCK):
            part = flat[start : start + BLOCK]
            part[...] = product(part - arrays["mean"], arrays["matrix"])
        return images
