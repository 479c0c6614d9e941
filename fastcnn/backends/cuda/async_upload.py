"""Batches on their way to the GPU, while the step before them still runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fastcnn.backends.cuda.memory import device_array, lack_told, pinned_array
from fastcnn.backends.cuda.streams import Stream, new_stream
from fastcnn.backends.step import BatchImages
from fastcnn.kernels.cuda.runtime.device import cuda


class StagingBuffer:
    """Memory for a batch of so many floats, on both sides, and the event of its arrival."""

    def __init__(self, size: int):
        self._pinned = pinned_array(size, np.float32, "batches that are sent ahead")
        self.device = device_array(size, np.float32, "batches that are sent ahead")
        with lack_told("the events of batches that are sent ahead"):
            self.sent = cuda.event()

    def fill(self, x: np.ndarray, stream: Stream) -> None:
        """Put a copy of the images on its way."""
        self._pinned[: x.size].reshape(x.shape)[...] = x
        self.device[: x.size].copy_to_device(self._pinned[: x.size], stream)
        self.sent.record(stream)

    def __len__(self) -> int:
        return len(self._pinned)


@dataclass(frozen=True, eq=False)
class UploadedBatch:
    """A batch of images float32 [n, H, W, C] and where they are on the device.

    It stands for the host's array wherever a step takes images.
    """

    x: np.ndarray
    staging: StagingBuffer

    @property
    def size(self) -> int:
        return int(self.x.size)

    def __len__(self) -> int:
        return len(self.x)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.x, dtype)


class AsyncUploader:
    """Sends batches from the threads that prepare them, over a stream of its own."""

    def __init__(self) -> None:
        self._stream = new_stream()
        self._free: list[StagingBuffer] = []  # appended to and popped from by several threads

    def send(self, x: np.ndarray) -> BatchImages:
        """Return the images as a batch that is on its way; none, of a rank without, as they are."""
        if not x.size:
            return x
        try:
            staging = self._free.pop()
        except IndexError:
            staging = StagingBuffer(x.size)
        if len(staging) < x.size:
            staging = StagingBuffer(x.size)
        staging.fill(x, self._stream)
        return UploadedBatch(x, staging)

    def take_back(self, staging: StagingBuffer) -> None:
        """Use the staging buffer of a batch again, once the step that took it has ended."""
        self._free.append(staging)
