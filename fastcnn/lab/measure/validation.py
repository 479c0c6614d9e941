"""Strategies checked before they are timed, against float64.

On small integers every sum of products is exact in float32 however it is ordered, so that what only
adds products (`EXACT`) must give the very same numbers. On normal numbers every strategy must keep
within the error that it states, which is relative to the result's largest magnitude.

A strategy computes as many images as it is timed with: blocks and chunks of a batch are computed in
other ways than two images. A few images come again and again, and float64 has to compute only them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from fastcnn import strategies
from fastcnn.autotune import benchmark
from fastcnn.functional import Convolution
from fastcnn.graph.problem import Problem
from fastcnn.kernels.cpu.runtime import blas_threads
from fastcnn.kernels.reference import numpy64
from fastcnn.utils.threads import num_threads

DISTINCT = 3  # images, which come again in order: no multiple of it is a block's size
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
    """The two arguments of a `Convolution` of a whole batch, and the right result: of the distinct
    images, or of a gradient of the kernel all of it."""

    first: np.ndarray
    second: np.ndarray
    right: np.ndarray

    def beside(
        self, result: np.ndarray
    ) -> Iterator[tuple[tuple[int, ...], np.ndarray, np.ndarray]]:
        """Give a result part by part: its place, itself, and what is right there."""
        if result.shape == self.right.shape:
            yield (), result, self.right
            return
        for image, part in enumerate(result):
            yield (image,), part, self.right[image % DISTINCT]


class Examiner:
    """Knows the right results of one direction of a problem, for a number of images."""

    def __init__(
        self,
        direction: str,
        problem: Problem,
        images: int,
        device: str = "cpu",
        precision: str = "float32",
    ):
        self.direction, self.problem = direction, problem
        self.device, self.precision = device, precision
        self._images = images

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
        distinct = min(self._images, DISTINCT)
        arrays = benchmark.arrays(self.direction, self.problem, distinct)
        first, second = (draw(array.shape).astype(np.float32) for array in arrays)
        places = np.arange(self._images) % distinct
        # On a busy computer a BLAS's threads wait for each other longer than they work. Beside a
        # GPU the processors have nothing else to do.
        with blas_threads.limited(1 if self.device == "cpu" else num_threads()):
            if self.direction != "dw":
                right = numpy64.compute(self.direction, self.problem, first, second)
                return Example(first[places], second, right)
            right = sum(
                count * numpy64.compute("dw", self.problem, first[i : i + 1], second[i : i + 1])
                for i, count in enumerate(np.bincount(places))
            )
        return Example(first[places], second[places], right)

    def _result(self, strategy: str, example: Example) -> np.ndarray:
        return Convolution(
            *(strategy, self.direction, self.problem, *example[:2]),
            device=self.device,
            precision=self.precision,
        )()

    def _inexact(self, strategy: str) -> str | None:
        result = self._result(strategy, self._integers)
        count, first = 0, ""
        for place, part, right in self._integers.beside(result):
            differing = np.argwhere(part != right)
            if len(differing) and not count:
                at = tuple(int(index) for index in differing[0])
                first = f"{(*place, *at)}: {part[at]:g} in place of {right[at]:g}"
            count += len(differing)
        if not count:
            return None
        return f"{count} of {result.size} numbers are not exact on integers, the first at {first}"

    def _inaccurate(self, strategy: str) -> Finding:
        right = self._numbers.right
        result = self._result(strategy, self._numbers)
        stated = strategies.table(self.device)[strategy].error
        if self.precision == "tf32":
            stated *= TF32
        off = [np.abs(part - own).max() for _, part, own in self._numbers.beside(result)]
        error = float(np.max(off) / (np.abs(right).max() or 1.0))
        if not np.isfinite(error):
            return Finding(None, "its result is not finite")
        wrong = None
        if error > stated:
            wrong = f"its error is {error:.2g} of the largest magnitude; it states {stated:.2g}"
        return Finding(error, wrong)
