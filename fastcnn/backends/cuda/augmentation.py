"""Augmentation on the GPU: what was drawn for a batch, brought there and turned into launches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastcnn._ext.augment import FILL_MODES
from fastcnn.backends.cuda import pointwise
from fastcnn.backends.cuda.pinned_buffer import PinnedBuffer

if TYPE_CHECKING:
    from fastcnn.backends.cuda.dataset_cache import Images
    from fastcnn.data.augment.params import BatchParams

MOST_FACTORS = 9  # of a map of three colours


class Options(NamedTuple):
    """What the launches of several batches have in common, by the kernels' names.

    Besides them: whether pixels move, whether an image's mean colour is looked at, and what the
    effects' launches have to know.
    """

    out_height: int
    out_width: int
    fill_mode: int
    nearest: bool
    side: int
    record: int
    scaled: bool
    low: float
    high: float
    moved: bool
    mean: bool
    effects: tuple[pointwise.Options, ...]


class Resampling:
    """Room for what is drawn for up to `capacity` images of so many channels, on both sides."""

    def __init__(self, capacity: int, channels: int):
        self._capacity, self._channels = capacity, channels
        self._effects: list[pointwise.Effect] = []
        self._matrices = PinnedBuffer((6 * capacity,), np.float64)
        # Fill values, scale and shift; then a record an image: factors, offsets, factors of means.
        self._colours = PinnedBuffer(
            (3 * channels + capacity * (2 * MOST_FACTORS + channels),), np.float32
        )

    def give(self, drawn: BatchParams) -> Options:
        """Write to the host's side; return what the launches have to know."""
        if drawn.matrices is not None:
            self._matrices.give(drawn.matrices)
        settings = self._colours.host[: 3 * self._channels].reshape(3, self._channels)
        settings[0] = drawn.fill.fill_value
        settings[1] = 1 if drawn.scale is None else drawn.scale
        settings[2] = 0 if drawn.shift is None else drawn.shift
        height, width, _ = drawn.shape
        low, high = drawn.limits
        return Options(
            out_height=height,
            out_width=width,
            fill_mode=FILL_MODES.index(drawn.fill.fill_mode),
            nearest=drawn.fill.interpolation == "nearest",
            side=0 if drawn.linear is None else drawn.linear.shape[1],
            record=self._give_colours(drawn),
            scaled=drawn.scale is not None or drawn.shift is not None,
            low=float(low),
            high=float(high),
            moved=drawn.matrices is not None,
            mean=drawn.mean is not None,
            effects=self._give_effects(drawn),
        )

    def _give_effects(self, drawn: BatchParams) -> tuple[pointwise.Options, ...]:
        while len(self._effects) < len(drawn.effects):
            self._effects.append(pointwise.Effect(self._capacity, self._channels))
        pairs = zip(self._effects, drawn.effects, strict=False)
        return tuple(room.give(effect) for room, effect in pairs)

    def _give_colours(self, drawn: BatchParams) -> int:
        """Write each image's record; return how many numbers it has."""
        given = (drawn.linear, drawn.offset, drawn.mean)
        parts = [part.reshape(len(part), -1) for part in given if part is not None]
        if not parts:
            return 0
        records = np.concatenate(parts, axis=1)
        first = 3 * self._channels
        self._colours.host[first : first + records.size] = records.ravel()
        return records.shape[1]

    def enqueue(
        self, options: Options, source: Images, indices: Any, count: int, x: Any, stream: Any
    ) -> None:
        """Put on the stream what writes the images of these numbers into x, augmented."""
        first = 3 * self._channels
        if options.moved:
            self._matrices.upload(6 * count, stream)
        self._colours.upload(first + count * options.record, stream)
        given = options._asdict() | {
            "matrices": self._matrices.device[: 6 * count if options.moved else 0],
            "settings": self._colours.device[:first],
            "colours": self._colours.device[first:],
        }
        source.resample(given, indices, count, x, stream)
        shape = options.out_height, options.out_width, self._channels
        for room, effect in zip(self._effects, options.effects, strict=False):
            room.enqueue(effect, x, shape, count, stream)
