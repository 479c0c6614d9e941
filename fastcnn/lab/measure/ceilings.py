"""The machine's limits, measured between the problems of a run: the best of all samples counts."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fastcnn.kernels.cpu.runtime import blas_threads
from fastcnn.kernels.cpu.simd import vector_unit
from fastcnn.kernels.cpu.simd.memory import Memory
from fastcnn.lab.results import Ceilings
from fastcnn.utils.aligned_memory import vector_zeros
from fastcnn.utils.threads import num_threads

SGEMM_SIZE = 2048
COPIED = 256 << 20  # bytes of each of the two arrays: beyond most caches
ROUNDS = 1 << 17  # of multiply-adds on every chain: about a millisecond
PACE = 0.05  # seconds for one sample of one ceiling, one call at least
CHAINS = vector_unit.REGISTERS - 4  # independent sums, so that no multiply-add waits for another


class Sampler:
    """Measures the ceilings once a call of `sample`, on the threads in use."""

    def __init__(self) -> None:
        self.threads = num_threads()
        generator = np.random.default_rng(0)
        self._a, self._b = generator.random((2, SGEMM_SIZE, SGEMM_SIZE), np.float32)
        self._product = np.empty_like(self._a)
        self._chains = [vector_zeros(CHAINS * vector_unit.LANES) for _ in range(self.threads)]
        self._best = {"sgemm_gflops": 0.0, "fma_gflops": 0.0, "copy_gbytes": 0.0}
        _compiled()

    @property
    def ceilings(self) -> Ceilings:
        """The best of each so far; one sample at least is taken."""
        if not all(self._best.values()):
            self.sample()
        return Ceilings(**self._best)

    def sample(self) -> None:
        """Take one sample of each."""
        with blas_threads.limited(self.threads):
            self._keep("sgemm_gflops", 2 * SGEMM_SIZE**3, self._multiply)
        with ThreadPoolExecutor(self.threads) as pool:
            flops = 2 * CHAINS * vector_unit.LANES * ROUNDS * self.threads
            self._keep("fma_gflops", flops, lambda: self._on_all(pool, self._add, self._chains))
            self._copy(pool)

    def _multiply(self) -> None:
        np.matmul(self._a, self._b, out=self._product)

    @staticmethod
    def _add(numbers: np.ndarray) -> None:
        _compiled()(ROUNDS, numbers.ctypes.data)

    def _copy(self, pool: ThreadPoolExecutor) -> None:
        """Copy one array into another; both are there for the sample alone."""
        parts = np.array_split(np.ones(COPIED // 4, np.float32), self.threads)
        pairs = [(np.zeros_like(part), part) for part in parts]
        # What is read and what is written count.
        self._keep(
            "copy_gbytes",
            2 * COPIED,
            lambda: self._on_all(pool, lambda pair: np.copyto(*pair), pairs),
        )

    @staticmethod
    def _on_all(pool: ThreadPoolExecutor, work: Callable[[Any], None], shares: list[Any]) -> None:
        list(pool.map(work, shares))

    def _keep(self, name: str, amount: int, work: Callable[[], None]) -> None:
        """Keep a rate in billions a second if it is the best; the first call only warms up."""
        work()
        end = time.perf_counter() + PACE
        while (start := time.perf_counter()) < end:
            work()
            rate = amount / (time.perf_counter() - start) / 1e9
            self._best[name] = max(self._best[name], rate)


def _emitted(typing: Any, rounds: Any, address: Any) -> Any:
    """Add a product to each of `CHAINS` vectors at an address, `rounds` times, in registers."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        rounds, address = arguments
        fma = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(vector_unit.VECTOR, [vector_unit.VECTOR] * 3),
            f"llvm.fma.v{vector_unit.LANES}f32",
        )
        memory = Memory(builder, vector_unit.INT64(vector_unit.LANES))
        places = [chain * vector_unit.VECTOR_BYTES for chain in range(CHAINS)]
        sums = [cgutils.alloca_once_value(builder, memory.load(address, at)) for at in places]
        half = ir.Constant(vector_unit.VECTOR, [0.5] * vector_unit.LANES)
        with cgutils.for_range(builder, rounds):
            for total in sums:
                builder.store(builder.call(fma, [builder.load(total), half, half]), total)
        for total, at in zip(sums, places, strict=True):
            memory.store(builder.load(total), address, at)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), emit


_multiply_adds: Any = intrinsic(_emitted)


@functools.cache
def _compiled() -> Callable[[int, int], None]:
    @numba.njit("void(int64, int64)", nogil=True)
    def run(rounds: int, address: int) -> None:
        _multiply_adds(rounds, address)

    compiled: Callable[[int, int], None] = run
    return compiled
