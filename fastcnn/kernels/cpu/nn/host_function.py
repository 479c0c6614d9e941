"""Functions of arrays on the host, a user's own: called once with the whole batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod

import numpy as np

from fastcnn.kernels.call import BATCH, Calls, HostArray
from fastcnn.kernels.cpu.runtime.host_kernel import HostKernel, Record, view
from fastcnn.kernels.cpu.runtime.kernel import record


def host_function(
    calls: Calls,
    arrays: Mapping[str, HostArray],
    function: Callable[[dict[str, np.ndarray]], None],
) -> None:
    """Emit a call of a function with arrays by their names, views of the regions."""

    def host_function(op: Record) -> None:
        function({name: _view(op, name, array) for name, array in arrays.items()})

    writes = tuple(name for name, array in arrays.items() if array.written)
    places = {name: array.region for name, array in arrays.items()}
    calls.emit(HostKernel(host_function, record(*arrays)), BATCH, writes, places)


def _view(op: Record, name: str, array: HostArray) -> np.ndarray:
    region, kind = array.region, np.dtype(array.dtype)
    shape = (op.count, *array.shape) if region.per_image else array.shape
    # A batch's images lie whole cache lines apart, each by itself is packed.
    packed = [kind.itemsize * prod(array.shape[axis + 1 :]) for axis in range(len(array.shape))]
    strides = (region.stride, *packed) if region.per_image else tuple(packed)
    values = view(getattr(op, name), shape, kind.type, strides)
    values.flags.writeable = array.written
    return values
