"""Augmentation on the GPU: what was drawn for a batch, brought there and turned into launches."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fastcnn._ext.augment import FILL_MODES
from fastcnn.backends.cuda.memory import DeviceArray, to_device
from fastcnn.backends.cuda.pinned_buffer import PinnedBuffer
from fastcnn.backends.cuda.streams import Stream
from fastcnn.data.augment.params import Erasing, Noise
from fastcnn.kernels.cuda.data.effects import add_noise, erase_boxes
from fastcnn.kernels.cuda.runtime.launch import launch

if TYPE_CHECKING:
    from fastcnn.backends.cuda.dataset_cache import Images
    from fastcnn.data.augment.base import Shape
    from fastcnn.data.augment.params import BatchParams

BOX = 4  # numbers of a box
MOST_FACTORS = 9  # of a map of three colours


class EffectOptions(NamedTuple):
    """What the launches of several batches have in common; `noise`: whether it is none of boxes."""

    noise: bool
    filled: bool
    low: float
    high: float


class Effect:
    """Buffers for what is drawn for one effect on up to `capacity` images, on both sides."""

    def __init__(self, capacity: int, channels: int):
        # A key, then a stream and a box for each image.
        self._capacity, self._channels = capacity, channels
        self._words = PinnedBuffer((1 + (1 + BOX) * capacity,), np.int64)
        self._numbers = PinnedBuffer((max(capacity, channels),), np.float32)
        self._levels: DeviceArray | None = None

    def give(self, drawn: Noise | Erasing) -> EffectOptions:
        """Write to the host's side; return what the launch has to know."""
        low, high = map(float, drawn.limits)
        words, count = self._words.host, len(drawn.streams)
        words[0] = np.uint64(drawn.key).astype(np.int64)
        words[1 : 1 + count] = drawn.streams
        if isinstance(drawn, Noise):
            self._numbers.give(drawn.stddev)
            if self._levels is None:
                # The same for all noise.
                self._levels = to_device(drawn.levels, "a normal distribution's quantiles")
            return EffectOptions(True, False, low, high)
        words[self._first_box :][: drawn.boxes.size] = drawn.boxes.ravel()
        if drawn.fill is not None:
            self._numbers.give(drawn.fill)
        return EffectOptions(False, drawn.fill is not None, low, high)

    @property
    def _first_box(self) -> int:
        return 1 + self._capacity

    def enqueue(
        self, options: EffectOptions, x: DeviceArray, shape: Shape, count: int, stream: Stream
    ) -> None:
        """Put on the stream what changes so many images of a shape, x, in place."""
        height, width, channels = shape
        words, numbers = self._words, self._numbers
        operands = {"x": x, "keys": words.device, "streams": words.device[1:], **options._asdict()}
        if options.noise:
            words.upload(1 + count, stream)
            numbers.upload(count, stream)
            operands |= {"stddev": numbers.device, "levels": self._levels}
            launch(add_noise, count, stream, operands | {"size": height * width * channels})
            return
        words.upload(self._first_box + BOX * count, stream)
        numbers.upload(channels, stream)
        operands |= {"boxes": words.device[self._first_box :], "channels": channels}
        operands |= {"fill": numbers.device[: channels if options.filled else 0]}
        launch(erase_boxes, count, stream, operands | {"height": height, "width": width})


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
    effects: tuple[EffectOptions, ...]


class Resampling:
    """Room for what is drawn for up to `capacity` images of so many channels, on both sides."""

    def __init__(self, capacity: int, channels: int):
        self._capacity, self._channels = capacity, channels
        self._effects: list[Effect] = []
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

    def _give_effects(self, drawn: BatchParams) -> tuple[EffectOptions, ...]:
        while len(self._effects) < len(drawn.effects):
            self._effects.append(Effect(self._capacity, self._channels))
        pairs = zip(self._effects, drawn.effects, strict=False)
        return tuple(slot.give(effect) for slot, effect in pairs)

    def _give_colours(self, drawn: BatchParams) -> int:
        """Write each image's record; return how many numbers it has."""
        colours = (drawn.linear, drawn.offset, drawn.mean)
        parts = [part.reshape(len(part), -1) for part in colours if part is not None]
        if not parts:
            return 0
        records = np.concatenate(parts, axis=1)
        first = 3 * self._channels
        self._colours.host[first : first + records.size] = records.ravel()
        return records.shape[1]

    def enqueue(
        self,
        options: Options,
        source: Images,
        indices: DeviceArray,
        count: int,
        x: DeviceArray,
        stream: Stream,
    ) -> None:
        """Put on the stream what writes the images of these numbers into x, augmented."""
        first = 3 * self._channels
        if options.moved:
            self._matrices.upload(6 * count, stream)
        self._colours.upload(first + count * options.record, stream)
        operands = options._asdict() | {
            "matrices": self._matrices.device[: 6 * count if options.moved else 0],
            "settings": self._colours.device[:first],
            "colours": self._colours.device[first:],
        }
        source.resample(operands, indices, count, x, stream)
        shape = options.out_height, options.out_width, self._channels
        for slot, effect in zip(self._effects, options.effects, strict=False):
            slot.enqueue(effect, x, shape, count, stream)
