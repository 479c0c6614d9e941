"""What is drawn for the images of a batch: where each shows what, and in which colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastcnn._ext import effects
from fastcnn._ext.augment import REACH, resample
from fastcnn.data.augment.base import IntervalLike, Range, Shape
from fastcnn.data.augment.geometry import ResampleOptions
from fastcnn.data.counter_rng import Doubles
from fastcnn.utils.docstrings import described_by

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
# The steps of a matrix, in pixels, up to which a device's arithmetic stays within 64 bits.
STEEPEST = 1 << 30


@dataclass(frozen=True, eq=False)
class Noise:
    """A normal number for every value of n images, as `add_noise` takes it.

    Args:
        key: Key of the random numbers.
        streams: Numbers of the images in their set, int64 [n].
        stddev: Standard deviation in each image, float32 [n].
        levels: Of the normal distribution, as `normal_levels` returns them.
        limits: The lowest and the highest value of a pixel.
    """

    key: int
    streams: Indices
    stddev: Floats
    levels: Floats
    limits: Range

    def apply(self, images: Floats) -> None:
        """Change images in place.

        Args:
            images: float32 [n, H, W, C].
        """
        effects.add_noise(images, self.key, self.streams, self.stddev, self.levels, self.limits)


@described_by(Noise.__doc__)
@dataclass(frozen=True, eq=False)
class Erasing:
    """A box that is overwritten in each of n images, as `erase` takes it.

    Args:
        boxes: First row of each box and the one behind its last, then the columns, int64 [n, 4].
        fill: What is written, or None for random numbers.
    """

    key: int
    streams: Indices
    boxes: npt.NDArray[np.int64]
    fill: Floats | None
    limits: Range

    def apply(self, images: Floats) -> None:
        """Change images in place.

        Args:
            images: float32 [n, H, W, C].
        """
        effects.erase(images, self.boxes, self.key, self.streams, self.fill, self.limits)


@dataclass(frozen=True, eq=False)
class BatchParams:
    """What is drawn for n images: one resampling and one map of colours, as `resample` takes them,
    and what is done after it, in this order.

    Args:
        shape: (H, W, C) of the result.
        fill: What is outside of an image and between its pixels.
        matrices: Where pixels come from, float64 [n, 2, 3], or None.
        linear: Map of colours, float32, of n images, or None; as in `ColorMap`.
        offset: float32 [n, C], or None.
        mean: float32, or None.
        limits: The lowest and the highest value of a pixel after it.
        scale: What values are multiplied by at last: None, a number or one a channel.
        shift: What is then added: None, a number or one a channel.
        effects: What is done to the finished images.
    """

    shape: Shape
    fill: ResampleOptions
    matrices: Doubles | None = None
    linear: Floats | None = None
    offset: Floats | None = None
    mean: Floats | None = None
    limits: Range = (0.0, 255.0)
    scale: IntervalLike | None = None
    shift: IntervalLike | None = None
    effects: tuple[Noise | Erasing, ...] = ()

    def applied(self, x: npt.NDArray[Any], places: Indices, out: Floats | None = None) -> Floats:
        """Return images with all of it.

        Args:
            x: The set, C-contiguous uint8 or float32.
            places: Numbers of the images, int64.
            out: Memory for the result, or None.

        Returns:
            float32, `out` where it is given.

        Shape:
            x [N, H, W, C], places [n] -> [n, *shape].
        """
        if out is None:
            out = np.empty((len(places), *self.shape), np.float32)
        resample(
            x,
            places,
            out,
            matrices=self.matrices,
            fill_mode=self.fill.fill_mode,
            fill_value=self.fill.fill_value,
            nearest=self.fill.interpolation == "nearest",
            linear=self.linear,
            offset=self.offset,
            mean=self.mean,
            limits=self.limits,
            scale=self.scale,
            shift=self.shift,
        )
        for effect in self.effects:
            effect.apply(out)
        return out

    def check_reach(self, shape: Shape) -> None:
        """Refuse what `resample` refuses, for who uses the matrices otherwise.

        Args:
            shape: (H, W, C) of the images before.

        Raises:
            ValueError: A matrix reaches too far outside of such images.
        """
        if self.matrices is None:
            return
        height, width, _ = self.shape
        largest = np.abs(self.matrices).max(axis=0, initial=0)
        if (largest @ (max(height - 1, 1), max(width - 1, 1), 1) < REACH).all():
            return  # which takes a quarter of the time of looking at each
        steps, first = self.matrices[:, :, :2], self.matrices[:, :, 2]
        spans = steps * (height - 1.0, width - 1.0)
        low = first + np.minimum(spans, 0).sum(axis=2)
        high = first + np.maximum(spans, 0).sum(axis=2)
        near = (low > -REACH) & (high < REACH + np.array(shape[:2]))
        near &= np.abs(steps).max(axis=2) < STEEPEST
        if not near.all():
            at = int(np.flatnonzero(~near.all(axis=1))[0])
            raise ValueError(
                f"resample: matrices must stay within {REACH} pixels of the image. Received "
                f"{self.matrices[at].tolist()} at position {at}."
            )
