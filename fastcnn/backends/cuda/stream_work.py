"""What a run of a program puts on the GPU's stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from fastcnn.backends.cuda import memory
from fastcnn.backends.cuda.dataset_cache import DatasetCache
from fastcnn.backends.cuda.input_feed import InputFeed, InputRoute
from fastcnn.backends.cuda.launches import Launches, extent
from fastcnn.backends.cuda.memory import to_device
from fastcnn.backends.cuda.pinned_buffer import PinnedBuffer
from fastcnn.backends.cuda.update_program import ModelOnDevice
from fastcnn.backends.engine import NO_RANKS
from fastcnn.backends.lowering import Regions
from fastcnn.backends.step import AuxiliaryResult
from fastcnn.graph.inspection import Inspection
from fastcnn.graph.program import Buffer, Program


class FedModel(ModelOnDevice, Protocol):
    """An engine, as far as what goes on its stream knows it."""

    sets: DatasetCache


class StreamWork:
    """What a run puts on the stream: copies to fixed buffers, the launches, copies of results."""

    def __init__(
        self,
        low: Regions,
        roles: dict[str, Buffer],
        capacity: int,
        engine: FedModel,
        tables: dict[str, np.ndarray],
        has_classes: bool,
        inspection: Inspection | None,
        rates: int,
    ):
        self._capacity = capacity
        self._stream = engine.stream
        self._device_state = engine.device_state
        with memory.batch(capacity, _extent(low, roles)):
            self._tables = {
                name: to_device(table, "the table of an update") for name, table in tables.items()
            }
            self.feed = InputFeed(
                capacity, tuple(low.program.input.shape), engine.sets, engine.stream
            )
            self.inputs = self._make_inputs(low, roles, rates)
            constants = np.array(low.constants, np.float32)
            arrays = {
                **{name: pinned.device for name, pinned in self.inputs.items()},
                **self._tables,
                "x": self.feed.x,
                "constants": to_device(constants, "a program's constants"),
                **engine.arrays(),
            }
            self.launches = Launches(low.calls.emitted, capacity, arrays)
            self.outputs = self._make_outputs(low, roles, has_classes, inspection)
            self.auxiliaries = self._auxiliaries(low.program, roles)

    def _make_inputs(
        self, low: Regions, roles: dict[str, Buffer], rates: int
    ) -> dict[str, PinnedBuffer]:
        size = self._capacity
        buffers: dict[str, PinnedBuffer] = {}
        if "target" in roles:
            target = roles["target"]
            buffers["target"] = PinnedBuffer((size * target.size,), target.dtype)
        if "weight" in roles:
            buffers["weight"] = PinnedBuffer((size,), np.float32)
        if low.program.training:
            buffers["random"] = PinnedBuffer((3,), np.int64)
            buffers["control"] = PinnedBuffer((4,), np.int64)
            buffers["hyper"] = PinnedBuffer((8 * rates,), np.float32)
        return buffers

    def _make_outputs(
        self,
        low: Regions,
        roles: dict[str, Buffer],
        has_classes: bool,
        inspection: Inspection | None,
    ) -> dict[str, PinnedBuffer]:
        own = ["scores", "loss", *(["rank"] if has_classes else [])]
        wanted = [*own, *(side.role(name) for side in low.program.auxiliaries for name in own)]
        buffers: dict[str, PinnedBuffer] = {}
        if "scores" not in roles:
            wanted = ["output"] if inspection is None else [*inspection.roles()]
        for role in wanted:
            buffer = roles[role]
            device = self.launches.view(low.region(buffer), buffer.shape, buffer.dtype)
            buffers[role] = PinnedBuffer(device.shape, buffer.dtype, device)
        for name in ("factors", "totals"):
            if name in self._tables:
                device = self._tables[name]
                buffers[name] = PinnedBuffer(device.shape, device.dtype, device)
        return buffers

    def _auxiliaries(
        self, program: Program, roles: dict[str, Buffer]
    ) -> tuple[AuxiliaryResult, ...]:
        """Return the arrays that a run fills with the results of auxiliary classifiers."""
        hosts = {name: pinned.host for name, pinned in self.outputs.items()}
        return tuple(
            AuxiliaryResult(
                loss=hosts[side.role("loss")],
                rank=hosts.get(side.role("rank"), NO_RANKS),
                scores=hosts[side.role("scores")],
                transform=None,
                layer=side.layer,
                loss_weight=side.loss_weight,
                absorbed=roles[side.role("scores")] is not side.output,
            )
            for side in (program.auxiliaries if "scores" in roles else ())
        )

    def enqueue(self, route: InputRoute, images: int, names: list[str]) -> None:
        """Put a run on the stream: its images, what else is given to it, its launches, what is
        read of it."""
        stream = self._stream
        if "control" in names:  # a training step
            self._device_state.remember_moving(stream)
        self.feed.enqueue(route, images)
        for name in names:
            pinned = self.inputs[name]
            per_image = name in ("target", "weight")
            length = len(pinned.host) // self._capacity * images if per_image else len(pinned.host)
            pinned.upload(length, stream)
        self.launches.launch(images, stream)
        for name, pinned in self.outputs.items():
            length = len(pinned.host) if name in ("factors", "totals") else images
            pinned.download(length, stream)


def _extent(low: Regions, roles: dict[str, Buffer]) -> Callable[[int], int]:
    """Return the function that says how many bytes a batch takes on the device."""
    inputs = [low.program.input, *([roles["target"]] if "target" in roles else [])]
    each = sum(buffer.size * np.dtype(buffer.dtype).itemsize for buffer in inputs)
    return lambda images: extent(low.calls.emitted, images) + images * each
