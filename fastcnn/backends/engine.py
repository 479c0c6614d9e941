"""What the engines have in common: a model's programs, each planned once, and the steps they take.

An engine of a device plans a program for so many images and runs it; the order of things around
that, and what becomes of a step that is not finite, are the same everywhere.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from fastcnn.backends import nested_call
from fastcnn.backends.batch_sharing import PREDICT, TEST, TRAIN, UPDATE, SharedBatches
from fastcnn.backends.planned_program import PlannedProgram
from fastcnn.backends.step import (
    ABSORBED,
    BatchImages,
    BatchShare,
    NonFiniteError,
    StepResult,
    StepSpec,
    inside_first,
)
from fastcnn.backends.step_targets import checked_targets
from fastcnn.backends.waiting_batches import WaitingBatches
from fastcnn.graph.inspection import LOSS, Inspection
from fastcnn.graph.program import Buffer, Program
from fastcnn.utils import settings

INSPECT = "inspect"  # what layers make of the images, and a gradient
TRACE = "trace"  # what each layer makes of them, in a row
MOST_PLANS = 8  # of a kind, for batches of different sizes
NO_RANKS = np.zeros(0, np.int32)
NO_IMAGES = np.zeros(0, np.float32)


class Engine(SharedBatches, ABC):
    """Runs a model's programs on one device.

    A program is planned for a capacity, a number of images, on which the strategies and the order
    of sums depend. So it is an argument of a call, or else the call's own number of images, never
    what other calls were given: the same call gives the same bits, whatever came before.

    Where `SINGLE`, one image alone has a program of its own: it leaves threads idle otherwise.
    """

    SINGLE = True

    def __init__(self, spec: StepSpec):
        self._spec = spec
        # By kind, what is asked (of INSPECT) and capacity; the one used last stands last.
        self._planned: dict[tuple[str, Inspection | None, object], PlannedProgram] = {}
        # What the plans of a kind were made from, as of a version of all settings.
        self._keys: dict[str, tuple[object, ...]] = {}
        self._version = settings.version()
        # Buffers are shared: one call at a time goes from its images to its results.
        self._lock = spec.lock
        # Seed, step, and the number in the batch of the first image that this process computes.
        self._random = np.zeros(3, np.int64)
        # Whether the step counts; the batches accumulated before it, or for an update; whether the
        # average begins anew; whether it overwrites the weights.
        self._control = np.zeros(4, np.int64)
        self._waiting = WaitingBatches(spec)
        self._hyper = np.zeros(8, np.float32)

    @abstractmethod
    def _build(self, kind: str, ask: Inspection | None, most: int, shared: bool) -> PlannedProgram:
        """Return the program of a kind for up to so many images, of ranks' `shared` ones or all."""

    @abstractmethod
    def _take_step(
        self, planned: PlannedProgram, x: BatchImages, targets: dict[str, np.ndarray]
    ) -> None:
        """Run a training step or an update, and count an update in the state; where it does not
        count, since it is not finite or `control` is 0, the moving statistics stay."""

    @abstractmethod
    def _flat_gradients(self) -> np.ndarray:
        """Return the gradients of the last step, float32[P]."""

    def hold(self, images: np.ndarray, anew: bool) -> bool:
        """Keep a data set's images near the kernels, if that helps; say whether.

        A batch of images that are held may come as a `Selection`. `anew` says that they may have
        changed since they were last held.
        """
        return False

    def sender(self) -> Callable[[np.ndarray], BatchImages] | None:
        """Return what brings a prepared batch of images near the kernels, if that helps.

        It may be called by any thread, and its result stands for the images in a step.
        """
        return None

    def train(
        self, x: BatchImages, y: np.ndarray, weight: np.ndarray | None, capacity: int | None = None
    ) -> StepResult:
        """Take one step; the weights stay as they were where a loss or gradient is not finite.

        x: float32 or uint8 [n, H, W, C]; y: int32[n] or float32[n, ...]; weight: float32[n] or
        None; capacity: the most images of a row of calls that share a plan, None for n. Raises
        NonFiniteError.
        """
        nested_call.refuse()
        with self._lock:
            batch = self._step(x, y, weight, True, capacity)
            if not batch.finite:
                self._waiting.forget()
                gradients = self._flat_gradients()
                raise NonFiniteError.locate(self._spec, self, x, gradients, batch)
            steps = self._summands(isinstance(x, BatchShare))
            if steps is not None and self._waiting.add() >= steps:
                self.update()
        return batch

    def update(self) -> None:
        """Update the weights by the mean gradient of the batches accumulated since the last update,
        if there are any. Raises NonFiniteError."""
        nested_call.refuse()
        with self._lock:
            batches = self._waiting.take()
            if not batches:
                return
            self._control[:2] = True, batches
            planned, targets = self._plan_step(UPDATE, 1)
            with nested_call.refused():
                self._take_step(planned, NO_IMAGES, targets | {"weight": np.zeros(1, np.float32)})
            if not planned.finite:
                raise NonFiniteError(
                    f"The mean gradient of {batches} batches is no longer finite. The weights are "
                    "as before the update.",
                    self._spec.layers[-1].path,
                )

    def gradients(
        self, x: BatchImages, y: np.ndarray, weight: np.ndarray | None
    ) -> tuple[float, np.ndarray]:
        """Return (loss with penalties, gradients float32[P]) of one batch; changes nothing."""
        factors = np.ones(len(x)) if weight is None else weight
        nested_call.refuse()
        with self._lock:
            batch = self._step(x, y, weight, False, None)
            loss = float(np.sum(batch.total_loss * factors, dtype=np.float64) / len(x))
            return loss + batch.penalty, self._flat_gradients()

    def test(
        self, x: BatchImages, y: np.ndarray, weight: np.ndarray | None, capacity: int | None = None
    ) -> StepResult:
        """Return each image's loss and outputs at inference; the arguments are those of `train`."""
        nested_call.refuse()
        with self._lock:
            planned = self._plan(TEST, len(x), capacity, shared=isinstance(x, BatchShare))
            targets = self._targets(len(x), y, weight)
            with nested_call.refused():
                planned.run(x, **targets)
                return planned.results(len(x), self._spec.penalty(), True)

    def predict(self, x: BatchImages, capacity: int | None = None) -> np.ndarray:
        """Return the outputs float32[n, ...], a fresh array. Any thread may call it."""
        nested_call.refuse()
        with self._lock:
            planned = self._plan(PREDICT, len(x), capacity)
            with nested_call.refused():
                planned.run(x)
                return planned.outputs[: len(x)].copy()

    def inspect(
        self,
        x: BatchImages,
        inspection: Inspection,
        capacity: int | None = None,
        target: np.ndarray | None = None,
    ) -> dict[str, np.ndarray]:
        """Return what is asked of x at inference, by `Inspection.roles`: float32[n, ...] each.

        target: of a gradient, the labels of the loss, or the factor of each output.
        """
        nested_call.refuse()
        with self._lock:
            planned = self._plan(INSPECT, len(x), capacity, inspection)
            targets = self._inspection_targets(len(x), inspection, target)
            with nested_call.refused():
                planned.run(x, **targets)
                return {role: array[: len(x)].copy() for role, array in planned.inspected.items()}

    def _inspection_targets(
        self, images: int, inspection: Inspection, target: np.ndarray | None
    ) -> dict[str, np.ndarray]:
        if inspection.gradient is None:
            return {}
        if inspection.gradient.target != LOSS:
            return {"target": np.ascontiguousarray(target, np.float32)}
        each = np.full(images, images, np.float32)  # the gradient of each image's own loss
        return self._targets(images, np.asarray(target), each)

    def not_finite(self, x: np.ndarray) -> set[str]:
        """Return the paths of the layers whose outputs for x at inference are not all finite.

        Images go one by one: all layers' outputs stay in memory."""
        layers = inside_first(self._spec.layers)
        ends = np.cumsum([0, *(prod(layer.output_shape) for layer in layers)])
        with self._lock:
            planned = self._plan(TRACE, 1)
            wrong = np.zeros(ends[-1], bool)
            for image in range(len(x)):
                planned.run(x[image : image + 1])
                wrong |= ~np.isfinite(planned.outputs[0])
        spans = zip(layers, ends, ends[1:], strict=False)
        return {layer.path for layer, start, end in spans if wrong[start:end].any()}

    def _step(
        self,
        x: BatchImages,
        y: np.ndarray,
        weight: np.ndarray | None,
        apply: bool,
        capacity: int | None,
    ) -> StepResult:
        if apply:
            self._spec.state.use_trained()
        spec, batches = self._spec, self._waiting.batches
        steps = spec.optimizer.gradient_accumulation_steps or 1
        self._random[:2] = spec.seed, spec.state.step * steps + batches
        self._control[:2] = apply, batches
        planned, own = self._plan_step(TRAIN, len(x), capacity, isinstance(x, BatchShare))
        targets = self._targets(len(x), y, weight) | own | {"random": self._random}
        with nested_call.refused():
            self._take_step(planned, x, targets)
        return planned.results(len(x), planned.penalty, not apply or planned.finite)

    def _plan_step(
        self, kind: str, images: int, capacity: int | None = None, shared: bool = False
    ) -> tuple[PlannedProgram, dict[str, np.ndarray]]:
        """Return the program of a training step or an update, and the numbers of its update."""
        spec = self._spec
        # First, since a schedule of a user's own may set anything.
        rate = spec.optimizer.learning_rate_at(spec.state.step)
        planned = self._plan(kind, images, capacity, shared=shared)
        if planned.slot_names != spec.state.slot_names:
            self._drop_plans(kind)
            planned = self._plan(kind, images, capacity, shared=shared)
        self._give_hyper(rate, planned.multipliers)
        step = spec.state.step
        self._control[2:] = step == 0, spec.optimizer.overwrites_at(step)
        return planned, {"hyper": self._hyper, "control": self._control}

    def _give_hyper(self, rate: float, multipliers: tuple[float, ...]) -> None:
        """Write the numbers of the update at a learning rate, eight for each of its multipliers."""
        optimizer, step = self._spec.optimizer, self._spec.state.step
        rows = [optimizer.hyper_at(rate * multiplier, step) for multiplier in multipliers]
        if self._hyper.size != 8 * len(rows):
            self._hyper = np.zeros(8 * len(rows), np.float32)
        self._hyper[:] = rows[0] if len(rows) == 1 else np.concatenate(rows)

    def _targets(
        self, images: int, y: np.ndarray, weight: np.ndarray | None
    ) -> dict[str, np.ndarray]:
        return checked_targets(self._spec.loss, self._spec.output_shape, images, y, weight)

    def _plan(
        self,
        kind: str,
        images: int,
        capacity: int | None = None,
        inspection: Inspection | None = None,
        shared: bool = False,
    ) -> PlannedProgram:
        """Return the program of a kind for `images` images, planned for `capacity` from the
        settings as they are now; `shared` says that the images come as a `BatchShare`."""
        if self._version != settings.version():
            self._drop_stale()
        alone = self.SINGLE and images == 1 and kind not in (TRAIN, UPDATE)
        capacity = 1 if alone else max(images, capacity or 0)
        shared = shared and self.is_shared(kind, capacity)
        key = kind, inspection, (capacity, self.sharing) if shared else capacity
        planned = self._planned.pop(key, None)
        if planned is None:
            alike = [other for other in self._planned if other[0] == kind]
            if len(alike) >= MOST_PLANS:
                del self._planned[alike[0]]  # its memory goes first
            planned = self._build_settled(kind, inspection, capacity, shared)
        self._planned[key] = planned
        return planned

    def _program(
        self, kind: str, inspection: Inspection | None, capacity: int
    ) -> tuple[Program, dict[str, Buffer]]:
        """Return the program of a kind and its buffers by role."""
        if inspection is not None:
            return self._spec.inspection_program(inspection, capacity)
        if kind != TRACE:
            return self._spec.program_and_roles(TRAIN if kind == UPDATE else kind, capacity)
        program = self._spec.trace_program(capacity)
        return program, {"output": program.output}

    def _build_settled(self, kind: str, *asked: Any) -> PlannedProgram:
        """Return a plan from settings that no other thread changed meanwhile."""
        spec = self._spec
        while True:
            key = spec.plan_key(kind)
            absorbed = spec.loss.fuses if kind in (TRAIN, TEST) else ""
            with settings.uncounted():  # a user's own layer may note something in itself
                planned = self._build(kind, *asked)
            if key == spec.plan_key(kind):
                break
            del planned  # its memory goes first
        if kind in (TRAIN, UPDATE):
            planned.slot_names = self._settled_slots()
        self._keys[kind] = key
        planned.absorb(ABSORBED[absorbed] if absorbed else None)
        return planned

    def _settled_slots(self) -> tuple[str, ...]:
        """Return the names of the state's slots; ValueError where they are not the optimizer's."""
        spec = self._spec
        names, expected = spec.state.slot_names, tuple(spec.optimizer.state_slots)
        if names != expected:
            raise ValueError(
                f"The model's optimizer '{spec.optimizer.name}' keeps "
                f"{', '.join(expected) or 'nothing'} for every weight, and the model's state "
                f"{', '.join(names) or 'nothing'}, as for another optimizer. Call compile, or set "
                "model.optimizer."
            )
        return names

    def _drop_stale(self) -> None:
        """Forget the plans that were made from settings which have changed."""
        self._version = settings.version()
        for kind, key in self._keys.items():
            if key != self._spec.plan_key(kind):
                self._drop_plans(kind)

    def _drop_plans(self, kind: str) -> bool:
        """Forget the programs of a kind, for their memory; say whether there were any."""
        before = len(self._planned)
        self._planned = {key: plan for key, plan in self._planned.items() if key[0] != kind}
        return len(self._planned) < before
