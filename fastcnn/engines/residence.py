"""What stays on the GPU from step to step: a model's numbers, and a data set's images."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from fastcnn.kernels.cuda.device import cuda
from fastcnn.kernels.cuda.images import gather_images

if TYPE_CHECKING:
    from fastcnn.state import State


class Residence:
    """Weights, moving statistics and optimizer slots, and which side has the newer ones.

    They are copied to the device when they changed on the host, and back when the host asks
    `State` for them after the device changed them.
    """

    def __init__(self, state: State):
        self._state = state
        self._version: int | None = None
        self.values = _like(state.values)
        self.moving = _like(state.moving)
        self._moving_before = _like(state.moving)
        self.slots: Any = None

    def add_slots(self) -> None:
        """Make room for the optimizer's slots, float32[slots, P]."""
        slots = self._state.slots
        self.slots = cuda.device_array([max(1, extent) for extent in slots.shape], np.float32)
        self._version = None

    def settle(self) -> None:
        """Copy to the device what is newer on the host."""
        state = self._state
        with state.lock:
            version = state.version
            if version != self._version:
                _copy(state.values, self.values)
                _copy(state.moving, self.moving)
                if self.slots is not None:
                    _copy(state.slots, self.slots)
                self._version = version

    def stepped(self) -> None:
        """Note that the device's numbers are newer now; the host fetches them when it asks."""
        self._state.leave(self._fetch)
        if self._state.lent:
            self._state.come_home()  # somebody holds a view that must show them

    def remember_moving(self, stream: Any) -> None:
        """Keep the moving statistics as they are before a step."""
        self._moving_before.copy_to_device(self.moving, stream)

    def restore_moving(self, stream: Any) -> None:
        """Undo what a step that does not count did to them."""
        self.moving.copy_to_device(self._moving_before, stream)
        stream.synchronize()

    def _fetch(self, state: State) -> None:
        _copy_back(self.values, state.values)
        _copy_back(self.moving, state.moving)
        if self.slots is not None and state.slots.size:
            self.slots.copy_to_host(state.slots)
        self._version = state.version


class Images:
    """A data set's images on the device: uint8 or float32 [N, H, W, C].

    `source` is the host's array that they were copied from, as long as somebody holds it.
    """

    DTYPES = tuple(gather_images)

    def __init__(self, source: np.ndarray):
        self._source = weakref.ref(source)
        self._size = source[0].size
        self._device = cuda.to_device(np.ascontiguousarray(source).reshape(-1))
        self._kernel = gather_images[source.dtype.name]

    @property
    def source(self) -> np.ndarray | None:
        return self._source()

    def gather(self, indices: Any, count: int, x: Any, stream: Any) -> None:
        """Put a launch on the stream that writes the images of these numbers into x."""
        blocks, threads = self._kernel.launch(count, {"size": self._size})
        arguments = np.int32(count), self._device, indices, x, np.int32(self._size)
        self._kernel.compiled[blocks, threads, stream](*arguments)


def _like(array: np.ndarray) -> Any:
    return cuda.device_array(max(1, array.size), np.float32)


def _copy(source: np.ndarray, to: Any) -> None:
    if source.size:
        (to[: len(source)] if source.ndim == 1 else to).copy_to_device(source)


def _copy_back(source: Any, to: np.ndarray) -> None:
    if to.size:
        source[: len(to)].copy_to_host(to)
