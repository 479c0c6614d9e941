"""Functions of arrays on the host, a user's own: a batch is copied there and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import numpy as np

from fastcnn.kernels.call import BATCH, Calls, HostArray


class HostFunction:
    """What stands in the place of a kernel in a call; the GPU waits for the host meanwhile."""

    name = "host_function"

    def __init__(
        self,
        arrays: Mapping[str, HostArray],
        function: Callable[[dict[str, np.ndarray]], None],
    ):
        self._arrays = dict(arrays)
        self._function = function

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of its arrays."""
        return tuple(self._arrays)

    def run(self, devices: Mapping[str, Any], images: int, stream: Any) -> None:
        """Call the function for a number of images, behind all that is on a stream.

        Args:
            devices: Where each array begins on the GPU, flat, of bytes.
            images: Their number.
            stream: The stream.
        """
        stream.synchronize()
        parts = {name: self._part(name, device, images) for name, device in devices.items()}
        hosts = {name: self._host(name, part, images) for name, part in parts.items()}
        with np.errstate(all="ignore"):
            self._function(hosts)
        for name, part in parts.items():
            if self._arrays[name].written:
                part.copy_to_device(hosts[name].reshape(-1).view(np.uint8), stream)
        stream.synchronize()  # the arrays on the host end here

    def _shape(self, name: str, images: int) -> tuple[int, ...]:
        array = self._arrays[name]
        return (images, *array.shape) if array.region.per_image else array.shape

    def _part(self, name: str, device: Any, images: int) -> Any:
        return device[
            : prod(self._shape(name, images)) * np.dtype(self._arrays[name].dtype).itemsize
        ]

    def _host(self, name: str, part: Any, images: int) -> np.ndarray:
        array = self._arrays[name]
        if array.written:
            return np.zeros(self._shape(name, images), array.dtype)
        values = part.copy_to_host().view(array.dtype).reshape(self._shape(name, images))
        values.flags.writeable = False
        return np.asarray(values)


def host_function(
    calls: Calls,
    arrays: Mapping[str, HostArray],
    function: Callable[[dict[str, np.ndarray]], None],
) -> None:
    """Emit a call of a function with arrays by their names, copies of the regions."""
    writes = tuple(name for name, array in arrays.items() if array.written)
    places = {name: array.region for name, array in arrays.items()}
    calls.emit(HostFunction(arrays, function), BATCH, writes, places)
