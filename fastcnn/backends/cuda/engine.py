"""The CUDA engine: each program a row of launches on one stream, everything resident on the GPU.

A step copies its images (or their numbers and what is drawn for their augmentation, where the
data set lies on the device), runs, and copies back what the host reads; the driver repeats all of
it as one graph.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastcnn.backends.cuda import memory
from fastcnn.backends.cuda.async_upload import AsyncUploader, UploadedBatch
from fastcnn.backends.cuda.dataset_cache import DatasetCache
from fastcnn.backends.cuda.graphs import Replay
from fastcnn.backends.cuda.input_feed import InputFeed, InputRoute
from fastcnn.backends.cuda.launches import MOST_SIZES, Launches, extent
from fastcnn.backends.cuda.memory import DeviceArray, to_device
from fastcnn.backends.cuda.model_arrays import DeviceState
from fastcnn.backends.cuda.optimizer_step import append_flat_update
from fastcnn.backends.cuda.pinned_buffer import PinnedBuffer
from fastcnn.backends.cuda.streams import new_stream
from fastcnn.backends.cuda.update_program import CudaUpdate, UpdatingProgram
from fastcnn.backends.engine import NO_RANKS, TRAIN, UPDATE, Engine
from fastcnn.backends.lowering import Regions, lower
from fastcnn.backends.optimizer_spans import GradientRole
from fastcnn.backends.planned_program import PlannedProgram
from fastcnn.backends.program_arrays import kept_by, outside_of
from fastcnn.backends.step import AuxiliaryResult, BatchImages, StepSpec
from fastcnn.graph.inspection import Inspection
from fastcnn.graph.program import Buffer, Program
from fastcnn.kernels.call import Calls
from fastcnn.kernels.cuda.runtime.device import check_process, cuda
from fastcnn.kernels.registry import kernels_of


class _Work:
    """What a run puts on the stream: copies to fixed buffers, the launches, copies of results."""

    def __init__(
        self,
        low: Regions,
        roles: dict[str, Buffer],
        capacity: int,
        engine: CudaEngine,
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
            buffers["random"] = PinnedBuffer((2,), np.int64)
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


class _CudaProgram(UpdatingProgram):
    """A program's work on the GPU, recorded for each route and number of images.

    It holds no engine, and no recording holds it: memory is free as soon as it is dropped.
    """

    def __init__(self, work: _Work, capacity: int, absorbed: bool, engine: CudaEngine):
        self.capacity = capacity
        self.absorbed = absorbed
        self._work = work
        self._stream, self._uploader = engine.stream, engine.uploader
        self._device_state = engine.device_state
        self._outputs = work.outputs
        self._replays: dict[tuple[InputRoute, int], Replay] = {}
        if "scores" in self._outputs:
            self.scores, self.loss = self._outputs["scores"].host, self._outputs["loss"].host
            self.rank = self._outputs["rank"].host if "rank" in self._outputs else NO_RANKS
            self.auxiliaries = work.auxiliaries
        elif "output" in self._outputs:
            self.outputs = self._outputs["output"].host
        else:
            self.inspected = {role: pinned.host for role, pinned in self._outputs.items()}

    def run(self, x: BatchImages, **targets: np.ndarray) -> None:
        def counts() -> bool:
            return bool(targets["control"][0]) and self.finite

        cuda.current_context()  # from now on this thread's
        try:
            self._device_state.settle()
            with memory.lack_told("what its kernels need to run"):
                self._device_state.run(
                    self._stream,
                    lambda: self._put(x, targets),
                    counts if "control" in targets else None,
                )
        finally:
            if isinstance(x, UploadedBatch):
                self._uploader.take_back(x.staging)

    def _put(self, x: BatchImages, targets: dict[str, np.ndarray]) -> None:
        """Put a run on the stream."""
        self._work.launches.prepare(len(x))  # what is wrong with a launch is told before the first
        for name, array in targets.items():
            self._work.inputs[name].give(array)
        route = self._work.feed.give(x)
        self._replay(route, len(x), [*targets]).run()

    def _replay(self, route: InputRoute, images: int, names: list[str]) -> Replay:
        key = route, images
        if key not in self._replays:
            if len(self._replays) >= MOST_SIZES:
                self._replays.pop(next(iter(self._replays)))
            work = self._work
            self._replays[key] = Replay(
                self._stream, lambda: work.enqueue(route, images, names), work.launches.recordable
            )
        return self._replays[key]

    def forget_gone(self) -> None:
        """Drop what was recorded of data sets that nobody holds any more."""
        self._replays = {key: replay for key, replay in self._replays.items() if not key[0].gone}


class CudaEngine(Engine):
    """Runs a model's programs on the GPU."""

    SINGLE = False

    def __init__(self, spec: StepSpec):
        super().__init__(spec)
        check_process()
        with memory.lack_told("its streams"):
            self.stream = new_stream()
            self.uploader = AsyncUploader()
        self.device_state = DeviceState(spec.state)
        self._gradients: DeviceArray | None = None
        self._accumulated: DeviceArray | None = None  # gradients of several batches
        self.sets = DatasetCache()

    def arrays(self) -> dict[str, DeviceArray]:
        """Return the model's flat arrays on the device, by the names of their regions."""
        arrays = {"values": self.device_state.values, "moving": self.device_state.moving}
        slots = self.device_state.slots
        if self._gradients is not None and slots is not None:
            arrays |= {"gradients": self._gradients, "slots": slots}
        if self._accumulated is not None:
            arrays["accumulated"] = self._accumulated
        return arrays

    def hold(self, images: np.ndarray, anew: bool) -> bool:
        """Keep a data set's images on the device, if they fit beside the model; say whether.

        images: uint8 or float32 [N, H, W, C]. A batch of them may then come as a `Selection`.
        `anew` says that they may have changed since they were last held.
        """
        check_process()
        with self._lock:
            self.sets.drop_gone()
            self._forget_gone()
            return self.sets.hold(images, anew)

    def _forget_gone(self) -> None:
        for planned in self._planned.values():
            if isinstance(planned, _CudaProgram):
                planned.forget_gone()

    def sender(self) -> Callable[[np.ndarray], BatchImages]:
        """Return what puts a prepared batch on its way to the device."""
        return self.uploader.send

    def _flat_gradients(self) -> np.ndarray:
        if self._gradients is None:
            raise RuntimeError("There are gradients only after a training step.")
        return self._gradients.copy_to_host()[: len(self._spec.state.values)]

    def _take_step(
        self, planned: PlannedProgram, x: BatchImages, targets: dict[str, np.ndarray]
    ) -> None:
        planned.run(x, **targets)
        if targets["control"][0] and planned.finite:
            self._spec.state.step += planned.updates

    def _plan(self, kind: str, *asked: Any, **named: Any) -> PlannedProgram:
        check_process()
        while True:
            try:
                return super()._plan(kind, *asked, **named)
            except MemoryError:
                if self._drop_plans(kind):
                    continue
                # A data set that is held costs others their place; it can be sent instead.
                if not self.sets.give_up():
                    raise
                self._forget_gone()

    def _build(
        self, kind: str, inspection: Inspection | None, capacity: int, shared: bool
    ) -> PlannedProgram:
        spec = self._spec
        program, roles = self._program(kind, inspection, capacity)
        if kind == UPDATE:
            return self._build_update(Regions(program, kernels_of("cuda"), Calls(1), {}, set()))
        low = self._lower(program, kept_by(inspection, program, roles), roles, capacity)
        tables: dict[str, np.ndarray] = {}
        multipliers: tuple[float, ...] = (1.0,)
        role = self._gradient_role(kind)
        if kind == TRAIN:
            self._fit_gradients(role)
            tables, multipliers = append_flat_update(low, spec, low.region(roles["finite"]), role)
        scored = "scores" in roles
        has_classes = scored and spec.loss.has_classes
        rates = len(multipliers)
        work = _Work(low, roles, capacity, self, tables, has_classes, inspection, rates)
        absorbed = scored and roles["scores"] is not roles["output"]
        planned = _CudaProgram(work, capacity, absorbed, self)
        planned.multipliers = multipliers
        planned.updates = kind == TRAIN and role is GradientRole.WHOLE
        return planned

    def _fit_gradients(self, role: GradientRole) -> None:
        """Make room for gradients, and for the optimizer's slots."""
        zeros = np.zeros(len(self._spec.state.values), np.float32)
        if self._gradients is None:
            self._gradients = to_device(zeros, "the gradients")
        if self._accumulated is None and role is not GradientRole.WHOLE:
            self._accumulated = to_device(zeros, "the gradients of several batches")
        self.device_state.fit_slots()

    def _build_update(self, low: Regions) -> PlannedProgram:
        """Return the program that updates by the mean of accumulated gradients; `low` is of the
        training program, of which no call is made."""
        self._fit_gradients(GradientRole.MEAN)
        return CudaUpdate(low, self._spec, self)

    def _lower(
        self, program: Program, kept: set[Buffer], roles: dict[str, Buffer], images: int
    ) -> Regions:
        calls = Calls(images, self._spec.precision)
        outside = outside_of(program.input, roles)
        return lower(program, kernels_of("cuda"), calls, outside, kept)
