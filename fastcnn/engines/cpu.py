"""The CPU engine: programs planned once, then run as one call a step."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numba
import numpy as np

from fastcnn.engines.batch import ABSORBED, Batch, NonFiniteError
from fastcnn.engines.execute import execute
from fastcnn.engines.lowering import Lowering
from fastcnn.engines.schedule import Layout, block_bytes, plan_memory, schedule
from fastcnn.engines.table import BASES, Table, build_table
from fastcnn.engines.update import append_update
from fastcnn.kernels.cpu.call import Region
from fastcnn.kernels.cpu.gemm import tiles
from fastcnn.program import Buffer, Program

if TYPE_CHECKING:
    from fastcnn.model import Sequential

BLOCK = 8  # images that a thread takes through a block-wise call together
BLOCK_MEMORY = 64 << 20  # bytes of a thread's block above which the block is made smaller
MOST_CHUNKS = 16
PARTIAL_MEMORY = 64 << 20  # bytes of all chunks' partial sums above which there are fewer chunks
SLACK = 256  # bytes that vector loads may read past an array's end

# Numba's simplest threading layer must not be entered by two Python threads at once.
_launch = threading.Lock()


def allocate(size: int) -> np.ndarray:
    """Return zeroed uint8[size], aligned to cache lines, readable a little past its end."""
    raw = np.zeros(size + SLACK + 64, np.uint8)
    return raw[-raw.ctypes.data % 64 :][: size + SLACK]


@dataclass
class _Runtime:
    """What an executable program keeps between runs."""

    memory: dict[str, np.ndarray]
    words: np.ndarray
    bases: np.ndarray


class Executable:
    """A program with its table and memory, for up to `capacity` images."""

    def __init__(self, low: Lowering, capacity: int, spans: np.ndarray | None = None):
        self.capacity = capacity
        self._low = low
        phases = schedule(low.calls.made)
        self.block = BLOCK
        while self.block > 1 and block_bytes(phases) * self.block > BLOCK_MEMORY:
            self.block //= 2
        self.layout: Layout = plan_memory(phases, self.block, capacity)
        self.table: Table = build_table(phases, self.layout)
        self.chunks = MOST_CHUNKS
        while self.chunks > 2 and self.chunks * self.table.partial_bytes > PARTIAL_MEMORY:
            self.chunks //= 2
        constants = np.array(low.constants or [0.0], np.float32)
        memory = {
            "batch": allocate(self.layout.batch_bytes),
            "global": allocate(self.table.global_bytes),
            "partial": allocate(self.table.partial_bytes * self.chunks),
            "constants": np.concatenate([constants, np.zeros(SLACK // 4, np.float32)]),
            "one": np.ones(1, np.float32),
        }
        if spans is not None:
            memory["spans"] = spans
            memory["sums"] = np.zeros(2 * int(spans[:, 1].sum()) + 2)
            memory["factors"] = np.ones(len(spans) + 1, np.float32)
            memory["totals"] = np.zeros(2)
        self.memory = memory
        self._runtime = self._for_threads(1)

    def _for_threads(self, threads: int) -> _Runtime:
        """Return records and base addresses for a number of threads."""
        thread_bytes = -(-self.layout.thread_bytes // 4096) * 4096 + SLACK
        arena = allocate(thread_bytes * threads)
        # Whole cache lines apart, so that threads never write to the same one.
        length = -(-len(self.table.words) // 16) * 16 + 16
        words = np.zeros((threads, length), np.int64)
        words[:, : len(self.table.words)] = self.table.words
        bases = np.zeros((threads, -(-len(BASES) // 8) * 8), np.int64)
        for name, array in self.memory.items():
            bases[:, BASES.index(name)] = array.ctypes.data
        bases[:, BASES.index("tiles")] = tiles.address
        bases[:, BASES.index("thread")] = arena.ctypes.data + np.arange(threads) * thread_bytes
        return _Runtime({"thread": arena}, words, bases)

    def run(self, images: int, arrays: dict[str, np.ndarray]) -> None:
        """Run for `images` images; `arrays` are the outside arrays by name."""
        threads = numba.get_num_threads()
        if threads > len(self._runtime.words):
            self._runtime = self._for_threads(threads)
        bases = self._runtime.bases
        for name, array in arrays.items():
            bases[:, BASES.index(name)] = array.ctypes.data
        blocks = -(-images // self.block)
        per_chunk = -(-blocks // self.chunks)
        table = self.table
        chunks = -(-blocks // per_chunk)
        sizes = (images, self.block, per_chunk, chunks)
        with _launch:
            execute(
                threads if images > 1 else 1,
                *(table.calls, table.operands, table.segments, table.phases, table.items),
                *(self._runtime.words, bases, table.counters, sizes),
            )

    def view(self, buffer: Buffer, images: int, dtype: type = np.float32) -> np.ndarray:
        """Return a kept buffer's first images, as a view valid until the next run."""
        region: Region = self._low.region(buffer)
        slot = self.layout.slots[region]
        rows = self.memory["batch"][slot.offset : slot.offset + images * slot.per_image]
        rows = rows.view(dtype).reshape(images, -1)[:, : buffer.size]
        return rows.reshape(images, *buffer.shape)


