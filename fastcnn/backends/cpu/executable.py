"""A program ready to run: its table, its memory, its plan."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from math import prod

import numpy as np

from fastcnn.backends.cpu import executor
from fastcnn.backends.cpu.call_passes import clip_sums, pad_scaled, write_in_place
from fastcnn.backends.cpu.call_table import BASES, Table, build_table
from fastcnn.backends.cpu.meetings import INPUT
from fastcnn.backends.cpu.row_bands import share_image
from fastcnn.backends.cpu.schedule import Layout, block_bytes, plan_memory, schedule
from fastcnn.backends.cpu.shared_phases import SharedPhases, Split
from fastcnn.backends.cpu.thread_choice import ThreadChoice
from fastcnn.backends.cpu.thread_pool import pool
from fastcnn.distributed.ranks import Ranks
from fastcnn.kernels.call import MOST_IN_BLOCK, Call, Region, images_in_block
from fastcnn.kernels.cpu.gemm.tiled import tiles
from fastcnn.kernels.cpu.nn.user_function import UserKernel
from fastcnn.kernels.cpu.runtime import host_kernel
from fastcnn.kernels.cpu.runtime.prefetch import QUEUE_WORDS
from fastcnn.utils.aligned_memory import SLACK, vector_zeros
from fastcnn.utils.threads import num_threads

BLOCK_MEMORY = 64 << 20  # bytes of a thread's block above which the block is made smaller
MOST_CHUNKS = 16
MOST_CHOICES = 64  # numbers of images for which a plan remembers how many threads are fastest
PARTIAL_MEMORY = 64 << 20  # bytes of all chunks' partial sums above which there are fewer chunks


_COLUMNS = {name: column for column, name in enumerate(BASES)}


def allocate(size: int) -> np.ndarray:
    """Return at least `size` zeroed bytes for vector code."""
    return vector_zeros(-(-size // 4)).view(np.uint8)


@dataclass
class _Runtime:
    """The plan, and the arrays it points to that depend on the number of threads."""

    plan: np.ndarray
    plan_at: int  # its address
    words: np.ndarray
    bases: np.ndarray
    arena: np.ndarray
    queues: np.ndarray
    images: int = 0  # that the plan is made for


class Executable:
    """Calls with their table and memory, for up to `capacity` images.

    `constants` are the fixed numbers that some regions hold; `spans` are the parameters' parts in a
    training step's update (backends/cpu/optimizer_step.py); `batch_memory(size)` gives the bytes in
    which the batch's regions lie, which other executables may use between runs. With `ranks`, each
    of these processes runs its chunks of a batch (backends/cpu/shared_phases.py).
    """

    def __init__(
        self,
        calls: list[Call],
        capacity: int,
        constants: Sequence[float] = (),
        spans: np.ndarray | None = None,
        batch_memory: Callable[[int], np.ndarray] | None = None,
        ranks: Ranks | None = None,
    ):
        self.capacity = capacity
        calls = write_in_place(clip_sums(pad_scaled(calls)))
        alone = capacity == 1 and spans is None
        # Sums that the library makes begin at once; those of the chunks are exchanged for a round.
        wait = None if ranks is None else 0 if ranks.by_library else 1
        phases = schedule(share_image(calls) if alone else calls, wait)
        self.block = MOST_IN_BLOCK
        while self.block > 1 and block_bytes(phases) * self.block > BLOCK_MEMORY:
            self.block //= 2
        self.layout: Layout = plan_memory(phases, self.block, capacity)
        self.table: Table = build_table(phases, self.layout)
        # The table has the addresses alone of what a user's own code was made kernels of.
        self._kernels = [call.kernel for call in calls]
        raising = (host_kernel.HostKernel, UserKernel)
        self._may_raise = any(isinstance(kernel, raising) for kernel in self._kernels)
        compiled = [
            call.label.partition(":")[0] for call in calls if isinstance(call.kernel, UserKernel)
        ]
        self._compiled_layers = ", ".join(dict.fromkeys(compiled))
        self.parallel = any(
            row[2] - row[1] > 1 for row in self.table.phases[self.table.preparing :]
        )
        self.chunks = MOST_CHUNKS
        while self.chunks > 2 and self.chunks * self.table.partial_bytes > PARTIAL_MEMORY:
            self.chunks //= 2
        numbers = vector_zeros(len(constants))
        numbers[:] = constants
        self.memory = {
            "batch": (batch_memory or allocate)(self.layout.batch_bytes),
            "global": allocate(self.table.global_bytes),
            "partial": allocate(self.table.partial_bytes * self.chunks),
            "constants": numbers,
            "one": np.ones(1, np.float32),
        }
        if spans is not None:
            self.memory["spans"] = spans
            self.memory["sums"] = np.zeros(2 * int(spans[:, 1].sum()) + 2)
            self.memory["factors"] = np.ones(len(spans) + 1, np.float32)
            self.memory["totals"] = np.zeros(2)
        self._outside_arrays: dict[str, np.ndarray] = {}
        self._input_at = 0  # where the batch's images begin, of which others may have the first
        self._prepared: int | None = None
        self._thread_choices: dict[int, ThreadChoice] = {}  # by images
        self._shared: SharedPhases | None = None
        if ranks is not None:
            shared = phases, self.table, self.layout, ranks, self._array, capacity
            self._shared = SharedPhases(*shared)
        self._runtime = self._for_threads(1)

    def _for_threads(self, threads: int) -> _Runtime:
        table = self.table
        thread_bytes = -(-self.layout.thread_bytes // 4096) * 4096 + SLACK
        arena = allocate(thread_bytes * threads)
        # Whole cache lines apart, so that threads never write to the same one.
        words = np.zeros((threads, -(-len(table.words) // 16) * 16 + 80), np.int64)
        words[:, : len(table.words)] = table.words
        bases = np.zeros((threads, -(-len(BASES) // 16) * 16), np.int64)
        for name, array in {**self.memory, **self._outside_arrays}.items():
            bases[:, _COLUMNS[name]] = array.ctypes.data
        bases[:, _COLUMNS[INPUT]] = self._input_at
        bases[:, _COLUMNS["tiles"]] = tiles.address
        bases[:, _COLUMNS["thread"]] = arena.ctypes.data + np.arange(threads) * thread_bytes
        queues = np.zeros((threads, -(-QUEUE_WORDS // 16) * 16 + 16), np.int64)
        bases[:, _COLUMNS["ahead"]] = queues.ctypes.data + np.arange(threads) * queues.strides[0]
        tables = (table.calls, table.operands, table.segments, table.phases, table.items)
        at = [array.ctypes.data for array in (*tables, table.ahead, host_kernel.stop)]
        rows = [words.ctypes.data, words.shape[1], bases.ctypes.data, bases.shape[1]]
        plan = np.array([*at, *rows, 0, len(table.phases), *[0] * 8], np.int64)
        return _Runtime(plan, plan.ctypes.data, words, bases, arena, queues)

    def give(self, **arrays: np.ndarray) -> None:
        """Name the outside arrays that the program works on; they stay until others come."""
        for name, array in arrays.items():
            if name == INPUT:
                self.give_images(array)
            elif self._outside_arrays.get(name) is not array:
                self._outside_arrays[name] = array
                self._runtime.bases[:, _COLUMNS[name]] = array.ctypes.data

    def give_images(self, images: np.ndarray, first: int = 0) -> None:
        """Name the images to work on: of a batch that ranks share, those from number `first` on."""
        if self._shared is not None and self._shared.gathers_input:
            whole = self._outside_arrays.get(INPUT)
            if whole is None:
                whole = np.zeros((self.capacity, *images.shape[1:]), np.float32)
            whole[first : first + len(images)] = images
            images, first = whole, 0
        self._outside_arrays[INPUT] = images
        self._input_at = images.ctypes.data
        if first:
            self._input_at -= 4 * first * prod(images.shape[1:])
        self._runtime.bases[:, _COLUMNS[INPUT]] = self._input_at

    def _array(self, name: str) -> np.ndarray | None:
        """Return one of the executable's arrays, or one from outside; None where there is none
        yet."""
        return {**self.memory, **self._outside_arrays}.get(name)

    def split(self, images: int) -> Split:
        """Return how a batch of so many images is cut into chunks."""
        block = images_in_block(images, self.block)
        blocks = -(-images // block)
        per_chunk = -(-blocks // self.chunks)
        return Split(images, -(-blocks // per_chunk), per_chunk * block)

    def share(self, images: int) -> tuple[int, int]:
        """Return which images (first, end) of a batch are this process's."""
        if self._shared is None:
            return 0, images
        return self._shared.own_images(self.split(images))

    def run(self, images: int, version: int) -> None:
        """Run for a number of images; `version` says whether the weights are as last time."""
        most = num_threads() if images > 1 or self.parallel else 1
        choice = self._thread_choice(images, most) if most > 1 else None
        untimed = choice.untimed() if choice else 1
        if choice is None or untimed:
            self._run(images, version, untimed)
            return
        threads = choice.next()
        start = time.perf_counter()
        self._run(images, version, threads)
        choice.note(time.perf_counter() - start)

    def _run(self, images: int, version: int, threads: int) -> None:
        runtime = self._runtime
        if threads > len(runtime.words):
            runtime = self._runtime = self._for_threads(threads)
        plan = runtime.plan
        if runtime.images != images:
            self._give_split(plan, self.split(images))
            runtime.images = images
        first = self.table.preparing if version == self._prepared else 0
        self._prepared = None
        if self._shared is not None:
            for step in self._shared.steps(self.split(images)):
                self._run_phases(runtime, threads, first, step.phase)
                step.run()
                first = max(first, step.phase)
        self._run_phases(runtime, threads, first, len(self.table.phases))
        self._prepared = version

    def _give_split(self, plan: np.ndarray, split: Split) -> None:
        block = images_in_block(split.images, self.block)
        own, images = (0, split.chunks), (0, split.images)
        if self._shared is not None:
            own, images = self._shared.own_chunks(split), self._shared.own_images(split)
        plan[executor.IMAGES :] = (
            *(split.images, block, split.chunk_images // block, split.chunks),
            *(own[0], own[1] - own[0], images[0], images[1] - images[0]),
        )

    def _run_phases(self, runtime: _Runtime, threads: int, first: int, end: int) -> None:
        if first >= end:
            return
        runtime.plan[executor.FIRST_PHASE] = first
        runtime.plan[executor.END_PHASE] = end
        pool.run(runtime.plan_at, threads, self._raising() if self._may_raise else None)

    def _raising(self) -> AbstractContextManager[None]:
        return host_kernel.run(self._compiled_layers)

    def _thread_choice(self, images: int, most: int) -> ThreadChoice:
        choice = self._thread_choices.get(images)
        if choice is None or choice.most != most:
            if len(self._thread_choices) >= MOST_CHOICES:
                self._thread_choices.clear()
            choice = self._thread_choices[images] = ThreadChoice(most)
        return choice

    def use(self, table: Table) -> None:
        """Run another form of the table from now on: the same calls, laid out differently."""
        self.table = table
        self._runtime = self._for_threads(len(self._runtime.words))

    @property
    def records(self) -> np.ndarray:
        """The words of each thread's records, int64[threads, words], as the last run left them."""
        return self._runtime.words

    @property
    def workspace(self) -> int:
        """Bytes of memory for what comes between inputs and outputs, on the threads now set."""
        own = sum(self.memory[name].nbytes for name in ("batch", "global", "partial"))
        return own + self.layout.thread_bytes * num_threads()

    def view(self, region: Region, shape: tuple[int, ...], dtype: type = np.float32) -> np.ndarray:
        """Return a kept region as [capacity, *shape], a view that each run overwrites."""
        slot = self.layout.slots[region]
        rows = self.memory["batch"][slot.offset : slot.offset + self.capacity * slot.per_image]
        rows = rows.view(dtype).reshape(self.capacity, -1)[:, : prod(shape)]
        return rows.reshape(self.capacity, *shape)
