"""Batches on their way to the GPU, while the step before them still runs."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastcnn.kernels.cuda.device import cuda


class Parcel:
    """A batch of images float32 [n, H, W, C] in memory of its own on the device.

    It stands for the host's array wherever a step takes images.
    """

    def __init__(self, size: int):
        self._pinned = cuda.pinned_array((size,), np.float32)
        self.device = cuda.device_array((size,), np.float32)
        self.sent = cuda.event()
        self._x = np.zeros(0, np.float32)

    def fill(self, x: np.ndarray, stream: Any) -> None:
        """Put a copy of the images on its way; `sent` is the event of its arrival."""
        self._x = x
        self._pinned[: x.size].reshape(x.shape)[...] = x
        self.device[: x.size].copy_to_device(self._pinned[: x.size], stream)
        self.sent.record(stream)

    @property
    def room(self) -> int:
        return len(self._pinned)

    @property
    def size(self) -> int:
        return int(self._x.size)

    def __len__(self) -> int:
        return len(self._x)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self._x, dtype)


class Outbox:
    """Sends batches from the threads that prepare them, over a stream of its own."""

    def __init__(self) -> None:
        self._stream = cuda.stream()
        self._free: list[Parcel] = []  # appended to and popped from by several threads

    def send(self, x: np.ndarray) -> Parcel:
        """Return the images as a parcel that is on its way."""
        try:
            parcel = self._free.pop()
        except IndexError:
            parcel = Parcel(x.size)
        if parcel.room < x.size:
            parcel = Parcel(x.size)
        parcel.fill(np.asarray(x, np.float32), self._stream)
        return parcel

    def take_back(self, parcel: Parcel) -> None:
        """Use a parcel's memory again, once the step that took it has ended."""
        self._free.append(parcel)
