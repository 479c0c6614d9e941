"""A list of augmentations that is applied in one pass over a batch."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from fastcnn._ext.checks import check_target
from fastcnn.data import counter_rng
from fastcnn.data.augment.base import Augmentation, IntervalLike, Range, Shape
from fastcnn.data.augment.color import (
    ColorAugmentation,
    ColorMap,
)
from fastcnn.data.augment.composition import agreed_fill, composed
from fastcnn.data.augment.custom import CustomAugmentation
from fastcnn.data.augment.effects import (
    PIXELS,
    Effect,
    GaussianNoise,
    Pointwise,
    RandomErasing,
    RandomGaussianBlur,
)
from fastcnn.data.augment.geometry import (
    Geometric,
)
from fastcnn.data.augment.params import BatchParams
from fastcnn.data.augment.preprocessing import check_order
from fastcnn.data.augment.registry import AugmentationLike, resolved
from fastcnn.data.augment.whitening import Preprocessing
from fastcnn.data.counter_rng import Doubles, key
from fastcnn.utils import arguments, naming
from fastcnn.utils.settings import Settings

Indices = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Kind = TypeVar("Kind", bound=Augmentation)

# Effects act in this order, whatever that of the list.
EFFECTS: tuple[type[Effect], ...] = (
    *(RandomGaussianBlur, GaussianNoise, RandomErasing),
    CustomAugmentation,
)
ALL: tuple[type[Augmentation], ...] = (Geometric, ColorAugmentation, *EFFECTS, Preprocessing)


class Augment(Settings):
    """A list of augmentations, applied to the images of a batch.

    What moves pixels comes first and is one resampling; then colours, one map an image, cut to the
    value range once; then blur, noise and erasing; then preprocessing, which must stand last.
    Within each of these the list's order counts.

    What becomes of an image depends on seed, epoch, its place in the set and the augmentation's
    number in the list alone: not on the batch, nor on the thread. Any number of threads may use one
    object.

    Args:
        augmentations: Objects, names or configurations.
        seed: A whole number, at least 0.
        scale: A finite number or one a channel, that results are multiplied by; None for none.
        offset: Likewise, that is added after it.

    Raises:
        ValueError: Augmentations cannot be combined, a name is unknown, or a number is out of its
            range.
        TypeError: One is no augmentation, or a number is none.
    """

    def __init__(
        self,
        augmentations: Sequence[AugmentationLike],
        seed: int = 0,
        *,
        scale: IntervalLike | None = None,
        offset: IntervalLike | None = None,
    ):
        if isinstance(augmentations, str) or not isinstance(augmentations, Sequence):
            raise TypeError(
                "Augment: augmentations must be a list, such as ['random_flip']. Received "
                f"{augmentations!r}."
            )
        self.augmentations = tuple(resolved(augmentation) for augmentation in augmentations)
        check_order(self.augmentations)
        for augmentation in self.augmentations:
            if not isinstance(augmentation, ALL):
                hint = "Derive its class from fastcnn.data.CustomAugmentation."
                raise TypeError(f"Augment: what {augmentation!r} does is not known. {hint}")
        self.seed = arguments.whole(self, "seed", seed, least=0)
        self.scale, self.offset = copy(scale), copy(offset)
        for name, value in (("scale", scale), ("offset", offset)):
            if value is not None:
                arguments.check_float32s(self, name, value)
        self._geometric = self._numbered(Geometric)
        self._colours = self._numbered(ColorAugmentation)
        self._effects = [pair for kind in EFFECTS for pair in self._numbered(kind)]
        self._fill = agreed_fill([augmentation for _, augmentation in self._geometric])
        self._limits = _agreed_limits([augmentation for _, augmentation in self._colours])
        self.preprocessing = tuple(
            augmentation for _, augmentation in self._numbered(Preprocessing)
        )
        self._shapes: dict[Shape, tuple[Shape, Shape]] = {}

    def _why_fixed(self, name: str) -> str | None:
        if name in self._arguments():
            return ": it is fixed when the list is made. Make a new Augment"
        return super()._why_fixed(name)

    def _numbered(self, kind: type[Kind]) -> list[tuple[int, Kind]]:
        """The augmentations of a kind with their numbers in the list."""
        return [
            (k, augmentation)
            for k, augmentation in enumerate(self.augmentations)
            if isinstance(augmentation, kind)
        ]

    def with_seed(self, seed: int) -> Augment:
        """Return the same list with another seed.

        Args:
            seed: From 0.
        """
        return Augment(self.augmentations, seed, scale=self.scale, offset=self.offset)

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape of an image after all of them.

        Args:
            shape: (H, W, C) of an image before.

        Raises:
            ValueError: One of them cannot work on what reaches it.
        """
        return self._shapes_after(_image_shape(shape))[1]

    def _shapes_after(self, shape: Shape) -> tuple[Shape, Shape]:
        """(H, W, C) after those that are drawn anew for each image, and after all of them."""
        if shape not in self._shapes:
            drawn = shape
            for _, augmentation in (*self._geometric, *self._colours, *self._effects):
                drawn = augmentation.output_shape(drawn)
            after = drawn
            for step in self.preprocessing:
                after = step.output_shape(after)
            self._shapes[shape] = drawn, after
        return self._shapes[shape]

    @property
    def drawable(self) -> bool:
        """Whether draw() can tell all that becomes of an image."""
        # One with a change() of its own may do anything.
        drawn = all(type(effect).change is Pointwise.change for _, effect in self._effects)
        return drawn and not self.preprocessing and not (self._effects and self._scaled)

    @property
    def _scaled(self) -> bool:
        return self.scale is not None or self.offset is not None

    def draw(self, shape: Shape, indices: Indices, epoch: int) -> BatchParams:
        """Return what is drawn for some images: all that `apply` does to them, of a `drawable`
        list.

        Args:
            shape: (H, W, C) of the images.
            indices: Their numbers in the set, int64 [n].
            epoch: The number of the epoch, from 0.
        """
        shape = _image_shape(shape)
        tables = self._tables(indices, epoch)
        drawn = self._drawn(tables, shape, len(indices))
        effects = (
            effect.drawn(drawn.shape, tables[k], indices, key(self.seed, epoch, k, PIXELS))
            for k, effect in self._effects
            if isinstance(effect, Pointwise)
        )
        return replace(drawn, effects=tuple(effects))

    def check_values(self, images: npt.NDArray[Any]) -> None:
        """Refuse values in another range than an augmentation reckons with.

        Args:
            images: The images of a first batch, float32 [n, H, W, C].

        Raises:
            ValueError: They lie about 0 to 1 and an augmentation reckons with 0 to 255: brightness
                and noise would be far too strong.
        """
        bytewise = [
            augmentation
            for augmentation in self.augmentations
            if augmentation.limits == (0.0, 255.0)
        ]
        if images.dtype == np.uint8 or not bytewise or not images.size:
            return
        low, high = float(images.min()), float(images.max())
        if low < high <= 1.5:
            instead = "(0, 1)" if low >= 0 else f"({low:.3g}, {high:.3g})"
            raise ValueError(
                f"augment: {bytewise[0]!r} expects pixels from 0 to 255. Received floats from "
                f"{low:.3g} to {high:.3g} in the first batch: give value_range={instead}."
            )

    def apply(
        self, x: npt.NDArray[Any], indices: Indices, epoch: int, out: Floats | None = None
    ) -> Floats:
        """Return the augmented images ``x[indices]``. The GIL is released for most of the time.

        Args:
            x: The whole set, C-contiguous uint8 or float32.
            indices: Numbers of images, int64, each from 0 to N - 1.
            epoch: The number of the epoch, from 0: other random numbers in each.
            out: Memory for the result, C-contiguous and apart from x, or None.

        Returns:
            float32, `out` where it is given.

        Raises:
            TypeError: An argument has another type.
            ValueError: An argument has another shape, or `out` overlaps x.
            IndexError: An index is none of an image.

        Shape:
            x [N, H, W, C], indices [n] -> [n, *output_shape].
        """
        return self._apply(x, indices, indices, epoch, out)

    def apply_batch(
        self, images: npt.NDArray[Any], indices: Indices, epoch: int, out: Floats | None = None
    ) -> Floats:
        """Return the augmented images of a batch that has been gathered.

        Args:
            images: C-contiguous uint8 or float32.
            indices: Their numbers in the set, int64, which only choose the random numbers.
            epoch: The number of the epoch, from 0.
            out: Memory for the result, C-contiguous and apart from the images, or None.

        Returns:
            float32, `out` where it is given.

        Raises:
            TypeError: An argument has another type.
            ValueError: An argument has another shape, or there are not as many images as indices.

        Shape:
            images [n, H, W, C], indices [n] -> [n, *output_shape].
        """
        if len(images) != len(indices):
            raise ValueError(
                f"Augment: {len(images)} images need as many indices. Received {len(indices)}."
            )
        return self._apply(images, np.arange(len(images)), indices, epoch, out)

    def _apply(
        self, x: npt.NDArray[Any], places: Indices, indices: Indices, epoch: int, out: Floats | None
    ) -> Floats:
        shape = _image_shape(x.shape[1:])
        drawn, after = ((len(indices), *each) for each in self._shapes_after(shape))
        if out is None:
            out = np.empty(after, np.float32)
        else:
            check_target("Augment", "out", out, after)
        drawn_images = out if drawn == after else np.empty(drawn, np.float32)
        tables = self._tables(indices, epoch)
        self._drawn(tables, shape, len(indices)).applied(x, places, drawn_images)
        for number, effect in self._effects:
            pixels = key(self.seed, epoch, number, PIXELS)
            effect.change(drawn_images, tables[number], indices, pixels)
        for step in self.preprocessing:
            drawn_images = step.apply(drawn_images)
        if drawn_images is not out:
            out[...] = drawn_images
        if self._scaled and (self._effects or self.preprocessing):
            out *= np.float32(1) if self.scale is None else np.asarray(self.scale, np.float32)
            out += np.float32(0) if self.offset is None else np.asarray(self.offset, np.float32)
        return out

    def _tables(self, indices: Indices, epoch: int) -> list[Doubles]:
        """Each augmentation's random numbers, float64 [n, draws]."""
        keys = [key(self.seed, epoch, number) for number in range(len(self.augmentations))]
        return counter_rng.tables(
            keys, indices, [augmentation.draws for augmentation in self.augmentations]
        )

    def _drawn(self, tables: list[Doubles], shape: Shape, count: int) -> BatchParams:
        """What the tables make of the resampling and the colours of images of that shape."""
        moves = [(augmentation, tables[number]) for number, augmentation in self._geometric]
        last = not (self._effects or self.preprocessing)
        return BatchParams(
            shape=self._shapes_after(shape)[0],
            fill=self._fill,
            matrices=composed(moves, shape, count),
            **self._colouring(tables, shape[2], count),
            limits=self._limits,
            scale=self.scale if last else None,
            shift=self.offset if last else None,
        )

    def _colouring(self, tables: list[Doubles], channels: int, count: int) -> dict[str, Any]:
        if not self._colours:
            return {}
        colours = ColorMap(count, channels)
        for number, colour in self._colours:
            colour.change(colours, tables[number])
        return colours.arrays()

    def get_config(self) -> dict[str, object]:
        """Return everything that makes another one like it, as JSON can hold it."""
        return {
            "augmentations": [
                naming.serialize(augmentation) for augmentation in self.augmentations
            ],
            "seed": self.seed,
            "scale": None if self.scale is None else np.asarray(self.scale).tolist(),
            "offset": None if self.offset is None else np.asarray(self.offset).tolist(),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Augment:
        return cls(**config)

    def __repr__(self) -> str:
        listed = ", ".join(repr(augmentation) for augmentation in self.augmentations)
        return f"Augment([{listed}], seed={self.seed})"


def _image_shape(shape: Sequence[int]) -> Shape:
    if len(shape) != 3:
        raise ValueError(
            f"Augment: an image must have the shape (H, W, C). Received {tuple(shape)}."
        )
    height, width, channels = (int(length) for length in shape)
    return height, width, channels


def _agreed_limits(colours: Sequence[ColorAugmentation]) -> Range:
    """The one value range of a list; ValueError where two of them differ."""
    for colour in colours[1:]:
        if colour.limits != colours[0].limits:
            raise ValueError(
                "Augment: colour augmentations become one map, so they must agree on value_range. "
                f"Received {colours[0]!r} and {colour!r}."
            )
    return colours[0].limits if colours else (0.0, 255.0)
