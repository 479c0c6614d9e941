"""The losses: of each image, with the gradient of its scores and the rank of its class."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fastcnn.kernels.cuda.nn.row_reduction import a_block_a_row, teamed
from fastcnn.kernels.cuda.runtime.device import cuda
from fastcnn.kernels.cuda.runtime.kernel import Float, Floats, Int, Ints, Kernel, kernel
from fastcnn.kernels.shared import losses as loss_functions
from fastcnn.kernels.shared.row import every, first, largest, summed

f32 = np.float32
ZERO, ONE = f32(0), f32(1)


@teamed
def rank_of(scores, label):
    """Return how many classes score higher than the label, ties going to the lower class."""
    rank = ZERO
    for j in every(scores.size):
        if scores[j] > scores[label] or (scores[j] == scores[label] and j < label):
            rank += ONE
    return int(summed(rank))


@teamed
def largest_place(values):
    """Return the first place of the largest value; the last of all where one is NaN."""
    top = values[0]
    for j in every(values.size):
        if values[j] > top:
            top = values[j]
    top, place = largest(top), values.size - 1
    for j in every(values.size):
        if values[j] == top and j < place:
            place = j
    return first(place)


def _a_block_a_row(count: int, values: dict[str, Any]) -> tuple[int, int]:
    return a_block_a_row(count)


def _named(body: Callable, name: str) -> Kernel:
    body.__name__ = body.__qualname__ = name
    return kernel(_a_block_a_row)(body)


def _sparse_loss(name: str, function: Callable) -> Kernel:
    def loss(
        count: Int, scores: Floats, target: Ints, weight: Floats, gradient: Floats, loss: Floats,
        rank: Ints, size: Int, option: Float, classes: Int,
    ):  # fmt: skip
        for row in range(cuda.blockIdx.x, count, cuda.gridDim.x):
            at, end = row * size, (row + 1) * size
            # Whatever another thread may write there, nothing is read or written elsewhere.
            z, label = scores[at:end], min(max(int(target[row]), 0), size - 1)
            value = function(z, label, gradient[at:end], weight[row], option)
            place = rank_of(z, label)
            if cuda.threadIdx.x == 0:
                loss[row] = value if label == target[row] else f32(math.nan)
                rank[row] = place

    return _named(loss, name)


def _dense_loss(name: str, function: Callable) -> Kernel:
    def loss(
        count: Int, scores: Floats, target: Floats, weight: Floats, gradient: Floats, loss: Floats,
        rank: Ints, size: Int, option: Float, classes: Int,
    ):  # fmt: skip
        for row in range(cuda.blockIdx.x, count, cuda.gridDim.x):
            at, end = row * size, (row + 1) * size
            z, wanted = scores[at:end], target[at:end]
            value = function(z, wanted, gradient[at:end], weight[row], option)
            if cuda.threadIdx.x == 0:
                loss[row] = value
            if classes:
                place = rank_of(z, largest_place(wanted))
                if cuda.threadIdx.x == 0:
                    rank[row] = place

    return _named(loss, name)


def _loss_kernel(name: str, function: Callable) -> Kernel:
    """Return the kernel loss_<name>: each row's loss, its gradient times the row's weight, and the
    rank of its class, where the loss has classes."""
    sparse = name in loss_functions.LABEL_KERNELS
    make = _sparse_loss if sparse else _dense_loss
    return make(f"loss_{name}", teamed(function))


LOSSES = {name: _loss_kernel(name, f) for name, f in loss_functions.LOSS_KERNELS.items()}