class CpuEngine:
    """Runs a model's programs on the CPU."""

    def __init__(self, model: Sequential):
        self._model = model
        self._executables: dict[str, Executable] = {}
        self._roles: dict[str, dict[str, Buffer]] = {}
        self._random = np.zeros(2, np.int64)

    def train(self, x: np.ndarray, y: np.ndarray, weight: np.ndarray | None) -> Batch:
        """Take one step; the weights stay as they were where a loss or gradient is not finite.

        x: float32 or uint8 [n, H, W, C]; y: int32[n] or float32[n, ...]; weight: float32[n] or None.
        Raises NonFiniteError.
        """
        model = self._model
        moving = model.state.moving.copy() if model.state.moving.size else None
        batch = self._step(x, y, weight, apply=True)
        if not batch.finite:
            if moving is not None:
                model.state.moving[...] = moving
            raise NonFiniteError.found(model, self, np.asarray(x))
        model.state.step += 1
        return batch

    def gradients(
        self, x: np.ndarray, y: np.ndarray, weight: np.ndarray | None
    ) -> tuple[float, np.ndarray]:
        """Return (loss with penalties, gradients float32[P]) of one batch; changes nothing."""
        state = self._model.state
        moving = state.moving.copy()
        batch = self._step(x, y, weight, apply=False)
        state.moving[...] = moving
        factors = np.ones(len(x)) if weight is None else weight
        loss = float(np.sum(batch.loss * factors, dtype=np.float64) / len(x)) + batch.penalty
        return loss, self._gradients.copy()

    def test(self, x: np.ndarray, y: np.ndarray, weight: np.ndarray | None) -> Batch:
        """Return each image's loss and outputs at inference."""
        executable = self._executable("test", len(x))
        self._run(executable, x, y, weight)
        return self._batch("test", executable, len(x), 0.0, True)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the outputs float32[n, ...], a fresh array."""
        executable = self._executable("predict", len(x))
        self._run(executable, x, None, None)
        return executable.view(self._roles["predict"]["output"], len(x)).copy()

    def outputs_of(self, x: np.ndarray, path: str) -> np.ndarray:
        """Return what the layer at a path makes of x at inference, float32[n, ...]."""
        program = self._model.program(training=False, fused=False, until=path)
        executable = _executable_for(program, {program.output}, len(x))
        self._run(executable, x, None, None)
        return executable.view(program.output, len(x)).copy()

    def _step(self, x: np.ndarray, y: np.ndarray, weight: np.ndarray | None, apply: bool) -> Batch:
        executable = self._executable("train", len(x))
        model = self._model
        self._random[:] = model.seed, model.state.step
        arrays = {
            "gradients": self._gradients,
            "slots": model.state.slots,
            "random": self._random,
            "hyper": model.optimizer.hyper(model.state.step),
            "control": np.array([apply], np.int64),
        }
        self._run(executable, x, y, weight, arrays)
        finite = not apply or executable.memory["factors"][-1] == 1
        penalty = float(executable.memory["totals"][1])
        return self._batch("train", executable, len(x), penalty, finite)

    def _run(
        self,
        executable: Executable,
        x: np.ndarray,
        y: np.ndarray | None,
        weight: np.ndarray | None,
        arrays: dict[str, np.ndarray] | None = None,
    ) -> None:
        images = len(x)
        state = self._model.state
        given = {"values": state.values, "moving": state.moving, **(arrays or {})}
        given["x"] = np.ascontiguousarray(x, np.float32)
        if y is not None:
            sparse = self._model.loss.target == "sparse"
            given["target"] = np.ascontiguousarray(y, np.int32 if sparse else np.float32)
            share = np.float32(1 / images)
            given["weight"] = (
                np.full(images, share) if weight is None else weight.astype(np.float32) * share
            )
        executable.run(images, given)

    def _batch(
        self, kind: str, executable: Executable, images: int, penalty: float, finite: bool
    ) -> Batch:
        roles = self._roles[kind]
        has_classes = self._model.loss.has_classes
        return Batch(
            loss=executable.view(roles["loss"], images),
            rank=executable.view(roles["rank"], images, np.int32) if has_classes else _NO_RANKS,
            scores=executable.view(roles["scores"], images),
            transform=ABSORBED[self._model.loss.fuses]
            if roles["scores"] != roles["output"]
            else None,
            penalty=penalty,
            finite=finite,
        )

    def _executable(self, kind: str, images: int) -> Executable:
        found = self._executables.get(kind)
        if found is None or found.capacity < images:
            found = self._executables[kind] = self._build(kind, images)
        return found

    def _build(self, kind: str, capacity: int) -> Executable:
        model = self._model
        program, roles = model.program_and_roles(kind)
        self._roles[kind] = roles
        results = ("output",) if kind == "predict" else ("scores", "loss", "rank")
        kept = {roles[name] for name in results}
        if kind != "train":
            return _executable_for(program, kept, capacity, roles)
        low = _lower(program, kept, roles)
        state = model.state
        self._gradients = np.zeros(len(state.values) + SLACK // 4, np.float32)[: len(state.values)]
        stride = state.slots.shape[1]
        spans = append_update(low, model.optimizer, low.region(roles["loss"]), stride)
        return Executable(low, capacity, spans)


_NO_RANKS = np.zeros(0, np.int32)


def _lower(program: Program, kept: set[Buffer], roles: dict[str, Buffer]) -> Lowering:
    outside = {program.input: "x"}
    outside |= {roles[name]: name for name in ("target", "weight") if name in roles}
    return Lowering(program, outside, kept)


def _executable_for(
    program: Program, kept: set[Buffer], capacity: int, roles: dict[str, Buffer] | None = None
) -> Executable:
    return Executable(_lower(program, kept, roles or {}), capacity)
