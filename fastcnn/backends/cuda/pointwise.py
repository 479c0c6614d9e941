"""Noise and erased boxes on the GPU: what was drawn for a batch, brought there, and its launch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastcnn.backends.cuda.memory import to_device
from fastcnn.backends.cuda.pinned_buffer import PinnedBuffer
from fastcnn.data.augment.params import Erasing, Noise
from fastcnn.kernels.cuda.data.effects import add_noise, erase_boxes
from fastcnn.kernels.cuda.runtime.launch import launch

if TYPE_CHECKING:
    from fastcnn.data.augment.base import Shape

BOX = 4  # numbers of a box


class Options(NamedTuple):
    """What the launches of several batches have in common; `noise`: whether it is none of boxes."""

    noise: bool
    filled: bool
    low: float
    high: float


class Effect:
    """Room for what is drawn for one effect on up to `capacity` images, on both sides."""

    def __init__(self, capacity: int, channels: int):
        # A key, then a stream and a box for each image.
        self._capacity, self._channels = capacity, channels
        self._words = PinnedBuffer((1 + (1 + BOX) * capacity,), np.int64)
        self._numbers = PinnedBuffer((max(capacity, channels),), np.float32)
        self._levels: Any = None

    def give(self, drawn: Noise | Erasing) -> Options:
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
            return Options(True, False, low, high)
        words[self._first_box :][: drawn.boxes.size] = drawn.boxes.ravel()
        if drawn.fill is not None:
            self._numbers.give(drawn.fill)
        return Options(False, drawn.fill is not None, low, high)

    @property
    def _first_box(self) -> int:
        return 1 + self._capacity

    def enqueue(self, options: Options, x: Any, shape: Shape, count: int, stream: Any) -> None:
        """Put on the stream what changes so many images of a shape, x, in place."""
        height, width, channels = shape
        words, numbers = self._words, self._numbers
        given = {"x": x, "keys": words.device, "streams": words.device[1:], **options._asdict()}
        if options.noise:
            words.upload(1 + count, stream)
            numbers.upload(count, stream)
            given |= {"stddev": numbers.device, "levels": self._levels}
            launch(add_noise, count, stream, given | {"size": height * width * channels})
            return
        words.upload(self._first_box + BOX * count, stream)
        numbers.upload(channels, stream)
        given |= {"boxes": words.device[self._first_box :], "channels": channels}
        given |= {"fill": numbers.device[: channels if options.filled else 0]}
        launch(erase_boxes, count, stream, given | {"height": height, "width": width})
