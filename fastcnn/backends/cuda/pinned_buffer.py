"""Arrays that go back and forth between the host and the GPU in every step."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fastcnn.backends.cuda.memory import DeviceArray, device_array, pinned_array
from fastcnn.backends.cuda.streams import Stream

WHAT = "what goes to the GPU and back in every step"


class PinnedBuffer:
    """An array on the device and its likeness in pinned host memory, which copies go through."""

    def __init__(
        self, shape: tuple[int, ...], dtype: npt.DTypeLike, device: DeviceArray | None = None
    ):
        self.host = pinned_array(shape, dtype, WHAT)
        self.device = device_array(shape, dtype, WHAT) if device is None else device

    def give(self, array: np.ndarray) -> None:
        """Write to the beginning of the host's side, whatever the array's shape."""
        self.host[: array.size].reshape(array.shape)[...] = array

    def upload(self, length: int, stream: Stream) -> None:
        self.device[:length].copy_to_device(self.host[:length], stream)

    def download(self, length: int, stream: Stream) -> None:
        self.device[:length].copy_to_host(self.host[:length], stream)
