"""What happens to the images of a batch between their source and the training step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn._ext.batch import gather
from fastcnn.data.augment import mixing as mixings
from fastcnn.data.augment import preprocessing as steps
from fastcnn.data.augment.augment import Augment
from fastcnn.data.augment.mixing import Draws, Mixing
from fastcnn.data.augment.params import BatchParams
from fastcnn.data.augment.preprocessing import CenterCrop
from fastcnn.data.augment.whitening import Preprocessing
from fastcnn.data.sampling import repeats
from fastcnn.utils import arguments

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]
# Images, targets (None where there are none, for predict), weights.
Batch = tuple[Floats, Any, Floats | None]


@dataclass(frozen=True)
class Transform:
    """Augmentation of each image, then fixed preprocessing, then mixing within the batch.

    Everything random is decided by (seed, epoch, number of the image or the batch).

    Args:
        augment: Augmentations of each image; None for none.
        mixing: MixUp or CutMix, of which each batch takes one.
        preprocessing: Fixed steps on each image.
        seed: A whole number, at least 0.

    Raises:
        ValueError: The seed is negative or has more than 63 bits.
        TypeError: It is no whole number.
    """

    augment: Augment | None = None
    mixing: Sequence[Mixing] = ()
    preprocessing: Sequence[Preprocessing] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        arguments.whole(self, "seed", self.seed, least=0)

    @property
    def plain(self) -> bool:
        """Whether images only become float32."""
        return self.augment is None and not self.mixing and not self.preprocessing

    def drawable(self, shape: tuple[int, ...]) -> bool:
        """Say whether `drawn` tells all that becomes of images of a shape.

        Args:
            shape: (H, W, C) of the images.
        """
        # An object of another kind may do anything.
        if type(self.augment) is not Augment or not self.augment.drawable or self.mixing:
            return False
        after = self.augmented_shape(shape)
        return all(
            isinstance(step, CenterCrop) and (step.height, step.width) == after[:2]
            for step in self.preprocessing
        )

    def drawn(self, shape: tuple[int, ...], keys: Indices, epoch: int) -> BatchParams | None:
        """Return what is drawn for images, which are `plain` or `drawable`; None where nothing is.

        Args:
            shape: (H, W, C) of the images.
            keys: The numbers by which their randomness goes, int64 [n].
            epoch: The number of the epoch, from 0.
        """
        if self.augment is None:
            return None
        height, width, channels = shape
        return self.augment.draw((height, width, channels), keys, epoch)

    def keys(self, order: Indices, count: int) -> Indices:
        """Return what the randomness of each entry of an order goes by.

        It is the image's number, and another one above all of them for each time that it comes
        again.

        Args:
            order: Numbers of images, int64 [n].
            count: How many images there are.
        """
        if self.augment is None:
            return order
        again = repeats(order, count)
        return order + count * again if again.any() else order

    def augmented_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of an image after augmentation.

        Args:
            shape: Before.

        Raises:
            ValueError: Such images do not fit.
        """
        if self.augment is None:
            return shape
        if len(shape) != 3:
            raise ValueError(f"Augmentation needs images of shape (h, w, c). Received {shape}.")
        height, width, channels = shape
        return tuple(self.augment.output_shape((height, width, channels)))

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of an image after all steps.

        Args:
            shape: Before.

        Raises:
            ValueError: Such images do not fit.
        """
        return steps.output_shape(self.preprocessing, self.augmented_shape(shape))

    def check_values(self, images: NDArray[Any]) -> None:
        """Refuse values in another range than augmentation reckons with.

        Args:
            images: The images of a first batch.

        Raises:
            ValueError: They are not in that range.
        """
        if self.augment is not None:
            self.augment.check_values(images)

    def gathered(self, source: NDArray[Any], indices: Indices, epoch: int, out: Floats) -> Floats:
        """Return images of a set as the network sees them.

        Args:
            source: The set, C-contiguous uint8 or float32.
            indices: Numbers of the images, int64.
            epoch: The number of the epoch, from 0.
            out: Memory for the result, which may be another array, float32 [n, *augmented_shape].

        Shape:
            source [N, ...], indices [n] -> float32 [n, ...].
        """
        if self.augment is None:
            gather(source, indices, out)
        else:
            self.augment.apply(source, indices, epoch, out)
        return steps.apply(self.preprocessing, out)

    def apply(self, images: NDArray[Any], keys: Indices, epoch: int, out: Floats) -> Floats:
        """Return images that are there as the network sees them.

        Args:
            images: uint8 or float32 [n, ...], which may be overwritten.
            keys: The number of each, by which its randomness goes, int64 [n].
            epoch: The number of the epoch, from 0.
            out: Memory for the result, which may be another array, float32 [n, *augmented_shape].
        """
        if self.augment is not None:
            images = self.augment.apply_batch(images, keys, epoch, out)
        elif images.dtype != np.float32:
            images = gather(images, np.arange(len(images)), out)
        return steps.apply(self.preprocessing, images)

    def mixed(
        self,
        images: Floats,
        y: NDArray[Any] | None,
        weight: Floats | None,
        epoch: int,
        number: int,
    ) -> Batch:
        """Return a batch of an epoch, mixed where that is asked for.

        Args:
            images: float32 [n, ...], which are mixed in place.
            y: Targets, or None.
            weight: float32 [n], or None.
            epoch: The number of the epoch, from 0.
            number: The number of the batch in it, from 0.
        """
        if not self.mixing or y is None:
            return images, y, weight
        random = Draws(self.seed, epoch, number)
        y, weight = mixings.mix(self.mixing, images, y, weight, random)
        return images, y, weight
