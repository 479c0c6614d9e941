"""An update by gradients that are on the GPU already, by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from fastcnn.backends.cuda import memory
from fastcnn.backends.cuda.launches import Launches
from fastcnn.backends.cuda.memory import DeviceArray, to_device
from fastcnn.backends.cuda.model_arrays import DeviceState
from fastcnn.backends.cuda.optimizer_step import append_flat_update
from fastcnn.backends.cuda.pinned_buffer import PinnedBuffer
from fastcnn.backends.cuda.streams import Stream
from fastcnn.backends.lowering import Regions
from fastcnn.backends.optimizer_spans import GradientRole
from fastcnn.backends.planned_program import PlannedProgram
from fastcnn.backends.step import BatchImages, StepSpec
from fastcnn.kernels.call import Region
from fastcnn.kernels.cuda.runtime.device import cuda


class ModelOnDevice(Protocol):
    """An engine, as far as an update knows it."""

    stream: Stream
    device_state: DeviceState

    def arrays(self) -> dict[str, DeviceArray]: ...


class UpdatingProgram(PlannedProgram):
    """A program that may update, of whose results the host has copies."""

    _outputs: dict[str, PinnedBuffer]

    @property
    def finite(self) -> bool:
        return bool(self._outputs["factors"].host[-1] == 1)

    @property
    def penalty(self) -> float:
        return float(self._outputs["totals"].host[1])


class CudaUpdate(UpdatingProgram):
    """The launches of an update by the mean of accumulated gradients, without images."""

    def __init__(self, low: Regions, spec: StepSpec, engine: ModelOnDevice):
        loss = Region(4, "weight")  # of no image, and finite
        tables, self.multipliers = append_flat_update(low, spec, loss, GradientRole.MEAN)
        self.capacity, self.updates = 1, True
        self._stream, self._device_state = engine.stream, engine.device_state
        on_device = {name: to_device(table, "an update's table") for name, table in tables.items()}
        self._inputs = {
            "control": PinnedBuffer((4,), np.int64),
            "hyper": PinnedBuffer((8 * len(self.multipliers),), np.float32),
            "weight": PinnedBuffer((1,), np.float32),
        }
        self._outputs = {
            name: PinnedBuffer(array.shape, array.dtype, array)
            for name, array in on_device.items()
            if name in ("factors", "totals")
        }
        inputs = {name: pinned.device for name, pinned in self._inputs.items()}
        self._launches = Launches(low.calls.emitted, 1, {**inputs, **on_device, **engine.arrays()})

    def run(self, x: BatchImages, **targets: np.ndarray) -> None:
        cuda.current_context()  # from now on this thread's
        self._device_state.settle()
        with memory.lack_told("what its kernels need to run"):
            self._device_state.run(self._stream, lambda: self._put(targets), lambda: self.finite)

    def _put(self, targets: Mapping[str, np.ndarray]) -> None:
        self._launches.prepare(1)
        self._device_state.remember_moving(self._stream)
        for name, array in targets.items():
            self._inputs[name].give(array)
            self._inputs[name].upload(len(array), self._stream)
        self._launches.launch(1, self._stream)
        for pinned in self._outputs.values():
            pinned.download(len(pinned.host), self._stream)
