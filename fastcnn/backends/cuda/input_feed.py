"""How a batch's images come to the first launch of a program on the GPU."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from fastcnn.backends.cuda.async_upload import UploadedBatch
from fastcnn.backends.cuda.augmentation import Options, Resampling
from fastcnn.backends.cuda.dataset_cache import DatasetCache, Images
from fastcnn.backends.cuda.memory import DeviceArray
from fastcnn.backends.cuda.pinned_buffer import PinnedBuffer
from fastcnn.backends.cuda.streams import Stream
from fastcnn.backends.program_arrays import check_shape
from fastcnn.backends.step import BatchImages, Selection


@dataclass(frozen=True)
class InputRoute:
    """What is the same for all batches whose images come so: a graph is recorded for each route.

    They come from a data set on the device, where there is a `source`, augmented with `options`;
    else from the host, or, where they are not `uploaded`, they are there before the run.
    """

    uploaded: bool = False
    source: Images | None = None
    options: Options | None = None

    @property
    def gone(self) -> bool:
        """Whether no batch can come so any more."""
        return self.source is not None and self.source.source is None


class InputFeed:
    """Brings up to `capacity` images of a shape into `x`, float32 on the device.

    Each run is given its images, which writes to the host's side of fixed buffers; what is then put
    on the stream is the same for all batches of a route and a size.
    """

    def __init__(self, capacity: int, shape: tuple[int, ...], sets: DatasetCache, stream: Stream):
        self._capacity = capacity
        self._shape = shape
        self._channels = shape[-1]
        self._size = prod(shape)
        self._sets = sets
        self._stream = stream
        self._x = PinnedBuffer((capacity * self._size,), np.float32)
        self._indices = PinnedBuffer((capacity,), np.int32)
        self._resampling: Resampling | None = None  # few programs augment

    @property
    def x(self) -> DeviceArray:
        """The images, on the device."""
        return self._x.device

    def give(self, x: BatchImages) -> InputRoute:
        """Take the images of the run that follows; return the route by which they come."""
        if isinstance(x, Selection) and (held := self._sets.of(x.images)) is not None:
            return self._select(x, held)
        if isinstance(x, UploadedBatch):
            # Of another stream and from memory that changes: no part of a graph.
            x.staging.sent.wait(self._stream)
            self.x[: x.size].copy_to_device(x.staging.device[: x.size], self._stream)
            return InputRoute()
        images = np.asarray(x)
        check_shape(images, self._shape)
        self._x.give(images)
        return InputRoute(uploaded=True)

    def _select(self, x: Selection, held: Images) -> InputRoute:
        if x.drawn is None:
            check_shape(x.images, self._shape)
        if x.indices.min(initial=0) < 0 or x.indices.max(initial=0) >= len(x.images):
            raise IndexError(f"Expected numbers of {len(x.images)} images. Received {x.indices}.")
        self._indices.give(x.indices)
        options = None
        if x.drawn is not None:
            if self._resampling is None:
                self._resampling = Resampling(self._capacity, self._channels)
            options = self._resampling.give(x.drawn)
        return InputRoute(source=held, options=options)

    def enqueue(self, route: InputRoute, images: int) -> None:
        """Put on the stream what brings so many images that come by a route."""
        if route.uploaded:
            self._x.upload(images * self._size, self._stream)
        if route.source is None:
            return
        self._indices.upload(images, self._stream)
        to = self._indices.device, images, self.x, self._stream
        if route.options is None:
            route.source.gather(*to)
        elif self._resampling is not None:
            self._resampling.enqueue(route.options, route.source, *to)
