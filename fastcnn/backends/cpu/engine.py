"""The CPU engine: each program one table of calls, run as one call a step."""

from __future__ import annotations

from typing import cast

import numpy as np

from fastcnn.backends.cpu.executable import Executable, allocate
from fastcnn.backends.cpu.optimizer_step import append_update
from fastcnn.backends.engine import (
    NO_RANKS,
    PREDICT,
    TEST,
    TRAIN,
    UPDATE,
    Engine,
)
from fastcnn.backends.lowering import Regions, lower
from fastcnn.backends.optimizer_spans import GradientRole
from fastcnn.backends.planned_program import PlannedProgram
from fastcnn.backends.program_arrays import check_shape, kept_by, outside_of
from fastcnn.backends.step import AuxiliaryResult, BatchImages, BatchShare, StepSpec
from fastcnn.graph.inspection import Inspection
from fastcnn.graph.program import Buffer, Program
from fastcnn.graph.state import State
from fastcnn.kernels.call import Calls, Region
from fastcnn.kernels.registry import kernels_of
from fastcnn.utils.aligned_memory import vector_zeros

__all__ = ["PREDICT", "TEST", "TRAIN", "CpuEngine"]


class _CpuProgram(PlannedProgram):
    """An executable and views of what it leaves behind."""

    def __init__(
        self,
        executable: Executable,
        low: Regions,
        roles: dict[str, Buffer],
        state: State,
        has_classes: bool,
        inspection: Inspection | None,
    ):
        def view(role: str, dtype: type = np.float32) -> np.ndarray:
            return executable.view(low.region(roles[role]), roles[role].shape, dtype)

        self.executable = executable
        self.capacity = executable.capacity
        self._state = state
        self._shape = tuple(low.program.input.shape)
        if "scores" in roles:
            self.absorbed = roles["scores"] != roles["output"]
            self.scores = view("scores")
            self.loss = view("loss")
            self.rank = view("rank", np.int32) if has_classes else NO_RANKS
            self.auxiliaries = tuple(
                AuxiliaryResult(
                    loss=view(side.role("loss")),
                    rank=view(side.role("rank"), np.int32) if has_classes else NO_RANKS,
                    scores=view(side.role("scores")),
                    transform=None,
                    layer=side.layer,
                    loss_weight=side.loss_weight,
                    absorbed=roles[side.role("scores")] != side.output,
                )
                for side in low.program.auxiliaries
            )
        elif inspection is not None:
            self.inspected = {role: view(role) for role in inspection.roles()}
        else:
            self.outputs = view("output")

    def run(self, x: BatchImages, **targets: np.ndarray) -> None:
        state = self._state
        first = x.first if isinstance(x, BatchShare) else 0
        images = np.ascontiguousarray(x, np.float32)
        check_shape(images, self._shape)
        if self.executable.share(len(x)) != (first, first + len(images)):
            raise ValueError(
                f"Expected this rank's share of a batch of {len(x)} images, "
                f"{self.executable.share(len(x))}. Received those from {first} to "
                f"{first + len(images)}: the plan of the model changed while it trained."
            )
        self.executable.give(values=state.values, moving=state.moving, **targets)
        self.executable.give_images(images, first)
        self.executable.run(len(x), state.version)

    def forget_finite(self) -> None:
        """Have `finite` be False until a training step has come to the update of the weights."""
        self.executable.memory["factors"][-1] = 0

    @property
    def finite(self) -> bool:
        return bool(self.executable.memory["factors"][-1] == 1)

    @property
    def penalty(self) -> float:
        return float(self.executable.memory["totals"][1])


class _CpuUpdate(_CpuProgram):
    """An update by gradients that are there already."""

    def __init__(self, executable: Executable, state: State):
        self.executable = executable
        self.capacity = 1
        self._state = state

    def run(self, x: BatchImages, **targets: np.ndarray) -> None:
        self.executable.give(values=self._state.values, moving=self._state.moving, **targets)
        self.executable.run(1, self._state.version)


