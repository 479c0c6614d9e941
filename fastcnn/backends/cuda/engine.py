"""The CUDA engine: each program a row of launches on one stream, everything resident on the GPU.

A step copies its images (or their numbers and what is drawn for their augmentation, where the
data set lies on the device), runs, and copies back what the host reads; the driver repeats all of
it as one graph.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastcnn.backends.batch_sharing import refuse_whole_statistics
from fastcnn.backends.cuda import memory
from fastcnn.backends.cuda.async_upload import AsyncUploader, UploadedBatch
from fastcnn.backends.cuda.dataset_cache import DatasetCache
from fastcnn.backends.cuda.graphs import Replay
from fastcnn.backends.cuda.input_feed import InputRoute
from fastcnn.backends.cuda.launches import MOST_SIZES
from fastcnn.backends.cuda.memory import DeviceArray, to_device
from fastcnn.backends.cuda.model_arrays import DeviceState
from fastcnn.backends.cuda.optimizer_step import append_flat_update
from fastcnn.backends.cuda.rank_gradients import RankGradients
from fastcnn.backends.cuda.shared_program import SharedProgram
from fastcnn.backends.cuda.stream_work import StreamWork
from fastcnn.backends.cuda.streams import new_stream
from fastcnn.backends.cuda.update_program import CudaUpdate, UpdatingProgram
from fastcnn.backends.engine import NO_RANKS, TRAIN, UPDATE, Engine
from fastcnn.backends.lowering import Regions, lower
from fastcnn.backends.optimizer_spans import GradientRole
from fastcnn.backends.planned_program import PlannedProgram
from fastcnn.backends.program_arrays import kept_by, outside_of
from fastcnn.backends.step import BatchImages, BatchShare, StepSpec
from fastcnn.distributed.ranks import Ranks, part_of
from fastcnn.graph.inspection import Inspection
from fastcnn.graph.program import Buffer, Program
from fastcnn.kernels.call import Calls
from fastcnn.kernels.cuda.runtime.device import check_process, cuda
from fastcnn.kernels.registry import kernels_of


class _CudaProgram(UpdatingProgram):
    """A program's work on the GPU, recorded for each route and number of images.

    It holds no engine, and no recording holds it: memory is free as soon as it is dropped.
    """

    def __init__(self, work: StreamWork, capacity: int, absorbed: bool, engine: CudaEngine):
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
        x = x.images if isinstance(x, BatchShare) else x
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
    SUMS_SHARES = True

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

    def share(self, kind: str, images: int, capacity: int) -> tuple[int, int]:
        if self.ranks is None or not self.is_shared(kind, max(images, capacity)):
            return 0, images
        return part_of(images, self.ranks.rank, self.ranks.size)

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
        spec, ranks = self._spec, self.ranks if shared else None
        whole = capacity
        if ranks is not None:
            capacity = -(-whole // ranks.size)
        program, roles = self._program(kind, inspection, capacity)
        if ranks is not None:
            refuse_whole_statistics(program)
        if kind == UPDATE:
            return self._build_update(Regions(program, kernels_of("cuda"), Calls(1), {}, set()))
        low = self._lower(program, kept_by(inspection, program, roles), roles, capacity)
        tables: dict[str, np.ndarray] = {}
        multipliers: tuple[float, ...] = (1.0,)
        role = self._gradient_role(kind, shared)
        if kind == TRAIN:
            self._fit_gradients(role)
            tables, multipliers = append_flat_update(low, spec, low.region(roles["finite"]), role)
        scored = "scores" in roles
        has_classes = scored and spec.loss.has_classes
        rates = len(multipliers)
        work = StreamWork(low, roles, capacity, self, tables, has_classes, inspection, rates)
        absorbed = scored and roles["scores"] is not roles["output"]
        planned = _CudaProgram(work, capacity, absorbed, self)
        planned.multipliers = multipliers
        planned.updates = kind == TRAIN and role is GradientRole.WHOLE
        if ranks is None:
            return planned
        return SharedProgram(planned, whole, ranks, self._rank_gradients(ranks, kind))

    def _rank_gradients(self, ranks: Ranks, kind: str) -> RankGradients | None:
        own, accumulated = self._gradients, self._accumulated
        if kind != TRAIN or own is None or accumulated is None:
            return None
        several = self._spec.optimizer.gradient_accumulation_steps is not None
        return RankGradients(ranks, self.device_state, own, accumulated, several)

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
