"""Strategies checked before they are timed, against float64.

On small integers every sum of products is exact in float32 however it is ordered, so that what only
adds products (`EXACT`) must give the very same numbers. On normal numbers every strategy must keep
within the error that it states, which is relative to the result's largest magnitude.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fastcnn import strategies
from fastcnn.autotune import benchmark
from fastcnn.functional import Convolution
from fastcnn.graph.problem import Problem
from fastcnn.kernels.cpu.runtime import blas_threads
from fastcnn.kernels.reference import numpy64
from fastcnn.utils.threads import num_threads

IMAGES = 2  # a single one is computed in another way than several
EXACT = ("direct", "im2col", "im2col-blas")
# Sums of a million such products stay far below 2**24, up to where float32 has every integer.
INTEGERS = (-2, 3)
# Products of tf32 have 10 bits behind the point in place of 23, which is all that counts: a sum of
# them errs by a few 1e-4 of its largest magnitude. Small integers stay exact.
TF32 = 200.0


class Finding(NamedTuple):
    """A strategy's error relative to the largest magnitude, and what is wrong in words, if so."""

    error: float | None
    wrong: str | None


class Example(NamedTuple):
    """The two arguments of a `Convolution` and the right result."""

    first: np.ndarray
    second: np.ndarray
    right: np.ndarray


class Examiner:
    """Knows the right results of one direction of a problem, for at most `most` images."""

    def __init__(
        self,
        direction: str,
        problem: Problem,
        images: int,
        device: str = "cpu",
        precision: str = "float32",
        most: int = IMAGES,
    ):
        self.direction, self.problem = direction, problem
        self.device, self.precision = device, precision
        self._images = min(images, most)

    def examine(self, strategy: str) -> Finding:
        """Check a strategy that accepts the problem. MemoryError where there is not enough."""
        try:
            wrong = self._inexact(strategy) if strategy in EXACT else None
            return Finding(None, wrong) if wrong else self._inaccurate(strategy)
        except MemoryError:
            raise
        except Exception as failure:
            return Finding(None, f"it raised {type(failure).__name__}: {failure}")

    @functools.cached_property
    def _integers(self) -> Example:
        generator = np.random.default_rng(1)
        return self._example(lambda shape: generator.integers(*INTEGERS, shape))

    @functools.cached_property
    def _numbers(self) -> Example:
        generator = np.random.default_rng(2)
        return self._example(lambda shape: generator.standard_normal(shape, np.float32))

    def _example(self, draw: Callable[[tuple[int, ...]], np.ndarray]) -> Example:
        arrays = benchmark.arrays(self.direction, self.problem, self._images)
        first, second = (draw(array.shape).astype(np.float32) for array in arrays)
        # On a busy computer a BLAS's threads wait for each other longer than they work. Beside a
        # GPU the processors have nothing else to do.
        with blas_threads.limited(1 if self.device == "cpu" else num_threads()):
            right = numpy64.compute(self.direction, self.problem, first, second)
        return Example(first, second, right)

    def _result(self, strategy: str, example: Example) -> np.ndarray:
        return Convolution(
            *(strategy, self.direction, self.problem, *example[:2]),
            device=self.device,
            precision=self.precision,
        )()

    def _inexact(self, strategy: str) -> str | None:
        right = self._integers.right
        result = self._result(strategy, self._integers)
        differing = np.argwhere(result != right)
        if not len(differing):
            return None
        at = tuple(int(index) for index in differing[0])
        return (
            f"{len(differing)} of {right.size} numbers are not exact on integers, the first at "
            f"{at}: {result[at]:g} in place of {right[at]:g}"
        )

    def _inaccurate(self, strategy: str) -> Finding:
        right = self._numbers.right
        stated = strategies.table(self.device)[strategy].error
        if self.precision == "tf32":
            stated *= TF32
        off = np.abs(self._result(strategy, self._numbers) - right).max()
        error = float(off / (np.abs(right).max() or 1.0))
        if not np.isfinite(error):
            return Finding(None, "its result is not finite")
        wrong = None
        if error > stated:
            wrong = f"its error is {error:.2g} of the largest magnitude; it states {stated:.2g}"
        return Finding(error, wrong)