class CpuEngine(Engine):
    """Runs a model's programs on the CPU."""

    def __init__(self, spec: StepSpec):
        super().__init__(spec)
        self._gradients = self._accumulated = np.zeros(0, np.float32)
        # What lies between the inputs and outputs of a batch, by the kind of program: one runs at a
        # time, so that those for batches of different sizes share it.
        self._batch_memory: dict[str, np.ndarray] = {}

    def _flat_gradients(self) -> np.ndarray:
        return self._gradients.copy()

    def _take_step(
        self, planned: PlannedProgram, x: BatchImages, targets: dict[str, np.ndarray]
    ) -> None:
        state = self._spec.state
        # A step changes the weights: what was prepared from them before or in it is stale.
        state.changed()
        moving = state.moving.copy()
        cast(_CpuProgram, planned).forget_finite()
        try:
            planned.run(
                x,
                gradients=self._gradients,
                accumulated=self._accumulated,
                slots=state.slots,
                **targets,
            )
        finally:
            # A host kernel may have ended the step before it updated the weights; or all of it was
            # done, and Ctrl-C, which waits for that, ended only what follows.
            if targets["control"][0] and planned.finite:
                state.step += planned.updates
            else:
                state.moving[...] = moving
            state.changed()

    def share(self, kind: str, images: int, capacity: int) -> tuple[int, int]:
        with self._lock:
            planned = self._plan(kind, images, capacity, shared=True)
            return cast(_CpuProgram, planned).executable.share(images)

    def _build(
        self, kind: str, inspection: Inspection | None, capacity: int, shared: bool
    ) -> PlannedProgram:
        spec = self._spec
        program, roles = self._program(kind, inspection, capacity)
        if kind == UPDATE:
            return self._build_update(Regions(program, kernels_of("cpu"), Calls(1), {}, set()))
        low = _lower(program, kept_by(inspection, program, roles), roles, capacity)
        spans = None
        multipliers: tuple[float, ...] = (1.0,)
        role = self._gradient_role(kind, shared)
        if kind == TRAIN:
            self._gradients = vector_zeros(len(spec.state.values))
            if role is GradientRole.SUMMAND and not len(self._accumulated):
                self._accumulated = vector_zeros(len(spec.state.values))
            stride = spec.state.fit_slots().shape[1]
            spans, multipliers = append_update(low, spec, low.region(roles["finite"]), stride, role)
        has_classes = spec.loss is not None and spec.loss.has_classes
        executable = Executable(
            low.calls.emitted,
            capacity,
            low.constants,
            spans,
            lambda size: self._memory(kind, size),
            self.ranks if shared else None,
        )
        planned = _CpuProgram(executable, low, roles, spec.state, has_classes, inspection)
        planned.multipliers = multipliers
        planned.updates = kind == TRAIN and role is GradientRole.WHOLE
        return planned

    def _build_update(self, low: Regions) -> PlannedProgram:
        """Return the program that updates by the mean of accumulated gradients; `low` is of the
        training program, of which no call is made."""
        spec = self._spec
        stride = spec.state.fit_slots().shape[1]
        loss = Region(4, "weight")  # of no image, and finite
        spans, multipliers = append_update(low, spec, loss, stride, GradientRole.MEAN)
        planned = _CpuUpdate(Executable(low.calls.emitted, 1, low.constants, spans), spec.state)
        planned.multipliers, planned.updates = multipliers, True
        return planned

    def _memory(self, kind: str, size: int) -> np.ndarray:
        """Return at least `size` bytes for the batch of a kind of program."""
        memory = self._batch_memory.get(kind)
        if memory is None or len(memory) < size:
            # Those that lie in the smaller memory go with it.
            del memory
            self._batch_memory.pop(kind, None)
            self._drop_plans(kind)
            memory = self._batch_memory[kind] = allocate(size)
        return memory


def _lower(program: Program, kept: set[Buffer], roles: dict[str, Buffer], images: int) -> Regions:
    outside = outside_of(program.input, roles)
    return lower(program, kernels_of("cpu"), Calls(images), outside, kept)
