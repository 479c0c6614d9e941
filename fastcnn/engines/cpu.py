"""The CPU engine: a model's programs, each planned once and then run as one call a step."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

from fastcnn.engines.batch import ABSORBED, Batch, NonFiniteError
from fastcnn.engines.executable import Executable
from fastcnn.engines.lowering import Lowering
from fastcnn.engines.update import append_update
from fastcnn.memory import vector_zeros
from fastcnn.program import Buffer, Program

if TYPE_CHECKING:
    from fastcnn.model import Sequential

# The kinds of program an engine runs.
TRAIN, TEST, PREDICT = "train", "test", "predict"


class _Planned:
    """An executable of one kind, its buffers by role, and views of what it leaves behind."""

    def __init__(
        self, executable: Executable, low: Lowering, roles: dict[str, Buffer], has_classes: bool
    ):
        def view(role: str, dtype: type = np.float32) -> np.ndarray:
            return executable.view(low.region(roles[role]), roles[role].shape, dtype)

        self.executable = executable
        self.absorbed = "scores" in roles and roles["scores"] != roles["output"]
        if "scores" in roles:
            self.scores = view("scores")
            self.loss = view("loss")
            self.rank = view("rank", np.int32) if has_classes else _NO_RANKS
        else:
            self.outputs = view("output")


_NO_RANKS = np.zeros(0, np.int32)


class CpuEngine:
    """Runs a model's programs on the CPU."""

    def __init__(self, model: Sequential):
        self._model = model
        self._planned: dict[tuple[str, bool], _Planned] = {}
        # Buffers are shared: one call at a time goes from its images to its results.
        self._lock = threading.RLock()
        self._random = np.zeros(2, np.int64)
        self._control = np.zeros(1, np.int64)
        self._hyper = np.zeros(8, np.float32)
        self._gradients = np.zeros(0, np.float32)

    def train(self, x: np.ndarray, y: np.ndarray, weight: np.ndarray | None) -> Batch:
        """Take one step; the weights stay as they were where a loss or gradient is not finite.

        x: float32 or uint8 [n, H, W, C]; y: int32[n] or float32[n, ...]; weight: float32[n] or
        None. Raises NonFiniteError.
        """
        state = self._model.state
        with self._lock:
            moving = state.moving.copy()
            batch = self._step(x, y, weight, apply=True)
            if not batch.finite:
                state.moving[...] = moving
                raise NonFiniteError.found(self._model, self, np.asarray(x), self._gradients)
            state.step += 1
        return batch

    def gradients(
        self, x: np.ndarray, y: np.ndarray, weight: np.ndarray | None
    ) -> tuple[float, np.ndarray]:
        """Return (loss with penalties, gradients float32[P]) of one batch; changes nothing."""
        state = self._model.state
        factors = np.ones(len(x)) if weight is None else weight
        with self._lock:
            moving = state.moving.copy()
            batch = self._step(x, y, weight, apply=False)
            state.moving[...] = moving
            loss = float(np.sum(batch.loss * factors, dtype=np.float64) / len(x)) + batch.penalty
            return loss, self._gradients.copy()

    def test(self, x: np.ndarray, y: np.ndarray, weight: np.ndarray | None) -> Batch:
        """Return each image's loss and outputs at inference."""
        with self._lock:
            planned = self._plan(TEST, len(x))
            self._give_targets(planned.executable, y, weight)
            self._run(planned.executable, x)
            return self._batch(planned, len(x), self._model.penalty(), True)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the outputs float32[n, ...], a fresh array. Any thread may call it."""
        with self._lock:
            planned = self._plan(PREDICT, len(x))
            self._run(planned.executable, x)
            return planned.outputs[: len(x)].copy()

    def outputs_of(self, x: np.ndarray, path: str) -> np.ndarray:
        """Return what the layer at a path makes of x at inference, float32[n, ...]."""
        program = self._model.program(False, fused=False, until=path, images=len(x))
        low = _lower(program, {program.output}, {}, len(x))
        executable = Executable(low.calls.made, len(x), low.constants)
        self._run(executable, x)
        return executable.view(low.region(program.output), program.output.shape).copy()

    def _step(self, x: np.ndarray, y: np.ndarray, weight: np.ndarray | None, apply: bool) -> Batch:
        model = self._model
        planned = self._plan(TRAIN, len(x))
        executable = planned.executable
        self._random[:] = model.seed, model.state.step
        self._hyper[:] = model.optimizer.hyper(model.state.step)
        self._control[0] = apply
        executable.give(
            gradients=self._gradients,
            slots=model.state.slots,
            random=self._random,
            hyper=self._hyper,
            control=self._control,
        )
        self._give_targets(executable, y, weight)
        # A step changes the weights: what was prepared from them before or in it is stale.
        model.state.changed()
        moving = model.state.moving.copy()
        try:
            self._run(executable, x)
        except BaseException:  # a host kernel's: the step ended before it updated the weights
            model.state.moving[...] = moving
            raise
        model.state.changed()
        finite = not apply or executable.memory["factors"][-1] == 1
        return self._batch(planned, len(x), float(executable.memory["totals"][1]), bool(finite))

    def _give_targets(
        self, executable: Executable, y: np.ndarray, weight: np.ndarray | None
    ) -> None:
        sparse = self._model.loss.target == "sparse"
        target = np.ascontiguousarray(y, np.int32 if sparse else np.float32)
        share = np.float32(1 / len(y))
        if weight is None:
            factors = np.full(len(y), share)
        else:
            factors = np.asarray(weight, np.float32) * share
        executable.give(target=target, weight=factors)

    def _run(self, executable: Executable, x: np.ndarray) -> None:
        state = self._model.state
        executable.give(
            values=state.values, moving=state.moving, x=np.ascontiguousarray(x, np.float32)
        )
        executable.run(len(x), state.version)

    def _batch(self, planned: _Planned, images: int, penalty: float, finite: bool) -> Batch:
        return Batch(
            loss=planned.loss[:images],
            rank=planned.rank[:images],
            scores=planned.scores[:images],
            transform=ABSORBED[self._model.loss.fuses] if planned.absorbed else None,
            penalty=penalty,
            finite=finite,
        )

    def _plan(self, kind: str, images: int) -> _Planned:
        # One image alone is worth a program of its own: its rows are shared among the threads.
        key = kind, images == 1 and kind != TRAIN
        found = self._planned.get(key)
        if found is None or found.executable.capacity < images:
            found = self._planned[key] = self._build(kind, images)
        return found

    def _build(self, kind: str, capacity: int) -> _Planned:
        model = self._model
        program, roles = model.program_and_roles(kind, capacity)
        results = ("output",) if kind == PREDICT else ("scores", "loss", "rank")
        low = _lower(program, {roles[name] for name in results}, roles, capacity)
        spans = None
        if kind == TRAIN:
            state = model.state
            self._gradients = vector_zeros(len(state.values))
            stride = state.slots.shape[1]
            spans = append_update(low, model.optimizer, low.region(roles["loss"]), stride)
        has_classes = model.loss is not None and model.loss.has_classes
        executable = Executable(low.calls.made, capacity, low.constants, spans)
        return _Planned(executable, low, roles, has_classes)


def _lower(program: Program, kept: set[Buffer], roles: dict[str, Buffer], images: int) -> Lowering:
    outside = {program.input: "x"}
    outside |= {roles[name]: name for name in ("target", "weight") if name in roles}
    return Lowering(program, outside, kept, images)
