"""Augmentations of images, and a list of them that is applied in one pass over a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from fastcnn import arguments, naming
from fastcnn._ext.augment import resample
from fastcnn._ext.checks import check_target
from fastcnn.data.augmentation_base import Augmentation, Range, Shape
from fastcnn.data.colour import (
    Colour,
    ColourMap,
    PCAColor,
    RandomBrightness,
    RandomContrast,
    RandomHue,
    RandomSaturation,
)
from fastcnn.data.effects import Effect, GaussianNoise, RandomErasing, RandomGaussianBlur
from fastcnn.data.geometry import (
    Geometric,
    RandomCrop,
    RandomFlip,
    RandomRotation,
    RandomShear,
    RandomTranslation,
    RandomZoom,
    agreed_fill,
    composed,
)
from fastcnn.data.randomness import key, uniforms
from fastcnn.data.whitening import PerImageStandardization, Preprocessing, ZCAWhitening

Indices = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Kind = TypeVar("Kind", bound=Augmentation)

AUGMENTATIONS: dict[str, type[Augmentation]] = {
    naming.snake_case(cls.__name__): cls
    for cls in (
        RandomFlip,
        RandomCrop,
        RandomTranslation,
        RandomRotation,
        RandomZoom,
        RandomShear,
        RandomBrightness,
        RandomContrast,
        RandomSaturation,
        RandomHue,
        PCAColor,
        RandomGaussianBlur,
        GaussianNoise,
        RandomErasing,
        PerImageStandardization,
        ZCAWhitening,
    )
}

# Effects act in this order, whatever that of the list.
EFFECTS: tuple[type[Effect], ...] = (RandomGaussianBlur, GaussianNoise, RandomErasing)


class Augment:
    """A list of augmentations, applied to the images of a batch.

    augmentations: objects, names or configurations. What moves pixels comes first and is one
    resampling; then colours, one map an image, cut to the value range once; then blur, noise and
    erasing; then preprocessing. Within each of these the list's order counts. seed: a whole
    number. scale, offset: one finite number or one a channel; value * scale + offset is written,
    last of all.

    What becomes of an image depends on seed, epoch, its place in the set and the augmentation's
    number in the list alone: not on the batch, nor on the thread. Any number of threads may use
    one object. ValueError or TypeError for what cannot be combined.
    """

    def __init__(
        self, augmentations: Sequence[Any], seed: int = 0, *, scale: Any = None, offset: Any = None
    ):
        self.augmentations = tuple(
            naming.resolve("augmentation", one, Augmentation, AUGMENTATIONS)
            for one in augmentations
        )
        self.seed = arguments.whole(self, "seed", seed, least=0)
        self.scale, self.offset = scale, offset
        self._geometric = self._numbered(Geometric)
        self._colours = self._numbered(Colour)
        self._effects = [pair for kind in EFFECTS for pair in self._numbered(kind)]
        self._fill = agreed_fill([one for _, one in self._geometric])
        self._limits = _agreed_limits([one for _, one in self._colours])

    def _numbered(self, kind: type[Kind]) -> list[tuple[int, Kind]]:
        """The augmentations of a kind with their numbers in the list."""
        return [(k, one) for k, one in enumerate(self.augmentations) if isinstance(one, kind)]

    @property
    def preprocessing(self) -> tuple[Preprocessing, ...]:
        """Those of the list that draw nothing and that prediction needs too."""
        return tuple(one for _, one in self._numbered(Preprocessing))

    def with_seed(self, seed: int) -> Augment:
        """The same list with another seed."""
        return Augment(self.augmentations, seed, scale=self.scale, offset=self.offset)

    def output_shape(self, shape: Shape) -> Shape:
        """(H, W, C) after all of them; ValueError when one cannot work on what reaches it."""
        shape = _image_shape(shape)
        others = [one for one in self.augmentations if not isinstance(one, Geometric)]
        for one in [*(one for _, one in self._geometric), *others]:
            shape = one.output_shape(shape)
        return shape

    def apply(
        self, x: npt.NDArray[Any], indices: Indices, epoch: int, out: Floats | None = None
    ) -> Floats:
        """The augmented images ``x[indices]``, float32 [n, *output_shape]; written into ``out``
        where it is given.

        x: the whole set, C-contiguous uint8 or float32 [N, H, W, C]; indices: int64 [n], each from
        0 to N - 1; out: C-contiguous, apart from x. The GIL is released for most of the time.
        TypeError, ValueError or IndexError for arguments that do not fit.
        """
        return self._apply(x, indices, indices, epoch, out)

    def apply_batch(
        self, images: npt.NDArray[Any], indices: Indices, epoch: int, out: Floats | None = None
    ) -> Floats:
        """As apply(), of ``images`` [n, H, W, C] that have been gathered: those at ``indices`` of
        the set, which only choose the random numbers."""
        if len(images) != len(indices):
            raise ValueError(
                f"Augment: {len(images)} images need as many indices. Received {len(indices)}."
            )
        return self._apply(images, np.arange(len(images)), indices, epoch, out)

    def _apply(
        self, x: npt.NDArray[Any], places: Indices, indices: Indices, epoch: int, out: Floats | None
    ) -> Floats:
        shape = _image_shape(x.shape[1:])
        shape_after = (len(indices), *self.output_shape(shape))
        if out is None:
            out = np.empty(shape_after, np.float32)
        check_target("Augment", "out", out, shape_after)
        later = bool(self._effects or self.preprocessing)
        scales = {"scale": self.scale, "shift": self.offset}
        resample(
            x,
            places,
            out,
            **self._geometry(indices, epoch, shape),
            **self._colouring(indices, epoch, shape[2]),
            **({} if later else scales),
        )
        for number, effect in self._effects:
            effect.apply(out, indices, self.seed, epoch, number)
        for one in self.preprocessing:
            one.apply(out)
        if later and (self.scale is not None or self.offset is not None):
            out *= np.float32(1) if self.scale is None else np.asarray(self.scale, np.float32)
            out += np.float32(0) if self.offset is None else np.asarray(self.offset, np.float32)
        return out

    def _draws(self, pairs: Sequence[tuple[int, Kind]], indices: Indices, epoch: int) -> Any:
        """Each augmentation with its random numbers, float64 [n, draws]."""
        return [
            (one, uniforms(key(self.seed, epoch, number), indices, one.draws))
            for number, one in pairs
        ]

    def _geometry(self, indices: Indices, epoch: int, shape: Shape) -> dict[str, Any]:
        drawn = self._draws(self._geometric, indices, epoch)
        return {
            "matrices": composed(drawn, shape, len(indices)),
            "fill_mode": self._fill.fill_mode,
            "fill_value": self._fill.fill_value,
            "nearest": self._fill.interpolation == "nearest",
        }

    def _colouring(self, indices: Indices, epoch: int, channels: int) -> dict[str, Any]:
        if not self._colours:
            return {}
        colours = ColourMap(len(indices), channels)
        for one, u in self._draws(self._colours, indices, epoch):
            one.change(colours, u)
        return {**colours.arrays(), "limits": self._limits}

    def get_config(self) -> dict[str, Any]:
        """Everything that makes another one like it, as JSON can hold it."""
        return {
            "augmentations": [naming.serialize(one) for one in self.augmentations],
            "seed": self.seed,
            "scale": None if self.scale is None else np.asarray(self.scale).tolist(),
            "offset": None if self.offset is None else np.asarray(self.offset).tolist(),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Augment:
        return cls(**config)

    def __repr__(self) -> str:
        listed = ", ".join(repr(one) for one in self.augmentations)
        return f"Augment([{listed}], seed={self.seed})"


def get(identifier: Any, seed: int = 0) -> Augment | None:
    """An Augment of a list, which takes the seed, of its configuration, or itself; None stays."""
    if identifier is None or isinstance(identifier, Augment):
        return identifier
    if isinstance(identifier, dict):
        return Augment.from_config(identifier)
    if isinstance(identifier, Augmentation):
        return Augment([identifier], seed)
    if isinstance(identifier, list | tuple):
        return Augment(identifier, seed)
    raise TypeError(
        "augment: expected a list of augmentations or an Augment. "
        f"Received {identifier!r} of type {type(identifier).__name__}."
    )


def _image_shape(shape: Sequence[int]) -> Shape:
    if len(shape) != 3:
        raise ValueError(
            f"Augment: an image must have the shape (H, W, C). Received {tuple(shape)}."
        )
    height, width, channels = (int(length) for length in shape)
    return height, width, channels


def _agreed_limits(colours: Sequence[Colour]) -> Range:
    """The one value range of a list; ValueError where two of them differ."""
    for one in colours[1:]:
        if one.limits != colours[0].limits:
            raise ValueError(
                "Augment: colour augmentations become one map, so they must agree on value_range. "
                f"Received {colours[0]!r} and {one!r}."
            )
    return colours[0].limits if colours else (0.0, 255.0)
